"""Whole groups in a simulated network: what holds for any seed, and small cases whose every call is known."""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from random import Random

from twisted.internet.defer import Deferred, fail
from twisted.trial.unittest import SynchronousTestCase

from tests.simulated_node import DEADLINE_S, LEASE_S, REPORT_INTERVAL_S, Node
from tests.simulation import Client, Group
from voipshift.balance.rule import EVEN, SEED, Rule
from voipshift.delegation.chain import StartChain
from voipshift.delegation.polling import Poll, polling
from voipshift.delegation.racing import racing
from voipshift.errors import Refused
from voipshift.node import Acceptance

ALWAYS = Rule(theta=0.0, delta=0.0)
LOWEST = replace(SEED, choose="lowest")
STORM_S = 40.0

#: How a node's attempts go their way, given its poll.
Collect = Callable[[Poll], StartChain | None]
MEAN_HOLDING_S = 6.0


def by_reports(poll: Poll) -> StartChain | None:
    return None


def by_polls(poll: Poll) -> StartChain | None:
    return polling(poll)


def by_few_polls(poll: Poll) -> StartChain | None:
    return polling(poll, width=2, timeout_s=0.03)


def by_race(poll: Poll) -> StartChain | None:
    return racing(2)


def by_race_of_all(poll: Poll) -> StartChain | None:
    return racing()


def storm(seed: int, collect: Collect = by_reports) -> Group:
    """Forty seconds of everything at once, all of it drawn from the seed, and then quiet until all is over.

    Some nodes are pure portals, all are small, and the group is offered up to 1.4 times what it can carry; clients give
    up or never arrive; datagrams are lost, doubled, overtaken, replayed and forged; one node crashes and one is
    stopped, and both come back, their clocks set anyhow; for five seconds the group is cut in two.
    """
    random = Random(seed * 7919)
    limits = [float(random.choice([0, 1, 2, 3, 5, 8])) for _ in range(random.randrange(3, 7))]
    limits[1] = max(2.0, limits[1])
    group = Group(
        limits,
        seed=seed,
        rule=random.choice([SEED, EVEN, LOWEST, ALWAYS]),
        rate=random.choice([math.inf, 3.0]),
        collect=collect,
        multicast=seed % 3 == 0,
        tick_s=0.05 if seed % 2 else 0.0,
        loss=random.uniform(0.0, 0.2),
        duplication=0.1,
        delay_s=(0.001, random.choice([0.002, 0.05, 0.2])),
    )
    group.run(4.0)
    names = list(group.addresses)
    rate = random.uniform(0.7, 1.4) * sum(limits) / MEAN_HOLDING_S
    at = random.expovariate(rate)
    while at < STORM_S:
        group.later(at, _call, group, random.choice(names), Random(random.random()))
        at += random.expovariate(rate)
    for half_second in range(int(2 * STORM_S)):
        group.later(half_second / 2, group.attack)
    crashing, stopping = random.sample(names, 2)
    group.later(8.0 + random.random(), _down, group, group.crash, crashing, random.choice([0.2, 1.0, 6.0]))
    group.later(20.0 + random.random(), _down, group, group.stop, stopping, random.choice([0.2, 1.0, 6.0]))
    group.later(28.0, group.partition, *random.sample(names, len(names) // 2))
    group.later(33.0, group.heal)
    group.run(STORM_S + 60.0)
    return group


def _call(group: Group, entry: str, random: Random) -> None:
    group.call(
        entry,
        random.expovariate(1 / MEAN_HOLDING_S),
        arrives_s=None if random.random() < 0.05 else random.uniform(0.005, 0.3),
        cancels_s=random.uniform(0.0, 0.4) if random.random() < 0.1 else None,
    )


def _down(group: Group, how: Callable[[str], Node], name: str, again_s: float) -> None:
    node = how(name)
    group.later(again_s, group.boot, name, node.limit)


class AnySeedTests(SynchronousTestCase):
    """What no loss, no crash and no adversary can break. The group checks itself after each step."""

    def weather(self, first: int, last: int, collect: Collect = by_reports) -> Counter[str]:
        outcomes: Counter[str] = Counter()
        for seed in range(first, last):
            try:
                group = storm(seed, collect)
                group.check_the_end()
            except AssertionError as broken:
                raise self.failureException(f"seed {seed}: {broken}") from broken
            outcomes += group.outcomes()
        return outcomes

    def test_what_holds_in_any_storm(self) -> None:
        """An attempt ends once; nobody is over its limit, leases included, at any moment; nobody is sent to a node
        that did not accept, or that closed the lease before its client came; no node is twice in a path; forged,
        replayed and stale datagrams change nothing, not even at a node that just restarted; all leases are closed
        once; after stop nothing is scheduled.
        """
        outcomes = self.weather(1, 36)
        self.assertGreater(outcomes["carried"], 1000)
        self.assertGreater(outcomes["refused"], 100)
        for rare in ("cancelled", "vanished", "lost"):
            self.assertGreater(outcomes[rare], 10)
        self.assertEqual(outcomes["turned away"] + outcomes[""], 0)

    def test_the_same_holds_however_loads_are_collected(self) -> None:
        """Polls of all, polls of two that often come too late, races of two and of all."""
        for collect in (by_polls, by_few_polls, by_race, by_race_of_all):
            outcomes = self.weather(40, 46, collect)
            self.assertGreater(outcomes["carried"], 200)
            for rare in ("refused", "cancelled", "vanished", "lost"):
                self.assertGreater(outcomes[rare], 0, (collect, rare))
            self.assertEqual(outcomes["turned away"] + outcomes[""], 0)

    def test_only_what_clients_leave_behind_lapses(self) -> None:
        """Whatever was granted and is not used is withdrawn: a cancelled attempt, an answer that came too late."""
        for seed in range(12):
            collect = (by_reports, by_polls, by_race)[seed % 3]
            group = Group([0, 3, 3], seed=seed, collect=collect, loss=0.05, duplication=0.1, delay_s=(0.001, 0.25))
            group.settle()
            for index in range(60):
                vanishes, cancels = index % 10 == 7, index % 3 == 1
                how = {"arrives_s": None if vanishes else 0.1, "cancels_s": 0.2 if cancels else None}
                group.later(index * 0.4, partial(group.call, "n0", 1.0, **how))
            group.run(60.0)
            leases = [node.leases.counts for node in group.nodes.values()]
            self.assertEqual(sum(counts["lapsed"] for counts in leases), group.outcomes()["vanished"], seed)
            self.assertGreater(sum(counts["withdrawn"] for counts in leases), 0)
            group.check_the_end()

    def test_a_seed_is_a_run(self) -> None:
        """The same seed gives the same run, so that one that fails can be looked at."""
        runs = [[(client.node, client.outcome) for client in storm(5).clients] for _ in range(2)]
        self.assertEqual(runs[0], runs[1])


class SmallGroupTestCase(SynchronousTestCase):
    """A group without any loss, whose every call is known."""

    def group(self, *limits: float, rule: Rule = SEED, seed: int = 1, delay_s: float = 0.001) -> Group:
        group = Group(list(limits), rule=rule, seed=seed, delay_s=(delay_s, delay_s))
        group.settle()
        return group

    def calls(self, group: Group, *entries: str, gap_s: float = 0.5, **how: object) -> list[Client]:
        called = []
        for entry in entries:
            called.append(group.call(entry, 1000.0, **how))
            group.run(gap_s)
        return called

    def fill_in_secret(self, node: Node) -> None:
        """Take all slots of a node without anybody being told."""
        first = 1000 * (1 + int(node.name[1:]))
        node.calls.update(range(first, first + int(node.limit) - len(node.calls)))

    def asked_on(self, group: Group) -> int:
        return sum(node.delegation.counts.asked_on for node in group.nodes.values())


class PlacingTests(SmallGroupTestCase):
    """Which server takes which call."""

    def test_three_servers_of_two_slots_and_six_arrivals_at_the_primary(self) -> None:
        """The primary fills to its threshold, then each call goes to a member with a slot; a seventh is refused."""
        group = self.group(2, 2, 2)
        clients = self.calls(group, *["n0"] * 6)
        nodes = [client.node for client in clients]
        self.assertEqual((nodes[:2], sorted(nodes[2:])), (["n0", "n0"], ["n1", "n1", "n2", "n2"]))
        self.assertEqual({client.outcome for client in clients}, {"carried"})
        self.assertEqual(self.asked_on(group), 4)
        [seventh] = self.calls(group, "n0")
        self.assertEqual(seventh.outcome, "refused")
        self.assertEqual(self.asked_on(group), 4)

    def test_the_last_slots_are_found_from_any_entry(self) -> None:
        """Whichever node the clients know, the group takes as many calls as it has slots, for many seeds."""
        for seed in range(10):
            group = self.group(1, 2, 3, seed=seed, rule=(SEED, EVEN, LOWEST, ALWAYS)[seed % 4])
            entries = [f"n{Random(seed + index).randrange(3)}" for index in range(7)]
            clients = self.calls(group, *entries)
            self.assertEqual([client.outcome for client in clients], ["carried"] * 6 + ["refused"], seed)

    def test_a_storm_of_arrivals_fills_each_slot_once(self) -> None:
        """Twenty attempts in one moment: leases hold what clients have not taken yet."""
        group = self.group(2, 4, 6)
        clients = [group.call("n0", 1000.0, arrives_s=0.4) for _ in range(20)]
        group.run(3.0)
        self.assertEqual(group.outcomes()["carried"], 12)
        self.assertEqual(Counter(client.node for client in clients if client.node), {"n0": 2, "n1": 4, "n2": 6})

    def test_a_pure_portal_sends_every_call_on(self) -> None:
        """A primary with a limit of 0 carries nothing, and nobody ever asks it."""
        group = self.group(0, 3, 3)
        clients = self.calls(group, *["n0"] * 4, *["n1"] * 3)
        self.assertEqual(Counter(client.node for client in clients), {"n1": 3, "n2": 3, "": 1})
        self.assertEqual(group.nodes["n0"].delegation.counts.attempts, 4)

    def test_the_even_rule_is_even(self) -> None:
        """Sixty per cent of four equal servers, all arriving at one: even spreads them, seed fills the primary."""
        spread = {}
        for rule in (EVEN, SEED):
            group = self.group(20, 20, 20, 20, rule=rule)
            self.calls(group, *["n0"] * 48, gap_s=0.2)
            spread[rule] = [len(node.calls) for node in group.nodes.values()]
            self.assertEqual(sum(spread[rule]), 48)
        primary, *others = spread[EVEN]
        self.assertLessEqual(primary, max(others) + 3, "the primary keeps what is within its dead band of two slots")
        self.assertLessEqual(max(others) - min(others), 4, spread)
        self.assertEqual(max(spread[SEED]), 20)


class EndingTests(SmallGroupTestCase):
    """When nobody takes the call, or the answer comes too late."""

    def test_all_full_is_refused_with_no_ask(self) -> None:
        """A group that is known to be full refuses at the entry, and sends nothing for it."""
        group = self.group(1, 1, 1)
        self.calls(group, *["n0"] * 3)
        asked, sent = self.asked_on(group), group.network.sent
        client = group.call("n0")
        self.assertEqual(client.outcome, "refused")
        self.assertEqual((self.asked_on(group), group.network.sent), (asked, sent))

    def test_one_stale_free_member_costs_exactly_one_ask(self) -> None:
        """All are full and one is still believed free: one ask finds out, the next attempt costs none."""
        group = self.group(1, 1, 1, 1)
        self.calls(group, "n0", "n1", "n2")
        self.fill_in_secret(group.nodes["n3"])
        before = self.asked_on(group)
        clients = [group.call("n0")]
        group.run(0.05)
        clients.append(group.call("n0"))
        self.assertEqual([client.outcome for client in clients], ["refused", "refused"])
        self.assertEqual(self.asked_on(group) - before, 1)

    def test_a_ring_of_mutually_attractive_servers_ends(self) -> None:
        """Full servers that all believe the others free pass an attempt on so often, and no more."""
        for hop_limit in (1, 3, 5):
            group = self.group(*[2] * 8, rule=replace(SEED, hop_limit=hop_limit))
            for node in group.nodes.values():
                self.fill_in_secret(node)
            client = group.call("n0")
            group.run(DEADLINE_S)
            self.assertEqual(client.outcome, "refused")
            self.assertEqual(self.asked_on(group), hop_limit)
            self.assertEqual(group.hops_seen, hop_limit)

    def test_a_member_that_claims_to_be_idle_and_refuses(self) -> None:
        """A liar costs hops and nothing else: every call that fits into the others is carried."""
        group = self.group(1, 5, 5, 5)
        liar = group.nodes["n3"]
        asked: list[object] = []

        def consider(*ask: object) -> Deferred[Acceptance]:
            asked.append(ask)
            return fail(Refused((liar.load(),)))

        liar.considers = consider
        clients = self.calls(group, *["n0"] * 12)
        self.assertEqual([client.outcome for client in clients], ["carried"] * 11 + ["refused"])
        self.assertGreater(len(asked), 3)
        self.assertLessEqual(len(asked), 11)

    def test_an_answer_that_comes_too_late_releases_what_it_reserved(self) -> None:
        """The ask ended in silence before the answer came: the attempt goes elsewhere, the lease is withdrawn."""
        group = self.group(1, 3, rule=SEED)
        self.calls(group, "n0")
        group.network.delay_s = (0.4, 0.4)
        client = group.call("n0")
        group.run(0.45)
        member = group.nodes["n1"]
        self.assertEqual((client.outcome, len(member.leases)), ("refused", 1))
        group.run(1.5)
        self.assertEqual(member.leases.counts, {"granted": 1, "arrived": 0, "withdrawn": 1, "lapsed": 0})

    def test_a_cancelled_attempt_gives_its_lease_back(self) -> None:
        """The client gives up while the answer is on its way: the slot is free again long before the lease lapses."""
        group = self.group(1, 3, delay_s=0.02)
        self.calls(group, "n0")
        client = group.call("n0", cancels_s=0.03)
        group.run(0.5)
        self.assertEqual(client.outcome, "cancelled")
        self.assertEqual(group.nodes["n1"].leases.counts["withdrawn"], 1)
        self.assertEqual(len(group.nodes["n1"].leases), 0)

    def test_a_cancellation_follows_the_chain(self) -> None:
        """It reaches the member that a member asked, whichever of them had granted what."""
        group = self.group(1, 1, 9, delay_s=0.02)
        self.calls(group, "n0")
        self.fill_in_secret(group.nodes["n1"])
        group.nodes["n0"].members.suspect("n2")
        client = group.call("n0", cancels_s=0.07)
        group.run(0.5)
        self.assertEqual(client.outcome, "cancelled")
        self.assertEqual(group.nodes["n1"].delegation.counts.asked_on, 1)
        self.assertEqual(group.nodes["n2"].leases.counts["granted"], 1)
        self.assertEqual(len(group.nodes["n2"].leases), 0)

    def test_a_client_that_never_arrives(self) -> None:
        """Its lease lapses, the slot is free again, and the entry is told."""
        group = self.group(0, 1)
        client = group.call("n0", arrives_s=None)
        group.run(LEASE_S - 0.5)
        self.assertEqual(self.calls(group, "n0", gap_s=0.1)[0].outcome, "refused")
        group.run(1.0)
        self.assertEqual(group.nodes["n1"].leases.counts["lapsed"], 1)
        self.assertEqual(group.nodes["n0"].told, [client.attempt.id])
        self.assertEqual(self.calls(group, "n0")[0].outcome, "carried")


class DeathTests(SmallGroupTestCase):
    """Members that go, with or without a word, and come back."""

    def test_a_dead_member_costs_one_silence(self) -> None:
        """After one unanswered ask it is suspect, and the next attempts do not ask it; then it is dead."""
        group = self.group(1, 9, 9)
        self.calls(group, "n0")
        group.crash("n1")
        took_s = []
        for _ in range(6):
            begun = group.clock.seconds()
            client = group.call("n0", 1000.0)
            while not client.endings:
                group.run(0.01)
            self.assertEqual(client.node, "n2")
            took_s.append(group.clock.seconds() - begun)
        self.assertEqual(sum(took > 0.05 for took in took_s), 1, took_s)
        self.assertLess(max(took_s), 0.3)
        entry = group.nodes["n0"]
        self.assertEqual(entry.members.state("n1", entry.clock.seconds()), "suspect")
        group.run(4 * REPORT_INTERVAL_S)
        self.assertEqual(entry.members.state("n1", entry.clock.seconds()), "dead")

    def test_one_that_stops_says_so(self) -> None:
        """After Leave nobody asks it, and no silence is waited for."""
        group = self.group(1, 9, 9)
        self.calls(group, "n0")
        group.stop("n1")
        group.run(0.01)
        client = group.call("n0", 1000.0)
        group.run(0.05)
        self.assertEqual(client.node, "n2")

    def test_an_attempt_under_way_ends_with_its_entry(self) -> None:
        """A node that stops while it waits for a member asks no other one: the attempt is refused."""
        group = self.group(1, 9, 9, 9, delay_s=0.05)
        self.calls(group, "n0")
        client = group.call("n0")
        group.run(0.02)
        stopped = group.stop("n0")
        self.assertEqual(client.endings, ["refused"])
        self.assertEqual(stopped.delegation.counts.asked_on, SEED.hops_allowed(3))
        group.run(1.0)
        self.assertEqual(sum(len(node.leases) for node in group.nodes.values()), 0)

    def test_a_restarted_node_is_used_again(self) -> None:
        """Within a few reports it is alive, although its clock was set back and its sequence began anew."""
        group = self.group(1, 3)
        self.calls(group, "n0")
        for ahead_s in (-900.0, 400.0, -900.0):
            group.crash("n1")
            group.run(0.3)
            group.boot("n1", 3, ahead_s=ahead_s)
            group.settle(2.5 * REPORT_INTERVAL_S)
            [client] = self.calls(group, "n0")
            self.assertEqual((client.outcome, client.node), ("carried", "n1"))

    def test_a_partition_heals(self) -> None:
        """While it lasts each side serves what it can; afterwards everybody hears everybody."""
        group = self.group(1, 2, 2)
        self.calls(group, "n0")
        group.partition("n0")
        group.run(4 * REPORT_INTERVAL_S)
        self.assertEqual(self.calls(group, "n0")[0].outcome, "refused")
        self.assertEqual(self.calls(group, "n1")[0].outcome, "carried")
        group.heal()
        group.settle(4 * REPORT_INTERVAL_S)
        self.assertEqual(self.calls(group, "n0")[0].outcome, "carried")


class PooledTests(SynchronousTestCase):
    """Against the ideal: one group with all the capacity, on the same trace."""

    def test_eight_servers_block_as_one(self) -> None:
        """At load 1.0, with 5 % of the datagrams lost, unequal servers refuse hardly more than one big one would."""
        blocked = pooled = 0
        for seed in (1, 2, 3):
            refused, ideal, calls = self.run_trace(seed)
            blocked += refused
            pooled += ideal
            self.assertLess(abs(refused - ideal), 0.02 * calls, (seed, refused, ideal))
        self.assertGreater(pooled, 50)
        self.assertLessEqual(blocked / pooled, 1.1)

    def run_trace(self, seed: int) -> tuple[int, int, int]:
        random = Random(seed)
        limits = [10.0 * (1, 2, 4)[index % 3] for index in range(8)]
        group = Group(limits, seed=seed, rule=EVEN, loss=0.05, delay_s=(0.001, 0.002))
        group.settle()
        busy: list[float] = []
        ideal = 0
        at, trace = 0.0, []
        while at < 40.0:
            at += random.expovariate(sum(limits) / 5.0)
            trace.append((at, f"n{random.randrange(8)}", random.expovariate(1 / 5.0)))
        for at, entry, holding_s in trace:
            group.later(at, group.call, entry, holding_s)
            while busy and busy[0] <= at:
                heapq.heappop(busy)
            if len(busy) < sum(limits):
                heapq.heappush(busy, at + holding_s)
            else:
                ideal += 1
        group.run(60.0)
        refused = group.outcomes()["refused"]
        self.assertEqual(group.outcomes()["carried"] + refused, len(trace))
        return refused, ideal, len(trace)
