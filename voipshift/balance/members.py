"""What this node believes of the other members: their load, how old that is, and whether they are there at all.

Beliefs only choose whom to ask: a wrong one costs a hop, never a call too many, because each node decides about
itself.  Loads arrive by several ways (a member's own report, its answers, other members' paths), in any order
and more than once, so each statement of a node carries ``(incarnation, sequence)`` and only a newer one
replaces an older one, here and everywhere.

Two things are kept apart.  A *load* may come from anybody.  A *sign of life* only comes from the member itself:
it is **alive** while its last one is younger than three report intervals (:mod:`voipshift.interval`) and **dead**
after that; **suspect** is one that let an ask go unanswered, until it is heard again.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterator, Mapping
from enum import StrEnum
from typing import Final

from voipshift.balance.factors import UNTOLD, Factors
from voipshift.interval import silence_s
from voipshift.node import DRAINING, FULL, Address, Load, NodeIdentity

#: So many members are remembered; past it the one that was silent for longest makes room, if it is dead.
MAX_MEMBERS = 1024
#: Doors whose survey is kept; a member may ask for any word.
MOST_DOORS = 16
_TAKES_NOTHING: Final = FULL | DRAINING


class State(StrEnum):
    """Whether a member is there."""

    ALIVE = "alive"
    SUSPECT = "suspect"
    DEAD = "dead"


class Member:
    """One other node, as far as this one knows.

    :ivar name: its name
    :ivar doors: the advertised address of each door it has
    :ivar load: the newest load known of it
    :ivar told_at: when that load was told
    :ivar heard: when it last spoke itself
    :ivar suspect: it left an ask unanswered since then
    :ivar added: how many calls it was asked to take since that load
    :ivar factors: what it said of itself besides its load
    :ivar offered: attempts that clients make at its entry in a second; None where it does not say
    :ivar free: how many more calls it is believed to take: line 8's ``capacity * (1 - u)``, less those added
    """

    __slots__ = ("added", "doors", "factors", "free", "heard", "load", "name", "offered", "said", "suspect", "told_at")

    def __init__(self, identity: NodeIdentity, load: Load, now: float) -> None:
        self.name = identity.name
        self.doors: Mapping[str, Address] = identity.doors
        self.heard = now
        self.suspect = False
        self.factors = UNTOLD
        self.offered: float | None = None
        #: What it last said itself, while ``load`` may have come by another way.
        self.said = load
        self.believe(load, now)

    def believe(self, load: Load, now: float) -> None:
        """Take over a newer load: it knows of the calls that were added before."""
        self.load = load
        self.told_at = now
        self.added = 0
        self.free = load.capacity * (1.0 - load.occupancy)

    def add_call(self) -> None:
        """It is being asked to take a call: believe that it will, until it says something newer."""
        self.added += 1
        self.free -= 1.0

    @property
    def occupancy(self) -> float:
        """The believed occupancy, added calls included; a node without any capacity is full."""
        capacity = self.load.capacity
        return self.load.occupancy + self.added / capacity if capacity > 0 else 1.0

    @property
    def full(self) -> bool:
        """It said that it would accept nothing: at its threshold, or draining."""
        return self.load.flags & _TAKES_NOTHING != 0


class Survey:
    """The members that are not dead and have one door, sorted out once for many decisions.

    :param askable: those that may be asked, whoever was visited: line 5's P.  A draining one is none
    :param all_full: each of them said that it would accept nothing: line 3.  True where there is none
    :param since: when this was so
    :param until: when the next of them may be dead
    """

    __slots__ = ("all_full", "askable", "since", "until")

    def __init__(self, askable: list[Member], all_full: bool, since: float, until: float) -> None:
        self.askable = askable
        self.all_full = all_full
        self.since = since
        self.until = until


class Members:
    """All other nodes of the group.

    Who may be asked changes at an edge, or when somebody falls silent; how loaded they are with each answer.  So the
    first is kept (:meth:`survey`), and a decision looks at each candidate once, for its load.

    :param here: the name of this node, of which nothing is believed
    :param report_interval_s: how often each member reports
    """

    def __init__(self, *, here: str, report_interval_s: float) -> None:
        self.here = here
        self._interval_s = report_interval_s
        self.dead_after_s = silence_s(report_interval_s, 0)
        self._members: dict[str, Member] = {}
        self._surveys: dict[str, Survey] = {}
        self._places: dict[Address, str] = {}

    def __len__(self) -> int:
        return len(self._members)

    def __iter__(self) -> Iterator[Member]:
        return iter(self._members.values())

    def get(self, name: str) -> Member | None:
        """The member of that name, dead or alive."""
        return self._members.get(name)

    def whose(self, address: Address) -> str | None:
        """The name of the member that has a door at that address, dead or alive."""
        return self._places.get(address)

    def heard(self, identity: NodeIdentity, load: Load, now: float) -> None:
        """A member spoke of itself: it is alive, and has these doors.

        What it said before its last words changes nothing, be it a duplicate or late.
        """
        name = identity.name
        member = self._members.get(name)
        if member is None:
            if name != self.here and self._room_for_one_more(now):
                self._members[name] = Member(identity, load, now)
                self.dead_after_s = silence_s(self._interval_s, len(self._members))
                self._doors_changed()
            return
        if not load.is_newer_than(member.said):
            return
        member.said = load
        if member.doors is not identity.doors and member.doors != identity.doors:
            member.doors = identity.doors
            self._doors_changed()
        self._is_there(member, now)
        if load.is_newer_than(member.load):
            self._believe(member, load, now)

    def describe(self, name: str, factors: Factors, offered: float | None = None) -> None:
        """A member said this of itself, besides its load: what speaks for it, and what it is offered in a second."""
        member = self._members.get(name)
        if member is not None:
            member.factors = factors
            member.offered = offered

    def learn(self, load: Load, now: float) -> None:
        """Somebody told the load of a node. That is no sign of life; one never heard itself is not a member yet."""
        member = self._members.get(load.node)
        if member is not None and load.is_newer_than(member.load):
            self._believe(member, load, now)

    def answered(self, name: str, now: float) -> None:
        """A member answered us, or said that it will: it is alive, whatever it answered."""
        member = self._members.get(name)
        if member is not None and member.heard != -math.inf:
            self._is_there(member, now)

    def suspect(self, name: str) -> None:
        """A member left an ask unanswered: it is not asked again until it is heard."""
        member = self._members.get(name)
        if member is not None:
            member.suspect = True
            self._surveys.clear()

    def leave(self, name: str) -> None:
        """A member said that it stops: it is dead at once.

        Its last words are kept, so that older ones that come late revive nobody.
        """
        member = self._members.get(name)
        if member is not None:
            member.heard = -math.inf
            self._surveys.clear()

    def add_call(self, name: str) -> None:
        """Line 10: believe that the member has one call more."""
        member = self._members.get(name)
        if member is not None:
            member.add_call()

    def live(self, door: str, now: float) -> list[Member]:
        """The members that are not dead and have that door: line 3's every live member."""
        horizon = now - self.dead_after_s
        return [member for member in self._members.values() if member.heard > horizon and door in member.doors]

    def all_full(self, door: str, now: float) -> bool:
        """Whether every live member said that it would accept nothing: line 3.  True where there is none."""
        return self.survey(door, now).all_full

    def candidates(self, door: str, visited: Container[str], now: float) -> list[Member]:
        """The members that may be asked: line 5's P; the caller leaves the list as it is."""
        askable = self.survey(door, now).askable
        return [member for member in askable if member.name not in visited] if visited else askable

    def survey(self, door: str, now: float) -> Survey:
        """Who is there with that door, and who of them may be asked."""
        survey = self._surveys.get(door)
        if survey is None or not survey.since <= now < survey.until:
            if len(self._surveys) >= MOST_DOORS:
                self._surveys.clear()
            live = self.live(door, now)
            survey = self._surveys[door] = Survey(
                [member for member in live if not member.suspect and not member.load.flags & DRAINING],
                all(member.full for member in live),
                now,
                min((member.heard for member in live), default=math.inf) + self.dead_after_s,
            )
        return survey

    def state(self, name: str, now: float) -> State:
        """Whether that member is there; one that was never heard is dead."""
        member = self._members.get(name)
        if member is None or member.heard <= now - self.dead_after_s:
            return State.DEAD
        return State.SUSPECT if member.suspect else State.ALIVE

    def _doors_changed(self) -> None:
        self._surveys.clear()
        self._places = {place: member.name for member in self._members.values() for place in member.doors.values()}

    def _is_there(self, member: Member, now: float) -> None:
        """It spoke: whatever was believed of it, it lives."""
        if member.suspect or member.heard <= now - self.dead_after_s:
            member.suspect = False
            self._surveys.clear()
        member.heard = now

    def _believe(self, member: Member, load: Load, now: float) -> None:
        if load.flags != member.load.flags:
            self._surveys.clear()
        member.believe(load, now)

    def _room_for_one_more(self, now: float) -> bool:
        if len(self._members) < MAX_MEMBERS:
            return True
        oldest = min(self._members.values(), key=lambda member: member.heard)
        if self.state(oldest.name, now) is not State.DEAD:
            return False
        del self._members[oldest.name]
        self._doors_changed()
        return True
