"""One simulated server: the core of a node, with a count of calls for a call table and simulated time around it.

What decides are the node's own objects: its delegation, workload, leases, members, and the schedule of its reports.
They are made anew with each boot, as a restarted process makes them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

from twisted.internet.defer import Deferred

from voipshift.balance.leases import Leases
from voipshift.balance.members import Members
from voipshift.balance.rule import Rule
from voipshift.balance.workload import STARTING_CALLS, Workload
from voipshift.config import BalanceSettings
from voipshift.delegation.chain import Delegation
from voipshift.delegation.collection import chain_of
from voipshift.errors import Refused
from voipshift.group.polls import Polls
from voipshift.group.reports import Schedule
from voipshift.lab.asking import Asking
from voipshift.lab.network import Network
from voipshift.lab.scenario import Scenario
from voipshift.node import Acceptance, CallAttempt, Load, NodeIdentity

#: The door of all simulated clients.
DOOR = "sip/udp"
#: The defaults of a node's configuration.
LEASE_S = 10.0
DEADLINE_S = 1.5


class Server:
    """A server of the group.

    :param asked: told of each ask: for which call, how many nodes that had visited, and whether it was needless
    :ivar limit: its threshold of ongoing calls
    :ivar calls: how many it carries
    :ivar up: it is there
    :ivar incarnation: how often it booted
    """

    def __init__(
        self,
        index: int,
        limit: int,
        *,
        rule: Rule,
        scenario: Scenario,
        network: Network,
        random: Random,
        asked: Callable[[int, int, bool], None],
    ) -> None:
        self.index = index
        self.limit = limit
        self.name = f"s{index}"
        self.identity = NodeIdentity(self.name, {DOOR: (self.name, 5060)})
        self.calls = 0
        self.up = False
        self.incarnation = 0
        self._sequence = 0
        self._edge_check = False
        self._rule = rule
        self._scenario = scenario
        self._network = network
        self._queue = network.queue
        self._random = random
        self._asked = asked

    def boot(self, first_report_s: float = 0.0) -> None:
        """Start it, empty; it reports for the first time after so long."""
        scenario, now = self._scenario, self._queue.now
        self.up = True
        self.incarnation += 1
        self.calls = 0
        self._sequence = 0
        self._edge_check = False
        self.leases = Leases(lease_s=LEASE_S, held_per_client=1, random=self._random.randbytes)
        self.workload = Workload(
            ongoing_calls=self.limit,
            calls_per_second=scenario.accept_rate(self.limit),
            occupied=lambda: self.calls + len(self.leases),
            now=now,
            stored_calls=STARTING_CALLS,
        )
        self.members = Members(here=self.name, report_interval_s=scenario.interval_s)
        self._polls: Polls[Server] = Polls(greet=self._greet, at=self._later)
        self._reports = Schedule(interval_s=scenario.interval_s, multicast=True, random=self._random.randbytes)
        self.delegation = Delegation(
            identity=self.identity,
            rule=self._rule,
            workload=self.workload,
            leases=self.leases,
            members=self.members,
            ask=self._ask,
            withdraw=self.give_back,
            load=self.load,
            now=self._queue.time,
            random=self._random,
            deadline_s=DEADLINE_S,
            chain=chain_of(BalanceSettings(collect=scenario.collect, collect_from=scenario.collect_from), self._poll),
        )
        self._reports.next = now + first_report_s
        self._queue.at(self._reports.next, self._report_due, self.incarnation)

    def crash(self) -> None:
        """It is not there any more, nor what it carried."""
        self.up = False
        self.calls = 0

    def is_boot(self, incarnation: int) -> bool:
        """Whether it is up and still in that boot."""
        return self.up and self.incarnation == incarnation

    def load(self) -> Load:
        """Its load at this moment, as it tells it; the others hear of it at once when it is an edge."""
        load = self._measure()
        self._changed(load)
        return load

    def consider(
        self, attempt: CallAttempt, path: tuple[Load, ...], left_s: float, pending: Callable[[], None], entry: str
    ) -> Deferred[Acceptance]:
        """A member asks."""
        return self.delegation.consider(attempt, path, left_s, pending, entry)

    def give_back(self, acceptance: Acceptance, attempt: bytes) -> None:
        """Nobody will use that lease of some server."""
        if acceptance.node is self.identity:
            self._withdraw(acceptance.lease)
        else:
            target = self._network.servers[int(acceptance.node.name[1:])]
            self._network.insist(self, target, lambda: target._withdraw(acceptance.lease))

    def arrive(self, lease: str) -> bool:
        """A client comes with its lease, and its call begins. False when the lease is not open any more."""
        if self.leases.arrive(lease) is None:
            return False
        self.calls += 1
        return True

    def end(self, boot: int, holding_s: float) -> None:
        """A call ends, unless it ended with the boot that carried it."""
        if self.is_boot(boot):
            self.calls -= 1
            self.workload.call_ended(holding_s)
            self._changed(self._measure())

    def resize(self, limit: int) -> None:
        """The operator changes the threshold while calls are going on."""
        self.limit = limit
        self.workload.ongoing_calls = limit
        self._changed(self._measure())

    def _measure(self) -> Load:
        self._sequence += 1
        return Load(self.name, self.incarnation, self._sequence, *self.workload.told(self._queue.now))

    def _ask(self, name: str, attempt: CallAttempt, path: tuple[Load, ...], left_s: float) -> Deferred[Acceptance]:
        full = not self.workload.room(self._queue.now)
        needless = full and all(member.full for member in self.members.live(DOOR, self._queue.now))
        self._asked(int.from_bytes(attempt.id, "big"), len(path), needless)
        member = self._network.servers[int(name[1:])]
        return Asking(self._network, self, member, attempt, path, left_s).answer

    def _withdraw(self, lease: str) -> None:
        if self.leases.withdraw(lease) is not None:
            self._changed(self._measure())

    # Polls, as the group's exchange has them.

    def _poll(self, names: list[str], timeout_s: float) -> Deferred[frozenset[str]]:
        challenge = self._random.randbytes(16)
        reported: Deferred[frozenset[str]] = Deferred(lambda _: self._polls.cancel(challenge))
        polled = [self._network.servers[int(name[1:])] for name in names]
        self._polls.begin(challenge, polled, self._queue.now, timeout_s, reported.callback)
        return reported

    def _greet(self, member: Server, challenge: bytes) -> None:
        self._network.send(self, member, member._reply, self, challenge)

    def _reply(self, asker: Server, challenge: bytes) -> None:
        self._network.send(self, asker, asker._echoed, self, self._measure(), challenge)

    def _echoed(self, member: Server, load: Load, challenge: bytes) -> None:
        self.members.heard(member.identity, load, self._queue.now)
        self._polls.echoed(member, challenge)

    def _later(self, when: float, act: Callable[[float], None]) -> None:
        self._queue.at(when, self._do, act, self.incarnation)

    def _do(self, act: Callable[[float], None], boot: int) -> None:
        if self.is_boot(boot):
            act(self._queue.now)

    # Reports: line 14, as the group's exchange sends them.

    def _changed(self, load: Load) -> None:
        due = self._reports.edge_due(load, len(self.members))
        if self._queue.now >= due:
            self._report()
        elif due != math.inf and not self._edge_check:
            self._edge_check = True
            self._queue.at(due, self._edge_due, self.incarnation)

    def _edge_due(self, boot: int) -> None:
        if self.is_boot(boot):
            self._edge_check = False
            self._changed(self._measure())

    def _report_due(self, boot: int) -> None:
        if not self.is_boot(boot):
            return
        now = self._queue.now
        if now >= self._reports.next:
            self.leases.lapse(now)
            self._report()
        self._queue.at(self._reports.next, self._report_due, boot)

    def _report(self) -> None:
        load = self._measure()
        self._reports.reported(load, len(self.members), self._queue.now)
        self._network.report(self, load)


class Liar(Server):
    """A server that claims to be idle and refuses everything."""

    def consider(
        self, attempt: CallAttempt, path: tuple[Load, ...], left_s: float, pending: Callable[[], None], entry: str
    ) -> Deferred[Acceptance]:
        """No."""
        refused: Deferred[Acceptance] = Deferred()
        refused.errback(Refused((self._measure(),)))
        return refused

    def _measure(self) -> Load:
        return super()._measure().replace(occupancy=0.0, flags=0)
