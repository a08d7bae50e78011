"""Which addresses are trusted, and how much any other may send."""

from __future__ import annotations

import math
from ipaddress import ip_network

from twisted.trial.unittest import SynchronousTestCase

from voipshift.sip.sources import BURST_S, MAX_BUCKETS, WRONG_COST, Sources

STRANGER = "203.0.113.9"
GATEWAY = "192.0.2.20"


class SourcesTest(SynchronousTestCase):
    """Ten datagrams a second, and a gateway that is known."""

    def setUp(self) -> None:
        self.sources = self.make(10.0)

    def make(self, per_second: float) -> Sources:
        trusted = (ip_network("198.51.100.0/24"), ip_network("2001:db8::/32"))
        return Sources(trusted=trusted, per_second=per_second, known=lambda host: host == GATEWAY)

    def admitted(self, host: str, now: float, tries: int = 200) -> int:
        return sum(self.sources.admits(host, now) for _ in range(tries))

    def test_who_is_trusted(self) -> None:
        """By network, of either kind."""
        for host, trusted in [(STRANGER, False), ("198.51.100.7", True), ("2001:db8::7", True), ("2001:db9::7", False)]:
            self.assertEqual(self.sources.trusts(host), trusted)

    def test_a_stranger_has_a_bucket(self) -> None:
        """A burst, then the rate."""
        self.assertEqual(self.admitted(STRANGER, 0.0), 10 * BURST_S)
        self.assertEqual(self.admitted(STRANGER, 1.0), 10)
        self.assertEqual(self.admitted("203.0.113.10", 1.0), 10 * BURST_S)
        self.assertEqual(self.admitted(STRANGER, 1000.0), 10 * BURST_S)

    def test_no_limit_for_who_is_known(self) -> None:
        """Trusted clients, gateways and members; and nobody, where the limit is off."""
        for host in ("198.51.100.7", GATEWAY):
            self.assertEqual(self.admitted(host, 0.0), 200)
        self.sources = self.make(math.inf)
        self.assertEqual(self.admitted(STRANGER, 0.0), 200)
        self.assertEqual(self.admitted(STRANGER, 1.0), 200)

    def test_wrong_credentials_cost_more(self) -> None:
        """Guessing is slow, and costs those who are trusted nothing."""
        self.sources.charge(STRANGER, 0.0)
        self.assertEqual(self.admitted(STRANGER, 0.0), 10 * BURST_S - WRONG_COST)
        for _ in range(9):
            self.sources.charge(STRANGER, 0.0)
            self.sources.charge("198.51.100.7", 0.0)
        self.assertEqual(self.admitted(STRANGER, 1.0), 10, "it owes nothing")
        self.assertEqual(self.admitted("198.51.100.7", 0.0), 200)

    def test_the_buckets_are_bounded(self) -> None:
        """Who was heard the longest ago goes first."""
        self.admitted(STRANGER, 0.0)
        for number in range(MAX_BUCKETS):
            if number % 1000 == 0:
                self.assertFalse(self.sources.admits(STRANGER, 0.0))
                self.sources.charge(STRANGER, 0.0)
            self.sources.admits(f"10.0.{number // 256}.{number % 256}", 0.0)
        self.assertFalse(self.sources.admits(STRANGER, 0.0))
