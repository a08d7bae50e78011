"""Carrying H.323 calls, gatekeeper-routed: two connections, and every message of the one sent on by the other.

A :class:`RelayedCall` begins with a SETUP, about which the portal decides, and goes through the states of
:mod:`voipshift.h323.callstate`.  Accepted, it is in the same call table as calls of SIP.  The SETUP goes to the
gateways that the dial plan names, one after the other, with both its signalling addresses those of the new connection
(a gateway refuses it otherwise); all else is passed on as it came but for the call reference, which is each
connection's own.  Media, and a separate H.245 connection, are between the two ends.

A call reference is known on its connection only.  The connection to a gateway is for one call and ends with it; that of
a caller may hold several, and those alone end with it.  No socket and no clock in here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from voipshift.calls.dialplan import DialPlan
from voipshift.calls.table import Call, CallTable, End
from voipshift.errors import ProtocolViolation
from voipshift.h323 import callstate, q931, signalling, uuie
from voipshift.h323.callstate import NUMBERS, TIMERS, Action, Side, State
from voipshift.h323.q931 import MessageType
from voipshift.h323.signalling import Signal
from voipshift.node import Address
from voipshift.sip.timers import Timers

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from voipshift.node import Acceptance

#: Calls under way on one connection of a caller; terminals have one, a gateway that keeps its connection some.
MAX_CALLS = 32
#: Messages that are kept for a gateway which is not connected yet: a caller that has more to say waits for an answer.
MAX_KEPT = 8


class Line(Protocol):
    """One connection, as far as calls need it.

    :ivar front: it came in by the front port; False for the accept port, None for a connection of our own
    :ivar near: this end of it
    :ivar far: the other end
    """

    front: bool | None

    @property
    def near(self) -> Address: ...
    @property
    def far(self) -> Address: ...
    def send(self, *messages: bytes) -> None: ...
    def rest(self) -> None: ...
    def close(self) -> None: ...


class RelayedCall:
    """One call, from its SETUP to its end.

    :ivar line: the caller's connection
    :ivar setup: as it came
    :ivar called: the user or number that is called
    :ivar decision: who takes the call, while that is being found out
    """

    __slots__ = (
        "called",
        "called_line",
        "called_reference",
        "decision",
        "entry",
        "gateways",
        "heard",
        "hops",
        "kept",
        "last",
        "line",
        "relay",
        "setup",
        "state",
    )

    def __init__(self, relay: Relay, line: Line, setup: Signal) -> None:
        self.relay = relay
        self.line = line
        self.setup = setup
        self.called = _user_of(setup)
        self.state = State.PRESENT
        self.decision: Deferred[Acceptance] | None = None
        self.hops = 0
        self.entry: Call | None = None
        self.gateways: list[Address] = []
        self.called_line: Line | None = None
        self.called_reference = 0
        self.kept: list[bytes] = []
        #: the caller has been told anything
        self.heard = False
        #: how the last gateway refused
        self.last: bytes | None = None

    @property
    def caller(self) -> str:
        """Who calls, by name or number; empty where it is not said."""
        return next((alias.text for alias in self.setup.caller if alias.text), "")

    def accept(self, hops: int) -> None:
        """Carry it here; it was shifted so often."""
        self.hops = hops
        self.relay.accepted(self)

    def shift(self, address: Address) -> None:
        """A member carries it, and waits for the caller there."""
        self.relay.take(self, Side.NODE, callstate.SHIFTED, address=address)

    def refuse(self, reason: str) -> None:
        """Nobody carries it, for a reason of H.225.0."""
        self.relay.take(self, Side.NODE, callstate.REFUSED, reason=reason)


class Relay:
    """All H.323 calls of a node.

    :param table: the call table
    :param plan: the gateways that speak H.323
    :param connect: begins a connection to an address; :meth:`connected` or :meth:`closed` follow
    :param requested: told of each new call, to decide about it
    :param answered: told of each call of the table that is answered
    :param closed: told of each call that left the table
    :ivar counts: messages of callers and gateways that were not followed, by the reason
    """

    def __init__(
        self,
        *,
        table: CallTable,
        plan: DialPlan,
        connect: Callable[[Address], Line],
        requested: Callable[[RelayedCall], None],
        answered: Callable[[Call], None],
        closed: Callable[[Call], None],
        now: Callable[[], float],
        octets: Callable[[int], bytes],
    ) -> None:
        self._table = table
        self._plan = plan
        self._connect = connect
        self._requested = requested
        self._answered = answered
        self._closed = closed
        self._now = now
        self._octets = octets
        #: by the caller's connection, and there by its call reference
        self._calls: dict[Line, dict[int, RelayedCall]] = {}
        self._outgoing: dict[Line, RelayedCall] = {}
        self._timers: Timers[RelayedCall] = Timers()
        self.counts: Counter[str] = Counter()

    # What the connections tell.

    def received(self, line: Line, octets: bytes) -> bool:
        """The contents of a TPKT.

        :returns: whether the connection has a call
        :raises ProtocolViolation: there is no sense in what this connection says
        """
        message = q931.parse(octets)
        call = self._outgoing.get(line)
        if call is not None:
            if message.call_reference == call.called_reference:
                self._from_called(call, message, octets)
            return True
        if line.front is None:
            return False
        calls = self._calls.get(line)
        call = calls.get(message.call_reference) if calls else None
        if call is not None:
            self.take(call, Side.CALLER, message.type, message, octets)
        elif message.type == MessageType.SETUP:
            self._begin(line, message, octets)
        else:
            self._answer_to_none(line, message)
        return line in self._calls

    def connected(self, line: Line) -> None:
        """The connection to a gateway stands."""
        call = self._outgoing.get(line)
        if call is not None:
            self.take(call, Side.NODE, callstate.CONNECTED)

    def closed(self, line: Line) -> None:
        """A connection is over, or was never made."""
        called = self._outgoing.get(line)
        if called is not None:
            self.take(called, Side.CALLED, callstate.CLOSED)
        for call in list(self._calls.get(line, {}).values()):
            self.take(call, Side.CALLER, callstate.CLOSED)

    @property
    def next(self) -> float:
        """When the next timer may run out."""
        return self._timers.next

    def due(self, now: float) -> None:
        """Work off every timer that has run out."""
        for call, _ in self._timers.due(now):
            self.take(call, Side.NODE, callstate.TIMER, reason=uuie.UNREACHABLE_DESTINATION)

    def has_calls(self, line: Line) -> bool:
        """Whether a caller's connection has a call."""
        return line in self._calls

    # A call's way.

    def _begin(self, line: Line, message: q931.Message, octets: bytes) -> None:
        if message.from_destination or not message.call_reference:
            raise ProtocolViolation("a SETUP without a call reference of its own")
        try:
            setup = signalling.parse(octets)
        except ProtocolViolation as violation:
            self.counts[violation.reason] += 1
            bad = Signal(message, None)
            line.send(signalling.release_complete(bad, uuie.UNDEFINED_REASON, cause=q931.MANDATORY_ELEMENT_MISSING))
            return
        call = RelayedCall(self, line, setup)
        if not call.called or setup.information is None:
            self.counts["a SETUP without a destination"] += 1
            line.send(signalling.release_complete(setup, uuie.BAD_FORMAT_ADDRESS))
            return
        calls = self._calls.setdefault(line, {})
        if len(calls) >= MAX_CALLS:
            self.counts["too many calls on one connection"] += 1
            line.send(signalling.release_complete(setup, uuie.GATEKEEPER_RESOURCES))
            return
        calls[message.call_reference] = call
        self._start_timer(call)
        self._requested(call)

    def accepted(self, call: RelayedCall) -> None:
        """Carry a call, if anybody takes its number."""
        call.gateways = list(self._plan.route(call.called))
        if not call.gateways:
            call.refuse(uuie.UNREACHABLE_DESTINATION)
            return
        # 32 digits that nobody outside knows: no request of SIP belongs to it.
        identity = (f"h323:{self._octets(16).hex()}", "")
        caller = End(call.caller, "", (), call.line.far, False)
        call.entry = Call(identity, caller, call.hops, -1, self._now())
        self._table.open(call.entry)
        self.take(call, Side.NODE, callstate.ACCEPTED)

    def _from_called(self, call: RelayedCall, message: q931.Message, octets: bytes) -> None:
        if message.type == MessageType.RELEASE_COMPLETE and callstate.is_failure(message.cause):
            call.last = octets
            self.take(call, Side.CALLED, callstate.FAILED, message, octets)
        else:
            self.take(call, Side.CALLED, message.type, message, octets)

    def take(
        self,
        call: RelayedCall,
        side: Side,
        input: str | int,
        message: q931.Message | None = None,
        octets: bytes = b"",
        *,
        address: Address | None = None,
        reason: str = uuie.GATEKEEPER_RESOURCES,
    ) -> None:
        """One input of the table: go to the next state, and do what belongs to it."""
        move = callstate.take(call.state, side, input)
        if move is None:
            self.counts["ignored in its state"] += 1
            return
        before, call.state = call.state, move.state
        if before is not move.state or move.action is Action.NEXT:
            self._timers.stop_all(call)
            self._start_timer(call)
        self._perform(call, side, move.action, message, octets, address, reason)
        if call.state is State.ACTIVE and before is not State.ACTIVE:
            self._answer(call)
        if call.state is State.NULL:
            self._end(call)

    def _perform(
        self,
        call: RelayedCall,
        side: Side,
        action: Action,
        message: q931.Message | None,
        octets: bytes,
        address: Address | None,
        reason: str,
    ) -> None:
        match action:
            case Action.RELAY | Action.RELAY_RELEASE:
                self._pass_on(call, side, octets)
            case Action.KEEP:
                if len(call.kept) < MAX_KEPT:
                    call.kept.append(octets)
            case Action.CONNECT:
                self._connect_to_next(call)
            case Action.SEND_SETUP:
                self._send_setup(call)
            case Action.NEXT:
                self._leave_called(call)
                self._connect_to_next(call)
            case Action.SAY_PROCEEDING:
                self._tell(call, signalling.call_proceeding(call.setup))
            case Action.SAY_STATUS:
                assert message is not None
                self._tell(call, signalling.status(_whole(message, octets), NUMBERS[call.state]))
            case Action.SHIFT:
                assert address is not None
                forwarded = signalling.call_forwarded(call.setup, address)
                self._tell(call, forwarded, signalling.release_complete(call.setup, uuie.FACILITY_CALL_DEFLECTION))
            case Action.RELEASE_CALLER:
                self._release_caller(call, reason if side is Side.NODE else uuie.UNREACHABLE_DESTINATION)
            case Action.RELEASE_CALLED:
                self._release_called(call)
            case Action.RELEASE_BOTH:
                self._release_caller(call, reason)
                self._release_called(call)

    def _connect_to_next(self, call: RelayedCall) -> None:
        """To the next gateway, if there is one; a caller that may wait for the second hears that the call proceeds."""
        if not call.gateways:
            call.state = State.NULL
            self._timers.stop_all(call)
            if call.last is not None:
                self._pass_on(call, Side.CALLED, call.last)
            else:
                self._release_caller(call, uuie.UNREACHABLE_DESTINATION)
            return
        if call.called_reference and not call.heard:
            self._tell(call, signalling.call_proceeding(call.setup))
        call.called_reference = int.from_bytes(self._octets(2)) % 0x7FFF + 1
        call.called_line = line = self._connect(call.gateways.pop(0))
        self._outgoing[line] = call

    def _send_setup(self, call: RelayedCall) -> None:
        line = call.called_line
        assert line is not None
        try:
            setup = signalling.setup_sent_on(call.setup, call.called_reference, line.near, line.far)
        except ProtocolViolation:
            call.state = State.NULL
            self._release_caller(call, uuie.HOP_COUNT_EXCEEDED)
            return
        line.send(setup, *(signalling.with_reference(each, call.called_reference) for each in call.kept))

    def _pass_on(self, call: RelayedCall, side: Side, octets: bytes) -> None:
        if side is Side.CALLED:
            self._tell(call, signalling.with_reference(octets, call.setup.message.call_reference))
        elif call.called_line is not None:
            call.called_line.send(signalling.with_reference(octets, call.called_reference))

    def _tell(self, call: RelayedCall, *messages: bytes) -> None:
        call.heard = True
        call.line.send(*messages)

    def _release_caller(self, call: RelayedCall, reason: str) -> None:
        self._tell(call, signalling.release_complete(call.setup, reason))

    def _release_called(self, call: RelayedCall) -> None:
        line = call.called_line
        if line is not None:
            released = signalling.release_complete(call.setup, None, from_destination=False)
            line.send(signalling.with_reference(released, call.called_reference))

    def _leave_called(self, call: RelayedCall) -> None:
        line, call.called_line = call.called_line, None
        if line is not None:
            self._outgoing.pop(line, None)
            line.close()

    def _answer(self, call: RelayedCall) -> None:
        entry, line = call.entry, call.called_line
        if entry is not None and line is not None:
            entry.answer(End(call.called, "", (), line.far, False), "", self._now())
            self._answered(entry)

    def _end(self, call: RelayedCall) -> None:
        """Both sides have been told."""
        self._timers.stop_all(call)
        calls = self._calls.get(call.line)
        if calls is not None and calls.get(call.setup.message.call_reference) is call:
            del calls[call.setup.message.call_reference]
            if not calls:
                del self._calls[call.line]
                call.line.rest()
        decision, call.decision = call.decision, None
        if decision is not None:
            decision.cancel()
        self._leave_called(call)
        if call.entry is not None and self._table.close(call.entry):
            self._closed(call.entry)

    def _start_timer(self, call: RelayedCall) -> None:
        timer = TIMERS.get(call.state)
        if timer is not None:
            self._timers.start(call, timer.name, timer.duration_s, self._now())

    def _answer_to_none(self, line: Line, message: q931.Message) -> None:
        """A message of a call that there is not (Q.931 section 5.8.3.2)."""
        self.counts["no such call"] += 1
        if message.type == MessageType.STATUS_ENQUIRY:
            line.send(signalling.status(Signal(message, None), NUMBERS[State.NULL]))


def _whole(message: q931.Message, octets: bytes) -> Signal:
    """A message with its H.225.0 part, where that can be read."""
    try:
        return signalling.parse(octets)
    except ProtocolViolation:
        return Signal(message, None)


def _user_of(setup: Signal) -> str:
    """Who is called: a number, if there is one among the aliases."""
    aliases = [alias for alias in setup.called if alias.text]
    return next((alias.text for alias in aliases if alias.is_number), aliases[0].text if aliases else "")
