"""Leases that nobody comes for: closed together, and not before their time."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from voipshift.balance.leases import Leases
from voipshift.node import CallAttempt
from voipshift.wiring.lapsing import TOGETHER_S, Lapsing

ATTEMPT = CallAttempt(bytes(16), "sip/udp", "a", "b", "sip:b@x", ("192.0.2.9", 5060), True)


class LapsingTests(SynchronousTestCase):
    """Ten seconds, and what lapses shortly after each other."""

    def setUp(self) -> None:
        self.clock = Clock()
        drawn = iter(range(100))
        self.leases = Leases(lease_s=10.0, held_per_client=9, random=lambda octets: next(drawn).to_bytes(octets, "big"))
        self.lapsed: list[tuple[float, int]] = []
        self.lapsing = Lapsing(
            self.clock, self.leases, lambda lapsed: self.lapsed.append((self.clock.seconds(), len(lapsed)))
        )

    def grant(self) -> str:
        """Give one now."""
        lease = self.leases.grant(ATTEMPT, "a", 0, self.clock.seconds())
        self.lapsing.watch()
        return lease.id

    def test_those_of_a_tenth_of_a_second_lapse_together(self) -> None:
        """One event for all of them, the first of which is no more than that too late."""
        for _ in range(20):
            self.grant()
            self.clock.advance(0.01)
        self.clock.pump([0.01] * 1100)
        self.assertEqual([count for _, count in self.lapsed], [11, 9])
        self.assertTrue(10.0 < self.lapsed[0][0] <= 10.0 + TOGETHER_S + 0.011)
        self.assertEqual((len(self.leases), self.clock.getDelayedCalls()), (0, []))

    def test_whose_client_came_does_not_lapse(self) -> None:
        """The alarm rings for nothing, and is set for the next one."""
        first = self.grant()
        self.clock.advance(5.0)
        self.grant()
        self.leases.arrive(first)
        self.clock.pump([0.1] * 60)
        self.assertEqual(self.lapsed, [])
        self.clock.pump([0.1] * 60)
        self.assertEqual([count for _, count in self.lapsed], [1])

    def test_stopped_it_closes_nothing(self) -> None:
        """And leaves nothing scheduled."""
        self.grant()
        self.lapsing.stop()
        self.clock.advance(60.0)
        self.lapsing.watch()
        self.assertEqual((self.lapsed, self.clock.getDelayedCalls()), ([], []))
