"""The portal of the H.323 side: what becomes of each SETUP that comes in.

In the order in which it is asked::

    its address has sent too many         refused: gatekeeperResources, and the connection is closed if it has no call
    it comes by the accept port, where a slot waits for it that was promised to a known caller at its address:   served
    neither its address is known nor a password token in it      refused: securityDenied
    it came in by the accept port    a slot waits for it: served; none: our own rule alone
    it came in by the front port     placed: accepted here, by a member, or refused

A slot waits for a call by its callIdentifier, which an ARQ and its SETUP share.  A SETUP that follows a FACILITY has
nothing in common with the first one but where it arrives: the caller's address, the number, and the accept port, whose
calls are never shifted again (a caller counts no hops).  No socket and no clock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

from twisted.logger import Logger

from voipshift.errors import Refused
from voipshift.h323 import uuie
from voipshift.h323.gate import Gate, Party, Token
from voipshift.node import Acceptance, Address, CallAttempt

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred
    from twisted.python.failure import Failure

#: The doors of a node that speaks H.323: where a call can be requested, and where one that was shifted is served.
DOOR = "h323"
ACCEPT = "h323/accept"
#: Caller and called user are cut to this before they are asked about.
MAX_NAME = 128


class Line(Protocol):
    """The connection that a call came by."""

    @property
    def front(self) -> bool | None: ...
    @property
    def far(self) -> Address: ...


class Requested(Protocol):
    """A call about which is to be decided (:class:`voipshift.calls.relayedcall.RelayedCall`)."""

    decision: Deferred[Acceptance] | None

    @property
    def line(self) -> Line: ...
    @property
    def called(self) -> str: ...
    @property
    def caller(self) -> str: ...
    @property
    def identifier(self) -> bytes | None: ...
    @property
    def tokens(self) -> Sequence[Token]: ...
    @property
    def octets(self) -> bytes: ...
    @property
    def is_over(self) -> bool: ...
    def accept(self, hops: int, origin: Any = None) -> None: ...
    def shift(self, address: Address) -> None: ...
    def refuse(self, reason: str) -> None: ...
    def turn_away(self, reason: str) -> None: ...


class Delegation(Protocol):
    """How the portal asks who takes a call."""

    def place(self, attempt: CallAttempt) -> Deferred[Acceptance]: ...
    def here_alone(self, attempt: CallAttempt) -> Acceptance: ...


class Lease(Protocol):
    """A slot that waits for its caller."""

    @property
    def id(self) -> str: ...
    @property
    def attempt(self) -> CallAttempt: ...
    @property
    def hops(self) -> int: ...


class Leases(Protocol):
    """The slots that this node has promised."""

    def of(self, attempt: bytes, now: float) -> Lease | None: ...
    def find(self, client_host: str, callee: str, now: float) -> Lease | None: ...
    def arrive(self, id: str) -> Lease | None: ...


class Recorder(Protocol):
    """Who makes records of calls (:class:`voipshift.calls.recorder.Recorder`)."""

    def arrived(self, slot: Any, call_id: str) -> Any: ...


class Portal:
    """Decides about each call.

    :param name: this node's name in the group
    :param gate: who may call
    :param admits: whether one more call of an address is looked at
    :param recorder: who makes records of calls; None where nobody does
    :ivar counts: what became of the calls: ``served`` (they came with a lease), ``accepted``, ``shifted``, ``refused``,
        ``denied``
    :ivar dropped: those that were not looked at, by the reason
    """

    def __init__(
        self,
        *,
        name: str,
        delegation: Delegation,
        leases: Leases,
        gate: Gate,
        admits: Callable[[str], bool],
        now: Callable[[], float],
        octets: Callable[[int], bytes],
        recorder: Recorder | None = None,
    ) -> None:
        self._name = name
        self._delegation = delegation
        self._leases = leases
        self._gate = gate
        self._admits = admits
        self._now = now
        self._octets = octets
        self._recorder = recorder
        self.counts: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self._log = Logger(__name__)

    def requested(self, call: Requested) -> None:
        """A SETUP came in."""
        host = call.line.far[0]
        if not self._admits(host):
            self.dropped["too many from one address"] += 1
            call.turn_away(uuie.GATEKEEPER_RESOURCES)
            return
        lease = None if call.line.front else self._lease(call)
        if lease is not None and lease.attempt.trusted and lease.attempt.client[0] == host:
            self._serve(call, lease)
        else:
            self._gate.identify(host, call.tokens, call.octets, partial(self._identified, call))

    def _identified(self, call: Requested, party: Party | None) -> None:
        """It is known who calls."""
        if call.is_over:
            return
        if party is None:
            self.counts["denied"] += 1
            call.refuse(uuie.SECURITY_DENIED)
            return
        attempt = attempt_of(
            self._octets(16), call.caller, call.called, call.line.far, party.known, call_id_of(call.identifier)
        )
        lease = None if call.line.front else self._lease(call)
        if lease is not None:
            self._serve(call, lease)
        elif call.line.front:
            self._place(call, attempt)
        else:
            self._decide_alone(call, attempt)

    def _lease(self, call: Requested) -> Lease | None:
        """The slot that waits for a call at the accept port."""
        now = self._now()
        lease = self._leases.of(call.identifier, now) if call.identifier else None
        if lease is None:
            lease = self._leases.find(call.line.far[0], call.called[:MAX_NAME], now)
        return lease if lease is not None and lease.attempt.door == DOOR else None

    def _serve(self, call: Requested, lease: Lease) -> None:
        self.counts["served"] += 1
        self._carry(call, lease.id, lease.hops)

    def _decide_alone(self, call: Requested, attempt: CallAttempt) -> None:
        """At the accept port without a slot: by this node's own rule."""
        try:
            acceptance = self._delegation.here_alone(attempt)
        except Refused:
            self._refuse(call)
        else:
            self._accept(call, acceptance)

    def _place(self, call: Requested, attempt: CallAttempt) -> None:
        """At the front port: the group decides."""
        call.decision = decision = self._delegation.place(attempt)
        decision.addCallbacks(self._decided, self._undecided, callbackArgs=(call,), errbackArgs=(call,))
        decision.addErrback(self._failed, call)

    def _decided(self, acceptance: Acceptance, call: Requested) -> None:
        call.decision = None
        if acceptance.node.name == self._name:
            self._accept(call, acceptance)
        else:
            self.counts["shifted"] += 1
            call.shift(acceptance.node.doors[ACCEPT])

    def _undecided(self, failure: Failure, call: Requested) -> None:
        gone, call.decision = call.decision is None, None
        if not gone:  # a caller that has gone took its decision with it
            failure.trap(Refused)
            self._refuse(call)

    def _failed(self, failure: Failure, call: Requested) -> None:
        """The chain ends here; it is our own fault."""
        self._log.failure("a call attempt of H.323 was not decided", failure)
        call.refuse(uuie.UNDEFINED_REASON)

    def _accept(self, call: Requested, acceptance: Acceptance) -> None:
        self.counts["accepted"] += 1
        self._carry(call, acceptance.lease, acceptance.hops)

    def _carry(self, call: Requested, lease: str, hops: int) -> None:
        slot = self._leases.arrive(lease)
        if self._recorder is None:
            call.accept(hops)
        else:
            call.accept(hops, self._recorder.arrived(slot, call_id_of(call.identifier)))

    def _refuse(self, call: Requested) -> None:
        self.counts["refused"] += 1
        call.refuse(uuie.GATEKEEPER_RESOURCES)


def attempt_of(id: bytes, caller: str, called: str, client: Address, known: bool, call_id: str) -> CallAttempt:
    """A call attempt of H.323."""
    callee = called[:MAX_NAME]
    return CallAttempt(id, DOOR, caller[:MAX_NAME], callee, callee, client, known, call_id=call_id)


def call_id_of(identifier: bytes | None) -> str:
    """A callIdentifier as UUIDs are written; empty where there is none."""
    return "" if identifier is None else str(UUID(bytes=identifier))
