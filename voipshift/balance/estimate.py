"""The statistical model: what this node could carry, learnt from what it has been seen to do.

**Capacity.**  The utilisation law (P. J. Denning and J. P. Buzen, The Operational Analysis of Queueing Network Models,
ACM Computing Surveys 10(3), 1978) says that a resource which serves ``x`` calls per second, each of which needs ``b``
seconds of it, is busy for the share ``b * x`` of the time.  With ``a`` for what it does without any call, the share
that is seen in each second is::

    y = a + b * x + noise

``a`` and ``b`` are the line of least squares through all seconds, one that is ``t`` old weighing ``exp(-t / MEMORY_S)``
(L. Ljung, System Identification, 2nd edition, section 11.2: recursive least squares with exponential forgetting; here
by its weighted sums).  The capacity is where the line reaches the share ``y*`` that the operator allows::

    c = (y* - a) / b

**How sure it is.**  The standard error of ``c`` is that of an inverse regression (N. R. Draper and H. Smith, Applied
Regression Analysis, 3rd edition, section 3.2)::

    e = s / b * sqrt(1 / n + (c - mean x)^2 / sum (x - mean x)^2)

with ``s`` the standard deviation of the noise and ``n`` the weight of all seconds.  The estimate's *sureness* is
``1 - 2 e / c``: 1 when nothing is left open, 0 when the interval of 95 % is as wide as the capacity itself.  Below
:data:`SURE` the model says nothing.

**Saturation.**  Where the event loop falls behind although the line sees room (a disk, a busy host), the rate of that
second is more than the node can do, and is a ceiling for what the line says.  The ceiling is never lowered below half
of what was believed, and rises again by ``exp(t / CEILING_S)``: down fast, up slowly, as D.-M. Chiu and R. Jain have
shown it to be needed (Analysis of the Increase and Decrease Algorithms, Computer Networks and ISDN Systems 17, 1989).

**Forecast.**  Calls that come as a Poisson stream of rate ``r`` and last ``h`` on average are, ``t`` from now, on
average (S. G. Eick, W. A. Massey and W. Whitt, The Physics of the M(t)/G/inf Queue, Operations Research 41(4), 1993)::

    n(t) = n * exp(-t / h) + r * h * (1 - exp(-t / h))

The model is one criterion among the others and occupancy their largest, so that it can only make a node accept less:
every limit that is configured, and that of the queue delay, holds whatever the model says.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar

from voipshift.balance.criteria import Number, Rate

#: How long a second is remembered: some minutes, so that a host that changes is learnt again.
MEMORY_S = 300.0
#: How long a ceiling takes to rise to its e-fold.
CEILING_S = 60.0
#: The least sureness with which the model speaks.
SURE = 0.5
#: It does not speak on fewer seconds than this, however well they lie on a line.
FEWEST_SECONDS = 20.0
#: One observation.
OBSERVE_S = 1.0
#: From this queue delay on a second counts as saturated: that of the rule.
SATURATED_S = 0.2
#: A ceiling is never lower than this, in calls per second: a node that is asked nothing would never learn better.
LOWEST_CEILING = 1.0
#: The measured share is in ticks of a hundredth of a second: its noise is not believed to be smaller.
LEAST_NOISE = 0.005


class Estimate:
    """The line through what was observed.

    :param target: the share of the processor, 0 to 1, that the operator allows
    :ivar ceiling: calls per second that were too many, ``math.inf`` where none were
    """

    __slots__ = ("_at", "_n", "_target", "_x", "_xx", "_xy", "_y", "_yy", "ceiling")

    def __init__(self, target: float, now: float) -> None:
        self.ceiling = math.inf
        self._target = target
        self._at = now
        #: The weighted sums of 1, x, y, x x, x y and y y.
        self._n = self._x = self._y = self._xx = self._xy = self._yy = 0.0

    def observe(self, calls_per_second: float, busy: float, queue_delay_s: float, now: float) -> None:
        """One second.

        :param calls_per_second: that were accepted
        :param busy: the share of the processor that was used
        :param queue_delay_s: the longest of that second
        """
        age_s = max(0.0, now - self._at)
        self._at = now
        self.ceiling *= math.exp(age_s / CEILING_S)
        if queue_delay_s >= SATURATED_S:
            believed = self.capacity
            half = LOWEST_CEILING if believed is None else max(LOWEST_CEILING, believed / 2)
            self.ceiling = min(self.ceiling, max(half, calls_per_second))
            return  # what a saturated second shows is its saturation: it does not lie on the line
        kept = math.exp(-age_s / MEMORY_S)
        x, y = calls_per_second, busy
        self._n = kept * self._n + 1.0
        self._x = kept * self._x + x
        self._y = kept * self._y + y
        self._xx = kept * self._xx + x * x
        self._xy = kept * self._xy + x * y
        self._yy = kept * self._yy + y * y

    @property
    def capacity(self) -> float | None:
        """Calls per second that this node can accept; None while the model is not sure."""
        capacity, sureness = self.line()
        if sureness < SURE:
            capacity = math.inf
        capacity = min(capacity, self.ceiling)
        return None if capacity == math.inf else capacity

    @property
    def sureness(self) -> float:
        """0 to 1."""
        return self.line()[1]

    def line(self) -> tuple[float, float]:
        """The capacity by the line alone, and how sure that is."""
        n = self._n
        if n < FEWEST_SECONDS:
            return math.inf, 0.0
        mean_x, mean_y = self._x / n, self._y / n
        spread = self._xx - n * mean_x * mean_x
        covered = self._xy - n * mean_x * mean_y
        if spread <= 1e-9 * self._xx or covered <= 0.0:
            return math.inf, 0.0  # always the same rate, or no dearer with more calls: there is no line
        slope = covered / spread
        capacity = (self._target - mean_y) / slope + mean_x
        if capacity <= 0.0:
            return LOWEST_CEILING, 0.0  # it is busy with other things than calls: not the model's business
        residual = max(0.0, self._yy - n * mean_y * mean_y - slope * covered) / (n - 2.0)
        noise = max(LEAST_NOISE, math.sqrt(residual))
        error = noise / slope * math.sqrt(1.0 / n + (capacity - mean_x) ** 2 / spread)
        return capacity, max(0.0, 1.0 - 2.0 * error / capacity)


def calls_after(calls: float, calls_per_second: float, holding_s: float, after_s: float) -> float:
    """How many calls there will be on average."""
    stay = math.exp(-after_s / holding_s) if holding_s > 0.0 else 0.0
    return calls * stay + calls_per_second * holding_s * (1.0 - stay)


class Model:
    """The criterion of the statistical model: the rate of accepted calls against the capacity that was estimated.

    :param threshold: percent of one processor that the operator allows
    :param accepted: how many calls were accepted since the node started
    :param busy: percent of one processor that were used since it was last called
    :param queue_delay_s: how late the event loop is
    :param horizon_s: how old what others know of this node becomes: its report interval
    """

    number: ClassVar[Number] = Number.MODEL

    def __init__(
        self,
        threshold: float,
        *,
        accepted: Callable[[], int],
        busy: Callable[[], float],
        queue_delay_s: Callable[[], float],
        horizon_s: float,
        now: float,
    ) -> None:
        self.threshold = threshold
        self.horizon_s = horizon_s
        self.estimate = Estimate(threshold / 100.0, now)
        self._accepted = accepted
        self._busy = busy
        self._queue_delay_s = queue_delay_s
        self._rate = Rate(now)
        self._seen = 0
        self._since = now
        self._seen_since = 0
        self._longest_s = 0.0
        self._capacity: float | None = None

    @property
    def capacity(self) -> float | None:
        """Calls per second, as of the last second; None while the model is not sure."""
        return self._capacity

    @property
    def sureness(self) -> float:
        """0 to 1."""
        return self.estimate.sureness

    def sample(self, now: float) -> None:
        """Look at what was accepted; once in a second, learn of it."""
        accepted = self._accepted()
        self._rate.count(accepted - self._seen, now)
        self._seen = accepted
        self._longest_s = max(self._longest_s, self._queue_delay_s())
        elapsed_s = now - self._since
        if elapsed_s >= OBSERVE_S:
            rate = (accepted - self._seen_since) / elapsed_s
            self.estimate.observe(rate, self._busy() / 100.0, self._longest_s, now)
            self._capacity = self.estimate.capacity
            self._since, self._seen_since, self._longest_s = now, accepted, 0.0

    def raw(self, now: float) -> float:
        """Accepted calls per second, smoothed."""
        return self._rate.per_second(now)

    def fraction(self, now: float) -> float:
        """Of the capacity; 0 while the model is not sure."""
        return 0.0 if self._capacity is None else self._rate.per_second(now) / self._capacity

    def calls_ahead(self, calls: float, holding_s: float, now: float) -> float:
        """How many calls there will be at the end of the report interval."""
        return calls_after(calls, self._rate.per_second(now), holding_s, self.horizon_s)
