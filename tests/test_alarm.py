"""One timer for many deadlines."""

from __future__ import annotations

import math

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from voipshift.alarm import REST_S, Alarm


class AlarmTest(SynchronousTestCase):
    """An alarm on a clock, and a list of deadlines to come."""

    def setUp(self) -> None:
        """Nothing is due."""
        self.clock = Clock()
        self.rung: list[float] = []
        self.following: list[float] = []
        self.meanwhile: list[float] = []
        self.alarm = Alarm(self.clock, self.ring)

    def tearDown(self) -> None:
        """Stopped, it leaves nothing scheduled."""
        self.alarm.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def ring(self, now: float) -> float:
        """Remember when it rang, and say the next deadline."""
        self.rung.append(now)
        if self.meanwhile:
            self.alarm.no_later_than(self.meanwhile.pop())
        return self.following.pop(0) if self.following else math.inf

    def test_it_rings_at_the_deadline_with_the_time(self) -> None:
        """Not before, and once."""
        self.alarm.no_later_than(2.0)
        self.clock.advance(1.5)
        self.assertEqual(self.rung, [])
        self.clock.advance(0.5)
        self.clock.advance(10)
        self.assertEqual(self.rung, [2.0])
        self.assertEqual(self.alarm.at, math.inf)

    def test_an_earlier_deadline_moves_it_and_a_later_one_does_not(self) -> None:
        """Never later than the earliest, and never more than one delayed call."""
        for deadline, expected in ((5.0, 5.0), (3.0, 3.0), (4.0, 3.0), (3.0, 3.0), (math.inf, 3.0)):
            self.alarm.no_later_than(deadline)
            self.assertEqual(self.alarm.at, expected)
            self.assertEqual([call.getTime() for call in self.clock.getDelayedCalls()], [expected])

    def test_it_is_set_again_to_what_ringing_returns(self) -> None:
        """The next deadline of whoever is rung."""
        self.following = [4.0, 9.0]
        self.alarm.no_later_than(1.0)
        for _ in range(20):
            self.clock.advance(0.5)
        self.assertEqual(self.rung, [1.0, 4.0, 9.0])

    def test_it_may_be_set_while_it_rings(self) -> None:
        """Whichever is earlier: what came up meanwhile, or what is returned."""
        for meanwhile, returned in ((3.0, 6.0), (6.0, 3.0)):
            self.setUp()
            self.meanwhile, self.following = [meanwhile], [returned]
            self.alarm.no_later_than(1.0)
            for _ in range(8):
                self.clock.advance(1.0)
            self.assertEqual(self.rung, [1.0, 3.0])
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_deadline_that_has_passed_rings_at_once(self) -> None:
        """At the next turn, and not by recursion."""
        self.clock.advance(5)
        self.alarm.no_later_than(1.0)
        self.assertEqual(self.rung, [])
        self.clock.advance(0)
        self.assertEqual(self.rung, [5.0])

    def test_after_it_rang_it_rests(self) -> None:
        """What becomes due within 10 ms is worked off together, and not later than that."""
        self.following = [1.001, 1.5]
        self.meanwhile = [1.002]
        self.alarm.no_later_than(1.0)
        self.clock.advance(1.0)
        self.assertAlmostEqual(self.alarm.at, 1.0 + REST_S)
        self.alarm.no_later_than(1.003)
        self.clock.advance(0.005)
        self.assertEqual(self.rung, [1.0])
        self.clock.advance(0.006)
        self.assertEqual(len(self.rung), 2)
        self.assertEqual(self.alarm.at, 1.5)

    def test_when_ringing_fails_it_rings_again(self) -> None:
        """What failed is not due any more, and the rest must not wait for ever."""
        failing = [True]

        def ring(now: float) -> float:
            if failing.pop():
                raise ZeroDivisionError
            return math.inf

        alarm = Alarm(self.clock, ring)
        failing.insert(0, False)
        alarm.no_later_than(1.0)
        self.assertRaises(ZeroDivisionError, self.clock.advance, 1.0)
        self.assertAlmostEqual(alarm.at, 1.0 + REST_S)
        self.clock.advance(2 * REST_S)
        self.assertEqual((failing, alarm.at), ([], math.inf))

    def test_stopped_it_never_rings(self) -> None:
        """Nothing is scheduled then, and stopping twice does no harm."""
        self.alarm.no_later_than(1.0)
        self.alarm.stop()
        self.alarm.stop()
        self.clock.advance(10)
        self.assertEqual(self.rung, [])
