"""How a gatekeeper answers GRQ, RRQ and URQ (H.225.0 sections 7.8 to 7.10).

A terminal finds its gatekeeper without saying who it is, and hears how to prove its password; to register it is at an
address that vouches for it, or proves the password of a user.  Such a user registers the alias that is his name, and no
other.  Aliases go to the store that the whole group shares; where the store says that one is somebody else's, the
terminal gets duplicateAlias.

Where registrations are shifted, the group decides about a GRQ as it does about a call: by an attempt at the door of
RAS. The node that takes it holds a slot for the terminal's address; the terminal is told that address with GRJ, comes,
and is not sent on again, for its slot waits there until the RRQ.  No socket and no clock in here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from ipaddress import ip_address
from typing import TYPE_CHECKING, Protocol

from twisted.logger import Logger

from voipshift.calls.terminals import Terminal
from voipshift.errors import Refused
from voipshift.h323.addresses import Alias, AlternateGatekeeper
from voipshift.h323.endpoints import Endpoint, Endpoints
from voipshift.h323.gate import Gate, Party, Token
from voipshift.h323.procedure import HMAC_SHA1_96, Signer
from voipshift.h323.ras import Message
from voipshift.h323.registration import (
    DUPLICATE_ALIAS,
    GatekeeperConfirm,
    GatekeeperReject,
    GatekeeperRequest,
    Refusal,
    RegistrationConfirm,
    RegistrationReject,
    RegistrationRequest,
    UnregistrationConfirm,
    UnregistrationReject,
    UnregistrationRequest,
)
from voipshift.h323.tokens import CISCO_ACCESS_TOKEN, MD5
from voipshift.h323.uuie import PROTOCOL
from voipshift.node import Acceptance, Address, CallAttempt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twisted.internet.defer import Deferred
    from twisted.python.failure import Failure

#: Seconds that a registration lasts.
MIN_TIME_TO_LIVE = 60
MAX_TIME_TO_LIVE = 3600
#: Where a terminal does not say how long: it notices by then that its gatekeeper is gone.
DEFAULT_TIME_TO_LIVE = 300
#: Aliases of one endpoint: each is a write to the store.
MAX_ALIASES = 20
#: Characters of an alias, as of a user of SIP.
MAX_ALIAS = 128
#: GRQs of strangers that the group is asked about within so many seconds, as long as a slot waits.  Anybody can send
#: them from any address, and each takes a slot that no call gets meanwhile.
MAX_STRANGERS = 10
STRANGERS_S = 10.0
#: How a terminal can offer to prove its password, what it is asked for first: the kind that most have.
PROOFS = (
    ("pwdHash", MD5),
    ("radius", CISCO_ACCESS_TOKEN),
    *(("pwdHash", algorithm) for algorithm in HMAC_SHA1_96),
)
#: The door at which registrations are shifted, and whom such an attempt calls: nobody, but it has to have a name.
DOOR = "h323/ras"
NOBODY = "h323/ras"


class Asked(Protocol):
    """A request that is being worked off."""

    party: Party | None

    @property
    def source(self) -> Address: ...
    @property
    def octets(self) -> bytes: ...
    @property
    def signer(self) -> Signer | None: ...
    def reply(self, answer: Message) -> None: ...


class Delegation(Protocol):
    """How the registry asks who takes a terminal."""

    def place(self, attempt: CallAttempt) -> Deferred[Acceptance]: ...


class Lease(Protocol):
    """A slot that waits for its terminal."""

    @property
    def id(self) -> str: ...
    @property
    def attempt(self) -> CallAttempt: ...


class Leases(Protocol):
    """The slots that this node has promised."""

    def find(self, client_host: str, callee: str, now: float) -> Lease | None: ...
    def arrive(self, id: str) -> object: ...


class Terminals(Protocol):
    """Where the group's terminals are."""

    def register(self, aliases: Sequence[str], terminal: Terminal, lasts_s: float) -> Deferred[tuple[str, ...]]: ...
    def forget(self, aliases: Sequence[str], endpoint: str) -> Deferred[None]: ...


class Registry:
    """Finds and registers terminals.

    :param name: this node's, its gatekeeperIdentifier
    :param place: its RAS address
    :param front: its front port
    :param delegation: who shifts registrations; None where they are not shifted
    :param alternates: the other gatekeepers of the group at this moment
    :param is_ours: whether an address is one of the group's
    :param freed: called when a slot is free again
    """

    def __init__(
        self,
        *,
        name: str,
        place: Address,
        front: Address,
        endpoints: Endpoints,
        terminals: Terminals,
        gate: Gate,
        delegation: Delegation | None,
        leases: Leases,
        alternates: Callable[[], tuple[AlternateGatekeeper, ...]],
        is_ours: Callable[[Address], bool],
        freed: Callable[[], object],
        now: Callable[[], float],
        octets: Callable[[int], bytes],
    ) -> None:
        self._name = name
        self._place = place
        self._front = front
        self._endpoints = endpoints
        self._terminals = terminals
        self._gate = gate
        self._delegation = delegation
        self._leases = leases
        self._alternates = alternates
        self._is_ours = is_ours
        self._freed = freed
        self._now = now
        self._octets = octets
        #: when the group was asked about strangers
        self._strangers: deque[float] = deque()
        self._log = Logger(__name__)

    def endpoint(self, identifier: str | None) -> Endpoint | None:
        """Who is registered by that identifier."""
        found = self._endpoints.get(identifier or "")
        if found is not None and found.expires <= self._now():
            self._forget(found)
            return None
        return found

    # GRQ.

    def discover(self, asked: Asked, request: GatekeeperRequest) -> None:
        """Is there a gatekeeper?"""
        if not self._gate.may_try(asked.source[0]):
            self._do_not_confirm(asked, request, "terminalExcluded")
        elif self._delegation is None or self._is_known(request, asked.source[0]) or self._lease(asked) is not None:
            self._confirm(asked, request)
        else:
            self._shift(asked, request, self._delegation)

    def _shift(self, asked: Asked, request: GatekeeperRequest, delegation: Delegation) -> None:
        party = self._gate.vouches(asked.source[0], registers=True)
        known = party is not None and party.known
        if not known and not self._may_shift_stranger():
            self._confirm(asked, request)
            return
        caller = next((alias.text for alias in request.endpoint_alias if alias.text), "")[:MAX_ALIAS]
        attempt = CallAttempt(self._octets(16), DOOR, caller, NOBODY, NOBODY, asked.source, known)
        placed = delegation.place(attempt)
        placed.addCallbacks(self._placed, self._unplaced, callbackArgs=(asked, request), errbackArgs=(asked, request))
        placed.addErrback(self._not_decided, asked, request)

    def _may_shift_stranger(self) -> bool:
        """Whether the group can be asked about one more; else it stays here, and takes no slot."""
        now, shifted = self._now(), self._strangers
        while shifted and shifted[0] + STRANGERS_S <= now:
            shifted.popleft()
        if len(shifted) >= MAX_STRANGERS:
            return False
        shifted.append(now)
        return True

    def _placed(self, acceptance: Acceptance, asked: Asked, request: GatekeeperRequest) -> None:
        node = acceptance.node
        if node.name == self._name:
            self._confirm(asked, request)
        else:
            there = AlternateGatekeeper(node.doors[DOOR], node.name)
            self._do_not_confirm(asked, request, "resourceUnavailable", (there,))

    def _unplaced(self, failure: Failure, asked: Asked, request: GatekeeperRequest) -> None:
        failure.trap(Refused)
        self._do_not_confirm(asked, request, "resourceUnavailable")

    def _not_decided(self, failure: Failure, asked: Asked, request: GatekeeperRequest) -> None:
        """The chain ends here; it is our own fault."""
        self._log.failure("a gatekeeper request was not decided", failure)
        self._do_not_confirm(asked, request, "undefinedReason")

    def _is_known(self, request: GatekeeperRequest, host: str) -> bool:
        """Whether a terminal that is registered here asks once more."""
        names = {alias.text for alias in request.endpoint_alias if alias.text}
        return any(names.intersection(each.names) for each in self._endpoints.of(host))

    def _lease(self, asked: Asked) -> Lease | None:
        """The slot that waits for a terminal which was sent here."""
        lease = self._leases.find(asked.source[0], NOBODY, self._now())
        return lease if lease is not None and lease.attempt.door == DOOR else None

    def _confirm(self, asked: Asked, request: GatekeeperRequest) -> None:
        number, others = request.request_seq_num, self._alternates()
        confirm = GatekeeperConfirm(number, PROTOCOL, self._place, self._name, others)
        # Also one whose address vouches for it: not told, H323Plus waits for answers that are signed.
        for mode, algorithm in PROOFS:
            if mode in request.authentication_capability and algorithm in request.algorithm_oids:
                confirm = replace(confirm, authentication_mode=mode, algorithm_oid=algorithm)
                break
        asked.reply(confirm)

    def _do_not_confirm(
        self, asked: Asked, request: GatekeeperRequest, reason: str, instead: tuple[AlternateGatekeeper, ...] = ()
    ) -> None:
        asked.reply(GatekeeperReject(request.request_seq_num, PROTOCOL, reason, self._name, instead))

    # RRQ.

    def register(self, asked: Asked, request: RegistrationRequest) -> None:
        """An endpoint says where it is, or that it lives."""
        if request.keep_alive:
            endpoint = self.endpoint(request.endpoint_identifier)
            if endpoint is None or endpoint.source[0] != asked.source[0]:
                self._reject(asked, request, "fullRegistrationRequired")
            elif _lacks_signature(asked, endpoint):
                self._reject(asked, request, "securityDenial")
            else:
                asked.party = Party(endpoint.user, True)
                self._enter(asked, request, endpoint)
        elif asked.party is not None:
            self._identified(asked, request, asked.party)
        else:
            then = partial(self._identified, asked, request)
            tokens: tuple[Token, ...] = (*request.tokens, *request.crypto_tokens)
            self._gate.identify(asked.source[0], tokens, asked.octets, then, registers=True)

    def _identified(self, asked: Asked, request: RegistrationRequest, party: Party | None) -> None:
        """It is known who it is."""
        place = next(iter(request.call_signal_address), None)
        asked.party = party if party is not None and party.known else None
        if party is None:
            self._reject(asked, request, "securityDenial")
        elif place is None or not _is_machine(place) or self._is_ours(place):
            self._reject(asked, request, "invalidCallSignalAddress")
        elif len(request.terminal_alias) > MAX_ALIASES or any(
            len(alias.text) > MAX_ALIAS for alias in request.terminal_alias
        ):
            self._reject(asked, request, "invalidAlias")
        elif party.user is not None and (
            others := [alias for alias in request.terminal_alias if alias.text != party.user]
        ):
            self._refuse_others(asked, request, others)
        else:
            before = self._endpoints.at(asked.source[0], place)
            same = before is not None and before.user == party.user
            identifier = before.identifier if before is not None and same else self._octets(8).hex()
            endpoint = Endpoint(identifier, request.terminal_alias, place, asked.source, party.user)
            endpoint.signer = None if asked.signer is None else asked.signer.towards(identifier)
            if before is not None:
                self._drop([name for name in before.names if name not in endpoint.names], before.identifier)
            self._enter(asked, request, endpoint)

    def _refuse_others(self, asked: Asked, request: RegistrationRequest, others: list[Alias]) -> None:
        """A user wants aliases that are not his: they are another user's, or nobody's."""

        def told(taken: bool) -> None:
            if taken:
                self._refuse_duplicates(asked, request, (others[0].text,))
            else:
                self._reject(asked, request, "invalidAlias")

        self._gate.is_user(others[0].text, told)

    def _enter(self, asked: Asked, request: RegistrationRequest, endpoint: Endpoint) -> None:
        """Into the store with it."""
        lasts_s = endpoint.time_to_live or DEFAULT_TIME_TO_LIVE
        if request.time_to_live is not None:
            lasts_s = max(MIN_TIME_TO_LIVE, min(request.time_to_live, MAX_TIME_TO_LIVE))
        terminal = Terminal(endpoint.identifier, endpoint.place, asked.source, endpoint.user)
        stored = self._terminals.register(endpoint.names, terminal, lasts_s)
        stored.addCallback(self._stored, asked, request, endpoint, lasts_s)
        stored.addErrback(self._not_stored, asked, request)

    def _stored(
        self,
        taken: tuple[str, ...],
        asked: Asked,
        request: RegistrationRequest,
        endpoint: Endpoint,
        lasts_s: int,
    ) -> None:
        now = self._now()
        if taken:
            self._refuse_duplicates(asked, request, taken)
            return
        while (gone := self._endpoints.expired(now)) is not None:
            self._forget(gone)
        lease = self._lease(asked)
        if not self._endpoints.put(endpoint, lasts_s, now, kept=lease is not None):
            self._drop(endpoint.names, endpoint.identifier)
            self._reject(asked, request, "resourceUnavailable")
            return
        if lease is not None:
            self._leases.arrive(lease.id)
            self._freed()
        asked.reply(
            RegistrationConfirm(
                request.request_seq_num,
                PROTOCOL,
                (self._front,),
                endpoint.identifier,
                endpoint.aliases,
                self._name,
                self._alternates(),
                endpoint.time_to_live,
            )
        )

    def _not_stored(self, failure: Failure, asked: Asked, request: RegistrationRequest) -> None:
        self._log.failure("a registration of H.323 could not be stored", failure)
        self._reject(asked, request, "resourceUnavailable")

    def _refuse_duplicates(self, asked: Asked, request: RegistrationRequest, names: tuple[str, ...]) -> None:
        aliases = tuple(alias for alias in request.terminal_alias if alias.text in names)
        refusal = Refusal(DUPLICATE_ALIAS, aliases)
        asked.reply(RegistrationReject(request.request_seq_num, PROTOCOL, refusal, self._name))

    def _reject(self, asked: Asked, request: RegistrationRequest, reason: str) -> None:
        asked.reply(RegistrationReject(request.request_seq_num, PROTOCOL, Refusal(reason), self._name))

    # URQ, and the end.

    def unregister(self, asked: Asked, request: UnregistrationRequest) -> None:
        """An endpoint goes; one that does not say by which identifier is known by where it is called."""
        host, known = asked.source[0], self._endpoints
        endpoint = self.endpoint(request.endpoint_identifier)
        if request.endpoint_identifier is None:
            endpoint = next((at for place in request.call_signal_address if (at := known.at(host, place))), None)
        if endpoint is None or endpoint.source[0] != asked.source[0]:
            asked.reply(UnregistrationReject(request.request_seq_num, "notCurrentlyRegistered"))
        elif _lacks_signature(asked, endpoint):
            asked.reply(UnregistrationReject(request.request_seq_num, "securityDenial"))
        else:
            self._forget(endpoint)
            asked.reply(UnregistrationConfirm(request.request_seq_num))

    def dismissals(self) -> Iterator[tuple[Endpoint, UnregistrationRequest]]:
        """A URQ for each terminal, when this node stops: it is to register with another gatekeeper.

        Its aliases stay in the store meanwhile: other nodes go on calling it.
        """
        others = self._alternates()
        for number, endpoint in enumerate(self._endpoints):
            yield (
                endpoint,
                UnregistrationRequest(
                    number % 65535 + 1,
                    (endpoint.place,),
                    endpoint_identifier=endpoint.identifier,
                    gatekeeper_identifier=self._name,
                    reason="maintenance",
                    alternate_gatekeeper=others,
                ),
            )

    def _forget(self, endpoint: Endpoint) -> None:
        self._endpoints.remove(endpoint)
        self._drop(endpoint.names, endpoint.identifier)

    def _drop(self, names: Sequence[str], identifier: str) -> None:
        """Aliases that are not called any more; what stays in the store runs out there."""
        self._terminals.forget(names, identifier).addErrback(
            lambda failure: self._log.failure("aliases of H.323 could not be taken from the store", failure)
        )


def _lacks_signature(asked: Asked, endpoint: Endpoint) -> bool:
    """Whether an endpoint signs what it says, and this is not signed by the same user."""
    signer = endpoint.signer
    return signer is not None and (asked.signer is None or asked.signer.user != signer.user)


def _is_machine(place: Address) -> bool:
    """Nothing is ever sent to all machines at once, or to nobody, whatever was registered."""
    address = ip_address(place[0])
    return bool(place[1]) and not (address.is_multicast or address.is_unspecified or place[0] == "255.255.255.255")
