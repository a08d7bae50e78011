"""The decision, line by line."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Container
from dataclasses import replace
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from voipshift.balance.members import Member, Members
from voipshift.balance.rule import EVEN, SEED, Ask, Rule, anywhere, decide
from voipshift.balance.workload import Workload
from voipshift.node import DRAINING, FULL, Load, NodeIdentity

SIP = {"sip/udp": ("192.0.2.7", 5060)}


class RuleTestCase(SynchronousTestCase):
    """Node a, which has so many of its ten slots taken, and what it believes of the others."""

    def setUp(self) -> None:
        """Ten slots, all free; no members."""
        self.calls = 0
        self.random = Random(4)
        self.workload = Workload(ongoing_calls=10, calls_per_second=math.inf, occupied=lambda: self.calls, now=0.0)
        self.members = Members(here="a", report_interval_s=1.0)

    def hear(
        self, name: str, calls: float, capacity: float = 10.0, flags: int | None = None, now: float = 0.0
    ) -> Member:
        occupancy = calls / capacity if capacity else 1.0
        flags = (FULL if occupancy >= 1.0 else 0) if flags is None else flags
        self.members.heard(NodeIdentity(name, SIP), Load(name, 1, 1, occupancy, capacity, flags), now)
        member = self.members.get(name)
        assert member is not None
        return member

    def decide(
        self,
        rule: Rule = SEED,
        visited: Container[str] = (),
        hops: int = 0,
        *,
        resumed: bool = False,
        probed: bool = False,
        now: float = 0.0,
        locality: object = None,
    ) -> str:
        """What it does, or the name of the member that is asked, with a question mark behind it for a probe."""
        decision = decide(
            rule,
            door="sip/udp",
            visited=visited,
            hops=hops,
            resumed=resumed,
            probed=probed,
            workload=self.workload,
            members=self.members,
            now=now,
            random=self.random,
            locality=locality if callable(locality) else anywhere,
        )
        if isinstance(decision, Ask):
            return decision.member.name + "?" * decision.probe
        return "accept" if decision.accepts else "refuse"

    def drawn(self, rule: Rule = SEED, times: int = 3000, **how: object) -> Counter[str]:
        return Counter(self.decide(rule, **how) for _ in range(times))  # type: ignore[arg-type]


class CheapRefusalTests(RuleTestCase):
    """Line 3: refuse without an ask."""

    def setUp(self) -> None:
        """No slot is free here."""
        super().setUp()
        self.calls = 10

    def test_all_full_is_refused_with_no_ask(self) -> None:
        """When every live member is flagged full, nobody is asked."""
        self.hear("b", 10)
        self.hear("c", 10)
        self.assertEqual(self.decide(), "refuse")

    def test_a_node_without_live_members_refuses(self) -> None:
        """Alone, or with members that are dead or lack the client's door, a full node refuses."""
        self.assertEqual(self.decide(), "refuse")
        self.hear("b", 0, now=-3.0)
        self.members.heard(NodeIdentity("observer", {}), Load("observer", 1, 1, 0.0, 10.0), 0.0)
        self.assertEqual(self.decide(), "refuse")

    def test_one_not_flagged_is_asked(self) -> None:
        """A single member that is not flagged full keeps the way open."""
        self.hear("b", 10)
        self.hear("c", 9)
        self.assertEqual(self.decide(), "c")

    def test_a_draining_member_is_as_good_as_full(self) -> None:
        """A member that drains takes nothing, so it keeps no way open."""
        self.hear("b", 0, flags=DRAINING)
        self.assertEqual(self.decide(), "refuse")

    def test_an_answer_that_shows_all_full_ends_the_search(self) -> None:
        """Going on after a refusal, a group that is now known to be full is not asked any more."""
        self.hear("b", 10)
        self.hear("c", 10)
        self.assertEqual(self.decide(visited={"b"}, hops=1, resumed=True), "refuse")


class AcceptTests(RuleTestCase):
    """Line 4: accept without looking at the others."""

    def test_the_seed_accepts_below_the_threshold(self) -> None:
        """With theta = 1 a node with room takes the call, however idle the others are."""
        self.hear("b", 0)
        for self.calls in range(10):
            self.assertEqual(self.decide(), "accept")
        self.calls = 10
        self.assertEqual(self.decide(), "b")

    def test_even_looks_at_the_others_from_theta_on(self) -> None:
        """With theta = 0.3 the entry keeps calls up to 30 % and then shifts to one that is emptier."""
        self.hear("b", 0, capacity=100)
        for calls, decision in [(0, "accept"), (2, "accept"), (3, "b"), (9, "b"), (10, "b")]:
            self.calls = calls
            self.assertEqual(self.decide(EVEN), decision, calls)

    def test_an_asked_member_with_room_accepts(self) -> None:
        """An attempt that was forwarded once is taken wherever there is room, under any rule."""
        self.hear("b", 0, capacity=1000)
        self.calls = 9
        for rule in (SEED, EVEN, Rule(theta=0.0, delta=0.0)):
            self.assertEqual(self.decide(rule, {"c"}, 1), "accept")

    def test_an_entry_that_goes_on_compares_again(self) -> None:
        """After a refusal the entry goes on at line 5: it does not accept just because somebody was visited."""
        self.hear("b", 0, capacity=100)
        self.calls = 5
        self.assertEqual(self.decide(EVEN, {"c"}, 1, resumed=True), "b")


class CandidateTests(RuleTestCase):
    """Lines 5 to 7: whom to ask, and when not to."""

    def setUp(self) -> None:
        """No slot is free here."""
        super().setUp()
        self.calls = 10

    def test_visited_suspect_dead_and_draining_are_not_asked(self) -> None:
        """Line 5 leaves only members that can be asked."""
        for name in ("visited", "suspect", "good"):
            self.hear(name, 0)
        self.hear("dead", 0, now=-3.0)
        self.hear("draining", 0, flags=DRAINING | FULL)
        self.members.suspect("suspect")
        self.assertEqual(self.drawn(visited={"visited"}, hops=1, times=50), {"good": 50})

    def test_members_believed_full_are_probed_once(self) -> None:
        """When none is believed free but not all are flagged full, one of them is asked, and only one."""
        self.hear("b", 10)
        for _ in range(10):
            self.hear("c", 0).add_call()
        self.assertEqual(set(self.drawn(times=50)), {"b?", "c?"})
        self.assertEqual(self.decide(probed=True), "refuse")

    def test_a_probe_is_drawn_by_capacity(self) -> None:
        """Among members believed full, the bigger one more often frees a slot."""
        self.hear("b", 100, capacity=100)
        member = self.hear("c", 299, capacity=300)
        member.add_call()
        drawn = self.drawn()
        self.assertApproximates(drawn["c?"] / 3000, 0.75, 0.03)

    def test_the_hop_limit_ends_it(self) -> None:
        """With as many nodes visited as allowed nobody more is asked: accept if there is room, else refuse."""
        self.hear("b", 0)
        for limit in (1, 3, 5):
            rule = replace(SEED, hop_limit=limit)
            self.assertEqual(self.decide(rule, {"x"}, limit - 1), "b")
            self.assertEqual(self.decide(rule, {"x"}, limit), "refuse")
            self.calls = 9
            self.assertEqual(self.decide(rule, {"x"}, limit, resumed=True), "accept")
            self.calls = 10

    def test_a_large_group_may_be_searched_farther(self) -> None:
        """Five nodes instead of three from a hundred nodes on, unless the operator says how many."""
        for number in range(98):
            self.hear(f"m{number}", 0)
        self.assertEqual(self.decide(hops=3), "refuse")
        self.hear("m98", 0)
        self.assertNotEqual(self.decide(hops=4), "refuse")
        self.assertEqual(self.decide(hops=5), "refuse")
        self.assertEqual(self.decide(replace(SEED, hop_limit=3), hops=3), "refuse")

    def test_with_room_and_nobody_to_ask_it_accepts(self) -> None:
        """The even rule keeps the call when there is no candidate."""
        self.calls = 9
        self.assertEqual(self.decide(EVEN), "accept")

    def test_with_room_nobody_believed_full_is_asked(self) -> None:
        """A node with room never sends a call to one believed full."""
        self.calls = 9
        self.hear("b", 10)
        self.assertEqual(self.decide(EVEN), "accept")
        self.assertEqual(self.decide(Rule(theta=0.0, delta=0.0)), "accept")

    def test_a_member_without_capacity_is_never_asked(self) -> None:
        """A pure portal is neither drawn as free nor probed."""
        self.hear("portal", 0, capacity=0, flags=0)
        self.assertEqual(self.decide(), "refuse")
        self.hear("b", 9)
        self.assertEqual(self.drawn(times=50), {"b": 50})

    def test_a_pure_portal_asks_the_others(self) -> None:
        """A limit of 0 accepts nothing and asks on."""
        self.workload = Workload(ongoing_calls=0, calls_per_second=math.inf, occupied=lambda: 0, now=0.0)
        self.hear("b", 9)
        for rule in (SEED, EVEN):
            self.assertEqual(self.decide(rule), "b")


class DrawTests(RuleTestCase):
    """Line 8: one of the lowest."""

    def setUp(self) -> None:
        """No slot is free here."""
        super().setUp()
        self.calls = 10

    def test_the_draw_is_in_proportion_to_free_capacity(self) -> None:
        """A member with thrice the free slots is asked thrice as often."""
        self.hear("b", 90, capacity=100)
        self.hear("c", 10, capacity=40)
        drawn = self.drawn()
        self.assertEqual(set(drawn), {"b", "c"})
        self.assertApproximates(drawn["c"] / 3000, 0.75, 0.03)

    def test_calls_that_were_added_are_not_free(self) -> None:
        """What this node itself sent there since the last report counts."""
        self.hear("b", 8)
        member = self.hear("c", 8)
        member.add_call()
        self.assertApproximates(self.drawn()["b"] / 3000, 2 / 3, 0.03)
        member.add_call()
        self.assertEqual(self.drawn(times=50), {"b": 50})

    def test_with_room_it_is_the_emptier_of_two(self) -> None:
        """Of two equal draws the less occupied one is asked, three times in four."""
        self.calls = 9
        self.hear("b", 30, capacity=50)
        self.hear("c", 10, capacity=30)
        drawn = self.drawn(EVEN)
        self.assertApproximates(drawn["c"] / 3000, 0.75, 0.03)
        self.assertApproximates(drawn["b"] / 3000, 0.25, 0.03)

    def test_where_factors_weigh_one_draw_decides(self) -> None:
        """Two would be something else than the factors say."""
        self.calls = 9
        self.hear("b", 30, capacity=50)
        self.hear("c", 10, capacity=30)
        drawn = self.drawn(EVEN, locality=lambda member: 3.0 if member.name == "b" else 1.0)
        self.assertApproximates(drawn["b"] / 3000, 0.75, 0.03)

    def test_old_news_of_the_last_slots_is_hardly_believed(self) -> None:
        """Four slots of 480 are free and last 1 s each when calls last 120 s: after that an e-th of one is left."""
        for name in "def":
            self.hear(name, 156, capacity=156, now=2.0)
        self.hear("b", 4, capacity=6, now=1.0)
        self.hear("c", 4, capacity=6, now=2.0)
        drawn = self.drawn(now=2.0)
        self.assertEqual(set(drawn), {"b", "c"})
        self.assertApproximates(drawn["b"] / 3000, 1 / (1 + math.e), 0.03)

    def test_where_there_is_room_news_does_not_age(self) -> None:
        """With a fifth of all slots free nothing is lost in a second."""
        self.hear("b", 80, capacity=100, now=1.0)
        self.hear("c", 80, capacity=100, now=2.0)
        self.assertApproximates(self.drawn(now=2.0)["b"] / 3000, 0.5, 0.03)

    def test_locality_weighs(self) -> None:
        """Other factors multiply the weight; a weight of 0 is never drawn."""
        self.hear("near", 5)
        self.hear("far", 5)
        self.hear("never", 0)
        weights = {"near": 3.0, "far": 1.0, "never": 0.0}
        drawn = self.drawn(locality=lambda member: weights[member.name])
        self.assertEqual(set(drawn), {"near", "far"})
        self.assertApproximates(drawn["near"] / 3000, 0.75, 0.03)

    def test_lowest_takes_the_least_occupied(self) -> None:
        """``lowest`` asks the least occupied, not the one with most free slots; equals are drawn."""
        rule = replace(SEED, choose="lowest")
        self.hear("big", 500, capacity=1000)
        self.hear("b", 3)
        self.assertEqual(self.drawn(rule, times=50), {"b": 50})
        self.hear("c", 3)
        drawn = self.drawn(rule)
        self.assertApproximates(drawn["c"] / 3000, 0.5, 0.03)

    def test_the_generator_passed_in_decides(self) -> None:
        """The same seed draws the same members."""
        for name in "bcdef":
            self.hear(name, 5)
        runs = []
        for _ in range(2):
            self.random = Random(7)
            runs.append([self.decide() for _ in range(100)])
        self.assertEqual(runs[0], runs[1])
        self.assertEqual(len(set(runs[0])), 5)


class DeadBandTests(RuleTestCase):
    """Line 9: who is hardly emptier is not asked."""

    def test_within_the_dead_band_the_call_stays(self) -> None:
        """The band is delta, but at least two slots of this node."""
        cases = [
            (10, 0.05, 5, 3.0, "accept"),  # two slots of ten: 0.5 <= 0.3 + 0.2
            (10, 0.05, 5, 2.9, "b"),
            (10, 0.30, 5, 2.01, "accept"),
            (10, 0.30, 5, 1.9, "b"),
            (1000, 0.05, 500, 4.5, "accept"),
            (1000, 0.05, 500, 4.4, "b"),
        ]
        for limit, delta, calls, theirs, decision in cases:
            self.setUp()
            self.workload = Workload(
                ongoing_calls=limit, calls_per_second=math.inf, occupied=lambda: self.calls, now=0.0
            )
            self.calls = calls
            self.hear("b", theirs)
            self.assertEqual(self.decide(Rule(theta=0.3, delta=delta)), decision, (limit, delta, calls, theirs))

    def test_balance_always_is_the_same_path_with_two_other_numbers(self) -> None:
        """With theta = 0 and delta = 0 each call is compared, save for the two slots."""
        self.workload = Workload(ongoing_calls=1000, calls_per_second=math.inf, occupied=lambda: self.calls, now=0.0)
        self.calls = 30
        self.hear("b", 27, capacity=1000)
        always = Rule(theta=0.0, delta=0.0)
        self.assertEqual(self.decide(always), "b")
        self.assertEqual(self.decide(EVEN), "accept")
        self.calls = 28
        self.assertEqual(self.decide(always), "accept")

    def test_without_room_there_is_no_dead_band(self) -> None:
        """A full node asks whoever is believed to have a slot."""
        self.calls = 10
        self.hear("b", 9)
        self.assertEqual(self.decide(EVEN), "b")


class RateTests(RuleTestCase):
    """The second criterion stands in the same lines."""

    def test_an_empty_bucket_shifts(self) -> None:
        """A node that accepted its calls of this second is at its threshold, and forwards."""
        self.workload = Workload(ongoing_calls=math.inf, calls_per_second=10, occupied=lambda: 0, now=0.0)
        self.hear("b", 0)
        for _ in range(10):
            self.assertEqual(self.decide(), "accept")
            self.workload.accepted(0.0)
        self.assertEqual(self.decide(), "b")
        self.assertEqual(self.decide(now=0.11), "accept")

    def test_a_draining_node_shifts_what_reaches_it(self) -> None:
        """Draining is no room: the call goes to another, or is refused."""
        self.workload.draining = True
        self.assertEqual(self.decide(), "refuse")
        self.hear("b", 0)
        self.assertEqual(self.decide(), "b")
