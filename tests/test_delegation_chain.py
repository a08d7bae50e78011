"""The chain that places an attempt, against members that only remember what they were asked."""

from __future__ import annotations

import math
from random import Random
from typing import NamedTuple

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from voipshift.balance.leases import Leases
from voipshift.balance.members import Members
from voipshift.balance.rule import EVEN, SEED
from voipshift.balance.workload import Workload
from voipshift.delegation.chain import RETURN_S, Delegation
from voipshift.errors import NoAnswer, Refused
from voipshift.node import FULL, Acceptance, CallAttempt, Load, NodeIdentity

SIP = {"sip/udp": ("192.0.2.7", 5060)}
ATTEMPT = CallAttempt(b"\x07" * 16, "sip/udp", "alice", "bob", "sip:bob@example.org", ("198.51.100.1", 5060))
#: All that a delegation counts.
COUNTED = ("attempts", "accepted", "shifted", "refused", "cancelled", "asked_on")


class Asked(NamedTuple):
    """One ask that was sent, and where its answer goes."""

    name: str
    attempt: CallAttempt
    path: tuple[Load, ...]
    left_s: float
    answer: Deferred[Acceptance]


class Asks:
    """Remembers what was asked, and answers when the test says so."""

    def __init__(self) -> None:
        self.sent: list[Asked] = []
        self.cancelled: list[str] = []

    def __call__(self, name: str, attempt: CallAttempt, path: tuple[Load, ...], left_s: float) -> Deferred[Acceptance]:
        answer: Deferred[Acceptance] = Deferred(lambda answer: self.cancelled.append(name))
        self.sent.append(Asked(name, attempt, path, left_s, answer))
        return answer

    @property
    def names(self) -> list[str]:
        return [asked.name for asked in self.sent]


def said(name: str, occupancy: float, sequence: int = 2, capacity: float = 10.0) -> Load:
    return Load(name, 1, sequence, occupancy, capacity, FULL if occupancy >= 1.0 else 0)


def accepted_by(*visited: Load, doors: dict[str, tuple[str, int]] = SIP) -> Acceptance:
    return Acceptance(NodeIdentity(visited[-1].node, doors), "c" * 32, visited, len(visited) - 1)


class DelegationTestCase(SynchronousTestCase):
    """Node a with two slots, by the seed's rule."""

    rule = SEED

    def setUp(self) -> None:
        """Both slots are free, nobody else is known, and it is time 0."""
        self.time = 0.0
        self.calls = 0
        self.statements = 0
        self.drawn = 0
        self.asks = Asks()
        self.withdrawn: list[tuple[Acceptance, bytes]] = []
        self.leases = Leases(lease_s=10.0, held_per_client=5, random=self.octets)
        self.workload = Workload(
            ongoing_calls=2, calls_per_second=math.inf, occupied=lambda: self.calls + len(self.leases), now=0.0
        )
        self.members = Members(here="a", report_interval_s=1.0)
        self.delegation = Delegation(
            identity=NodeIdentity("a", SIP),
            rule=self.rule,
            workload=self.workload,
            leases=self.leases,
            members=self.members,
            ask=self.asks,
            withdraw=lambda acceptance, attempt: self.withdrawn.append((acceptance, attempt)),
            load=self.load,
            now=lambda: self.time,
            random=Random(1),
            deadline_s=1.5,
        )

    def octets(self, octets: int) -> bytes:
        self.drawn += 1
        return self.drawn.to_bytes(octets, "big")

    def load(self) -> Load:
        self.statements += 1
        return Load("a", 1, self.statements, *self.workload.told(self.time))

    def hear(self, *loads: Load) -> None:
        for load in loads:
            self.members.heard(NodeIdentity(load.node, SIP), load, self.time)

    def consider(self, *path: Load, left_s: float = 1.0) -> Deferred[Acceptance]:
        self.pendings = 0

        def pending() -> None:
            self.assertEqual(len(self.asks.sent), 0, "Pending comes before the first ask")
            self.pendings += 1

        return self.delegation.consider(ATTEMPT, path, left_s, pending, path[0].node)

    def assert_counts(self, **counts: int) -> None:
        found = {name: getattr(self.delegation.counts, name) for name in COUNTED}
        self.assertEqual(found, dict.fromkeys(COUNTED, 0) | {"attempts": 1} | counts)


class PlaceTests(DelegationTestCase):
    """A client's attempt at its entry, as FIG. 4 goes."""

    def test_below_the_threshold_it_identifies_itself(self) -> None:
        """Steps 58 and 60: the node takes the call, holds a lease for it, and asks nobody."""
        self.hear(said("b", 0.0))
        acceptance = self.successResultOf(self.delegation.place(ATTEMPT))
        self.assertEqual((acceptance.node.name, acceptance.hops), ("a", 0))
        lease = self.leases.get(acceptance.lease)
        assert lease is not None
        self.assertEqual((lease.attempt, lease.entry, lease.hops), (ATTEMPT, "a", 0))
        self.assertEqual([(load.node, load.occupancy) for load in acceptance.visited], [("a", 0.5)])
        self.assertEqual(self.asks.sent, [])
        self.assert_counts(accepted=1)

    def test_at_the_threshold_it_forwards_to_a_member(self) -> None:
        """Steps 62 to 68: the attempt goes to a less loaded member, whose identity comes back."""
        self.calls = 2
        self.hear(said("b", 0.5))
        placed = self.delegation.place(ATTEMPT)
        self.assertNoResult(placed)
        [asked] = self.asks.sent
        self.assertEqual((asked.name, asked.attempt, asked.left_s), ("b", ATTEMPT, 1.5))
        self.assertEqual(asked.path, (Load("a", 1, 1, 1.0, 2, FULL),))
        acceptance = accepted_by(asked.path[0], said("b", 0.6))
        asked.answer.callback(acceptance)
        self.assertIs(self.successResultOf(placed), acceptance)
        self.assertEqual(len(self.leases), 0)
        self.assert_counts(shifted=1, asked_on=1)

    def test_all_full_is_refused_with_no_ask(self) -> None:
        """When every member is known to be full the attempt is refused at once."""
        self.calls = 2
        self.hear(said("b", 1.0), said("c", 1.0))
        refused = self.failureResultOf(self.delegation.place(ATTEMPT), Refused)
        self.assertEqual([load.node for load in refused.value.visited], ["a"])
        self.assertEqual(self.asks.sent, [])
        self.assert_counts(refused=1)

    def test_one_stale_free_member_costs_exactly_one_ask(self) -> None:
        """A member that is full but was believed free is asked once; then all are known full, and nobody is asked."""
        self.calls = 2
        self.hear(said("b", 0.5), said("c", 1.0), said("d", 1.0))
        placed = self.delegation.place(ATTEMPT)
        self.asks.sent[0].answer.errback(Refused((said("b", 1.0, sequence=3),)))
        self.failureResultOf(placed, Refused)
        self.assertEqual(self.asks.names, ["b"])
        self.failureResultOf(self.delegation.place(ATTEMPT), Refused)
        self.assertEqual(self.asks.names, ["b"])

    def test_a_refusal_adds_what_it_visited_and_goes_on(self) -> None:
        """Line 11: nobody that refused on the way is asked again, and what they said is learnt."""
        self.calls = 2
        self.hear(said("b", 0.0, capacity=1e9), said("c", 0.5), said("d", 0.5))
        placed = self.delegation.place(ATTEMPT)
        self.asks.sent[0].answer.errback(Refused((said("c", 1.0, sequence=3), said("b", 1.0, sequence=3))))
        self.assertEqual(self.asks.names, ["b", "d"])
        self.assertEqual([load.node for load in self.asks.sent[1].path], ["a", "c", "b"])
        member = self.members.get("c")
        assert member is not None
        self.assertEqual(member.load, said("c", 1.0, sequence=3))
        self.asks.sent[1].answer.callback(accepted_by(said("d", 0.6)))
        self.assertEqual(self.successResultOf(placed).node.name, "d")

    def test_a_refusal_that_does_not_name_its_sender_still_visited_it(self) -> None:
        """Whatever a refusal says, the member that was asked is not asked again."""
        self.calls = 2
        self.hear(said("b", 0.0), said("c", 0.0))
        placed = self.delegation.place(ATTEMPT)
        self.asks.sent[0].answer.errback(Refused())
        self.asks.sent[1].answer.errback(Refused((said("a", 1.0, sequence=99), said("a", 1.0, sequence=98))))
        self.failureResultOf(placed, Refused)
        self.assertEqual(sorted(self.asks.names), ["b", "c"])

    def test_a_silent_member_is_suspect_and_another_is_asked(self) -> None:
        """Only silence makes a member suspect; the chain goes on with the time that is left."""
        self.calls = 2
        self.hear(said("b", 0.5), said("c", 0.5))
        placed = self.delegation.place(ATTEMPT)
        first = self.asks.sent[0]
        self.time = 0.4
        first.answer.errback(NoAnswer(silent=True))
        self.assertEqual(self.members.state(first.name, 0.4), "suspect")
        second = self.asks.sent[1]
        self.assertNotEqual(first.name, second.name)
        self.assertEqual([load.node for load in second.path], ["a", first.name])
        self.assertApproximates(second.left_s, 1.1, 1e-9)
        second.answer.errback(NoAnswer(silent=False))
        self.assertEqual(self.members.state(second.name, 0.4), "alive")
        self.failureResultOf(placed, Refused)

    def test_a_refusal_after_room_came_back_is_accepted_here(self) -> None:
        """Line 7: going on without a candidate, a slot that became free meanwhile is used."""
        self.calls = 2
        self.hear(said("b", 0.5))
        placed = self.delegation.place(ATTEMPT)
        self.calls = 1
        self.asks.sent[0].answer.errback(Refused((said("b", 1.0),)))
        acceptance = self.successResultOf(placed)
        self.assertEqual((acceptance.node.name, acceptance.hops), ("a", 0))
        self.assertEqual([load.node for load in acceptance.visited], ["b", "a"])

    def test_so_many_asks_at_most(self) -> None:
        """However many members claim to be free and refuse, the hop limit ends it."""
        self.calls = 2
        self.hear(*(said(f"m{index}", 0.0, capacity=1000) for index in range(20)))
        placed = self.delegation.place(ATTEMPT)
        self.assertNoResult(placed)
        limit = self.rule.hops_allowed(20)
        for number in range(limit):
            self.asks.sent[number].answer.errback(Refused())
        self.failureResultOf(placed, Refused)
        self.assertEqual(len(self.asks.sent), limit)
        self.assertEqual(len(set(self.asks.names)), limit)

    def test_the_deadline_of_the_chain_ends_it(self) -> None:
        """When no time is left for an answer, nobody more is asked."""
        self.calls = 2
        self.hear(said("b", 0.0), said("c", 0.0))
        placed = self.delegation.place(ATTEMPT)
        self.time = 1.495
        self.asks.sent[0].answer.errback(NoAnswer(silent=True))
        self.failureResultOf(placed, Refused)
        self.assertEqual(len(self.asks.sent), 1)

    def test_an_ask_adds_a_call_to_what_is_believed(self) -> None:
        """Line 10: ten attempts at once are not all sent to one free slot."""
        self.calls = 2
        self.hear(said("b", 0.9), said("c", 0.9))
        self.delegation.place(ATTEMPT)
        self.delegation.place(ATTEMPT)
        self.assertEqual(sorted(self.asks.names), ["b", "c"])

    def test_an_acceptance_without_the_clients_door_is_given_back(self) -> None:
        """A node that cannot be reached by the client is of no use: its lease is withdrawn, and another is asked."""
        self.calls = 2
        self.hear(said("b", 0.0), said("c", 0.0))
        placed = self.delegation.place(ATTEMPT)
        first = self.asks.sent[0]
        useless = accepted_by(said(first.name, 0.1), doors={"sip/tls": ("192.0.2.7", 5061)})
        first.answer.callback(useless)
        self.assertEqual(self.withdrawn, [(useless, ATTEMPT.id)])
        self.assertNotEqual(self.asks.sent[1].name, first.name)
        self.assertNoResult(placed)

    def test_a_client_that_holds_too_many_leases_is_refused_outright(self) -> None:
        """An untrusted client over its share is not sent round the group, although others are free."""
        self.hear(said("b", 0.0))
        self.leases.held_per_client = 1
        self.successResultOf(self.delegation.place(ATTEMPT))
        self.failureResultOf(self.delegation.place(ATTEMPT), Refused)
        self.assertEqual(self.asks.sent, [])
        self.assert_counts(attempts=2, accepted=1, refused=1)

    def test_our_own_fault_surfaces_in_the_deferred(self) -> None:
        """An error that nobody expects is not swallowed, and place still returns a Deferred."""
        self.calls = 2
        self.hear(said("b", 0.0))
        placed = self.delegation.place(ATTEMPT)
        self.asks.sent[0].answer.errback(ZeroDivisionError())
        self.failureResultOf(placed, ZeroDivisionError)
        self.delegation.ask = lambda *asked: 1 / 0  # type: ignore[assignment]
        self.failureResultOf(self.delegation.place(ATTEMPT), ZeroDivisionError)


class CancelTests(DelegationTestCase):
    """The client does not want it any more."""

    def setUp(self) -> None:
        """An attempt was forwarded to b."""
        super().setUp()
        self.calls = 2
        self.hear(said("b", 0.0), said("c", 0.0))
        self.placed = self.delegation.place(ATTEMPT)
        [self.asked] = self.asks.sent

    def test_cancelling_follows_the_chain(self) -> None:
        """The ask under way is cancelled, nobody else is asked, and the Deferred says so once."""
        self.placed.cancel()
        self.assertEqual(self.asks.cancelled, [self.asked.name])
        self.failureResultOf(self.placed, CancelledError)
        self.assertEqual(len(self.asks.sent), 1)
        self.assertEqual(self.members.state(self.asked.name, 0.0), "alive")
        self.assert_counts(cancelled=1, asked_on=1)

    def test_cancelling_follows_the_chain_to_a_later_ask(self) -> None:
        """Where a member refused and another was asked, the cancellation reaches that one."""
        self.asked.answer.errback(Refused((said(self.asked.name, 1.0),)))
        [_, later] = self.asks.sent
        self.placed.cancel()
        self.assertEqual(self.asks.cancelled, [later.name])
        self.failureResultOf(self.placed, CancelledError)
        self.assert_counts(cancelled=1, asked_on=2)

    def test_cancelling_after_the_end_changes_nothing(self) -> None:
        """An attempt ends once."""
        acceptance = accepted_by(said(self.asked.name, 0.1))
        self.asked.answer.callback(acceptance)
        self.placed.cancel()
        self.assertIs(self.successResultOf(self.placed), acceptance)
        self.assertEqual((self.asks.cancelled, self.withdrawn), ([], []))
        self.assert_counts(shifted=1, asked_on=1)

    def test_an_ask_that_is_cancelled_from_below_ends_the_attempt(self) -> None:
        """When the group's door stops, it cancels its asks; the attempt ends with that."""
        self.asked.answer.cancel()
        self.failureResultOf(self.placed, CancelledError)


class ConsiderTests(DelegationTestCase):
    """An attempt that a member asks about."""

    def test_with_room_it_is_accepted(self) -> None:
        """The asked node holds a lease that knows the entry and the hops, and says nothing about Pending."""
        acceptance = self.successResultOf(self.consider(said("e", 1.0), said("f", 1.0)))
        self.assertEqual((acceptance.node.name, acceptance.hops), ("a", 2))
        self.assertEqual([load.node for load in acceptance.visited], ["e", "f", "a"])
        lease = self.leases.get(acceptance.lease)
        assert lease is not None
        self.assertEqual((lease.entry, lease.hops), ("e", 2))
        self.assertEqual(self.pendings, 0)

    def test_every_load_of_the_path_is_learnt(self) -> None:
        """Line 1: the path tells newer loads of nodes that are known."""
        self.hear(said("e", 0.0, sequence=1))
        self.consider(said("e", 1.0), said("unknown", 1.0))
        member = self.members.get("e")
        assert member is not None
        self.assertEqual(member.load, said("e", 1.0))
        self.assertIsNone(self.members.get("unknown"))

    def test_without_room_it_says_pending_and_asks_on(self) -> None:
        """Pending goes out at once, and only once; the path grows by this node, the entry stays first."""
        self.calls = 2
        self.hear(said("b", 0.0), said("c", 0.0), said("e", 0.0))
        considered = self.consider(said("e", 1.0))
        self.assertEqual(self.pendings, 1)
        first = self.asks.sent[0]
        self.assertEqual([load.node for load in first.path], ["e", "a"])
        self.assertEqual(first.left_s, 1.0 - RETURN_S)
        sent, self.asks.sent = self.asks.sent, []
        first.answer.errback(Refused((said(first.name, 1.0),)))
        self.assertEqual(self.pendings, 1)
        [second] = self.asks.sent
        self.assertEqual({sent[0].name, second.name}, {"b", "c"})
        self.assertEqual([load.node for load in second.path], ["e", "a", first.name])
        acceptance = accepted_by(*second.path, said(second.name, 0.1))
        second.answer.callback(acceptance)
        self.assertIs(self.successResultOf(considered), acceptance)

    def test_a_refusal_tells_whom_it_reached(self) -> None:
        """It names the nodes that were reached from here, this one last, and not those of the path."""
        self.calls = 2
        self.hear(said("b", 0.0))
        considered = self.consider(said("e", 1.0))
        self.asks.sent[0].answer.errback(Refused((said("b", 1.0),)))
        refused = self.failureResultOf(considered, Refused)
        self.assertEqual([load.node for load in refused.value.visited], ["b", "a"])

    def test_nobody_of_the_path_is_asked(self) -> None:
        """However free they seem, visited nodes are not asked again."""
        self.calls = 2
        self.hear(said("e", 0.0, sequence=9), said("f", 0.0, sequence=9))
        self.failureResultOf(self.consider(said("e", 1.0), said("f", 1.0)), Refused)
        self.assertEqual(self.asks.sent, [])

    def test_a_path_that_leads_back_is_refused(self) -> None:
        """A node decides about an attempt once: no node is twice in a path, even with room."""
        self.failureResultOf(self.consider(said("e", 1.0), said("a", 1.0)), Refused)
        self.assertEqual(len(self.leases), 0)

    def test_no_time_left_is_no_ask(self) -> None:
        """An ask that came so late that no answer would be back in time is decided here alone."""
        self.calls = 2
        self.hear(said("b", 0.0))
        self.failureResultOf(self.consider(said("e", 1.0), left_s=RETURN_S), Refused)
        self.assertEqual((self.asks.sent, self.pendings), ([], 0))
        self.calls = 1
        self.successResultOf(self.consider(said("e", 1.0), left_s=0.0))

    def test_cancelling_follows_the_chain(self) -> None:
        """When the asker withdraws, the ask that was sent on is cancelled as well."""
        self.calls = 2
        self.hear(said("b", 0.0))
        considered = self.consider(said("e", 1.0))
        considered.cancel()
        self.failureResultOf(considered, CancelledError)
        self.assertEqual(self.asks.cancelled, ["b"])


class HereAloneTests(DelegationTestCase):
    """An attempt that may not be asked on."""

    def test_the_own_threshold_decides(self) -> None:
        """Accept below it, refuse at it, and ask nobody."""
        self.hear(said("b", 0.0))
        for _ in range(2):
            acceptance = self.delegation.here_alone(ATTEMPT)
            self.assertEqual((acceptance.node.name, acceptance.hops), ("a", 0))
        refused = self.assertRaises(Refused, self.delegation.here_alone, ATTEMPT)
        self.assertEqual([load.node for load in refused.visited], ["a"])
        self.assertEqual(self.asks.sent, [])
        self.assert_counts(attempts=3, accepted=2, refused=1)

    def test_a_client_over_its_share_is_refused(self) -> None:
        """The limit of leases per address holds here too."""
        self.leases.held_per_client = 0
        self.assertRaises(Refused, self.delegation.here_alone, ATTEMPT)
        self.assert_counts(refused=1)


class EvenTests(DelegationTestCase):
    """The same chain by the even rule."""

    rule = EVEN

    def test_with_room_it_still_asks_an_emptier_one(self) -> None:
        """Above theta the call goes to a member that is emptier by more than the dead band."""
        self.workload.ongoing_calls = 100
        self.calls = 50
        self.hear(said("b", 0.1, capacity=100))
        placed = self.delegation.place(ATTEMPT)
        self.assertEqual(self.asks.names, ["b"])
        self.asks.sent[0].answer.errback(NoAnswer(silent=True))
        self.assertEqual(self.successResultOf(placed).node.name, "a")
