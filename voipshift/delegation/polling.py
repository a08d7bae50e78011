"""Polling at the time of a decision: before a member is chosen, some or all say how loaded they are now.

The chain is that of :mod:`voipshift.delegation.chain` with one step more.  Lines 3, 4 and 7 of the rule settle most
attempts without a look at the others (there is room here below the level from which calls are shifted; or all are
flagged full; or the way is long enough), and those wait for nobody.  For the rest the members are polled, all or so
many drawn ones, and the rule decides among those that answered in time, by what they answered.  When nobody did, what
is believed decides, as it does when a member that was then asked refuses: that answer is the freshest load there is.

A decision costs a round trip more, and two datagrams for each member polled.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from voipshift.balance.reason import Reason
from voipshift.balance.rule import Ask
from voipshift.delegation.chain import Chain, Delegation, StartChain
from voipshift.node import Acceptance, CallAttempt, Load

#: ``poll(names, timeout_s)``: the names of those that reported in time, when all did or time is up.
Poll = Callable[[list[str], float], "Deferred[frozenset[str]]"]


class PollingChain(Chain):
    """One attempt's way through this node, with a poll before the first choice."""

    __slots__ = ("_poll", "_polled", "_timeout_s", "_width")

    def __init__(
        self,
        poll: Poll,
        width: float,
        timeout_s: float,
        here: Delegation,
        attempt: CallAttempt,
        path: tuple[Load, ...],
        entry: str,
        deadline: float,
        pending: Callable[[], None] | None,
    ) -> None:
        super().__init__(here, attempt, path, entry, deadline, pending)
        self._poll = poll
        self._width = width
        self._timeout_s = timeout_s
        #: the members that are not asked, because others answered the poll and they did not; None before the poll
        self._polled: set[str] | None = None

    def _determine_workload(self, now: float, *, resumed: bool) -> Deferred[Acceptance]:
        here = self._here
        if resumed or self._polled is not None or self._is_settled(now):
            return super()._determine_workload(now, resumed=resumed)
        selection = self._selection
        candidates = here.members.candidates(self._attempt.door, self._visited, now)
        if selection is not None:
            candidates = [member for member in candidates if selection.allows(member)]
        names = [member.name for member in candidates]
        if len(names) > self._width:
            names = here.random.sample(names, int(self._width))
        if self._pending is not None:
            self._pending()  # the asker would take a poll for silence
            self._pending = None
        timeout_s = max(0.0, min(self._timeout_s, self._deadline - now))
        polled = self._poll(names, timeout_s)
        return polled.addCallbacks(self._heard, self._stopped, callbackArgs=({member.name for member in candidates},))

    def _is_settled(self, now: float) -> bool:
        """Whether the rule decides without the loads of the others: lines 3, 4 and 7."""
        here, hops = self._here, len(self._visited)
        if hops >= here.rule.hops_allowed(len(here.members)):
            return True
        if here.has_room(self._selection, now):
            return hops > 0 or here.workload.occupancy(now) < here.rule.theta
        return all(member.full for member in here.members.live(self._attempt.door, now))

    def _heard(self, fresh: frozenset[str], candidates: set[str]) -> Deferred[Acceptance]:
        self._polled = candidates - fresh if fresh else set()
        return self._determine_workload(self._here.now(), resumed=False)

    def _stopped(self, failure: Failure) -> Failure:
        """The client, or the node that asked, does not want it any more; or it is our own fault."""
        self._here.counts.cancelled += isinstance(failure.value, CancelledError)
        return failure

    def _decide(self, visited: set[str], now: float, *, resumed: bool) -> Reason | Ask:
        if not resumed and self._polled:
            visited = visited | self._polled
        return super()._decide(visited, now, resumed=resumed)


def polling(poll: Poll, width: float = math.inf, timeout_s: float = 0.1) -> StartChain:
    """How attempts go their way with polls.

    :param width: how many members are polled, drawn evenly; infinite polls all
    :param timeout_s: how long their Reports are waited for
    """

    def start(
        here: Delegation,
        attempt: CallAttempt,
        path: tuple[Load, ...],
        entry: str,
        deadline: float,
        pending: Callable[[], None] | None,
    ) -> Chain:
        return PollingChain(poll, width, timeout_s, here, attempt, path, entry, deadline, pending)

    return start
