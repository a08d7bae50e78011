"""One stream connection of SIP: octets become messages, messages become octets (RFC 3261 section 18).

It waits with what it has to send until the connection stands, which over TLS means that the far end has shown who it
is.  Who is connected to whom is the business of its owner (``sip/streams.py``).
"""

from __future__ import annotations

from typing import Any, Protocol

from OpenSSL.crypto import X509
from twisted.internet import protocol
from twisted.internet.interfaces import IHandshakeListener, IPushProducer
from twisted.python.failure import Failure
from zope.interface import implementer

from voipshift.sip.framing import PING, PONG, Broken, Framing
from voipshift.sip.tls import names
from voipshift.sip.transaction import Hop

#: Octets that wait for a far end that does not read; by then it has missed a minute of signalling.
MAX_UNREAD = 1 << 20


class Owner(Protocol):
    """Who keeps the connections."""

    def opened(self, connection: Connection) -> None: ...
    def carried(self, octets: int) -> None: ...
    def received(self, connection: Connection, octets: bytes) -> None: ...
    def heard(self, connection: Connection, whole: bool) -> None: ...
    def broken(self, connection: Connection, broken: Broken) -> None: ...
    def closed(self, connection: Connection) -> None: ...


@implementer(IHandshakeListener, IPushProducer)
class Connection(protocol.Protocol):
    """A connection, whoever opened it.

    :param hop: the far end's address, and the listener that the connection belongs to
    :param secure: it is TLS
    :ivar domain: whom the far end's certificate must name; None where the far end connected to us
    :ivar unsent: messages that wait for the connection to stand; None once it does
    :ivar certificate: what the far end has shown and OpenSSL has verified
    """

    transport: Any

    def __init__(self, owner: Owner, hop: Hop, *, secure: bool, domain: str | None = None) -> None:
        self.hop = hop
        self.unsent: list[bytes] | None = []
        self.certificate: X509 | None = None
        self.framing = Framing()
        self._owner = owner
        self._secure = secure
        self.domain = domain
        self._unread: int | None = None
        self._over = False

    @property
    def is_ours(self) -> bool:
        """Whether this node opened it."""
        return self.domain is not None

    def send(self, octets: bytes) -> None:
        """Send a message, now or as soon as the connection stands."""
        if self.unsent is not None:
            if sum(map(len, self.unsent)) + len(octets) <= MAX_UNREAD:
                self.unsent.append(octets)
            return
        if self._over:
            return
        if self._unread is not None:
            self._unread += len(octets)
            if self._unread > MAX_UNREAD:
                self.abort()
                return
        self._owner.carried(len(octets))
        self.transport.write(octets)

    def close(self) -> None:
        """Close it when everything is sent."""
        self._over = True
        if self.transport is not None:
            self.transport.loseConnection()

    def abort(self) -> None:
        """Close it at once."""
        self._over = True
        if self.transport is not None:
            self.transport.abortConnection()

    # Called by Twisted.

    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)
        self.transport.setTcpKeepAlive(True)
        if not self._secure:
            self._stands()

    def handshakeCompleted(self) -> None:
        self.certificate = self.transport.getPeerCertificate()
        if self.domain is not None and (self.certificate is None or not names(self.certificate, self.domain)):
            self.abort()
            return
        self._stands()

    def dataReceived(self, data: bytes) -> None:
        if self._over:
            return
        self._owner.carried(len(data))
        whole = False
        for found in self.framing.feed(data):
            if isinstance(found, Broken):
                self._owner.broken(self, found)
                return
            if found is PING:
                self.send(PONG)
            else:
                whole = True
                self._owner.received(self, found)
            if self._over:
                return
        self._owner.heard(self, whole)

    def connectionLost(self, reason: Failure = protocol.connectionDone) -> None:
        self._over = True
        self._owner.closed(self)

    def pauseProducing(self) -> None:
        """The far end reads more slowly than we send."""
        self._unread = 0

    def resumeProducing(self) -> None:
        """It has caught up."""
        self._unread = None

    def stopProducing(self) -> None:
        """The connection is lost, of which we are told in another way."""

    def _stands(self) -> None:
        self.transport.registerProducer(self, True)
        waiting, self.unsent = self.unsent, None
        self._owner.opened(self)
        for octets in waiting or ():
            self.send(octets)
