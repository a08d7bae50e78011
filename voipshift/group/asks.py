"""The asks that this node has under way, each from its first datagram to its one end.

An Ask is resent at growing intervals, since datagrams get lost and the asked member answers a repeated one from memory.
Silence for tau = max(200 ms, 4 round trips) ends it: nobody is there.  After a Pending only the deadline does, because
the asked member lives and waits for somebody else; the Ask is then still repeated, more seldom, for the Answer may be
what got lost.

Whatever ends an ask except its Answer makes it **abandoned**: it is withdrawn, and should an acceptance still come in,
its lease is given back.  An Answer that comes twice is for no ask any more and changes nothing.

Pure: messages go out through ``say``, outcomes through the two callables that came with the ask.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import Enum
from typing import Final

from voipshift.errors import NoAnswer, Refused
from voipshift.group.messages import Answer, Ask, Kind, encode_ask
from voipshift.group.peer import Peer
from voipshift.group.withdrawals import Withdrawals
from voipshift.node import Acceptance

#: The least silence that tells something.
SILENCE_S: Final = 0.2
SILENCE_ROUND_TRIPS: Final = 4
#: An Ask is repeated after a quarter of tau, then after twice as long each time, up to this.
LONGEST_RESEND_S: Final = 0.5
#: Abandoned asks of which a late acceptance is still given back; each is remembered for longer than any lease lasts.
MOST_ABANDONED = 10_000


class State(Enum):
    """Of one ask."""

    ASKED = "nothing was heard"
    PENDING = "the member asks on"


class Asking:
    """One ask under way."""

    __slots__ = (
        "ask",
        "asked_at",
        "due_at",
        "ends_at",
        "fail",
        "interval_s",
        "peer",
        "resend_at",
        "sends",
        "silent_at",
        "state",
        "succeed",
    )

    def __init__(
        self, ask: Ask, peer: Peer, now: float, succeed: Callable[[Acceptance], None], fail: Callable[[Exception], None]
    ) -> None:
        tau = max(SILENCE_S, SILENCE_ROUND_TRIPS * peer.round_trip_s)
        self.ask = ask
        self.peer = peer
        self.succeed = succeed
        self.fail = fail
        self.state = State.ASKED
        self.asked_at = now
        self.sends = 1
        self.ends_at = now + ask.left_s
        self.silent_at = now + tau
        self.interval_s = tau / 4
        self.resend_at = now + self.interval_s
        #: Its next deadline.
        self.due_at = min(self.resend_at, self.ends_at)

    def wait(self, now: float) -> None:
        """Wait for so long as the interval says, or less where something else comes before."""
        self.resend_at = now + self.interval_s
        self.due_at = min(self.resend_at, self.ends_at)
        if self.state is State.ASKED and self.silent_at < self.due_at:
            self.due_at = self.silent_at


class Asks:
    """All asks under way, by their number.

    Nearly all are answered long before their first deadline, so none has an entry in an agenda: when the earliest
    deadline of all that were begun has come, those that are still under way are looked through.

    :param say: sends one message to a peer; False when it does not fit in a datagram
    :ivar next: no deadline is before this; infinite when there is none
    """

    def __init__(self, *, say: Callable[[Peer, Kind, bytes], bool], withdrawals: Withdrawals) -> None:
        self._say = say
        self._withdrawals = withdrawals
        self._asks: dict[int, Asking] = {}
        self._abandoned: dict[int, bytes] = {}
        self._number = 0
        self.next = math.inf

    def __len__(self) -> int:
        return len(self._asks)

    def new_number(self) -> int:
        """Never used before by this boot."""
        self._number += 1
        return self._number

    def begin(
        self, ask: Ask, peer: Peer, now: float, succeed: Callable[[Acceptance], None], fail: Callable[[Exception], None]
    ) -> bool:
        """Ask a member: one of the callables is called, once, unless the ask is cancelled.

        What a direct answer needs is left out where it would be too long.

        :returns: False when the attempt does not fit in a datagram, and then nothing was done
        """
        if not self._say(peer, Kind.ASK, encode_ask(ask)):
            if not ask.attempt.reply:
                return False
            ask = ask.replace(attempt=ask.attempt.replace(reply=b""))
            return self.begin(ask, peer, now, succeed, fail)
        asking = self._asks[ask.number] = Asking(ask, peer, now, succeed, fail)
        if asking.due_at < self.next:
            self.next = asking.due_at
        return True

    def pending(self, peer: Peer, number: int, now: float) -> None:
        """The member lives and asks on."""
        asking = self._asks.get(number)
        if asking is not None and asking.peer is peer and asking.state is State.ASKED:
            self._measure(asking, now)
            asking.state = State.PENDING
            asking.interval_s = LONGEST_RESEND_S / 2
            asking.wait(now)

    def answered(self, peer: Peer, answer: Answer, now: float) -> bool:
        """The member decided; False when nobody waits for that any more."""
        asking = self._asks.get(answer.number)
        if asking is None or asking.peer is not peer:
            return False
        del self._asks[answer.number]
        if asking.state is State.ASKED:
            self._measure(asking, now)
        if answer.acceptance is not None:
            asking.succeed(answer.acceptance)
        else:
            asking.fail(Refused(answer.visited))
        return True

    def abandoned(self, number: int) -> bytes | None:
        """The attempt of an ask that ended without its Answer, once: an acceptance that comes now is to be given
        back.
        """
        return self._abandoned.pop(number, None)

    def cancel(self, number: int, now: float) -> None:
        """Nobody waits for it any more."""
        asking = self._asks.pop(number, None)
        if asking is not None:
            self._abandon(asking, now)

    def lost(self, peer: Peer) -> None:
        """The peer is no more: what it was asked has no answer."""
        for number, asking in list(self._asks.items()):
            if asking.peer is peer and self._asks.pop(number, None) is not None:
                asking.fail(NoAnswer(silent=False))

    def stop(self, now: float) -> None:
        """End all of them."""
        for number, asking in list(self._asks.items()):
            if self._asks.pop(number, None) is not None:
                self._abandon(asking, now)
                asking.fail(NoAnswer(silent=False))

    def due(self, now: float) -> None:
        """Repeat and end what it is time for."""
        until = now + 1e-6
        if self.next > until:
            return
        self.next = math.inf
        for asking in list(self._asks.values()):
            if asking.due_at <= until and asking.ask.number in self._asks:
                self._continue(asking, now)
            if asking.due_at < self.next:
                self.next = asking.due_at

    def _continue(self, asking: Asking, now: float) -> None:
        until = now + 1e-6
        if asking.state is State.ASKED and asking.silent_at <= until:
            self._end(asking, NoAnswer(silent=True), now)
        elif asking.ends_at <= until:
            self._end(asking, NoAnswer(silent=False), now)
        else:
            asking.sends += 1
            self._say(asking.peer, Kind.ASK, encode_ask(asking.ask.replace(left_s=asking.ends_at - now)))
            asking.interval_s = min(2 * asking.interval_s, LONGEST_RESEND_S)
            asking.wait(now)

    def _end(self, asking: Asking, reason: NoAnswer, now: float) -> None:
        asking.due_at = math.inf
        del self._asks[asking.ask.number]
        self._abandon(asking, now)
        asking.fail(reason)

    def _abandon(self, asking: Asking, now: float) -> None:
        """The member may have accepted, or may be about to."""
        ask = asking.ask
        self._abandoned[ask.number] = ask.attempt.id
        if len(self._abandoned) > MOST_ABANDONED:
            del self._abandoned[next(iter(self._abandoned))]
        self._withdrawals.of_ask(asking.peer, ask.attempt.id, ask.number, now)

    @staticmethod
    def _measure(asking: Asking, now: float) -> None:
        # Of a repeated Ask nobody knows which one was answered (Karn).
        if asking.sends == 1:
            asking.peer.measured(now - asking.asked_at)
