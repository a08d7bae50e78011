"""What is to be done later, in order of time: all the deadlines of one door behind one timer.

An entry is never taken out: what it was for may be over when its time comes, and it finds that out itself.  That is
for what there is little of; asks, of which there are thousands a second, keep their own deadlines
(:mod:`voipshift.group.asks`).  Pure.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable

#: A timer that fires by the clock's own rounding too early has fired.
_ROUNDING_S = 1e-6


class Agenda:
    """A heap of deadlines; ``next`` is the earliest, infinite when there is none."""

    __slots__ = ("_entries", "_number", "next")

    def __init__(self) -> None:
        self._entries: list[tuple[float, int, Callable[[float], None]]] = []
        self._number = 0
        self.next = math.inf

    def __len__(self) -> int:
        return len(self._entries)

    def at(self, when: float, act: Callable[[float], None]) -> None:
        """Have ``act(now)`` called at a time."""
        self._number += 1
        heapq.heappush(self._entries, (when, self._number, act))
        if when < self.next:
            self.next = when

    def due(self, now: float) -> None:
        """Do all whose time has come; none is told a time before its own."""
        entries = self._entries
        until = now + _ROUNDING_S
        while entries and entries[0][0] <= until:
            when, _, act = heapq.heappop(entries)
            act(max(now, when))
        self.next = entries[0][0] if entries else math.inf

    def clear(self) -> None:
        """Do nothing any more."""
        self._entries.clear()
        self.next = math.inf
