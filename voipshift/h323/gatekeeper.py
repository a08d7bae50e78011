"""The gatekeeper: how a node answers RAS (H.225.0 section 7.7).

Terminals and gateways of the addresses that may call register with the node; its calls are gatekeeper-routed.  An ARQ
of the calling side is a call attempt: its ACF names the accept port of the node that took the call, which is the
quickest way to shift one.  The called side's ARQ is confirmed and not counted, for its call is carried already.

A request that comes again, which its source and requestSeqNum tell, gets the answer that it got: nothing is decided
twice.  Answers go to where the request came from, whatever address it names, so that nobody can have them sent to
somebody else.  Registrations are this node's own; a terminal is told of the other gatekeepers of the group, to register
there when this one is gone.  No socket and no clock in here.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from twisted.logger import Logger

from voipshift.errors import ProtocolViolation, Refused
from voipshift.h323 import admission, ras, registration, resources
from voipshift.h323.addresses import Alias, AlternateGatekeeper
from voipshift.h323.portal import ACCEPT, DOOR, MAX_NAME
from voipshift.h323.uuie import PROTOCOL
from voipshift.node import Acceptance, Address, CallAttempt

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred
    from twisted.python.failure import Failure

#: How long an answer is remembered: a terminal repeats a request a few times, some seconds apart.
REMEMBERED_S = 15.0
MAX_REMEMBERED = 20_000
#: Terminals and gateways that are registered at once.
MAX_ENDPOINTS = 20_000
#: Seconds that a registration lasts.
MIN_TIME_TO_LIVE = 60
MAX_TIME_TO_LIVE = 3600


class Delegation(Protocol):
    """How the gatekeeper asks who takes a call."""

    def place(self, attempt: CallAttempt) -> Deferred[Acceptance]: ...


class Endpoint:
    """A terminal or gateway that is registered.

    :ivar expires: when it is forgotten, unless it says before that it lives
    """

    __slots__ = ("aliases", "expires", "identifier", "places", "time_to_live")

    def __init__(self, identifier: str, aliases: tuple[Alias, ...], places: tuple[Address, ...]) -> None:
        self.identifier = identifier
        self.aliases = aliases
        self.places = places
        self.time_to_live = MAX_TIME_TO_LIVE
        self.expires = 0.0


class Gatekeeper:
    """Answers RAS.

    :param name: this node's, its gatekeeperIdentifier
    :param place: its RAS address
    :param front: its front port
    :param alternates: the other gatekeepers of the group at this moment
    :param permits: whether an address may register and call
    :param trusts: whether it may hold any number of slots
    :param send: sends a datagram
    :ivar counts: requests by what became of them
    """

    def __init__(
        self,
        *,
        name: str,
        place: Address,
        front: Address,
        delegation: Delegation,
        alternates: Callable[[], tuple[AlternateGatekeeper, ...]],
        permits: Callable[[str], bool],
        trusts: Callable[[str], bool],
        send: Callable[[bytes, Address], None],
        now: Callable[[], float],
        octets: Callable[[int], bytes],
    ) -> None:
        self._name = name
        self._place = place
        self._front = front
        self._delegation = delegation
        self._alternates = alternates
        self._permits = permits
        self._trusts = trusts
        self._send = send
        self._now = now
        self._octets = octets
        self._endpoints: OrderedDict[str, Endpoint] = OrderedDict()
        self._owners: dict[str, str] = {}
        #: None while it is being decided
        self._answers: OrderedDict[tuple[Address, type, int], tuple[float, bytes | None]] = OrderedDict()
        self.counts: Counter[str] = Counter()
        self._log = Logger()

    def __len__(self) -> int:
        return len(self._endpoints)

    def received(self, octets: bytes, source: Address) -> None:
        """A datagram: answered, or dropped."""
        try:
            request = ras.decode(octets)
        except ProtocolViolation as violation:
            self.counts[violation.reason] += 1
            return
        key = (source, type(request), request.request_seq_num)
        known = self._answers.get(key)
        if known is not None and self._now() < known[0] + REMEMBERED_S:
            self.counts["repeated"] += 1
            if known[1] is not None:
                self._send(known[1], source)
            return
        if isinstance(request, admission.AdmissionRequest) and not request.answer_call:
            self._admit(request, source)
            return
        answer = self._answer_to(request, source)
        if answer is not None:
            self._answer(request, source, answer)

    # One request, one answer.

    def _answer_to(self, request: ras.Message | ras.NotUnderstood, source: Address) -> ras.Message | None:
        number = request.request_seq_num
        permitted = self._permits(source[0])
        match request:
            case registration.GatekeeperRequest():
                if not permitted:
                    return registration.GatekeeperReject(number, PROTOCOL, "terminalExcluded", self._name)
                others = self._alternates()
                return registration.GatekeeperConfirm(number, PROTOCOL, self._place, self._name, others)
            case registration.RegistrationRequest():
                return self._register(request, permitted)
            case registration.UnregistrationRequest():
                if not permitted or self._forget(request.endpoint_identifier or "") is None:
                    return registration.UnregistrationReject(number, "notCurrentlyRegistered")
                return registration.UnregistrationConfirm(number)
            case admission.AdmissionRequest():
                if not self._is_registered(request.endpoint_identifier, permitted):
                    return admission.AdmissionReject(number, "callerNotRegistered")
                return self._confirm(request, self._front)
            case admission.DisengageRequest():
                if not self._is_registered(request.endpoint_identifier, permitted):
                    return admission.DisengageReject(number, "notRegistered")
                return admission.DisengageConfirm(number)
            case admission.BandwidthRequest():
                if not self._is_registered(request.endpoint_identifier, permitted):
                    return admission.BandwidthReject(number, "notBound", 0)
                return admission.BandwidthConfirm(number, request.band_width)
            case admission.LocationRequest():
                return admission.LocationReject(number, "requestDenied")
            case resources.InfoRequestResponse():
                return resources.InfoRequestAck(number) if permitted and request.need_response else None
            case resources.ResourcesAvailableIndicate():
                return resources.ResourcesAvailableConfirm(number, PROTOCOL) if permitted else None
            case _:
                self.counts["not answered"] += 1
                return None

    def _answer(self, request: ras.Message | ras.NotUnderstood, source: Address, answer: ras.Message) -> None:
        octets = ras.encode(answer)
        self._remember(request, source, octets)
        self.counts[type(answer).__name__] += 1
        self._send(octets, source)

    def _remember(self, request: ras.Message | ras.NotUnderstood, source: Address, octets: bytes | None) -> None:
        key = (source, type(request), request.request_seq_num)
        self._answers.pop(key, None)
        self._answers[key] = (self._now(), octets)
        if len(self._answers) > MAX_REMEMBERED:
            self._answers.popitem(last=False)

    # Registrations.

    def _register(self, request: registration.RegistrationRequest, permitted: bool) -> ras.Message:
        number = request.request_seq_num
        if not permitted:
            return self._refusal(number, "securityDenial")
        endpoint = self._endpoint(request.endpoint_identifier or "")
        if request.keep_alive:
            if endpoint is None:
                return self._refusal(number, "fullRegistrationRequired")
        else:
            if not request.call_signal_address:
                return self._refusal(number, "invalidCallSignalAddress")
            others = [alias for alias in request.terminal_alias if self._is_taken(alias, request.call_signal_address)]
            if others:
                refusal = registration.Refusal(registration.DUPLICATE_ALIAS, tuple(others))
                return registration.RegistrationReject(number, PROTOCOL, refusal, self._name)
            endpoint = self._enter(endpoint, request)
            if endpoint is None:
                return self._refusal(number, "resourceUnavailable")
        assert endpoint is not None
        if request.time_to_live is not None:
            endpoint.time_to_live = max(MIN_TIME_TO_LIVE, min(request.time_to_live, MAX_TIME_TO_LIVE))
        endpoint.expires = self._now() + endpoint.time_to_live
        self._endpoints.move_to_end(endpoint.identifier)
        return registration.RegistrationConfirm(
            number,
            PROTOCOL,
            (self._front,),
            endpoint.identifier,
            endpoint.aliases,
            self._name,
            self._alternates(),
            endpoint.time_to_live,
        )

    def _refusal(self, number: int, reason: str) -> registration.RegistrationReject:
        return registration.RegistrationReject(number, PROTOCOL, registration.Refusal(reason), self._name)

    def _enter(self, before: Endpoint | None, request: registration.RegistrationRequest) -> Endpoint | None:
        """A new registration in place of those of the same endpoint; None where there is no room."""
        places = set(request.call_signal_address)
        same = {self._owners[alias.text] for alias in request.terminal_alias if alias.text in self._owners}
        for identifier in same:  # nobody else's: that was looked at
            self._forget(identifier)
        if before is not None and places.intersection(before.places):
            self._forget(before.identifier)
        while self._endpoints and next(iter(self._endpoints.values())).expires <= self._now():
            self._forget(next(iter(self._endpoints)))
        if len(self._endpoints) >= MAX_ENDPOINTS:
            return None
        endpoint = Endpoint(self._octets(8).hex(), request.terminal_alias, request.call_signal_address)
        self._endpoints[endpoint.identifier] = endpoint
        for alias in endpoint.aliases:
            if alias.text:
                self._owners[alias.text] = endpoint.identifier
        return endpoint

    def _is_taken(self, alias: Alias, places: tuple[Address, ...]) -> bool:
        """Whether an alias belongs to an endpoint that is somewhere else."""
        owner = self._endpoint(self._owners.get(alias.text, ""))
        return owner is not None and not set(places).intersection(owner.places)

    def _endpoint(self, identifier: str) -> Endpoint | None:
        """Who is registered by that identifier."""
        found = self._endpoints.get(identifier)
        if found is not None and found.expires <= self._now():
            self._forget(identifier)
            return None
        return found

    def _is_registered(self, identifier: str, permitted: bool) -> bool:
        return permitted and self._endpoint(identifier) is not None

    def _forget(self, identifier: str) -> Endpoint | None:
        endpoint = self._endpoints.pop(identifier, None)
        if endpoint is not None:
            for alias in endpoint.aliases:
                if self._owners.get(alias.text) == identifier:
                    del self._owners[alias.text]
        return endpoint

    # A call attempt.

    def _admit(self, request: admission.AdmissionRequest, source: Address) -> None:
        """The group decides who carries the call."""
        called = next((alias.text for alias in request.destination_info if alias.is_number and alias.text), "")
        called = called or next((alias.text for alias in request.destination_info if alias.text), "")
        caller = next((alias.text for alias in request.src_info if alias.text), "")
        if not self._is_registered(request.endpoint_identifier, self._permits(source[0])):
            self._reject(request, source, "callerNotRegistered")
            return
        if not called:
            self._reject(request, source, "calledPartyNotRegistered")
            return
        self._remember(request, source, None)
        called = called[:MAX_NAME]
        known = self._trusts(source[0])
        attempt = CallAttempt(self._octets(16), DOOR, caller[:MAX_NAME], called, called, source, known)
        decision = self._delegation.place(attempt)
        decision.addCallbacks(
            self._decided, self._refused, callbackArgs=(request, source), errbackArgs=(request, source)
        )
        decision.addErrback(self._failed, request, source)

    def _decided(self, acceptance: Acceptance, request: admission.AdmissionRequest, source: Address) -> None:
        self._answer(request, source, self._confirm(request, acceptance.node.doors[ACCEPT]))

    def _refused(self, failure: Failure, request: admission.AdmissionRequest, source: Address) -> None:
        failure.trap(Refused)
        self._reject(request, source, "resourceUnavailable")

    def _failed(self, failure: Failure, request: admission.AdmissionRequest, source: Address) -> None:
        """The chain ends here; it is our own fault."""
        self._log.failure("an admission request was not decided", failure)
        self._reject(request, source, "undefinedReason")

    def _reject(self, request: admission.AdmissionRequest, source: Address, reason: str) -> None:
        self._answer(request, source, admission.AdmissionReject(request.request_seq_num, reason))

    def _confirm(self, request: admission.AdmissionRequest, place: Address) -> admission.AdmissionConfirm:
        number = request.request_seq_num
        return admission.AdmissionConfirm(number, request.band_width, admission.GATEKEEPER_ROUTED, place)
