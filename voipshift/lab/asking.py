"""One ask in the simulated network: resent while it is not answered, given up after silence, withdrawn when it is.

The times are the group's own (``group/asks.py``); what is left out is what octets and keys would add.  A member decides
about an ask once and repeats its answer from memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from voipshift.errors import NoAnswer, Refused
from voipshift.group.asks import LONGEST_RESEND_S, SILENCE_ROUND_TRIPS, SILENCE_S
from voipshift.node import Acceptance, CallAttempt, Load

if TYPE_CHECKING:
    from voipshift.lab.network import Network
    from voipshift.lab.server import Server


class Asking:
    """From the first datagram to the one end.

    :ivar answer: fires with the member's acceptance, or fails with Refused or NoAnswer
    """

    __slots__ = (
        "_acceptance",
        "_asker",
        "_attempt",
        "_boot",
        "_considering",
        "_decided",
        "_ended",
        "_ends_at",
        "_interval_s",
        "_member",
        "_member_boot",
        "_network",
        "_path",
        "_pending",
        "_silent_at",
        "_visited",
        "_withdrawn",
        "answer",
    )

    def __init__(
        self,
        network: Network,
        asker: Server,
        member: Server,
        attempt: CallAttempt,
        path: tuple[Load, ...],
        left_s: float,
    ) -> None:
        now = network.queue.now
        believed = asker.members.get(member.name)
        tau = max(SILENCE_S, SILENCE_ROUND_TRIPS * 2 * network.delay_s)
        self._network = network
        self._asker = asker
        self._boot = asker.incarnation
        self._member = member
        #: the boot that the datagrams are addressed to: another one does not open them
        self._member_boot = believed.load.incarnation if believed is not None else 0
        self._attempt = attempt
        self._path = path
        self._ends_at = now + left_s
        self._silent_at = now + tau
        self._interval_s = tau / 4
        self._ended = False
        self._pending = False
        self._considering: Deferred[None] | None = None
        self._decided = False
        self._withdrawn = False
        self._acceptance: Acceptance | None = None
        self._visited: tuple[Load, ...] = ()
        self.answer: Deferred[Acceptance] = Deferred(self._cancel)
        network.send(asker, member, self._arrive)
        network.queue.at(min(now + self._interval_s, self._ends_at), self._continue)

    # At the asker.

    def _continue(self) -> None:
        """Nothing was heard for a while."""
        if self._ended or not self._asker.is_boot(self._boot):
            return
        queue = self._network.queue
        now = queue.now
        silent = not self._pending and now >= self._silent_at
        if silent or now >= self._ends_at:
            self._end()
            self.answer.errback(NoAnswer(silent))
            return
        self._network.send(self._asker, self._member, self._arrive)
        self._interval_s = min(2 * self._interval_s, LONGEST_RESEND_S)
        ends_at = self._ends_at if self._pending else min(self._ends_at, self._silent_at)
        queue.at(min(now + self._interval_s, ends_at), self._continue)

    def _hear_pending(self) -> None:
        self._pending = True

    def _hear_answer(self) -> None:
        """It may come twice, or after the end: then what it holds is being withdrawn."""
        if self._ended:
            return
        self._ended = True
        asker, member, now = self._asker, self._member, self._network.queue.now
        for load in self._visited:
            if load.node == member.name:
                asker.members.heard(member.identity, load, now)
            else:
                asker.members.learn(load, now)
        if self._acceptance is not None:
            self.answer.callback(self._acceptance)
        else:
            self.answer.errback(Refused(self._visited))

    def _cancel(self, answer: Deferred[Acceptance]) -> None:
        self._end()

    def _end(self) -> None:
        if not self._ended:
            self._ended = True
            self._network.insist(self._asker, self._member, self._withdraw)

    # At the member.

    def _arrive(self) -> None:
        if self._withdrawn or self._member.incarnation != self._member_boot:
            return
        if self._considering is None:
            left_s = self._ends_at - self._network.queue.now
            if left_s > 0.0:
                entry = self._path[0].node
                work = self._member.consider(self._attempt, self._path, left_s, self._ask_on, entry)
                self._considering = work.addCallbacks(self._accepted, self._refused)
                self._considering.addErrback(self._network.queue.surfaced)
        elif self._decided:
            self._network.send(self._member, self._asker, self._hear_answer)
        else:
            self._ask_on()

    def _ask_on(self) -> None:
        self._network.send(self._member, self._asker, self._hear_pending)

    def _accepted(self, acceptance: Acceptance) -> None:
        if self._withdrawn:
            self._member.give_back(acceptance, self._attempt.id)
        else:
            self._acceptance = acceptance
            self._decide(acceptance.visited)

    def _refused(self, failure: Failure) -> None:
        failure.trap(Refused, CancelledError)
        if isinstance(failure.value, Refused):
            self._decide(failure.value.visited)

    def _decide(self, visited: tuple[Load, ...]) -> None:
        self._decided = True
        self._visited = visited
        self._network.send(self._member, self._asker, self._hear_answer)

    def _withdraw(self) -> None:
        if self._withdrawn:
            return
        self._withdrawn = True
        if self._acceptance is not None:
            self._member.give_back(self._acceptance, self._attempt.id)
        elif self._considering is not None and not self._decided:
            self._considering.cancel()
