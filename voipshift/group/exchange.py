"""The group's door: one UDP socket, through which this node reports, asks, answers, and hears the others do so.

It opens what comes in, has the message's own part of the room act on it, seals what is to be said, and keeps one timer
armed for all its deadlines.  The socket itself is two callables, so that whole groups can be tested in memory.

Datagrams that are forged, replayed, stale, misaddressed, malformed or too long change nothing; each is counted under
its reason.  Nothing is ever sent to the source of a datagram, only to the address that a sealed message gave.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, Final

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from voipshift.alarm import Alarm
from voipshift.errors import NoAnswer, ProtocolViolation
from voipshift.group import messages
from voipshift.group.acquaintance import Acquaintance
from voipshift.group.agenda import Agenda
from voipshift.group.asks import Asks
from voipshift.group.considerations import Consider, Considerations
from voipshift.group.envelope import BOOT_OCTETS, Header, Opener, Stream
from voipshift.group.fields import pack, unpack
from voipshift.group.keys import Keys
from voipshift.group.messages import PRELUDE, PRELUDE_OCTETS, Ask, Kind, Lapsed, Statement, messages_of
from voipshift.group.peer import Peer
from voipshift.group.peers import Peers
from voipshift.group.polls import Polls
from voipshift.group.reporter import Reporter
from voipshift.group.speaker import Speaker
from voipshift.group.withdrawals import Withdrawals
from voipshift.node import Acceptance, Address, CallAttempt, Load, NodeIdentity

_UNICAST: Final = int(Stream.UNICAST)


class Exchange:
    """A node's side of the group.

    :param send: one datagram to an address
    :param address: where others reach us, an IP address
    :param members: configured addresses, looked up before
    :param random: gives so many random octets
    :param statement: what we say of ourselves now; its load has our ``incarnation`` and a growing sequence
    :param heard: a member said this of itself
    :param left: a member stopped, or was forgotten
    :param consider: decides what a member asks: the attempt, its path, the seconds left, what to call before asking on,
        the entry
    :param withdraw: closes a lease of ours that nobody will use
    :param lapsed: a lease of the attempt that we asked about ran out elsewhere
    :param stated: all that a member's Report said
    :param bus: publishes to all, False when it cannot; what others publish is :meth:`received`
    :param at_end: has something done when the batch of datagrams that is being read is worked off
    :param wall: seconds since 1970, from which the incarnation starts
    :ivar counts: the datagrams and messages dropped, by reason
    """

    _log: ClassVar[Logger] = Logger(__name__)

    def __init__(
        self,
        *,
        clock: IReactorTime,
        send: Callable[[bytes, Address], None],
        keys: Keys,
        identity: NodeIdentity,
        address: Address,
        members: Sequence[Address],
        multicast: Address | None,
        report_interval_s: float,
        random: Callable[[int], bytes],
        statement: Callable[[], Statement],
        heard: Callable[[NodeIdentity, Load], None],
        left: Callable[[str], None],
        consider: Consider,
        withdraw: Callable[[str], None],
        lapsed: Callable[[bytes, str], None],
        stated: Callable[[str, Statement], None] | None = None,
        bus: Callable[[bytes], bool] | None = None,
        at_end: Callable[[Callable[[], None]], None] = lambda act: act(),
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._clock = clock
        self._withdraw_here = withdraw
        self._lapsed_here = lapsed
        self.name = identity.name
        self.boot = random(BOOT_OCTETS)
        self.counts: Counter[str] = Counter()
        self._opener = Opener(keys, self.name, self.boot)
        self._agenda = Agenda()
        self._peers = Peers(here=self.name, address=address, random=random, report_interval_s=report_interval_s)
        for member in members:
            self._peers.place(member, clock.seconds(), configured=True)
        self._speaker = Speaker(
            keys=keys,
            here=self.name,
            boot=self.boot,
            address=address,
            send=send,
            at_end=at_end,
            seconds=clock.seconds,
            random=random,
            incarnation=self._peers.believed_incarnation,
            counts=self.counts,
        )
        self._say = self._speaker.say
        self._withdrawals = Withdrawals(say=self._say, agenda=self._agenda)
        self._asks = Asks(say=self._say, withdrawals=self._withdrawals)
        self._considerations = Considerations(
            say=self._say,
            consider=consider,
            give_back=self.give_back,
            surfaced=self._surfaced,
            report_interval_s=report_interval_s,
        )
        self._running = False
        self._alarm = Alarm(clock, self._due)
        self._polls: Polls[Peer] = Polls(greet=self._speaker.greet, at=self._agenda.at)
        self._reporter = Reporter(
            statement=statement,
            address=address,
            multicast=multicast,
            bus=bus,
            speaker=self._speaker,
            peers=self._peers,
            agenda=self._agenda,
            report_interval_s=report_interval_s,
            random=random,
        )
        self._reports = self._reporter.schedule
        self._acquaintance = Acquaintance(
            here=self.name,
            incarnation=int(wall() * 1000),
            peers=self._peers,
            opener=self._opener,
            speaker=self._speaker,
            reporter=self._reporter,
            asks=self._asks,
            polls=self._polls,
            report_interval_s=report_interval_s,
            heard=heard,
            stated=stated,
            left=left,
        )
        #: The messages about call attempts, all of which are only believed from a member, and for us alone.
        self._receivers: dict[int, Callable[[Peer, dict[Any, Any], float, float], None]] = {
            Kind.ASK: self._ask_received,
            Kind.PENDING: self._pending_received,
            Kind.ANSWER: self._answer_received,
            Kind.WITHDRAW: self._withdraw_received,
            Kind.LAPSED: self._lapsed_received,
        }

    @property
    def incarnation(self) -> int:
        """Of this boot."""
        return self._acquaintance.incarnation

    def start(self) -> None:
        """Greet the configured members and report from now on."""
        self._running = True
        now = self._clock.seconds()
        self._reports.soon(now)
        self._alarm.no_later_than(self._due(now))

    def stop(self) -> None:
        """Say Leave; nothing is scheduled afterwards."""
        if not self._running:
            return
        now = self._clock.seconds()
        # From here on nothing more is asked: whoever hears that an ask ended may want to ask another member.
        self._running = False
        self._considerations.stop()
        self._asks.stop(now)
        self._polls.stop()
        for peer in self._peers.members():
            self._say(peer, Kind.LEAVE, pack({}))
        self._speaker.flush()
        self._agenda.clear()
        self._alarm.stop()

    def may_be_at(self, address: Address) -> None:
        """A name of a configured member leads to that address now."""
        self._peers.place(address, self._clock.seconds(), configured=False)
        self._arm()

    # What the rest of the node wants of the group.

    def ask(self, name: str, attempt: CallAttempt, path: tuple[Load, ...], left_s: float) -> Deferred[Acceptance]:
        """Have a member consider an attempt.

        Fails with Refused, with NoAnswer, or cancelled.  What an ask that did not end with its Answer may have reached
        is withdrawn.

        :param path: the nodes that the attempt visited, its entry first
        """
        peer = self._peers.member(name)
        if peer is None or not self._running:
            return fail(NoAnswer(silent=True))
        entry = path[0].node if path else self.name
        ask = Ask(self._asks.new_number(), attempt, path, left_s, entry)
        answer: Deferred[Acceptance] = Deferred(lambda _: self._cancel(ask.number))
        if not self._asks.begin(ask, peer, self._clock.seconds(), answer.callback, answer.errback):
            return fail(NoAnswer(silent=False))
        self._arm()
        return answer

    def _cancel(self, number: int) -> None:
        self._asks.cancel(number, self._clock.seconds())
        self._arm()

    def give_back(self, acceptance: Acceptance, attempt_id: bytes) -> None:
        """Nobody will use that lease: tell the node that gave it, or the nearest known on the way to it."""
        self._give_back(acceptance.node.name, acceptance.lease, attempt_id, acceptance.visited)

    def tell_lapsed(self, leases: Iterable[tuple[str, bytes, str]]) -> None:
        """Leases of this node ran out: tell the entry of each, many in one datagram.

        :param leases: entry, attempt id and lease
        """
        told: dict[Peer, list[tuple[bytes, str]]] = {}
        for entry, attempt, lease in leases:
            peer = self._peers.member(entry)
            if entry == self.name:
                self._lapsed_here(attempt, lease)
            elif peer is not None:
                told.setdefault(peer, []).append((attempt, lease))
        for peer, pairs in told.items():
            self._speaker.lapsed(peer, pairs)

    def workload_changed(self, load: Load | None = None) -> None:
        """Report at once when this is an edge: full or not, draining or not, or the occupancy moved by 5 %.

        :param load: what to compare with the last Report; without it a statement is made for that
        """
        if not self._running or (load is not None and not self._reporter.is_edge(load)):
            return
        if self._reporter.workload_changed(load, self._clock.seconds()):
            self._arm()

    def poll(self, names: Iterable[str] | None, timeout_s: float) -> Deferred[frozenset[str]]:
        """Have members report now, whatever T is; gives the names of those that did in time.

        :param names: whom to ask; None asks everybody that is believed
        """
        wanted = self._peers.members() if names is None else map(self._peers.member, names)
        peers = [peer for peer in wanted if peer is not None and self._running]
        challenge = self._peers.challenge(self._clock.seconds())
        reported: Deferred[frozenset[str]] = Deferred(lambda _: self._polls.cancel(challenge))
        self._polls.begin(challenge, peers, self._clock.seconds(), timeout_s, reported.callback)
        self._arm()
        return reported

    # Datagrams in.

    def received(self, octets: bytes, source: Address) -> None:
        """One datagram; where it claims to come from means nothing."""
        if not self._running:
            return
        now = self._clock.seconds()
        try:
            header, body = self._opener.open(octets, now)
            self._opened(header, body, now)
        except ProtocolViolation as violation:
            self.counts[violation.reason] += 1
        finally:
            self._arm()

    def _opened(self, header: Header, body: bytes, now: float) -> None:
        acquaintance, stream = self._acquaintance, header.stream
        peer = acquaintance.speaker_of(header, now)
        if len(body) < PRELUDE_OCTETS:
            raise ProtocolViolation("malformed")
        clock_ms, incarnation = PRELUDE.unpack_from(body)
        clock_s = clock_ms / 1000
        receivers = self._receivers if stream == _UNICAST else {}
        age_s: float | None = None
        for kind, message in messages_of(body):
            try:
                fields = unpack(message)
                receiver = receivers.get(kind)
                if receiver is None:
                    acquaintance.received(peer, stream, kind, fields, clock_s, incarnation, now)
                    continue
                if age_s is None:
                    age_s = acquaintance.believed(peer, clock_s, incarnation, now)
                receiver(peer, fields, age_s, now)
            except ProtocolViolation as violation:
                self.counts[violation.reason] += 1

    def _ask_received(self, peer: Peer, fields: dict[Any, Any], age_s: float, now: float) -> None:
        ask = messages.decode_ask(fields)
        for load in ask.path:
            self._acquaintance.told(load, now)
        self._considerations.asked(peer, ask, ask.left_s - max(0.0, age_s), now)

    def _pending_received(self, peer: Peer, fields: dict[Any, Any], age_s: float, now: float) -> None:
        self._asks.pending(peer, messages.decode_pending(fields), now)

    def _answer_received(self, peer: Peer, fields: dict[Any, Any], age_s: float, now: float) -> None:
        answer = messages.decode_answer(fields)
        for load in answer.visited:
            self._acquaintance.told(load, now)
        if not self._asks.answered(peer, answer, now):
            self._acquaintance.spoke(peer, answer.visited)
            attempt = self._asks.abandoned(answer.number)
            if attempt is not None and answer.acceptance is not None:
                self.counts["late_answer"] += 1
                self.give_back(answer.acceptance, attempt)

    def _withdraw_received(self, peer: Peer, fields: dict[Any, Any], age_s: float, now: float) -> None:
        withdraw = messages.decode_withdraw(fields)
        if withdraw.ask:
            self._considerations.withdrawn(peer, withdraw.ask, withdraw.attempt, now)
        else:
            self._give_back(withdraw.node, withdraw.lease, withdraw.attempt, ())
        self._say(peer, Kind.LAPSED, messages.encode_lapsed(Lapsed(withdrawn=(withdraw.number,))))

    def _lapsed_received(self, peer: Peer, fields: dict[Any, Any], age_s: float, now: float) -> None:
        lapsed = messages.decode_lapsed(fields)
        for number in lapsed.withdrawn:
            self._withdrawals.acknowledged(peer, number)
        for attempt, lease in lapsed.leases:
            self._lapsed_here(attempt, lease)

    # What follows from them.

    def _give_back(self, node: str, lease: str, attempt: bytes, way: Sequence[Load]) -> None:
        if node == self.name:
            self._withdraw_here(lease)
            return
        peer = self._peers.member(node)
        for load in reversed(way):
            peer = peer or self._peers.member(load.node)
        if peer is None:
            self.counts["no_way_back"] += 1
            return
        self._withdrawals.of_lease(peer, attempt, node, lease, self._clock.seconds())
        self._arm()

    def _surfaced(self, failure: Failure) -> None:
        self._log.failure("an attempt of a member could not be considered", failure)

    # The one timer.

    def _next(self) -> float:
        return min(self._asks.next, self._agenda.next, self._peers.next, self._reports.next)

    def _arm(self) -> None:
        """Have the alarm ring no later than the earliest deadline; one that rings too early does no harm."""
        at = self._alarm.at
        if self._asks.next < at or self._agenda.next < at or self._peers.next < at or self._reports.next < at:
            self._alarm.no_later_than(self._next())

    def _due(self, now: float) -> float:
        self._asks.due(now)
        self._agenda.due(now)
        self._acquaintance.due(now)
        if self._running and self._reports.next <= now + 1e-6:
            self._reporter.report(now)
        return self._next()
