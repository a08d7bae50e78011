"""The gatekeeper: how a node answers RAS (H.225.0 section 7.7).

Terminals and gateways register with the node; its calls are gatekeeper-routed.  An ARQ of the calling side is a call
attempt: its ACF names the accept port of the node that took the call, which is the quickest way to shift one.  The
called side's ARQ is confirmed and not counted, for its call is carried already; so are DRQ and BRQ of a call, whichever
node carries it.  A neighbour's LRQ is decided like an ARQ where the number is ours, and goes on to other neighbours
where it is not.

A request that comes again, which its source and requestSeqNum tell, gets the answer that it got, or hears that it is in
progress: nothing is decided twice.  Answers go to where the request came from, whatever address it names, so that
nobody can have them sent to somebody else; only neighbours are answered where they say.  No socket and no clock in
here.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from twisted.logger import Logger

from voipshift.errors import ProtocolViolation, Refused
from voipshift.h323 import admission, ras, registration, resources
from voipshift.h323.addresses import text_of, user_of
from voipshift.h323.gate import Gate, Party, Token
from voipshift.h323.locator import Delegation, Locator, ras_attempt
from voipshift.h323.neighbours import Neighbours
from voipshift.h323.portal import ACCEPT
from voipshift.h323.procedure import Signer
from voipshift.h323.registry import Registry
from voipshift.h323.signatures import Signatures
from voipshift.h323.uuie import NODE, PROTOCOL
from voipshift.node import Acceptance, Address
from voipshift.sip.gain import MOST_GAIN
from voipshift.sip.timers import Timers

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred
    from twisted.python.failure import Failure

Request = ras.Message | ras.NotUnderstood

#: How long an answer is remembered: a terminal repeats a request a few times, some seconds apart.
REMEMBERED_S = 15.0
MAX_REMEMBERED = 20_000
#: Who would wait longer than this for an answer is told that there will be one, within so many milliseconds.
PROGRESS_AFTER_S = 0.5
PROGRESS_MS = 3000
PROGRESS_AGAIN_S = 2.0
#: How often it is looked whether neighbours are to be told of this node's capacity, and how often they are at least.
LOOK_S = 1.0
RESOURCES_S = 30.0


class Standing(NamedTuple):
    """How many calls this node can take: all that it may have, those that it could take now, and whether it is full."""

    maximum: int | None
    free: int
    full: bool


class Remembered(NamedTuple):
    """How a request was answered: when, its answer and its own octets.

    :ivar answer: empty where there is none; None while it is being worked off
    """

    at: float
    answer: bytes | None
    size: int


class Asked:
    """A request that is being worked off.

    :ivar octets: the request as it came
    :ivar to: where the answer goes
    :ivar key: what a repetition of it has in common with it
    :ivar party: whose it was found to be
    :ivar signer: signs the answer, where the request is signed
    """

    __slots__ = ("_gatekeeper", "key", "number", "octets", "party", "signer", "source", "to")

    def __init__(self, gatekeeper: Gatekeeper, request: Request, octets: bytes, source: Address, to: Address) -> None:
        self._gatekeeper = gatekeeper
        self.party: Party | None = None
        self.signer: Signer | None = None
        self.octets = octets
        self.number = request.request_seq_num
        self.source = source
        self.to = to
        self.key = (to, type(request), request.request_seq_num)

    def reply(self, answer: ras.Message) -> None:
        """Answer it."""
        self._gatekeeper.answer(self, answer)

    def leave(self) -> None:
        """Somebody else answers it."""
        self._gatekeeper.leave(self)


class Gatekeeper:
    """Answers RAS.

    :param name: this node's, its gatekeeperIdentifier
    :param place: its RAS address
    :param front: its front port
    :param gate: who may call
    :param registry: who is registered
    :param locate: whether a number or alias is one that the group's terminals or gateways take
    :param standing: how many calls this node can take
    :param send: sends a datagram
    :param wall: seconds since 1970
    :ivar counts: requests by what became of them
    :ivar dropped: datagrams that were none, by the reason
    """

    def __init__(
        self,
        *,
        name: str,
        place: Address,
        front: Address,
        delegation: Delegation,
        gate: Gate,
        registry: Registry,
        neighbours: Neighbours,
        locate: Callable[[str], Deferred[bool]],
        standing: Callable[[], Standing],
        send: Callable[[bytes, Address], None],
        now: Callable[[], float],
        wall: Callable[[], float],
        octets: Callable[[int], bytes],
    ) -> None:
        self._name = name
        self._place = place
        self._front = front
        self._delegation = delegation
        self._gate = gate
        self._registry = registry
        self._neighbours = neighbours
        self._locator = Locator(
            place=place,
            delegation=delegation,
            neighbours=neighbours,
            locate=locate,
            send=send,
            octets=octets,
        )
        self._standing = standing
        self._send = send
        self._now = now
        self._octets = octets
        self._signatures = Signatures(name=name, gate=gate, registry=registry, wall=wall, octets=octets)
        self._answers: OrderedDict[tuple[Address, type, int], Remembered] = OrderedDict()
        self._timers: Timers[Asked | Gatekeeper] = Timers()
        self._told: tuple[bool, float] | None = None
        self._number = 0
        self.counts: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self._log = Logger(__name__)

    # What comes in, and time.

    def start(self) -> None:
        """Tell neighbours what this node can take, where they want to hear it."""
        if self._neighbours.wanting_resources:
            self._tell_resources()

    def stop(self) -> None:
        """Send the terminals to the other gatekeepers."""
        for endpoint, request in self._registry.dismissals():
            self._send(self._signatures.written(request, endpoint.signer), endpoint.source)

    def received(self, octets: bytes, source: Address) -> None:
        """A datagram: answered, or dropped."""
        try:
            request = ras.decode(octets)
        except ProtocolViolation as violation:
            self.dropped[violation.reason] += 1
            return
        to = source
        # Nothing but an LRQ is answered elsewhere: an IRQ goes no further, and who forges one would choose whom to hit.
        if isinstance(request, admission.LocationRequest) and self._neighbours.knows(source[0]):
            to = request.reply_address or source
        asked = Asked(self, request, octets, source, to)
        known = self._answers.get(asked.key)
        if known is not None and self._now() < known.at + REMEMBERED_S:
            self._repeat(asked, known)
            return
        self._remember(asked, None)
        self._timers.start(asked, "progress", PROGRESS_AFTER_S, self._now())
        self._signatures.look_at(asked, request, self._work_off)

    @property
    def next(self) -> float:
        """When the next timer may run out."""
        return self._timers.next

    def due(self, now: float) -> None:
        """Work off every timer that has run out."""
        for owner, _ in self._timers.due(now):
            if isinstance(owner, Asked):
                self._tell_progress(owner)
                self._timers.start(owner, "progress", PROGRESS_AGAIN_S, now)
            else:
                self._tell_resources()

    def answer(self, asked: Asked, answer: ras.Message) -> None:
        """Answer a request, and remember how."""
        octets = self._signatures.written(answer, asked.signer)
        if len(octets) > MOST_GAIN * len(asked.octets) and self._is_stranger(asked):
            octets = self._fitting(asked, answer)
        self._close(asked, octets)
        self.counts[type(answer).__name__] += 1
        if octets:
            self._send(octets, asked.to)

    def leave(self, asked: Asked) -> None:
        """A request has gone on to others, who answer it, however often it comes again."""
        self.counts["left to others"] += 1
        self._close(asked, b"")

    def _is_stranger(self, asked: Asked) -> bool:
        """Whether anybody may have written that address into the request (:mod:`voipshift.sip.gain`)."""
        host = asked.source[0]
        return asked.party is None and not (self._gate.trusts(host) or self._neighbours.knows(host))

    def _fitting(self, asked: Asked, answer: ras.Message) -> bytes:
        """An answer that names only as many other gatekeepers as there is room for; empty where that is not enough."""
        for name in ("alternate_gatekeeper", "alt_gk_info"):
            while others := getattr(answer, name, ()):
                answer = replace(answer, **{name: others[:-1]})
                octets = self._signatures.written(answer, asked.signer)
                if len(octets) <= MOST_GAIN * len(asked.octets):
                    return octets
        self.dropped["too short for an answer"] += 1
        return b""

    # The parts of that.

    def _work_off(self, asked: Asked, request: Request) -> None:
        match request:
            case registration.GatekeeperRequest():
                self._registry.discover(asked, request)
            case registration.RegistrationRequest():
                self._registry.register(asked, request)
            case registration.UnregistrationRequest():
                self._registry.unregister(asked, request)
            case admission.AdmissionRequest():
                self._admit(asked, request)
            case admission.LocationRequest():
                self._locator.find(asked, request)
            case _:
                answer = self._answer_to(request, asked.source[0], asked.octets)
                if answer is None:
                    self.counts["not answered"] += 1
                    self._close(asked, b"")
                else:
                    self.answer(asked, answer)

    def _answer_to(self, request: Request, host: str, octets: bytes) -> ras.Message | None:
        """The answer to a request that is no more than noted; None where there is none."""
        number = request.request_seq_num
        match request:
            case admission.DisengageRequest():
                if not self._is_registered(request.endpoint_identifier, host):
                    return admission.DisengageReject(number, "notRegistered")
                return admission.DisengageConfirm(number)
            case admission.BandwidthRequest():
                if not self._is_registered(request.endpoint_identifier, host):
                    return admission.BandwidthReject(number, "notBound", 0)
                return admission.BandwidthConfirm(number, request.band_width)
            case resources.InfoRequestResponse():
                wanted = request.need_response and self._is_registered(request.endpoint_identifier, host)
                return resources.InfoRequestAck(number) if wanted else None
            case resources.ResourcesAvailableIndicate():
                return resources.ResourcesAvailableConfirm(number, PROTOCOL) if self._is_known(host) else None
            case resources.InfoRequest() if self._neighbours.knows(host):
                return resources.InfoRequestResponse(
                    number, NODE, self._name, self._place, (self._front,), capacity=self._capacity(self._standing())
                )
            case ras.NotUnderstood() if self._is_known(host):
                return resources.UnknownMessageResponse(number, octets)
            case _:
                return None

    def _is_registered(self, identifier: str, host: str) -> bool:
        """Whether an endpoint is registered, and speaks from where it did, or from where anybody may speak for it."""
        endpoint = self._registry.endpoint(identifier)
        return endpoint is not None and (endpoint.source[0] == host or self._gate.vouches(host) is not None)

    def _is_known(self, host: str) -> bool:
        """Whether whoever is at an address has any business with this node."""
        return self._gate.vouches(host) is not None or self._neighbours.knows(host)

    def _repeat(self, asked: Asked, known: Remembered) -> None:
        self.counts["repeated"] += 1
        if known.answer is None:
            self._tell_progress(asked)
        elif len(asked.octets) < known.size:
            # The answer was fitted to a longer request; who forges his address would get it for less.
            self.dropped["too short for an answer"] += 1
        elif known.answer:
            self._send(known.answer, asked.to)

    def _tell_progress(self, asked: Asked) -> None:
        """RIP, as often as it has to be said."""
        self.counts["RequestInProgress"] += 1
        told = resources.RequestInProgress(asked.number, PROGRESS_MS)
        self._send(self._signatures.written(told, asked.signer), asked.to)

    def _close(self, asked: Asked, answer: bytes) -> None:
        self._timers.stop(asked, "progress")
        self._remember(asked, answer)

    def _remember(self, asked: Asked, answer: bytes | None) -> None:
        self._answers.pop(asked.key, None)
        self._answers[asked.key] = Remembered(self._now(), answer, len(asked.octets))
        if len(self._answers) > MAX_REMEMBERED:
            self._answers.popitem(last=False)

    # A call attempt.

    def _admit(self, asked: Asked, request: admission.AdmissionRequest) -> None:
        host = asked.source[0]
        if request.answer_call:
            if self._is_registered(request.endpoint_identifier, host):
                self._admitted(asked, request, self._front)
            else:
                self._do_not_admit(asked, "callerNotRegistered")
        elif self._registry.endpoint(request.endpoint_identifier) is None:
            self._do_not_admit(asked, "callerNotRegistered")
        elif not user_of(request.destination_info):
            self._do_not_admit(asked, "calledPartyNotRegistered")
        else:
            tokens: tuple[Token, ...] = (*request.tokens, *request.crypto_tokens)
            then = partial(self._identified, asked, request)
            if asked.party is not None:
                then(asked.party)
            else:
                self._gate.identify(host, tokens, asked.octets, then)

    def _identified(self, asked: Asked, request: admission.AdmissionRequest, party: Party | None) -> None:
        """It is known who calls: the group decides who carries the call."""
        endpoint = self._registry.endpoint(request.endpoint_identifier)
        asked.party = party if party is not None and party.known else None
        if party is None:
            self._do_not_admit(asked, "securityDenial")
        elif endpoint is None or (party.user is not None and party.user != endpoint.user):
            self._do_not_admit(asked, "callerNotRegistered")
        else:
            caller, called = text_of(request.src_info), user_of(request.destination_info)
            attempt = ras_attempt(request.call_identifier, self._octets, caller, called, asked.source, party.known)
            placed = self._delegation.place(attempt)
            placed.addCallbacks(self._placed, self._refused, callbackArgs=(asked, request), errbackArgs=(asked,))
            placed.addErrback(self._failed, asked)

    def _placed(self, acceptance: Acceptance, asked: Asked, request: admission.AdmissionRequest) -> None:
        self._admitted(asked, request, acceptance.node.doors[ACCEPT])

    def _refused(self, failure: Failure, asked: Asked) -> None:
        failure.trap(Refused)
        self._do_not_admit(asked, "resourceUnavailable")

    def _failed(self, failure: Failure, asked: Asked) -> None:
        """The chain ends here; it is our own fault."""
        self._log.failure("an admission request was not decided", failure)
        self._do_not_admit(asked, "undefinedReason")

    def _admitted(self, asked: Asked, request: admission.AdmissionRequest, place: Address) -> None:
        width = request.band_width
        asked.reply(admission.AdmissionConfirm(asked.number, width, admission.GATEKEEPER_ROUTED, place))

    def _do_not_admit(self, asked: Asked, reason: str) -> None:
        asked.reply(admission.AdmissionReject(asked.number, reason))

    # What this node can take.

    def _tell_resources(self) -> None:
        """RAI to the neighbours that want it: when the node becomes full or stops being so, and now and then."""
        now, standing = self._now(), self._standing()
        self._timers.start(self, "resources", LOOK_S, now)
        if self._told is not None and self._told[0] is standing.full and now < self._told[1] + RESOURCES_S:
            return
        self._told = (standing.full, now)
        self._number = self._number % 65535 + 1
        told = resources.ResourcesAvailableIndicate(
            self._number, PROTOCOL, self._name, standing.full, ("voice", "h323"), capacity=self._capacity(standing)
        )
        octets = ras.encode(told)
        for neighbour in self._neighbours.wanting_resources:
            self._send(octets, neighbour)

    def _capacity(self, standing: Standing) -> resources.CallCapacity:
        return resources.CallCapacity(standing.maximum, standing.free)
