"""How a node comes to know its group: what is said in Polls, Reports and Leaves, and who is believed at all.

The rules by which boots come to be known are :mod:`voipshift.group.peers`; here they are followed: messages come in,
and what the rules want sent, forgotten or told is done.  Call attempts are :mod:`voipshift.group.exchange`'s.

Pure: messages go out through the speaker, time is given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from twisted.logger import Logger

from voipshift.errors import ProtocolViolation
from voipshift.group.asks import Asks
from voipshift.group.effects import Doubled, Effect, Gone, Greet, Hello, Joined, Reply
from voipshift.group.envelope import Header, Opener, Stream
from voipshift.group.fields import LARGEST_NUMBER
from voipshift.group.messages import Kind, Statement, decode_poll, decode_report
from voipshift.group.peer import FRESH_INTERVALS, Peer, Standing
from voipshift.group.peers import Peers
from voipshift.group.polls import Polls
from voipshift.group.reporter import Reporter
from voipshift.group.speaker import Speaker
from voipshift.node import Load, NodeIdentity

#: What each kind of stream that is for everybody may carry.
_SAID_TO_ALL: dict[int, int] = {Stream.HELLO: Kind.POLL, Stream.GROUP: Kind.REPORT, Stream.BUS: Kind.REPORT}


class Acquaintance:
    """One node's acquaintance with the others.

    :param here: our name
    :param incarnation: with which we start
    :param heard: a member said this of itself
    :param stated: all that a member's Report said
    :param left: a member stopped, or was forgotten
    :ivar incarnation: ours
    """

    _log: ClassVar[Logger] = Logger(__name__)

    def __init__(
        self,
        *,
        here: str,
        incarnation: int,
        peers: Peers,
        opener: Opener,
        speaker: Speaker,
        reporter: Reporter,
        asks: Asks,
        polls: Polls[Peer],
        report_interval_s: float,
        heard: Callable[[NodeIdentity, Load], None],
        stated: Callable[[str, Statement], None] | None,
        left: Callable[[str], None],
    ) -> None:
        self._here = here
        self.incarnation = incarnation
        self._peers = peers
        self._opener = opener
        self._speaker = speaker
        self._reporter = reporter
        self._asks = asks
        self._polls = polls
        self._fresh_s = FRESH_INTERVALS * report_interval_s
        self._heard = heard
        self._stated = stated
        self._left = left

    def due(self, now: float) -> None:
        """Greet, settle and forget whom it is time for."""
        if self._peers.next <= now + 1e-6:
            self._perform(self._peers.due(now), now)

    # Who speaks, and whether that is believed.

    def speaker_of(self, header: Header, now: float) -> Peer:
        """The boot that sealed a datagram.

        :raises ProtocolViolation: it has our own name, or another one than before
        """
        peer = self._peers.boot(header.boot) or self._met(header, now)
        if peer.name != header.sender:
            raise ProtocolViolation("malformed")
        return peer

    def believed(self, peer: Peer, clock_s: float, incarnation: int, now: float) -> float:
        """The age of what a member said, which is then alive.

        :param incarnation: ours, as it believes
        :raises ProtocolViolation: it is none, or it said so too long ago
        """
        if peer.standing is not Standing.MEMBER:
            self._perform(self._peers.doubted(peer, now), now)
            raise ProtocolViolation("namesake" if peer.standing is Standing.NAMESAKE else "unknown_boot")
        age_s = peer.age(clock_s, now)
        if abs(age_s) > self._fresh_s:
            self._perform(self._peers.doubted(peer, now), now)
            raise ProtocolViolation("stale")
        if incarnation > self.incarnation:
            self._outlive(incarnation, now)
        peer.heard_at = now
        return age_s

    def told(self, load: Load, now: float) -> None:
        """Somebody told the load of a node: which incarnation of it there is already, or of us."""
        if load.node == self._here:
            if load.incarnation > self.incarnation:
                self._outlive(load.incarnation, now)
            return
        peer = self._peers.member(load.node)
        if peer is not None and load.incarnation > peer.incarnation:
            peer.incarnation = load.incarnation

    def spoke(self, peer: Peer, visited: Iterable[Load]) -> None:
        """A member said something that nobody waits for any more: it is there, and so loaded."""
        for load in visited:
            if load.node == peer.name and peer.identity is not None:
                self._heard(peer.identity, load)

    # Polls, Reports and Leaves.

    def received(
        self, peer: Peer, stream: int, kind: int, fields: dict[Any, Any], clock_s: float, incarnation: int, now: float
    ) -> None:
        """One message, at that time of its sender's clock.

        :raises ProtocolViolation: it is none of these, it does not belong on that kind of stream, or is not believed
        """
        if stream != Stream.UNICAST and kind != _SAID_TO_ALL.get(stream):
            raise ProtocolViolation("wrong_stream")
        if kind == Kind.POLL:
            self._perform(self._peers.polled(peer, decode_poll(fields), now), now)
        elif kind == Kind.REPORT:
            self._reported(peer, stream, fields, clock_s, incarnation, now)
        elif kind == Kind.LEAVE:
            self.believed(peer, clock_s, incarnation, now)
            self._perform(self._peers.left(peer, now), now)
        else:
            raise ProtocolViolation("unknown_kind")

    def _reported(
        self, peer: Peer, stream: int, fields: dict[Any, Any], clock_s: float, incarnation: int, now: float
    ) -> None:
        report = decode_report(fields)
        load = report.statement.load
        if report.identity.name != peer.name or load.node != peer.name:
            raise ProtocolViolation("malformed")
        self._perform(self._peers.reported(peer, report, clock_s, now), now)
        self.believed(peer, clock_s, incarnation, now)
        peer.heard_by(stream, bool(report.echo))
        self._peers.named(peer, report, now)
        if load.incarnation < peer.incarnation:
            # It does not know yet that an earlier boot of it went further: any unicast datagram tells it.
            self._perform(self._peers.doubted(peer, now), now)
        peer.incarnation = max(peer.incarnation, load.incarnation)
        self._heard(report.identity, load)
        if self._stated is not None:
            self._stated(peer.name, report.statement)
        if report.echo:
            self._polls.echoed(peer, report.echo)

    # What follows from them.

    def _met(self, header: Header, now: float) -> Peer:
        if header.sender == self._here:
            self._opener.forget(header.boot)
            if self._peers.is_namesake(header.boot, now):
                self._log.warn(
                    "another node of the group has the name of this one, {name}: change one", name=self._here
                )
            raise ProtocolViolation("own_name")
        peer, effects = self._peers.met(header.sender, header.boot, now)
        self._perform(effects, now)
        return peer

    def _outlive(self, incarnation: int, now: float) -> None:
        """An earlier boot of ours got that far: what we say counts only beyond it."""
        if incarnation >= LARGEST_NUMBER:
            raise ProtocolViolation("malformed")
        self.incarnation = incarnation + 1
        self._reporter.schedule.soon(now)

    def _perform(self, effects: Iterable[Effect], now: float) -> None:
        for effect in effects:
            match effect:
                case Hello(address, challenge):
                    self._speaker.hello(address, challenge)
                case Greet(peer, challenge):
                    self._speaker.greet(peer, challenge)
                case Reply():
                    self._reporter.reply(effect)
                case Joined(peer, _):
                    self._log.info("{peer} is a member", peer=peer)
                case Gone(peer, member):
                    self._opener.forget(peer.boot)
                    self._asks.lost(peer)
                    self._polls.lost(peer)
                    if member:
                        self._log.info("{peer} is a member no more", peer=peer)
                        self._left(peer.name)
                case Doubled(used, other):
                    self._log.warn("two nodes have one name: {b} is ignored, {a} is used; rename one", a=used, b=other)
