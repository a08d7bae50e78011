"""Attempts that are placed by a poll: when one is waited for, whom it asks, and what is made of it."""

from __future__ import annotations

from dataclasses import replace

from twisted.internet.defer import CancelledError, Deferred

from tests.test_delegation_chain import ATTEMPT, DelegationTestCase, accepted_by, said
from voipshift.balance.rule import SEED
from voipshift.delegation.polling import polling
from voipshift.errors import Refused


class PollingTests(DelegationTestCase):
    """Node a with two slots; b and c are believed to be free."""

    def setUp(self) -> None:
        """Polls are remembered, and answered when the test says so."""
        super().setUp()
        self.polls: list[tuple[list[str], float, Deferred[frozenset[str]]]] = []
        self.cancelled: list[list[str]] = []
        self.delegation._chain = polling(self.poll, timeout_s=0.1)
        self.hear(said("b", 0.2), said("c", 0.5))
        self.calls = 2

    def poll(self, names: list[str], timeout_s: float) -> Deferred[frozenset[str]]:
        polled: Deferred[frozenset[str]] = Deferred(lambda _: self.cancelled.append(names))
        self.polls.append((names, timeout_s, polled))
        return polled

    def reported(self, *names: str) -> None:
        self.polls[-1][2].callback(frozenset(names))

    def test_room_here_waits_for_nobody(self) -> None:
        """Line 4 needs no load of the others."""
        self.calls = 1
        self.successResultOf(self.delegation.place(ATTEMPT))
        self.assertEqual(self.polls, [])

    def test_all_full_waits_for_nobody(self) -> None:
        """Line 3: a group in overload is not polled for each refused call."""
        self.hear(said("b", 1.0, 3), said("c", 1.0, 3))
        self.failureResultOf(self.delegation.place(ATTEMPT))
        self.assertEqual(self.polls, [])

    def test_the_fresh_loads_decide(self) -> None:
        """B was the emptier one, and has filled up since it reported."""
        self.delegation.rule = replace(SEED, choose="lowest")
        placed = self.delegation.place(ATTEMPT)
        self.assertEqual(self.polls[0][:2], (["b", "c"], 0.1))
        self.assertEqual(self.asks.sent, [])
        self.hear(said("b", 1.0, 3), said("c", 0.4, 3))
        self.reported("b", "c")
        self.assertEqual(self.asks.names, ["c"])
        self.asks.sent[0].answer.callback(accepted_by(said("a", 1.0), said("c", 0.5, 4)))
        self.assertEqual(self.successResultOf(placed).node.name, "c")
        self.assert_counts(shifted=1, asked_on=1)

    def test_who_did_not_report_is_not_asked(self) -> None:
        """As long as another one did."""
        placed = self.delegation.place(ATTEMPT)
        self.reported("c")
        self.assertEqual(self.asks.names, ["c"])
        placed.addErrback(lambda failure: None)
        placed.cancel()

    def test_nobody_reported(self) -> None:
        """Then what is believed decides."""
        placed = self.delegation.place(ATTEMPT)
        self.reported()
        self.assertEqual(len(self.asks.sent), 1)
        placed.addErrback(lambda failure: None)
        placed.cancel()

    def test_so_many_are_drawn(self) -> None:
        """Not all of a large group."""
        self.hear(*(said(f"m{number}", 0.5) for number in range(20)))
        self.delegation._chain = polling(self.poll, width=3)
        placed = self.delegation.place(ATTEMPT)
        drawn = self.polls[0][0]
        self.assertEqual(len(set(drawn)), 3)
        self.reported(*drawn)
        self.assertIn(self.asks.names[0], drawn)
        placed.addErrback(lambda failure: None)
        placed.cancel()

    def test_room_that_came_back_meanwhile(self) -> None:
        """The rule looks at this node again, too."""
        placed = self.delegation.place(ATTEMPT)
        self.calls = 0
        self.reported("b", "c")
        self.assertEqual(self.successResultOf(placed).node.name, "a")

    def test_cancelling_ends_the_poll(self) -> None:
        """The attempt ends once, as cancelled."""
        placed = self.delegation.place(ATTEMPT)
        placed.cancel()
        self.failureResultOf(placed, CancelledError)
        self.assertEqual(self.cancelled, [["b", "c"]])
        self.assert_counts(cancelled=1)

    def test_pending_comes_before_the_poll(self) -> None:
        """The asker would take it for silence."""
        considered = self.consider(said("d", 1.0))
        self.assertEqual((self.pendings, len(self.polls)), (1, 1))
        self.reported("b")
        self.assertEqual((self.pendings, self.asks.names), (1, ["b"]))
        considered.addErrback(lambda failure: None)
        considered.cancel()

    def test_a_refusal_polls_nobody_again(self) -> None:
        """The rule goes on with all that it believes, the answer included."""
        placed = self.delegation.place(ATTEMPT)
        self.reported("c")
        self.time = 0.1
        self.asks.sent[0].answer.errback(Refused((said("c", 1.0, 5),)))
        self.assertEqual((self.asks.names, len(self.polls)), (["c", "b"], 1))
        placed.addErrback(lambda failure: None)
        placed.cancel()
