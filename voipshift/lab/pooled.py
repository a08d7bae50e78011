"""The pooled group: one server with all the capacity, fed the same trace. No scheme can refuse fewer calls.

When a server dies, the pooled group loses its slots and a share of the calls in proportion, drawn at random: a pool
does not know which of its calls were there.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from random import Random
from typing import NamedTuple

from voipshift.lab.scenario import Scenario
from voipshift.lab.trace import Trace


class _Turn(NamedTuple):
    """From then on there are so many slots more or fewer; with the calls that were in them, when a server died."""

    at_s: float
    slots: int
    died: bool


def pooled_refusals(trace: Trace, scenario: Scenario) -> int:
    """How many of the counted calls the pooled group refuses."""
    random = Random(f"pooled {scenario.seed}")
    turns = _turns(scenario)
    ends: list[float] = []
    slots = sum(scenario.useful)
    refused = 0
    for number, (arrival, holding_s) in enumerate(zip(trace.arrivals, trace.holding_s, strict=True)):
        while ends and ends[0] <= arrival:
            heappop(ends)
        while turns and turns[-1].at_s <= arrival:
            turn = turns.pop()
            if turn.died:
                ends = [end for end in ends if random.random() * slots >= -turn.slots]
                heapify(ends)
            slots += turn.slots
        if len(ends) < slots:
            heappush(ends, arrival + holding_s)
        elif number >= trace.first_counted:
            refused += 1
    return refused


def _turns(scenario: Scenario) -> list[_Turn]:
    """What changes the number of slots, the last one first."""
    turns = []
    for outage in scenario.outages:
        slots = scenario.useful[outage.server]
        turns += [_Turn(outage.start_s, -slots, died=True), _Turn(outage.end_s, slots, died=False)]
    limits = list(scenario.useful)
    for change in sorted(scenario.changes, key=lambda change: change.at_s):
        turns.append(_Turn(change.at_s, change.slots - limits[change.server], died=False))
        limits[change.server] = change.slots
    return sorted(turns, reverse=True)
