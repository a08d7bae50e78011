"""When a node reports: the interval and the gap of small and large groups."""

from __future__ import annotations

import math
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from voipshift.group.reports import Schedule, report_interval_s
from voipshift.node import DRAINING, FULL, Load


class ScheduleTests(SynchronousTestCase):
    """Line 14: every T, and at once at the edges."""

    def setUp(self) -> None:
        """Reported half full at 10 s."""
        self.schedule = Schedule(interval_s=1.0, multicast=False, random=Random(1).randbytes)
        self.schedule.reported(Load("a", 1, 1, 0.5, 100.0), 3, 10.0)

    def test_gap(self) -> None:
        """An edge waits for 0.1 s after the last report, and in a group of more than 100 for 0.5 s."""
        for members, due in [(3, 10.1), (33, 10.1), (100, 10.1), (101, 10.5)]:
            self.assertAlmostEqual(self.schedule.edge_due(Load("a", 1, 2, 0.6, 100.0), members), due)

    def test_who_became_full_says_so_at_once(self) -> None:
        """Whatever was reported before; who is not full any more waits for the gap."""
        for flags in (FULL, FULL | DRAINING):
            self.assertEqual(self.schedule.edge_due(Load("a", 1, 2, 1.0, 100.0, flags), 3), -math.inf)
        self.schedule.reported(Load("a", 1, 2, 1.0, 100.0, FULL), 3, 10.02)
        self.assertEqual(self.schedule.edge_due(Load("a", 1, 3, 1.0, 100.0, FULL), 3), math.inf)
        self.assertAlmostEqual(self.schedule.edge_due(Load("a", 1, 3, 0.99, 100.0), 3), 10.12)
        self.assertEqual(self.schedule.edge_due(Load("a", 1, 3, 1.0, 100.0, FULL | DRAINING), 3), -math.inf)

    def test_interval(self) -> None:
        """T with a tenth of jitter; unicast reports of more than 100 members come each 5 s at most."""
        self.assertTrue(10.9 <= self.schedule.next <= 11.1)
        for members, multicast, interval_s in [(100, False, 1.0), (101, False, 5.0), (101, True, 1.0)]:
            self.assertEqual(report_interval_s(1.0, members, multicast), interval_s)

    def test_edges(self) -> None:
        """Full or not, draining or not, and an occupancy that moved by 5 %."""
        for occupancy, flags, edge in [(0.54, 0, False), (0.56, 0, True), (0.44, 0, True), (0.5, FULL, True)]:
            due = self.schedule.edge_due(Load("a", 1, 2, occupancy, 100.0, flags), 3)
            self.assertEqual(due < math.inf, edge)
