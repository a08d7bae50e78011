"""Factors other than workload: who may be a candidate, what weight it has, and where a service is."""

from __future__ import annotations

import math
from collections import Counter
from ipaddress import ip_network
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from voipshift.balance.factors import Factors
from voipshift.balance.members import Members
from voipshift.balance.policy import Formula, Policy, Region, Selection, Service
from voipshift.balance.reason import Reason
from voipshift.balance.rule import SEED, Ask, decide
from voipshift.balance.workload import Workload
from voipshift.node import FULL, CallAttempt, Load, NodeIdentity

DOOR = "sip/udp"
REGIONS = (
    Region("north", (ip_network("192.0.2.0/24"), ip_network("2001:db8::/32"))),
    Region("south", (ip_network("198.51.100.0/24"),)),
    Region("harbour", (ip_network("192.0.2.128/25"),)),
)
SERVICES = (Service("voicemail", ("*86", "mail")), Service("trunk", ("*8",)))


def attempt(client: str = "192.0.2.7", callee: str = "100") -> CallAttempt:
    return CallAttempt(bytes(16), DOOR, "alice", callee, f"sip:{callee}@x", (client, 5060))


def policy(formula: Formula = Formula(), services: tuple[Service, ...] = (), hosted: tuple[str, ...] = ()) -> Policy:  # noqa: B008
    return Policy(formula, regions=REGIONS, services=services, hosted=hosted)


class FormulaTests(SynchronousTestCase):
    """The operator's numbers."""

    def test_weights(self) -> None:
        """Each factor alone, in decibels; all together are their product."""
        for formula, factors, region, weight in [
            (Formula(), Factors("north", 100.0), "north", 1.0),
            (Formula(same_region=20), Factors("north"), "north", 100.0),
            (Formula(same_region=20), Factors("south"), "north", 1.0),
            (Formula(same_region=20), Factors(""), "", 1.0),
            (Formula(cost=-1), Factors(cost=10.0), "", 0.1),
            (Formula(answer_seizure_ratio=10), Factors(answer_seizure_ratio=1.0), "", 10.0),
            (Formula(answer_seizure_ratio=10), Factors(answer_seizure_ratio=0.0), "", 1.0),
            (Formula(post_dial_delay=-5), Factors(post_dial_delay_s=4.0), "", 0.01),
            (Formula(same_region=20, cost=-1), Factors("north", 10.0), "north", 10.0),
            (Formula(cost=-100), Factors(cost=1e9), "", 1e-15),
            (Formula(cost=100), Factors(cost=1e9), "", 1e15),
        ]:
            self.assertAlmostEqual(formula.weight(factors, region) / weight, 1.0)

    def test_limits(self) -> None:
        """Who is never asked."""
        for formula, factors, region, allowed in [
            (Formula(), Factors("south", 1e9, (), 0.0, 60.0), "north", True),
            (Formula(highest_cost=5), Factors(cost=5.0), "", True),
            (Formula(highest_cost=5), Factors(cost=5.1), "", False),
            (Formula(lowest_answer_seizure_ratio=0.1), Factors(answer_seizure_ratio=0.05), "", False),
            (Formula(longest_post_dial_delay_s=3), Factors(post_dial_delay_s=3.5), "", False),
            (Formula(only_same_region=True), Factors("south"), "north", False),
            (Formula(only_same_region=True), Factors("north"), "north", True),
            (Formula(only_same_region=True), Factors("south"), "", True),
        ]:
            self.assertEqual(formula.allows(factors, region), allowed, (formula, factors))


class PolicyTests(SynchronousTestCase):
    """What holds for an attempt."""

    def test_the_region_of_a_client(self) -> None:
        """That of the smallest network; none for a stranger, or for what is no address."""
        found = policy()
        for host, region in [
            ("192.0.2.7", "north"),
            ("192.0.2.200", "harbour"),
            ("198.51.100.1", "south"),
            ("2001:db8::1", "north"),
            ("203.0.113.1", ""),
            ("client.example.org", ""),
        ]:
            self.assertEqual([found.region(host), found.region(host)], [region] * 2)

    def test_the_service_that_is_called(self) -> None:
        """By the longest prefix."""
        found = policy(services=SERVICES)
        for callee, service in [("*86123", "voicemail"), ("*85", "trunk"), ("mailbox", "voicemail"), ("100", "")]:
            self.assertEqual(found.service(callee), service)

    def test_without_any_factor_nothing_is_selected(self) -> None:
        """And nothing is paid for it."""
        self.assertIsNone(policy().select(attempt()))

    def test_a_service_that_is_not_hosted_here(self) -> None:
        """A node that does not host it is no place for it."""
        for hosted, callee, here in [((), "*86", False), (("voicemail",), "*86", True), ((), "100", True)]:
            selection = policy(services=SERVICES, hosted=hosted).select(attempt(callee=callee))
            assert selection is not None
            self.assertEqual(selection.here, here)


class DecisionTests(SynchronousTestCase):
    """What the rule makes of it."""

    def setUp(self) -> None:
        """Three members of equal load, each with one factor that differs."""
        self.members = Members(here="a", report_interval_s=1.0)
        self.calls = 10
        self.workload = Workload(ongoing_calls=10, calls_per_second=math.inf, occupied=lambda: self.calls, now=0.0)
        for name, factors in [
            ("b", Factors("north", 10.0)),
            ("c", Factors("south", 0.0, ("voicemail",))),
            ("d", Factors()),
        ]:
            self.say(name)
            self.members.describe(name, factors)
        self.random = Random(1)

    def say(self, name: str, occupancy: float = 0.5, flags: int = 0, sequence: int = 1) -> None:
        """A member reports."""
        self.members.heard(
            NodeIdentity(name, {DOOR: (name, 5060)}), Load(name, 1, sequence, occupancy, 100.0, flags), 0.0
        )

    def decide(self, selection: Selection | None) -> Reason | Ask:
        """The rule, at an entry."""
        return decide(
            SEED,
            door=DOOR,
            visited=(),
            hops=0,
            resumed=False,
            probed=False,
            workload=self.workload,
            members=self.members,
            now=0.0,
            random=self.random,
            selection=selection,
        )

    def asked(self, selection: Selection | None) -> Counter[str]:
        """Who is asked in 3000 decisions."""
        found: Counter[str] = Counter()
        for _ in range(3000):
            decision = self.decide(selection)
            assert isinstance(decision, Ask)
            found[decision.member.name] += 1
        return found

    def test_weights_are_shares(self) -> None:
        """A member ten times as likely is asked ten times as often."""
        found = self.asked(policy(Formula(same_region=10)).select(attempt()))
        self.assertApproximates(found["b"] / 3000, 10 / 12, 0.03)
        found = self.asked(policy(Formula(cost=-1)).select(attempt()))
        self.assertApproximates(found["b"] / 3000, 0.1 / 2.1, 0.02)

    def test_whoever_is_not_allowed_is_not_asked(self) -> None:
        """Although it is there and has room."""
        found = self.asked(policy(Formula(highest_cost=5)).select(attempt()))
        self.assertEqual(set(found), {"c", "d"})
        found = self.asked(policy(Formula(only_same_region=True)).select(attempt()))
        self.assertEqual(set(found), {"b"})

    def test_admission_is_by_workload_alone(self) -> None:
        """A node with room accepts, whatever the policy thinks of it."""
        self.calls = 0
        formula = Formula(same_region=100, highest_cost=0, only_same_region=True)
        self.assertIs(self.decide(policy(formula).select(attempt())), Reason.BELOW_THRESHOLD)

    def test_a_service_goes_to_its_host(self) -> None:
        """From a node with room that does not host it too."""
        for self.calls in (0, 10):
            selection = policy(services=SERVICES).select(attempt(callee="*86"))
            self.assertEqual(set(self.asked(selection)), {"c"})

    def test_all_that_are_allowed_are_full(self) -> None:
        """Refused at once: those that have room are no place for it, and nobody is probed."""
        self.say("c", 1.0, FULL, sequence=2)
        selection = policy(services=SERVICES).select(attempt(callee="*86"))
        self.assertIs(self.decide(selection), Reason.ALL_FULL)
