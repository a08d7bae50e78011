"""One experiment: a policy under a trace, judged by the pooled group on the same trace and by Erlang's formula."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from voipshift.lab.erlang import erlang_b
from voipshift.lab.eventqueue import EventQueue
from voipshift.lab.measures import Carrier, Measures
from voipshift.lab.pooled import pooled_refusals
from voipshift.lab.rivals import Rival
from voipshift.lab.scenario import Scenario
from voipshift.lab.shifting import RULES, Shifting
from voipshift.lab.trace import Trace

POLICIES = (*RULES, "round-robin", "random", "srv", "srv-retry", "dispatcher")

#: Calls between two looks at the progress bar.
STEP = 2000
#: After the last arrival everything that is under way ends within this.
SETTLING_S = 120.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an experiment.

    :param datagrams_per_node_s: reports and messages, a report once whatever its fan-out
    :param reports_per_node_s: the reports among them
    :param lost: calls whose server died after it had accepted them and before their client came
    :param needless: asks by a server without room to which every live member was flagged full
    :param asks_of_refused: all asks for calls that were refused in the end
    """

    policy: str
    offered: int
    refused: int
    lost: int
    pooled_refused: int
    erlang_b: float
    hops_mean: float
    hops_p99: int
    hops_max: int
    hops_least: float
    jain_mean: float
    jain_min: float
    max_over_mean: float
    messages_per_call: float
    datagrams_per_node_s: float
    reports_per_node_s: float
    restart_peak: float | None
    needless: int
    asks_of_refused: int

    @property
    def blocking(self) -> float:
        """The share of calls that was refused."""
        return self.refused / self.offered

    @property
    def pooled_blocking(self) -> float:
        """The share that the pooled group refuses."""
        return self.pooled_refused / self.offered

    @property
    def ratio(self) -> float | None:
        """Blocking over that of the pooled group; None where that one blocks nothing."""
        return self.refused / self.pooled_refused if self.pooled_refused else None

    def json(self) -> dict[str, Any]:
        """What ``voipshift lab --json`` prints."""
        return {
            "policy": self.policy,
            "blocking": self.blocking,
            "pooled_blocking": self.pooled_blocking,
            "erlang_b": self.erlang_b,
            "ratio": self.ratio,
            "hops": {"mean": self.hops_mean, "p99": self.hops_p99, "max": self.hops_max, "least": self.hops_least},
            "jain": {"mean": self.jain_mean, "min": self.jain_min},
            "max_over_mean": self.max_over_mean,
            "refused": self.refused,
            "messages_per_call": self.messages_per_call,
            "datagrams_per_node_s": self.datagrams_per_node_s,
            "restart_peak": self.restart_peak,
        }


def run(policy: str, scenario: Scenario, progress: Callable[[int], None] = lambda calls: None) -> Outcome:
    """Have a policy place all calls of a scenario.

    :param progress: told now and then how many calls were placed
    """
    trace = Trace(scenario)
    queue = EventQueue()
    measures = Measures(trace.first_counted)
    kind = Shifting if policy in RULES else Rival
    group = kind(policy, scenario, trace, queue, measures)
    experiment = _Experiment(scenario, queue, measures, group)
    end_s = experiment.pass_by(trace, progress)
    queue.run(end_s + SETTLING_S)
    counted = len(trace) - trace.first_counted
    if measures.offered != counted:
        raise RuntimeError(f"{counted} calls were offered, and {measures.offered} ended")
    jain_mean, jain_min = measures.jain()
    node_seconds = scenario.servers * (end_s - scenario.counted_from_s)
    return Outcome(
        policy=policy,
        offered=counted,
        refused=measures.refused,
        lost=measures.lost,
        pooled_refused=pooled_refusals(trace, scenario),
        erlang_b=erlang_b(sum(scenario.useful), scenario.load * sum(scenario.useful)),
        hops_mean=measures.hops_mean(),
        hops_p99=measures.hops_p99(),
        hops_max=measures.most_hops,
        hops_least=scenario.least_hops,
        jain_mean=jain_mean,
        jain_min=jain_min,
        max_over_mean=measures.max_over_mean(),
        messages_per_call=experiment.messages / counted,
        datagrams_per_node_s=(experiment.messages + experiment.reports) / node_seconds,
        reports_per_node_s=experiment.reports / node_seconds,
        restart_peak=experiment.restart_peak(),
        needless=measures.needless,
        asks_of_refused=measures.asks_of_refused,
    )


class _Experiment:
    """The time that passes in one run, and what happens in it besides calls."""

    def __init__(self, scenario: Scenario, queue: EventQueue, measures: Measures, group: Shifting | Rival) -> None:
        self._scenario = scenario
        self._queue = queue
        self._measures = measures
        self._group = group
        #: whoever claims to be idle and refuses everything has no share of the calls to be even about
        servers: Sequence[Carrier] = group.servers
        self._servers = [server for server, slots in zip(servers, scenario.useful, strict=True) if slots]
        self._over = False
        self.messages = 0
        self.reports = 0
        for outage in scenario.outages:
            queue.at(outage.start_s, group.fail, outage.server)
            queue.at(outage.end_s, self._restart, outage.server)
        for change in scenario.changes:
            queue.at(change.at_s, group.resize, change.server, change.slots)
        queue.at(scenario.counted_from_s, self._begin)

    def pass_by(self, trace: Trace, progress: Callable[[int], None]) -> float:
        """Let all calls arrive: the time of the last one."""
        run, offer = self._queue.run, self._group.offer
        for number, arrival in enumerate(trace.arrivals):
            run(arrival)
            offer(number)
            if not number % STEP:
                progress(number)
        self._over = True
        self.messages = self._group.messages - self.messages
        self.reports = self._group.reports - self.reports
        progress(len(trace))
        return self._queue.now

    def restart_peak(self) -> float | None:
        """The busiest second of a restarted server, over the calls that are its share of all."""
        scenario, peaks = self._scenario, []
        for outage in scenario.outages:
            busiest = self._measures.busiest(outage.server, scenario.holding.mean_s)
            if busiest is not None:
                peaks.append(busiest / (scenario.load * scenario.capacities[outage.server] / scenario.holding.mean_s))
        return max(peaks, default=None)

    def _begin(self) -> None:
        self.messages = self._group.messages
        self.reports = self._group.reports
        self._sample()

    def _sample(self) -> None:
        if not self._over:
            self._measures.sample(self._servers)
            self._queue.at(self._queue.now + 1.0, self._sample)

    def _restart(self, server: int) -> None:
        self._group.restart(server)
        self._measures.restarted(server, self._queue.now)
