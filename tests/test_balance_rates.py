"""The rule ``rate``: what is offered above the mean goes to those who are offered less."""

from __future__ import annotations

import math
from collections import Counter
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from tests.simulation import Group
from voipshift.balance.factors import UNTOLD
from voipshift.balance.members import Members
from voipshift.balance.rates import Offered, Rates
from voipshift.balance.reason import Reason
from voipshift.balance.rule import SEED, Ask, decide
from voipshift.balance.workload import Workload
from voipshift.node import DRAINING, FULL, Load, NodeIdentity

DOOR = "sip/udp"
SIP = {DOOR: ("192.0.2.7", 5060)}


class OfferedTests(SynchronousTestCase):
    """A smoothed rate."""

    def test_steady(self) -> None:
        """It is right from the first seconds on, and stays so."""
        offered = Offered(100.0)
        for number in range(1, 3000):
            now = 100.0 + number / 50
            offered.count(now)
            if now > 102.0:
                self.assertLess(abs(offered.per_second(now) - 50.0), 1.5)

    def test_it_forgets(self) -> None:
        """In five seconds most of it, in a minute all."""
        offered = Offered(0.0)
        for number in range(1000):
            offered.count(number / 50)
        self.assertLess(abs(offered.per_second(25.0) - 50.0 / math.e), 2.0)
        self.assertLess(offered.per_second(80.0), 0.01)

    def test_the_first_call_is_no_storm(self) -> None:
        """One call in the first millisecond is one a second, not a thousand."""
        offered = Offered(0.0)
        offered.count(0.001)
        self.assertLessEqual(offered.per_second(0.001), 1.0)


class RuleTests(SynchronousTestCase):
    """Node a, whose clients call it fifty times a second."""

    def setUp(self) -> None:
        """A hundred slots, of which none is taken."""
        self.calls = 0
        self.random = Random(3)
        self.workload = Workload(ongoing_calls=100, calls_per_second=math.inf, occupied=lambda: self.calls, now=0.0)
        self.members = Members(here="a", report_interval_s=1.0)
        self.rates = Rates(members=self.members, workload=self.workload, now=0.0)
        self.now = 0.0
        for _ in range(1500):
            self.now += 0.02
            self.rates.count(self.now)

    def hear(self, name: str, offered: float | None, capacity: float = 100.0, flags: int = 0) -> None:
        load = Load(name, 1, 1, 1.0 if flags & FULL else 0.5, capacity, flags)
        self.members.heard(NodeIdentity(name, SIP), load, self.now)
        self.members.describe(name, UNTOLD, offered)

    def decided(self, times: int = 4000, hops: int = 0, *, resumed: bool = False) -> Counter[str]:
        """How often it does what."""
        outcomes: Counter[str] = Counter()
        for _ in range(times):
            decision = decide(
                SEED,
                door=DOOR,
                visited=(),
                hops=hops,
                resumed=resumed,
                probed=False,
                workload=self.workload,
                members=self.members,
                now=self.now,
                random=self.random,
                rates=self.rates,
            )
            if isinstance(decision, Ask):
                outcomes[decision.member.name] += 1
                if not self.calls:
                    self.assertIs(decision.reason, Reason.OFFERED_LESS)
            else:
                outcomes["here" if decision.accepts else "refused"] += 1
        return outcomes

    def test_the_surplus_goes_to_those_who_lack_it(self) -> None:
        """Fifty, ten and none: the mean is twenty; thirty of fifty are shifted, a third of them to b."""
        self.hear("b", 10.0)
        self.hear("c", 0.0)
        outcomes = self.decided()
        for name, share in (("here", 0.4), ("b", 0.2), ("c", 0.4)):
            self.assertLess(abs(outcomes[name] / 4000 - share), 0.03)

    def test_in_proportion_to_capacity(self) -> None:
        """Who is twice as large has twice the share."""
        self.hear("b", 0.0, capacity=200.0)
        self.assertLess(abs(self.decided()["b"] / 4000 - 2 / 3), 0.03)

    def test_below_the_mean_everything_stays(self) -> None:
        """Also where the processor of another is idle: it gets its calls from those above the mean."""
        self.hear("b", 60.0)
        self.hear("c", 55.0)
        self.assertEqual(self.decided(), {"here": 4000})

    def test_what_was_shifted_is_not_shifted_again(self) -> None:
        """Nor an attempt that a member has refused: it stays where its client called."""
        self.hear("b", 0.0)
        self.assertEqual(self.decided(100, hops=1), {"here": 100})
        self.assertEqual(self.decided(100, resumed=True), {"here": 100})

    def test_not_to_those_who_take_nothing(self) -> None:
        """Full, draining, suspect, dead, or silent about their rate."""
        self.hear("full", 0.0, flags=FULL)
        self.hear("draining", 0.0, flags=FULL | DRAINING)
        self.hear("older", None)
        self.assertEqual(self.decided(100), {"here": 100})
        self.hear("suspect", 0.0)
        self.members.suspect("suspect")
        self.assertEqual(self.decided(100), {"here": 100})
        self.now += 0.2
        self.hear("b", 0.0)
        self.assertGreater(self.decided(100)["b"], 20)
        self.members.leave("b")
        self.now += 0.2
        self.assertEqual(self.decided(100), {"here": 100})

    def test_without_room_it_is_the_seed(self) -> None:
        """Who has no room asks whoever is believed to have some, whatever that is offered."""
        self.calls = 100
        self.hear("b", 500.0)
        self.assertEqual(self.decided(100), {"b": 100})


class GroupTests(SynchronousTestCase):
    """Four nodes on a network that loses datagrams; clients know two of them."""

    def test_each_carries_its_share(self) -> None:
        """Of equal nodes each a quarter, and no attempt is shifted twice; what is offered is told in each Report."""
        group = Group([1000.0] * 4, seed=5, rates=True, loss=0.05)
        group.settle()
        began = {name: node.delegation.counts.accepted for name, node in group.nodes.items()}
        for number in range(1500):
            group.call("n0" if number % 3 else "n1", holding_s=2.0)
            group.run(0.02)
            if number == 500:
                began = {name: node.delegation.counts.accepted for name, node in group.nodes.items()}
        carried = [node.delegation.counts.accepted - began[name] for name, node in group.nodes.items()]
        self.assertEqual(sum(carried), 1000)
        for share in carried:
            self.assertLess(abs(share / 1000 - 0.25), 0.06)
        self.assertEqual(group.outcomes()["refused"], 0)
        self.assertEqual(group.hops_seen, 1)
        member = group.nodes["n2"].members.get("n0")
        assert member is not None and member.offered is not None
        self.assertLess(abs(member.offered - 50 * 2 / 3), 5.0)
        group.run(20.0)
        group.check_the_end()
