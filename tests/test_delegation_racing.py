"""Attempts that are placed by a race: the first acceptance is taken, the others lose their leases."""

from __future__ import annotations

from twisted.internet.defer import CancelledError
from twisted.python.failure import Failure

from tests.test_delegation_chain import ATTEMPT, DelegationTestCase, accepted_by, said
from voipshift.delegation.racing import racing
from voipshift.errors import NoAnswer, Refused


class RacingTests(DelegationTestCase):
    """Node a is full; b and c are believed to be free, and both are asked at once."""

    def setUp(self) -> None:
        """A's two slots are taken."""
        super().setUp()
        self.delegation._chain = racing(2)
        self.hear(said("b", 0.2), said("c", 0.5))
        self.calls = 2

    def answer(self, name: str, result: object) -> None:
        asked = next(asked for asked in self.asks.sent if asked.name == name)
        asked.answer.callback(result)  # type: ignore[arg-type]

    def test_room_here_asks_nobody(self) -> None:
        """There is nothing to race for."""
        self.calls = 1
        self.successResultOf(self.delegation.place(ATTEMPT))
        self.assertEqual(self.asks.sent, [])

    def test_the_first_acceptance_is_taken(self) -> None:
        """The other ask is cancelled, which withdraws what it may have brought."""
        placed = self.delegation.place(ATTEMPT)
        self.assertEqual(sorted(self.asks.names), ["b", "c"])
        self.answer("c", accepted_by(said("a", 1.0), said("c", 0.6, 3)))
        self.assertEqual(self.successResultOf(placed).node.name, "c")
        self.assertEqual(self.asks.cancelled, ["b"])
        self.assert_counts(shifted=1, asked_on=2)

    def test_each_is_told_of_the_other(self) -> None:
        """As visited, so that none of them asks the other, and the hop limit holds for all together."""
        placed = self.delegation.place(ATTEMPT)
        paths = {asked.name: [load.node for load in asked.path] for asked in self.asks.sent}
        self.assertEqual(paths, {"b": ["a", "c"], "c": ["a", "b"]})
        placed.addErrback(lambda failure: None)
        placed.cancel()

    def test_no_contender_tells_the_client(self) -> None:
        """What a direct answer needs is left out: two could accept."""
        placed = self.delegation.place(ATTEMPT.replace(reply=b"Via: x\r\n"))
        self.assertEqual([asked.attempt.reply for asked in self.asks.sent], [b"", b""])
        placed.addErrback(lambda failure: None)
        placed.cancel()

    def test_all_of_a_group(self) -> None:
        """However many; the path stays within the hop limit."""
        self.delegation._chain = racing()
        self.hear(*(said(f"m{number}", 0.5) for number in range(20)))
        placed = self.delegation.place(ATTEMPT)
        self.assertEqual(len(set(self.asks.names)), 22)
        self.assertEqual({len(asked.path) for asked in self.asks.sent}, {3})
        placed.addErrback(lambda failure: None)
        placed.cancel()

    def test_an_acceptance_that_cannot_be_stopped_is_given_back(self) -> None:
        """A loser whose lease comes in all the same."""
        for asked in ("b", "c"):
            self.hear(said(asked, 0.2, 4))
        losing = accepted_by(said("a", 1.0), said("b", 0.6, 5))
        given: list[str] = []
        ask = self.delegation.ask

        def at_once(name, attempt, path, left_s):  # type: ignore[no-untyped-def]
            asked = ask(name, attempt, path, left_s)
            given.append(name)
            asked.callback(losing if len(given) > 1 else accepted_by(said("a", 1.0), said("c", 0.6, 5)))
            return asked

        self.delegation.ask = at_once
        self.assertEqual(self.successResultOf(self.delegation.place(ATTEMPT)).node.name, "c")
        self.assertEqual(self.withdrawn, [(losing, ATTEMPT.id)])
        self.assert_counts(shifted=1, asked_on=2)

    def test_one_refusal_is_not_the_end(self) -> None:
        """The other one may still accept, and nobody more is asked before it answers."""
        self.hear(said("d", 0.5))
        placed = self.delegation.place(ATTEMPT)
        first, second = self.asks.names
        self.answer(first, Failure(Refused((said(first, 1.0, 5),))))
        self.assertEqual(len(self.asks.sent), 2)
        self.answer(second, accepted_by(said("a", 1.0), said(second, 0.6, 5)))
        self.assertEqual(self.successResultOf(placed).node.name, second)

    def test_all_refuse(self) -> None:
        """The rule goes on; with everybody visited the attempt is refused, and says whom it reached."""
        placed = self.delegation.place(ATTEMPT)
        self.answer("b", Failure(Refused((said("b", 1.0, 5),))))
        self.answer("c", Failure(NoAnswer(True)))
        refused = self.failureResultOf(placed, Refused).value
        self.assertEqual([load.node for load in refused.visited], ["b", "c", "a"])
        self.assertEqual(self.members.state("c", 0.0), "suspect")
        self.assert_counts(refused=1, asked_on=2)

    def test_cancelling_cancels_all(self) -> None:
        """The attempt ends once, as cancelled."""
        placed = self.delegation.place(ATTEMPT)
        placed.cancel()
        self.failureResultOf(placed, CancelledError)
        self.assertEqual(sorted(self.asks.cancelled), ["b", "c"])
        self.assert_counts(cancelled=1, asked_on=2)

    def test_our_own_fault_surfaces_once(self) -> None:
        """And the others are not left running."""
        placed = self.delegation.place(ATTEMPT)
        self.answer("b", Failure(ZeroDivisionError()))
        self.failureResultOf(placed, ZeroDivisionError)
        self.assertEqual(self.asks.cancelled, ["c"])

    def test_an_acceptance_without_the_clients_door(self) -> None:
        """It is given back, and the other one is waited for."""
        placed = self.delegation.place(ATTEMPT)
        self.answer("b", accepted_by(said("a", 1.0), said("b", 0.6, 5), doors={}))
        self.assertEqual(len(self.withdrawn), 1)
        self.answer("c", accepted_by(said("a", 1.0), said("c", 0.6, 5)))
        self.assertEqual(self.successResultOf(placed).node.name, "c")
