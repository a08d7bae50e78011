"""The traffic: when each call arrives, how long it lasts, whom its client knows. One seed, one trace for all policies.

Arrivals, holding times and entries are drawn from three streams of the seed, so that scenarios that differ in one of
them still share the others.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import accumulate, repeat
from random import Random

from voipshift.lab.scenario import Bursts, Scenario


class Trace:
    """All calls of one experiment, in order of arrival.

    :ivar arrivals: in simulated seconds
    :ivar holding_s: how long each lasts if it is carried
    :ivar entries: the server that its client knows
    :ivar first_counted: the first call that is counted
    """

    def __init__(self, scenario: Scenario) -> None:
        times, lengths, clients = (Random(f"{stream} {scenario.seed}") for stream in ("times", "lengths", "clients"))
        calls = scenario.calls
        gaps_s = map(times.expovariate, repeat(scenario.calls_per_s, calls))
        self.arrivals = list(accumulate(gaps_s))
        if scenario.bursts is not None:
            self.arrivals = [_bunched(arrival, scenario.bursts) for arrival in self.arrivals]
        self.holding_s = [scenario.holding.draw(lengths) for _ in range(calls)]
        bounds = list(accumulate(scenario.entry_shares))
        self.entries = [bisect_right(bounds, clients.random() * bounds[-1]) for _ in range(calls)]
        self.first_counted = bisect_left(self.arrivals, scenario.counted_from_s)

    def __len__(self) -> int:
        return len(self.arrivals)


def _bunched(arrival: float, bursts: Bursts) -> float:
    """Bend time so that steady arrivals come in bursts, as many as before in each period."""
    periods, rest = divmod(arrival, bursts.every_s)
    inside = bursts.factor * bursts.length_s
    if rest < inside:
        rest /= bursts.factor
    else:
        rest = bursts.length_s + (rest - inside) * (bursts.every_s - bursts.length_s) / (bursts.every_s - inside)
    return periods * bursts.every_s + rest
