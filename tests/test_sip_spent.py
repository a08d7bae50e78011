"""The keys of spent transactions are known for as long as they must be, and not much longer."""

from __future__ import annotations

import math
import random

from twisted.trial.unittest import SynchronousTestCase

from voipshift.sip.spent import TOGETHER_S, Spent
from voipshift.sip.timers import T4


class SpentTests(SynchronousTestCase):
    """A set of keys that leave after T4."""

    def setUp(self) -> None:
        self.spent = Spent(most=100)

    def test_nothing(self) -> None:
        """Nothing is known, nothing is due."""
        self.spent.due(1e9)
        self.assertEqual((len(self.spent), self.spent.next, "a" in self.spent), (0, math.inf, False))

    def test_timer_i(self) -> None:
        """A key is known for T4 and for no more than a moment after that; then nothing is scheduled."""
        self.assertEqual(self.spent.add("a", 10.0), 0)
        self.spent.due(10.0 + T4)
        self.assertIn("a", self.spent)
        self.assertLessEqual(self.spent.next, 10.0 + T4 + TOGETHER_S)
        self.spent.due(self.spent.next)
        self.assertNotIn("a", self.spent)
        self.assertEqual((len(self.spent), self.spent.next), (0, math.inf))

    def test_too_many(self) -> None:
        """Beyond the limit those that came first are forgotten, and counted."""
        for number in range(100):
            self.assertEqual(self.spent.add(f"early{number}", number / 10), 0)
        forgotten = self.spent.add("late", 11.0)
        self.assertEqual(len(self.spent), 101 - forgotten)
        self.assertLessEqual(len(self.spent), 100)
        self.assertIn("late", self.spent)
        self.assertIn("early99", self.spent)
        self.assertNotIn("early0", self.spent)

    def test_random_keys(self) -> None:
        """One seed: stepping from ``next`` to ``next``, each key leaves within its time."""
        draw, added, now = random.Random(4), dict[str, float](), 0.0
        self.spent = Spent(most=10_000)
        for number in range(2000):
            now += draw.choice((0.0, 0.001, 0.01, 0.3, draw.expovariate(1.0)))
            while self.spent.next <= now:
                at = self.spent.next
                self.spent.due(at)
                for key, since in list(added.items()):
                    if key not in self.spent:
                        self.assertTrue(since + T4 <= at <= since + T4 + TOGETHER_S, (since, at))
                        del added[key]
            self.spent.add(str(number), now)
            added[str(number)] = now
            self.assertEqual(len(self.spent), len(added))
        self.spent.due(now + T4 + TOGETHER_S)
        self.assertEqual((len(self.spent), self.spent.next), (0, math.inf))
