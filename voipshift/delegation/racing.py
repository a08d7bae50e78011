"""A race: several members are asked at once, and the first one that accepts has the call.

The chain is that of :mod:`voipshift.delegation.chain`, but where it would ask one member it draws more of them by the
same rule, without those drawn before, until it has so many or the rule would ask no other.  The first acceptance is
taken. The asks of the others are cancelled, which withdraws the leases that they gave or are about to give; a lease
that comes all the same is given back.  When all have refused, the rule goes on as after one refusal.

Each of them is told of the others as visited, as far as the hop limit goes, so that it asks none of them, and asks on
at all only where that limit leaves something: otherwise each would start a race of its own.  So the hops of a call that
was placed by a race count those who were asked beside the node that has it.

A race saves the time that a refusal or a silent member costs.  It is paid for with datagrams, and with slots that are
held for the length of a round trip and used by nobody.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from voipshift.balance.members import Member
from voipshift.balance.reason import Reason
from voipshift.balance.rule import Ask
from voipshift.delegation.chain import Chain, Delegation, StartChain, why
from voipshift.errors import NoAnswer, Refused
from voipshift.node import Acceptance, CallAttempt, Load


class RacingChain(Chain):
    """One attempt's way through this node, asking several members each time."""

    __slots__ = ("_running", "_width")

    def __init__(
        self,
        width: float,
        here: Delegation,
        attempt: CallAttempt,
        path: tuple[Load, ...],
        entry: str,
        deadline: float,
        pending: Callable[[], None] | None,
    ) -> None:
        super().__init__(here, attempt, path, entry, deadline, pending)
        self._width = width
        #: the asks of which nothing was heard yet; emptied when the race is decided
        self._running: list[Deferred[Acceptance]] = []

    def _forward(self, decision: Ask, left_s: float) -> Deferred[Acceptance]:
        here = self._here
        if self._pending is not None:
            self._pending()
            self._pending = None
        contenders = self._contenders(decision.member)
        limit = here.rule.hops_allowed(len(here.members))
        way = (*self._path, here.told(decision.reason), *self._tried)
        asks = []
        for contender in contenders:
            contender.add_call()
            here.counts.asked_on += 1
            beside = [here.told_of(other, Reason.ASKED_BESIDE) for other in contenders if other is not contender]
            path = (*way, *beside[: max(0, limit - len(way))])
            asks.append(here.ask(contender.name, self._attempt, path, left_s))
        self._running = asks.copy()
        race: Deferred[Acceptance | None] = Deferred(lambda _: self._stop_the_others())
        for asked, contender in zip(asks, contenders, strict=True):
            args = (race, asked, contender)
            asked.addCallbacks(self._accepted, self._dropped_out, callbackArgs=args, errbackArgs=args)
            asked.addErrback(self._failed, race)
        return race.addCallbacks(self._decided, self._stopped)

    def _contenders(self, first: Member) -> list[Member]:
        """Whom to ask: the rule's choice, and what it would choose without that."""
        contenders, now = [first], self._here.now()
        without = {*self._visited, first.name}
        while len(contenders) < self._width:
            decision = self._decide(without, now, resumed=True)
            if not isinstance(decision, Ask):
                break
            self._probed = self._probed or decision.probe
            contenders.append(decision.member)
            without.add(decision.member.name)
        return contenders

    def _accepted(
        self, acceptance: Acceptance, race: Deferred[Acceptance | None], asked: Deferred[Acceptance], member: Member
    ) -> None:
        here = self._here
        self._learn(member, acceptance.visited)
        if asked not in self._running:  # another one was faster
            here.withdraw(acceptance, self._attempt.id)
        elif self._attempt.door in acceptance.node.doors:
            self._stop_the_others()
            race.callback(acceptance)
        else:
            here.withdraw(acceptance, self._attempt.id)  # it lost that door since it reported
            self._is_out(race, asked, member, Reason.LOST_ITS_DOOR)

    def _dropped_out(
        self, failure: Failure, race: Deferred[Acceptance | None], asked: Deferred[Acceptance], member: Member
    ) -> None:
        if asked not in self._running:
            failure.trap(Refused, NoAnswer, CancelledError)
        elif self._took_note(failure.value, member):
            self._is_out(race, asked, member, why(failure.value))
        else:
            failure.raiseException()

    def _is_out(
        self, race: Deferred[Acceptance | None], asked: Deferred[Acceptance], member: Member, reason: Reason
    ) -> None:
        self._running.remove(asked)
        self._visit(self._here.told_of(member, reason))
        if not self._running:
            race.callback(None)

    def _failed(self, failure: Failure, race: Deferred[Acceptance | None]) -> Failure | None:
        """Our own fault: it surfaces where the caller's chain ends, once."""
        if race.called:
            return failure
        self._stop_the_others()
        race.errback(failure)
        return None

    def _stop_the_others(self) -> None:
        running, self._running = self._running, []
        for asked in running:
            asked.cancel()

    def _decided(self, acceptance: Acceptance | None) -> Acceptance | Deferred[Acceptance]:
        """Step 66 for the one, or back to step 62 when all declined."""
        if acceptance is None:
            return self._determine_workload(self._here.now(), resumed=True)
        self._here.counts.shifted += 1
        return acceptance

    def _stopped(self, failure: Failure) -> Failure:
        """The client, or the node that asked, does not want it any more; or it is our own fault."""
        self._here.counts.cancelled += isinstance(failure.value, CancelledError)
        return failure


def racing(width: float = math.inf) -> StartChain:
    """How attempts go their way with races.

    :param width: how many members are asked at once; infinite asks all that have room
    """

    def start(
        here: Delegation,
        attempt: CallAttempt,
        path: tuple[Load, ...],
        entry: str,
        deadline: float,
        pending: Callable[[], None] | None,
    ) -> Chain:
        if attempt.reply:  # whoever accepts first is not known to those that accept: the chain answers
            attempt = attempt.replace(reply=b"")
        return RacingChain(width, here, attempt, path, entry, deadline, pending)

    return start
