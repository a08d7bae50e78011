"""What becomes of a call attempt whose caller may call: placed, and brought to the node that takes it.

It is the door's half of the delegation: an initial INVITE becomes a :class:`CallAttempt`, and what the group decides
becomes carrying the call here, a 302 to the member that accepted (or the INVITE's way there, where the client would not
follow), or a 503.  No socket and no clock in here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from voipshift.errors import ProtocolViolation, Refused
from voipshift.node import Acceptance, Address, CallAttempt, Load
from voipshift.sip.answers import Answers
from voipshift.sip.identification import Identification
from voipshift.sip.listeners import Listeners
from voipshift.sip.message import Request
from voipshift.sip.priority import Marks
from voipshift.sip.transaction import ServerTransaction

#: A Request-URI longer than this does not fit into an Ask with the rest of an attempt: such a call is decided here
#: alone.
MAX_TARGET: Final = 512
#: Caller and called user are cut to this before they are asked about: they inform, and grant nothing.
MAX_NAME: Final = 128

#: Where a user is, what is tried together in one group; a proxy's business.
Places = Sequence[Sequence[Any]]


class Delegation(Protocol):
    """How the portal asks who takes a call."""

    def place(self, attempt: CallAttempt, visited: tuple[Load, ...] = ()) -> Deferred[Acceptance]: ...
    def unreached(self, acceptance: Acceptance, attempt: bytes) -> tuple[Load, ...]: ...
    def here_alone(self, attempt: CallAttempt) -> Acceptance: ...


class Lease(Protocol):
    """A slot that waits for its client."""

    @property
    def id(self) -> str: ...
    @property
    def attempt(self) -> CallAttempt: ...
    @property
    def hops(self) -> int: ...


class Find(Protocol):
    """Who knows where a called user is (:meth:`voipshift.calls.whereabouts.Whereabouts.find`); None: ask nobody."""

    def __call__(self, target: str, routes: Sequence[str]) -> Deferred[Any] | None: ...


class Leases(Protocol):
    """The slots that this node has promised."""

    def get(self, id: str) -> Lease | None: ...
    def find(self, client_host: str, callee: str, now: float) -> Lease | None: ...
    def arrive(self, id: str) -> Lease | None: ...
    def __len__(self) -> int: ...


class Carrier(Protocol):
    """Who carries calls once they are accepted (:class:`voipshift.calls.proxy.Proxy`)."""

    def carry(self, invite: ServerTransaction, target: str, hops: int, places: Places, origin: Any = None) -> None: ...
    def deliver(self, transaction: ServerTransaction, target: str, places: Places) -> None: ...
    def pass_on(self, transaction: ServerTransaction, to: Address) -> None: ...
    def within(self, transaction: ServerTransaction) -> None: ...
    def check_route(self, request: Request) -> None: ...
    def into_flow(self, invite: ServerTransaction) -> bool: ...


class Recorder(Protocol):
    """Who makes records of calls (:class:`voipshift.calls.recorder.Recorder`)."""

    def arrived(self, slot: Any, call_id: str) -> Any: ...
    def unserved(self, origin: Any, status: int) -> None: ...


class Pending:
    """An INVITE about which the group has not decided yet, or a store has not answered."""

    __slots__ = ("_decision",)

    def __init__(self, decision: Deferred[Any]) -> None:
        self._decision = decision

    def cancelled(self, invite: ServerTransaction) -> None:
        """The client sent CANCEL: the cancellation follows the chain, and the INVITE ends with 487."""
        self._decision.cancel()


class Placement:
    """Places call attempts.

    :param name: this node's name in the group
    :param listeners: this node's ports: what a redirect to itself names
    :param answers: what it answers by itself
    :param identification: brings a client to the node that has accepted its attempt
    :param reply: what another node needs to tell the client itself
    :param trusts: whether an address vouches for its callers
    :param anybody: anybody may call
    :param marks: by what a caller who is known marks a call as an emergency
    :param find: where a called user is
    :param recorder: who makes records of calls; None where nobody does
    """

    def __init__(
        self,
        *,
        name: str,
        listeners: Listeners,
        delegation: Delegation,
        leases: Leases,
        carrier: Carrier,
        answers: Answers,
        identification: Identification,
        reply: Callable[[ServerTransaction], bytes],
        trusts: Callable[[str], bool],
        anybody: bool,
        marks: Marks,
        find: Find,
        identify_self: bool,
        octets: Callable[[int], bytes],
        recorder: Recorder | None,
    ) -> None:
        self._name = name
        self._listeners = listeners
        self._delegation = delegation
        self._leases = leases
        self._carrier = carrier
        self._answers = answers
        self._identification = identification
        self._reply = reply
        self._trusts = trusts
        self._anybody = anybody
        self._marks = marks
        self._find = find
        self._identify_self = identify_self
        self._octets = octets
        self._recorder = recorder
        self._log = Logger(__name__)

    def decide(self, invite: ServerTransaction, target: str, callee: str, known: bool, *, alone: bool) -> None:
        """A call attempt: find out who takes it.

        :param target: the original Request-URI
        :param callee: whom it calls
        :param known: its caller is not just anybody
        :param alone: this node alone decides about it
        :raises ProtocolViolation: 403, its Route leads to somebody else
        """
        if invite.request.has("Route"):
            self._carrier.check_route(invite.request)
        attempt = self._attempt(invite, target, callee, known)
        if alone or len(target) > MAX_TARGET:
            self._decide_alone(invite, attempt)
        else:
            self._place(invite, attempt, callee)

    def arrived(self, invite: ServerTransaction, target: str, lease: str, hops: int) -> None:
        """The client of a call that this node has accepted is here: see where the called user is, and carry it."""
        found = self._where(invite.request, target)
        if found is None:
            self._carry((), invite, target, lease, hops)
            return
        invite.user = Pending(found)
        found.addErrback(self._not_found)
        found.addCallback(self._carry, invite, target, lease, hops)
        found.addErrback(self._undecided_late, invite, lease)

    def deliver(self, transaction: ServerTransaction) -> None:
        """A request to a user that is no call: see where he is, and forward it."""
        target = transaction.request.uri
        found = self._where(transaction.request, target)
        if found is None:
            self._carrier.deliver(transaction, target, ())
            return
        found.addErrback(self._not_found)
        found.addCallback(lambda places: self._carrier.deliver(transaction, target, places))
        found.addErrback(self._failed, transaction)

    # The parts.

    def _where(self, request: Request, target: str) -> Deferred[Any] | None:
        return self._find(target, request.values("Route") if request.has("Route") else ())

    def _attempt(self, invite: ServerTransaction, target: str, callee: str, known: bool) -> CallAttempt:
        source = invite.source
        return CallAttempt(
            id=self._octets(16),
            door=self._listeners.doors[invite.source.listener],
            caller=invite.request.from_uri[:MAX_NAME],
            callee=callee[:MAX_NAME],
            target=target,
            client=(source.host, source.port),
            trusted=known,
            emergency=bool(self._marks) and known and self._is_emergency(invite),
            call_id="" if self._recorder is None else invite.request.call_id,
        )

    def _is_emergency(self, invite: ServerTransaction) -> bool:
        """Whether a caller who is known says so; where anybody may call, a member that passed it on knows nobody."""
        return (not self._anybody or self._trusts(invite.source.host)) and self._marks.on(invite.request)

    def _decide_alone(self, invite: ServerTransaction, attempt: CallAttempt) -> None:
        try:
            acceptance = self._delegation.here_alone(attempt)
        except Refused:
            self._answers.refuse(invite)
        else:
            self.arrived(invite, attempt.target, acceptance.lease, acceptance.hops)

    def _place(self, invite: ServerTransaction, attempt: CallAttempt, callee: str) -> None:
        reply = self._reply(invite)
        if reply and len(callee) <= MAX_NAME and self._identification.follows(invite):
            attempt = attempt.replace(reply=reply)
        self._wait(self._delegation.place(attempt), invite, attempt, callee)

    def _wait(
        self, decision: Deferred[Acceptance], invite: ServerTransaction, attempt: CallAttempt, callee: str
    ) -> None:
        invite.user = Pending(decision)
        # One callback for both ends: each costs more than the rule does.
        decision.addBoth(self._ended, invite, attempt, callee)

    def _ended(
        self, outcome: Acceptance | Failure, invite: ServerTransaction, attempt: CallAttempt, callee: str
    ) -> None:
        """The chain of an attempt ends here, whatever came of it."""
        try:
            if isinstance(outcome, Failure):
                self._undecided(outcome, invite)
            else:
                self._decided(outcome, invite, attempt, callee)
        except Exception:
            self._failed(Failure(), invite)

    def _decided(self, acceptance: Acceptance, invite: ServerTransaction, attempt: CallAttempt, callee: str) -> None:
        invite.user = None
        if acceptance.node.name != self._name:
            door = self._listeners.doors[invite.source.listener]
            place = acceptance.node.doors[door]
            if not self._identification.identify(invite, callee, place, acceptance.lease, told=acceptance.told):
                unreached = partial(self._place_again, acceptance, invite, attempt, callee)
                self._identification.pass_on(invite, callee, place, acceptance.lease, unreached)
        elif self._identify_self and self._identification.follows(invite):
            second = self._listeners.second(invite.source.listener)
            self._identification.redirect(invite, callee, second, acceptance.lease)
        else:
            self.arrived(invite, attempt.target, acceptance.lease, acceptance.hops)

    def _place_again(
        self, acceptance: Acceptance, invite: ServerTransaction, attempt: CallAttempt, callee: str
    ) -> None:
        """The INVITE was passed on, and the member that had accepted is not there: another one is looked for."""
        visited = self._delegation.unreached(acceptance, attempt.id)
        self._wait(self._delegation.place(attempt, visited), invite, attempt, callee)

    def _carry(self, places: Places, invite: ServerTransaction, target: str, lease: str, hops: int) -> None:
        invite.user = None
        slot = self._leases.arrive(lease)
        if self._recorder is None:
            self._carrier.carry(invite, target, hops, places)
            return
        origin = self._recorder.arrived(slot, invite.request.call_id)
        try:
            self._carrier.carry(invite, target, hops, places, origin)
        except ProtocolViolation as violation:
            self._recorder.unserved(origin, violation.status)
            raise

    def _not_found(self, failure: Failure) -> Places:
        """The store does not answer: nobody is known to be registered, and gateways are all there is."""
        if failure.check(CancelledError):
            failure.raiseException()
        self._log.failure("where a called user is could not be found out", failure)
        return ()

    def _undecided_late(self, failure: Failure, invite: ServerTransaction, lease: str) -> None:
        if failure.check(CancelledError):
            invite.user = None
            slot = self._leases.arrive(lease)
            if self._recorder is not None:
                self._recorder.unserved(self._recorder.arrived(slot, invite.request.call_id), 487)
            self._answers.answer(invite, 487)
        else:
            self._failed(failure, invite)

    def _undecided(self, failure: Failure, invite: ServerTransaction) -> None:
        invite.user = None
        if failure.check(CancelledError):
            self._answers.answer(invite, 487)
        else:
            failure.trap(Refused)
            self._answers.refuse(invite)

    def _failed(self, failure: Failure, invite: ServerTransaction) -> None:
        """The chain ends here, and the client is told: the call cannot be carried, or it is our own fault."""
        violation = failure.value
        if isinstance(violation, ProtocolViolation):
            self._answers.answer(invite, violation.status, reason=violation.reason)
            return
        self._log.failure("a request was not decided", failure)
        self._answers.answer(invite, 500)
