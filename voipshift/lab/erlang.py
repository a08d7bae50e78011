"""Erlang's loss formula: the blocking that no scheme can go below.

A.K. Erlang 1917; the recurrence is that of the Teletraffic Engineering Handbook (ITU-D Study Group 2), 7.3.  It holds
for any holding time distribution of that mean, as long as arrivals are Poisson and a refused call does not come back.
"""

from __future__ import annotations


def erlang_b(slots: int, offered: float) -> float:
    """The share of calls refused by a group of slots.

    :param slots: how many calls there is room for
    :param offered: offered load in erlangs: arrivals per second times mean holding time in seconds
    """
    if offered <= 0.0:
        return 0.0
    blocking = 1.0
    for slot in range(1, slots + 1):
        blocking = offered * blocking / (slot + offered * blocking)
    return blocking
