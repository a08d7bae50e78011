"""A node without sockets and SIP: the real exchange, delegation, members, leases and workload, wired as in the program.

A set of call numbers stands for the call table.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred

from tests.simulated_network import NodeCall, NodeClock
from voipshift.balance.leases import Leases
from voipshift.balance.members import Members
from voipshift.balance.rates import Rates
from voipshift.balance.workload import Workload
from voipshift.delegation.chain import Delegation
from voipshift.errors import Refused
from voipshift.group.exchange import Exchange
from voipshift.group.keys import Keys
from voipshift.group.messages import Statement
from voipshift.node import Acceptance, Address, CallAttempt, Load, NodeIdentity

if TYPE_CHECKING:
    from tests.simulation import Group

DOOR = "sip/udp"
KEYS = Keys((bytes(range(32)),))
REPORT_INTERVAL_S = 1.0
LEASE_S = 10.0
DEADLINE_S = 1.5


class Broken(AssertionError):
    """A promise of the group was broken."""


#: How a node decides about what a member asks.
Consider = Callable[[CallAttempt, tuple[Load, ...], float, Callable[[], None], str], Deferred[Acceptance]]


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
        self.leases = Leases(lease_s=LEASE_S, held_per_client=1000, random=octets)
        self.workload = Workload(
            ongoing_calls=limit, calls_per_second=rate, occupied=lambda: len(self.calls) + len(self.leases), now=now
        )
        self.members = Members(here=name, report_interval_s=REPORT_INTERVAL_S)
        self.rates = Rates(members=self.members, workload=self.workload, now=now) if group.rates else None
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
            statement=lambda: Statement(self.load(), self.identity.doors, offered=self.offered()),
            heard=lambda identity, load: self.members.heard(identity, load, self.clock.seconds()),
            left=self.members.leave,
            stated=lambda name, statement: self.members.describe(name, statement.factors, statement.offered),
            consider=self.consider,
            withdraw=self.withdraw,
            lapsed=lambda attempt, lease: self.told.append(attempt),
            at_end=group.agenda.batch.at_end,
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
            chain=group.collect(self.exchange.poll),
            rates=self.rates,
        )
        self.considers: Consider = self.delegation.consider

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

    def offered(self) -> float | None:
        return None if self.rates is None else self.rates.offered(self.clock.seconds())

    def load(self) -> Load:
        self.sequence += 1
        return Load(self.name, self.exchange.incarnation, self.sequence, *self.workload.told(self.clock.seconds()))

    def place(self, attempt: CallAttempt) -> Deferred[Acceptance]:
        placed = self.delegation.place(attempt).addCallback(self._remember, attempt)
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
        considered = self.considers(attempt, path, left_s, pending, entry)
        considered.addCallback(self._remember, attempt)
        self.changed()
        return considered

    def _remember(self, acceptance: Acceptance, attempt: CallAttempt) -> Acceptance:
        """Write down what this node promised, so that the test can ask afterwards what became of it."""
        if acceptance.node.name == self.name:
            if acceptance.lease in self.group.ledger:
                raise Broken(f"lease {acceptance.lease} was granted twice")
            self.group.ledger[acceptance.lease] = (self.name, attempt)
        return acceptance

    def withdraw(self, lease: str) -> None:
        self.leases.withdraw(lease)
        self.changed()

    def arrive(self, lease: str, attempt: CallAttempt, call: int) -> bool:
        """A client connects: with its lease, or like one whose lease is no good."""
        arrived = self.leases.arrive(lease)
        if arrived is None:
            if self.group.ledger.get(lease, ("",))[0] == self.name:
                raise Broken(f"{self.name} closed a lease before its client came")
            try:
                acceptance = self.delegation.here_alone(attempt)
                self.leases.arrive(self._remember(acceptance, attempt).lease)
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
        counts = self.delegation.counts
        ends = (counts.accepted, counts.shifted, counts.refused, counts.cancelled)
        return beliefs, open_leases, set(self.calls), counts.attempts, counts.asked_on, ends, list(self.told)
