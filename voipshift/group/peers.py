"""The far ends of the group: who was met, who is believed, and where each can be reached.

A configuration gives addresses, never names.  Each is greeted with a Poll that anybody may open (**hello**) and that
carries a random challenge; whoever is there answers with a Report for us alone that echoes it and carries a challenge
of its own, which our next Report echoes.  **A boot is believed once it has echoed our challenge**, not before: what was
recorded from an earlier boot, or for somebody else, echoes nothing.  The same happens with whoever is learnt from the
Reports of others, is heard in the multicast group, or comes back after a restart.

The echo also bounds how far the sender's clock is off: its Report was sent between our challenge and now.  From then on
everything that it says expires after 3 T by that offset, so a skewed clock mutes nobody.  A Poll and an echo never
expire: two nodes whose clocks were set apart find together again by them.

**Two nodes with one name.**  A new boot of a known name at the same address is that node restarted and replaces the old
boot at once.  At another address the old boot is polled first: if it echoes, there are two nodes with one name, and the
later one is ignored; if it is silent for 0.3 s, the new one replaces it.

Pure: what is to be sent is returned.  Messages are :mod:`voipshift.group.messages`, the seal is
:mod:`voipshift.group.envelope`; who is *alive* is the business of the balance.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from voipshift.group.effects import Doubled, Effect, Gone, Greet, Hello, Joined, Reply
from voipshift.group.fields import CHALLENGE_OCTETS
from voipshift.group.messages import MOST_OTHERS, Poll, Report
from voipshift.group.peer import Peer, Standing
from voipshift.interval import silence_s
from voipshift.node import Address

#: Members, and places where one may be; a larger group needs several.
MOST_MEMBERS = 1024
#: Boots that have spoken and not (yet) echoed a challenge.
MOST_STRANGERS = 256
#: Names in dispute at one time.
MOST_CHECKS = 64
#: An echo that comes later tells too little of the sender's clock.
CHALLENGE_S = 2.0
#: An address where nobody answers is greeted each T at first, then more and more seldom up to this.
LONGEST_GREETING_S = 5.0
#: How often an address that is only hearsay is tried.
HEARSAY_TRIES = 12
#: A member that no configuration names is forgotten after such a silence.
FORGOTTEN_S = 60.0
#: How often a name in dispute is looked into again, and each member's clock and round trip are measured.
AGAIN_S = 5.0
MEASURED_S = 30.0
#: How long the holder of a name may be silent when another claims it.
CLAIM_S = 0.3


class _Place:
    """An address at which a node is, or may be."""

    __slots__ = ("address", "boot", "configured", "greet_at", "interval_s", "tries")

    def __init__(self, address: Address, configured: bool, now: float, interval_s: float) -> None:
        self.address = address
        self.configured = configured
        self.boot = b""
        self.greet_at = now
        self.interval_s = interval_s
        self.tries = 0


class _Check:
    """A name in dispute."""

    __slots__ = ("claimant", "greet_at", "holder", "since", "until")

    def __init__(self, holder: Peer, claimant: Peer, now: float, length_s: float) -> None:
        self.holder = holder
        self.claimant = claimant
        self.since = now
        self.greet_at = now + length_s / 3
        self.until = now + length_s


class Peers:
    """All far ends.

    :param here: our name
    :param address: ours in the group
    :param random: gives so many random octets
    """

    def __init__(
        self, *, here: str, address: Address, random: Callable[[int], bytes], report_interval_s: float
    ) -> None:
        self._here = here
        self._address = address
        self._random = random
        self._interval_s = report_interval_s
        self._members: dict[str, Peer] = {}
        self._boots: dict[bytes, Peer] = {}
        self._places: dict[Address, _Place] = {}
        self._checks: list[_Check] = []
        self._doubled: dict[tuple[bytes, bytes], None] = {}
        self._challenges: dict[bytes, tuple[float, _Place | None]] = {}
        self._namesakes: dict[bytes, float] = {}
        self._turn = 0
        #: When :meth:`due` has something to do; a lower bound.
        self.next = math.inf

    # Who is there.

    def member(self, name: str) -> Peer | None:
        """The believed boot of a node."""
        return self._members.get(name)

    def members(self) -> list[Peer]:
        """All that are believed, dead ones included."""
        return list(self._members.values())

    def __len__(self) -> int:
        return len(self._members)

    def _silent_s(self) -> float:
        return silence_s(self._interval_s, len(self._members))

    def boot(self, boot: bytes) -> Peer | None:
        """What is known of a boot."""
        return self._boots.get(boot)

    def others(self, now: float) -> list[tuple[str, Address]]:
        """Up to eight live members, in turn."""
        since = now - self._silent_s()
        live = [(p.name, p.address) for p in self._members.values() if p.heard_at >= since and p.address]
        if not live:
            return []
        start = self._turn % len(live)
        self._turn = start + MOST_OTHERS
        return (live[start:] + live[:start])[:MOST_OTHERS]

    def believed_incarnation(self, peer: Peer) -> int:
        """What the peer is told that we believe its incarnation to be.

        A new boot of a known name is told one more than the old one had: it takes a higher one in any case, even when
        both started at the same millisecond of a clock set back.
        """
        holder = self._members.get(peer.name)
        if holder is None or holder is peer:
            return peer.incarnation
        return max(holder.incarnation + 1, peer.incarnation)

    # What was heard.

    def met(self, name: str, boot: bytes, now: float) -> tuple[Peer, list[Effect]]:
        """A boot that is not known spoke (its seal verified): the oldest stranger makes room for it."""
        effects: list[Effect] = []
        strangers = [p for p in self._boots.values() if p.standing in (Standing.STRANGER, Standing.NAMESAKE)]
        if len(strangers) >= MOST_STRANGERS:
            effects += self._drop(min(strangers, key=lambda p: p.heard_at))
        peer = self._boots[boot] = Peer(name, boot, now)
        return peer, effects

    def is_namesake(self, boot: bytes, now: float) -> bool:
        """Whether another boot with our own name is a second node, said once: not before its datagrams go on for longer
        than those that an earlier boot of ours left on their way.
        """
        since = self._namesakes.setdefault(boot, now)
        if len(self._namesakes) > MOST_CHECKS:
            del self._namesakes[next(iter(self._namesakes))]
        if now - since <= self._silent_s():
            return False
        self._namesakes[boot] = math.inf
        return True

    def polled(self, peer: Peer, poll: Poll, now: float) -> list[Effect]:
        """It wants to know who we are."""
        if peer.standing is Standing.NAMESAKE:
            if now - peer.checked_at < AGAIN_S:
                return []
            peer.standing = Standing.STRANGER
        peer.address = poll.address
        return [self._reply(peer, poll.challenge, now)]

    def reported(self, peer: Peer, report: Report, clock_s: float, now: float) -> list[Effect]:
        """It said who it is.  Whether that is believed is seen by its standing afterwards."""
        if peer.standing is not Standing.MEMBER:
            peer.address = report.address
        challenged = self._challenges.get(report.echo) if report.echo else None
        effects: list[Effect] = []
        if challenged is not None and now - challenged[0] <= CHALLENGE_S:
            effects += self._echoed(peer, clock_s, now, *challenged)
        if peer.standing is Standing.NAMESAKE:
            return effects
        if report.challenge:
            effects.append(self._reply(peer, report.challenge, now))
        elif peer.standing is Standing.STRANGER:
            effects += self.doubted(peer, now)
        return effects

    def named(self, peer: Peer, report: Report, now: float) -> None:
        """A believed member's current Report: where it is, and whom it names."""
        peer.identity = report.identity
        if peer.address != report.address:
            peer.address = report.address
            self._place_of(peer, now)
        for name, address in report.others:
            member = self._members.get(name)
            silent = member is not None and now - member.heard_at > self._silent_s()
            if name != self._here and (member is None or (silent and member.address != address)):
                self.place(address, now, configured=False)

    def doubted(self, peer: Peer, now: float) -> list[Effect]:
        """It said something that cannot be believed: challenge it, not more often than twice each T."""
        if peer.address is None or peer.standing is Standing.NAMESAKE or now - peer.greeted_at < self._interval_s / 2:
            return []
        peer.greeted_at = now
        return [Greet(peer, self.challenge(now))]

    def left(self, peer: Peer, now: float) -> list[Effect]:
        """It said Leave."""
        effects = self._drop(peer)
        for check in [check for check in self._checks if check.holder is peer]:
            self._checks.remove(check)
            effects += self._join(check.claimant, now, None)
        return effects

    # Where to look for them.

    def place(self, address: Address, now: float, *, configured: bool) -> None:
        """A node may be at that address."""
        if address == self._address or (address in self._places and not configured):
            return
        if address in self._places:
            self._places[address].configured = True
        elif configured or len(self._places) < MOST_MEMBERS:
            self._places[address] = _Place(address, configured, now, self._interval_s)
            self.next = min(self.next, now)

    def due(self, now: float) -> list[Effect]:
        """Greet who is due, settle what is in dispute, forget the silent."""
        until = now + 1e-6
        effects: list[Effect] = []
        for check in self._checks[:]:
            effects += self._continue(check, until, now)
        for place in list(self._places.values()):
            if place.greet_at <= until:
                effects += self._look(place, now)
        for peer in list(self._boots.values()):
            if now - peer.heard_at >= FORGOTTEN_S and not self._is_configured(peer):
                effects += self._drop(peer)
        waits = [place.greet_at for place in self._places.values()]
        waits += [min(check.greet_at, check.until) for check in self._checks]
        if len(self._boots) > len(self._members):
            waits.append(now + FORGOTTEN_S)
        self.next = min(waits, default=math.inf)
        return effects

    def _look(self, place: _Place, now: float) -> list[Effect]:
        peer = self._boots.get(place.boot)
        if peer is not None and peer.standing is Standing.MEMBER:
            quiet_at = peer.heard_at + self._silent_s()
            if quiet_at > now:
                place.greet_at = quiet_at
                place.interval_s, place.tries = self._interval_s, 0
                if now - peer.greeted_at < MEASURED_S:
                    return []
                peer.greeted_at = now
                return [Greet(peer, self.challenge(now))]
        elif not place.configured and place.tries >= HEARSAY_TRIES:
            del self._places[place.address]
            return []
        place.tries += 1
        place.greet_at = now + place.interval_s
        place.interval_s = min(place.interval_s * 1.5, max(LONGEST_GREETING_S, self._interval_s))
        return [Hello(place.address, self.challenge(now, place))]

    def _place_of(self, peer: Peer, now: float) -> None:
        """A member's address is looked at again when the member falls silent."""
        if peer.address is None:
            return
        self.place(peer.address, now, configured=False)
        place = self._places.get(peer.address)
        if place is not None:
            place.boot = peer.boot

    def _is_configured(self, peer: Peer) -> bool:
        return any(place.configured and place.boot == peer.boot for place in self._places.values())

    # Challenge and echo.

    def challenge(self, now: float, place: _Place | None = None) -> bytes:
        """A new one, whose echo is believed for a while; of a place where somebody may be, when it is one."""
        for old, (since, _) in list(self._challenges.items()):
            if now - since <= CHALLENGE_S:
                break
            del self._challenges[old]
        challenge = self._random(CHALLENGE_OCTETS)
        self._challenges[challenge] = (now, place)
        return challenge

    def _reply(self, peer: Peer, echo: bytes, now: float) -> Reply:
        if peer.standing is Standing.STRANGER:
            peer.greeted_at = now
            return Reply(peer, echo, self.challenge(now))
        return Reply(peer, echo, b"")

    def _echoed(self, peer: Peer, clock_s: float, now: float, since: float, place: _Place | None) -> list[Effect]:
        """It is there now, under its name, at the address that it says."""
        peer.clock_offset_s = clock_s - now
        peer.measured(now - since)
        peer.heard_at = now
        if place is not None:
            place.boot = peer.boot
        if peer.standing is Standing.MEMBER:
            return self._settle(peer, since)
        if peer.standing is Standing.CLAIMANT:
            return []
        holder = self._members.get(peer.name)
        if holder is None or holder.address == peer.address:
            return self._join(peer, now, holder)
        if peer.standing is Standing.NAMESAKE and now - peer.checked_at < AGAIN_S:
            return []
        if len(self._checks) >= MOST_CHECKS or any(check.claimant.name == peer.name for check in self._checks):
            return []
        peer.standing = Standing.CLAIMANT
        peer.checked_at = now
        length_s = max(min(CLAIM_S, self._interval_s / 2), 2 * holder.round_trip_s)
        check = _Check(holder, peer, now, length_s)
        self._checks.append(check)
        self.next = min(self.next, check.greet_at)
        return [Greet(holder, self.challenge(now))]

    def _join(self, peer: Peer, now: float, replaced: Peer | None) -> list[Effect]:
        if len(self._members) >= MOST_MEMBERS and peer.name not in self._members:
            return []
        peer.incarnation = self.believed_incarnation(peer)
        effects: list[Effect] = []
        if replaced is not None:
            effects += self._drop(replaced, member=False)
        peer.standing = Standing.MEMBER
        peer.heard_at = peer.greeted_at = now
        self._members[peer.name] = peer
        self._place_of(peer, now)
        return [*effects, Joined(peer, replaced)]

    def _drop(self, peer: Peer, *, member: bool = True) -> list[Effect]:
        was_member = self._members.get(peer.name) is peer
        if was_member:
            del self._members[peer.name]
        self._boots.pop(peer.boot, None)
        peer.standing = Standing.GONE
        return [Gone(peer, was_member and member)]

    # Two nodes with one name.

    def _settle(self, holder: Peer, since: float) -> list[Effect]:
        """The holder of a name echoed what was sent after another claimed it: the other one is ignored."""
        effects: list[Effect] = []
        for check in [check for check in self._checks if check.holder is holder and check.since <= since]:
            self._checks.remove(check)
            check.claimant.standing = Standing.NAMESAKE
            pair = (holder.boot, check.claimant.boot)
            if pair not in self._doubled:
                self._doubled[pair] = None
                if len(self._doubled) > MOST_STRANGERS:
                    del self._doubled[next(iter(self._doubled))]
                effects.append(Doubled(holder, check.claimant))
        return effects

    def _continue(self, check: _Check, until: float, now: float) -> list[Effect]:
        if check.until <= until:
            self._checks.remove(check)
            return self._join(check.claimant, now, self._members.get(check.claimant.name))
        if check.greet_at <= until:
            check.greet_at += (check.until - check.since) / 3
            return [Greet(check.holder, self.challenge(now))]
        return []
