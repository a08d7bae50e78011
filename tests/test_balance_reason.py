"""The reasons of decisions: each way out of the rule has its own, and each has its sentence."""

from __future__ import annotations

import math
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from voipshift.balance.members import Members
from voipshift.balance.reason import SENTENCES, Reason, sentence_of
from voipshift.balance.rule import EVEN, SEED, Ask, Rule, decide
from voipshift.balance.workload import Workload
from voipshift.node import FULL, Load, NodeIdentity

#: What calls of ten there are here, what the members have, how the attempt stands; and the reason.
CASES = [
    (0, {"b": 0}, {}, Reason.BELOW_THRESHOLD),
    (5, {"b": 5}, {"rule": EVEN}, Reason.NOBODY_EMPTIER),
    (5, {}, {"rule": EVEN}, Reason.NOBODY_LEFT),
    (5, {"b": 0}, {"hops": 3, "resumed": True}, Reason.NOBODY_LEFT),
    (10, {"b": 5}, {}, Reason.FULL),
    (5, {"b": 0}, {"rule": EVEN}, Reason.ANOTHER_EMPTIER),
    (10, {"b": 10, "c": 10}, {}, Reason.ALL_FULL),
    (10, {"b": 5}, {"hops": 3}, Reason.HOP_LIMIT),
    (10, {"b": 5}, {"hops": 1, "visited": "b"}, Reason.NOBODY_TO_ASK),
]


class ReasonTests(SynchronousTestCase):
    """The rule says why."""

    def decide(
        self,
        calls: int,
        members: dict[str, int],
        *,
        rule: Rule = SEED,
        hops: int = 0,
        visited: str = "",
        resumed: bool = False,
        flags: int | None = None,
    ) -> Reason | Ask:
        """The decision of a node with ten slots."""
        workload = Workload(ongoing_calls=10, calls_per_second=math.inf, occupied=lambda: calls, now=0.0)
        believed = Members(here="a", report_interval_s=1.0)
        for name, busy in members.items():
            full = FULL if busy >= 10 else 0
            load = Load(name, 1, 1, busy / 10, 10.0, full if flags is None else flags)
            believed.heard(NodeIdentity(name, {"sip/udp": (name, 5060)}), load, 0.0)
        return decide(
            rule,
            door="sip/udp",
            visited=visited,
            hops=hops,
            resumed=resumed,
            probed=False,
            workload=workload,
            members=believed,
            now=0.0,
            random=Random(1),
        )

    def test_each_way_out(self) -> None:
        """Accepted, asked on or refused: each for a reason of its own."""
        for calls, members, how, reason in CASES:
            decision = self.decide(calls, members, **how)  # type: ignore[arg-type]
            found = decision.reason if isinstance(decision, Ask) else decision
            self.assertIs(found, reason, (calls, members, how))

    def test_a_probe_is_a_reason(self) -> None:
        """Somebody believed at his threshold, but not flagged, is asked whether he is."""
        decision = self.decide(10, {"b": 10}, flags=0)
        assert isinstance(decision, Ask)
        self.assertIs(decision.reason, Reason.PROBED)
        self.assertTrue(decision.probe)

    def test_only_the_first_block_accepts(self) -> None:
        """By its number."""
        self.assertEqual([each for each in Reason if each.accepts], [each for each in Reason if 0 < each < 16])

    def test_each_has_a_sentence(self) -> None:
        """One of a later version too."""
        self.assertEqual(set(SENTENCES), set(Reason))
        self.assertEqual(sentence_of(1), SENTENCES[Reason.BELOW_THRESHOLD])
        self.assertIn("(200)", sentence_of(200))
