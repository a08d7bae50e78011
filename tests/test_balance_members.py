"""What is believed of the other members."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from voipshift.balance import members as room
from voipshift.balance.members import MOST_DOORS, Member, Members
from voipshift.node import DRAINING, FULL, Load, NodeIdentity

SIP = {"sip/udp": ("192.0.2.7", 5060)}


def load(
    node: str = "b",
    sequence: int = 1,
    occupancy: float = 0.5,
    *,
    incarnation: int = 1,
    capacity: float = 10.0,
    flags: int = 0,
) -> Load:
    return Load(node, incarnation, sequence, occupancy, capacity, flags)


class MembersTestCase(SynchronousTestCase):
    """Node a and what it hears, with reports each second."""

    def setUp(self) -> None:
        """Nobody was heard."""
        self.members = Members(here="a", report_interval_s=1.0)

    def hear(self, said: Load, now: float = 0.0, doors: dict[str, tuple[str, int]] = SIP) -> Member:
        self.members.heard(NodeIdentity(said.node, doors), said, now)
        member = self.members.get(said.node)
        assert member is not None
        return member

    def names(self, now: float = 0.0, visited: tuple[str, ...] = (), door: str = "sip/udp") -> list[str]:
        return [member.name for member in self.members.candidates(door, visited, now)]


class NewerOnlyTests(MembersTestCase):
    """Statements come in any order, by any way, more than once."""

    def test_an_old_report_never_overrides_a_newer_one(self) -> None:
        """(incarnation, sequence) decides, whichever way each of the two came."""
        newer = load(sequence=7, occupancy=0.9)
        for older in [load(sequence=6), load(sequence=7), load(sequence=1)]:
            member = self.hear(newer)
            self.hear(older)
            self.members.learn(older, 0.0)
            self.assertIs(member.load, newer)
        self.members.learn(load(sequence=99, incarnation=0), 0.0)
        self.assertIs(member.load, newer)
        latest = load(sequence=1, incarnation=2)
        self.members.learn(latest, 0.0)
        self.assertIs(member.load, latest)

    def test_a_duplicate_changes_nothing(self) -> None:
        """A report that comes again resets nothing, makes the member no younger, and clears no suspicion."""
        member = self.hear(load(), now=0.0)
        member.add_call()
        self.members.suspect("b")
        self.hear(load(), now=2.0)
        self.members.learn(load(), 2.0)
        self.assertEqual((member.added, member.suspect, member.heard), (1, True, 0.0))

    def test_a_report_behind_a_learnt_load_is_a_sign_of_life_only(self) -> None:
        """Its own report, overtaken by a newer load that another node told, still shows that it lives."""
        member = self.hear(load(sequence=1), now=0.0)
        learnt = load(sequence=5, occupancy=0.9)
        self.members.learn(learnt, 1.0)
        self.assertEqual(member.heard, 0.0)
        self.hear(load(sequence=3), now=1.5)
        self.assertEqual((member.heard, member.load), (1.5, learnt))

    def test_a_load_of_somebody_unknown_is_ignored(self) -> None:
        """One becomes a member by being heard, not by being talked of; and nobody is a member of itself."""
        self.members.learn(load("z"), 0.0)
        self.members.heard(NodeIdentity("a", SIP), load("a"), 0.0)
        self.assertEqual(len(self.members), 0)


class AliveTests(MembersTestCase):
    """Alive, suspect, dead."""

    def test_dead_after_three_intervals_of_silence(self) -> None:
        """A member is alive until its last words are three report intervals old."""
        self.hear(load(), now=10.0)
        for now, state in [(10.0, "alive"), (12.999, "alive"), (13.0, "dead"), (99.0, "dead")]:
            self.assertEqual(self.members.state("b", now), state)
            self.assertEqual(bool(self.members.live("sip/udp", now)), state == "alive")
            self.assertEqual(bool(self.names(now)), state == "alive")

    def test_what_others_tell_is_no_sign_of_life(self) -> None:
        """A load learnt from another member does not keep it alive."""
        self.hear(load(), now=0.0)
        self.members.learn(load(sequence=2), 2.9)
        self.assertEqual(self.members.state("b", 3.0), "dead")

    def test_suspect_until_heard_again(self) -> None:
        """A suspect is live but no candidate, until it says something new or answers."""
        self.hear(load(sequence=1))
        for hear in (lambda: self.hear(load(sequence=2)), lambda: self.members.answered("b", 0.0)):
            self.members.suspect("b")
            self.assertEqual(self.members.state("b", 0.0), "suspect")
            self.assertEqual(self.names(), [])
            self.assertEqual(len(self.members.live("sip/udp", 0.0)), 1)
            hear()
            self.assertEqual(self.members.state("b", 0.0), "alive")
            self.assertEqual(self.names(), ["b"])

    def test_a_new_incarnation_is_alive_again(self) -> None:
        """A restarted node counts at once, with its new doors, whatever its sequence."""
        self.hear(load(sequence=900), now=0.0)
        self.members.suspect("b")
        moved = {"sip/udp": ("192.0.2.8", 5060)}
        member = self.hear(load(sequence=1, incarnation=2), now=50.0, doors=moved)
        self.assertEqual(self.members.state("b", 50.0), "alive")
        self.assertEqual(member.doors, moved)

    def test_one_that_leaves_is_dead_at_once(self) -> None:
        """After Leave nobody is asked there; late older words do not revive it, newer ones do."""
        self.hear(load(sequence=5), now=0.0)
        self.members.leave("b")
        self.assertEqual(self.members.state("b", 0.0), "dead")
        self.hear(load(sequence=4), now=0.1)
        self.members.answered("b", 0.1)
        self.assertEqual(self.members.state("b", 0.1), "dead")
        self.hear(load(sequence=1, incarnation=2), now=0.2)
        self.assertEqual(self.members.state("b", 0.2), "alive")

    def test_unknown_names_change_nothing(self) -> None:
        """Suspecting, leaving and answering of one that is not known is nothing."""
        self.members.suspect("z")
        self.members.leave("z")
        self.members.answered("z", 0.0)
        self.assertEqual(self.members.state("z", 0.0), "dead")
        self.assertIsNone(self.members.get("z"))


class CandidateTests(MembersTestCase):
    """Line 5: who may be asked."""

    def test_visited_draining_and_doorless_members_are_none(self) -> None:
        """A candidate has the client's door, was not visited, and does not drain."""
        self.hear(load("b"))
        self.hear(load("c", flags=DRAINING | FULL))
        self.hear(load("observer"), doors={})
        self.hear(load("tls"), doors={"sip/tls": ("192.0.2.9", 5061)})
        self.hear(load("full", occupancy=1.0, flags=FULL))
        self.assertEqual(self.names(), ["b", "full"])
        self.assertEqual(self.names(visited=("b",)), ["full"])
        self.assertEqual(self.names(door="sip/tls"), ["tls"])
        self.assertEqual({member.name for member in self.members.live("sip/udp", 0.0)}, {"b", "c", "full"})


class BeliefTests(MembersTestCase):
    """Line 10: believed(k) += 1."""

    def test_added_calls_count_until_a_newer_load(self) -> None:
        """Each ask adds one call to what is believed; the next newer load knows better."""
        member = self.hear(load(occupancy=0.5, capacity=10.0))
        self.assertEqual((member.free, member.occupancy), (5.0, 0.5))
        for _ in range(5):
            member.add_call()
        self.assertEqual((member.added, member.free, member.occupancy), (5, 0.0, 1.0))
        self.members.learn(load(sequence=2, occupancy=0.7, capacity=10.0), 0.0)
        self.assertEqual(member.added, 0)
        self.assertAlmostEqual(member.free, 3.0)
        self.assertAlmostEqual(member.occupancy, 0.7)

    def test_no_capacity_is_full(self) -> None:
        """A member with a limit of 0 has nothing free."""
        member = self.hear(load(occupancy=1.0, capacity=0.0, flags=FULL))
        self.assertEqual((member.free, member.occupancy, member.full), (0.0, 1.0, True))


class BoundTests(MembersTestCase):
    """The table does not grow for ever."""

    def test_the_longest_dead_makes_room(self) -> None:
        """At the limit a new name replaces the one that was silent for longest, if that is dead; else it is ignored."""
        self.patch(room, "MAX_MEMBERS", 3)
        for index, name in enumerate("bcd"):
            self.hear(load(name), now=index * 0.1)
        self.members.heard(NodeIdentity("e", SIP), load("e"), 1.0)
        self.assertEqual([member.name for member in self.members], ["b", "c", "d"])
        self.members.heard(NodeIdentity("e", SIP), load("e"), 3.05)
        self.assertEqual([member.name for member in self.members], ["c", "d", "e"])


class SurveyTests(SynchronousTestCase):
    """Who may be asked is kept from one decision to the next, and is right all the same."""

    def setUp(self) -> None:
        self.members = Members(here="here", report_interval_s=1.0)
        self.sequence = 0

    def hear(self, name: str, now: float, flags: int = 0, doors: tuple[str, ...] = ("sip/udp",)) -> None:
        self.sequence += 1
        identity = NodeIdentity(name, dict.fromkeys(doors, (name, 5060)))
        self.members.heard(identity, Load(name, 1, self.sequence, 0.0, 10.0, flags), now)

    def asked(self, now: float, door: str = "sip/udp") -> tuple[str, bool]:
        """Whom one could ask, and whether all are full."""
        names = "".join(member.name for member in self.members.candidates(door, set(), now))
        return names, self.members.all_full(door, now)

    def test_whatever_changes_it(self) -> None:
        """A flag, a silence, a suspicion, a sign of life, a farewell, another door: each is seen at once."""
        self.hear("a", 0.0)
        self.hear("b", 0.5)
        self.assertEqual(self.asked(1.0), ("ab", False))
        self.assertIs(self.members.survey("sip/udp", 1.0), self.members.survey("sip/udp", 2.9))
        self.assertEqual(self.asked(3.0), ("b", False))
        self.members.learn(Load("b", 1, 50, 1.0, 10.0, FULL), 3.0)
        self.assertEqual(self.asked(3.0), ("b", True))
        self.members.suspect("b")
        self.assertEqual(self.asked(3.1), ("", True))
        self.members.answered("b", 3.2)
        self.assertEqual(self.asked(3.2), ("b", True))
        self.hear("a", 3.3)
        self.assertEqual(self.asked(3.3), ("ab", False))
        self.hear("a", 3.4, flags=DRAINING)
        self.assertEqual(self.asked(3.4), ("b", True))
        self.hear("a", 3.5, doors=("h225/tcp",))
        self.assertEqual((self.asked(3.5), self.asked(3.5, "h225/tcp")), (("b", True), ("a", False)))
        self.members.leave("b")
        self.assertEqual(self.asked(3.6), ("", True))

    def test_a_clock_that_is_set_back(self) -> None:
        """Nothing is believed of what was sorted out later."""
        self.hear("a", 0.0)
        self.assertEqual(self.asked(3.5), ("", True))
        self.assertEqual(self.asked(1.0), ("a", False))

    def test_doors_that_nobody_has_are_not_kept(self) -> None:
        """A member may ask for any word."""
        self.hear("a", 0.0)
        for number in range(1000):
            self.assertEqual(self.asked(0.0, f"door {number}"), ("", True))
        self.assertLessEqual(len(self.members._surveys), MOST_DOORS)

    def test_whose_an_address_is(self) -> None:
        """That of whoever says so now."""
        self.hear("a", 0.0)
        self.assertEqual((self.members.whose(("a", 5060)), self.members.whose(("b", 5060))), ("a", None))
        self.members.heard(NodeIdentity("a", {"sip/udp": ("b", 5060)}), Load("a", 2, 1, 0.0, 10.0), 1.0)
        self.assertEqual((self.members.whose(("a", 5060)), self.members.whose(("b", 5060))), (None, "a"))
