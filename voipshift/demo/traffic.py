"""Calls placed one after another at an even rate."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime


class Traffic:
    """So many calls, so many a second, whatever becomes of them.

    Each call has its own due time, counted from the start, so that a late timer delays calls and never loses rate.

    :param place: begins the call of that number and fires when it has ended; it must not fail
    """

    def __init__(self, clock: IReactorTime, *, calls: int, rate: float, place: Callable[[int], Deferred[None]]) -> None:
        self._clock = clock
        self._calls = calls
        self._rate = rate
        self._place = place
        self._placed = 0
        self._ended = 0
        self._began = 0.0
        self._next: IDelayedCall | None = None
        self._finished: Deferred[None] = Deferred(lambda _: self._stop())

    def run(self) -> Deferred[None]:
        """Begin; fires when the last call has ended.  Cancelling it places no further call."""
        self._began = self._clock.seconds()
        self._place_due()
        return self._finished

    def _place_due(self) -> None:
        self._next = None
        due = int((self._clock.seconds() - self._began) * self._rate + 1e-9) + 1
        while self._placed < min(due, self._calls):
            self._placed += 1
            self._place(self._placed - 1).addCallback(self._call_ended)
        if self._placed < self._calls:
            wait_s = self._began + self._placed / self._rate - self._clock.seconds()
            self._next = self._clock.callLater(max(0.0, wait_s), self._place_due)
        elif not self._calls:
            self._finished.callback(None)

    def _call_ended(self, _: None) -> None:
        self._ended += 1
        if self._ended == self._calls and not self._finished.called:
            self._finished.callback(None)

    def _stop(self) -> None:
        if self._next is not None and self._next.active():
            self._next.cancel()
