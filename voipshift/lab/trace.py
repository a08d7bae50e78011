"""The traffic: when each call arrives, how long it lasts, whom its client knows. One seed, one trace for all policies.

Arrivals, holding times and entries are drawn from three streams of the seed, so that scenarios that differ in one of
them still share the others.

Of 200 000 calls the offered load would be off by 0.3 % or so, which at full load is a tenth of the blocking.  So
arrivals and holding times are stretched to have exactly the mean that they are meant to have: given their number and
the time, Poisson arrivals are just as likely anywhere.
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
        arrivals = list(accumulate(gaps_s))
        stretch = calls / scenario.calls_per_s / arrivals[-1]
        self.arrivals = [arrival * stretch for arrival in arrivals]
        if scenario.bursts is not None:
            self.arrivals = [_bunched(arrival, scenario.bursts) for arrival in self.arrivals]
        holding_s = [scenario.holding.draw(lengths) for _ in range(calls)]
        stretch = calls * scenario.holding.mean_s / sum(holding_s)
        self.holding_s = [each * stretch for each in holding_s]
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
