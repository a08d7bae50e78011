"""The criteria of a workload, each alone and all together."""

from __future__ import annotations

import math

from twisted.trial.unittest import SynchronousTestCase

from voipshift.balance.criteria import (
    SAMPLE_S,
    SMOOTHING_S,
    CallsPerSecond,
    Clients,
    CpuPercent,
    DataPerSecond,
    Number,
    Rate,
    Sampled,
)
from voipshift.balance.workload import EXACT, Watermarks, Workload
from voipshift.node import FULL


def workload(
    *sampled: Sampled, ongoing_calls: float = math.inf, watermarks: Watermarks = EXACT
) -> tuple[Workload, list[int]]:
    calls = [0]
    made = Workload(
        ongoing_calls=ongoing_calls,
        calls_per_second=math.inf,
        occupied=lambda: calls[0],
        now=0.0,
        sampled=sampled,
        watermarks=watermarks,
    )
    return made, calls


class RateTests(SynchronousTestCase):
    """An exponentially forgetting count."""

    def test_a_steady_stream(self) -> None:
        """Its rate, after some times of what it remembers."""
        rate = Rate(0.0)
        for tick in range(1000):
            rate.count(3.0, tick / 20)
        self.assertApproximates(rate.per_second(49.95), 60.0, 1.0)

    def test_it_forgets(self) -> None:
        """To the e-th part within its time."""
        rate = Rate(0.0)
        rate.count(10.0, 0.0)
        self.assertAlmostEqual(rate.per_second(SMOOTHING_S), 10.0 / SMOOTHING_S / math.e)
        self.assertAlmostEqual(rate.per_second(0.0), 10.0 / SMOOTHING_S / math.e)


class SampledTests(SynchronousTestCase):
    """What is measured now and then."""

    def test_data_per_second(self) -> None:
        """Octets since the last sample, as a rate; what was there before the start does not count."""
        octets = [10**9]
        data = DataPerSecond(8000.0, lambda: octets[0], 0.0)
        for tick in range(1, 400):
            octets[0] += 400
            data.sample(tick * SAMPLE_S)
        now = 399 * SAMPLE_S
        self.assertApproximates(data.raw(now), 4000.0, 110.0)
        self.assertApproximates(data.fraction(now), 0.5, 0.02)

    def test_clients(self) -> None:
        """As many as there are."""
        clients = Clients(200.0, lambda: 50)
        self.assertEqual(clients.fraction(0.0), 0.0)
        clients.sample(0.1)
        self.assertEqual((clients.raw(0.1), clients.fraction(0.1)), (50, 0.25))

    def test_cpu_percent_is_that_of_the_process_or_of_the_host(self) -> None:
        """Whichever is higher, smoothed: a jump is seen to two thirds after the time of smoothing."""
        for process, host in [(80.0, 10.0), (10.0, 80.0)]:
            cpu = CpuPercent(80.0, lambda process=process: process, lambda host=host: host, 0.0)  # type: ignore[misc]
            cpu.sample(0.0)
            self.assertEqual(cpu.raw(0.0), 0.0)
            for tick in range(1, 21):
                cpu.sample(tick * SMOOTHING_S / 20)
            self.assertAlmostEqual(cpu.raw(SMOOTHING_S), 80.0 * (1 - math.exp(-1)))
            self.assertAlmostEqual(cpu.fraction(SMOOTHING_S), 1 - math.exp(-1))

    def test_the_largest_of_them_counts(self) -> None:
        """Beside those that are asked at each decision, once it was sampled."""
        few, many = Clients(100.0, lambda: 20), Clients(100.0, lambda: 60)
        load, calls = workload(many, few, ongoing_calls=10)
        calls[0] = 4
        self.assertEqual(load.occupancy(0.0), 0.4)
        load.sample(0.1)
        self.assertEqual(load.occupancy(0.1), 0.6)
        calls[0] = 7
        self.assertEqual(load.occupancy(0.1), 0.7)

    def test_one_at_its_threshold_leaves_no_room(self) -> None:
        """Whatever the others say."""
        load, _ = workload(Clients(10.0, lambda: 10), ongoing_calls=10)
        load.sample(0.1)
        self.assertFalse(load.room(0.1))
        self.assertEqual(load.told(0.1)[2], FULL)


class ReadingTests(SynchronousTestCase):
    """What a report says of each criterion."""

    def test_raw_and_as_a_fraction(self) -> None:
        """Of those that have a threshold, and of no other."""
        load, calls = workload(Clients(10.0, lambda: 5), ongoing_calls=8)
        calls[0] = 2
        load.sample(0.0)
        self.assertEqual(load.readings(0.0), ((Number.ONGOING_CALLS, 2, 0.25), (Number.CLIENTS, 5, 0.5)))

    def test_a_threshold_of_zero_is_full(self) -> None:
        """A pure portal."""
        load, _ = workload(ongoing_calls=0)
        self.assertEqual(load.readings(0.0), ((Number.ONGOING_CALLS, 0, 1.0),))

    def test_calls_per_second_are_measured(self) -> None:
        """The raw value is the rate of accepted calls, the fraction that of the bucket."""
        rate = CallsPerSecond(20.0, 0.0)
        for tick in range(400):
            rate.accepted(tick / 10)
        self.assertApproximates(rate.raw(39.9), 10.0, 0.5)
        self.assertAlmostEqual(rate.fraction(39.9), 0.05)


class WatermarkTests(SynchronousTestCase):
    """The full flag that others see."""

    def test_it_is_kept_until_the_low_watermark(self) -> None:
        """Raised at the high one, taken back below the low one; the node itself decides by its threshold alone."""
        load, calls = workload(ongoing_calls=10, watermarks=Watermarks(0.9, 0.7))
        seen = []
        for calls[0] in (8, 9, 10, 9, 8, 7, 6, 7, 8, 9):
            seen.append((bool(load.told(0.0)[2]), load.room(0.0)))
        full = [False, True, True, True, True, True, False, False, False, True]
        room = [True, True, False, True, True, True, True, True, True, True]
        self.assertEqual(seen, list(zip(full, room, strict=True)))

    def test_without_them_it_says_whether_there_is_room(self) -> None:
        """Both are at the threshold."""
        load, calls = workload(ongoing_calls=2)
        for calls[0] in (0, 2, 1, 2, 0):
            self.assertEqual(bool(load.told(0.0)[2]), not load.room(0.0))
