"""Subscriptions that pass through this node: SUBSCRIBE and REFER outside calls, and what outlives a call (RFC 6665).

A NOTIFY comes inside the dialog of its SUBSCRIBE, perhaps before the answer to it, and from as many notifiers as there
are telephones.  The node was recorded in the route, for neither end may be reachable without it; so it must know, as it
does of calls, who the ends are and where requests between them may go.  An entry is some addresses, takes no slot of
the workload, and is forgotten when the subscription has expired.  Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count

from voipshift.calls.dialogs import Dialogs
from voipshift.calls.session import seconds_of
from voipshift.errors import ProtocolViolation
from voipshift.sip.grammar import header_parameters, number_of
from voipshift.sip.message import Message
from voipshift.sip.timers import TIMER_F

#: Subscriptions at once: ten lamps or mailboxes for each of 2000 telephones, at a kilobyte each.
MAX_SUBSCRIPTIONS = 20_000
#: How long one is kept whose duration nobody has said yet, or that is over: until its last request is no longer sent
#: again (RFC 6665 section 4.1.2, timer N).
LINGER_S = TIMER_F
#: The longest that one is kept without being refreshed.
MAX_EXPIRES_S = 86_400.0
_LIMIT = 2**31


class Subscriptions:
    """The subscriptions that are known.

    :param now: seconds of a clock that does not go backwards
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._known: dict[tuple[str, str], Dialogs] = {}
        self._until: dict[Dialogs, float] = {}
        # One entry for each that is known, perhaps of an earlier time than it now has.
        self._order: list[tuple[float, int, Dialogs]] = []
        self._number = count()

    def __len__(self) -> int:
        return len(self._known)

    def open(self, dialogs: Dialogs) -> None:
        """Know one that is asked for, or prolong one that is known.

        :raises ProtocolViolation: 503, there are too many
        """
        now = self._now()
        self._forget_expired(now)
        if self._known.get(dialogs.identity) is not dialogs:
            if len(self._known) >= MAX_SUBSCRIPTIONS:
                raise ProtocolViolation("Too Many Subscriptions", 503)
            self.close(dialogs.identity)
            self._known[dialogs.identity] = dialogs
            self._until[dialogs] = now + LINGER_S
            heappush(self._order, (now + LINGER_S, next(self._number), dialogs))
        elif self._until[dialogs] < now + LINGER_S:
            self._until[dialogs] = now + LINGER_S

    def find(self, call_id: str, from_tag: str, to_tag: str) -> Dialogs | None:
        """The subscription of a request inside a dialog, whichever end sent it."""
        found = self._known.get((call_id, from_tag)) or self._known.get((call_id, to_tag))
        return found if found is not None and self._until[found] > self._now() else None

    def last(self, dialogs: Dialogs, message: Message) -> None:
        """Keep one for as long as a 2xx (Expires) or a NOTIFY (Subscription-State) says, and a little longer."""
        if dialogs in self._until:
            duration_s = min(_duration_of(message), MAX_EXPIRES_S)
            self._until[dialogs] = self._now() + duration_s + LINGER_S

    def close(self, identity: tuple[str, str]) -> None:
        """Forget one that was refused."""
        dialogs = self._known.pop(identity, None)
        if dialogs is not None:
            del self._until[dialogs]

    def _forget_expired(self, now: float) -> None:
        order = self._order
        while order and order[0][0] <= now:
            _, number, dialogs = heappop(order)
            until = self._until.get(dialogs)
            if until is None:
                continue
            if until <= now:
                self.close(dialogs.identity)
            else:
                heappush(order, (until, number, dialogs))


def _duration_of(message: Message) -> float:
    """Seconds that a message gives a subscription; none where it says nothing that can be read, or its end."""
    try:
        state = message.get("Subscription-State")
        if state is None:
            return seconds_of(message, "Expires") or 0
        said = header_parameters(f";{state.partition(';')[2]}").get("expires")
        return 0 if said is None else number_of(said, _LIMIT)
    except ProtocolViolation:
        return 0
