"""The statistical model, on loads of which the truth is known."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from voipshift.balance.criteria import SAMPLE_S
from voipshift.balance.estimate import FEWEST_SECONDS, LOWEST_CEILING, SURE, Estimate, Model, calls_after
from voipshift.balance.workload import UNLIMITED_CAPACITY, Workload


def observed(
    rates: Callable[[int], float], *, idle: float = 0.05, each: float = 0.002, noise: float = 0.0, seconds: int = 120
) -> Estimate:
    """A node that needs so much without calls, and so much for each; 80 % are allowed."""
    random = Random(1)
    estimate = Estimate(0.8, 0.0)
    for second in range(1, seconds + 1):
        rate = rates(second)
        estimate.observe(rate, idle + each * rate + random.gauss(0.0, noise), 0.0, float(second))
    return estimate


class EstimateTests(SynchronousTestCase):
    """The capacity."""

    def test_it_is_where_the_line_reaches_what_is_allowed(self) -> None:
        """Learnt from light load alone, for several nodes; surer with less noise."""
        for idle, each, truth in [(0.05, 0.002, 375.0), (0.0, 0.001, 800.0), (0.3, 0.05, 10.0)]:
            surenesses = []
            for noise in (0.0, 0.01, 0.03):
                estimate = observed(
                    lambda second, truth=truth: truth * (second % 50) / 100,  # type: ignore[misc]
                    idle=idle,
                    each=each,
                    noise=noise,
                )
                capacity = estimate.capacity
                assert capacity is not None
                self.assertApproximates(capacity / truth, 1.0, 0.001 if not noise else 0.06)
                surenesses.append(estimate.sureness)
            self.assertEqual(surenesses, sorted(surenesses, reverse=True))
            self.assertGreater(surenesses[0], 0.9)

    def test_it_says_nothing_before_it_is_sure(self) -> None:
        """On few seconds, on one rate alone, on noise alone, and where calls cost nothing."""
        for estimate in [
            observed(lambda second: float(second), seconds=int(FEWEST_SECONDS) - 5),
            observed(lambda second: 50.0),
            observed(lambda second: 1.0 + second % 2, each=0.0001, noise=0.1),
            observed(lambda second: float(second % 50), each=0.0),
            observed(lambda second: float(second % 50), each=-0.001),
            observed(lambda second: 0.0),
        ]:
            self.assertIsNone(estimate.capacity)
            self.assertLess(estimate.sureness, SURE)

    def test_it_forgets(self) -> None:
        """A machine that becomes half as fast is learnt within some times of what is remembered."""
        estimate = observed(lambda second: float(second % 50), idle=0.0, each=0.004)
        self.assertApproximates(estimate.capacity, 200.0, 1.0)
        for second in range(121, 1800):
            rate = float(second % 50)
            estimate.observe(rate, 0.008 * rate, 0.0, float(second))
        self.assertApproximates(estimate.capacity, 100.0, 2.0)

    def test_a_late_loop_is_a_ceiling(self) -> None:
        """Though the processor idles: at once, never below half of what was believed, and for some minutes."""
        estimate = observed(lambda second: float(second % 50))
        self.assertApproximates(estimate.capacity, 375.0, 1.0)
        estimate.observe(250.0, 0.2, 0.3, 121.0)
        self.assertEqual(estimate.capacity, 250.0)
        estimate.observe(1.0, 0.2, 0.3, 122.0)
        self.assertApproximates(estimate.capacity, 125.0 * math.exp(1 / 60), 1e-6)
        estimate.observe(50.0, 0.15, 0.0, 152.0)
        self.assertApproximates(estimate.capacity, 125.0 * math.exp(31 / 60), 1e-6)
        estimate.observe(50.0, 0.15, 0.0, 252.0)
        self.assertApproximates(estimate.capacity, 375.0, 1.0)

    def test_a_late_loop_before_anything_was_learnt(self) -> None:
        """The rate of that second is all that is known; it leaves room to learn."""
        estimate = Estimate(0.8, 0.0)
        estimate.observe(0.0, 1.0, 0.3, 1.0)
        self.assertEqual(estimate.capacity, LOWEST_CEILING)
        estimate.observe(0.0, 0.0, 0.0, 61.0)
        self.assertApproximates(estimate.capacity, LOWEST_CEILING * math.e, 1e-9)


class ForecastTests(SynchronousTestCase):
    """Calls some time ahead."""

    def test_cases(self) -> None:
        """Now; long after; in balance; only endings; only arrivals."""
        for calls, rate, holding_s, after_s, expected in [
            (7, 3, 60, 0, 7.0),
            (7, 3, 60, 1e6, 180.0),
            (120, 2, 60, 5, 120.0),
            (100, 0, 60, 60, 100 / math.e),
            (0, 2, 60, 60, 120 * (1 - 1 / math.e)),
            (10, 1, 0, 5, 0.0),
        ]:
            self.assertAlmostEqual(calls_after(calls, rate, holding_s, after_s), expected)


class ModelTests(SynchronousTestCase):
    """The criterion, in a workload without any other limit."""

    def setUp(self) -> None:
        self.accepted = 0
        self.calls = 0
        self.measured = (0.0, 0)
        self.delay_s = 0.0
        self.model = Model(
            80.0,
            accepted=lambda: self.accepted,
            busy=self.busy,
            queue_delay_s=lambda: self.delay_s,
            horizon_s=1.0,
            now=0.0,
        )
        self.now = 0.0

    def busy(self) -> float:
        """Percent of the processor since the last time: each call needs 10 ms, and 2 % are used without any."""
        (since, accepted), self.measured = self.measured, (self.now, self.accepted)
        return 2.0 + 1.0 * (self.accepted - accepted) / (self.now - since)

    def workload(self, ongoing_calls: float = math.inf) -> Workload:
        """One with this model."""
        return Workload(
            ongoing_calls=ongoing_calls,
            calls_per_second=math.inf,
            occupied=lambda: self.calls,
            now=0.0,
            sampled=[self.model],
        )

    def run_for(self, load: Workload, seconds: int, offered: Callable[[int], int]) -> list[int]:
        """Offer so many calls in each second, evenly; those that are accepted, by second."""
        accepted = []
        for second in range(seconds):
            before = self.accepted
            for tick in range(10):
                for _ in range(offered(second) // 10 + (tick < offered(second) % 10)):
                    if load.room(self.now):
                        load.accepted(self.now)
                        self.accepted += 1
                self.now += SAMPLE_S
                load.sample(self.now)
            accepted.append(self.accepted - before)
        return accepted

    def test_a_node_finds_its_own_threshold(self) -> None:
        """It learns from light load that it can accept 78 calls per second, and accepts no more when they come."""
        load = self.workload()
        self.assertEqual(load.capacity(0.0), UNLIMITED_CAPACITY)
        self.assertEqual(
            self.run_for(load, 60, lambda second: 5 + second % 20), [5 + second % 20 for second in range(60)]
        )
        self.assertApproximates(self.model.capacity, 78.0, 4.0)
        self.assertApproximates(load.capacity(self.now), 78.0 * load.holding_s, 4.0 * load.holding_s)
        last = self.run_for(load, 30, lambda second: 300)[10:]
        self.assertApproximates(sum(last) / len(last), 78.0, 12.0)

    def test_hard_limits_hold_whatever_it_says(self) -> None:
        """A model that is sure of 78 calls per second admits none at the limits of calls and of the queue delay."""
        self.run_for(self.workload(), 60, lambda second: 5 + second % 20)
        self.assertApproximates(self.model.capacity, 78.0, 4.0)
        load = self.workload(ongoing_calls=10)
        for self.calls, delay_s, room in [(9, 0.0, True), (10, 0.0, False), (11, 0.0, False), (0, 0.2, False)]:
            load.queue_delay_s = delay_s
            self.assertEqual(load.room(self.now), room)
        self.calls = 0
        slow = Workload(
            ongoing_calls=math.inf, calls_per_second=10, occupied=lambda: 0, now=self.now, sampled=[self.model]
        )
        self.assertEqual(self.run_for(slow, 5, lambda second: 40)[1:], [10] * 4)

    def test_others_are_told_what_will_be_by_the_model_alone(self) -> None:
        """Without a limit of calls its capacity is one: 78 calls per second of 20 s are 1560 at once."""
        load = self.workload()
        load.holding_s = 20.0
        self.run_for(load, 60, lambda second: 5 + second % 20)
        self.run_for(load, 20, lambda second: 20)
        self.calls = 800
        ahead = calls_after(800, 20.0, 20.0, 1.0) / load.capacity(self.now)
        self.assertApproximates(load.told(self.now)[0], ahead, 0.005)
        self.assertApproximates(load.capacity(self.now), 1560.0, 80.0)
        self.assertLess(load.occupancy(self.now), 0.3)
        self.calls = 10_000
        self.assertLess(load.told(self.now)[0], 1.0)

    def test_others_are_told_what_will_be(self) -> None:
        """Arrivals of a report interval are added before they come; a slot that is free now is not hidden."""
        load = self.workload(ongoing_calls=100)
        self.calls = 50
        self.run_for(load, 20, lambda second: 10)
        load.holding_s = 1e9
        self.assertApproximates(load.told(self.now)[0], 0.6, 0.01)
        self.assertEqual(load.occupancy(self.now), 0.5)
        self.calls = 97
        self.assertEqual(load.told(self.now)[0], 0.99)
        self.calls = 100
        self.assertEqual(load.told(self.now)[0], 1.0)
