"""What is reserved for emergency calls."""

from __future__ import annotations

import math
from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from tests.sipnet import HERE, SipNetTestCase, settings
from voipshift import config, tap
from voipshift.balance.policy import Formula, Policy
from voipshift.balance.workload import DROP_DELAY_S, QUEUE_DELAY_LIMIT_S, Reserve, Workload
from voipshift.node import FULL, CallAttempt


class ReserveTests(SynchronousTestCase):
    """The share that is kept."""

    def test_of_the_thresholds(self) -> None:
        """Of the calls at least one; together it is what was configured."""
        for limits, share, ordinary in [
            ((100, math.inf), 0.0, (100, math.inf, 1.0)),
            ((100, 20.0), 0.05, (95, 19.0, 100 / 95)),
            ((2, math.inf), 0.05, (1, math.inf, 2.0)),
            ((1, math.inf), 0.9, (1, math.inf, 1.0)),
            ((math.inf, 20.0), 0.5, (math.inf, 10.0, 2.0)),
            ((0, math.inf), 0.05, (0, math.inf, 1 / 0.95)),
        ]:
            self.assertEqual(Reserve.of(*limits, share), ordinary)


class WorkloadTests(SynchronousTestCase):
    """Who has room, and until when."""

    def made(self, ongoing_calls: float, calls_per_second: float, share: float) -> Workload:
        """A workload with a reserve."""
        self.calls = 0
        reserve = Reserve.of(ongoing_calls, calls_per_second, share)
        return Workload(
            ongoing_calls=reserve.ongoing_calls,
            calls_per_second=reserve.calls_per_second,
            occupied=lambda: self.calls,
            now=0.0,
            emergency_occupancy=reserve.occupancy,
        )

    def test_calls(self) -> None:
        """Others are refused before the limit, emergency calls at it."""
        load = self.made(20, math.inf, 0.1)
        for self.calls, room, emergency in [(17, True, True), (18, False, True), (19, False, True), (20, False, False)]:
            self.assertEqual((load.room(0.0), load.emergency_room(0.0)), (room, emergency))
            self.assertEqual(load.told(0.0)[2], 0 if room else FULL)

    def test_calls_per_second(self) -> None:
        """The bucket may be overdrawn by what is reserved, and not more."""
        load = self.made(math.inf, 40.0, 0.25)
        accepted = 0
        while load.room(0.0):
            load.accepted(0.0)
            accepted += 1
        self.assertEqual(accepted, 30)
        while load.emergency_room(0.0):
            load.accepted(0.0)
            accepted += 1
        self.assertEqual(accepted, 40)

    def test_a_late_loop(self) -> None:
        """Emergency calls are accepted for longer; a draining node, or one with a limit of 0, accepts none."""
        load = self.made(20, math.inf, 0.1)
        load.queue_delay_s = QUEUE_DELAY_LIMIT_S
        self.assertEqual((load.room(0.0), load.emergency_room(0.0)), (False, True))
        load.queue_delay_s = DROP_DELAY_S
        self.assertFalse(load.emergency_room(0.0))
        load.queue_delay_s, load.draining = 0.0, True
        self.assertFalse(load.emergency_room(0.0))
        self.assertFalse(self.made(0, math.inf, 0.1).emergency_room(0.0))


class PolicyTests(SynchronousTestCase):
    """Which calls they are."""

    def test_by_the_number(self) -> None:
        """Whole, whatever parameters come with it."""
        policy = Policy(Formula(), regions=(), services=(), hosted=(), emergency=("112", "police"))
        for callee, emergency in [("112", True), ("112;phone-context=x", True), ("police", True), ("1120", False)]:
            selection = policy.select(CallAttempt(bytes(16), "sip/udp", "a", callee, "", ("192.0.2.7", 5060)))
            assert selection is not None
            self.assertEqual(selection.emergency, emergency)


class NodeTests(SipNetTestCase):
    """A node with two slots, one of them kept."""

    def test_an_emergency_call_has_the_last_slot(self) -> None:
        """No other call gets it, and no second one more than there is."""
        made = settings("here", [HERE], limit=2)
        node = tap.Node(replace(made, emergency=config.EmergencySettings(numbers=("112",), reserved=0.05)), self.clock)
        node.startService()
        self.nodes.append(node)
        for number, (callee, accepted) in enumerate([("100", True), ("100", False), ("112", True), ("112", False)]):
            invite = self.phone.request("INVITE", f"sip:{callee}@192.0.2.1", call_id=f"{number}")
            self.phone.say(invite, HERE)
            if accepted:
                self.gateway.answer(self.gateway.asked("INVITE"), 200)
                answer = self.phone.told(200)
                self.phone.say(self.phone.within("ACK", answer, 1), HERE)
                self.gateway.asked("ACK")
            else:
                self.phone.acknowledge(invite, self.phone.told(503), HERE)
        self.assertEqual(len(node.table), 2)
