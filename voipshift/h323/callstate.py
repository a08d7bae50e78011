r"""The states of a call that a node carries between two H.225.0 connections (H.225.0 section 7.5, Q.931 section 2.1).

One table: state, input, next state and what to do.  An input that a state lacks is ignored.  The one timer of a state
begins with entering it and ends with leaving it; a transition to the same state leaves it running, but for
:attr:`Action.NEXT`, which enters its state anew.  What is to be done is done by the door; no message is read in here,
and there is no clock.

::

    PRESENT --timer--> ANNOUNCED                     the attempt is being decided, a member may be asked
       \------ACCEPTED-----/--> CONNECTING            a connection to a gateway or terminal is being made
                                   | CONNECTED
                                INITIATED --> PROCEEDING --> DELIVERED --> ACTIVE
                                   |  T303       | T310         | T301
                                   \--> the next gateway        \--> NULL, both sides are told

A call that was shifted or refused ends in NULL from PRESENT or ANNOUNCED.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from voipshift.h323.q931 import (
    CONGESTION,
    NETWORK_OUT_OF_ORDER,
    NO_ANSWER,
    NO_CIRCUIT,
    NO_RESPONSE,
    OUT_OF_ORDER,
    RESOURCES_UNAVAILABLE,
    TEMPORARY_FAILURE,
    MessageType,
)

#: A caller that would wait longer than this for the decision is told CALL PROCEEDING.
PROCEEDING_AFTER = 0.1
#: A gateway that has not taken the connection by now is given up for the next one.
CONNECT_WITHIN = 3.0
#: Wait for the first answer to SETUP (Q.931 table 9-2).
T303 = 4.0
#: Wait for ALERTING, CONNECT or PROGRESS after CALL PROCEEDING; Q.931 leaves 30 to 120 s.
T310 = 120.0
#: Wait for CONNECT after ALERTING: at least three minutes (H.225.0 section 7.5).
T301 = 180.0

# Inputs beside the types of messages.
ACCEPTED = "accepted"
REFUSED = "refused"
SHIFTED = "shifted"
CONNECTED = "connected"
CLOSED = "closed"
TIMER = "timer"
#: RELEASE COMPLETE from the called side with a cause for which another gateway may do better: see :func:`is_failure`.
FAILED = "failed"


class Side(Enum):
    """Where an input comes from."""

    CALLER = "caller"
    CALLED = "called"
    NODE = "node"


class Action(Enum):
    """What a transition does."""

    RELAY = "pass the message to the other side"
    KEEP = "keep the message until the other side is connected, up to a few"
    CONNECT = "connect to the first gateway, or to the terminal"
    SEND_SETUP = "send the SETUP on, and what was kept"
    NEXT = "leave this gateway and connect to the next; there is none: release the caller"
    SAY_PROCEEDING = "send CALL PROCEEDING to the caller"
    SAY_STATUS = "answer with STATUS"
    SHIFT = "send FACILITY callForwarded and RELEASE COMPLETE to the caller"
    RELEASE_CALLER = "send RELEASE COMPLETE to the caller"
    RELEASE_CALLED = "send RELEASE COMPLETE to the called side, if it is there"
    RELEASE_BOTH = "send RELEASE COMPLETE to both sides"
    RELAY_RELEASE = "pass RELEASE COMPLETE to the other side"


class State(Enum):
    """The states, by what the caller's side is in."""

    PRESENT = "present"
    ANNOUNCED = "announced"
    CONNECTING = "connecting"
    INITIATED = "initiated"
    PROCEEDING = "proceeding"
    DELIVERED = "delivered"
    ACTIVE = "active"
    NULL = "null"


class Timer(NamedTuple):
    """What runs in a state."""

    name: str
    duration_s: float


class Move(NamedTuple):
    """A row of the table.

    :ivar cause: what the caller is told where the call ends because a timer ran out
    """

    state: State
    action: Action
    cause: int | None = None


#: What each state is called in a Call state element (Q.931 4.5.7): the caller's.
NUMBERS = {
    State.NULL: 0,
    State.PRESENT: 1,
    State.ANNOUNCED: 3,
    State.CONNECTING: 3,
    State.INITIATED: 3,
    State.PROCEEDING: 3,
    State.DELIVERED: 4,
    State.ACTIVE: 10,
}

TIMERS = {
    State.PRESENT: Timer("proceeding", PROCEEDING_AFTER),
    State.CONNECTING: Timer("connect", CONNECT_WITHIN),
    State.INITIATED: Timer("T303", T303),
    State.PROCEEDING: Timer("T310", T310),
    State.DELIVERED: Timer("T301", T301),
}

#: Causes with which a gateway says that it, and not who is called, is the obstacle.
_FAILURES = frozenset(
    (OUT_OF_ORDER, NO_CIRCUIT, NETWORK_OUT_OF_ORDER, TEMPORARY_FAILURE, CONGESTION, RESOURCES_UNAVAILABLE)
)


def take(state: State, side: Side, input: str | int) -> Move | None:
    """The row of the table for an input in a state; None where it is ignored.

    :param input: a :class:`~voipshift.h323.q931.MessageType`, or one of the words above
    """
    return _TABLE[state].get((side, input))


def is_failure(cause: int | None) -> bool:
    """Whether another gateway may do better than one that released with this cause."""
    return cause in _FAILURES


_M, _S, _A = MessageType, State, Action
_CALLER, _CALLED, _NODE = Side.CALLER, Side.CALLED, Side.NODE
_Row = dict[tuple[Side, str | int], Move]

#: What either side may send at any time while both are connected.
_RELAYED = (_M.FACILITY, _M.INFORMATION, _M.NOTIFY, _M.STATUS, _M.STATUS_ENQUIRY, _M.USER_INFORMATION)


def _relayed(state: State) -> _Row:
    return {(side, message): Move(state, _A.RELAY) for side in (_CALLER, _CALLED) for message in _RELAYED}


def _kept(state: State) -> _Row:
    row: _Row = {(_CALLER, message): Move(state, _A.KEEP) for message in (_M.FACILITY, _M.INFORMATION, _M.NOTIFY)}
    row[_CALLER, _M.STATUS_ENQUIRY] = Move(state, _A.SAY_STATUS)
    return row


#: Being decided: the called side does not exist yet.
_DECIDING: _Row = {
    (_NODE, ACCEPTED): Move(_S.CONNECTING, _A.CONNECT),
    (_NODE, SHIFTED): Move(_S.NULL, _A.SHIFT),
    (_NODE, REFUSED): Move(_S.NULL, _A.RELEASE_CALLER),
    (_CALLER, _M.RELEASE_COMPLETE): Move(_S.NULL, _A.RELEASE_CALLED),
    (_CALLER, CLOSED): Move(_S.NULL, _A.RELEASE_CALLED),
}
#: The called side has got the SETUP, and says how far it is.
_ADVANCING: _Row = {
    (_CALLED, _M.PROGRESS): Move(_S.DELIVERED, _A.RELAY),
    (_CALLED, _M.ALERTING): Move(_S.DELIVERED, _A.RELAY),
    (_CALLED, _M.CONNECT): Move(_S.ACTIVE, _A.RELAY),
}
#: Both sides are there.
_ENDING: _Row = {
    (_CALLER, _M.RELEASE_COMPLETE): Move(_S.NULL, _A.RELAY_RELEASE),
    (_CALLED, _M.RELEASE_COMPLETE): Move(_S.NULL, _A.RELAY_RELEASE),
    (_CALLER, CLOSED): Move(_S.NULL, _A.RELEASE_CALLED),
    (_CALLED, CLOSED): Move(_S.NULL, _A.RELEASE_CALLER),
}
#: The node itself ends a call: it was drained, or the operator asked for it.
_ENDED_HERE: _Row = {(_NODE, REFUSED): Move(_S.NULL, _A.RELEASE_BOTH)}

_TABLE: dict[State, _Row] = {
    _S.PRESENT: {
        **_kept(_S.PRESENT),
        **_DECIDING,
        (_NODE, TIMER): Move(_S.ANNOUNCED, _A.SAY_PROCEEDING),
    },
    _S.ANNOUNCED: {
        **_kept(_S.ANNOUNCED),
        **_DECIDING,
    },
    _S.CONNECTING: {
        **_kept(_S.CONNECTING),
        **_ENDED_HERE,
        (_NODE, CONNECTED): Move(_S.INITIATED, _A.SEND_SETUP),
        (_NODE, TIMER): Move(_S.CONNECTING, _A.NEXT),
        (_CALLED, CLOSED): Move(_S.CONNECTING, _A.NEXT),
        (_CALLER, _M.RELEASE_COMPLETE): Move(_S.NULL, _A.RELEASE_CALLED),
        (_CALLER, CLOSED): Move(_S.NULL, _A.RELEASE_CALLED),
    },
    _S.INITIATED: {
        **_relayed(_S.INITIATED),
        **_ADVANCING,
        **_ENDING,
        **_ENDED_HERE,
        (_CALLED, _M.CALL_PROCEEDING): Move(_S.PROCEEDING, _A.RELAY),
        (_CALLED, _M.SETUP_ACKNOWLEDGE): Move(_S.PROCEEDING, _A.RELAY),
        (_NODE, TIMER): Move(_S.CONNECTING, _A.NEXT),
        (_CALLED, CLOSED): Move(_S.CONNECTING, _A.NEXT),
        (_CALLED, FAILED): Move(_S.CONNECTING, _A.NEXT),
    },
    _S.PROCEEDING: {
        **_relayed(_S.PROCEEDING),
        **_ADVANCING,
        **_ENDING,
        **_ENDED_HERE,
        (_CALLED, _M.CALL_PROCEEDING): Move(_S.PROCEEDING, _A.RELAY),
        (_NODE, TIMER): Move(_S.NULL, _A.RELEASE_BOTH, NO_RESPONSE),
        (_CALLED, FAILED): Move(_S.CONNECTING, _A.NEXT),
    },
    _S.DELIVERED: {
        **_relayed(_S.DELIVERED),
        **_ADVANCING,
        **_ENDING,
        **_ENDED_HERE,
        (_NODE, TIMER): Move(_S.NULL, _A.RELEASE_BOTH, NO_ANSWER),
        (_CALLED, FAILED): Move(_S.NULL, _A.RELAY_RELEASE),
    },
    _S.ACTIVE: {
        **_relayed(_S.ACTIVE),
        **_ENDING,
        **_ENDED_HERE,
        (_CALLER, _M.CONNECT_ACKNOWLEDGE): Move(_S.ACTIVE, _A.RELAY),
        (_CALLED, _M.PROGRESS): Move(_S.ACTIVE, _A.RELAY),
        (_CALLED, FAILED): Move(_S.NULL, _A.RELAY_RELEASE),
    },
    _S.NULL: {
        (_CALLER, _M.STATUS_ENQUIRY): Move(_S.NULL, _A.SAY_STATUS),
        (_CALLED, _M.STATUS_ENQUIRY): Move(_S.NULL, _A.SAY_STATUS),
    },
}
