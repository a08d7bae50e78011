"""What a node measures of itself: the sampled criteria, and how late its event loop is."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from twisted.internet.task import Clock
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from tests.sipnet import HERE, Network, Peer, settings
from voipshift import config, tap
from voipshift.balance.criteria import SAMPLE_S, Clients, CpuPercent, DataPerSecond, Number
from voipshift.balance.estimate import Model
from voipshift.balance.workload import Workload
from voipshift.wiring import ports
from voipshift.wiring.gauge import Gauge, sampled_criteria, workload_of

#: What the criteria measure, while nothing happens.
GIVEN: dict[str, Any] = {
    "octets": lambda: 0,
    "clients": lambda: 0,
    "accepted": lambda: 0,
    "queue_delay_s": lambda: 0.0,
    "horizon_s": 1.0,
    "now": 0.0,
}
#: What the model asks of them.
ASKED = ("accepted", "queue_delay_s", "horizon_s", "now")


class CriteriaTests(SynchronousTestCase):
    """From the settings."""

    def test_any_subset(self) -> None:
        """A criterion without a threshold is not measured."""
        for kinds, given in [
            ((), {}),
            ((DataPerSecond,), {"data_per_second": 1000.0}),
            ((Clients, CpuPercent), {"clients": 10.0, "cpu_percent": 80.0}),
            ((Model,), {"model": 80.0}),
        ]:
            room = config.WorkloadSettings(ongoing_calls=math.inf, **given)
            made = sampled_criteria(room, **GIVEN)
            self.assertEqual(tuple(map(type, made)), kinds)

    def test_the_processor_is_measured(self) -> None:
        """By psutil, of this process and of this host."""
        room = config.WorkloadSettings(ongoing_calls=math.inf, cpu_percent=80.0)
        (cpu,) = sampled_criteria(room, **GIVEN)
        for second in range(1, 5):
            cpu.sample(float(second))
        self.assertGreaterEqual(cpu.raw(4.0), 0.0)


class BucketTests(SynchronousTestCase):
    """What the bucket of calls per second holds at the start."""

    def occupancy(self, **group: Any) -> float:
        made = settings("a", (HERE,))
        room = replace(made.workload, calls_per_second=10.0)
        joined = config.GroupSettings(listen=("127.0.0.1", 5065), key_file="", **group) if group else None
        given = {name: GIVEN[name] for name in ("octets", "clients", "accepted", "now")}
        return workload_of(replace(made, workload=room, group=joined), occupied=lambda: 0, **given).occupancy(0.0)

    def test_a_node_that_others_can_storm_starts_with_one_call(self) -> None:
        """Wherever it has somebody to report to."""
        for group in (
            {"members": (("127.0.0.1", 5075),)},
            {"multicast": ("239.255.50.60", 5064)},
            {"bus": "redis://192.0.2.30:6379"},
        ):
            self.assertEqual(self.occupancy(**group), 0.9)

    def test_a_node_alone_starts_with_a_full_one(self) -> None:
        """Without a group, or as the only one of it."""
        self.assertEqual(self.occupancy(), 0.0)
        self.assertEqual(self.occupancy(members=()), 0.0)


class GaugeTests(SynchronousTestCase):
    """A workload measured on a clock."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.workload = Workload(
            ongoing_calls=math.inf,
            calls_per_second=math.inf,
            occupied=lambda: 0,
            now=0.0,
        )
        self.drops: list[bool] = []
        self.changes = 0
        self.waited_s = 0.0
        self.gauge = Gauge(
            clock=self.clock,
            workload=self.workload,
            waited_s=lambda: self.waited_s,
            drop=self.drops.append,
            changed=self.change,
        )
        self.gauge.start()

    def tearDown(self) -> None:
        self.gauge.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def change(self) -> None:
        """The occupancy may have changed."""
        self.changes += 1

    def test_the_delay_of_the_loop_is_that_of_the_queue(self) -> None:
        """It admits nothing from 200 ms on, drops new calls from 400 ms on, and recovers with the next sample."""
        for late_s, room, drops in [(0.0, True, []), (0.15, True, []), (0.25, False, []), (0.45, False, [True])]:
            self.clock.advance(SAMPLE_S + late_s)
            self.assertApproximates(self.workload.queue_delay_s, late_s, 1e-9)
            self.assertEqual((self.workload.room(0.0), self.drops), (room, drops))
        self.clock.advance(SAMPLE_S)
        self.assertEqual((self.workload.room(0.0), self.drops), (True, [True, False]))

    def test_what_waits_in_the_kernel_counts_too(self) -> None:
        """A loop that is on time and behind with its datagrams is behind."""
        for self.waited_s, room, drops in [(0.1, True, []), (0.3, False, []), (0.5, False, [True])]:
            self.clock.advance(SAMPLE_S)
            self.assertEqual((self.workload.queue_delay_s, self.drops), (self.waited_s, drops))
            self.assertEqual(self.workload.room(0.0), room)

    def test_what_the_model_believes_is_logged(self) -> None:
        """When it becomes sure, when it changes by a quarter, and when it is not sure any more; not in between."""
        logged: list[str] = []

        def note(event: dict[str, Any]) -> None:
            logged.append(formatEvent(event))

        remember: Any = note
        model = self.workload.model = Model(80.0, **{name: GIVEN[name] for name in ASKED}, busy=lambda: 0.0)
        for second in range(60):
            model.estimate.observe(float(second), 0.01 * second, 0.0, float(second))
        globalLogPublisher.addObserver(remember)
        self.addCleanup(globalLogPublisher.removeObserver, remember)
        for model._capacity, lines in [(None, 0), (80.0, 1), (90.0, 1), (70.0, 1), (50.0, 2), (None, 3), (None, 3)]:
            self.clock.advance(SAMPLE_S)
            self.assertEqual(len(logged), lines, model.capacity)
        self.assertGreater(model.sureness, 0.9)
        sure = f"{model.sureness:.2f}"
        self.assertEqual(logged[0], f"workload.model: this node can accept 80.0 calls per second, sure to {sure}")

    def test_the_others_are_told(self) -> None:
        """When it begins to be late and when it is no longer; not as long as nothing was measured that changes."""
        for late_s, changes in [(0.0, 0), (0.3, 1), (0.0, 2), (0.0, 2)]:
            self.clock.advance(SAMPLE_S + late_s)
            self.assertEqual(self.changes, changes)

    def test_a_clock_that_was_set_is_no_load(self) -> None:
        """Nor is a machine that slept."""
        self.clock.advance(3600.0)
        self.assertEqual(self.workload.queue_delay_s, 0.0)


class NodeTests(SynchronousTestCase):
    """A whole node."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.network = Network(self.clock)
        self.patch(ports, "open_port", self.network.open_port)
        self.phone = Peer(self.network, ("198.51.100.7", 5060))

    def start(self, **thresholds: float) -> tap.Node:
        """A node with these thresholds."""
        made = settings("here", [HERE])
        node = tap.Node(replace(made, workload=replace(made.workload, **thresholds)), self.clock)
        node.startService()
        self.addCleanup(node.stopService)
        return node

    def test_signalling_is_counted(self) -> None:
        """In and out; a node that has had too much of it refuses calls until it is less."""
        node = self.start(data_per_second=100.0)
        for number in range(20):
            self.phone.say(self.phone.request("OPTIONS", "sip:192.0.2.1", call_id=f"{number}"), HERE)
        self.network.advance(SAMPLE_S)
        self.assertGreater(node.workload.occupancy(self.clock.seconds()), 1.0)
        (reading,) = node.workload.readings(self.clock.seconds())
        self.assertEqual(reading.criterion, Number.DATA_PER_SECOND)
        self.phone.words()
        invite = self.phone.request("INVITE", "sip:100@192.0.2.1")
        self.phone.say(invite, HERE)
        self.phone.acknowledge(invite, self.phone.told(503), HERE)
        self.network.advance(30.0)
        self.assertLess(node.workload.occupancy(self.clock.seconds()), 0.5)

    def test_a_node_that_is_too_late_drops_new_calls(self) -> None:
        """Unanswered, while what is no new call is worked off."""
        node = self.start()
        self.clock.advance(SAMPLE_S + 0.5)
        self.phone.say(self.phone.request("INVITE", "sip:100@192.0.2.1"), HERE)
        self.assertEqual(self.phone.words(), [])
        self.assertEqual(node.sip.dropped["too late for a new call"], 1)
        self.phone.say(self.phone.request("OPTIONS", "sip:192.0.2.1", call_id="2"), HERE)
        self.phone.told(503, "OPTIONS")
        self.network.advance(SAMPLE_S)
        self.phone.say(self.phone.request("OPTIONS", "sip:192.0.2.1", call_id="3"), HERE)
        self.phone.told(200, "OPTIONS")
