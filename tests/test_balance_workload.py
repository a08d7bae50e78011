"""A node's own workload: criteria as fractions of their thresholds."""

from __future__ import annotations

import math

from twisted.trial.unittest import SynchronousTestCase

from voipshift.balance.workload import ASSUMED_HOLDING_S, SMALLEST_BUCKET, Workload
from voipshift.node import DRAINING, FULL


class Table:
    """As many calls as the test says."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> int:
        return self.calls


def workload(ongoing_calls: float = math.inf, calls_per_second: float = math.inf) -> tuple[Workload, Table]:
    table = Table()
    return Workload(ongoing_calls=ongoing_calls, calls_per_second=calls_per_second, occupied=table, now=0.0), table


class OngoingCallsTests(SynchronousTestCase):
    """The criterion of ongoing calls, leases included."""

    def test_occupancy_is_the_fraction_of_the_threshold(self) -> None:
        """Occupancy is calls and leases over the limit, and there is room strictly below it."""
        load, table = workload(ongoing_calls=4)
        for calls, occupancy, room in [
            (0, 0.0, True),
            (1, 0.25, True),
            (3, 0.75, True),
            (4, 1.0, False),
            (5, 1.25, False),
        ]:
            table.calls = calls
            self.assertEqual((load.occupancy(0.0), load.room(0.0)), (occupancy, room))

    def test_unlimited_is_never_full(self) -> None:
        """Without a limit, calls make no occupancy."""
        load, table = workload()
        table.calls = 10**6
        self.assertEqual(load.occupancy(0.0), 0.0)
        self.assertTrue(load.room(0.0))

    def test_a_limit_of_zero_accepts_nothing(self) -> None:
        """A pure portal is full when it is empty, and without weight among the others, whichever limit is 0."""
        for limits in [(0, math.inf), (math.inf, 0), (0, 0), (5, 0), (0, 5)]:
            load, _ = workload(*limits)
            self.assertEqual(load.occupancy(100.0), 1.0, limits)
            self.assertFalse(load.room(100.0), limits)
            self.assertEqual(load.capacity(100.0), 0.0, limits)
            self.assertEqual(load.told(100.0)[2], FULL, limits)


class CallsPerSecondTests(SynchronousTestCase):
    """The criterion of calls per second: the accept-rate bucket."""

    def test_a_full_bucket_is_no_occupancy(self) -> None:
        """A node that accepted nothing for a while has its whole bucket."""
        load, _ = workload(calls_per_second=20)
        self.assertEqual(load.occupancy(0.0), 0.0)

    def test_the_bucket_holds_one_second_but_never_less_than_ten(self) -> None:
        """So many calls at once are accepted, and not one more."""
        for rate, size in [(0.5, SMALLEST_BUCKET), (10, 10), (25, 25), (25.9, 25)]:
            load, _ = workload(calls_per_second=rate)
            accepted = 0
            while load.room(0.0):
                load.accepted(0.0)
                accepted += 1
            self.assertEqual(accepted, size)

    def test_a_bucket_that_starts_with_one_call(self) -> None:
        """The first call has room, the second waits for its token, and in a second no more than the rate fits."""
        load = Workload(ongoing_calls=math.inf, calls_per_second=20, occupied=Table(), now=5.0, stored_calls=1)
        self.assertEqual((load.room(5.0), load.occupancy(5.0)), (True, 0.95))
        accepted = 0
        for tick in range(1000):
            while load.room(5.0 + tick / 1000):
                load.accepted(5.0 + tick / 1000)
                accepted += 1
        self.assertEqual(accepted, 20)

    def test_less_than_one_token_is_full(self) -> None:
        """Nobody is told of room that is not there: a fraction of a token is an occupancy of 1.0."""
        load, _ = workload(calls_per_second=10)
        for _ in range(10):
            load.accepted(0.0)
        self.assertEqual(load.occupancy(0.0), 1.0)
        self.assertEqual(load.occupancy(0.099), 1.0)
        self.assertFalse(load.room(0.099))
        self.assertAlmostEqual(load.occupancy(0.1001), 0.9)
        self.assertTrue(load.room(0.1001))

    def test_over_a_long_time_the_rate_is_the_threshold(self) -> None:
        """Accepting whenever there is room carries the configured rate, and the bucket once."""
        load, _ = workload(calls_per_second=20)
        accepted = 0
        for step in range(60_000):
            if load.room(step / 1000):
                load.accepted(step / 1000)
                accepted += 1
        self.assertApproximates(accepted, 20 + 60 * 20, 1)

    def test_a_clock_set_back_fills_nothing(self) -> None:
        """Time that goes back neither fills nor empties the bucket."""
        load, _ = workload(calls_per_second=10)
        for _ in range(10):
            load.accepted(5.0)
        self.assertEqual(load.occupancy(1.0), 1.0)
        self.assertEqual(load.occupancy(5.0), 1.0)

    def test_the_fullest_criterion_counts(self) -> None:
        """Occupancy is the largest of the criteria."""
        load, table = workload(ongoing_calls=10, calls_per_second=10)
        table.calls = 3
        load.accepted(0.0)
        self.assertEqual(load.occupancy(0.0), 0.3)
        for _ in range(4):
            load.accepted(0.0)
        self.assertEqual(load.occupancy(0.0), 0.5)


class FlagTests(SynchronousTestCase):
    """What others are told besides the occupancy."""

    def test_full_is_no_room(self) -> None:
        """The full flag says that nothing is accepted, whatever the reason."""
        load, table = workload(ongoing_calls=2)
        self.assertEqual(load.told(0.0)[2], 0)
        table.calls = 2
        self.assertEqual(load.told(0.0)[2], FULL)
        table.calls = 0
        load.queue_delay_s = 0.2
        self.assertEqual(load.told(0.0)[2], FULL)
        self.assertEqual(load.occupancy(0.0), 1.0)

    def test_draining_accepts_nothing(self) -> None:
        """A draining node has no room although it is below its threshold, and says both."""
        load, _ = workload(ongoing_calls=2)
        load.draining = True
        self.assertFalse(load.room(0.0))
        self.assertEqual(load.occupancy(0.0), 0.0)
        self.assertEqual(load.told(0.0)[2], FULL | DRAINING)


class LateTests(SynchronousTestCase):
    """The flag of a node whose event loop is late."""

    def test_it_is_not_said_to_have_room_before_its_queue_is_gone(self) -> None:
        """The node itself accepts again below 200 ms, exactly; the others hear of it when it is below 50 ms."""
        load, _ = workload(ongoing_calls=4)
        for delay_s, room, full in [
            (0.0, True, False),
            (0.19, True, False),
            (0.2, False, True),
            (0.19, True, True),
            (0.05, True, True),
            (0.04, True, False),
            (0.1, True, False),
        ]:
            load.queue_delay_s = delay_s
            self.assertEqual((load.room(0.0), load.told(0.0)[2] == FULL), (room, full), delay_s)


class CapacityTests(SynchronousTestCase):
    """The weight of a node among the others, in calls."""

    def test_the_limit_of_calls_is_the_capacity(self) -> None:
        """A limit of calls is the capacity, whatever the rate."""
        self.assertEqual(workload(ongoing_calls=30, calls_per_second=1)[0].capacity(0.0), 30)

    def test_without_one_it_is_the_rate_times_the_holding_time(self) -> None:
        """By Little's law: calls per second times the measured mean duration."""
        load, _ = workload(calls_per_second=5)
        self.assertEqual(load.capacity(0.0), 5 * ASSUMED_HOLDING_S)
        load.call_ended(30.0)
        self.assertEqual(load.capacity(0.0), 150.0)

    def test_without_any_limit_it_is_a_thousand(self) -> None:
        """A node without limits still has a weight."""
        self.assertEqual(workload()[0].capacity(0.0), 1000)

    def test_the_holding_time_is_a_mean_that_forgets(self) -> None:
        """It is the plain mean at first, and follows a change within some hundred calls."""
        load, _ = workload(calls_per_second=1)
        for duration in (10.0, 20.0, 30.0):
            load.call_ended(duration)
        self.assertAlmostEqual(load.holding_s, 20.0)
        for _ in range(1000):
            load.call_ended(100.0)
        self.assertApproximates(load.holding_s, 100.0, 0.1)
