"""The deadlines behind one timer."""

from __future__ import annotations

import math

from twisted.trial.unittest import SynchronousTestCase

from voipshift.group.agenda import Agenda


class AgendaTests(SynchronousTestCase):
    """What is done when."""

    def test_in_order_of_time(self) -> None:
        """Whatever order they were put in; those of one time in the order in which they were."""
        agenda, done = Agenda(), []
        for when, name in [(2.0, "c"), (1.0, "a"), (2.0, "d"), (1.5, "b"), (3.0, "e")]:
            agenda.at(when, lambda now, name=name: done.append((now, name)))  # type: ignore[misc]
        self.assertEqual(agenda.next, 1.0)
        agenda.due(2.0)
        self.assertEqual(done, [(2.0, "a"), (2.0, "b"), (2.0, "c"), (2.0, "d")])
        self.assertEqual(agenda.next, 3.0)
        agenda.clear()
        self.assertEqual((agenda.next, len(agenda)), (math.inf, 0))

    def test_nobody_is_told_a_time_before_his_own(self) -> None:
        """A timer that rings early by its rounding has rung: who looks whether it is time finds that it is, once."""
        agenda, told = Agenda(), []

        def look(now: float) -> None:
            told.append(now)
            if now < 5.0:
                agenda.at(5.0, look)

        agenda.at(5.0, look)
        agenda.due(5.0 - 1e-7)
        self.assertEqual(told, [5.0])
