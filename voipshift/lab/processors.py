"""A group whose processors are the narrow place: each call is some milliseconds of one, and waits for those before it.

The lab's other servers are slots that are taken for minutes.  These are queues: first come, first served, one processor
each, service times exponential.  An attempt waits at its entry, costs a share of a service there where it is shifted or
refused, and a service where it is carried; what is measured is how long it waited in all, and how much of the
processors' time went into calls whose client was still there to be carried.

What decides is the program's own core (:mod:`voipshift.balance.rule` with :mod:`voipshift.balance.rates`, its members,
its workload with an accept rate of what its processor can do and the queue delay, sampled as a node samples it).
Beside it::

    round-robin   clients call the servers in turn; nothing is shifted
    random        clients call any of them; nothing is shifted
    idlest        every entry sends its calls to whoever's processor was the idlest in the last report
    blind         no server looks at flags: whoever has no room passes the call on, to three others at most

A member that is asked decides at once; that its answer takes a round trip is left out, what it costs is not.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from heapq import heappop, heappush
from random import Random
from typing import Any

from voipshift.balance.criteria import SAMPLE_S
from voipshift.balance.members import Members
from voipshift.balance.rates import Rates
from voipshift.balance.rule import SEED, Ask, decide
from voipshift.balance.workload import DROP_DELAY_S, Watermarks, Workload
from voipshift.group.reports import GAP_S
from voipshift.lab.server import DOOR
from voipshift.node import FULL, Load, NodeIdentity

POLICIES = ("rate", "seed", "round-robin", "random", "idlest", "blind")
#: A client that waited longer has said it again (SIP's T1): it is no use to have served him.
PATIENCE_S = 0.5
#: Of calls per second: between a tenth of the bucket and none, so that what a full server frees each millisecond is not
#: told as room.
WATERMARKS = Watermarks(1.0, 0.9)
#: What is left out at the beginning.
WARM_UP_S = 10.0
#: As many as the rule visits.
MOST_HOPS = 3


@dataclass(frozen=True, slots=True)
class Processors:
    """What is simulated.

    :param ratio: the servers' speeds, repeated over them
    :param service_s: of a call, on average, on a server of the mean speed
    :param load: offered, as a share of all processors
    :param entry: whom clients know: random, primary, weighted (by speed) or ``first:K``
    :param shift_cost: of a call that is shifted, at its entry, as a share of a service
    :param refuse_cost: of one that is refused, at each server that it was at
    """

    servers: int = 8
    ratio: tuple[float, ...] = (1.0,)
    service_s: float = 0.002
    load: float = 0.7
    entry: str = "random"
    seconds: float = 60.0
    seed: int = 1
    loss: float = 0.05
    delay_s: float = 0.001
    report_interval_s: float = 1.0
    shift_cost: float = 0.1
    refuse_cost: float = 0.05

    @property
    def speeds(self) -> list[float]:
        """Each server's, one on average."""
        drawn = [self.ratio[index % len(self.ratio)] for index in range(self.servers)]
        mean = math.fsum(drawn) / len(drawn)
        return [speed / mean for speed in drawn]

    @property
    def bound(self) -> float:
        """The goodput that no group can surpass: (1 - r k a) / (1 - r k), each call refused at one server (k = 1)."""
        r, a = self.refuse_cost, self.load
        return a if a <= 1.0 else max(0.0, (1.0 - r * a) / (1.0 - r))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it; times in ms, shares of 1.

    :ivar goodput: calls that were carried in time, as a share of what all processors could carry
    :ivar longest_ms: how long one of a call's requests waited for one server at most
    :ivar touched: servers that a refused call was at, on average
    """

    policy: str
    offered: int
    wait_mean_ms: float
    wait_p99_ms: float
    wait_max_ms: float
    shifted: float
    refused: float
    goodput: float
    longest_ms: float
    touched: float
    jain: float


class _Processor:
    """One server."""

    def __init__(self, index: int, speed: float, scenario: Processors) -> None:
        self.index = index
        self.speed = speed
        self.free_at = 0.0
        self.worked_s = 0.0
        self.name = f"s{index}"
        self.identity = NodeIdentity(self.name, {DOOR: (self.name, 5060)})
        self.workload = Workload(
            ongoing_calls=math.inf,
            calls_per_second=speed / scenario.service_s,
            occupied=lambda: 0,
            now=0.0,
            watermarks=WATERMARKS,
        )
        self.members = Members(here=self.name, report_interval_s=scenario.report_interval_s)
        self.rates = Rates(members=self.members, workload=self.workload, now=0.0)
        self.reported_at = -math.inf
        self.told_full = False
        self.sequence = 0
        #: what its last report said of its processor, and when it had worked how long
        self.busy = 0.0
        self.looked = (0.0, 0.0)

    def work(self, now: float, services: float) -> float:
        """Put work at the end of the queue; how long it waits before it is begun."""
        begun = max(self.free_at, now)
        self.free_at = begun + services / self.speed
        self.worked_s += services / self.speed
        return begun - now

    def look(self, now: float) -> None:
        """How busy it was since the last look."""
        done = self.worked_s - max(0.0, self.free_at - now)
        at, before = self.looked
        self.busy = (done - before) / (now - at) if now > at else 0.0
        self.looked = (now, done)


class Group:
    """The servers, and the calls that come."""

    def __init__(self, policy: str, scenario: Processors) -> None:
        self._policy = policy
        self._scenario = scenario
        self._random = Random(f"{policy} {scenario.seed}")
        self._arrivals = Random(scenario.seed)
        self._servers = [_Processor(index, speed, scenario) for index, speed in enumerate(scenario.speeds)]
        self._entries, self._weights = _entries(scenario, policy)
        self._events: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._number = 0
        self._now = 0.0
        self._turn = 0
        self._waits: list[float] = []
        self._offered = self._shifted = self._refused = self._touched = 0
        self._good = 0.0
        self._longest = 0.0

    def run(self) -> Outcome:
        """From the beginning to the end."""
        scenario = self._scenario
        end = WARM_UP_S + scenario.seconds
        for server in self._servers:
            self._at(self._random.random() * scenario.report_interval_s, self._report_due, server)
            self._at(self._random.random() * SAMPLE_S, self._sample, server)
        self._at(0.0, self._arrive)
        worked: list[float] = []
        while self._events and self._events[0][0] <= end:
            self._now, _, act, arguments = heappop(self._events)
            if not worked and self._now >= WARM_UP_S:
                worked = [server.worked_s for server in self._servers]
            act(*arguments)
        busy = [server.worked_s - before for server, before in zip(self._servers, worked, strict=True)]
        waits = sorted(self._waits) or [0.0]
        return Outcome(
            policy=self._policy,
            offered=self._offered,
            wait_mean_ms=1000.0 * math.fsum(waits) / len(waits),
            wait_p99_ms=1000.0 * waits[int(0.99 * len(waits))],
            wait_max_ms=1000.0 * waits[-1],
            shifted=self._shifted / max(1, self._offered),
            refused=self._refused / max(1, self._offered),
            goodput=self._good * scenario.service_s / (scenario.seconds * len(self._servers)),
            longest_ms=1000.0 * self._longest,
            touched=self._touched / self._refused if self._refused else 0.0,
            jain=_jain(busy),
        )

    # What happens.

    def _at(self, time: float, act: Callable[..., None], *arguments: object) -> None:
        self._number += 1
        heappush(self._events, (time, self._number, act, arguments))

    def _arrive(self) -> None:
        """A client calls, and the next one will."""
        scenario, now = self._scenario, self._now
        rate = scenario.load * len(self._servers) / scenario.service_s
        self._at(now + self._arrivals.expovariate(rate), self._arrive)
        entry = self._servers[self._arrivals.choices(self._entries, self._weights)[0]]
        if self._policy == "round-robin":
            self._turn = (self._turn + 1) % len(self._servers)
            entry = self._servers[self._turn]
        services = self._arrivals.expovariate(1.0 / scenario.service_s)
        self._offered += now >= WARM_UP_S
        if self._policy in ("round-robin", "random"):
            self._carry(entry, now, 0.0, services)
        elif self._policy == "idlest":
            idlest = min(self._servers, key=lambda server: server.busy)
            self._send(entry, idlest, services, 0.0)
        else:
            self._place(entry, services)

    def _place(self, entry: _Processor, services: float) -> None:
        """The entry decides, and those that it asks."""
        if entry.workload.queue_delay_s >= DROP_DELAY_S:
            self._refuse([entry])
            return
        entry.rates.count(self._now)
        touched = [entry]
        probed = False
        while True:
            decision = self._decide(entry, touched, probed)
            if not isinstance(decision, _Processor):
                if decision:
                    self._carry(entry, self._now, 0.0, services)
                else:
                    self._refuse(touched)
                return
            probed = probed or decision.told_full
            if self._takes(decision):
                self._send(entry, decision, services, 0.0)
                return
            touched.append(decision)

    def _decide(self, entry: _Processor, touched: list[_Processor], probed: bool) -> _Processor | bool:
        """Whom the entry asks, or whether it takes the call itself."""
        now = self._now
        if self._policy == "blind":
            if entry.workload.room(now):
                return True
            left = [server for server in self._servers if server not in touched]
            return self._random.choice(left) if left and len(touched) <= MOST_HOPS else False
        decision = decide(
            SEED,
            door=DOOR,
            visited={server.name for server in touched[1:]},
            hops=len(touched) - 1,
            resumed=len(touched) > 1,
            probed=probed,
            workload=entry.workload,
            members=entry.members,
            now=now,
            random=self._random,
            rates=entry.rates if self._policy == "rate" else None,
        )
        if isinstance(decision, Ask):
            return self._servers[int(decision.member.name[1:])]
        return decision.accepts

    def _takes(self, asked: _Processor) -> bool:
        """Whether a server that is asked has room; the slot is promised at once."""
        if asked.workload.room(self._now):
            asked.workload.accepted(self._now)
            self._edge(asked)
            return True
        return False

    def _send(self, entry: _Processor, to: _Processor, services: float, waited: float) -> None:
        """The client is told, and calls there."""
        if to is entry:
            self._carry(entry, self._now, waited, services)
            return
        waited += entry.work(self._now, self._scenario.shift_cost * self._scenario.service_s)
        self._shifted += self._now >= WARM_UP_S
        self._at(entry.free_at + self._scenario.delay_s, self._come, to, waited, services)

    def _come(self, server: _Processor, waited: float, services: float) -> None:
        """A client that was sent there."""
        here = server.work(self._now, services)
        self._measure(waited + here, max(waited, here))

    def _carry(self, server: _Processor, now: float, waited: float, services: float) -> None:
        server.workload.accepted(now)
        here = server.work(now, services)
        self._measure(waited + here, max(waited, here))
        self._edge(server)

    def _measure(self, waited: float, longest: float) -> None:
        if self._now >= WARM_UP_S:
            self._waits.append(waited)
            self._good += longest <= PATIENCE_S
            self._longest = max(self._longest, longest)

    def _refuse(self, touched: list[_Processor]) -> None:
        """Each that it was at has paid for it."""
        for server in touched:
            server.work(self._now, self._scenario.refuse_cost * self._scenario.service_s)
        if self._now >= WARM_UP_S:
            self._refused += 1
            self._touched += len(touched)
        self._edge(touched[0])

    # What they know of each other.

    def _sample(self, server: _Processor) -> None:
        server.workload.queue_delay_s = max(0.0, server.free_at - self._now)
        self._edge(server)
        self._at(self._now + SAMPLE_S, self._sample, server)

    def _report_due(self, server: _Processor) -> None:
        server.look(self._now)
        self._report(server)
        self._at(self._now + self._scenario.report_interval_s, self._report_due, server)

    def _edge(self, server: _Processor) -> None:
        """Being full, or not any more, is told at once, but not too often."""
        now = self._now
        if now >= server.reported_at + GAP_S and (server.workload.told(now)[2] == FULL) is not server.told_full:
            self._report(server)

    def _report(self, server: _Processor) -> None:
        now = self._now
        server.sequence += 1
        load = Load(server.name, 1, server.sequence, *server.workload.told(now))
        server.reported_at, server.told_full = now, load.flags == FULL
        offered = server.rates.offered(now)
        self._at(now + self._scenario.delay_s, self._reported, server, load, offered)

    def _reported(self, source: _Processor, load: Load, offered: float) -> None:
        for server in self._servers:
            if server is not source and self._random.random() >= self._scenario.loss:
                server.members.heard(source.identity, load, self._now)
                server.members.describe(source.name, server.members.get(source.name).factors, offered)  # type: ignore[union-attr]  # it was heard


def _entries(scenario: Processors, policy: str) -> tuple[list[int], list[float]]:
    """Whom clients know, and how many know each."""
    everybody = list(range(scenario.servers))
    if scenario.entry == "weighted":
        return everybody, scenario.speeds
    if scenario.entry == "random" or policy in ("round-robin", "random"):
        return everybody, [1.0] * len(everybody)
    known = 1 if scenario.entry == "primary" else int(scenario.entry.partition(":")[2])
    return everybody[:known], [1.0] * min(known, len(everybody))


def _jain(shares: list[float]) -> float:
    """Jain's index of how evenly something is shared: 1 where all have the same."""
    squares = len(shares) * math.fsum(share * share for share in shares)
    return math.fsum(shares) ** 2 / squares if squares else 1.0


def simulate(policy: str, scenario: Processors) -> Outcome:
    """One policy."""
    return Group(policy, scenario).run()
