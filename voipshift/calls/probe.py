"""Whether both ends of a call are still there: OPTIONS inside its dialog, now and then.

A call whose ends both vanished would be counted for ever.  Each end is asked with the tags of the dialog and a CSeq of
0, which is behind every real one, so that the dialog's own numbering is not disturbed: what an end answers to it does
not matter, as long as it is not 481 (it knows no such call) or nothing at all.  A call is ended only when both ends
have failed twice running.

Ends that have agreed to refresh their session (RFC 4028) prove that they are there by doing so: such a call is asked
nothing before it should have been refreshed and was not, and then at once.  Pure; transactions and timers are the
door's.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from voipshift.calls.dialogs import End
from voipshift.calls.route import name_of, reach, uri_of
from voipshift.calls.table import Call
from voipshift.calls.waiting import Lookup
from voipshift.node import Address
from voipshift.sip.grammar import MAGIC_COOKIE
from voipshift.sip.listeners import Listeners, transport_of
from voipshift.sip.locate import Try
from voipshift.sip.message import Request, Response, request
from voipshift.sip.timers import Timers
from voipshift.sip.transaction import ClientTransaction, Hop

#: Different times that calls are waited for until their sessions expire.
MAX_DURATIONS = 60
#: Failures in a row that make an end count as gone.
FAILURES = 2
#: Answers that mean: no such call here (RFC 3261 section 12.2.1.2).
GONE = frozenset((408, 481))


class Watch:
    """One call that is watched, with the failures in a row of its caller and of its callee."""

    __slots__ = ("call", "failures")

    def __init__(self, call: Call) -> None:
        self.call = call
        self.failures = [0, 0]


class Inquiry:
    """One OPTIONS to one end of a call."""

    __slots__ = ("_end", "_told", "_watch")

    def __init__(self, watch: Watch, end: int, told: Callable[[Watch], None]) -> None:
        self._watch = watch
        self._end = end
        self._told = told

    def responded(self, client: ClientTransaction, response: Response) -> None:
        """It answered, whatever it answered."""
        if response.status in GONE:
            self.failed()
        else:
            self._watch.failures[self._end] = 0

    def timed_out(self, client: ClientTransaction) -> None:
        """It did not answer."""
        self.failed()

    def failed(self) -> None:
        """It is not there, as far as this inquiry can tell."""
        self._watch.failures[self._end] += 1
        self._told(self._watch)


class Prober:
    """Watches answered calls.

    :param interval_s: seconds from one look at a call to the next
    :param listeners: this node's ports
    :param is_open: whether there is a connection to somebody
    :param names: who knows the host names that ends go by
    :param send: opens a client transaction whose end is told to the given inquiry
    :param vanished: told of a call whose ends are both gone
    """

    def __init__(
        self,
        *,
        interval_s: float,
        listeners: Listeners,
        is_open: Callable[[Hop], bool],
        names: Lookup,
        send: Callable[[Request, Hop, Inquiry], object],
        vanished: Callable[[Call], None],
        now: Callable[[], float],
        octets: Callable[[int], bytes],
    ) -> None:
        self._interval_s = interval_s
        self._places = frozenset(listeners.places)
        self._listeners = listeners
        self._is_open = is_open
        self._names = names
        self._send = send
        self._vanished = vanished
        self._now = now
        self._octets = octets
        self._watched: dict[Call, Watch] = {}
        self._timers: Timers[Watch] = Timers()

    def watch(self, call: Call) -> None:
        """Begin to look after a call that was answered."""
        now = self._now()
        watch = self._watched[call] = Watch(call)
        self._timers.start(watch, "probe", self._left(call, now) or self._interval_s, now)

    def forget(self, call: Call) -> None:
        """The call has ended."""
        watch = self._watched.pop(call, None)
        if watch is not None:
            self._timers.stop_all(watch)

    @property
    def next(self) -> float:
        """When the next call is to be looked at."""
        return self._timers.next

    def due(self, now: float) -> None:
        """Ask both ends of every call whose turn it is."""
        for watch, name in self._timers.due(now):
            left = self._left(watch.call, now)
            self._timers.start(watch, name, left or self._interval_s, now)
            if left:
                watch.failures = [0, 0]
                continue
            callee = watch.call.callee
            if callee is not None:
                self._ask(watch, 0, watch.call.caller, callee)
                self._ask(watch, 1, callee, watch.call.caller)

    def _left(self, call: Call, now: float) -> float:
        """Seconds until a call with a session timer is looked at again; 0 where its ends are to be asked now."""
        if call.session_until is None or call.session_until <= now:
            return 0.0
        # The timers are kept by their duration, of which there should be few.
        step = max(1.0, self._interval_s / MAX_DURATIONS)
        return min(self._interval_s, step * math.ceil((call.session_until - now) / step))

    def _ask(self, watch: Watch, number: int, end: End, other: End) -> None:
        """Ask one end, as soon as it is known where a host name leads that it goes by."""
        place = None if end.flow is not None and self._is_open(end.flow) else name_of(end)
        tries = () if place is None else self._names.known(place)
        if place is None or tries is not None:
            self._ask_at(tries or (), watch, number, end, other)
        else:
            self._names.look_up(place).addCallback(self._ask_at, watch, number, end, other)

    def _ask_at(self, tries: tuple[Try, ...], watch: Watch, number: int, end: End, other: End) -> None:
        call = watch.call
        if call not in self._watched:  # it has ended meanwhile
            return
        inquiry = Inquiry(watch, number, self._told)
        to = reach(end, self._places)
        if not tries and to in self._places:  # nobody there but this node itself
            inquiry.failed()
            return
        hop = self._hop(end, to, tries)
        fields = [
            ("Via", self._listeners.via(hop.listener, f"{MAGIC_COOKIE}{self._octets(8).hex()}")),
            *(("Route", value) for value in end.route),
            ("Max-Forwards", "70"),
            ("From", other.name),
            ("To", end.name),
            ("Call-ID", call.identity[0]),
            ("CSeq", "0 OPTIONS"),
            ("Content-Length", "0"),
        ]
        options = request("OPTIONS", end.target, fields)
        self._send(options, hop, inquiry)

    def _hop(self, end: End, to: Address, tries: tuple[Try, ...]) -> Hop:
        if end.flow is not None and self._is_open(end.flow):
            return end.flow
        if tries:
            return self._listeners.towards(tries[0].address, tries[0].transport, end.listener)
        uri = uri_of(end.route[0] if end.route else f"<{end.target}>")
        return self._listeners.towards(to, "udp" if uri is None else transport_of(uri), end.listener)

    def _told(self, watch: Watch) -> None:
        if min(watch.failures) >= FAILURES and watch.call in self._watched:
            self._vanished(watch.call)
