"""The rivals: what is done today without shifting, on the same trace.

``round-robin`` and ``random``: the client's next address in turn or at random, one try.  ``srv``: drawn in proportion
to capacity (RFC 2782 weights), one try; ``srv-retry``: three tries, each at another server.  ``dispatcher``: call-load
distribution, the entry counts the calls that it sent to each server, takes the one with the least of its limit in use,
and up to two more when it refuses; several entries only know their own calls each.  A server without room refuses, a
server that is dead costs a try.

Tries follow each other at once, and count as messages from the second on: a request and its refusal each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

from voipshift.lab.eventqueue import EventQueue
from voipshift.lab.measures import Measures
from voipshift.lab.scenario import Scenario
from voipshift.lab.trace import Trace

#: What a SIP client tries of an SRV record before it gives up, and a dispatcher of its list.
TRIES = 3


class Slots:
    """A server that only counts."""

    __slots__ = ("boot", "calls", "index", "limit", "up")

    def __init__(self, index: int, limit: int) -> None:
        self.index = index
        self.limit = limit
        self.calls = 0
        self.up = True
        self.boot = 0


class Rival:
    """Servers that do not know of each other, and somebody who chooses among them."""

    def __init__(self, policy: str, scenario: Scenario, trace: Trace, queue: EventQueue, measures: Measures) -> None:
        self.servers = [Slots(index, limit) for index, limit in enumerate(scenario.capacities)]
        self.messages = 0
        self.reports = 0
        self._liars = scenario.liars
        self._trace = trace
        self._queue = queue
        self._measures = measures
        self._random = Random(f"{policy} {scenario.seed}")
        self._turn = -1
        #: per entry: the calls that it sent to each server
        self._sent = [[0] * scenario.servers for _ in self.servers]
        choices: dict[str, Callable[[int], Iterator[Slots]]] = {
            "round-robin": self._in_turn,
            "random": self._at_random,
            "srv": lambda number: self._by_weight(1),
            "srv-retry": lambda number: self._by_weight(TRIES),
            "dispatcher": self._least_used,
        }
        self._choose = choices[policy]

    def offer(self, number: int) -> None:
        """A client calls."""
        measures = self._measures
        for tries, server in enumerate(self._choose(number)):
            self.messages += 2 * (tries > 0)
            measures.most_hops = max(measures.most_hops, tries)
            if server.up and server.calls < server.limit and server.index not in self._liars:
                server.calls += 1
                measures.carried(number, tries)
                measures.accepted(server.index, self._queue.now)
                entry = self._trace.entries[number]
                self._sent[entry][server.index] += 1
                self._queue.at(self._queue.now + self._trace.holding_s[number], self._end, server, server.boot, entry)
                return
        measures.refuse(number)

    def fail(self, server: int) -> None:
        """A server dies."""
        died = self.servers[server]
        died.up, died.calls = False, 0
        died.boot += 1

    def restart(self, server: int) -> None:
        """It is back."""
        self.servers[server].up = True

    def resize(self, server: int, limit: int) -> None:
        """Its threshold is changed."""
        self.servers[server].limit = limit

    def _end(self, server: Slots, boot: int, entry: int) -> None:
        self._sent[entry][server.index] -= 1
        if server.boot == boot:
            server.calls -= 1

    def _in_turn(self, number: int) -> Iterator[Slots]:
        self._turn = (self._turn + 1) % len(self.servers)
        yield self.servers[self._turn]

    def _at_random(self, number: int) -> Iterator[Slots]:
        yield self._random.choice(self.servers)

    def _by_weight(self, tries: int) -> Iterator[Slots]:
        left = list(self.servers)
        for _ in range(min(tries, len(left))):
            drawn = self._random.choices(left, [server.limit for server in left])[0]
            left.remove(drawn)
            yield drawn

    def _least_used(self, number: int) -> Iterator[Slots]:
        sent = self._sent[self._trace.entries[number]]
        open_ones = [server for server in self.servers if sent[server.index] < server.limit]
        open_ones.sort(key=lambda server: sent[server.index] / server.limit)
        yield from open_ones[:TRIES]
