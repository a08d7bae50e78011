"""The leases of a node whose clients do not come: closed when their time is over, many at a time.

Leases lapse in the order in which they were granted, as close together as the attempts that they were for.  One event
for each would cost more than the lease did, so what lapses within a tenth of a second lapses together, and the entries
are told in as few datagrams.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from twisted.internet.interfaces import IReactorTime

from voipshift.alarm import Alarm
from voipshift.balance.leases import Lease, Leases

#: A slot is held so much longer than its client has time to come: a hundredth.
TOGETHER_S: Final = 0.1


class Lapsing:
    """Watches the leases of a node.

    :param lapsed: told of those that were closed
    """

    def __init__(self, clock: IReactorTime, leases: Leases, lapsed: Callable[[list[Lease]], None]) -> None:
        self._leases = leases
        self._lapsed = lapsed
        self._alarm = Alarm(clock, self._due)

    def watch(self) -> None:
        """A lease may have been granted."""
        # Later ones lapse later: while the alarm is set, it is set early enough.
        if self._alarm.at == math.inf and len(self._leases):
            self._alarm.no_later_than(self._next())

    def stop(self) -> None:
        """Close none any more."""
        self._alarm.stop()

    def _next(self) -> float:
        deadline = self._leases.next_deadline()
        return math.inf if deadline is None else deadline + TOGETHER_S

    def _due(self, now: float) -> float:
        lapsed = self._leases.lapse(now)
        if lapsed:
            self._lapsed(lapsed)
        return self._next()
