"""What was taken back and is not yet acknowledged: asks that nobody waits for, leases that nobody will use.

A Withdraw is resent at growing intervals until a Lapsed names its number, at most seven times in six seconds: the lease
that it is about lapses by itself not much later.  Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from voipshift.group.agenda import Agenda
from voipshift.group.messages import Kind, Withdraw, encode_withdraw
from voipshift.group.peer import Peer, Standing

TRIES = 7
FIRST_RESEND_S = 0.1
#: Beyond this many under way each is sent only once: a member died under a storm, and its leases with it.
MOST_WITHDRAWALS = 10_000


class _Withdrawal:
    __slots__ = ("body", "interval_s", "peer", "subject", "tries")

    def __init__(self, peer: Peer, subject: int | str, body: bytes) -> None:
        self.peer = peer
        self.subject = subject
        self.body = body
        self.tries = 1
        self.interval_s = FIRST_RESEND_S


class Withdrawals:
    """All Withdraws under way, by their number."""

    def __init__(self, *, say: Callable[[Peer, Kind, bytes], bool], agenda: Agenda) -> None:
        self._say = say
        self._agenda = agenda
        self._withdrawals: dict[int, _Withdrawal] = {}
        self._subjects: set[int | str] = set()
        self._number = 0

    def __len__(self) -> int:
        return len(self._withdrawals)

    def of_ask(self, peer: Peer, attempt: bytes, ask: int, now: float) -> None:
        """What that member was asked is no longer wanted."""
        self._begin(peer, ask, Withdraw(self._new_number(), attempt, ask=ask), now)

    def of_lease(self, peer: Peer, attempt: bytes, node: str, lease: str, now: float) -> None:
        """A lease that a node gave is no longer wanted; the peer is that node, or knows the way to it."""
        self._begin(peer, lease, Withdraw(self._new_number(), attempt, node=node, lease=lease), now)

    def acknowledged(self, peer: Peer, number: int) -> None:
        """The peer did it."""
        withdrawal = self._withdrawals.get(number)
        if withdrawal is not None and withdrawal.peer is peer:
            self._end(number)

    def _new_number(self) -> int:
        self._number += 1
        return self._number

    def _begin(self, peer: Peer, subject: int | str, withdraw: Withdraw, now: float) -> None:
        if subject in self._subjects:
            return
        withdrawal = _Withdrawal(peer, subject, encode_withdraw(withdraw))
        self._say(peer, Kind.WITHDRAW, withdrawal.body)
        if len(self._withdrawals) < MOST_WITHDRAWALS:
            self._withdrawals[withdraw.number] = withdrawal
            self._subjects.add(subject)
            self._agenda.at(now + withdrawal.interval_s, partial(self._continue, withdraw.number))

    def _continue(self, number: int, now: float) -> None:
        withdrawal = self._withdrawals.get(number)
        if withdrawal is None:
            return
        if withdrawal.tries >= TRIES or withdrawal.peer.standing is not Standing.MEMBER:
            self._end(number)
            return
        withdrawal.tries += 1
        withdrawal.interval_s *= 2
        self._say(withdrawal.peer, Kind.WITHDRAW, withdrawal.body)
        self._agenda.at(now + withdrawal.interval_s, partial(self._continue, number))

    def _end(self, number: int) -> None:
        self._subjects.discard(self._withdrawals.pop(number).subject)
