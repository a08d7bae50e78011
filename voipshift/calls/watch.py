"""Whether the gateways are there: OPTIONS now and then, and what calls find out (RFC 3261 section 11).

An address that says nothing, or 503, is skipped until it answers, as long as another one takes the number; Retry-After
is obeyed (section 21.5.4).  Any other answer means that somebody is there.  A gateway that a call finds silent is
marked at once, and asked at once.  One that is not watched is marked for half a minute.  Pure; transactions and timers
are the door's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from enum import Enum
from functools import partial

from twisted.logger import Logger

from voipshift.calls.dialplan import Gateway
from voipshift.sip.grammar import MAGIC_COOKIE
from voipshift.sip.listeners import Listeners
from voipshift.sip.locate import Try
from voipshift.sip.message import Request, Response, request
from voipshift.sip.timers import Timers
from voipshift.sip.transaction import ClientTransaction, Hop
from voipshift.sip.uri import host_port, write_host

#: An OPTIONS without an answer by then was sent four times in vain.
ANSWER_S = 4.0
#: How long an address is skipped where nobody asks it whether it is back.
UNWATCHED_S = 30.0
#: The longest Retry-After that is believed: nobody is forgotten for a day.
LONGEST_RETRY_S = 3600.0
#: Answers by which nobody is there: a node of ours says 503 too, for a connection that could not be opened.
ABSENT = frozenset((408, 503))


class Timer(Enum):
    """The timers of a watch."""

    ASK = "ask"
    ANSWER = "answer"
    BACK = "back"


#: Hands over where a gateway is, as soon as that is known.
Locate = Callable[[Gateway, Callable[[tuple[Try, ...]], None]], None]


class Inquiry:
    """One OPTIONS."""

    __slots__ = ("_there", "_watch")

    def __init__(self, watch: Watch, there: Try) -> None:
        self._watch = watch
        self._there = there

    def responded(self, client: ClientTransaction, response: Response) -> None:
        """Somebody answered."""
        self._watch.answered(self._there, response)

    def timed_out(self, client: ClientTransaction) -> None:
        """Nobody did, which was noted long ago: :data:`ANSWER_S`."""


class Watch:
    """Who of the gateways answers.

    :param intervals: how often each gateway is asked, in seconds; those that are not there are not watched
    :param locate: where a gateway is
    :param listeners: this node's ports
    :param send: opens a client transaction whose end is told to the given inquiry
    :param draw: a number from 0 to 1: when each is asked first
    """

    def __init__(
        self,
        *,
        intervals: dict[Gateway, float],
        locate: Locate,
        listeners: Listeners,
        send: Callable[[Request, Hop, Inquiry], object],
        now: Callable[[], float],
        octets: Callable[[int], bytes],
        draw: Callable[[], float],
    ) -> None:
        self._intervals = intervals
        self._locate = locate
        self._listeners = listeners
        self._send = send
        self._now = now
        self._octets = octets
        self._draw = draw
        self._timers: Timers[Gateway | Try] = Timers()
        self._gateways: dict[Try, Gateway] = {}
        self._down: set[Try] = set()
        #: Those that are being asked, and when each was asked last.
        self._asked: set[Try] = set()
        self._last: dict[Try, float] = {}
        #: Those whose name leads nowhere.
        self._lost: set[Gateway] = set()
        #: Those that said when they will be back.
        self._waiting: set[Try] = set()
        self._log = Logger(__name__)

    def start(self) -> None:
        """Ask everybody for the first time, each at a moment of its own within the first second."""
        for gateway in self._intervals:
            self._timers.start(gateway, Timer.ASK.value, self._draw(), self._now())

    def is_down(self, there: Try) -> bool:
        """Whether nobody is thought to be there."""
        return there in self._down

    @property
    def next(self) -> float:
        """When somebody is to be asked, or given up."""
        return self._timers.next

    def due(self, now: float) -> None:
        """Ask those whose turn it is, and give up those who were silent."""
        for owner, timer in self._timers.due(now):
            if isinstance(owner, Gateway):
                self._timers.start(owner, timer, self._intervals[owner], now)
                self._locate(owner, partial(self._ask, owner))
            elif timer == Timer.ANSWER.value:
                self.silent(owner)
            else:
                self._waiting.discard(owner)
                self._up(owner, "is tried again")

    # What is found out.

    def silent(self, there: Try) -> None:
        """Nobody said anything, to an OPTIONS or to a call."""
        self._mark(there, "does not answer", None)

    def doubt(self, there: Try, response: Response) -> None:
        """It refused a call with 503: that is believed as long as it says, or it is asked."""
        retry_s = _retry_after(response)
        if retry_s:
            self._mark(there, "has no room", retry_s)
        elif self._now() - self._last.get(there, -math.inf) >= ANSWER_S:  # each of its calls may be refused
            self._ask_again(there)

    def answered(self, there: Try, response: Response) -> None:
        """It answered an OPTIONS."""
        if response.status < 200:
            return
        if response.status in ABSENT:
            self._asked.add(there)  # though it may be a late answer: it is asked again when its turn comes
            self._mark(there, f"answers {response.status}", _retry_after(response))
        else:
            self._asked.discard(there)
            self._timers.stop(there, Timer.ANSWER.value)
            self._back(there)
            self._up(there, "answers again")

    # The parts.

    def _mark(self, there: Try, what: str, retry_s: float | None) -> None:
        was_asked = there in self._asked
        self._asked.discard(there)
        self._timers.stop(there, Timer.ANSWER.value)
        if there not in self._down:
            self._down.add(there)
            self._log.warn("gateway {name}: {what}, and is skipped", name=self._name(there), what=what)
        gateway = self._gateways.get(there)
        if retry_s:
            self._waiting.add(there)
            self._timers.start(there, Timer.BACK.value, min(retry_s, LONGEST_RETRY_S), self._now())
        elif gateway is None:
            self._timers.start(there, Timer.BACK.value, UNWATCHED_S, self._now())
        elif not was_asked:
            self._ask_again(there)

    def _back(self, there: Try) -> None:
        self._waiting.discard(there)
        self._timers.stop(there, Timer.BACK.value)

    def _up(self, there: Try, what: str) -> None:
        if there in self._down:
            self._down.discard(there)
            self._log.info("gateway {name}: {what}", name=self._name(there), what=what)

    def _name(self, there: Try) -> str:
        gateway = self._gateways.get(there)
        named = "" if gateway is None or gateway.address == there.address else f"{gateway.address[0]} at "
        return f"{named}{host_port(there.address)}/{there.transport}"

    def _ask(self, gateway: Gateway, tries: Iterable[Try]) -> None:
        """Ask all addresses of a gateway; those that it has no more are forgotten."""
        current = frozenset(tries)
        if not current and gateway not in self._lost:
            self._lost.add(gateway)
            self._log.warn("gateway {name}: the name leads to no address that can be used", name=gateway.address[0])
        elif current and gateway in self._lost:
            self._lost.discard(gateway)
            self._log.info("gateway {name}: the name leads to an address again", name=gateway.address[0])
        if current:
            for there in [each for each, whose in self._gateways.items() if whose is gateway and each not in current]:
                del self._gateways[there]
                self._down.discard(there)
                self._asked.discard(there)
                self._last.pop(there, None)
                self._waiting.discard(there)
                self._timers.stop_all(there)
        for there in current:
            self._gateways[there] = gateway
            self._ask_again(there)

    def _ask_again(self, there: Try) -> None:
        """Ask an address that is watched, unless it is being asked, or said when it will be back."""
        gateway = self._gateways.get(there)
        if gateway is None or there in self._asked or there in self._waiting:
            return
        self._asked.add(there)
        self._last[there] = self._now()
        self._timers.start(there, Timer.ANSWER.value, ANSWER_S, self._now())
        hop = self._listeners.towards(there.address, there.transport, 0)
        place = self._listeners.places[hop.listener]
        asked = "" if there.transport == "udp" else f";transport={there.transport}"
        uri = f"sip:{write_host(gateway.address[0], gateway.address[1] or None)}{asked}"
        fields = [
            ("Via", self._listeners.via(hop.listener, f"{MAGIC_COOKIE}{self._octets(8).hex()}")),
            ("Max-Forwards", "70"),
            ("From", f"<sip:{host_port(place)}>;tag={self._octets(4).hex()}"),
            ("To", f"<{uri}>"),
            ("Call-ID", self._octets(12).hex()),
            ("CSeq", "1 OPTIONS"),
            ("Accept", "application/sdp"),
            ("Content-Length", "0"),
        ]
        self._send(request("OPTIONS", uri, fields), hop, Inquiry(self, there))


def _retry_after(response: Response) -> float | None:
    """The seconds of a Retry-After; None without one that can be read."""
    said = (response.get("Retry-After") or "").partition("(")[0].partition(";")[0].strip()
    return float(said) if said.isascii() and said.isdigit() and len(said) < 10 else None
