"""What others ask of this node: decided once each, and answered from memory when the Ask comes again.

An attempt is under consideration from its Ask until ``consider`` has an outcome; the Answer is then kept for as long as
the Ask can still be repeated, so that no repetition is a second decision and no lost Answer a second lease.  A Withdraw
takes back whatever stands: it cancels a consideration (and so this node's own ask onward), gives back an acceptance,
and stops an Ask that it overtook on the way.

Pure: messages go out through ``say``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Final

from twisted.python.failure import Failure

from voipshift.errors import ProtocolViolation, Refused
from voipshift.group.messages import Ask, Kind, encode_answer, encode_pending
from voipshift.group.peer import FRESH_INTERVALS, Peer
from voipshift.node import Acceptance, CallAttempt, Load

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

#: Asks that are remembered, some 400 octets each: five seconds of 10 000 a second.
MOST_CONSIDERED: Final = 50_000

Consider = Callable[
    [CallAttempt, tuple[Load, ...], float, Callable[[], None], str], "Deferred[Acceptance]"
]  # the attempt, its path, the seconds left, pending, its entry


class State(Enum):
    """Of one Ask that was received."""

    CONSIDERED = "no outcome yet"
    ANSWERED = "the Answer is in memory"
    WITHDRAWN = "the asking node does not want it"


class Considered:
    """One Ask."""

    __slots__ = ("acceptance", "answer", "attempt", "forget_at", "number", "peer", "state", "work")

    def __init__(self, peer: Peer, number: int, attempt: bytes, forget_at: float) -> None:
        self.peer = peer
        self.number = number
        self.attempt = attempt
        self.forget_at = forget_at
        self.state = State.CONSIDERED
        #: What ends with an outcome; nothing once it has.
        self.work: Deferred[None] | None = None
        self.answer = b""
        self.acceptance: Acceptance | None = None


class Considerations:
    """All Asks that were received and can still be repeated.

    :param give_back: takes back the lease of an acceptance, of this node or of another
    :param surfaced: told of a failure that is no outcome, but our own fault
    """

    def __init__(
        self,
        *,
        say: Callable[[Peer, Kind, bytes], bool],
        consider: Consider,
        give_back: Callable[[Acceptance, bytes], None],
        surfaced: Callable[[Failure], None],
        report_interval_s: float,
    ) -> None:
        self._say = say
        self._consider = consider
        self._give_back = give_back
        self._surfaced = surfaced
        # After that an Ask that comes again is stale.
        self._kept_s = FRESH_INTERVALS * report_interval_s
        self._memory: deque[Considered] = deque()
        self._known: dict[tuple[Peer, int], Considered] = {}

    def __len__(self) -> int:
        return len(self._memory)

    def asked(self, peer: Peer, ask: Ask, left_s: float, now: float) -> None:
        """A member asks.

        :raises ProtocolViolation: too many do
        """
        known = self._known.get((peer, ask.number))
        if known is not None:
            self._repeat(known)
            return
        self._forget(now)
        if left_s <= 0:
            raise ProtocolViolation("expired")
        considered = self._remember(peer, ask.number, ask.attempt.id, now + left_s)
        work = self._consider(ask.attempt, ask.path, left_s, lambda: self._pending(considered), ask.entry)
        if work.called and isinstance(work.result, Acceptance):  # most have decided by now
            self._ended(work.result, considered)
            return
        considered.work = work.addBoth(self._ended, considered)
        if considered.state is not State.CONSIDERED:
            considered.work = None

    def withdrawn(self, peer: Peer, number: int, attempt: bytes, now: float) -> None:
        """A member does not want any more what it asked; saying so twice changes nothing."""
        considered = self._known.get((peer, number))
        if considered is None:
            self._forget(now)
            self._remember(peer, number, attempt, now).state = State.WITHDRAWN
            return
        state, considered.state = considered.state, State.WITHDRAWN
        if state is State.CONSIDERED and considered.work is not None:
            considered.work.cancel()
        elif state is State.ANSWERED and considered.acceptance is not None:
            self._give_back(considered.acceptance, considered.attempt)

    def stop(self) -> None:
        """Refuse what is under consideration."""
        for considered in list(self._memory):
            self._give_up(considered)
        self._memory.clear()
        self._known.clear()

    def _pending(self, considered: Considered) -> None:
        if considered.state is State.CONSIDERED:
            self._say(considered.peer, Kind.PENDING, encode_pending(considered.number))

    def _repeat(self, considered: Considered) -> None:
        if considered.state is State.ANSWERED:
            self._say(considered.peer, Kind.ANSWER, considered.answer)
        else:
            self._pending(considered)

    def _ended(self, outcome: Acceptance | Failure, considered: Considered) -> None:
        """The chain of an attempt ends here."""
        try:
            if isinstance(outcome, Failure):
                self._failed(outcome, considered)
            else:
                self._accepted(outcome, considered)
        except Exception:
            self._surfaced(Failure())

    def _accepted(self, acceptance: Acceptance, considered: Considered) -> None:
        if considered.state is State.CONSIDERED:
            considered.acceptance = acceptance
            self._answer(considered, acceptance.visited)
        else:
            self._give_back(acceptance, considered.attempt)

    def _failed(self, failure: Failure, considered: Considered) -> None:
        if considered.state is not State.CONSIDERED:
            return
        error = failure.value
        self._answer(considered, error.visited if isinstance(error, Refused) else ())
        if not isinstance(error, Refused):
            self._surfaced(failure)

    def _answer(self, considered: Considered, visited: tuple[Load, ...]) -> None:
        considered.state = State.ANSWERED
        considered.answer = encode_answer(considered.number, visited, considered.acceptance)
        if not self._say(considered.peer, Kind.ANSWER, considered.answer):
            # Too long for a datagram: the loads of the others are news, no more.
            considered.answer = encode_answer(considered.number, visited[-1:], considered.acceptance)
            self._say(considered.peer, Kind.ANSWER, considered.answer)

    def _give_up(self, considered: Considered) -> None:
        if considered.state is State.CONSIDERED:
            self._answer(considered, ())
            if considered.work is not None:
                considered.work.cancel()

    def _remember(self, peer: Peer, number: int, attempt: bytes, ends_at: float) -> Considered:
        if len(self._memory) >= MOST_CONSIDERED:
            raise ProtocolViolation("too_many_asks")
        considered = Considered(peer, number, attempt, ends_at + self._kept_s)
        self._known[peer, number] = considered
        self._memory.append(considered)
        return considered

    def _forget(self, now: float) -> None:
        """Those that cannot be repeated any more, the oldest first."""
        memory = self._memory
        while memory and memory[0].forget_at <= now:
            considered = memory.popleft()
            del self._known[considered.peer, considered.number]
            self._give_up(considered)
