"""How much less a node wants to be sent while its group refuses calls: the figure behind the ``oc`` of RFC 7339.

What is to be told is the share of the calls that would be sent if nobody held back, while what is seen is only what
came.  So the share that may come is followed, second by second, by what was seen of its last value::

    offered, refused    call attempts of the last second, and those of them that were refused
    refused > 0         share <- share * max(1 - refused / offered, 1/2)
    refused = 0         share <- share + 1/20

That is the loss-based control of RFC 7339 section 6.3 with the admitted share as the measure of the load, after the
occupancy algorithm of Hilt and Widjaja ("Controlling Overload in Networks of SIP Servers", ICNP 2008), in which the
share is multiplied by target over measured load: for a node that admits exactly up to its thresholds, the admitted
share is that quotient.  It grows by steps and falls by what is too much, so that it stays near the load that is
admitted, on the side of a few refusals: nothing that could be carried is kept away.  At least a twentieth is always
let through, without which it would not be seen that there is room again.  Pure.
"""

from __future__ import annotations

from collections.abc import Callable

#: Between two looks, long enough to have seen some calls.
INTERVAL_S = 1.0
#: What the share grows by in an interval without a refusal.
STEP = 0.05
#: What it falls to at most in one interval: a second in which all were refused may have been an accident.
MOST_FALL = 0.5
#: What is always let through.
LEAST = 0.05


class Restraint:
    """Follows the share of the calls that may come.

    :param attempts: how many call attempts came here so far
    :param refused: how many of them were refused
    """

    def __init__(self, *, attempts: Callable[[], int], refused: Callable[[], int], now: float) -> None:
        self._attempts = attempts
        self._refused = refused
        self._share = 1.0
        self._looked = now
        self._seen = (0, 0)

    def percent(self, now: float) -> int:
        """How many of a hundred calls are too many at present."""
        passed = int((now - self._looked) / INTERVAL_S)
        if passed > 0:
            self._looked = now
            self._follow(passed)
        return round(100 * (1.0 - self._share))

    def _follow(self, passed: int) -> None:
        attempts, refused = self._attempts(), self._refused()
        offered, too_many = attempts - self._seen[0], refused - self._seen[1]
        self._seen = (attempts, refused)
        if too_many > 0:
            fall = max(1.0 - too_many / max(offered, too_many), MOST_FALL)
            self._share = max(LEAST, self._share * fall)
        else:
            self._share = min(1.0, self._share + STEP * passed)
