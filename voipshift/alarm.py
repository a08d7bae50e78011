"""One timer for many deadlines: a delayed call that rings no later than the earliest of them.

A door has thousands of deadlines and most are never reached.  It keeps them in pure structures and one :class:`Alarm`,
which is set again only when an earlier one comes up or when it rings.

Under load deadlines lie as close together as what they are for: five seconds after a thousand calls in one second a
thousand transactions end.  Each ring wakes the reactor, which costs many times what there is to do then, so after a
ring the alarm rests a little, and what becomes due meanwhile is worked off together.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall, IReactorTime

#: It does not ring more often: the shortest of the deadlines is five times as long, and nobody waits for their sum.
REST_S: Final = 0.01


class Alarm:
    """Rings when something may be due, up to :data:`REST_S` later when it has rung just before.

    :param clock: the reactor, or a test's clock
    :param ring: called with the time; works off what is due and returns the next deadline, :data:`math.inf` for none
    """

    __slots__ = ("_call", "_clock", "_rests_until", "_ring", "at")

    def __init__(self, clock: IReactorTime, ring: Callable[[float], float]) -> None:
        self._clock = clock
        self._ring = ring
        self._call: IDelayedCall | None = None
        self._rests_until = -math.inf
        #: When it will ring.
        self.at = math.inf

    def no_later_than(self, deadline: float) -> None:
        """Make sure that it rings at this time or before, unless it rests."""
        if deadline < self._rests_until:
            deadline = self._rests_until
        if deadline >= self.at:
            return
        self.at = deadline
        delay = max(0.0, deadline - self._clock.seconds())
        if self._call is None:
            self._call = self._clock.callLater(delay, self._due)
        else:
            self._call.reset(delay)

    def stop(self) -> None:
        """Never ring again, whatever comes up."""
        if self._call is not None:
            self._call.cancel()
            self._call = None
        self.at = -math.inf

    def _due(self) -> None:
        self._call = None
        self.at = math.inf
        now = self._clock.seconds()
        self._rests_until = now + REST_S
        deadline = now  # should ringing fail, it rings again for the rest of what is due
        try:
            deadline = self._ring(now)
        finally:
            self.no_later_than(deadline)
