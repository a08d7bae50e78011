"""The delegation where records are kept: what does not end here leaves a record, and nothing else changes."""

from __future__ import annotations

from twisted.internet.defer import CancelledError

from tests.test_delegation_chain import ATTEMPT, DelegationTestCase, accepted_by, said
from voipshift.balance.reason import Reason
from voipshift.calls.record import Record
from voipshift.calls.recorder import Recorder
from voipshift.delegation.recorded import Recorded
from voipshift.errors import Refused


class RecordedTests(DelegationTestCase):
    """Node a, whose recorder remembers."""

    def setUp(self) -> None:
        """As the chain's own tests have it."""
        super().setUp()
        self.kept: list[Record] = []
        recorder = Recorder(
            name="a", keep=self.kept.append, now=lambda: self.time, wall=lambda: self.time, octets=self.octets
        )
        self.delegation.explains = True
        self.recorded = Recorded(self.delegation, recorder)

    def test_what_is_accepted_here_is_recorded_when_its_call_ends(self) -> None:
        """Not now."""
        self.successResultOf(self.recorded.place(ATTEMPT))
        self.recorded.here_alone(ATTEMPT)
        self.assertEqual(self.kept, [])

    def test_what_a_member_takes(self) -> None:
        """Who took it, and how long that was waited for."""
        self.calls = 2
        self.hear(said("b", 0.5))
        placed = self.recorded.place(ATTEMPT)
        self.time = 0.25
        acceptance = accepted_by(self.asks.sent[0].path[0], said("b", 0.6).because(Reason.BELOW_THRESHOLD))
        self.asks.sent[0].answer.callback(acceptance)
        self.assertIs(self.successResultOf(placed), acceptance)
        [found] = self.kept
        self.assertEqual(
            (found.code, found.accepted, found.entry, found.began, found.ended), (302, "b", "a", 0.0, 0.25)
        )
        reasons = [(load.node, load.reason) for load in found.path]
        self.assertEqual(reasons, [("a", Reason.FULL), ("b", Reason.BELOW_THRESHOLD)])

    def test_what_nobody_takes(self) -> None:
        """503, with the reason; the refusal goes on as it was."""
        self.calls = 2
        self.failureResultOf(self.recorded.place(ATTEMPT), Refused)
        self.assertRaises(Refused, self.recorded.here_alone, ATTEMPT)
        told = [(each.code, each.accepted, each.path[-1].reason) for each in self.kept]
        self.assertEqual(told, [(503, "", Reason.ALL_FULL), (503, "", Reason.FULL_ALONE)])

    def test_what_its_client_gives_up(self) -> None:
        """487; the cancellation reaches the ask."""
        self.calls = 2
        self.hear(said("b", 0.5))
        placed = self.recorded.place(ATTEMPT)
        placed.cancel()
        self.failureResultOf(placed, CancelledError)
        self.assertEqual(self.asks.cancelled, ["b"])
        self.assertEqual([each.code for each in self.kept], [487])

    def test_what_is_placed_again(self) -> None:
        """It has a record for each time, and the second one, which takes the first one's place, says why."""
        self.calls = 2
        self.hear(said("b", 0.5))
        placed = self.recorded.place(ATTEMPT)
        self.asks.sent[0].answer.callback(accepted_by(self.asks.sent[0].path[0], said("b", 0.6)))
        visited = self.recorded.unreached(self.successResultOf(placed), ATTEMPT.id)
        self.failureResultOf(self.recorded.place(ATTEMPT, visited), Refused)
        told = [(each.attempt, each.code, [(load.node, load.reason) for load in each.path]) for each in self.kept]
        self.assertEqual(told[0][:2], ("07" * 16, 302))
        self.assertEqual(told[1], ("07" * 16, 503, [("b", Reason.SILENT), ("a", Reason.NOBODY_TO_ASK)]))
