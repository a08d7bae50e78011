"""Random octets from a block."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from voipshift.entropy import BLOCK_OCTETS, Entropy


class EntropyTests(SynchronousTestCase):
    """As the operating system gives them."""

    def test_as_many_as_are_asked_for(self) -> None:
        """None, some, what is left of a block, more than a block."""
        entropy = Entropy()
        for octets in (0, 4, 16, BLOCK_OCTETS - 20, 1, BLOCK_OCTETS - 1, BLOCK_OCTETS, 3 * BLOCK_OCTETS, 7):
            self.assertEqual(len(entropy(octets)), octets)

    def test_none_is_given_twice(self) -> None:
        """Also not across the end of a block."""
        entropy = Entropy()
        drawn = {entropy(16) for _ in range(2000)} | {entropy(17)[:16] for _ in range(2000)}
        self.assertEqual(len(drawn), 4000)
