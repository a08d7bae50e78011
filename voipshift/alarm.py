"""One timer for many deadlines: a delayed call that rings no later than the earliest of them.

A door has thousands of deadlines and most are never reached.  It keeps them in pure structures and one :class:`Alarm`,
which is set again only when an earlier one comes up or when it rings.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall, IReactorTime


class Alarm:
    """Rings when something may be due.

    :param clock: the reactor, or a test's clock
    :param ring: called with the time; works off what is due and returns the next deadline, :data:`math.inf` for none
    """

    __slots__ = ("_call", "_clock", "_ring", "at")

    def __init__(self, clock: IReactorTime, ring: Callable[[float], float]) -> None:
        self._clock = clock
        self._ring = ring
        self._call: IDelayedCall | None = None
        #: When it will ring.
        self.at = math.inf

    def no_later_than(self, deadline: float) -> None:
        """Make sure that it rings at this time or before."""
        if deadline >= self.at:
            return
        self.at = deadline
        delay = max(0.0, deadline - self._clock.seconds())
        if self._call is None:
            self._call = self._clock.callLater(delay, self._due)
        else:
            self._call.reset(delay)

    def stop(self) -> None:
        """Never ring again."""
        if self._call is not None:
            self._call.cancel()
            self._call = None
        self.at = math.inf

    def _due(self) -> None:
        self._call = None
        self.at = math.inf
        self.no_later_than(self._ring(self._clock.seconds()))
