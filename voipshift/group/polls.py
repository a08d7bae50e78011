"""Polls of members at the time of a decision: each is asked for a Report now, and the fresh loads are waited for.

One poll carries one challenge to all of its members.  The Report that echoes it was made after the question, whatever
else is on its way from that member.  It is over when the last one has echoed, or in time, whoever is missing: a load
that is not fresh is still believed as far as the last one that was heard.  Half of that time without an echo is taken
for a lost datagram, and the question is repeated.

Pure: datagrams go out through ``greet``, and outcomes through the callable that came with the poll.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Generic, Protocol, TypeVar

#: Called with the names of those that echoed.
Outcome = Callable[[frozenset[str]], None]


class Polled(Protocol):
    """Who is asked: known by its name."""

    @property
    def name(self) -> str: ...


PolledT = TypeVar("PolledT", bound=Polled)


class _Poll(Generic[PolledT]):
    """One under way."""

    __slots__ = ("awaited", "done", "echoed", "until")

    def __init__(self, peers: Iterable[PolledT], until: float, done: Outcome) -> None:
        self.awaited = {peer.name: peer for peer in peers}
        self.echoed: set[str] = set()
        self.until = until
        self.done = done


class Polls(Generic[PolledT]):
    """All polls under way, by their challenge.

    :param greet: sends a peer a Poll with a challenge
    :param at: has something be called at a time, with that time
    """

    def __init__(
        self, *, greet: Callable[[PolledT, bytes], None], at: Callable[[float, Callable[[float], None]], None]
    ) -> None:
        self._greet = greet
        self._at = at
        self._polls: dict[bytes, _Poll[PolledT]] = {}

    def __len__(self) -> int:
        return len(self._polls)

    def begin(self, challenge: bytes, peers: Iterable[PolledT], now: float, timeout_s: float, done: Outcome) -> None:
        """Ask them all; `done` is called once, unless the poll is cancelled, and not before this returned unless there
        is nobody to ask.
        """
        poll = _Poll(peers, now + timeout_s, done)
        if not poll.awaited:
            done(frozenset())
            return
        self._polls[challenge] = poll
        for peer in poll.awaited.values():
            self._greet(peer, challenge)
        self._at(now + timeout_s / 2, partial(self._again, challenge))

    def echoed(self, peer: PolledT, challenge: bytes) -> None:
        """A member reported because it was asked with that challenge."""
        poll = self._polls.get(challenge)
        if poll is not None and poll.awaited.pop(peer.name, None) is not None:
            poll.echoed.add(peer.name)
            if not poll.awaited:
                self._end(challenge)

    def lost(self, peer: PolledT) -> None:
        """The peer is no more."""
        for challenge, poll in list(self._polls.items()):
            if poll.awaited.get(peer.name) is peer:
                del poll.awaited[peer.name]
                if not poll.awaited:
                    self._end(challenge)

    def cancel(self, challenge: bytes) -> None:
        """Nobody waits for it any more."""
        self._polls.pop(challenge, None)

    def stop(self) -> None:
        """End all of them with what has come so far."""
        for challenge in list(self._polls):
            self._end(challenge)

    def _again(self, challenge: bytes, now: float) -> None:
        poll = self._polls.get(challenge)
        if poll is not None:
            for peer in poll.awaited.values():
                self._greet(peer, challenge)
            self._at(poll.until, lambda now: self._end(challenge))

    def _end(self, challenge: bytes) -> None:
        poll = self._polls.pop(challenge, None)
        if poll is not None:
            poll.done(frozenset(poll.echoed))
