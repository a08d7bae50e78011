"""Two stream doors over TLS, their octets handed from one to the other in memory: who connects to whom, and who not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.test.iosim import FakeTransport, IOPump, connect
from twisted.trial.unittest import SynchronousTestCase

from tests.certificates import Authority
from tests.test_sip_streams import OK, OPTIONS, Reactor
from voipshift.node import Address
from voipshift.sip.streams import Streams
from voipshift.sip.tls import Credentials

HERE = ("192.0.2.1", 5061)
THERE = ("192.0.2.2", 5061)
REQUEST = OPTIONS.replace(b"SIP/2.0/TCP 198.51.100.7:5070", b"SIP/2.0/TLS 192.0.2.1:5061;alias")


class Transport(FakeTransport):
    """A connection in memory."""

    def setTcpNoDelay(self, enabled: bool) -> None:
        """It has none."""

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """It has none."""


class Door:
    """A stream door with one TLS listener, and what it hears."""

    def __init__(self, credentials: Credentials, domain: str) -> None:
        self.reactor = Reactor()
        self.domain = domain
        self.heard: list[tuple[bytes, Address]] = []
        self.undelivered: list[bytes] = []
        self.streams = Streams(
            reactor=self.reactor,
            received=lambda listener, octets, address: self.heard.append((octets, address)),
            undelivered=lambda listener, octets: self.undelivered.append(octets),
            trusted=lambda host: False,
            domain_of=lambda address: self.domain,
        )
        self.streams.listen(0, ("127.0.0.1", 0), credentials)
        self.streams.start()


class TlsTests(SynchronousTestCase):
    """One door connects to the other, with certificates of the test's choice."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.authority = Authority()
        self.doors: list[Door] = []

    def tearDown(self) -> None:
        for door in self.doors:
            door.streams.stop()
            self.assertEqual(door.reactor.getDelayedCalls(), [])

    def door(self, *names: str, domain: str = "example.com", authority: Authority | None = None, **how: Any) -> Door:
        """Start one whose certificate has those names, and that expects a domain when it connects."""
        certificate, key, _ = (authority or self.authority).write(self.folder, f"node{len(self.doors)}", *names)
        _, _, believed = self.authority.write(self.folder, "believed")
        door = Door(Credentials(certificate, key, believed, **how), domain)
        self.doors.append(door)
        return door

    def connect(self, near: Door, far: Door) -> IOPump:
        """Let the connection that one has begun reach the other."""
        (_, factory) = near.reactor.connecting.pop(0)
        client = factory.buildProtocol(IPv4Address("TCP", *THERE))
        server = far.reactor.accepting[0].buildProtocol(IPv4Address("TCP", HERE[0], 40000))
        pump: IOPump = connect(server, Transport(server, isServer=True), client, Transport(client, isServer=False))
        self.settle(pump)
        return pump

    def settle(self, pump: IOPump) -> None:
        """Let everything arrive; TLS gathers small writes for a moment."""
        for _ in range(4):
            pump.flush()
            for door in self.doors:
                door.reactor.advance(0)

    def test_a_request_and_its_response(self) -> None:
        """The request waits for the handshake; the response comes back by the connection."""
        near, far = self.door("192.0.2.1"), self.door("sip:example.com")
        near.streams.send(0, REQUEST, THERE)
        pump = self.connect(near, far)
        self.assertEqual(far.heard, [(REQUEST, ("192.0.2.1", 40000))])
        far.streams.send(0, OK, ("192.0.2.1", 40000))
        self.settle(pump)
        self.assertEqual(near.heard, [(OK, THERE)])
        self.assertEqual(near.undelivered, [])

    def test_a_connection_that_was_checked_for_somebody_else(self) -> None:
        """DNS leads another domain to the same address: requests to it need a connection that is checked for it, while
        a response still goes where its request came from.
        """
        near, far = self.door("192.0.2.1"), self.door("sip:example.com")
        near.streams.send(0, REQUEST, THERE)
        pump = self.connect(near, far)
        near.domain = "example.net"
        near.streams.send(0, OK, THERE)
        self.settle(pump)
        self.assertEqual([octets for octets, _ in far.heard], [REQUEST, OK])
        near.streams.send(0, REQUEST, THERE)
        self.settle(pump)
        pump = self.connect(near, far)
        self.assertEqual([octets for octets, _ in far.heard], [REQUEST, OK])
        self.assertEqual((near.undelivered, len(near.streams)), ([REQUEST], 0))

    def test_who_is_not_believed(self) -> None:
        """Another domain, a wildcard, an authority that nobody knows: no octet of the request leaves."""
        for names, authority in (
            (("sip:example.net",), None),
            (("sip:example.net", "example.com"), None),
            (("*.com",), None),
            ((), None),
            (("sip:example.com",), Authority("stranger")),
        ):
            near, far = self.door("192.0.2.1"), self.door(*names, authority=authority)
            near.streams.send(0, REQUEST, THERE)
            self.connect(near, far)
            self.assertEqual((far.heard, near.undelivered), ([], [REQUEST]), names)
            self.assertEqual((len(near.streams), len(far.streams)), (0, 0))

    def test_a_client_that_must_show_a_certificate(self) -> None:
        """One whose authority is unknown does not come in; one that is known does."""
        far = self.door("example.com", demand=True)
        for authority, heard in ((Authority("stranger"), 0), (None, 1)):
            near = self.door("192.0.2.1", authority=authority)
            near.streams.send(0, REQUEST, THERE)
            self.connect(near, far)
            self.assertEqual(len(far.heard), heard)

    def test_reused_under_mutual_tls(self) -> None:
        """The far end sends its own requests by the connection that the near end opened, only if it asked for a
        certificate, and that names who is expected there (RFC 5923).
        """
        for named, asked, reused in (
            ("192.0.2.1", True, True),
            ("192.0.2.1", False, False),
            ("192.0.2.9", True, False),
        ):
            near, far = self.door(named), self.door("example.com", domain="192.0.2.1", ask_clients=asked)
            near.streams.send(0, REQUEST, THERE)
            pump = self.connect(near, far)
            far.streams.send(0, REQUEST, HERE)
            self.settle(pump)
            self.assertEqual(far.reactor.connecting == [], reused, (named, asked))
            self.assertEqual(near.heard, [(REQUEST, THERE)] if reused else [])
