"""A node's own workload: the criteria, their thresholds, and the occupancy that they make.

A criterion at its threshold is an occupancy of 1.0, the seed's predefined threshold (FIG. 4, steps 58 and 64);
the occupancy of the node is that of its fullest criterion (lines 2 and 13 of the rule).  There are two
criteria: ongoing calls, leases included, and calls per second.  Nothing is counted here: ``occupied`` derives
the calls from the call table and the leases each time it is asked, so that there is no second count that could
drift.

Calls per second is a bucket of tokens, filled at the threshold's rate and emptied by one for each accepted
call.  It is refilled when somebody looks at it, so it needs no timer.  Only whole tokens count, because a call
takes a whole one: a bucket that holds less than one token is an occupancy of 1.0, and nobody is told of room
that is not there.

A limit of 0 accepts nothing: the occupancy is 1.0 for ever and the capacity 0, so that the others never draw
this node, not even to probe it, while it can ask them (a pure portal).  ``math.inf`` is no limit.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from voipshift.node import DRAINING, FULL

#: The bucket holds one second of its rate, but never less than this: ten calls at once are no storm.
SMALLEST_BUCKET = 10
#: An event loop that runs this far behind has no room: past SIP's T1 (0.5 s) clients would repeat themselves.
QUEUE_DELAY_LIMIT_S = 0.2
#: The weight of a node without any limit, in calls.
UNLIMITED_CAPACITY = 1000.0
#: What a call is taken to last until the first one has ended.
ASSUMED_HOLDING_S = 120.0
#: The mean holding time forgets: the newest call weighs at least one part in so many.
HOLDING_MEMORY = 100


class Workload:
    """How full this node is.

    :param ongoing_calls: the threshold of calls and open leases together; ``math.inf`` for none, 0 accepts nothing
    :param calls_per_second: the threshold of accepted calls per second; ``math.inf`` for none, 0 accepts nothing
    :param occupied: how many calls and open leases there are at this moment
    :param now: the time at which the bucket is full
    """

    __slots__ = (
        "calls_per_second",
        "draining",
        "holding_s",
        "ongoing_calls",
        "queue_delay_s",
        "_bucket",
        "_bucket_size",
        "_ended",
        "_filled",
        "_occupied",
        "_silent",
    )

    def __init__(
        self, *, ongoing_calls: float, calls_per_second: float, occupied: Callable[[], int], now: float
    ) -> None:
        self.ongoing_calls = ongoing_calls
        self.calls_per_second = calls_per_second
        #: How late the event loop runs; the door that measures it writes it here.
        self.queue_delay_s = 0.0
        #: The operator wants this node empty: it accepts nothing more and nobody asks it.
        self.draining = False
        #: The measured mean duration of a call.
        self.holding_s = ASSUMED_HOLDING_S
        self._occupied = occupied
        self._silent = ongoing_calls <= 0 or calls_per_second <= 0
        self._bucket_size = math.inf if calls_per_second == math.inf else max(SMALLEST_BUCKET, int(calls_per_second))
        self._bucket = float(self._bucket_size)
        self._filled = now
        self._ended = 0

    def occupancy(self, now: float) -> float:
        """The largest of the criteria as fractions of their thresholds; 1.0 and more is full."""
        if self._silent or self.queue_delay_s >= QUEUE_DELAY_LIMIT_S:
            return 1.0
        occupancy = self._occupied() / self.ongoing_calls
        if self.calls_per_second != math.inf:
            self._fill(now)
            occupancy = max(occupancy, 1.0 - int(self._bucket) / self._bucket_size)
        return occupancy

    def room(self, now: float) -> bool:
        """Whether this node could take one more call now: line 2 of the rule."""
        return not self.draining and self.occupancy(now) < 1.0

    def flags(self, now: float) -> int:
        """What a :class:`~voipshift.node.Load` of this moment has to be flagged with."""
        if self.draining:
            return FULL | DRAINING
        return 0 if self.room(now) else FULL

    def accepted(self, now: float) -> None:
        """One call was accepted: it takes a token of the bucket."""
        if self.calls_per_second != math.inf:
            self._fill(now)
            self._bucket -= 1.0

    def capacity(self, now: float) -> float:
        """How many calls this node can carry at once, as its weight among the others."""
        if self._silent:
            return 0.0
        if self.ongoing_calls != math.inf:
            return self.ongoing_calls
        if self.calls_per_second != math.inf:
            return self.calls_per_second * self.holding_s
        return UNLIMITED_CAPACITY

    def call_ended(self, duration_s: float) -> None:
        """A call that this node carried ended: the mean holding time learns from it, and forgets the older ones."""
        self._ended += 1
        self.holding_s += (duration_s - self.holding_s) / min(self._ended, HOLDING_MEMORY)

    def _fill(self, now: float) -> None:
        if now > self._filled:
            self._bucket = min(self._bucket_size, self._bucket + (now - self._filled) * self.calls_per_second)
            self._filled = now
