"""Session timers as a proxy sees them (RFC 4028 section 8): both ends of a call agree to refresh it now and then.

The node asks for an interval where nobody did, and demands nothing: a callee that knows session timers refreshes, or
has the caller do so; where only the caller knows them, the node says so in the callee's name (section 8.2).  Who asks
for less than :data:`MIN_SE_S` is refused if he understands the refusal, and else gets that.  What becomes of a session
that nobody has refreshed is not decided here.  Pure.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from voipshift.errors import ProtocolViolation
from voipshift.sip.fields import Message
from voipshift.sip.grammar import number_of
from voipshift.sip.message import Request, Response

#: The shortest interval (section 4): the least where no Min-SE is said, and nobody may undercut it.
MIN_SE_S = 90
#: The longest that is believed: a call whose ends have vanished is not looked for before.
MAX_SE_S = 86_400
#: Intervals are read up to this, like all delta-seconds.
_LIMIT = 2**31
#: Requests that refresh a session (section 3).
REFRESHES = frozenset(("INVITE", "UPDATE"))


class IntervalTooSmall(ProtocolViolation):
    """422: the session would have to be refreshed too often; the answer says Min-SE."""

    def __init__(self) -> None:
        super().__init__("Session Interval Too Small", 422)


class Interval(NamedTuple):
    """What a request asks for as it goes on.

    :ivar seconds: None where it asks for none
    :ivar caller_knows: whoever sent it knows session timers
    """

    seconds: int | None
    caller_knows: bool


class SessionTimer:
    """How this node takes part.

    :param interval_s: what it asks for where nobody does, and what longer intervals are reduced to; infinite where it
        asks for nothing
    """

    def __init__(self, interval_s: float) -> None:
        self._interval_s = None if interval_s == math.inf else int(interval_s)
        self._written = str(self._interval_s)

    def requested(self, request: Request) -> Interval:
        """Look at an INVITE or UPDATE that is forwarded, and write into it what the node wants (section 8.1).

        :raises IntervalTooSmall: it wants less than can be, and understands to be told so
        :raises ProtocolViolation: it says what cannot be read
        """
        knows = _names_timer(request, "Supported")
        asked = seconds_of(request, "Session-Expires")
        least = seconds_of(request, "Min-SE") if request.has("Min-SE") else None
        if asked is None:
            if self._interval_s is None:
                return Interval(None, knows)
            wanted = self._interval_s if least is None else max(self._interval_s, least)
            request.add("Session-Expires", self._written if wanted == self._interval_s else str(wanted))
            return Interval(wanted, knows)
        if asked < MIN_SE_S:
            if knows:
                raise IntervalTooSmall
            least = max(MIN_SE_S, least or 0)
            request.set("Min-SE", str(least))
        wanted = max(asked, least or MIN_SE_S)
        if self._interval_s is not None:
            wanted = max(min(wanted, self._interval_s), least or MIN_SE_S)
        if wanted != asked:
            # The refresher is the ends' business, and stays as it was.
            value = request.get("Session-Expires") or ""
            request.set("Session-Expires", str(wanted) + value[len(value.partition(";")[0]) :])
        return Interval(wanted, knows)

    def agreed(self, asked: Interval, response: Response) -> int | None:
        """Look at the 2xx, and complete it where only the caller knows session timers (section 8.2).

        :returns: seconds until the session expires unless it is refreshed; None where it does not
        """
        if response.has("Session-Expires"):
            try:
                said = seconds_of(response, "Session-Expires")
            except ProtocolViolation:
                said = None
            return None if said is None else min(max(said, MIN_SE_S), MAX_SE_S)
        if asked.seconds is None or not asked.caller_knows:
            return None
        response.add("Session-Expires", f"{asked.seconds};refresher=uac")
        if not _names_timer(response, "Require"):
            response.add("Require", "timer")
        return min(asked.seconds, MAX_SE_S)


def _names_timer(message: Message, name: str) -> bool:
    """Whether a list of extensions has that of session timers in it."""
    return message.has(name) and any(tag.lower() == "timer" for tag in message.values(name))


def seconds_of(message: Message, name: str) -> int | None:
    """The seconds that a field says before its parameters; None without the field.

    :raises ProtocolViolation: it says no number
    """
    value = message.get(name)
    return None if value is None else number_of(value.partition(";")[0].rstrip(" \t"), _LIMIT)
