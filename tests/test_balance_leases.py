"""Leases: slots that are promised once and closed once."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from voipshift.balance.leases import Lease, Leases
from voipshift.errors import Refused
from voipshift.node import CallAttempt


class Octets:
    """Random octets that are all different and known."""

    def __init__(self) -> None:
        self.drawn = 0

    def __call__(self, octets: int) -> bytes:
        self.drawn += 1
        return self.drawn.to_bytes(octets, "big")


def attempt(host: str = "192.0.2.1", callee: str = "bob", *, trusted: bool = False) -> CallAttempt:
    return CallAttempt(b"\x01" * 16, "sip/udp", "alice", callee, f"sip:{callee}@example.org", (host, 5060), trusted)


class LeaseTests(SynchronousTestCase):
    """One lease from grant to close."""

    def setUp(self) -> None:
        """Leases of ten seconds, three for each client."""
        self.leases = Leases(lease_s=10.0, held_per_client=3, random=Octets())

    def grant(self, now: float = 0.0, host: str = "192.0.2.1", callee: str = "bob") -> Lease:
        return self.leases.grant(attempt(host, callee), "primary", 2, now)

    def test_a_lease_keeps_what_the_arrival_needs(self) -> None:
        """It is named by 128 random bits and holds the attempt with its target, the entry and the hops."""
        lease = self.grant(5.0)
        self.assertEqual(lease.id, "0" * 31 + "1")
        self.assertEqual((lease.entry, lease.hops, lease.granted), ("primary", 2, 5.0))
        self.assertEqual(lease.attempt.target, "sip:bob@example.org")
        self.assertIs(self.leases.get(lease.id), lease)
        self.assertEqual(len(self.leases), 1)

    def test_it_is_closed_exactly_once(self) -> None:
        """However it is closed first, a second close of any kind finds nothing."""
        closes = {
            "arrived": lambda lease: self.leases.arrive(lease.id),
            "withdrawn": lambda lease: self.leases.withdraw(lease.id),
            "lapsed": lambda lease: next(iter(self.leases.lapse(10.0)), None),
        }
        for first, close in closes.items():
            lease = self.grant()
            self.assertIs(close(lease), lease)
            self.assertEqual([again(lease) for again in closes.values()], [None] * 3, first)
            self.assertIsNone(self.leases.get(lease.id))
            self.assertEqual(len(self.leases), 0)
        self.assertEqual(self.leases.counts, {"granted": 3, "arrived": 1, "withdrawn": 1, "lapsed": 1})

    def test_an_unknown_lease_is_none(self) -> None:
        """What was never granted cannot be closed."""
        self.assertIsNone(self.leases.arrive("f" * 32))
        self.assertIsNone(self.leases.withdraw(""))
        self.assertEqual(self.leases.lapse(100.0), [])

    def test_leases_lapse_in_the_order_of_their_grants(self) -> None:
        """Those whose time has come lapse, no other, and the next deadline is that of the oldest one open."""
        self.assertIsNone(self.leases.next_deadline())
        first, second, third = (self.grant(now) for now in (0.0, 1.0, 2.0))
        self.assertEqual(self.leases.next_deadline(), 10.0)
        self.leases.arrive(first.id)
        self.assertEqual(self.leases.next_deadline(), 11.0)
        self.assertEqual(self.leases.lapse(10.999), [])
        self.assertEqual(self.leases.lapse(12.0), [second, third])
        self.assertIsNone(self.leases.next_deadline())

    def test_lapsing_at_the_next_deadline_always_closes_one(self) -> None:
        """A timer set to the next deadline never fires in vain, whatever the floats."""
        for step in range(200):
            lease = self.grant(step * 0.1 + 0.05)
            deadline = self.leases.next_deadline()
            assert deadline is not None
            self.assertEqual(self.leases.lapse(deadline), [lease])


class FindTests(SynchronousTestCase):
    """A client that dropped the parameter."""

    def setUp(self) -> None:
        """Leases of ten seconds."""
        self.leases = Leases(lease_s=10.0, held_per_client=3, random=Octets())

    def test_client_and_callee_find_it(self) -> None:
        """The address of the client and whom it calls are enough; the oldest of several comes first."""
        first = self.leases.grant(attempt(), "primary", 1, 0.0)
        second = self.leases.grant(attempt(), "primary", 1, 1.0)
        self.assertIs(self.leases.find("192.0.2.1", "bob", 2.0), first)
        self.leases.arrive(first.id)
        self.assertIs(self.leases.find("192.0.2.1", "bob", 2.0), second)

    def test_nobody_finds_another_ones(self) -> None:
        """Neither another client nor another callee fits."""
        self.leases.grant(attempt(), "primary", 1, 0.0)
        self.assertIsNone(self.leases.find("192.0.2.2", "bob", 1.0))
        self.assertIsNone(self.leases.find("192.0.2.1", "carol", 1.0))

    def test_the_attempt_finds_it(self) -> None:
        """Whatever address the client comes from; of two by one name the later, and each closes for itself."""
        first, second = [self.leases.grant(attempt(), "primary", 0, now) for now in (0.0, 1.0)]
        self.assertIs(self.leases.of(b"\x01" * 16, 9.0), second)
        self.assertIsNone(self.leases.of(b"\x02" * 16, 9.0))
        self.assertIsNone(self.leases.of(b"\x01" * 16, 11.0))
        self.leases.arrive(first.id)
        self.assertIs(self.leases.of(b"\x01" * 16, 9.0), second)
        self.leases.arrive(second.id)
        self.assertIsNone(self.leases.of(b"\x01" * 16, 9.0))

    def test_an_overdue_one_is_not_found(self) -> None:
        """A lease whose time has come is not found, even before it is swept."""
        self.leases.grant(attempt(), "primary", 1, 0.0)
        late = self.leases.grant(attempt(), "primary", 1, 4.0)
        self.assertIs(self.leases.find("192.0.2.1", "bob", 10.0), late)
        self.assertIsNone(self.leases.find("192.0.2.1", "bob", 14.0))


class HeldPerClientTests(SynchronousTestCase):
    """No address holds the whole node."""

    def setUp(self) -> None:
        """Three leases for each client."""
        self.leases = Leases(lease_s=10.0, held_per_client=3, random=Octets())

    def test_an_untrusted_client_holds_so_many(self) -> None:
        """One more is refused and leaves nothing behind; other clients are not touched by it."""
        for callee in ("bob", "carol", "dave"):
            self.leases.grant(attempt(callee=callee), "primary", 0, 0.0)
        self.assertRaises(Refused, self.leases.grant, attempt(callee="erin"), "primary", 0, 0.0)
        self.assertEqual(len(self.leases), 3)
        self.assertEqual(self.leases.counts["granted"], 3)
        self.leases.grant(attempt("192.0.2.2"), "primary", 0, 0.0)

    def test_each_close_gives_one_back(self) -> None:
        """After arriving, withdrawing and lapsing the client may hold as many as before."""
        for close in (self.leases.arrive, self.leases.withdraw, lambda id: self.leases.lapse(10.0)):
            held = [self.leases.grant(attempt(), "primary", 0, 0.0) for _ in range(3)]
            self.assertRaises(Refused, self.leases.grant, attempt(), "primary", 0, 0.0)
            for lease in held:
                close(lease.id)
            self.assertEqual(len(self.leases), 0)

    def test_a_trusted_client_is_not_bound(self) -> None:
        """A neighbour that brings many clients' calls holds what it needs."""
        for _ in range(50):
            self.leases.grant(attempt(trusted=True), "primary", 0, 0.0)
        self.assertEqual(len(self.leases), 50)
