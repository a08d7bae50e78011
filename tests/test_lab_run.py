"""Whole experiments: every call ends once, every server keeps its limit, and the group comes near the bound."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from voipshift.balance.rule import EVEN
from voipshift.delegation.chain import Delegation
from voipshift.lab.eventqueue import EventQueue
from voipshift.lab.holding import Exponential
from voipshift.lab.measures import Measures
from voipshift.lab.run import POLICIES, Outcome, run
from voipshift.lab.scenario import Change, Cut, Outage, Scenario
from voipshift.lab.server import Server
from voipshift.lab.shifting import Shifting
from voipshift.lab.trace import Trace

SMALL = Scenario(servers=4, slots=50, holding=Exponential(60.0), calls=6_000)


class SmallTests(SynchronousTestCase):
    """Short runs of each policy."""

    def outcome(self, policy: str = "voipshift", **how: Any) -> Outcome:
        return run(policy, replace(SMALL, **how))

    def test_every_call_ends_once(self) -> None:
        """With each policy, with a server that dies and comes back, all offered calls are carried, refused or lost."""
        for policy in POLICIES:
            outcome = self.outcome(policy, outages=(Outage(2, 400.0, 500.0),))
            trace = Trace(SMALL)
            self.assertEqual(outcome.offered, len(trace) - trace.first_counted, policy)
            self.assertTrue(0 < outcome.refused < outcome.offered, policy)

    def test_the_same_seed_gives_the_same_outcome(self) -> None:
        """Everything is drawn from it."""
        for policy in ("voipshift", "srv-retry"):
            self.assertEqual(self.outcome(policy), self.outcome(policy))
        self.assertNotEqual(self.outcome(), self.outcome(seed=2))

    def test_all_policies_have_the_same_bound(self) -> None:
        """They are judged by the pooled group on one trace."""
        self.assertEqual(len({self.outcome(policy).pooled_refused for policy in POLICIES}), 1)

    def test_nothing_is_refused_at_a_low_load(self) -> None:
        """By the group that shifts; there is no ratio to a bound of 0."""
        outcome = self.outcome(load=0.5)
        self.assertEqual((outcome.refused, outcome.ratio), (0, None))

    def test_near_the_bound(self) -> None:
        """At load 1.0 the group refuses hardly more than the pooled one, round robin many times more."""
        for policy in ("voipshift", "seed", "balance-always"):
            outcome = self.outcome(policy, calls=12_000)
            assert outcome.ratio is not None
            self.assertTrue(0.9 < outcome.ratio < 1.1, f"{policy}: {outcome.ratio}")
        rival = self.outcome("round-robin", calls=12_000)
        self.assertTrue(rival.refused > 3 * rival.pooled_refused)

    def test_even_is_more_even_than_seed(self) -> None:
        """With one primary at half load the seed's rule fills it; ``even`` does not."""
        even = self.outcome("voipshift", load=0.5, entry="primary")
        seed = self.outcome("seed", load=0.5, entry="primary")
        self.assertTrue(even.jain_mean > 0.97 > 0.9 > seed.jain_mean, f"{even.jain_mean} {seed.jain_mean}")

    def test_known_to_be_full_is_not_asked(self) -> None:
        """In overload calls are refused, and no ask is spent by who knows that all are full."""
        outcome = self.outcome(load=1.5)
        self.assertEqual(outcome.needless, 0)
        self.assertTrue(outcome.refused > outcome.offered / 4)

    def test_hop_limit(self) -> None:
        """No attempt visits more than that."""
        self.assertEqual(self.outcome(load=1.3, hop_limit=2).hops_max, 2)

    def test_a_restarted_server_is_not_stormed(self) -> None:
        """Its accept-rate bucket is nearly empty: at most twice the calls that end there when it is full."""
        outcome = self.outcome(slots=500, calls=40_000, load=0.9, outages=(Outage(1, 400.0, 500.0),))
        assert outcome.restart_peak is not None
        self.assertTrue(1.0 < outcome.restart_peak < 4.0, str(outcome.restart_peak))

    def test_json_keys(self) -> None:
        """As documented."""
        shown = self.outcome().json()
        self.assertEqual(
            list(shown),
            ["policy", "blocking", "pooled_blocking", "erlang_b", "ratio", "hops", "jain", "max_over_mean", "refused",
             "messages_per_call", "datagrams_per_node_s", "restart_peak"],
        )  # fmt: skip
        self.assertEqual(list(shown["hops"]), ["mean", "p99", "max", "least"])
        self.assertEqual(list(shown["jain"]), ["mean", "min"])

    def test_progress(self) -> None:
        """It is told how many calls were placed, all of them in the end."""
        told: list[int] = []
        run("random", SMALL, told.append)
        self.assertEqual((told[0], told[-1]), (0, SMALL.calls))


class CollectTests(SynchronousTestCase):
    """The three ways to know the others are the delegation's own."""

    def outcome(self, **how: Any) -> Outcome:
        return run("voipshift", replace(SMALL, calls=8_000, **how))

    def test_each_way_balances(self) -> None:
        """Near the bound, and within the hop limit."""
        for collect in ("reports", "poll", "race"):
            outcome = self.outcome(collect=collect, load=0.95)
            self.assertTrue(outcome.blocking < outcome.pooled_blocking + 0.02, f"{collect}: {outcome.blocking}")
            self.assertLessEqual(outcome.hops_max, 3)

    def test_a_poll_knows_what_old_reports_do_not(self) -> None:
        """With reports each minute and without edges to speak of it is more even, for two datagrams a member polled."""
        how = {"load": 0.6, "report_interval_s": 60.0, "loss": 0.0, "holding": Exponential(20.0)}
        reports, poll = self.outcome(**how), self.outcome(collect="poll", **how)
        self.assertGreater(poll.jain_mean, reports.jain_mean)
        self.assertGreater(poll.messages_per_call, 2 * reports.messages_per_call)
        everybody = self.outcome(collect="poll", collect_from=math.inf, **how)
        self.assertGreaterEqual(everybody.messages_per_call, poll.messages_per_call)

    def test_a_race_asks_so_many(self) -> None:
        """Each shifted call costs the datagrams of three asks, and the losers' slots are given back."""
        one = self.outcome(load=0.6, loss=0.0)
        three = self.outcome(load=0.6, loss=0.0, collect="race")
        self.assertGreater(three.messages_per_call, 2 * one.messages_per_call)
        self.assertEqual(three.refused, 0)

    def test_a_lost_poll_is_repeated_and_a_silent_member_is_left_out(self) -> None:
        """With a server that is dead for a while, and a fifth of the datagrams lost, all calls still end."""
        outcome = self.outcome(collect="poll", loss=0.2, load=0.7, outages=(Outage(2, 400.0, 500.0),))
        trace = Trace(replace(SMALL, calls=8_000, load=0.7))
        self.assertEqual(outcome.offered, len(trace) - trace.first_counted)


class UntunedTests(SynchronousTestCase):
    """What nobody tuned for costs hops or evenness, never correctness."""

    def test_a_liar_costs_hops(self) -> None:
        """A member that claims to be idle and refuses everything is asked often; nothing else is refused for it."""
        honest = run("voipshift", replace(SMALL, load=0.6))
        lied = run("voipshift", replace(SMALL, load=0.6, entry="first:3", liars=(3,)))
        self.assertTrue(lied.blocking < 0.02, str(lied.blocking))
        self.assertTrue(lied.messages_per_call > honest.messages_per_call)

    def test_a_cut_in_one_direction(self) -> None:
        """A member that is not heard by one server is still used by the others."""
        cut = run("voipshift", replace(SMALL, load=0.6, cuts=(Cut(2, 0, 0.0, 1e9),)))
        self.assertEqual(cut.refused, 0)

    def test_a_limit_that_changes(self) -> None:
        """Above a lowered limit nothing is accepted until enough calls ended; the group still is near the bound."""
        outcome = run("voipshift", replace(SMALL, load=0.8, changes=(Change(2, 350.0, 20), Change(2, 600.0, 114))))
        self.assertTrue(outcome.blocking <= outcome.pooled_blocking + 0.01)


class CoreTests(SynchronousTestCase):
    """What decides in the lab is the node's own."""

    def test_the_same_objects(self) -> None:
        """Each server has a Delegation over its own workload, leases and members, with the rule as configured."""
        queue, trace = EventQueue(), Trace(SMALL)
        group = Shifting("voipshift", SMALL, trace, queue, Measures(trace.first_counted))
        for server in group.servers:
            delegation = server.delegation
            self.assertIs(type(delegation), Delegation)
            self.assertEqual(delegation.rule, EVEN)
            self.assertIs(delegation.workload, server.workload)
            self.assertIs(delegation.leases, server.leases)
            self.assertIs(delegation.members, server.members)

    def test_limits_are_kept_at_every_moment(self) -> None:
        """Calls and leases together never exceed the limit, and no lease is left in the end."""
        queue, trace = EventQueue(), Trace(replace(SMALL, load=1.2))
        group = Shifting("voipshift", SMALL, trace, queue, Measures(0))
        for number, arrival in enumerate(trace.arrivals):
            queue.run(arrival)
            group.offer(number)
            for server in group.servers:
                self.assertTrue(0 <= server.calls + len(server.leases) <= server.limit)
        queue.run(queue.now + 60.0)
        for server in group.servers:
            counts = server.leases.counts
            self.assertEqual(counts["granted"], counts["arrived"] + counts["withdrawn"] + counts["lapsed"])
            self.assertEqual(len(server.leases), 0)

    def test_a_dead_member_is_suspect_and_then_dead(self) -> None:
        """Calls go on while it is silent, none to it, and it takes its share again when it is back."""
        queue, trace = EventQueue(), Trace(replace(SMALL, load=0.4))
        measures = Measures(0)
        group = Shifting("voipshift", SMALL, trace, queue, measures)
        dead: Server = group.servers[2]
        queue.at(300.0, group.fail, 2)
        queue.at(400.0, group.restart, 2)
        at_398 = 0
        for number, arrival in enumerate(trace.arrivals):
            if queue.now < 398.0 <= arrival:
                queue.run(398.0)
                states = {group.servers[index].members.state("s2", queue.now) for index in (0, 1, 3)}
                self.assertEqual(states, {"dead"})
                self.assertEqual(dead.calls, 0)
                at_398 = number
            queue.run(arrival)
            group.offer(number)
        self.assertTrue(at_398)
        self.assertEqual(measures.refused, 0)
        self.assertTrue(dead.calls > 0.25 * dead.limit, str(dead.calls))
