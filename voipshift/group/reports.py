"""When a node reports and how much of it fits: each T with some jitter, and at once at the edges.

An edge is what the others should not wait T for: full or not full, draining or not, an occupancy that moved by 5 %.
Edges are at least a gap apart, so that a node at its threshold does not flutter; but one that became full says so at
once, for until it does all others ask it in vain.  So there are two Reports in a gap at most.  Pure.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

from voipshift.group.messages import encode_report
from voipshift.interval import LARGE_GROUP as LARGE_GROUP
from voipshift.interval import report_interval_s as report_interval_s
from voipshift.node import Address, Load

#: A change of occupancy that is reported at once.
EDGE: Final = 0.05
#: The least time between two Reports, and in a large group.  Half a second is long in a group that is full: with 100
#: members 5 % more calls are refused at load 1.0 than with 0.1 s (the lab, seed 1).
GAP_S: Final = 0.1
GAP_LARGE_S: Final = 0.5
#: Reports come this much earlier or later than each T, so that a group does not speak in chorus.
JITTER = 0.1


def encode_fitting(
    space: int,
    fields: dict[int, Any],
    others: Sequence[tuple[str, Address]] = (),
    challenge: bytes = b"",
    echo: bytes = b"",
) -> bytes:
    """A Report that names as many others as there is space for.

    :param space: how many octets it may have
    """
    body = encode_report(fields, others, challenge, echo)
    while len(body) > space and others:
        others = others[:-1]
        body = encode_report(fields, others, challenge, echo)
    return body


class Schedule:
    """When this node reports; ``next`` is the time of the next Report, infinite before the first was asked for."""

    __slots__ = ("_interval_s", "_last", "_multicast", "_random", "_reported_at", "next")

    def __init__(self, *, interval_s: float, multicast: bool, random: Callable[[int], bytes]) -> None:
        self._interval_s = interval_s
        self._multicast = multicast
        self._random = random
        self._last: Load | None = None
        self._reported_at = -math.inf
        self.next = math.inf

    def edge_due(self, load: Load, members: int) -> float:
        """When that load is to be reported as an edge: at once is minus infinity, and infinity that it is none."""
        last = self._last
        if last is None or load.flags & ~last.flags:
            return -math.inf
        if load.flags == last.flags and abs(load.occupancy - last.occupancy) < EDGE:
            return math.inf
        return self._reported_at + (GAP_LARGE_S if members > LARGE_GROUP else GAP_S)

    def soon(self, now: float) -> None:
        """Something else than the workload changed that all should know."""
        self.next = min(self.next, max(now, self._reported_at + GAP_S))

    def reported(self, load: Load, members: int, now: float) -> None:
        """A Report went to all."""
        self._last = load
        self._reported_at = now
        share = int.from_bytes(self._random(2), "big") / 65535
        interval_s = report_interval_s(self._interval_s, members, self._multicast)
        self.next = now + interval_s * (1 - JITTER + 2 * JITTER * share)
