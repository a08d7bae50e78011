"""Wrong passwords: a few at once, then one after the other, by each name from each address."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from voipshift.sip.guesses import BURST, INTERVAL_S, MAX_GUESSERS, Guesses

HOST = "203.0.113.9"


class GuessesTests(SynchronousTestCase):
    """Who may guess, and when."""

    def setUp(self) -> None:
        self.guesses = Guesses()

    def tried(self, username: str, now: float, host: str = HOST) -> int:
        """How many wrong passwords of many are looked at."""
        looked_at = 0
        while self.guesses.may(host, username, now) and looked_at < 100:
            self.guesses.wrong(host, username, now)
            looked_at += 1
        return looked_at

    def test_a_burst_and_then_slowly(self) -> None:
        """A mistyped password or two do not matter."""
        self.assertEqual(self.tried("alice", 0.0), BURST)
        self.assertEqual(self.tried("alice", INTERVAL_S - 0.1), 0)
        self.assertEqual(self.tried("alice", INTERVAL_S), 1)
        self.assertEqual(self.tried("alice", 3 * INTERVAL_S), 2)
        self.assertEqual(self.tried("alice", 1000 * INTERVAL_S), BURST)

    def test_each_by_itself(self) -> None:
        """Another name, another address."""
        self.tried("alice", 0.0)
        self.assertEqual((self.tried("bob", 0.0), self.tried("alice", 0.0, "203.0.113.10")), (BURST, BURST))

    def test_long_names(self) -> None:
        """Nothing long is kept of them."""
        self.assertEqual((self.tried("a" * 2000, 0.0), self.tried("a" * 2001, 0.0)), (BURST, 0))

    def test_bounded(self) -> None:
        """Whoever guessed the longest ago goes first."""
        self.tried("alice", 0.0)
        for number in range(MAX_GUESSERS - 1):
            self.guesses.wrong(HOST, str(number), 0.0)
        self.assertFalse(self.guesses.may(HOST, "alice", 0.0))
        self.guesses.wrong(HOST, "one more", 0.0)
        self.assertTrue(self.guesses.may(HOST, "alice", 0.0))
