"""Why each node on an attempt's way did what it did: said with its load, where records are kept."""

from __future__ import annotations

from tests.test_delegation_chain import ATTEMPT, DelegationTestCase, accepted_by, said
from voipshift.balance.reason import Reason
from voipshift.errors import NoAnswer, Refused
from voipshift.node import Load


def told(visited: tuple[Load, ...]) -> list[tuple[str, int]]:
    """Who decided, and why."""
    return [(load.node, load.reason) for load in visited]


class ReasonTests(DelegationTestCase):
    """Node a, which says why."""

    def setUp(self) -> None:
        """As the chain's own tests have it."""
        super().setUp()
        self.delegation.explains = True

    def test_an_acceptance_and_its_lease_hold_the_way(self) -> None:
        """So that the record of the call has it when the client comes with the lease."""
        acceptance = self.successResultOf(self.delegation.place(ATTEMPT))
        self.assertEqual(told(acceptance.visited), [("a", Reason.BELOW_THRESHOLD)])
        lease = self.leases.get(acceptance.lease)
        assert lease is not None
        self.assertEqual(lease.visited, acceptance.visited)

    def test_the_way_so_far_goes_with_each_ask(self) -> None:
        """Full, then one that is silent, then one that answers too late, then one that refuses for its own reason."""
        self.calls = 2
        self.hear(said("b", 0.5))
        placed = self.delegation.place(ATTEMPT)
        self.assertEqual(told(self.asks.sent[0].path), [("a", Reason.FULL)])
        self.hear(said("c", 0.5))
        self.asks.sent[0].answer.errback(NoAnswer(silent=True))
        self.assertEqual(told(self.asks.sent[1].path), [("a", Reason.FULL), ("b", Reason.SILENT)])
        self.hear(said("d", 0.5))
        self.asks.sent[1].answer.errback(NoAnswer(silent=False))
        way = [("a", Reason.FULL), ("b", Reason.SILENT), ("c", Reason.NO_ANSWER)]
        self.assertEqual(told(self.asks.sent[2].path), way)
        self.asks.sent[2].answer.errback(Refused((said("d", 1.0).because(Reason.HOP_LIMIT),)))
        refused = self.failureResultOf(placed, Refused)
        self.assertEqual(told(refused.value.visited), [*way[1:], ("d", Reason.HOP_LIMIT), ("a", Reason.HOP_LIMIT)])

    def test_what_a_member_refused_for_is_passed_on(self) -> None:
        """As it said it."""
        self.calls = 2
        self.hear(said("b", 0.5), said("c", 0.9, capacity=0.001))
        placed = self.delegation.place(ATTEMPT)
        self.asks.sent[0].answer.errback(Refused((said("b", 1.0).because(Reason.NOBODY_TO_ASK),)))
        self.assertEqual(told(self.asks.sent[1].path)[1:], [("b", Reason.NOBODY_TO_ASK)])
        self.asks.sent[1].answer.callback(accepted_by(said("c", 0.6)))
        self.successResultOf(placed)

    def test_an_attempt_for_this_node_alone(self) -> None:
        """Accepted, or refused, without a look at the others."""
        acceptance = self.delegation.here_alone(ATTEMPT)
        self.assertEqual(told(acceptance.visited), [("a", Reason.CAME_DIRECTLY)])
        self.calls = 2
        refused = self.assertRaises(Refused, self.delegation.here_alone, ATTEMPT)
        self.assertEqual(told(refused.visited), [("a", Reason.FULL_ALONE)])

    def test_a_client_with_too_many_leases(self) -> None:
        """It is refused for that, not for the node's load."""
        self.leases.held_per_client = 0
        refused = self.failureResultOf(self.delegation.place(ATTEMPT), Refused)
        self.assertEqual(told(refused.value.visited), [("a", Reason.TOO_MANY_LEASES)])

    def test_without_records_nothing_is_said(self) -> None:
        """What somebody else said before of a member is not repeated as if it were about this attempt."""
        self.delegation.explains = False
        self.calls = 2
        self.hear(said("b", 0.5).because(Reason.FULL), said("c", 0.5).because(Reason.FULL))
        self.delegation.place(ATTEMPT)
        self.asks.sent[0].answer.errback(NoAnswer(silent=True))
        self.assertEqual([load.reason for load in self.asks.sent[1].path], [0, 0])
