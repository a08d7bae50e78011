"""Erlang's loss formula against published values."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from voipshift.lab.erlang import erlang_b


class ErlangTests(SynchronousTestCase):
    """Blocking of a group of slots."""

    def test_check_values(self) -> None:
        """N servers of c slots each, alone and pooled, at a load per slot."""
        for servers, slots, load, split, pooled in [
            (5, 20, 0.9, 0.109, 0.027),
            (10, 100, 0.9, 0.027, 0.00006),
            (3, 30, 0.95, 0.107, 0.053),
        ]:
            self.assertApproximates(erlang_b(slots, load * slots), split, 0.0006)
            self.assertApproximates(erlang_b(servers * slots, load * servers * slots), pooled, max(1e-5, pooled / 50))

    def test_table(self) -> None:
        """Classic entries of Erlang's table: slots and offered erlangs for a grade of service."""
        for slots, offered, blocking in [(1, 0.0101, 0.01), (10, 4.46, 0.01), (100, 84.1, 0.01), (20, 13.2, 0.02)]:
            self.assertApproximates(erlang_b(slots, offered), blocking, blocking / 50)

    def test_the_ends(self) -> None:
        """Nothing offered is never refused; without slots everything is."""
        self.assertEqual(erlang_b(10, 0.0), 0.0)
        self.assertEqual(erlang_b(0, 5.0), 1.0)
        self.assertAlmostEqual(erlang_b(1, 1.0), 0.5)
