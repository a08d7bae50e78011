"""How often nodes report, and how patient the others are: the one never outruns the other."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.group_nodes import ExchangeTestCase, Node
from voipshift.balance.members import Members
from voipshift.interval import DEAD_AFTER_INTERVALS, LARGE_GROUP, report_interval_s, silence_s
from voipshift.node import Load, NodeIdentity


class IntervalTests(SynchronousTestCase):
    """For any T and any size of the group."""

    def test_nobody_is_dead_between_two_reports(self) -> None:
        """Also when the listener counts a tenth fewer members than the one that reports."""
        for configured_s in (0.1, 1.0, 5.0, 10.0):
            for members in range(300):
                interval_s = report_interval_s(configured_s, members, multicast=False)
                for counted in range(members * 91 // 100, members + 1):
                    self.assertGreaterEqual(silence_s(configured_s, counted), DEAD_AFTER_INTERVALS * interval_s)

    def test_small_groups_notice_in_three_intervals(self) -> None:
        self.assertEqual(silence_s(1.0, 90), 3.0)

    def test_members_of_a_large_group_stay_alive(self) -> None:
        """What is believed of a member lasts from one Report to the next."""
        members = Members(here="a", report_interval_s=1.0)
        for number in range(LARGE_GROUP + 1):
            name = f"m{number}"
            members.heard(NodeIdentity(name, {"sip/udp": ("192.0.2.1", 5060)}), Load(name, 1, 1, 0.5, 10.0), 100.0)
        self.assertEqual(len(members.live("sip/udp", 105.5)), LARGE_GROUP + 1)
        self.assertEqual(members.live("sip/udp", 115.1), [])


class LargeGroupTests(ExchangeTestCase):
    """Real exchanges."""

    def test_a_member_that_reports_every_five_seconds_is_not_greeted_in_between(self) -> None:
        """Node a has 102 members and hears each one every 5 s: it neither looks for them nor stops naming them."""
        nodes = [Node(self.network, "a", "10.0.0.1", [])]
        nodes += [Node(self.network, f"m{number}", f"10.0.1.{number + 1}", ["10.0.0.1"]) for number in range(102)]
        self.network.run(2)
        a = nodes[0]
        heard = a.names()
        self.assertEqual(len(heard), 102)
        peers = a.exchange._peers
        self.assertEqual(len(peers.others(self.network.clock.seconds() + 5.4)), 8)
