"""The H.323 door: call signalling over TCP at the front port and the accept port, and connections to gateways.

Octets become the contents of TPKTs and the other way round; what they say is the business of the relay
(``calls/relay.py``).  Nothing is sent before the far end has said something: some end the call at an unexpected
keep-alive.

A connection without a call is closed after a while, whether it never said anything or its last call is over; a far end
that closes its own after RELEASE COMPLETE has done so by then.  One that sends no TPKTs is closed at once.
"""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IPushProducer
from twisted.internet.protocol import ClientFactory, Factory, connectionDone
from twisted.internet.protocol import Protocol as Stream
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from voipshift.alarm import Alarm
from voipshift.errors import ProtocolViolation
from voipshift.h323 import tpkt
from voipshift.node import Address
from voipshift.sip.timers import Timers

#: A connection without a call.
IDLE_S = 10.0
#: The timers of a connection are named as what they are counted under: it never had a call; it does not read what it is
#: closed with; its last call is over, which is as it should be.
NO_CALL = "no call within 10 s"
NOT_READ = "reads nothing"
REST = "rest"
#: Connections that one address may have, unless it is trusted.
MAX_PER_ADDRESS = 50
#: Connections of callers in all: with one to a gateway for each they fit into a process's usual file descriptors.
MAX_CONNECTIONS = 4000
#: Octets that wait for a far end that does not read.
MAX_UNREAD = 1 << 18
#: To open a connection; the call's own timer is shorter.
CONNECT_S = 4.0
#: How long the far ends have to take what a node that stops has to tell them.
STOP_S = 1.0
#: A far end that has vanished is noticed a minute and a half after it spoke last, and its calls give their slots back:
#: seconds of silence, seconds between three questions, how many there are.
ALIVE = tuple(
    (getattr(socket, name), value)
    for name, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))
    if hasattr(socket, name)
)
#: Connections that wait to be accepted.
BACKLOG = 512


class Relay(Protocol):
    """Who carries calls (:class:`voipshift.calls.relay.Relay`)."""

    @property
    def next(self) -> float: ...
    def received(self, line: Any, octets: bytes) -> bool: ...
    def connected(self, line: Any) -> None: ...
    def closed(self, line: Any) -> None: ...
    def due(self, now: float) -> None: ...
    def has_calls(self, line: Any) -> bool: ...
    def stop(self) -> None: ...


@implementer(IPushProducer)
class Line(Stream):
    """One connection, whoever opened it.

    :ivar front: it came in by the front port; False for the accept port, None for one that this node opened
    :ivar near: this end of it, once it stands
    :ivar far: the other end
    """

    transport: Any

    def __init__(self, server: Server, front: bool | None, far: Address) -> None:
        self.front = front
        self.near: Address = ("", 0)
        self.far = far
        self.connector: Any = None
        self._server = server
        self._reader = tpkt.Reader()
        self._unread: int | None = None
        self._over = False

    def send(self, *messages: bytes) -> None:
        """Send messages, one TPKT each; a connection that does not stand sends nothing."""
        if self._over or self.transport is None:
            return
        octets = b"".join([tpkt.wrap(message) for message in messages])
        if self._unread is not None:
            self._unread += len(octets)
            if self._unread > MAX_UNREAD:
                self.abort()
                return
        self._server.octets += len(octets)
        self.transport.write(octets)

    def rest(self) -> None:
        """Its last call is over: it is closed after a while, if the far end does not do it."""
        self._server.wait(self, REST)

    def close(self) -> None:
        """Close it when everything is sent."""
        self._over = True
        self._server.wait(self, NOT_READ)
        if self.transport is not None:
            self.transport.loseConnection()
        elif self.connector is not None:
            self.connector.disconnect()

    def abort(self) -> None:
        """Close it at once."""
        self._over = True
        if self.transport is not None:
            self.transport.abortConnection()
        elif self.connector is not None:
            self.connector.disconnect()

    # Called by Twisted.

    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)
        self.transport.setTcpKeepAlive(True)
        handle = self.transport.getHandle()
        for option, value in ALIVE:
            handle.setsockopt(socket.IPPROTO_TCP, option, value)
        self.transport.registerProducer(self, True)
        near = self.transport.getHost()
        self.near = (near.host, near.port)
        self._server.opened(self)

    def dataReceived(self, data: bytes) -> None:
        if self._over:
            return
        server = self._server
        server.octets += len(data)
        try:
            for octets in self._reader.receive(data):
                server.received(self, octets)
                if self._over:
                    return
        except ProtocolViolation as violation:
            server.broken(self, violation.reason)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._over = True
        self._server.closed(self)

    def pauseProducing(self) -> None:
        """The far end reads more slowly than we send."""
        self._unread = 0

    def resumeProducing(self) -> None:
        """It has caught up."""
        self._unread = None

    def stopProducing(self) -> None:
        """The connection is lost, of which we are told in another way."""


class Server:
    """All connections of H.323 call signalling.

    :param reactor: time and sockets
    :param trusted: whether a host may open any number of connections
    :param most: connections of callers in all
    :ivar octets: in and out
    :ivar dropped: connections that were closed or refused, by the reason
    """

    def __init__(self, *, reactor: Any, trusted: Callable[[str], bool], most: int = MAX_CONNECTIONS) -> None:
        self._reactor = reactor
        self._trusted = trusted
        self._most = most
        self._relay: Relay
        self._sockets: list[tuple[bool, socket.socket]] = []
        self._ports: list[Any] = []
        self._lines: set[Line] = set()
        self._callers: set[Line] = set()
        self._per_host: Counter[str] = Counter()
        self._timers: Timers[Line] = Timers()
        self._alarm = Alarm(reactor, self._due)
        self._stopped = False
        self._released: Deferred[None] | None = None
        self.octets = 0
        self.dropped: Counter[str] = Counter()
        self._log = Logger(__name__)

    def __len__(self) -> int:
        return len(self._lines)

    @property
    def accepted(self) -> int:
        """How many of the connections others have opened."""
        return len(self._callers)

    # Opening and closing.

    def serve(self, relay: Relay) -> None:
        """Say who is told of what comes in."""
        self._relay = relay

    def listen(self, front: bool, address: Address) -> None:
        """Bind the front port, or the accept port; nothing is accepted before :meth:`start`.

        :raises OSError: it cannot be bound
        """
        opened = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET, socket.SOCK_STREAM)
        try:
            opened.setblocking(False)
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if opened.family == socket.AF_INET6:
                opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            opened.bind(address)
            opened.listen(BACKLOG)
        except OSError:
            opened.close()
            raise
        self._sockets.append((front, opened))

    def start(self) -> None:
        """Begin to accept."""
        for front, opened in self._sockets:
            factory = Accepting(self, front)
            self._ports.append(self._reactor.adoptStreamPort(opened.fileno(), opened.family, factory))
            opened.close()  # the reactor has made a copy of it

    def stop(self) -> Deferred[None] | None:
        """Release all calls and close everything.

        :returns: what fires when everything is closed; None when that is so already
        """
        if self._stopped:
            return self._released
        if self._lines:
            self._relay.stop()
        self._stopped = True
        for port in self._ports:
            port.stopListening()
        for _, opened in self._sockets:
            opened.close()
        self._alarm.stop()
        for line in list(self._lines):
            line.close()
        if self._lines:
            self._released = Deferred()
            late = self._reactor.callLater(STOP_S, self._abort_all)
            self._released.addCallback(lambda _: late.cancel() if late.active() else None)
        return self._released

    def _abort_all(self) -> None:
        """They have had their time."""
        for line in list(self._lines):
            line.abort()

    def connect(self, host: str, far: Address) -> Line:
        """Begin a connection to a gateway.

        :param host: this end's address; empty for any
        """
        line = Line(self, None, far)
        self._lines.add(line)
        bound = (host, 0) if host else None
        line.connector = self._reactor.connectTCP(*far, _Connecting(line), timeout=CONNECT_S, bindAddress=bound)
        self._arm()
        return line

    def accept(self, front: bool, address: Any) -> Line | None:
        """Somebody connects."""
        host = address.host
        if self._stopped or self.accepted >= self._most:
            self.dropped["too many connections"] += 1
            return None
        if self._per_host[host] >= MAX_PER_ADDRESS and not self._trusted(host):
            self.dropped["too many connections from one address"] += 1
            return None
        line = Line(self, front, (host, address.port))
        self._per_host[host] += 1
        self._lines.add(line)
        self._callers.add(line)
        self.wait(line, NO_CALL)
        return line

    # What a connection tells.

    def opened(self, line: Line) -> None:
        """It stands."""
        if line.front is None:
            self._relay.connected(line)
            self._arm()

    def received(self, line: Line, octets: bytes) -> None:
        """A whole message.

        :raises ProtocolViolation: there is no sense in what this connection says
        """
        try:
            busy = self._relay.received(line, octets)
        except ProtocolViolation:
            raise
        except Exception:
            self._log.failure(
                "a message of {octets} octets from {far} was not worked off", octets=len(octets), far=line.far
            )
            line.abort()
            return
        if busy:
            self._timers.stop_all(line)
        self._arm()

    def broken(self, line: Line, reason: str) -> None:
        """It is no H.323."""
        self.dropped[reason] += 1
        line.close()

    def wait(self, line: Line, why: str) -> None:
        """It has no call: it is closed after a while."""
        if line in self._lines and not self._stopped:
            self._timers.stop_all(line)
            self._timers.start(line, why, IDLE_S, self._reactor.seconds())
            self._arm()

    def closed(self, line: Line) -> None:
        """It is over, or was never opened."""
        if line not in self._lines:
            return
        self._lines.discard(line)
        self._timers.stop_all(line)
        if line.front is not None:
            self._callers.discard(line)
            self._per_host[line.far[0]] -= 1
            if not self._per_host[line.far[0]]:
                del self._per_host[line.far[0]]
        if not self._stopped:
            self._relay.closed(line)
            self._arm()
        elif not self._lines and self._released is not None and not self._released.called:
            self._released.callback(None)

    # The parts.

    def _arm(self) -> None:
        if not self._stopped:
            self._alarm.no_later_than(min(self._timers.next, self._relay.next))

    def _due(self, now: float) -> float:
        for line, name in self._timers.due(now):
            if not self._relay.has_calls(line):
                if name != REST:
                    self.dropped[name] += 1
                line.abort()
        self._relay.due(now)
        return min(self._timers.next, self._relay.next)


class Accepting(Factory):
    """Makes a line of whoever connects to a port."""

    noisy = False

    def __init__(self, server: Server, front: bool) -> None:
        self._server = server
        self._front = front

    def logPrefix(self) -> str:
        """What the log calls the port."""
        return "H.323 front port" if self._front else "H.323 accept port"

    def buildProtocol(self, addr: IAddress | None) -> Line | None:
        return self._server.accept(self._front, addr)


class _Connecting(ClientFactory):
    """Opens one connection."""

    noisy = False

    def __init__(self, line: Line) -> None:
        self._line = line

    def buildProtocol(self, addr: IAddress | None) -> Line:
        return self._line

    def clientConnectionFailed(self, connector: Any, reason: Failure) -> None:
        self._line.connectionLost(reason)
