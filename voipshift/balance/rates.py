"""Balancing rates: the rule ``rate``, for groups whose processors are the narrow place.

A call costs processor time when it is set up, in milliseconds, while what is known of another node is up to a report
interval old, hundreds of such times.  A load figure of that age says nothing about the queue there now, and whoever
sends all calls to the processor that was idlest a second ago makes it the busiest.  What does hold for a second is a
*rate*.  So every node reports the load offered at its entry, smoothed over some seconds, and shifts what it is offered
above its share of the group's mean, to those who are offered less, in proportion to what each lacks::

    share(i)    = capacity(i) / sum of capacities * sum of offered
    at the entry s, with probability (offered(s) - share(s)) / offered(s), where that is above 0:
                  shift to k, drawn with weight max(0, share(k) - offered(k)) * locality(k)
    else          keep

All nodes reckon with the same figures, so that what they shift adds up: the surpluses of all are what the others lack,
and each k is sent what it lacks, by everybody together.  What is offered counts where the client came in, whoever
carries it then, and an attempt that was shifted is not shifted again; else each shift would change what the next one is
reckoned from.

Where a node has no room the other lines of the rule hold: it asks whoever is believed to have some.  Pure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING

from voipshift.balance.members import Member, Members
from voipshift.balance.policy import Selection
from voipshift.balance.workload import Workload

if TYPE_CHECKING:
    from voipshift.config import BalanceSettings

#: What a rate is smoothed over: long against a report interval, short against how traffic changes.
SMOOTHING_S = 5.0
#: How long shares hold once they were reckoned: short against the reports that they come from, so that a node that is
#: offered hundreds of calls a second does not reckon for each.
RECKONED_FOR_S = 0.1


class Offered:
    """A rate of events, those of the last seconds weighing most: each weighs ``exp(-age / SMOOTHING_S)``."""

    __slots__ = ("_at", "_since", "_sum")

    def __init__(self, now: float) -> None:
        self._since = now
        self._at = now
        self._sum = 0.0

    def count(self, now: float) -> None:
        """One event."""
        self._sum = self._sum * math.exp((self._at - now) / SMOOTHING_S) + 1.0
        self._at = now

    def per_second(self, now: float) -> float:
        """The rate; of a node that has just started that of the time since, but of one second at least."""
        seen = SMOOTHING_S * (1.0 - math.exp((self._since - now) / SMOOTHING_S))
        return self._sum * math.exp((self._at - now) / SMOOTHING_S) / max(seen, 1.0)


class Rates:
    """What is offered at the entries of the group, and what of it is to be shifted from here.

    :param members: what the others report
    :param workload: this node's, for its capacity
    """

    def __init__(self, *, members: Members, workload: Workload, now: float) -> None:
        self._members = members
        self._workload = workload
        self._offered = Offered(now)
        self._reckoned_until = -math.inf
        self._door = ""
        self._surplus = 0.0
        self._lacking: Sequence[tuple[Member, float]] = ()

    def count(self, now: float) -> None:
        """A client's attempt came in here."""
        self._offered.count(now)

    def offered(self, now: float) -> float:
        """Attempts that clients make here in a second."""
        return self._offered.per_second(now)

    def draw(self, door: str, now: float, random: Random, selection: Selection | None) -> Member | None:
        """Whom one attempt of a client is to be shifted to; None where it stays."""
        if now >= self._reckoned_until or door != self._door:
            self._reckon(door, now)
        if random.random() >= self._surplus:
            return None
        lacking = self._lacking
        if selection is not None:
            weight = selection.weight
            lacking = [(member, lack * weight(member)) for member, lack in lacking if selection.allows(member)]
        point = random.random() * math.fsum(lack for _, lack in lacking)
        drawn = None
        for member, lack in lacking:
            if member.full or member.suspect:
                continue
            drawn = member
            point -= lack
            if point < 0.0:
                break
        return drawn

    def _reckon(self, door: str, now: float) -> None:
        self._door = door
        self._reckoned_until = now + RECKONED_FOR_S
        here, capacity = self.offered(now), self._workload.capacity(now)
        told = [(member, member.offered) for member in self._members.live(door, now) if not member.full]
        others = [(member, offered) for member, offered in told if offered is not None]
        offered = here + math.fsum(offered for _, offered in others)
        capacities = capacity + math.fsum(member.load.capacity for member, _ in others)
        mean = offered / capacities if capacities > 0.0 else 0.0
        lacks = [(member, mean * member.load.capacity - offered) for member, offered in others]
        self._surplus = 1.0 - mean * capacity / here if here > 0.0 else 0.0
        self._lacking = [(member, lack) for member, lack in lacks if lack > 0.0]


def rates_of(settings: BalanceSettings, members: Members, workload: Workload, now: float) -> Rates | None:
    """What the rule of a configuration needs: None where that is not ``rate``."""
    return Rates(members=members, workload=workload, now=now) if settings.rule == "rate" else None
