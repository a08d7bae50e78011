"""A node's own workload: its criteria, and the occupancy that they make.

A criterion at its threshold is an occupancy of 1.0, the seed's predefined threshold (FIG. 4, steps 58 and 64); the
occupancy of the node is that of its fullest criterion (lines 2 and 13 of the rule).  What the criteria are is
:mod:`voipshift.balance.criteria`'s; each of them may be there or not.  Those that every decision changes are asked at
each decision, of the others the largest of the last sample counts.

A limit of 0 accepts nothing: the occupancy is 1.0 for ever and the capacity 0, so that the others never draw
this node, not even to probe it, while it can ask them (a pure portal).  ``math.inf`` is no limit.

Others see a flag beside the occupancy that says whether this node is full.  It has two watermarks: it is raised at
the high one and taken back only below the low one, so that a node at its threshold does not call the others to and
fro.  The node's own decision knows neither: it is exact.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from voipshift.balance.criteria import SMALLEST_BUCKET as SMALLEST_BUCKET
from voipshift.balance.criteria import CallsPerSecond, Criterion, OngoingCalls, Sampled
from voipshift.balance.estimate import Model
from voipshift.node import DRAINING, FULL

#: An event loop that runs this far behind has no room: past SIP's T1 (0.5 s) clients would repeat themselves.
QUEUE_DELAY_LIMIT_S: Final = 0.2
#: A node that was full stays flagged until its event loop is less late than this: one that is said to have room as soon
#: as it can take a single call gets the next ones of all others.
QUEUE_DELAY_CLEAR_S: Final = 0.05
#: One that is this late drops new calls unanswered: even to refuse one takes longer than its client waits.
DROP_DELAY_S: Final = 0.4
#: The weight of a node without any limit, in calls.
UNLIMITED_CAPACITY: Final = 1000.0
#: What a call is taken to last until the first one has ended.
ASSUMED_HOLDING_S = 120.0
#: What the bucket of calls per second holds when a node of a group starts.  Empty as it is, it draws the calls of all
#: others, and with a full bucket it would take a second's worth and another one in its first second.
STARTING_CALLS = 1
#: The mean holding time forgets: the newest call weighs at least one part in so many.
HOLDING_MEMORY: Final = 100


class Watermarks(NamedTuple):
    """Occupancies at which the full flag is raised, and below which it is taken back; ``low`` is at most ``high``."""

    high: float = 1.0
    low: float = 1.0


#: The full flag says whether there is room.
EXACT = Watermarks()


class Reserve(NamedTuple):
    """What is kept for emergency calls.

    :param ongoing_calls: the threshold of all other calls
    :param calls_per_second: theirs
    :param occupancy: up to which emergency calls are accepted, where 1.0 is the threshold of all others
    """

    ongoing_calls: float
    calls_per_second: float
    occupancy: float

    @classmethod
    def of(cls, ongoing_calls: float, calls_per_second: float, share: float) -> Reserve:
        """Keep a share of two thresholds; of calls at least one, where there are two."""
        if share <= 0.0:
            return cls(ongoing_calls, calls_per_second, 1.0)
        ordinary = ongoing_calls
        if 1 < ongoing_calls < math.inf:
            ordinary = max(1.0, float(math.floor(ongoing_calls * (1.0 - share))))
        return cls(
            ordinary,
            calls_per_second * (1.0 - share),
            ongoing_calls / ordinary if 0 < ordinary < math.inf else 1.0 / (1.0 - share),
        )


class Reading(NamedTuple):
    """One criterion at one moment: its number, its value in its own unit, and that as a fraction of its threshold."""

    criterion: int
    raw: float
    fraction: float


class Workload:
    """How full this node is.

    :param ongoing_calls: the threshold of calls and open leases together; ``math.inf`` for none, 0 accepts nothing
    :param calls_per_second: the threshold of accepted calls per second; ``math.inf`` for none, 0 accepts nothing
    :param occupied: how many calls and open leases there are at this moment
    :param now: the time at which it starts
    :param stored_calls: how many calls the bucket of calls per second holds then, at most its size
    :param sampled: the criteria that are measured now and then, by :meth:`sample`
    :param emergency_occupancy: up to which emergency calls are accepted; the other calls have room below 1.0
    :param watermarks: of the flag that others see
    """

    def __init__(
        self,
        *,
        ongoing_calls: float,
        calls_per_second: float,
        occupied: Callable[[], int],
        now: float,
        sampled: Sequence[Sampled] = (),
        watermarks: Watermarks = EXACT,
        emergency_occupancy: float = 1.0,
        stored_calls: float = math.inf,
    ) -> None:
        #: How late the event loop runs; the door that measures it writes it here.
        self.queue_delay_s = 0.0
        #: The operator wants this node empty: it accepts nothing more and nobody asks it.
        self.draining = False
        #: The measured mean duration of a call.
        self.holding_s = ASSUMED_HOLDING_S
        self.sampled = tuple(sampled)
        #: The statistical model, where it is one of the criteria.
        self.model = next((criterion for criterion in self.sampled if isinstance(criterion, Model)), None)
        self._watermarks = watermarks
        self._emergency_occupancy = emergency_occupancy
        self._full = False
        self._calls = OngoingCalls(ongoing_calls, occupied)
        self._rate = CallsPerSecond(calls_per_second, now, stored_calls)
        self._ended = 0
        #: The largest fraction of the last sample.
        self._fraction = 0.0
        self._arrange()

    @property
    def ongoing_calls(self) -> float:
        """The threshold of calls and leases; it may be changed while calls are going on."""
        return self._calls.threshold

    @ongoing_calls.setter
    def ongoing_calls(self, threshold: float) -> None:
        self._calls.threshold = threshold
        self._arrange()

    @property
    def calls_per_second(self) -> float:
        """The threshold of accepted calls per second."""
        return self._rate.threshold

    def occupancy(self, now: float) -> float:
        """The largest of the criteria as fractions of their thresholds; 1.0 and more is full."""
        if self._silent or self.queue_delay_s >= QUEUE_DELAY_LIMIT_S:
            return 1.0
        return self._largest(now)

    def _largest(self, now: float) -> float:
        occupancy = self._fraction
        for criterion in self._exact:
            fraction = criterion.fraction(now)
            if fraction > occupancy:
                occupancy = fraction
        return occupancy

    def told(self, now: float) -> tuple[float, float, int]:
        """What others are to know at this moment: the occupancy, the capacity and the flags of a Load.

        The occupancy is, with the model, not less than it will be when they next hear of it.  It never hides a slot
        that is free now.
        """
        occupancy = self.occupancy(now)
        return self._ahead(occupancy, now), self.capacity(now), self._flags(occupancy)

    def _ahead(self, occupancy: float, now: float) -> float:
        if self.model is None or occupancy >= 1.0:
            return occupancy
        limit = self._calls.threshold
        if limit == math.inf:  # what the model makes of it: so many calls are up at its rate
            if self.model.capacity is None:
                return occupancy
            limit = max(1.0, self.model.capacity * self.holding_s)
        ahead = self.model.calls_ahead(self._calls.raw(now), self.holding_s, now)
        return max(occupancy, min(ahead, limit - 1.0) / limit)

    def room(self, now: float) -> bool:
        """Whether this node could take one more call now: line 2 of the rule."""
        return self.room_at(self.occupancy(now))

    def room_at(self, occupancy: float) -> bool:
        """The same for whoever knows the occupancy of this moment."""
        return occupancy < 1.0 and not self.draining

    def emergency_room(self, now: float) -> bool:
        """Whether this node could take one more emergency call now: it may use what is reserved, and wait longer."""
        if self.draining or self._silent or self.queue_delay_s >= DROP_DELAY_S:
            return False
        return self._largest(now) < self._emergency_occupancy

    def _flags(self, occupancy: float) -> int:
        if self.draining:
            return FULL | DRAINING
        late = self._full and self.queue_delay_s >= QUEUE_DELAY_CLEAR_S
        self._full = late or occupancy >= self._watermarks[self._full]
        return FULL if self._full else 0

    def accepted(self, now: float) -> None:
        """One call was accepted."""
        self._rate.accepted(now)

    def capacity(self, now: float) -> float:
        """How many calls this node can carry at once, as its weight among the others."""
        if self._silent:
            return 0.0
        if self._calls.threshold != math.inf:
            return self._calls.threshold
        if self._rate.threshold != math.inf:
            return self._rate.threshold * self.holding_s
        if self.model is not None and self.model.capacity is not None:
            return self.model.capacity * self.holding_s
        return UNLIMITED_CAPACITY

    def call_ended(self, duration_s: float) -> None:
        """A call that this node carried ended: the mean holding time learns from it, and forgets the older ones."""
        self._ended += 1
        self.holding_s += (duration_s - self.holding_s) / min(self._ended, HOLDING_MEMORY)

    def sample(self, now: float) -> None:
        """Measure the criteria that are measured now and then."""
        largest = 0.0
        for criterion in self.sampled:
            criterion.sample(now)
            largest = max(largest, criterion.fraction(now))
        self._fraction = largest

    def readings(self, now: float) -> tuple[Reading, ...]:
        """Every criterion that has a threshold, raw and as a fraction of it."""
        return tuple(
            Reading(criterion.number, criterion.raw(now), criterion.fraction(now) if criterion.threshold else 1.0)
            for criterion in (*self._limited, *self.sampled)
        )

    def _arrange(self) -> None:
        """Sort out which criteria a decision has to ask: none without a threshold, and none once one is 0."""
        exact: tuple[Criterion, ...] = (self._calls, self._rate)
        self._limited = tuple(criterion for criterion in exact if criterion.threshold != math.inf)
        self._silent = any(criterion.threshold <= 0 for criterion in exact)
        self._exact = () if self._silent else self._limited
