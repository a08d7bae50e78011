"""A simulated group: real nodes without sockets, a network that loses and reorders, clients, and an adversary.

Everything runs on one :class:`~twisted.internet.task.Clock`, which is stepped from deadline to deadline, and draws from
one seed, so a run that fails can be repeated by its number.

What must hold at each moment is checked after each step (:meth:`Group.check`), what must hold in the end by
:meth:`Group.check_the_end`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from tests.simulated_network import Agenda, Network
from tests.simulated_node import DOOR, REPORT_INTERVAL_S, Broken, Node
from voipshift.balance.rule import SEED, Rule
from voipshift.delegation.chain import StartChain
from voipshift.delegation.polling import Poll
from voipshift.errors import Refused
from voipshift.group.envelope import Stream
from voipshift.node import Acceptance, Address, CallAttempt


@dataclass
class Client:
    """What one simulated client does, and what became of it.

    :ivar arrives_s: how long it takes to follow the redirect; None for one that never does
    :ivar cancels_s: how long it waits before it gives up; None for one that does not
    :ivar outcome: refused, cancelled, carried, vanished (it never arrived), lost (at a node that had crashed), or
        turned away (it arrived with a lease that was no good any more)
    """

    number: int
    entry: str
    attempt: CallAttempt
    holding_s: float
    arrives_s: float | None = 0.01
    cancels_s: float | None = None
    endings: list[str] = field(default_factory=list)
    outcome: str = ""
    node: str = ""
    acceptance: Acceptance | None = None


class Group:
    """N nodes, their network, and the clients that called.

    :param limits: the ongoing calls that each node takes; the first node is ``n0``
    :param rate: the calls per second that each takes
    :param rates: the rule is ``rate``
    :param tick_s: of the world's clock: the coarser, the more happens at one time
    :param collect: how attempts go their way, given a node's poll; by reports where it gives None
    """

    def __init__(
        self,
        limits: list[float],
        *,
        seed: int = 1,
        rule: Rule = SEED,
        rate: float = math.inf,
        collect: Callable[[Poll], StartChain | None] = lambda poll: None,
        multicast: bool = False,
        tick_s: float = 0.0,
        rates: bool = False,
        **network: Any,
    ) -> None:
        self.random = Random(seed)
        self.rule = rule
        self.rate = rate
        self.collect = collect
        self.rates = rates
        self.clock = Clock()
        self.clock.rightNow = 1000.0
        self.agenda = Agenda(self.clock, tick_s)
        self.later = self.agenda.later
        self.network = Network(self.clock, self.agenda, self.random, **network)
        if multicast:
            self.network.multicast = ("239.5.6.7", 5065)
        self.ledger: dict[str, tuple[str, CallAttempt]] = {}
        self.clients: list[Client] = []
        self.hops_seen = 0
        self.addresses: dict[str, Address] = {
            f"n{index}": (f"10.0.0.{index + 1}", 5065) for index in range(len(limits))
        }
        self.nodes: dict[str, Node] = {}
        self.stopped: list[Node] = []
        for name, limit in zip(self.addresses, limits, strict=True):
            self.boot(name, limit)

    # Nodes.

    def boot(self, name: str, limit: float, ahead_s: float | None = None) -> Node:
        """Start a node, its clock set anyhow."""
        if ahead_s is None:
            ahead_s = self.random.uniform(-500.0, 500.0)
        node = Node(self, name, self.addresses[name], limit, rate=self.rate, ahead_s=ahead_s)
        self.nodes[name] = node
        node.start()
        return node

    def stop(self, name: str) -> Node:
        """Stop a node in order. Its calls end with it."""
        node = self.nodes.pop(name)
        node.stop()
        self.stopped.append(node)
        return node

    def crash(self, name: str) -> Node:
        """Have a node die without a word."""
        node = self.nodes.pop(name)
        node.crash()
        for client in self.clients:
            if client.entry == name and not client.endings:  # its request died with the node
                client.endings.append("lost")
                client.outcome = "lost"
        return node

    def partition(self, *names: str) -> None:
        """Cut these nodes off from the rest, both ways."""
        inside = {self.addresses[name] for name in names}
        for one in self.addresses.values():
            for other in self.addresses.values():
                if (one in inside) != (other in inside):
                    self.network.cut.add((one, other))

    def heal(self) -> None:
        """Undo every partition."""
        self.network.cut.clear()

    def settle(self, seconds: float = 3.0) -> None:
        """Run until everybody has heard everybody."""
        self.run(seconds)
        for node in self.nodes.values():
            for other in self.nodes:
                if other != node.name and node.members.state(other, node.clock.seconds()) == "dead":
                    raise Broken(f"{node.name} has not heard {other}")

    # Time.

    def run(self, seconds: float) -> None:
        """Step from deadline to deadline, and check after each step."""
        until = self.clock.seconds() + seconds
        while self.agenda.next() <= until:
            self.agenda.step()
            self.check()
        self.clock.rightNow = until

    # Clients.

    def call(self, entry: str, holding_s: float = 5.0, **how: Any) -> Client:
        """A client calls at a node now."""
        number = len(self.clients)
        attempt = CallAttempt(
            self.random.randbytes(16),
            DOOR,
            f"caller{number}",
            f"called{number}",
            f"sip:called{number}@example.org;user=phone",
            ("198.51.100.7", 5060),
        )
        client = Client(number, entry, attempt, holding_s, **how)
        self.clients.append(client)
        node = self.nodes.get(entry)
        if node is None:
            client.endings.append("lost")
            client.outcome = "lost"
            return client
        placed = node.place(attempt)
        if client.cancels_s is not None:
            self.later(client.cancels_s, self._cancel, client, placed)
        placed.addCallbacks(self._accepted, self._not_accepted, callbackArgs=(client, entry), errbackArgs=(client,))
        return client

    def _cancel(self, client: Client, placed: Deferred[Acceptance]) -> None:
        if not client.endings:
            placed.cancel()

    def _accepted(self, acceptance: Acceptance, client: Client, entry: str) -> None:
        client.endings.append("accepted")
        client.acceptance = acceptance
        client.node = acceptance.node.name
        if self.ledger.get(acceptance.lease) != (client.node, client.attempt):
            raise Broken(f"client {client.number} is sent to {client.node}, which did not accept")
        way = [load.node for load in acceptance.visited]
        if len(set(way)) != len(way) or way[-1] != client.node:
            raise Broken(f"client {client.number} went {way}")
        if client.node == entry:  # carried at once, no redirect
            self._arrive(client)
        elif client.arrives_s is None:
            client.outcome = "vanished"
        else:
            self.later(client.arrives_s, self._arrive, client)

    def _not_accepted(self, failure: Failure, client: Client) -> None:
        reason = failure.trap(Refused, CancelledError)
        client.outcome = "refused" if reason is Refused else "cancelled"
        client.endings.append(client.outcome)

    def _arrive(self, client: Client) -> None:
        assert client.acceptance is not None
        node = self.nodes.get(client.node)
        if node is None:
            client.outcome = "lost"
        elif node.arrive(client.acceptance.lease, client.attempt, client.number):
            client.outcome = "carried"
            self.later(client.holding_s, self._end, client, node)
        else:
            client.outcome = "turned away"

    def _end(self, client: Client, node: Node) -> None:
        if self.nodes.get(node.name) is node:
            node.end(client.number)

    def outcomes(self) -> Counter[str]:
        """How many clients ended how."""
        return Counter(client.outcome for client in self.clients)

    # The adversary.

    def inject(self, node: Node, octets: bytes, source: Address, *, dropped: bool = True) -> None:
        """Give a node a datagram that must change nothing and, unless it may be one to answer, must be counted."""
        before, counted = node.state(), node.exchange.counts.total()
        node.exchange.received(octets, source)
        if node.state() != before:
            raise Broken(f"a datagram of the adversary changed {node.name}")
        if node.exchange.counts.total() <= counted and dropped:
            raise Broken(f"{node.name} did not count a datagram of the adversary")

    def attack(self) -> None:
        """Replay, forge, and send to the wrong node, from what was captured.

        Left alone is what was not delivered and is still fresh: bringing that is what a slow network does.  A greeting
        names no receiver and is answered by whoever does not know its sender (any more), which need not be counted.
        """
        captured = self.random.choice(self.network.captured)
        greeting = captured.octets[2] == Stream.HELLO
        owner = next((n for n in self.nodes.values() if n.address == captured.destination), None)
        stale = self.clock.seconds() - captured.sent > 3.5 * REPORT_INTERVAL_S
        if owner is not None and (captured.delivered is not None or stale):
            sender = self.network.receivers.get(captured.source)
            running = sender is not None and sender.exchange.boot == captured.octets[8:24]
            dropped = captured.delivered is owner and running and not greeting
            self.inject(owner, captured.octets, captured.source, dropped=dropped)
        target = self.random.choice(list(self.nodes.values()))
        forged = bytearray(captured.octets)
        forged[self.random.randrange(len(forged))] ^= 1 << self.random.randrange(8)
        self.inject(target, bytes(forged), captured.source)
        self.inject(target, self.random.randbytes(self.random.randrange(1500)), captured.source)
        self.inject(target, captured.octets[: self.random.randrange(len(captured.octets))], captured.source)
        if captured.destination != target.address and not captured.to_all:
            self.inject(target, captured.octets, captured.source, dropped=not greeting)

    # What must hold.

    def check(self) -> None:
        """At each moment: nobody over its limit, leases included, and each call at one node."""
        carried = 0
        for node in self.nodes.values():
            occupied = len(node.calls) + len(node.leases)
            if occupied > node.limit:
                raise Broken(f"{node.name} has {occupied} of {node.limit}")
            carried += len(node.calls)
        if carried > 1 and len(set().union(*(node.calls for node in self.nodes.values()))) != carried:
            raise Broken("a call is at two nodes")

    def check_the_end(self) -> None:
        """When all is over: each attempt ended once, each lease was closed once, nothing is left or scheduled."""
        for client in self.clients:
            if len(client.endings) != 1:
                raise Broken(f"client {client.number} ended {client.endings}")
        for node in self.nodes.values():
            counts = node.leases.counts
            if len(node.leases) or node.calls:
                raise Broken(f"{node.name} keeps {len(node.leases)} leases and {len(node.calls)} calls")
            if counts["granted"] != counts["arrived"] + counts["withdrawn"] + counts["lapsed"]:
                raise Broken(f"{node.name} closed its leases not once each: {counts}")
            done = node.delegation.counts
            if done.attempts != done.accepted + done.shifted + done.refused + done.cancelled:
                ends = f"{done.accepted} + {done.shifted} + {done.refused} + {done.cancelled}"
                raise Broken(f"{node.name} ended {done.attempts} attempts not once each: {ends}")
        if self.hops_seen > self.rule.hops_allowed(len(self.nodes) - 1):
            raise Broken(f"an attempt had visited {self.hops_seen} nodes")
        for name in list(self.nodes):
            self.stop(name)
        self.run(5.0)
        if self.clock.calls:
            raise Broken(f"still scheduled: {self.clock.calls}")
