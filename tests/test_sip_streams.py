"""The stream door on a network in memory: connections that are shared, reused, limited and closed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.certificates import Authority
from voipshift.node import Address
from voipshift.sip.connection import MAX_UNREAD, Connection
from voipshift.sip.streams import CONNECT_S, IDLE_S, MAX_PER_ADDRESS, SILENT_S, SLOW_S, Streams
from voipshift.sip.transaction import Hop

PHONE = ("198.51.100.7", 40000)
GATEWAY = ("192.0.2.20", 5060)
OPTIONS = (
    b"OPTIONS sip:192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/TCP 198.51.100.7:5070;branch=z9hG4bK1\r\n"
    b"From: <sip:a@example.org>;tag=1\r\nTo: <sip:192.0.2.1>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n"
    b"Content-Length: 0\r\n\r\n"
)
OK = OPTIONS.replace(b"OPTIONS sip:192.0.2.1 SIP/2.0", b"SIP/2.0 200 OK")


class Wire(StringTransport):
    """A transport that remembers how it was closed."""

    def __init__(self, protocol: Connection) -> None:
        super().__init__()
        self.protocol = protocol
        self.ended = ""
        self.certificate: Any = None
        protocol.makeConnection(self)

    def setTcpNoDelay(self, enabled: bool) -> None:
        """It has none."""

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """It has none."""

    def getPeerCertificate(self) -> Any:
        return self.certificate

    def loseConnection(self) -> None:
        self._end("lost")

    def abortConnection(self) -> None:
        self._end("aborted")

    def _end(self, how: str) -> None:
        if not self.ended:
            self.ended = how
            self.protocol.connectionLost(Failure(Exception(how)))

    def written(self) -> bytes:
        """What was sent since the last look."""
        octets = bytes(self.value())
        self.clear()
        return octets


class Port:
    """A port that accepts."""

    stopped = False

    def stopListening(self) -> None:
        self.stopped = True


class Reactor(Clock):
    """Time, and sockets that remember."""

    def __init__(self) -> None:
        super().__init__()
        self.accepting: list[Any] = []
        self.port = Port()
        self.connecting: list[tuple[Address, Any]] = []

    def adoptStreamPort(self, fd: int, family: int, factory: Any) -> Port:
        self.accepting.append(factory)
        return self.port

    def connectTCP(self, host: str, port: int, factory: Any, timeout: float, bindAddress: Any) -> None:
        assert timeout == CONNECT_S
        self.connecting.append(((host, port), factory))


class StreamsTests(SynchronousTestCase):
    """One TCP listener, number 1."""

    def setUp(self) -> None:
        self.reactor = Reactor()
        self.heard: list[tuple[int, bytes, Address]] = []
        self.undelivered: list[tuple[int, bytes]] = []
        self.react: Callable[[], None] = lambda: None
        self.streams = Streams(
            reactor=self.reactor,
            received=self._received,
            undelivered=lambda listener, octets: self.undelivered.append((listener, octets)),
            trusted=lambda host: host == "192.0.2.9",
            domain_of=lambda address: address[0],
        )
        self.streams.listen(1, ("127.0.0.1", 0), None)
        self.streams.start()

    def tearDown(self) -> None:
        self.streams.stop()
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertEqual(len(self.streams), 0)

    def _received(self, listener: int, octets: bytes, address: Address) -> None:
        self.heard.append((listener, octets, address))
        self.react()

    def accept(self, address: Address = PHONE) -> Wire | None:
        """Somebody connects."""
        connection = self.reactor.accepting[0].buildProtocol(IPv4Address("TCP", *address))
        return None if connection is None else Wire(connection)

    def accepted(self, address: Address = PHONE) -> Wire:
        """Likewise, and is accepted."""
        wire = self.accept(address)
        assert wire is not None
        return wire

    def connect(self) -> Wire:
        """The oldest connection that is being opened stands."""
        _, factory = self.reactor.connecting.pop(0)
        return Wire(factory.buildProtocol(None))

    def test_response_by_the_same_connection(self) -> None:
        """It leaves by the connection that its request came in by."""
        one, other = self.accepted(), self.accepted(("198.51.100.7", 40001))
        one.protocol.dataReceived(OPTIONS)
        self.assertEqual(self.heard, [(1, OPTIONS, PHONE)])
        self.streams.send(1, OK, PHONE)
        self.assertEqual((one.written(), other.written()), (OK, b""))
        self.assertEqual(self.reactor.connecting, [])

    def test_response_to_a_connection_that_is_gone(self) -> None:
        """It goes by a new one, to the port that the Via names (18.2.2)."""
        wire = self.accepted()
        wire.loseConnection()
        self.streams.send(1, OK, PHONE)
        self.assertEqual(self.reactor.connecting[0][0], ("198.51.100.7", 5070))
        self.assertEqual(self.connect().written(), OK)

    def test_requests_share_a_connection(self) -> None:
        """What is sent before it stands waits, what comes later uses it, whoever opened it."""
        self.streams.send(1, OPTIONS, GATEWAY)
        self.streams.send(1, OPTIONS, GATEWAY)
        wire = self.connect()
        self.streams.send(1, OPTIONS, GATEWAY)
        self.assertEqual((wire.written(), self.reactor.connecting), (OPTIONS * 3, []))
        wire.protocol.dataReceived(OK)
        self.assertEqual(self.heard, [(1, OK, GATEWAY)])
        phone = self.accepted()
        self.assertTrue(self.streams.is_open(Hop(*PHONE, 1)))
        self.streams.send(1, OPTIONS, PHONE)
        self.assertEqual(phone.written(), OPTIONS)

    def test_refused(self) -> None:
        """What waited for a connection that cannot be opened is given back, and the next one tries again."""
        self.streams.send(1, OPTIONS, GATEWAY)
        _, factory = self.reactor.connecting.pop()
        factory.clientConnectionFailed(None, Failure(Exception("refused")))
        self.assertEqual(self.undelivered, [(1, OPTIONS)])
        self.assertFalse(self.streams.is_open(Hop(*GATEWAY, 1)))
        self.streams.send(1, OPTIONS, GATEWAY)
        self.assertEqual(self.connect().written(), OPTIONS)

    def test_keep_alive(self) -> None:
        """A double CRLF is answered with one, a single one is not (RFC 5626 section 4.4.1)."""
        wire = self.accepted()
        wire.protocol.dataReceived(b"\r\n")
        wire.protocol.dataReceived(OPTIONS)
        self.assertEqual(wire.written(), b"")
        wire.protocol.dataReceived(b"\r\n\r\n")
        self.assertEqual(wire.written(), b"\r\n")
        self.assertEqual(len(self.heard), 1)

    def test_broken(self) -> None:
        """A length that cannot be: the head is given on, so that a 400 can be sent, and the connection ends."""
        wire = self.accepted()
        head = OPTIONS.replace(b"Length: 0", b"Length: -1")
        self.react = lambda: self.streams.send(1, OK, PHONE)
        wire.protocol.dataReceived(OPTIONS + head + OPTIONS)
        self.assertEqual([octets for _, octets, _ in self.heard], [OPTIONS, head])
        self.assertEqual((wire.written(), wire.ended), (OK * 2, "lost"))
        self.assertEqual(self.streams.dropped["a Content-Length that cannot be"], 1)

    def test_slow(self) -> None:
        """A message that is begun is finished within ten seconds, however often a little of it comes."""
        wire = self.accepted()
        wire.protocol.dataReceived(OPTIONS)
        for octet in OPTIONS[:9]:
            wire.protocol.dataReceived(bytes((octet,)))
            self.reactor.advance(1.0)
        self.assertEqual(wire.ended, "")
        self.reactor.advance(SLOW_S - 9.0)
        self.assertEqual(wire.ended, "aborted")

    def test_not_slow(self) -> None:
        """Each message has its own ten seconds; one after the other takes as long as it takes."""
        wire = self.accepted()
        half = len(OPTIONS) // 2
        wire.protocol.dataReceived(OPTIONS[:half])
        for _ in range(5):
            self.reactor.advance(SLOW_S - 1.0)
            wire.protocol.dataReceived(OPTIONS[half:] + OPTIONS[:half])
        self.assertEqual((wire.ended, len(self.heard)), ("", 5))
        wire.protocol.dataReceived(OPTIONS[half:])
        self.reactor.advance(SLOW_S + 1.0)
        self.assertEqual(wire.ended, "")

    def test_silent(self) -> None:
        """Who connects and says nothing, or nothing but keep-alives, is not waited for."""
        wire = self.accepted()
        self.reactor.advance(SILENT_S - 1)
        wire.protocol.dataReceived(b"\r\n\r\n")
        self.assertEqual(wire.ended, "")
        self.reactor.advance(1)
        self.assertEqual(wire.ended, "aborted")

    def test_idle(self) -> None:
        """A keep-alive keeps it; without an octet for long it is closed."""
        wire = self.accepted()
        wire.protocol.dataReceived(OPTIONS)
        self.reactor.advance(IDLE_S - 1)
        wire.protocol.dataReceived(b"\r\n\r\n")
        self.reactor.advance(IDLE_S - 1)
        self.assertEqual(wire.ended, "")
        self.reactor.advance(1)
        self.assertEqual(wire.ended, "aborted")

    def test_per_address(self) -> None:
        """50 connections from one address, more from one that is trusted; what ends makes room."""
        wires = [self.accepted((PHONE[0], 40000 + number)) for number in range(MAX_PER_ADDRESS)]
        self.assertIsNone(self.accept((PHONE[0], 50000)))
        self.accepted(("198.51.100.8", 40000))
        wires[0].loseConnection()
        self.accepted((PHONE[0], 50000))
        for number in range(MAX_PER_ADDRESS + 1):
            self.accepted(("192.0.2.9", 40000 + number))

    def test_counted(self) -> None:
        """Octets both ways; and of the connections those that others opened, as long as they stand."""
        wire = self.accepted()
        wire.protocol.dataReceived(b"\r\n\r\n")
        self.assertEqual(wire.written(), b"\r\n")
        self.assertEqual((self.streams.octets, self.streams.accepted), (6, 1))
        self.streams.send(1, b"MESSAGE sip:x SIP/2.0\r\n\r\n", ("192.0.2.50", 5060))
        self.connect()
        self.assertEqual((self.streams.octets, self.streams.accepted), (31, 1))
        wire.loseConnection()
        self.assertEqual((len(self.streams), self.streams.accepted), (1, 0))

    def test_unread(self) -> None:
        """A far end that does not read is given up when too much waits for it."""
        wire = self.accepted()
        wire.protocol.pauseProducing()
        octets = OK + bytes(60_000)
        for _ in range(MAX_UNREAD // len(octets)):
            self.streams.send(1, octets, PHONE)
        self.assertEqual(wire.ended, "")
        self.streams.send(1, octets, PHONE)
        self.assertEqual(wire.ended, "aborted")

    def test_a_fault_of_ours_ends_no_connection(self) -> None:
        """It is logged, and the next message is worked off."""
        wire = self.accepted()

        def fail() -> None:
            raise RuntimeError

        self.react = fail
        wire.protocol.dataReceived(OPTIONS + OPTIONS)
        self.assertEqual((len(self.heard), wire.ended), (2, ""))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 2)

    def test_alias_needs_a_certificate(self) -> None:
        """Over TCP nobody is called by a second name; with a verified certificate that names it, it is (RFC 5923)."""
        authority = Authority()
        request = OPTIONS.replace(b";branch", b";alias;branch")
        named = Hop("198.51.100.7", 5070, 1)
        for certified, expected in ((None, False), ("198.51.100.8", False), ("198.51.100.7", True)):
            wire = self.accepted()
            if certified is not None:
                wire.protocol.certificate = authority.certify(certified)
            wire.protocol.dataReceived(request)
            self.assertIs(self.streams.is_open(named), expected, certified)
            if not expected:
                wire.loseConnection()
        self.streams.send(1, OPTIONS, ("198.51.100.7", 5070))
        self.assertEqual(wire.written(), OPTIONS)
        wire.loseConnection()
        self.assertFalse(self.streams.is_open(named))

    def test_stopped(self) -> None:
        """Nothing is accepted, sent or kept any more."""
        wire = self.accepted()
        self.streams.send(1, OPTIONS, GATEWAY)
        self.streams.stop()
        self.assertEqual((wire.ended, self.reactor.port.stopped), ("aborted", True))
        self.streams.send(1, OPTIONS, PHONE)
        self.assertEqual((wire.written(), self.undelivered), (b"", []))
        factory = self.reactor.connecting.pop()[1]
        factory.clientConnectionFailed(None, Failure(Exception("stopped")))
