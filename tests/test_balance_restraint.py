"""How much less a node wants to be sent."""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from voipshift.balance.restraint import LEAST, Restraint


class RestraintTests(SynchronousTestCase):
    """A node that can take a hundred calls a second, and a client that holds back as it is told."""

    def setUp(self) -> None:
        """Nothing happened."""
        self.attempts = self.refused = 0
        self.now = 0.0
        self.restraint = Restraint(attempts=lambda: self.attempts, refused=lambda: self.refused, now=0.0)

    def second(self, offered: int, capacity: int = 100) -> int:
        """One second; the percentage that is told after it."""
        self.attempts += offered
        self.refused += max(0, offered - capacity)
        self.now += 1.0
        return self.restraint.percent(self.now)

    def test_nothing_is_refused(self) -> None:
        """Then nothing is held back."""
        self.assertEqual([self.second(offered) for offered in (0, 50, 100)], [0, 0, 0])

    def test_what_was_too_much_is_held_back(self) -> None:
        """In one step where it is less than half, in several where it is more."""
        self.assertEqual(self.second(125), 20)
        self.setUp()
        self.assertEqual([self.second(1000) for _ in range(3)], [50, 75, 88])

    def test_something_is_always_let_through(self) -> None:
        """Else nobody would see that there is room again."""
        for _ in range(20):
            told = self.second(1000, 0)
        self.assertEqual(told, round(100 * (1 - LEAST)))

    def test_it_ends(self) -> None:
        """Without refusals, in twenty seconds at most, also where nobody has looked meanwhile."""
        self.second(1000, 0)
        self.assertEqual([self.second(10) for _ in range(3)], [45, 40, 35])
        self.now += 20.0
        self.assertEqual(self.restraint.percent(self.now), 0)

    def test_the_node_stays_busy_and_refuses_little(self) -> None:
        """At twice the capacity nearly all that can be carried is, and few of what comes is refused."""
        random = Random(7)
        told = self.second(200)
        came = carried = 0
        for _ in range(60):
            offered = sum(random.random() * 100 >= told for _ in range(200))
            came += offered
            carried += min(offered, 100)
            told = self.second(offered)
        self.assertGreaterEqual(carried / 6000, 0.95)
        self.assertLessEqual((came - carried) / came, 0.1)
