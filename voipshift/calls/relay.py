"""Carrying H.323 calls, gatekeeper-routed: two connections, and every message of the one sent on by the other.

A :class:`~voipshift.calls.relayedcall.RelayedCall` begins with a SETUP, about which the portal decides, and goes
through the states of :mod:`voipshift.h323.callstate`.  Accepted, it is in the same call table as calls of SIP.  The
SETUP goes to the terminal that has registered the called alias; where there is none, to the gateways that the dial plan
names, one after the other; with both its signalling addresses those of the new connection (a gateway refuses it
otherwise).  All else is passed on as it came but for the call reference, which is each connection's own.  Media, and a
separate H.245 connection, are between the two ends.

A call reference is known on its connection only.  The connection to a gateway is for one call and ends with it; that of
a caller may hold several, and those alone end with it.  No socket and no clock in here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from twisted.logger import Logger

from voipshift.calls.dialplan import DialPlan
from voipshift.calls.relayedcall import Line, RelayedCall
from voipshift.calls.table import Call, CallTable, End
from voipshift.errors import ProtocolViolation
from voipshift.h323 import callstate, q931, signalling, uuie
from voipshift.h323.callstate import NUMBERS, TIMERS, Action, Move, Side, State
from voipshift.h323.q931 import MessageType
from voipshift.h323.signalling import Signal
from voipshift.h323.status import ANSWERED, FAILED, NO_GATEWAY, status_of
from voipshift.node import Address
from voipshift.sip.timers import Timers

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred
    from twisted.python.failure import Failure

    from voipshift.calls.record import Origin

#: Calls under way on one connection of a caller; terminals have one, a gateway that keeps its connection some.
MAX_CALLS = 32
#: Messages that are kept for a gateway which is not connected yet: a caller that has more to say waits for an answer.
MAX_KEPT = 8


class Relay:
    """All H.323 calls of a node.

    :param table: the call table
    :param plan: the gateways that speak H.323
    :param find: where a registered alias is called; nowhere if nobody has it
    :param connect: begins a connection to an address; :meth:`connected` or :meth:`closed` follow
    :param requested: told of each new call, to decide about it
    :param answered: told of each call of the table that is answered
    :param closed: told of each call that left the table
    :ivar counts: messages of callers and gateways that were not followed, as will happen, by the reason
    :ivar dropped: those of callers that were no request to connect, by the reason
    """

    def __init__(
        self,
        *,
        table: CallTable,
        plan: DialPlan,
        find: Callable[[str], Deferred[tuple[Address, ...]]],
        connect: Callable[[Address], Line],
        requested: Callable[[RelayedCall], None],
        answered: Callable[[Call], None],
        closed: Callable[[Call], None],
        now: Callable[[], float],
        octets: Callable[[int], bytes],
    ) -> None:
        self._table = table
        self._plan = plan
        self._find = find
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
        self.dropped: Counter[str] = Counter()
        self._log = Logger(__name__)

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
            self._take(call, Side.CALLER, message.type, message, octets)
        elif message.type == MessageType.SETUP:
            self._begin(line, message, octets)
        else:
            self._answer_to_none(line, message)
        return line in self._calls

    def connected(self, line: Line) -> None:
        """The connection to a gateway stands."""
        call = self._outgoing.get(line)
        if call is not None:
            self._take(call, Side.NODE, callstate.CONNECTED)

    def closed(self, line: Line) -> None:
        """A connection is over, or was never made."""
        called = self._outgoing.get(line)
        if called is not None:
            self._take(called, Side.CALLED, callstate.CLOSED)
            if called.is_over and called.line not in self._calls:
                called.line.close()
        for call in list(self._calls.get(line, {}).values()):
            self._take(call, Side.CALLER, callstate.CLOSED)

    @property
    def next(self) -> float:
        """When the next timer may run out."""
        return self._timers.next

    def due(self, now: float) -> None:
        """Work off every timer that has run out."""
        for call, _ in self._timers.due(now):
            self._take(call, Side.NODE, callstate.TIMER, reason=uuie.UNREACHABLE_DESTINATION)

    def has_calls(self, line: Line) -> bool:
        """Whether a caller's connection has a call."""
        return line in self._calls

    def stop(self) -> None:
        """The node stops: both sides of every call are told."""
        for calls in list(self._calls.values()):
            for call in list(calls.values()):
                self._take(call, Side.NODE, callstate.REFUSED, reason=uuie.UNDEFINED_REASON)

    # A call's way.

    def _begin(self, line: Line, message: q931.Message, octets: bytes) -> None:
        # 0 is nobody's call by Q.931, and one in a hundred callers' first by chan_ooh323: as good a number as any.
        if message.from_destination:
            raise ProtocolViolation("a SETUP from the side that is called")
        try:
            setup = signalling.parse(octets)
        except ProtocolViolation as violation:
            self.dropped[violation.reason] += 1
            bad = Signal(message, None)
            line.send(signalling.release_complete(bad, uuie.UNDEFINED_REASON, cause=q931.MANDATORY_ELEMENT_MISSING))
            return
        call = RelayedCall(self, line, setup)
        if not call.called or setup.information is None:
            self.dropped["a SETUP without a destination"] += 1
            line.send(signalling.release_complete(setup, uuie.BAD_FORMAT_ADDRESS))
            return
        calls = self._calls.setdefault(line, {})
        if len(calls) >= MAX_CALLS:
            self.dropped["too many calls on one connection"] += 1
            line.send(signalling.release_complete(setup, uuie.GATEKEEPER_RESOURCES))
            return
        calls[message.call_reference] = call
        self._start_timer(call)
        self._requested(call)

    def accepted(self, call: RelayedCall, origin: Origin | None = None) -> None:
        """Carry a call, which has its place in the table from now on, to whoever takes its number."""
        # 32 digits that nobody outside knows: no request of SIP belongs to it.
        identity = (f"h323:{self._octets(16).hex()}", "")
        caller = End(call.caller, "", (), call.line.far, False)
        call.entry = Call(identity, caller, call.hops, -1, self._now())
        call.entry.origin = origin
        self._table.open(call.entry)
        call.decision = found = self._find(call.called)
        found.addCallbacks(self._found, self._not_found, callbackArgs=(call,), errbackArgs=(call,))

    def shifted(self, call: RelayedCall, address: Address) -> None:
        """Send the caller to the accept port of a member."""
        self._take(call, Side.NODE, callstate.SHIFTED, address=address)

    def refused(self, call: RelayedCall, reason: str) -> None:
        """Nobody carries a call, for a reason of H.225.0."""
        self._take(call, Side.NODE, callstate.REFUSED, reason=reason)

    def turned_away(self, call: RelayedCall, reason: str) -> None:
        """The same, and the connection is closed, unless it has another call: to read a SETUP costs more than to refuse
        it, and a connection brings many.
        """
        self.refused(call, reason)
        if call.line not in self._calls:
            call.line.close()

    def _found(self, terminals: tuple[Address, ...], call: RelayedCall) -> None:
        """It is known where the called user is."""
        call.decision = None
        if call.is_over:
            return
        call.gateways = list(terminals or self._plan.addresses(call.called))
        if call.gateways:
            self._take(call, Side.NODE, callstate.ACCEPTED)
        else:
            if call.entry is not None:
                call.entry.status = NO_GATEWAY
            call.refuse(uuie.UNREACHABLE_DESTINATION)

    def _not_found(self, failure: Failure, call: RelayedCall) -> None:
        """The caller has gone meanwhile, or the store cannot say it: then the gateways have to do."""
        if not call.is_over:
            self._log.failure("where {called} is registered could not be found out", failure, called=call.called)
        self._found((), call)

    def _from_called(self, call: RelayedCall, message: q931.Message, octets: bytes) -> None:
        if message.type == MessageType.RELEASE_COMPLETE and callstate.is_failure(message.cause):
            call.last = octets
            self._take(call, Side.CALLED, callstate.FAILED, message, octets)
        else:
            self._take(call, Side.CALLED, message.type, message, octets)

    def _take(
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
        if call.entry is not None and call.entry.answered is None:
            cause = message.cause if message is not None else None
            call.entry.status = status_of(side, input, cause) or call.entry.status
        if before is not move.state or move.action is Action.NEXT:
            self._timers.stop_all(call)
            self._start_timer(call)
        self._perform(call, side, move, message, octets, address, reason)
        if call.state is State.DELIVERED and call.entry is not None and call.entry.alerted is None:
            call.entry.alerted = self._now()
        if call.state is State.ACTIVE and before is not State.ACTIVE:
            self._answer(call)
        if call.state is State.NULL:
            self._end(call)

    def _perform(
        self,
        call: RelayedCall,
        side: Side,
        move: Move,
        message: q931.Message | None,
        octets: bytes,
        address: Address | None,
        reason: str,
    ) -> None:
        match move.action:
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
                self._release_caller(call, reason, move.cause)
                self._release_called(call, None if move.cause is None else q931.TIMER_EXPIRED)

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
        gateway = call.gateways.pop(0)
        if call.entry is not None:
            call.entry.gateway = gateway
        call.called_line = line = self._connect(gateway)
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

    def _release_caller(self, call: RelayedCall, reason: str, cause: int | None = None) -> None:
        """For a reason of H.225.0, or a cause that it has no reason for."""
        self._tell(call, signalling.release_complete(call.setup, reason if cause is None else None, cause=cause))

    def _release_called(self, call: RelayedCall, cause: int | None = None) -> None:
        line = call.called_line
        if line is not None:
            released = signalling.release_complete(call.setup, None, cause=cause, from_destination=False)
            line.send(signalling.with_reference(released, call.called_reference))

    def _leave_called(self, call: RelayedCall) -> None:
        line, call.called_line = call.called_line, None
        if line is not None:
            self._outgoing.pop(line, None)
            line.close()

    def _answer(self, call: RelayedCall) -> None:
        entry, line = call.entry, call.called_line
        if entry is not None and line is not None:
            entry.status = ANSWERED
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
            call.entry.status = call.entry.status or FAILED
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
