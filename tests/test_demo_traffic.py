"""Calls at an even rate."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from voipshift.demo.traffic import Traffic


class TrafficTest(SynchronousTestCase):
    """So many calls, so many a second, whatever becomes of them."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.placed: list[tuple[float, int]] = []
        self.calls: list[Deferred[None]] = []

    def place(self, number: int) -> Deferred[None]:
        """Remember a call."""
        self.placed.append((self.clock.seconds(), number))
        self.calls.append(Deferred())
        return self.calls[-1]

    def run_(self, calls: int, rate: float) -> Deferred[None]:
        """Begin."""
        return Traffic(self.clock, calls=calls, rate=rate, place=self.place).run()

    def test_calls_are_evenly_spaced_and_the_first_is_placed_at_once(self) -> None:
        over = self.run_(4, 50.0)
        self.clock.pump([0.01] * 10)
        self.assertEqual(
            [(round(at, 2), number) for at, number in self.placed], [(0.0, 0), (0.02, 1), (0.04, 2), (0.06, 3)]
        )
        self.assertNoResult(over)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_it_is_over_when_the_last_call_ended(self) -> None:
        over = self.run_(3, 1000.0)
        self.clock.pump([0.001] * 4)
        for call in reversed(self.calls[1:]):
            call.callback(None)
        self.assertNoResult(over)
        self.calls[0].callback(None)
        self.successResultOf(over)

    def test_a_late_timer_loses_no_calls(self) -> None:
        self.run_(100, 50.0)
        self.clock.advance(1.0)
        self.assertEqual(len(self.placed), 51)
        self.clock.advance(0.98)
        self.assertEqual(len(self.placed), 100)

    def test_no_calls_are_over_at_once(self) -> None:
        self.successResultOf(self.run_(0, 50.0))

    def test_cancelling_places_no_further_call(self) -> None:
        over = self.run_(100, 50.0)
        over.cancel()
        self.failureResultOf(over, CancelledError)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        for call in self.calls:
            call.callback(None)
