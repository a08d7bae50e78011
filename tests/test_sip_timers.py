"""Timers run out when they should, in order, and cost the same however many run."""

from __future__ import annotations

import math
import random

from twisted.trial.unittest import SynchronousTestCase

from voipshift.sip import timers
from voipshift.sip.timers import Timers


class TimersTests(SynchronousTestCase):
    """The queues of running timers."""

    def setUp(self) -> None:
        self.timers: Timers[str] = Timers()

    def test_values(self) -> None:
        """RFC 3261 appendix A, table 4, with RFC 6026."""
        half = 64 * 0.5
        self.assertEqual((timers.T1, timers.T2, timers.T4), (0.5, 4.0, 5.0))
        self.assertEqual((timers.TIMER_A, timers.TIMER_E, timers.TIMER_G), (0.5, 0.5, 0.5))
        self.assertEqual((timers.TIMER_B, timers.TIMER_F, timers.TIMER_H, timers.TIMER_J), (half,) * 4)
        self.assertEqual((timers.TIMER_L, timers.TIMER_M, timers.TIMER_D), (half, half, 32.0))
        self.assertEqual((timers.TIMER_I, timers.TIMER_K), (5.0, 5.0))
        self.assertGreater(timers.TIMER_C, 180.0)

    def test_nothing(self) -> None:
        """Nothing runs: nothing is due, ever."""
        self.assertEqual((self.timers.next, len(self.timers), self.timers.due(1e9)), (math.inf, 0, []))
        self.timers.stop("a", "A")
        self.timers.stop_all("a")

    def test_runs_out_once(self) -> None:
        """A timer is due at its time, not before, and once."""
        self.timers.start("a", "A", 0.5, 10.0)
        self.assertEqual(self.timers.next, 10.5)
        self.assertEqual(self.timers.due(10.499), [])
        self.assertEqual(self.timers.due(10.5), [("a", "A")])
        self.assertEqual((self.timers.due(99.0), self.timers.next, len(self.timers)), ([], math.inf, 0))

    def test_earliest_first(self) -> None:
        """Timers of several durations are due in the order of their times, not of their starts."""
        for owner, name, duration, now in (
            ("a", "H", 32.0, 0.0),
            ("a", "G", 0.5, 0.0),
            ("b", "G", 4.0, 1.0),
            ("c", "I", 5.0, 1.5),
        ):
            self.timers.start(owner, name, duration, now)
        self.assertEqual(self.timers.due(40.0), [("a", "G"), ("b", "G"), ("c", "I"), ("a", "H")])

    def test_stopped(self) -> None:
        """A timer that is stopped is not due; those of other owners and names are."""
        for name in ("G", "H"):
            for owner in ("a", "b"):
                self.timers.start(owner, name, 1.0, 0.0)
        self.timers.stop("a", "G")
        self.timers.stop("a", "G")
        self.assertEqual(len(self.timers), 3)
        self.timers.stop_all("b")
        self.assertEqual(self.timers.due(1.0), [("a", "H")])

    def test_started_anew(self) -> None:
        """A timer that is started while it runs counts from then, with the new duration."""
        self.timers.start("a", "C", 180.0, 0.0)
        self.timers.start("b", "C", 180.0, 1.0)
        self.timers.start("a", "C", 180.0, 2.0)
        self.assertEqual(self.timers.due(181.5), [("b", "C")])
        self.timers.start("a", "C", 3.0, 181.5)
        self.assertEqual(self.timers.due(184.5), [("a", "C")])
        self.assertEqual(len(self.timers), 0)

    def test_next_is_never_late(self) -> None:
        """Random starts and stops, one seed: stepping from ``next`` to ``next`` meets each deadline exactly."""
        draw = random.Random(17)
        expected: dict[tuple[str, str], float] = {}
        now = 0.0
        for _ in range(3000):
            owner, name = str(draw.randrange(20)), draw.choice("ABC")
            if draw.random() < 0.7:
                duration = draw.choice((0.0, 0.5, 1.0, 4.0))
                self.timers.start(owner, name, duration, now)
                expected[owner, name] = now + duration
            else:
                self.timers.stop(owner, name)
                expected.pop((owner, name), None)
            until = now + draw.random()
            while self.timers.next <= until:
                now = max(now, self.timers.next)
                for over in self.timers.due(now):
                    self.assertEqual(expected.pop(over), now)
            now = until
            self.assertTrue(all(deadline > now for deadline in expected.values()))
        self.assertEqual(len(self.timers), len(expected))

    def test_many(self) -> None:
        """100 000 timers that are stopped from the front and run out in part: none is left behind, none is lost."""
        many: Timers[int] = Timers()
        for number in range(100_000):
            many.start(number, "H", 32.0, number / 1e4)
            if number >= 20_000:
                many.stop(number - 20_000, "H")
                if number % 10 == 0:
                    many.due(number / 1e4)
        self.assertEqual(len(many), 20_000)
        self.assertEqual(len(many.due(1e3)), 20_000)
