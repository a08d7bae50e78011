"""One call of H.323 as this node carries it: what came, what its two sides are, and how far it is.

What happens to it is the relay's business (:mod:`voipshift.calls.relay`).  Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from voipshift.calls.table import Call
from voipshift.h323 import uuie
from voipshift.h323.addresses import text_of, user_of
from voipshift.h323.callstate import State
from voipshift.h323.signalling import Signal
from voipshift.node import Address

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from voipshift.calls.record import Origin
    from voipshift.h323.gate import Token


class Line(Protocol):
    """One connection, as far as calls need it.

    :ivar front: it came in by the front port; False for the accept port, None for a connection of our own
    :ivar near: this end of it
    :ivar far: the other end
    """

    front: bool | None

    @property
    def near(self) -> Address: ...
    @property
    def far(self) -> Address: ...
    def send(self, *messages: bytes) -> None: ...
    def rest(self) -> None: ...
    def close(self) -> None: ...


class Carrier(Protocol):
    """What a decision about a call is told to."""

    def accepted(self, call: RelayedCall, origin: Origin | None) -> None: ...
    def shifted(self, call: RelayedCall, address: Address) -> None: ...
    def refused(self, call: RelayedCall, reason: str) -> None: ...
    def turned_away(self, call: RelayedCall, reason: str) -> None: ...


class RelayedCall:
    """One call, from its SETUP to its end.

    :ivar line: the caller's connection
    :ivar setup: as it came
    :ivar called: the user or number that is called
    :ivar decision: who takes the call, or where it goes, while that is being found out
    """

    __slots__ = (
        "called",
        "called_line",
        "called_reference",
        "carrier",
        "decision",
        "entry",
        "gateways",
        "heard",
        "hops",
        "kept",
        "last",
        "line",
        "setup",
        "state",
    )

    def __init__(self, carrier: Carrier, line: Line, setup: Signal) -> None:
        self.carrier = carrier
        self.line = line
        self.setup = setup
        self.called = user_of(setup.called)
        self.state = State.PRESENT
        self.decision: Deferred[Any] | None = None
        self.hops = 0
        self.entry: Call | None = None
        self.gateways: list[Address] = []
        self.called_line: Line | None = None
        self.called_reference = 0
        self.kept: list[bytes] = []
        #: the caller has been told anything
        self.heard = False
        #: how the last gateway refused
        self.last: bytes | None = None

    @property
    def caller(self) -> str:
        """Who calls, by name or number; empty where it is not said."""
        return text_of(self.setup.caller)

    @property
    def identifier(self) -> bytes | None:
        """The call's name at the caller's side; None from a terminal of version 1."""
        return self.setup.call_identifier

    @property
    def tokens(self) -> tuple[Token, ...]:
        """What the caller proves a password with."""
        body = self.setup.information.body if self.setup.information is not None else None
        return (*body.tokens, *body.crypto_tokens) if isinstance(body, uuie.Setup) else ()

    @property
    def octets(self) -> bytes:
        """The SETUP as it came, without its TPKT: what such a proof may be about."""
        return self.setup.message.octets()

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.state is State.NULL

    def accept(self, hops: int, origin: Origin | None = None) -> None:
        """Carry it here; it was shifted so often.

        :param origin: what a record of it begins with
        """
        self.hops = hops
        self.carrier.accepted(self, origin)

    def shift(self, address: Address) -> None:
        """A member carries it, and waits for the caller there."""
        self.carrier.shifted(self, address)

    def refuse(self, reason: str) -> None:
        """Nobody carries it, for a reason of H.225.0."""
        self.carrier.refused(self, reason)

    def turn_away(self, reason: str) -> None:
        """Nobody carries it, and its caller is not listened to any more, unless he has other calls."""
        self.carrier.turned_away(self, reason)
