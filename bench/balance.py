"""How well real nodes balance: blocking, evenness and hops of a group on loopback, beside what is possible.

Eight ``twistd voipshift`` processes of unequal limits (1:2:4) get calls from one client process, each at a node drawn
at random, at 0.9 and at 1.2 times what all of them together can carry.  Arrivals are Poisson, holding times exponential
with a mean of 10 s.  Printed beside the blocking of the group:

- that of the **pooled group**, one server with all the slots, on the same trace, and on the arrivals as they were: in
  the long run nobody can refuse fewer calls;
- that of **round robin** over the same nodes that shift nothing, on the same arrivals and holding times.

Jain's index is that of the nodes' occupancies, looked at each second from the third holding time on and averaged; 1 is
even.  It counts from the reports of the group, and from the client's calls for round robin, whose nodes report nothing.
Calls that are still up after the last arrival are left as they are, so that a run takes as long as its arrivals.  Where
the machine is too busy for the trace, calls come late and more evenly, and fewer have to be refused: that is what the
arrivals as they were are for.  On one trace the pooled group is no strict bound, either: whoever refuses other calls,
longer ones perhaps, refuses a few more or less (the lab says how many: 12 groups with the trace of seed 1 at load 1.2
refuse 630 to 653 calls of 5000, the pooled group 664; with seed 2 642 to 702 and 662)::

    python -m bench.balance [--calls 5000] [--slots 80] [--load 0.9 --load 1.2] [--rule even] [--seed 1]
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from copy import copy
from dataclasses import replace
from functools import partial
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from bench.processes import await_answer
from bench.rivals import options
from voipshift.demo.caller import Call, Caller, Phase
from voipshift.demo.gateway import Gateway
from voipshift.demo.observer import Observer
from voipshift.demo.plan import LOOPBACK, PORTS_PER_NODE, plan, text_of
from voipshift.demo.processes import Processes
from voipshift.demo.summary import Outcome
from voipshift.group import keys
from voipshift.lab.erlang import erlang_b
from voipshift.lab.holding import Exponential
from voipshift.lab.pooled import pooled_refusals
from voipshift.lab.scenario import Scenario
from voipshift.lab.trace import Trace
from voipshift.sip.uri import SipUri
from voipshift.udp import open_port

NODES = 8
HOLDING_S = 10.0
#: For the nodes to start and to hear each other.
PATIENCE_S = 30.0
#: For the last answers.
AFTER_S = 2.0
#: Seconds at the start that Jain's index leaves out.
FILLING_S = 2 * HOLDING_S

reactor: Any = installed


class Run:
    """One policy on one trace.

    :param shifts: the nodes are a group; else each stands alone, and the calls go round
    """

    def __init__(self, scenario: Scenario, rule: str, base_port: int, *, shifts: bool) -> None:
        self.scenario = scenario
        self.shifts = shifts
        self.trace = Trace(scenario)
        self.trace.first_counted = 0
        self.limits = [int(limit) for limit in scenario.useful]
        settings = [f'balance.rule="{rule}"']
        names = ["primary"] + [f"member{k}" for k in range(1, NODES)]
        settings += [f"{name}.workload.ongoing_calls={limit}" for name, limit in zip(names, self.limits, strict=True)]
        self.plan = plan(nodes=NODES, offered=1.0, base_port=base_port, settings=settings)
        if not shifts:
            for node in self.plan.nodes:
                del node.tables["group"]
        self.places = [(LOOPBACK, base_port + PORTS_PER_NODE * k) for k in range(NODES)]
        self.calls: list[tuple[int, Call]] = []
        self.outcomes: Counter[str] = Counter()
        self.evenness: list[float] = []
        self.hops: dict[int, int] = {}
        self.began = 0.0
        #: when each call came, since the beginning
        self.came: list[float] = []
        self.late_s = 0.0

    async def perform(self) -> None:
        """Start the nodes, place the calls, look at each second, and stop the nodes."""
        processes = Processes(reactor)
        try:
            with ExitStack() as closing:
                gateway = Gateway(reactor)
                self._open(closing, self.plan.gateway, gateway)
                caller = Caller(reactor)
                self._open(closing, (LOOPBACK, 0), caller)
                observer = await self._start(closing, processes)
                await self._place_all(caller, observer)
                if observer is not None:
                    await observer.last_word({node.name for node in self.plan.nodes})
                    for figures in observer.figures().values():
                        for hops, count in enumerate(figures.hops):
                            self.hops[hops] = self.hops.get(hops, 0) + count
        finally:
            await processes.close()

    def _open(self, closing: ExitStack, address: tuple[str, int], end: Gateway | Caller) -> None:
        port = open_port(address, end.received)
        port.start(reactor)
        closing.callback(port.stop)
        end.begin(port.send, port.address)
        closing.callback(end.stop)

    async def _start(self, closing: ExitStack, processes: Processes) -> Observer | None:
        settings = [processes.configure(node) for node in self.plan.nodes]
        for each in settings:
            processes.start(each)
        for place in self.places:
            if not self.shifts and not await_answer(place, partial(options, place), b"SIP/2.0 200", PATIENCE_S):
                raise SystemExit(f"{text_of(place)} does not answer")
        if not self.shifts:
            return None
        groups = {each.node.name: each.group for each in settings if each.group is not None}
        first = next(iter(groups.values()))
        addresses = {name: group.listen for name, group in groups.items()}
        observer = Observer(reactor, self.plan.observer, addresses, keys.load(first.key_file), 1.0)
        port = open_port(self.plan.observer, observer.received)
        port.start(reactor)
        closing.callback(port.stop)
        observer.begin(port.send)
        closing.callback(observer.stop)
        deadline = reactor.seconds() + PATIENCE_S
        while not observer.complete():
            if reactor.seconds() > deadline:
                raise SystemExit("the nodes do not hear each other")
            await deferLater(reactor, 0.1)
        return observer

    async def _place_all(self, caller: Caller, observer: Observer | None) -> None:
        self.began = began = reactor.seconds()
        for number, arrival in enumerate(self.trace.arrivals):
            reactor.callLater(arrival, self._place, caller, number)
        end_s = self.trace.arrivals[-1]
        while (passed_s := reactor.seconds() - began) < end_s:
            if passed_s >= FILLING_S:
                self.evenness.append(jain(self._occupancies(observer)))
            await deferLater(reactor, 1.0)
        await deferLater(reactor, AFTER_S)
        self.outcomes["answered"] += sum(call.phase is Phase.TALKING for _, call in self.calls)

    def _place(self, caller: Caller, number: int) -> None:
        now = reactor.seconds() - self.began
        self.came.append(now)
        self.late_s = max(self.late_s, now - self.trace.arrivals[number])
        entry = self.trace.entries[number] if self.shifts else number % NODES
        uri = SipUri.parse(f"sip:{1000 + number}@{text_of(self.places[entry])}")
        call = caller.place(uri, self.trace.holding_s[number])
        self.calls.append((entry, call))
        call.ended.addCallback(lambda ended: self._ended(ended.outcome))

    def _ended(self, outcome: Outcome) -> None:
        self.outcomes["answered" if outcome is Outcome.COMPLETED else outcome.value] += 1

    def _occupancies(self, observer: Observer | None) -> list[float]:
        if observer is not None:
            return [observer.row(node.name, alive=True).occupancy for node in self.plan.nodes]
        up = Counter(entry for entry, call in self.calls if call.phase in (Phase.TALKING, Phase.HANGING_UP))
        return [up[k] / limit for k, limit in enumerate(self.limits)]

    def pooled(self) -> float:
        """What the pooled group blocks of the calls as they came."""
        trace = copy(self.trace)
        trace.arrivals = self.came
        return pooled_refusals(trace, self.scenario) / len(trace)

    def line(self) -> str:
        """What is printed."""
        calls = len(self.trace)
        even = sum(self.evenness) / len(self.evenness) if self.evenness else 1.0
        carried = sum(self.hops.values())
        hops = sum(hop * count for hop, count in self.hops.items()) / carried if carried else 0.0
        name = "voipshift" if self.shifts else "round robin"
        return (
            f"{name:12} blocking {self.outcomes['refused'] / calls:7.2%}   Jain {even:.4f}   mean hops {hops:.3f}   "
            f"failed {self.outcomes['failed']}   without an end {calls - sum(self.outcomes.values())}   "
            f"late by {self.late_s:.1f} s, pooled so {self.pooled():.2%}"
        )


def jain(values: Sequence[float]) -> float:
    """Jain's index: 1 when all are equal, 1/N when one has everything."""
    squares = sum(value * value for value in values)
    return sum(values) ** 2 / (len(values) * squares) if squares else 1.0


async def perform(arguments: argparse.Namespace) -> None:
    """All loads, the group and round robin after it."""
    scenario = Scenario(
        servers=NODES,
        slots=arguments.slots,
        holding=Exponential(HOLDING_S),
        calls=arguments.calls,
        seed=arguments.seed,
    )
    for load in arguments.load or (0.9, 1.2):
        at = replace(scenario, load=load)
        trace = Trace(at)
        trace.first_counted = 0
        slots = int(sum(at.useful))
        pooled = pooled_refusals(trace, at) / len(trace)
        print(f"load {load:g}: {len(trace)} calls, {NODES} nodes, {slots} slots, rule {arguments.rule}")
        steady = erlang_b(slots, load * slots)
        print(f"{'pooled':12} blocking {pooled:7.2%}   (Erlang B, long after the start: {steady:.2%})")
        for shifts in (True, False):
            run = Run(at, arguments.rule, arguments.base_port, shifts=shifts)
            await run.perform()
            print(run.line(), flush=True)


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description="Blocking, evenness and hops of eight real nodes.")
    parser.add_argument("--calls", type=int, default=5000)
    parser.add_argument("--slots", type=int, default=80, help="of a node on average (default 80)")
    parser.add_argument("--load", type=float, action="append", help="again for several (default 0.9 and 1.2)")
    parser.add_argument("--rule", choices=("even", "seed"), default="even")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--base-port", type=int, default=23_000)
    arguments = parser.parse_args()
    failures: list[Failure] = []

    def begin() -> None:
        flow = Deferred.fromCoroutine(perform(arguments))
        flow.addErrback(failures.append)
        flow.addCallback(lambda _: reactor.stop())

    reactor.callWhenRunning(begin)
    reactor.run()
    for failure in failures:
        failure.printTraceback(sys.stderr)
    sys.exit(len(failures))


if __name__ == "__main__":
    main()
