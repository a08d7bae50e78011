"""The four transaction machines of RFC 3261 section 17, figures 5 to 8, with the Accepted states of RFC 6026.

Each figure is a table: state, input, next state and what to do.  An input that a state lacks is ignored.  A timer
belongs to states: entering the first starts it, leaving the last ends it.  What is to be done is done by layer.py, and
it finds the transaction that a message belongs to; no message is read in here, and there is no clock.

Of two timers that start together, one that retransmits and one that gives up, the second is started when the first runs
out for the first time, for what is left of it: nearly every message is answered before.

Errors of the transport have no row: UDP reports none that could be believed.
"""

from __future__ import annotations

import sys
from enum import Enum
from typing import Any, Final

from voipshift.node import Address
from voipshift.sip import timers
from voipshift.sip.message import Request
from voipshift.sip.timers import T1, T2
from voipshift.value import Value

# Inputs.  A timer that runs out is the input of its letter.
REQUEST: Final = "request"
ACK: Final = "ACK"
PROVISIONAL: Final = "1xx"
SUCCESS: Final = "2xx"
FAILURE: Final = "300-699"
#: The 200 ms after which a server says 100, and the end of patience with a cancelled INVITE: timers without a letter.
TRYING_TIMER: Final = "trying"
CANCEL_TIMER: Final = "cancel"


class Action(Enum):
    """What a transition does."""

    NOTHING = "nothing"
    SEND = "send the message"
    RESEND = "send again what was sent last"
    SAY_TRYING = "send 100"
    PASS = "pass it to the transaction user"
    ACKNOWLEDGE = "send ACK again"
    ACKNOWLEDGE_AND_PASS = "send ACK, and pass it to the transaction user"
    TIME_OUT = "tell the transaction user that nothing came"


class State(Enum):
    """A state of a machine.

    :ivar moves: what each input does, over unreliable transports
    :ivar reliable_moves: over reliable ones
    :ivar timers: those that are started with it, and how long they run, over unreliable transports
    :ivar reliable_timers: over reliable ones
    :ivar undecided: there is more to come of the transaction than absorbing what is sent again
    """

    def __init__(self, word: str) -> None:
        self.moves: dict[str, Move] = {}
        self.reliable_moves: dict[str, Move] = {}
        self.timers: tuple[tuple[str, float], ...] = ()
        self.reliable_timers: tuple[tuple[str, float], ...] = ()
        self.undecided = word in ("Calling", "Trying", "Proceeding")


class Move:
    """A row of a table, made ready for one kind of transport.

    :ivar state: that it leads to
    :ivar moves: the rows of that state
    :ivar ends: it has none, and the transaction is over
    :ivar stop: the timers that it ends
    :ivar start: those that it starts
    :ivar spends: nothing happens any more from here on, whatever comes
    :ivar settles: nothing is decided any more from here on, there was before
    :ivar forgets_request: nobody needs the request from here on
    :ivar forgets_sent: nothing is sent again from here on
    """

    __slots__ = (
        "action",
        "ends",
        "forgets_request",
        "forgets_sent",
        "moves",
        "settles",
        "spends",
        "start",
        "state",
        "stop",
    )

    def __init__(
        self,
        before: State,
        state: State,
        action: Action,
        moves: dict[str, Move],
        stop: tuple[str, ...] = (),
        start: tuple[tuple[str, float], ...] = (),
    ) -> None:
        self.state = state
        self.action = action
        self.moves = moves
        self.stop = stop
        self.start = start
        self.ends = state not in _TABLE
        self.spends = state in _SPENT
        self.settles = before.undecided and not (state.undecided or self.ends or self.spends)
        self.forgets_request = before.undecided and not (state.undecided or self.ends or state is InviteServer.ACCEPTED)
        self.forgets_sent = not (state.undecided or self.ends or state in _RESENDING)


class InviteClient(State):
    """Figure 5: INVITE client transaction."""

    CALLING = "Calling"
    PROCEEDING = "Proceeding"
    COMPLETED = "Completed"
    ACCEPTED = "Accepted"
    TERMINATED = "Terminated"


class Client(State):
    """Figure 6: non-INVITE client transaction."""

    TRYING = "Trying"
    PROCEEDING = "Proceeding"
    COMPLETED = "Completed"
    TERMINATED = "Terminated"


class InviteServer(State):
    """Figure 7: INVITE server transaction."""

    PROCEEDING = "Proceeding"
    COMPLETED = "Completed"
    CONFIRMED = "Confirmed"
    ACCEPTED = "Accepted"
    TERMINATED = "Terminated"


class Server(State):
    """Figure 8: non-INVITE server transaction."""

    TRYING = "Trying"
    PROCEEDING = "Proceeding"
    COMPLETED = "Completed"
    TERMINATED = "Terminated"


class Hop(Value):
    """An address and which way to it: the near end of a message's last or next hop.

    :ivar listener: by which of our sockets; the door's business, passed through
    """

    __slots__ = ("host", "listener", "port")

    def __init__(self, host: str, port: int, listener: int = 0) -> None:
        self.host: Final = host
        self.port: Final = port
        self.listener: Final = listener

    @property
    def place(self) -> Address:
        """The address alone."""
        return self.host, self.port

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Hop):
            return False
        return self.host == other.host and self.port == other.port and self.listener == other.listener

    def __hash__(self) -> int:
        return hash((self.host, self.port, self.listener))


class Transaction:
    """What the four have in common.

    :ivar key: by which messages find it
    :ivar moves: what each input does in its state
    :ivar sent: what is sent again, None where nothing is
    :ivar interval: between the last two retransmissions
    :ivar user: the transaction user's own
    """

    __deletable__ = ("request",)
    __slots__ = ("destination", "interval", "key", "method", "moves", "reliable", "request", "sent", "state", "user")
    #: The request that began it; gone when only absorbing is left to do.
    request: Request

    def __init__(self, key: str, state: State, request: Request, destination: Hop, reliable: bool) -> None:
        self.key = key
        self.state = state
        self.method = request.method
        self.request = request
        self.sent: bytes | None = None
        self.user: Any = None
        self.lead(destination, reliable)

    def lead(self, destination: Hop, reliable: bool) -> None:
        """Have what is sent go this way from now on."""
        self.destination = destination
        self.reliable = reliable
        self.moves = self.state.reliable_moves if reliable else self.state.moves
        self.interval = T1

    def take(self, input: str) -> Move | None:
        """The row of the table for an input in the present state; None where it is ignored."""
        return self.moves.get(input)

    def enter(self, move: Move) -> None:
        """Be in the state that a move leads to, and keep nothing that it has no use for."""
        self.state = move.state
        self.moves = move.moves
        if move.forgets_sent:
            self.sent = None
        if move.forgets_request:
            del self.request

    def end(self) -> None:
        """Be over at once."""
        self.state = type(self.state)("Terminated")
        self.moves = {}

    @property
    def is_fresh(self) -> bool:
        """Whether no timer that retransmits has run out yet."""
        return self.interval == T1

    def lengthen(self, timer: str) -> float:
        """The next interval of a timer that retransmits."""
        longest = _LONGEST[timer]
        self.interval = longest if self.state is Client.PROCEEDING else min(2 * self.interval, longest)
        return self.interval

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.method} {self.state.value} {self.key!r}>"


class ServerTransaction(Transaction):
    """A request that came to us.

    :ivar source: where it came from; the responses go to ``destination``
    :ivar request: gone after the final response, but for an INVITE that was accepted
    :ivar acknowledged: an ACK came before there was anything of ours to acknowledge: somebody else has answered
    :ivar most: octets that a response of this node's own may have (:mod:`voipshift.sip.gain`)
    """

    __slots__ = ("acknowledged", "most", "source")

    def __init__(
        self, key: str, request: Request, source: Hop, destination: Hop, reliable: bool, most: int = sys.maxsize
    ) -> None:
        state = InviteServer.PROCEEDING if request.method == "INVITE" else Server.TRYING
        super().__init__(key, state, request, destination, reliable)
        self.source = source
        self.acknowledged = False
        self.most = most

    @property
    def is_delivered(self) -> bool:
        """Whether its final response other than 2xx was acknowledged; taken for granted where there is no ACK."""
        if isinstance(self.state, Server):
            return True
        return self.sent is None and self.state in (InviteServer.CONFIRMED, InviteServer.TERMINATED)


class ClientTransaction(Transaction):
    """A request that we sent.

    :ivar cancelled: its CANCEL is sent, or will be with the first provisional response (9.1)
    """

    __slots__ = ("cancelled",)

    def __init__(self, key: str, request: Request, destination: Hop, reliable: bool) -> None:
        state = InviteClient.CALLING if request.method == "INVITE" else Client.TRYING
        super().__init__(key, state, request, destination, reliable)
        self.cancelled = False


_A = Action
_IC, _C, _IS, _S = InviteClient, Client, InviteServer, Server
_TABLE: dict[State, dict[str, tuple[State, Action]]] = {
    _IC.CALLING: {
        "A": (_IC.CALLING, _A.RESEND),
        "B": (_IC.TERMINATED, _A.TIME_OUT),
        PROVISIONAL: (_IC.PROCEEDING, _A.PASS),
        SUCCESS: (_IC.ACCEPTED, _A.PASS),
        FAILURE: (_IC.COMPLETED, _A.ACKNOWLEDGE_AND_PASS),
    },
    _IC.PROCEEDING: {
        PROVISIONAL: (_IC.PROCEEDING, _A.PASS),
        SUCCESS: (_IC.ACCEPTED, _A.PASS),
        FAILURE: (_IC.COMPLETED, _A.ACKNOWLEDGE_AND_PASS),
        CANCEL_TIMER: (_IC.TERMINATED, _A.TIME_OUT),
    },
    _IC.COMPLETED: {
        FAILURE: (_IC.COMPLETED, _A.ACKNOWLEDGE),
        "D": (_IC.TERMINATED, _A.NOTHING),
    },
    _IC.ACCEPTED: {
        SUCCESS: (_IC.ACCEPTED, _A.PASS),
        "M": (_IC.TERMINATED, _A.NOTHING),
    },
    _C.TRYING: {
        "E": (_C.TRYING, _A.RESEND),
        "F": (_C.TERMINATED, _A.TIME_OUT),
        PROVISIONAL: (_C.PROCEEDING, _A.PASS),
        SUCCESS: (_C.COMPLETED, _A.PASS),
        FAILURE: (_C.COMPLETED, _A.PASS),
    },
    _C.PROCEEDING: {
        "E": (_C.PROCEEDING, _A.RESEND),
        "F": (_C.TERMINATED, _A.TIME_OUT),
        PROVISIONAL: (_C.PROCEEDING, _A.PASS),
        SUCCESS: (_C.COMPLETED, _A.PASS),
        FAILURE: (_C.COMPLETED, _A.PASS),
    },
    _C.COMPLETED: {
        "K": (_C.TERMINATED, _A.NOTHING),
    },
    _IS.PROCEEDING: {
        REQUEST: (_IS.PROCEEDING, _A.RESEND),
        TRYING_TIMER: (_IS.PROCEEDING, _A.SAY_TRYING),
        PROVISIONAL: (_IS.PROCEEDING, _A.SEND),
        SUCCESS: (_IS.ACCEPTED, _A.SEND),
        FAILURE: (_IS.COMPLETED, _A.SEND),
    },
    _IS.COMPLETED: {
        REQUEST: (_IS.COMPLETED, _A.RESEND),
        "G": (_IS.COMPLETED, _A.RESEND),
        ACK: (_IS.CONFIRMED, _A.NOTHING),
        "H": (_IS.TERMINATED, _A.NOTHING),
    },
    _IS.CONFIRMED: {
        "I": (_IS.TERMINATED, _A.NOTHING),
    },
    _IS.ACCEPTED: {
        SUCCESS: (_IS.ACCEPTED, _A.SEND),
        ACK: (_IS.ACCEPTED, _A.PASS),
        "L": (_IS.TERMINATED, _A.NOTHING),
    },
    _S.TRYING: {
        PROVISIONAL: (_S.PROCEEDING, _A.SEND),
        SUCCESS: (_S.COMPLETED, _A.SEND),
        FAILURE: (_S.COMPLETED, _A.SEND),
    },
    _S.PROCEEDING: {
        REQUEST: (_S.PROCEEDING, _A.RESEND),
        PROVISIONAL: (_S.PROCEEDING, _A.SEND),
        SUCCESS: (_S.COMPLETED, _A.SEND),
        FAILURE: (_S.COMPLETED, _A.SEND),
    },
    _S.COMPLETED: {
        REQUEST: (_S.COMPLETED, _A.RESEND),
        "J": (_S.TERMINATED, _A.NOTHING),
    },
}

#: State -> its timers: name, duration over unreliable transports, over reliable ones (None: it does not run).
_TIMERS: dict[State, tuple[tuple[str, float, float | None], ...]] = {
    _IC.CALLING: (("A", timers.TIMER_A, None), ("B", timers.TIMER_B, timers.TIMER_B)),
    _IC.COMPLETED: (("D", timers.TIMER_D, 0.0),),
    _IC.ACCEPTED: (("M", timers.TIMER_M, timers.TIMER_M),),
    _C.TRYING: (("E", timers.TIMER_E, None), ("F", timers.TIMER_F, timers.TIMER_F)),
    _C.PROCEEDING: (("E", T2, None), ("F", timers.TIMER_F, timers.TIMER_F)),
    _C.COMPLETED: (("K", timers.TIMER_K, 0.0),),
    _IS.PROCEEDING: ((TRYING_TIMER, timers.TRYING_AFTER, timers.TRYING_AFTER),),
    _IS.COMPLETED: (("G", timers.TIMER_G, None), ("H", timers.TIMER_H, timers.TIMER_H)),
    _IS.CONFIRMED: (("I", timers.TIMER_I, 0.0),),
    _IS.ACCEPTED: (("L", timers.TIMER_L, timers.TIMER_L),),
    _S.COMPLETED: (("J", timers.TIMER_J, 0.0),),
}
#: States in which a response or an ACK may be sent once more.
_RESENDING = (InviteServer.COMPLETED, Server.COMPLETED, InviteClient.COMPLETED)
#: States in which nothing happens but their end (:mod:`voipshift.sip.spent`).
_SPENT = (InviteServer.CONFIRMED, Client.COMPLETED)
#: Timers that may run in a state without being started on entering it.
_MAY_RUN: dict[State, tuple[str, ...]] = {_IC.PROCEEDING: (CANCEL_TIMER,)}

#: Timers that retransmit, and how long their interval grows: each is twice the one before.
_LONGEST: dict[str, float] = {"A": timers.TIMER_B, "E": T2, "G": T2}
#: Beside each of them the one that gives up, and how long that runs when the first interval is over.
GIVING_UP: Final = {
    "A": ("B", timers.TIMER_B - timers.TIMER_A),
    "E": ("F", timers.TIMER_F - timers.TIMER_E),
    "G": ("H", timers.TIMER_H - timers.TIMER_G),
}


def _prepare() -> None:
    for state, row in _TABLE.items():
        state.timers = _first(_durations(state, reliable=False))
        state.reliable_timers = _first(_durations(state, reliable=True))
        for name, (following, action) in row.items():
            state.moves[name] = _move(state, following, action, reliable=False)
            state.reliable_moves[name] = _move(state, following, action, reliable=True)


def _move(state: State, following: State, action: Action, *, reliable: bool) -> Move:
    moves = following.reliable_moves if reliable else following.moves
    if following is state:
        return Move(state, state, action, moves)
    running, wanted = _durations(state, reliable), _durations(following, reliable)
    stop = tuple(name for name in (*running, *_MAY_RUN.get(state, ())) if name not in wanted)
    start = _first({name: duration for name, duration in wanted.items() if name not in running})
    return Move(state, following, action, moves, stop, start)


def _first(durations: dict[str, float]) -> tuple[tuple[str, float], ...]:
    """Those that are started at once, of timers that run from now on."""
    later = {GIVING_UP[name][0] for name in durations if name in GIVING_UP}
    return tuple((name, duration) for name, duration in durations.items() if name not in later)


def _durations(state: State, reliable: bool) -> dict[str, float]:
    every = {name: slow if reliable else fast for name, fast, slow in _TIMERS.get(state, ())}
    return {name: duration for name, duration in every.items() if duration is not None}


_prepare()
