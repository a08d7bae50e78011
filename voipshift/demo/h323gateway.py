"""A terminating gateway of H.323 without telephones behind it: it takes every number, rings and answers.

SETUP is answered with ALERTING and CONNECT, which takes the channels that the caller proposed for fast connect as they
are; RELEASE COMPLETE and a closed connection end a call.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Protocol, ServerFactory, connectionDone
from twisted.python.failure import Failure

from voipshift.demo.h323caller import channels
from voipshift.errors import ProtocolViolation
from voipshift.h323 import q931, signalling, tpkt, uuie
from voipshift.h323.addresses import EndpointType
from voipshift.h323.q931 import MessageType
from voipshift.h323.uuie import PROTOCOL, UserInformation

GATEWAY = EndpointType("gateway", "voipshift")


class Gateway(ServerFactory):
    """Answers calls at one port.

    :ivar answered: how many it has answered
    """

    noisy = False

    def __init__(self) -> None:
        self._lines: set[Line] = set()
        self.answered = 0

    def buildProtocol(self, addr: IAddress | None) -> Line:
        line = Line(self)
        self._lines.add(line)
        return line

    def gone(self, line: Line) -> None:
        """A connection is over."""
        self._lines.discard(line)

    def stop(self) -> None:
        """End everything."""
        for line in list(self._lines):
            line.transport.abortConnection()


class Line(Protocol):
    """One connection."""

    transport: Any

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._reader = tpkt.Reader()

    def dataReceived(self, data: bytes) -> None:
        try:
            for octets in self._reader.receive(data):
                self._received(signalling.parse(octets))
        except ProtocolViolation:
            self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._gateway.gone(self)

    def _received(self, signal: signalling.Signal) -> None:
        setup = signal.information.body if signal.information is not None else None
        if isinstance(setup, uuie.Setup):
            identifier, opened = setup.call_identifier, channels(self.transport.getHost().host)
            reference = signal.message.call_reference
            self._send(MessageType.ALERTING, reference, uuie.Alerting(PROTOCOL, GATEWAY, identifier))
            connect = uuie.Connect(PROTOCOL, GATEWAY, setup.conference_id, identifier, fast_start=opened)
            self._send(MessageType.CONNECT, reference, connect)
            self._gateway.answered += 1
        elif signal.message.type == MessageType.RELEASE_COMPLETE:
            self.transport.loseConnection()

    def _send(self, type: MessageType, reference: int, body: uuie.Body) -> None:
        information = q931.user_user(uuie.encode(UserInformation(body)))
        self.transport.write(tpkt.wrap(q931.Message(type, reference, True, (information,)).octets()))
