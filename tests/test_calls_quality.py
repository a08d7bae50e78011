"""The quality of the calls that a node carries, and that others hear of it."""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from tests.sipnet import HERE, SipNetTestCase, settings
from voipshift import tap
from voipshift.balance.factors import ASSUMED_RATIO
from voipshift.calls.quality import Quality
from voipshift.calls.table import Call, End


def call(began: float, alerted: float | None, answered: float | None) -> Call:
    made = Call(("1", "a"), End("", "", (), ("192.0.2.7", 5060), False), 0, 0, began)
    made.alerted, made.answered = alerted, answered
    return made


class QualityTests(SynchronousTestCase):
    """The rating."""

    def setUp(self) -> None:
        self.quality = Quality()

    def test_the_ratio_follows_the_last_calls(self) -> None:
        """And the first one is not taken for all."""
        self.assertEqual(self.quality.answer_seizure_ratio, ASSUMED_RATIO)
        self.quality.closed(call(0.0, None, None))
        self.assertGreater(self.quality.answer_seizure_ratio, 0.4)
        for _ in range(1000):
            self.quality.answered(call(0.0, 1.0, 2.0))
        self.assertGreater(self.quality.answer_seizure_ratio, 0.99)
        for _ in range(1000):
            self.quality.closed(call(0.0, 1.0, None))
        self.assertLess(self.quality.answer_seizure_ratio, 0.01)

    def test_an_answered_call_counts_once(self) -> None:
        """Not again when it ends."""
        before = self.quality.answer_seizure_ratio
        self.quality.closed(call(0.0, 1.0, 2.0))
        self.assertEqual(self.quality.answer_seizure_ratio, before)

    def test_the_delay_is_until_it_rings_or_is_answered(self) -> None:
        """A call that did neither has none."""
        for alerted, answered, delay_s in [(3.0, 20.0, 3.0), (None, 5.0, 5.0), (2.0, None, 2.0)]:
            quality = Quality()
            for _ in range(1000):
                (quality.closed if answered is None else quality.answered)(call(0.0, alerted, answered))
            self.assertApproximates(quality.post_dial_delay_s, delay_s, 0.01)
        before = self.quality.post_dial_delay_s
        self.quality.closed(call(0.0, None, None))
        self.assertEqual(self.quality.post_dial_delay_s, before)


class NodeTests(SipNetTestCase):
    """Calls through a node."""

    def test_it_is_measured_and_reported(self) -> None:
        """An answered call, and one that is busy; with the region and the cost of the configuration."""
        made = settings("here", [HERE])
        node = tap.Node(replace(made, node=replace(made.node, region="north", cost=3.0)), self.clock)
        node.startService()
        self.nodes.append(node)
        self.phone.say(self.phone.request("INVITE", "sip:100@192.0.2.1", call_id="1"), HERE)
        invite = self.gateway.asked("INVITE")
        self.clock.advance(0.05)
        self.gateway.answer(invite, 180)
        self.gateway.answer(invite, 200)
        self.assertEqual(self.phone.words()[-2:], ["180 INVITE", "200 INVITE"])
        after_one = node.standing.factors()
        self.assertEqual((after_one.region, after_one.cost), ("north", 3.0))
        self.assertAlmostEqual(after_one.answer_seizure_ratio, 6 / 11)
        self.assertAlmostEqual(after_one.post_dial_delay_s, 10.05 / 11)
        request = self.phone.request("INVITE", "sip:100@192.0.2.1", call_id="2")
        self.phone.say(request, HERE)
        self.gateway.answer(self.gateway.asked("INVITE"), 486)
        self.phone.acknowledge(request, self.phone.told(486), HERE)
        self.assertAlmostEqual(node.standing.statement().factors.answer_seizure_ratio, 6 / 12)
        self.assertEqual(len(node.table), 1)
