"""What is measured of one policy, from the moment the group is in its steady state.

Every call is offered once and ends once: carried, refused, or lost with a server that died before its client came.
The servers are looked at each second: Jain's index of their utilisations, and the highest over the mean.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Protocol


class Carrier(Protocol):
    """A server, as far as it is measured."""

    limit: int
    calls: int
    up: bool


class Measures:
    """Counts of one policy.

    :ivar counting: the steady state was reached
    :ivar most_hops: the longest way of any attempt, carried or refused
    :ivar asks: how often servers asked others, and how many of those were for a call that was refused in the end
    :ivar needless: asks by a server without room to which every live member was flagged full
    """

    def __init__(self, first_counted: int) -> None:
        self.first_counted = first_counted
        self.offered = 0
        self.refused = 0
        self.lost = 0
        self.hops: Counter[int] = Counter()
        self.most_hops = 0
        self.needless = 0
        self.asks = 0
        self.asks_of_refused = 0
        self._asks: dict[int, int] = {}
        self._jain: list[float] = []
        self._over_mean: list[float] = []
        self._since_restart: dict[int, tuple[float, Counter[int]]] = {}

    def asked(self, number: int, visited: int, needless: bool) -> None:
        """A server asked another one for a call that had visited so many."""
        self.most_hops = max(self.most_hops, visited)
        if number >= self.first_counted:
            self.asks += 1
            self.needless += needless
            self._asks[number] = self._asks.get(number, 0) + 1

    def carried(self, number: int, hops: int) -> None:
        """A call found its server."""
        self._asks.pop(number, None)
        if number >= self.first_counted:
            self.offered += 1
            self.hops[hops] += 1

    def refuse(self, number: int) -> None:
        """A call found none."""
        self.asks_of_refused += self._asks.pop(number, 0)
        if number >= self.first_counted:
            self.offered += 1
            self.refused += 1

    def lose(self, number: int) -> None:
        """The server that had accepted it died before its client came."""
        self._asks.pop(number, None)
        if number >= self.first_counted:
            self.offered += 1
            self.lost += 1

    def restarted(self, server: int, now: float) -> None:
        """From now on its seconds are counted."""
        self._since_restart[server] = (now, Counter())

    def accepted(self, server: int, now: float) -> None:
        """A server took a call."""
        restart = self._since_restart.get(server)
        if restart is not None:
            restart[1][int(now - restart[0])] += 1

    def sample(self, servers: Sequence[Carrier]) -> None:
        """Look at the servers that are up and take calls at all."""
        used = [server.calls / server.limit for server in servers if server.up and server.limit]
        total = sum(used)
        if total > 0.0:
            self._jain.append(total * total / (len(used) * sum([each * each for each in used])))
            self._over_mean.append(max(used) * len(used) / total)

    @property
    def blocking(self) -> float:
        """The share of the offered calls that was refused."""
        return self.refused / self.offered if self.offered else 0.0

    def hops_mean(self) -> float:
        """How often a carried call had been forwarded."""
        carried = sum(self.hops.values())
        return sum(hops * count for hops, count in self.hops.items()) / carried if carried else 0.0

    def hops_p99(self) -> int:
        """99 of 100 carried calls had no more."""
        missing = math.ceil(0.99 * sum(self.hops.values()))
        for hops in sorted(self.hops):
            missing -= self.hops[hops]
            if missing <= 0:
                return hops
        return 0

    def jain(self) -> tuple[float, float]:
        """Mean and lowest of all seconds."""
        return (sum(self._jain) / len(self._jain), min(self._jain)) if self._jain else (1.0, 1.0)

    def max_over_mean(self) -> float:
        """The utilisation of the fullest server over the mean one, on average."""
        return sum(self._over_mean) / len(self._over_mean) if self._over_mean else 1.0

    def busiest(self, server: int, seconds: float) -> int | None:
        """The calls that a server took in its busiest second within that time after its restart."""
        restart = self._since_restart.get(server)
        if restart is None:
            return None
        return max((calls for second, calls in restart[1].items() if second < seconds), default=0)
