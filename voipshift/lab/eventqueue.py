"""Simulated time: what happens next, and when."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

from twisted.python.failure import Failure


class EventQueue:
    """Events in the order of their time, and those of one time in the order in which they were put in.

    :ivar now: simulated seconds
    """

    __slots__ = ("_events", "_fault", "_number", "now")

    def __init__(self) -> None:
        self.now = 0.0
        self._events: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._number = 0
        self._fault: Failure | None = None

    def at(self, time: float, act: Callable[..., None], *arguments: Any) -> None:
        """Have something happen then."""
        self._number += 1
        heappush(self._events, (time, self._number, act, arguments))

    def time(self) -> float:
        """The simulated time, for those who take it as a callable."""
        return self.now

    def run(self, until: float) -> None:
        """Let everything happen up to a time, which it then is.

        :raises Exception: what an event's chain of Deferreds ended with and nobody expected
        """
        events = self._events
        while events and events[0][0] <= until:
            self.now, _, act, arguments = heappop(events)
            act(*arguments)
        self.now = until
        if self._fault is not None:
            self._fault.raiseException()

    def surfaced(self, fault: Failure) -> None:
        """A failure that is no outcome but a fault of the simulation."""
        self._fault = fault
