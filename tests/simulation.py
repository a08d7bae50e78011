"""A simulated group: real nodes without sockets, a network that loses and reorders, clients, and an adversary.

Everything runs on one :class:`~twisted.internet.task.Clock`, which is stepped from deadline to deadline, and draws from
one seed, so a run that fails can be repeated by its number.  A node here is the real exchange, delegation, members,
leases and workload, wired as the program wires them; only the SIP side is missing, and a set of call numbers stands for
the call table.

What must hold at each moment is checked after each step (:meth:`Group.check`), what must hold in the end by
:meth:`Group.check_the_end`.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from voipshift.balance.leases import Lease, Leases
from voipshift.balance.members import Members
from voipshift.balance.rule import Rule
from voipshift.balance.workload import Workload
from voipshift.delegation import Delegation
from voipshift.errors import Refused
from voipshift.group.envelope import Stream
from voipshift.group.exchange import Exchange
from voipshift.group.keys import Keys
from voipshift.group.messages import Statement
from voipshift.node import Acceptance, Address, CallAttempt, Load, NodeIdentity

DOOR = "sip/udp"
KEYS = Keys((bytes(range(32)),))
REPORT_INTERVAL_S = 1.0
LEASE_S = 10.0
DEADLINE_S = 1.5
#: The captured datagrams that the adversary keeps.
MOST_CAPTURED = 2000


class Broken(AssertionError):
    """A promise of the group was broken."""


@implementer(IDelayedCall)
class NodeCall:
    """A delayed call in a node's own time."""

    def __init__(self, call: Any, ahead_s: float) -> None:
        self._call = call
        self._ahead_s = ahead_s

    def getTime(self) -> float:
        return float(self._call.getTime() + self._ahead_s)

    def cancel(self) -> None:
        self._call.cancel()

    def delay(self, seconds: float) -> None:
        self._call.delay(seconds)

    def reset(self, seconds: float) -> None:
        self._call.reset(seconds)

    def active(self) -> bool:
        return bool(self._call.active())


@implementer(IReactorTime)
class NodeClock:
    """The time as one boot of a node sees it: as fast as everybody's, but set differently."""

    def __init__(self, clock: Clock, ahead_s: float) -> None:
        self._clock = clock
        self._ahead_s = ahead_s
        self._calls: list[NodeCall] = []

    def seconds(self) -> float:
        return float(self._clock.seconds() + self._ahead_s)

    def callLater(self, delay: float, callable: Callable[..., Any], *args: object, **kw: object) -> NodeCall:
        call = NodeCall(self._clock.callLater(delay, callable, *args, **kw), self._ahead_s)
        self._calls = [*self.getDelayedCalls(), call]
        return call

    def getDelayedCalls(self) -> list[NodeCall]:
        return [call for call in self._calls if call.active()]


class Agenda:
    """What the world around the nodes does and when: the clock itself sorts too slowly for thousands of clients."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: list[tuple[float, int, Callable[..., object], tuple[object, ...]]] = []
        self._number = 0

    def later(self, seconds: float, act: Callable[..., object], *arguments: object) -> None:
        self._number += 1
        heapq.heappush(self._entries, (self._clock.seconds() + seconds, self._number, act, arguments))

    def next(self) -> float:
        """When something is to be done next, here or by a node."""
        timers = min((call.getTime() for call in self._clock.calls), default=math.inf)
        return min(timers, self._entries[0][0] if self._entries else math.inf)

    def step(self) -> None:
        """Do one thing, or what the nodes' timers are due for."""
        when = self.next()
        self._clock.rightNow = max(self._clock.rightNow, when)
        if self._entries and self._entries[0][0] <= when:
            _, _, act, arguments = heapq.heappop(self._entries)
            act(*arguments)
        else:
            self._clock.advance(0)


@dataclass
class Network:
    """Carries datagrams, badly.

    :ivar cut: pairs (from, to) of addresses between which nothing passes
    :ivar captured: what was sent
    """

    clock: Clock
    agenda: Agenda
    random: Random
    loss: float = 0.0
    duplication: float = 0.0
    delay_s: tuple[float, float] = (0.001, 0.001)
    cut: set[tuple[Address, Address]] = field(default_factory=set)
    receivers: dict[Address, Node] = field(default_factory=dict)
    multicast: Address | None = None
    captured: list[Captured] = field(default_factory=list)
    sent: int = 0

    def send(self, octets: bytes, source: Address, destination: Address) -> None:
        """Deliver once, more than once, late, or never."""
        self.sent += 1
        if destination == self.multicast:
            for receiver in list(self.receivers):
                if receiver != source:
                    self._carry(Captured(octets, source, receiver, self.clock.seconds(), to_all=True))
        else:
            self._carry(Captured(octets, source, destination, self.clock.seconds()))

    def _carry(self, captured: Captured) -> None:
        if len(self.captured) < MOST_CAPTURED:
            self.captured.append(captured)
        else:
            self.captured[self.random.randrange(MOST_CAPTURED)] = captured
        if (captured.source, captured.destination) in self.cut or self.random.random() < self.loss:
            return
        copies = 2 if self.random.random() < self.duplication else 1
        for _ in range(copies):
            self.agenda.later(self.random.uniform(*self.delay_s), self._deliver, captured)

    def _deliver(self, captured: Captured) -> None:
        receiver = self.receivers.get(captured.destination)
        if receiver is not None:
            captured.delivered = receiver
            receiver.exchange.received(captured.octets, captured.source)


@dataclass
class Captured:
    """One datagram as the adversary saw it, and which boot of a node received it."""

    octets: bytes
    source: Address
    destination: Address
    sent: float
    to_all: bool = False
    delivered: Node | None = None


class RememberedLeases(Leases):
    """Leases that the test can ask afterwards what became of them."""

    def __init__(
        self, *, name: str, ledger: dict[str, tuple[str, CallAttempt]], random: Callable[[int], bytes]
    ) -> None:
        super().__init__(lease_s=LEASE_S, held_per_client=1000, random=random)
        self._name = name
        self._ledger = ledger
        self.ids: set[str] = set()

    def grant(self, attempt: CallAttempt, entry: str, hops: int, now: float) -> Lease:
        lease = super().grant(attempt, entry, hops, now)
        if lease.id in self._ledger:
            raise Broken(f"lease {lease.id} was granted twice")
        self._ledger[lease.id] = (self._name, attempt)
        self.ids.add(lease.id)
        return lease


class Node:
    """One boot of a node: the pure core behind a real exchange."""

    def __init__(self, group: Group, name: str, address: Address, limit: float, *, rate: float, ahead_s: float) -> None:
        self.group = group
        self.name = name
        self.address = address
        self.limit = limit
        self.clock = NodeClock(group.clock, ahead_s)
        self.calls: set[int] = set()
        self.told: list[bytes] = []
        self.sequence = 0
        self._lapsing: NodeCall | None = None
        self.identity = NodeIdentity(name, {DOOR: address})
        now = self.clock.seconds()
        octets = group.random.randbytes
        self.leases = RememberedLeases(name=name, ledger=group.ledger, random=octets)
        self.workload = Workload(
            ongoing_calls=limit, calls_per_second=rate, occupied=lambda: len(self.calls) + len(self.leases), now=now
        )
        self.members = Members(here=name, report_interval_s=REPORT_INTERVAL_S)
        self.exchange = Exchange(
            clock=self.clock,
            send=lambda octets, destination: group.network.send(octets, address, destination),
            keys=KEYS,
            identity=self.identity,
            address=address,
            members=[other for other in group.addresses.values() if other != address],
            multicast=group.network.multicast,
            report_interval_s=REPORT_INTERVAL_S,
            random=octets,
            statement=lambda: Statement(self.load(), self.identity.doors),
            heard=lambda identity, load: self.members.heard(identity, load, self.clock.seconds()),
            learn=lambda load: self.members.learn(load, self.clock.seconds()),
            left=self.members.leave,
            consider=self.consider,
            withdraw=self.withdraw,
            lapsed=lambda attempt, lease: self.told.append(attempt),
            wall=self.clock.seconds,
        )
        self.delegation = Delegation(
            identity=self.identity,
            rule=group.rule,
            workload=self.workload,
            leases=self.leases,
            members=self.members,
            ask=self.exchange.ask,
            withdraw=self.exchange.give_back,
            load=self.load,
            now=self.clock.seconds,
            random=group.random,
            deadline_s=DEADLINE_S,
        )

    def start(self) -> None:
        self.group.network.receivers[self.address] = self
        self.exchange.start()

    def stop(self) -> None:
        """As an operator stops it: Leave, and nothing scheduled afterwards."""
        self.exchange.stop()
        if self._lapsing is not None and self._lapsing.active():
            self._lapsing.cancel()
        if self.clock.getDelayedCalls():
            raise Broken(f"{self.name} has something scheduled after it stopped")
        self.group.network.receivers.pop(self.address, None)

    def crash(self) -> None:
        """As a power cut stops it."""
        for call in self.clock.getDelayedCalls():
            call.cancel()
        self.group.network.receivers.pop(self.address, None)

    def load(self) -> Load:
        now = self.clock.seconds()
        self.sequence += 1
        return Load(
            self.name,
            self.exchange.incarnation,
            self.sequence,
            self.workload.occupancy(now),
            self.workload.capacity(now),
            self.workload.flags(now),
        )

    def place(self, attempt: CallAttempt) -> Deferred[Acceptance]:
        placed = self.delegation.place(attempt)
        self.changed()
        return placed

    def consider(
        self, attempt: CallAttempt, path: tuple[Load, ...], left_s: float, pending: Callable[[], None], entry: str
    ) -> Deferred[Acceptance]:
        names = [load.node for load in path]
        self.group.hops_seen = max(self.group.hops_seen, len(names))
        if len({*names, self.name}) <= len(names):
            raise Broken(f"{self.name} was asked along {names}")
        if not names or names[0] != entry:
            raise Broken(f"{entry} is the entry of {names}")
        considered = self.delegation.consider(attempt, path, left_s, pending, entry)
        self.changed()
        return considered

    def withdraw(self, lease: str) -> None:
        self.leases.withdraw(lease)
        self.changed()

    def arrive(self, lease: str, attempt: CallAttempt, call: int) -> bool:
        """A client connects: with its lease, or like one whose lease is no good."""
        arrived = self.leases.arrive(lease)
        if arrived is None:
            if lease in self.leases.ids:
                raise Broken(f"{self.name} closed a lease before its client came")
            try:
                self.leases.arrive(self.delegation.here_alone(attempt).lease)
            except Refused:
                return False
        elif arrived.attempt.target != attempt.target:
            raise Broken("a lease lost the attempt's target")
        self.calls.add(call)
        self.changed()
        return True

    def end(self, call: int) -> None:
        self.calls.remove(call)
        self.changed()

    def changed(self) -> None:
        """What the wiring does after each event: report edges, and watch the leases."""
        self.exchange.workload_changed()
        deadline = self.leases.next_deadline()
        if deadline is not None and (self._lapsing is None or not self._lapsing.active()):
            # not before the deadline, which is rounded when it is told in the node's own time
            self._lapsing = self.clock.callLater(max(0.0, deadline - self.clock.seconds()) + 1e-6, self._lapse)

    def _lapse(self) -> None:
        lapsed = self.leases.lapse(self.clock.seconds())
        self.exchange.tell_lapsed([(lease.entry, lease.attempt.id, lease.id) for lease in lapsed])
        self.changed()

    def state(self) -> object:
        """All that a datagram could change."""
        beliefs = [(m.name, m.load, m.heard, m.suspect, m.added, dict(m.doors)) for m in self.members]
        open_leases = [id for id in self.group.ledger if self.leases.get(id)]
        return beliefs, open_leases, set(self.calls), dict(self.delegation.counts), list(self.told)


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
    :param rates: the calls per second that each takes
    """

    def __init__(
        self,
        limits: list[float],
        *,
        seed: int = 1,
        rule: Rule = Rule.SEED,
        rate: float = math.inf,
        multicast: bool = False,
        **network: Any,
    ) -> None:
        self.random = Random(seed)
        self.rule = rule
        self.rate = rate
        self.clock = Clock()
        self.clock.rightNow = 1000.0
        self.agenda = Agenda(self.clock)
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
            if done["attempts"] != done["accepted"] + done["shifted"] + done["refused"] + done["cancelled"]:
                raise Broken(f"{node.name} ended its attempts not once each: {done}")
        if self.hops_seen > self.rule.hop_limit:
            raise Broken(f"an attempt had visited {self.hops_seen} nodes")
        for name in list(self.nodes):
            self.stop(name)
        self.run(5.0)
        if self.clock.calls:
            raise Broken(f"still scheduled: {self.clock.calls}")
