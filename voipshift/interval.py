"""T: how often a node reports, and from which silence on it is dead.

Above a hundred members Reports that go to each one alone would be a flood, so they slow down, and what waits for them
waits longer.  Nobody knows exactly how many members another one counts: who listens is patient from a smaller group on
than that from which the others speak more seldom, or a group of that size would think each other dead half of the time.
A member that is dead without having been asked then stays a candidate for 15 s and not 3; the first ask that it leaves
unanswered makes it suspect as ever.
"""

from __future__ import annotations

#: Above so many members unicast Reports slow down.
LARGE_GROUP = 100
LARGE_INTERVAL_S = 5.0
#: Above so many members that they may do so is expected.
PATIENT_GROUP = 90
#: A member is dead after so many intervals of silence.
DEAD_AFTER_INTERVALS = 3


def report_interval_s(configured_s: float, members: int, multicast: bool) -> float:
    """How often a node reports."""
    if multicast or members <= LARGE_GROUP:
        return configured_s
    return max(configured_s, LARGE_INTERVAL_S)


def silence_s(configured_s: float, members: int) -> float:
    """How long a member can say nothing and is not dead."""
    interval_s = configured_s if members <= PATIENT_GROUP else max(configured_s, LARGE_INTERVAL_S)
    return DEAD_AFTER_INTERVALS * interval_s
