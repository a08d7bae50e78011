"""The stream door: SIP over TCP and TLS, RFC 3261 section 18.

Connections are known by the listener that they belong to and the far end's address, which is what a :class:`Hop` says,
so that a response leaves by the connection that its request came in by, and requests to one address share one
connection whoever opened it.  A response whose connection is gone gets a new one, to the port that its Via names
(18.2.2).  Over mutual TLS a far end may give its connection a second name, the address that it listens at (RFC 5923).

A far end that says nothing, that never finishes a message, or that opens connection after connection is closed.
"""

from __future__ import annotations

import math
import socket
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import ClientFactory, Factory
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure

from voipshift.alarm import Alarm
from voipshift.errors import ProtocolViolation
from voipshift.node import Address
from voipshift.sip.connection import Connection
from voipshift.sip.framing import Broken
from voipshift.sip.message import Request, parse
from voipshift.sip.timers import Timers
from voipshift.sip.tls import Credentials, names
from voipshift.sip.transaction import Hop
from voipshift.sip.uri import DEFAULT_PORT, DEFAULT_SECURE_PORT, is_ip_address

#: Connections that one address may open, unless it is trusted: a household's telephones share one.
MAX_PER_ADDRESS = 50
#: Connections in all: over TLS each takes some 50 kB.
MAX_CONNECTIONS = 10_000
#: From the first octet of a message to its last.
SLOW_S = 10.0
#: From the connection to the first whole message.
SILENT_S = 32.0
#: Without an octet; telephones send a keep-alive every two minutes or so (RFC 5626 section 4.4.1).
IDLE_S = 1800.0
#: To open a connection: less than a client is patient, more than two lost SYNs cost.
CONNECT_S = 4.0
#: Connections that wait to be accepted.
BACKLOG = 512
#: Where a Via's alias is looked for: the top Via is among the first lines.
_LOOK_FOR_ALIAS = 2048


class _Listener:
    """One TCP or TLS port."""

    def __init__(self, opened: socket.socket, credentials: Credentials | None) -> None:
        self.socket = opened
        self.credentials = credentials
        self.host = opened.getsockname()[0]
        self.port: Any = None


class Streams:
    """All stream connections of a node.

    :param reactor: time and sockets
    :param received: told of each message: the listener, the octets, the far end's address
    :param undelivered: told of each message that no connection could be opened for, and by which listener it should
        have left
    :param trusted: whether a host may open any number of connections
    :param domain_of: whose certificate is expected at an address that this node connects to
    :ivar dropped: connections that were closed or refused, by the reason
    :ivar octets: what came and went by all connections so far
    """

    def __init__(
        self,
        *,
        reactor: Any,
        received: Callable[[int, bytes, Address], None],
        undelivered: Callable[[int, bytes], None],
        trusted: Callable[[str], bool],
        domain_of: Callable[[Address], str],
    ) -> None:
        self._reactor = reactor
        self._received = received
        self._undelivered = undelivered
        self._trusted = trusted
        self._domain_of = domain_of
        self._listeners: dict[int, _Listener] = {}
        self._connections: dict[Hop, Connection] = {}
        self._aliases: dict[Hop, Connection] = {}
        self._per_host: Counter[str] = Counter()
        self._timers: Timers[Connection] = Timers()
        #: Connections with a message begun and not finished.
        self._slow: set[Connection] = set()
        self._alarm = Alarm(reactor, self._due)
        self._stopped = False
        self.dropped: Counter[str] = Counter()
        self.octets = 0
        self._log = Logger(__name__)

    def __len__(self) -> int:
        return len(self._connections)

    @property
    def accepted(self) -> int:
        """How many of the connections others have opened."""
        return self._per_host.total()

    # Opening and closing.

    def listen(self, listener: int, address: Address, credentials: Credentials | None) -> Address:
        """Bind a port; nothing is accepted before :meth:`start`.

        :param credentials: makes it TLS
        :returns: what it is bound to
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
        self._listeners[listener] = _Listener(opened, credentials)
        host, port = opened.getsockname()[:2]
        return host, port

    def start(self) -> None:
        """Begin to accept."""
        for number, listener in self._listeners.items():
            factory: Any = _Accepting(partial(self._accepted, number))
            if listener.credentials is not None:
                factory = TLSMemoryBIOFactory(listener.credentials.server, False, factory, self._reactor)
            family = listener.socket.family
            listener.port = self._reactor.adoptStreamPort(listener.socket.fileno(), family, factory)
            listener.socket.close()  # the reactor has made a copy of it

    def stop(self) -> None:
        """Close everything; nothing is scheduled afterwards."""
        self._stopped = True
        for listener in self._listeners.values():
            if listener.port is not None:
                listener.port.stopListening()
            listener.socket.close()
        for connection in list(self._connections.values()):
            connection.abort()
        self._alarm.stop()

    # Sending.

    def send(self, listener: int, octets: bytes, address: Address) -> None:
        """Send a message by the connection to an address; one is opened where there is none."""
        if self._stopped:
            return
        hop = Hop(address[0], address[1], listener)
        connection = self._connections.get(hop) or self._aliases.get(hop)
        if connection is None and octets.startswith(b"SIP/"):
            hop = self._way_back(octets, hop)
            connection = self._connections.get(hop) or self._aliases.get(hop)
        if connection is not None and connection.domain and self._is_for_another(connection, octets):
            # It was checked for somebody else whom DNS had put at the same address (RFC 5922 section 7.2).
            self.closed(connection)
            connection.abort()
            connection = None
        if connection is None:
            connection = self._connect(hop)
        connection.send(octets)

    def is_open(self, hop: Hop) -> bool:
        """Whether there is a connection to an address."""
        return hop in self._connections or hop in self._aliases

    def _way_back(self, response: bytes, hop: Hop) -> Hop:
        """Where a response goes whose connection is gone: the same host, and the port of its Via (18.2.2)."""
        via = parse(response).via
        return hop.replace(port=via.port or (DEFAULT_SECURE_PORT if via.transport == "TLS" else DEFAULT_PORT))

    def _is_for_another(self, connection: Connection, octets: bytes) -> bool:
        hop = connection.hop
        if octets.startswith(b"SIP/"):  # a response goes to whoever has sent the request
            return False
        secure = self._listeners[hop.listener].credentials is not None
        return secure and connection.domain != self._domain_of((hop.host, hop.port))

    def _connect(self, hop: Hop) -> Connection:
        listener = self._listeners[hop.listener]
        domain = self._domain_of((hop.host, hop.port))
        secure = listener.credentials is not None
        connection = Connection(self, hop, secure=secure, domain=domain)
        self._keep(connection)
        factory: Any = _Connecting(connection, self.closed)
        if listener.credentials is not None:
            factory = TLSMemoryBIOFactory(listener.credentials.towards(domain), True, factory, self._reactor)
        bound = None if listener.host in ("0.0.0.0", "::") else (listener.host, 0)
        self._reactor.connectTCP(hop.host, hop.port, factory, timeout=CONNECT_S, bindAddress=bound)
        return connection

    # Accepting.

    def _accepted(self, listener: int, address: Any) -> Connection | None:
        """Somebody connects."""
        host = address.host
        if self._stopped or len(self._connections) >= MAX_CONNECTIONS:
            self.dropped["too many connections"] += 1
            return None
        if self._per_host[host] >= MAX_PER_ADDRESS and not self._trusted(host):
            self.dropped["too many connections from one address"] += 1
            return None
        secure = self._listeners[listener].credentials is not None
        connection = Connection(self, Hop(host, address.port, listener), secure=secure)
        self._per_host[host] += 1
        self._keep(connection)
        return connection

    # What a connection tells.

    def carried(self, octets: int) -> None:
        """So many octets came or went."""
        self.octets += octets

    def opened(self, connection: Connection) -> None:
        """It stands: what it had to send is sent."""

    def received(self, connection: Connection, octets: bytes) -> None:
        """A whole message."""
        if connection.certificate is not None and not connection.is_ours and b";alias" in octets[:_LOOK_FOR_ALIAS]:
            self._name_again(connection, octets)
        hop = connection.hop
        try:
            self._received(hop.listener, octets, (hop.host, hop.port))
        except Exception:
            self._log.failure("a message of {octets} octets from {hop} was not worked off", octets=len(octets), hop=hop)

    def heard(self, connection: Connection, whole: bool) -> None:
        """Octets came, and perhaps a whole message with them."""
        now = self._reactor.seconds()
        if whole:
            self._timers.stop(connection, "silent")
        if not connection.framing.begun:
            self._slow.discard(connection)
            self._timers.stop(connection, "slow")
        elif whole or connection not in self._slow:
            self._slow.add(connection)
            self._timers.start(connection, "slow", SLOW_S, now)
        self._timers.start(connection, "idle", IDLE_S, now)
        self._alarm.no_later_than(self._timers.next)

    def broken(self, connection: Connection, broken: Broken) -> None:
        """Nothing can be found in its octets any more."""
        self.dropped[broken.reason] += 1
        if broken.head is not None:
            self.received(connection, broken.head)  # which makes a 400 of it
        self._timers.start(connection, "slow", SLOW_S, self._reactor.seconds())  # if it does not read, either
        self._alarm.no_later_than(self._timers.next)
        connection.close()

    def closed(self, connection: Connection) -> None:
        """It is over, or was never opened."""
        hop = connection.hop
        if self._connections.get(hop) is not connection:
            return
        del self._connections[hop]
        for alias in [alias for alias, named in self._aliases.items() if named is connection]:
            del self._aliases[alias]
        if not connection.is_ours:
            self._per_host[hop.host] -= 1
            if not self._per_host[hop.host]:
                del self._per_host[hop.host]
        self._timers.stop_all(connection)
        self._slow.discard(connection)
        unsent, connection.unsent = connection.unsent, None
        if unsent and not self._stopped:
            for octets in unsent:
                self._undelivered(hop.listener, octets)

    # The parts.

    def _keep(self, connection: Connection) -> None:
        self._connections[connection.hop] = connection
        now = self._reactor.seconds()
        if not connection.is_ours:
            self._timers.start(connection, "silent", SILENT_S, now)
        self._timers.start(connection, "idle", IDLE_S, now)
        self._alarm.no_later_than(self._timers.next)

    def _name_again(self, connection: Connection, octets: bytes) -> None:
        """A request whose Via says ``alias``: its sender may be reached by this connection at the address that the Via
        names, if its certificate is that of whoever would be expected there (RFC 5923 section 5).
        """
        try:
            message = parse(octets)
        except ProtocolViolation:
            return
        via, hop = message.via, connection.hop
        if not isinstance(message, Request) or "alias" not in via.parameters or not is_ip_address(via.host):
            return
        named = hop.replace(host=via.host, port=via.address[1])
        assert connection.certificate is not None
        if via.host == hop.host and names(connection.certificate, self._domain_of((named.host, named.port))):
            self._aliases[named] = connection

    def _due(self, now: float) -> float:
        for connection, timer in self._timers.due(now):
            self.dropped[timer] += 1
            connection.abort()
        return math.inf if not self._connections else self._timers.next


class _Accepting(Factory):
    """Makes a connection of whoever connects."""

    noisy = False

    def __init__(self, accepted: Callable[[Any], Connection | None]) -> None:
        self._accepted = accepted

    def buildProtocol(self, addr: IAddress | None) -> Connection | None:
        return self._accepted(addr)


class _Connecting(ClientFactory):
    """Opens one connection."""

    noisy = False

    def __init__(self, connection: Connection, failed: Callable[[Connection], None]) -> None:
        self._connection = connection
        self._failed = failed

    def buildProtocol(self, addr: IAddress | None) -> Connection:
        return self._connection

    def clientConnectionFailed(self, connector: Any, reason: Failure) -> None:
        self._failed(self._connection)
