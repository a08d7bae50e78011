"""An H.323 terminal that calls: SETUP with fast connect, a FACILITY followed to where it says, hold, RELEASE COMPLETE.

It has no media: the channel that it proposes leads to the discard port.  As with real terminals, the SETUP that follows
a redirect is a new call by its identifiers.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from ipaddress import IPv4Address, ip_address
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import ClientFactory, Protocol, connectionDone
from twisted.python.failure import Failure

from voipshift.demo.caller import CALLER, MAX_REDIRECTS, PATIENCE_S, Ended
from voipshift.demo.summary import Outcome
from voipshift.errors import ProtocolViolation
from voipshift.h323 import q931, signalling, tpkt, uuie
from voipshift.h323.addresses import EndpointType, alias_of
from voipshift.h323.q931 import Element, MessageType
from voipshift.h323.uuie import PROTOCOL, UserInformation
from voipshift.node import Address

DISCARD_PORT = 9
CALL_REFERENCE = 1
TERMINAL = EndpointType("terminal", "voipshift")


class Call:
    """One call, from its first SETUP to its RELEASE COMPLETE.

    :param say: told of every step, in words
    :ivar ended: fires with what became of it; it never fails
    """

    def __init__(self, reactor: Any, number: str, hold_s: float, say: Callable[[str], None]) -> None:
        self._reactor = reactor
        self._number = number
        self._hold_s = hold_s
        self._say = say
        self._redirects = 0
        self._setup_s: float | None = None
        self._elsewhere: Address | None = None
        self._line: Line | None = None
        self._timer: Any = None
        self._over = False
        self._began = reactor.seconds()
        self.ended: Deferred[Ended] = Deferred()

    def begin(self, address: Address) -> None:
        """Connect to a node and ask it to be connected."""
        self._wait(PATIENCE_S, lambda: self._end(Outcome.FAILED, "no answer in time"))
        self._connect(address)

    def hang_up(self) -> None:
        """End the call, answered or not."""
        if not self._over and self._line is not None:
            self._send(MessageType.RELEASE_COMPLETE, self._released(), q931.cause(q931.NORMAL_CLEARING))
        answered = self._setup_s is not None
        self._end(Outcome.COMPLETED if answered else Outcome.FAILED, "hung up" if answered else "given up")

    # What a line tells.

    def connected(self, line: Line) -> None:
        """The connection stands."""
        self._line = line
        near, far = line.transport.getHost(), line.transport.getPeer()
        self._identifier = os.urandom(16)
        setup = uuie.Setup(
            PROTOCOL,
            TERMINAL,
            os.urandom(16),
            self._identifier,
            source_address=(alias_of(CALLER),),
            destination_address=(alias_of(self._number),),
            source_call_signal_address=(near.host, near.port),
            dest_call_signal_address=(far.host, far.port),
            fast_start=channels(near.host),
        )
        bearer = (Element.BEARER_CAPABILITY, q931.BEARER)
        self._send(MessageType.SETUP, setup, bearer, q931.called_number(self._number))

    def received(self, octets: bytes) -> None:
        """A message came."""
        if self._over:
            return
        signal = signalling.parse(octets)
        body = signal.information.body if signal.information is not None else None
        type = signal.message.type
        self._say(f"<- {_word(type)}")
        if isinstance(body, uuie.Facility) and body.reason == uuie.CALL_FORWARDED:
            self._elsewhere = body.alternative_address
        elif type == MessageType.CONNECT and self._setup_s is None:
            self._setup_s = self._reactor.seconds() - self._began
            self._wait(self._hold_s, self.hang_up)
        elif type == MessageType.RELEASE_COMPLETE:
            self._released_by_far_end(signal)

    def lost(self, reason: str) -> None:
        """The connection is over, or was never made."""
        self._end(Outcome.FAILED, reason)

    # The parts.

    def _released_by_far_end(self, signal: signalling.Signal) -> None:
        elsewhere, self._elsewhere = self._elsewhere, None
        if elsewhere is not None and self._redirects < MAX_REDIRECTS:
            self._redirects += 1
            self._leave()
            self._connect(elsewhere)
        elif self._setup_s is not None:
            self._end(Outcome.COMPLETED, "the far end hung up")
        else:
            refused = signal.message.cause == q931.RESOURCES_UNAVAILABLE
            body = signal.information.body if signal.information is not None else None
            reason = getattr(body, "reason", None)
            self._end(Outcome.REFUSED if refused else Outcome.FAILED, f"{reason}, cause {signal.message.cause}")

    def _connect(self, address: Address) -> None:
        self._say(f"-> {address[0]}:{address[1]}")
        self._reactor.connectTCP(*address, _Connecting(self), timeout=PATIENCE_S, bindAddress=None)

    def _released(self) -> uuie.ReleaseComplete:
        return uuie.ReleaseComplete(PROTOCOL, None, self._identifier)

    def _send(self, type: MessageType, body: uuie.Body, *elements: tuple[int, bytes]) -> None:
        assert self._line is not None
        self._say(f"-> {_word(type)}")
        information = q931.user_user(uuie.encode(UserInformation(body)))
        message = q931.Message(type, CALL_REFERENCE, False, (*elements, information))
        self._line.transport.write(tpkt.wrap(message.octets()))

    def _leave(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            line.call = None
            line.transport.loseConnection()

    def _wait(self, duration_s: float, then: Callable[[], None]) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = self._reactor.callLater(duration_s, then)

    def _end(self, outcome: Outcome, reason: str) -> None:
        if self._over:
            return
        self._over = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._leave()
        self.ended.callback(Ended(outcome, self._redirects, self._setup_s, reason))


class Line(Protocol):
    """One connection of a call."""

    transport: Any

    def __init__(self, call: Call) -> None:
        self.call: Call | None = call
        self._reader = tpkt.Reader()

    def connectionMade(self) -> None:
        if self.call is not None:
            self.call.connected(self)

    def dataReceived(self, data: bytes) -> None:
        try:
            for octets in self._reader.receive(data):
                if self.call is not None:
                    self.call.received(octets)
        except ProtocolViolation as violation:
            self._lost(violation.reason)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._lost("the connection was closed")

    def _lost(self, reason: str) -> None:
        call, self.call = self.call, None
        if call is not None:
            call.lost(reason)


class _Connecting(ClientFactory):
    """Opens one connection."""

    noisy = False

    def __init__(self, call: Call) -> None:
        self._call = call

    def buildProtocol(self, addr: IAddress | None) -> Line:
        return Line(self._call)

    def clientConnectionFailed(self, connector: Any, reason: Failure) -> None:
        self._call.lost(f"no connection: {reason.getErrorMessage()}")


def channels(host: str) -> tuple[bytes, ...]:
    """One audio channel out, proposed by fast connect: an OpenLogicalChannel for G.711 mu-law, 20 ms."""
    address = ip_address(host)
    if not isinstance(address, IPv4Address):
        return ()
    return (bytes.fromhex("0000000c6013801a04000100") + address.packed + DISCARD_PORT.to_bytes(2),)


def _word(type: int) -> str:
    try:
        return MessageType(type).name.replace("_", " ")
    except ValueError:
        return f"message {type}"
