"""An attempt is placed again: the member that had accepted it was not there when its client was brought to it."""

from __future__ import annotations

from tests.test_delegation_chain import ATTEMPT, DelegationTestCase, accepted_by, said
from voipshift.balance.rates import Rates
from voipshift.balance.reason import Reason
from voipshift.errors import Refused


class AgainTests(DelegationTestCase):
    """Node a is full, b accepted, c has room."""

    def setUp(self) -> None:
        super().setUp()
        self.calls = 2
        self.hear(said("b", 0.1))
        placed = self.delegation.place(ATTEMPT)
        self.hear(said("c", 0.5))
        self.acceptance = accepted_by(self.asks.sent[0].path[0], said("b", 0.2, 3))
        self.asks.sent[0].answer.callback(self.acceptance)
        self.successResultOf(placed)

    def test_the_lease_is_given_back(self) -> None:
        """And nobody asks that member until it is heard."""
        self.delegation.unreached(self.acceptance, ATTEMPT.id)
        self.assertEqual(self.withdrawn, [(self.acceptance, ATTEMPT.id)])
        self.assertEqual([member.name for member in self.members.candidates("sip/udp", (), self.time)], ["c"])

    def test_it_goes_on_from_where_it_was(self) -> None:
        """The member counts as visited, and the one that is asked is told why; it has as much time as at first."""
        self.delegation.explains = True
        self.time = 2.0
        self.hear(said("c", 0.5, 3))
        self.delegation.place(ATTEMPT, self.delegation.unreached(self.acceptance, ATTEMPT.id))
        asked = self.asks.sent[1]
        self.assertEqual((asked.name, asked.left_s), ("c", 1.5))
        self.assertEqual([(load.node, load.reason) for load in asked.path], [("a", Reason.FULL), ("b", Reason.SILENT)])

    def test_the_hop_limit_ends_it(self) -> None:
        """However many members die one after the other."""
        visited = self.delegation.unreached(self.acceptance, ATTEMPT.id)
        gone = tuple(said(name, 0.1) for name in ("d", "e"))
        self.failureResultOf(self.delegation.place(ATTEMPT, (*visited, *gone)), Refused)
        self.assertEqual(self.asks.names, ["b"])

    def test_it_can_be_taken_here_now(self) -> None:
        """There may be room by now."""
        visited = self.delegation.unreached(self.acceptance, ATTEMPT.id)
        self.calls = 0
        acceptance = self.successResultOf(self.delegation.place(ATTEMPT, visited))
        self.assertEqual((acceptance.node.name, acceptance.hops), ("a", 0))

    def test_it_was_offered_once(self) -> None:
        """The rule of rates counts what clients offer, not how often it is looked for a node."""
        self.delegation.rates = rates = Rates(members=self.members, workload=self.workload, now=0.0)
        self.delegation.place(ATTEMPT, self.delegation.unreached(self.acceptance, ATTEMPT.id))
        self.assertEqual(rates.offered(self.time), 0.0)
        self.delegation.place(ATTEMPT)
        self.assertGreater(rates.offered(self.time), 0.0)
