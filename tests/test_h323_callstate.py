"""The table of call states: every call ends, and every state that waits has a timer or a call that goes on."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from voipshift.h323 import callstate
from voipshift.h323.callstate import (
    ACCEPTED,
    CLOSED,
    CONNECTED,
    FAILED,
    NUMBERS,
    REFUSED,
    SHIFTED,
    TIMER,
    TIMERS,
    Action,
    Side,
    State,
    is_failure,
    take,
)
from voipshift.h323.q931 import MessageType

CALLER, CALLED, NODE = Side.CALLER, Side.CALLED, Side.NODE


class LadderTests(SynchronousTestCase):
    """Whole calls, an input after the other."""

    def walk(self, *inputs: tuple[Side, str | int]) -> list[Action | None]:
        """What is done for each input, from the SETUP on; the state is kept."""
        self.state = State.PRESENT
        actions: list[Action | None] = []
        for side, word in inputs:
            move = take(self.state, side, word)
            actions.append(None if move is None else move.action)
            if move is not None:
                self.state = move.state
        return actions

    def test_carried(self) -> None:
        """A call from its SETUP to the caller's hanging up."""
        actions = self.walk(
            (NODE, ACCEPTED),
            (NODE, CONNECTED),
            (CALLED, MessageType.CALL_PROCEEDING),
            (CALLED, MessageType.ALERTING),
            (CALLER, MessageType.FACILITY),
            (CALLED, MessageType.CONNECT),
            (CALLER, MessageType.RELEASE_COMPLETE),
        )
        relayed = [Action.RELAY] * 4
        self.assertEqual(actions, [Action.CONNECT, Action.SEND_SETUP, *relayed, Action.RELAY_RELEASE])
        self.assertEqual(self.state, State.NULL)

    def test_shifted(self) -> None:
        """The decision took its time: the caller is told so, then where to go."""
        self.assertEqual(self.walk((NODE, TIMER), (NODE, SHIFTED)), [Action.SAY_PROCEEDING, Action.SHIFT])
        self.assertEqual(self.state, State.NULL)

    def test_refused(self) -> None:
        """Nobody takes it."""
        self.assertEqual(self.walk((NODE, REFUSED)), [Action.RELEASE_CALLER])
        self.assertEqual(self.state, State.NULL)

    def test_next_gateway(self) -> None:
        """One does not answer the connection, one closes it, one not the SETUP, one says that it is full."""
        for failure in (
            [(NODE, TIMER)],
            [(CALLED, CLOSED)],
            [(NODE, CONNECTED), (NODE, TIMER)],
            [(NODE, CONNECTED), (CALLED, CLOSED)],
            [(NODE, CONNECTED), (CALLED, FAILED)],
            [(NODE, CONNECTED), (CALLED, MessageType.CALL_PROCEEDING), (CALLED, FAILED)],
        ):
            self.assertEqual(self.walk((NODE, ACCEPTED), *failure)[-1], Action.NEXT)
            self.assertEqual(self.state, State.CONNECTING)

    def test_busy(self) -> None:
        """Who is called does not want: no other gateway is asked."""
        self.walk((NODE, ACCEPTED), (NODE, CONNECTED), (CALLED, MessageType.RELEASE_COMPLETE))
        self.assertEqual(self.state, State.NULL)

    def test_answered_at_once(self) -> None:
        """CONNECT may be the first answer."""
        self.walk((NODE, ACCEPTED), (NODE, CONNECTED), (CALLED, MessageType.CONNECT))
        self.assertEqual(self.state, State.ACTIVE)

    def test_caller_gone(self) -> None:
        """Whenever the caller's connection closes, the call is over."""
        for state in State:
            if state is not State.NULL:
                move = take(state, CALLER, CLOSED)
                self.assertEqual(move, callstate.Move(State.NULL, Action.RELEASE_CALLED), state)


class TableTests(SynchronousTestCase):
    """What holds for the table as a whole."""

    def test_every_state_that_waits_ends(self) -> None:
        """All but ANNOUNCED (the chain of asks has its deadline) and ACTIVE have a timer, and a row for it."""
        for state in State:
            waits = state not in (State.ANNOUNCED, State.ACTIVE, State.NULL)
            self.assertEqual(state in TIMERS, waits, state)
            self.assertEqual(take(state, NODE, TIMER) is not None, waits, state)

    def test_durations(self) -> None:
        """Those of Q.931 table 9-2; who rings MUST be given three minutes (H.225.0 section 7.5)."""
        durations = {timer.name: timer.duration_s for timer in TIMERS.values()}
        self.assertEqual((durations["T303"], durations["proceeding"], durations["connect"]), (4, 0.1, 3))
        self.assertTrue(30 <= durations["T310"] <= 120)
        self.assertGreaterEqual(durations["T301"], 180)

    def test_every_state_has_a_number(self) -> None:
        """STATUS can be said in each."""
        self.assertEqual(set(NUMBERS), set(State))

    def test_unknown_input(self) -> None:
        """What a state lacks is ignored."""
        self.assertIsNone(take(State.ACTIVE, CALLER, MessageType.SETUP))
        self.assertIsNone(take(State.ACTIVE, CALLED, 0xFF))

    def test_causes(self) -> None:
        """Full and broken are the gateway's own; busy, no route and no cause are not."""
        self.assertTrue(all(map(is_failure, (27, 34, 38, 41, 42, 47))))
        self.assertFalse(any(map(is_failure, (None, 1, 3, 16, 17, 21))))
