"""The criteria of a node's workload: each a measure, and the threshold at which it alone makes the node full.

There are the six that the method names.  Two of them are **exact**, for every decision changes them: ongoing calls,
and calls per second.  They are asked at each decision.  The others are **sampled**: data per second, clients, the
processor's load and the statistical model move on their own and more slowly, so they are measured every
:data:`SAMPLE_S` and a decision only looks at the largest of their last fractions.

A criterion is reported raw (:meth:`Criterion.raw`, in its own unit) and as a fraction of its threshold
(:meth:`Criterion.fraction`, 1.0 is full).  Its number is append-only, for it is sent.

What is measured by events in time is smoothed exponentially: a value that was measured ``t`` seconds ago weighs
``exp(-t / SMOOTHING_S)`` (R. G. Brown, Smoothing, Forecasting and Prediction of Discrete Time Series, 1963, chapter 7).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import IntEnum
from typing import ClassVar, Final, Protocol

#: How often what is sampled is measured.
SAMPLE_S = 0.1
#: How fast a smoothed measure forgets: a burst of a fraction of a second is no load, ten seconds of one are.
SMOOTHING_S: Final = 2.0
#: The bucket of calls per second holds one second of its rate, but never less than this: ten calls are no storm.
SMALLEST_BUCKET: Final = 10


class Number(IntEnum):
    """Which criterion; append-only."""

    ONGOING_CALLS = 1
    CALLS_PER_SECOND = 2
    DATA_PER_SECOND = 3
    CLIENTS = 4
    CPU_PERCENT = 5
    MODEL = 6


class Criterion(Protocol):
    """What makes a node full, by itself.

    :ivar number: which one
    :ivar threshold: at this raw value the node is full; ``math.inf`` is never
    """

    @property
    def number(self) -> Number: ...
    @property
    def threshold(self) -> float: ...
    def raw(self, now: float) -> float: ...
    def fraction(self, now: float) -> float: ...


class Sampled(Criterion, Protocol):
    """A criterion that is measured every :data:`SAMPLE_S`."""

    def sample(self, now: float) -> None: ...


class OngoingCalls:
    """Calls under way and open leases.

    Nothing is counted here: ``occupied`` derives the calls from the call table and the leases each time, so that
    there is no second count that could drift.
    """

    number: ClassVar[Number] = Number.ONGOING_CALLS
    __slots__ = ("occupied", "threshold")

    def __init__(self, threshold: float, occupied: Callable[[], int]) -> None:
        self.threshold = threshold
        self.occupied = occupied

    def raw(self, now: float) -> float:
        """How many there are."""
        return self.occupied()

    def fraction(self, now: float) -> float:
        """Of the threshold."""
        return self.occupied() / self.threshold


class CallsPerSecond:
    """Accepted calls in a second: a bucket of tokens, filled at the threshold's rate and emptied by one for each call.

    It is refilled when somebody looks at it, so it needs no timer.  Only whole tokens count, because a call takes a
    whole one: a bucket that holds less than one token is a fraction of 1.0, and nobody is told of room that is not
    there.  Calls that may use a reserve take it below zero, which is a fraction above 1.0.

    :param stored: how many calls it holds at the start, at most its size
    """

    number: ClassVar[Number] = Number.CALLS_PER_SECOND
    __slots__ = ("_bucket", "_filled", "_rate", "_size", "threshold")

    def __init__(self, threshold: float, now: float, stored: float = math.inf) -> None:
        self.threshold = threshold
        self._size = math.inf if threshold == math.inf else max(SMALLEST_BUCKET, int(threshold))
        self._bucket = min(stored, self._size)
        self._filled = now
        self._rate = Rate(now)

    def accepted(self, now: float) -> None:
        """One call was accepted."""
        self._rate.count(1.0, now)
        if self._size != math.inf:
            self._fill(now)
            self._bucket -= 1.0

    def raw(self, now: float) -> float:
        """How many calls a second are being accepted, smoothed."""
        return self._rate.per_second(now)

    def fraction(self, now: float) -> float:
        """The share of the bucket that is used up."""
        if now > self._filled:
            self._fill(now)
        return 1.0 - int(self._bucket) / self._size

    def _fill(self, now: float) -> None:
        if now > self._filled:
            self._bucket = min(self._size, self._bucket + (now - self._filled) * self.threshold)
            self._filled = now


class DataPerSecond:
    """Octets of signalling that came in and went out in a second, smoothed.

    :param octets: how many there were since the node started
    """

    number: ClassVar[Number] = Number.DATA_PER_SECOND
    __slots__ = ("_octets", "_rate", "_seen", "threshold")

    def __init__(self, threshold: float, octets: Callable[[], int], now: float) -> None:
        self.threshold = threshold
        self._octets = octets
        self._seen = octets()
        self._rate = Rate(now)

    def sample(self, now: float) -> None:
        """Count what was added since the last time."""
        octets = self._octets()
        self._rate.count(octets - self._seen, now)
        self._seen = octets

    def raw(self, now: float) -> float:
        """Octets per second."""
        return self._rate.per_second(now)

    def fraction(self, now: float) -> float:
        """Of the threshold."""
        return self._rate.per_second(now) / self.threshold


class Clients:
    """Clients of this node: registrations, and open connections.

    :param count: how many there are now
    """

    number: ClassVar[Number] = Number.CLIENTS
    __slots__ = ("_clients", "_count", "threshold")

    def __init__(self, threshold: float, count: Callable[[], int]) -> None:
        self.threshold = threshold
        self._count = count
        self._clients = 0

    def sample(self, now: float) -> None:
        """Count them."""
        self._clients = self._count()

    def raw(self, now: float) -> float:
        """How many there were at the last sample."""
        return self._clients

    def fraction(self, now: float) -> float:
        """Of the threshold."""
        return self._clients / self.threshold


class CpuPercent:
    """The processor's load, smoothed: that of the process, or of the whole host where that is higher.

    A node is one thread, so the process is measured against one processor and the host against all that it has.

    :param process: percent of one processor that this process used since it was last called
    :param host: percent of all processors that were in use since it was last called
    """

    number: ClassVar[Number] = Number.CPU_PERCENT
    __slots__ = ("_host", "_measured", "_process", "host", "process", "threshold")

    def __init__(self, threshold: float, process: Callable[[], float], host: Callable[[], float], now: float) -> None:
        self.threshold = threshold
        self._process = process
        self._host = host
        self._measured = now
        #: Smoothed percent of the process, and of the host.
        self.process = 0.0
        self.host = 0.0

    def sample(self, now: float) -> None:
        """Measure what was used since the last time."""
        if now <= self._measured:
            return
        weight = -math.expm1((self._measured - now) / SMOOTHING_S)
        self._measured = now
        self.process += weight * (self._process() - self.process)
        self.host += weight * (self._host() - self.host)

    def raw(self, now: float) -> float:
        """The higher of the two, in percent."""
        return max(self.process, self.host)

    def fraction(self, now: float) -> float:
        """Of the threshold."""
        return max(self.process, self.host) / self.threshold


class Rate:
    """Something counted in time, as its rate per second: an exponentially forgetting count.

    Each one counted ``t`` seconds ago contributes ``exp(-t / smoothing_s) / smoothing_s``, which sums to the rate of
    a steady stream.
    """

    __slots__ = ("_at", "_rate", "_smoothing_s")

    def __init__(self, now: float, smoothing_s: float = SMOOTHING_S) -> None:
        self._smoothing_s = smoothing_s
        self._rate = 0.0
        self._at = now

    def count(self, amount: float, now: float) -> None:
        """So many at this time."""
        self._forget(now)
        self._rate += amount / self._smoothing_s

    def per_second(self, now: float) -> float:
        """The rate at this time."""
        self._forget(now)
        return self._rate

    def _forget(self, now: float) -> None:
        if now > self._at:
            self._rate *= math.exp((self._at - now) / self._smoothing_s)
            self._at = now
