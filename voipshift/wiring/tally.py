"""What a part of the node dropped or refused, told the operator: a line of the log a minute, where there is something.

::

    H.323 dropped or refused: connections: 12 no call within 10 s, 3 no TPKT; RAS: 40 too many from one address

The rooms count, by reasons of their own choosing; this looks at their counters and tells by how much they have grown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from twisted.logger import Logger

from voipshift.alarm import Alarm

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

#: Between two looks.
LOOK_S = 60.0
#: Reasons of one counter that are told, the most frequent first.
MOST_REASONS = 5


class Tally:
    """Looks at counters.

    :param whose: what the line begins with
    :param counters: by what they count
    """

    def __init__(self, clock: IReactorTime, whose: str, counters: Mapping[str, Counter[str]]) -> None:
        self._clock = clock
        self._whose = whose
        self._counters = counters
        self._told: dict[str, Counter[str]] = {name: Counter() for name in counters}
        self._alarm = Alarm(clock, self._due)
        self._log = Logger(__name__)

    def start(self) -> None:
        """Begin to look."""
        self._alarm.no_later_than(self._clock.seconds() + LOOK_S)

    def stop(self) -> None:
        """Tell what is left, and look no more."""
        self._alarm.stop()
        self._tell()

    def _due(self, now: float) -> float:
        self._tell()
        return now + LOOK_S

    def _tell(self) -> None:
        parts = []
        for name, counter in self._counters.items():
            grown = counter - self._told[name]
            if grown:
                self._told[name] = counter.copy()
                reasons = ", ".join(f"{count} {reason}" for reason, count in grown.most_common(MOST_REASONS))
                others = grown.total() - sum(count for _, count in grown.most_common(MOST_REASONS))
                parts.append(f"{name}: {reasons}" + (f", {others} for other reasons" if others else ""))
        if parts:
            self._log.warn("{whose} dropped or refused: {parts}", whose=self._whose, parts="; ".join(parts))
