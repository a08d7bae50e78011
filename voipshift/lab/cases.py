"""Cases beside the twelve figures: worlds that nobody tuned the rule for, and other ways to know the others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from voipshift.lab.holding import Exponential, Lognormal, Mix
from voipshift.lab.scenario import Bursts, Change, Cut, Scenario

EIGHT = Scenario(hop_limit=3, calls=100_000)


@dataclass(frozen=True, slots=True)
class Case:
    """One of them.

    :param text: what is different from the group of the figures
    """

    text: str
    scenario: Scenario


CASES: Sequence[Case] = (
    Case("odd capacities, 1:7:13:3:29", replace(EIGHT, ratio=(1.0, 7.0, 13.0, 3.0, 29.0))),
    Case("one server of eight has half of all slots", replace(EIGHT, ratio=(7.0, *[1.0] * 7))),
    Case("bimodal calls: nine of ten last 20 s, one 1020 s", replace(EIGHT, holding=Mix(0.9, 20.0, 1020.0))),
    Case("lognormal calls, sigma 1.5", replace(EIGHT, holding=Lognormal(120.0, 1.5))),
    Case("short calls of 5 s", replace(EIGHT, holding=Exponential(5.0))),
    Case("bursts: four times the rate for 5 s of each 30 s", replace(EIGHT, bursts=Bursts(4.0, 5.0, 30.0))),
    Case("a third of the datagrams is lost", replace(EIGHT, loss=0.33)),
    Case("100 ms from one server to another", replace(EIGHT, delay_s=0.1)),
    Case("servers 0 and 1 hear nothing of server 2, which hears them",
         replace(EIGHT, cuts=(Cut(2, 0, 0.0, 1e9), Cut(2, 1, 0.0, 1e9)))),
    Case("nobody hears server 2, the largest, which hears all",
         replace(EIGHT, cuts=tuple(Cut(2, other, 0.0, 1e9) for other in range(8) if other != 2))),
    Case("server 7 claims to be idle and refuses everything, load 0.8",
         replace(EIGHT, entry="first:7", liars=(7,), load=0.8)),
    Case("server 7 claims to be idle and refuses everything, load 1.0", replace(EIGHT, entry="first:7", liars=(7,))),
    Case("the largest server is halved at 3000 s and doubled at 6000 s",
         replace(EIGHT, changes=(Change(2, 3000.0, 94), Change(2, 6000.0, 188)), load=0.9)),
)  # fmt: skip


def _way(text: str, scenario: Scenario) -> Sequence[Case]:
    polls = [("poll 3", 3.0), ("poll all", math.inf)]
    races = [("race 3", 3.0), ("race all", math.inf)]
    return [
        Case(f"reports, {text}", scenario),
        *(Case(f"{way}, {text}", replace(scenario, collect="poll", collect_from=number)) for way, number in polls),
        *(Case(f"{way}, {text}", replace(scenario, collect="race", collect_from=number)) for way, number in races),
    ]


#: The ways to know the others, with reports as they are, and with few of them.
WAYS: Sequence[Case] = (
    *_way("load 0.9", replace(EIGHT, load=0.9)),
    *_way("load 1.0", EIGHT),
    *_way("load 0.9, T = 10 s", replace(EIGHT, load=0.9, report_interval_s=10.0)),
)
