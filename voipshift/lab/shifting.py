"""The group that shifts calls, and the clients that call it.

A client asks the server that it knows, follows the redirection and comes with its lease; a server that is dead costs it
SIP's Timer B, after which it tries another one at random.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random

from twisted.python.failure import Failure

from voipshift.balance.rule import EVEN, SEED, Rule
from voipshift.errors import Refused
from voipshift.lab.eventqueue import EventQueue
from voipshift.lab.measures import Measures
from voipshift.lab.network import Network
from voipshift.lab.scenario import Scenario
from voipshift.lab.server import DOOR, Liar, Server
from voipshift.lab.trace import Trace
from voipshift.node import Acceptance, CallAttempt

#: How long a client waits for a dead server: RFC 3261's Timer B.
CLIENT_GIVES_UP_S = 32.0

#: The one code path, and its two numbers.
RULES = {
    "voipshift": EVEN,
    "seed": SEED,
    "balance-always": Rule(theta=0.0, delta=0.0),
}


class Shifting:
    """Servers that decide by a rule.

    :ivar servers: all of them
    :ivar network: between them
    """

    def __init__(self, policy: str, scenario: Scenario, trace: Trace, queue: EventQueue, measures: Measures) -> None:
        random = Random(f"{policy} {scenario.seed}")
        rule = replace(RULES[policy], hop_limit=scenario.hop_limit)
        self.network = Network(queue, loss=scenario.loss, delay_s=scenario.delay_s, random=random)
        self.servers = [
            (Liar if index in scenario.liars else Server)(
                index,
                limit,
                rule=rule,
                scenario=scenario,
                network=self.network,
                random=random,
                asked=measures.asked,
            )
            for index, limit in enumerate(scenario.capacities)
        ]
        self.network.servers = self.servers
        self._trace = trace
        self._queue = queue
        self._measures = measures
        self._random = random
        #: the calls that wait for the answer of each server
        self._waiting: list[set[int]] = [set() for _ in self.servers]
        for server in self.servers:
            server.boot(random.random() * scenario.interval_s)
        for cut in scenario.cuts:
            queue.at(cut.start_s, self.network.cut.add, (cut.source, cut.destination))
            queue.at(cut.end_s, self.network.cut.discard, (cut.source, cut.destination))

    @property
    def messages(self) -> int:
        """What was sent between servers, reports apart."""
        return self.network.messages

    @property
    def reports(self) -> int:
        """The reports that were sent, each once."""
        return self.network.reports

    def offer(self, number: int) -> None:
        """A client calls."""
        self._place(number, self.servers[self._trace.entries[number]])

    def fail(self, server: int) -> None:
        """A server dies."""
        self.servers[server].crash()
        waiting, self._waiting[server] = self._waiting[server], set()
        for number in sorted(waiting):
            self._queue.at(self._queue.now + CLIENT_GIVES_UP_S, self._place_elsewhere, number)

    def restart(self, server: int) -> None:
        """It is back."""
        self.servers[server].boot()

    def resize(self, server: int, limit: int) -> None:
        """Its threshold is changed."""
        self.servers[server].resize(limit)

    def _place(self, number: int, entry: Server) -> None:
        if not entry.up:
            self._queue.at(self._queue.now + CLIENT_GIVES_UP_S, self._place_elsewhere, number)
            return
        attempt = CallAttempt(number.to_bytes(16, "big"), DOOR, "", "", "", ("client", 5060), True)
        outcome = entry.delegation.place(attempt)
        waits = not outcome.called
        if waits:
            self._waiting[entry.index].add(number)
        outcome.addCallbacks(self._accepted, self._refused, callbackArgs=(number, entry), errbackArgs=(number, entry))
        outcome.addErrback(self._queue.surfaced)

    def _place_elsewhere(self, number: int) -> None:
        up = [server for server in self.servers if server.up]
        if up:
            self._place(number, self._random.choice(up))
        else:
            self._measures.refuse(number)

    def _accepted(self, acceptance: Acceptance, number: int, entry: Server) -> None:
        self._waiting[entry.index].discard(number)
        if acceptance.node is entry.identity:
            self._arrive(number, entry, entry.incarnation, acceptance)
            return
        server = self.servers[int(acceptance.node.name[1:])]
        # The lease is of the boot that gave it: one that crashed and came back meanwhile knows of none.
        self._queue.at(
            self._queue.now + 2 * self.network.delay_s, self._arrive, number, server, server.incarnation, acceptance
        )

    def _refused(self, failure: Failure, number: int, entry: Server) -> None:
        failure.trap(Refused)
        self._waiting[entry.index].discard(number)
        self._measures.refuse(number)

    def _arrive(self, number: int, server: Server, boot: int, acceptance: Acceptance) -> None:
        if not server.is_boot(boot) or not server.arrive(acceptance.lease):
            self._measures.lose(number)
            return
        self._measures.carried(number, acceptance.hops)
        now, holding_s = self._queue.now, self._trace.holding_s[number]
        self._measures.accepted(server.index, now)
        self._queue.at(now + holding_s, server.end, boot, holding_s)
