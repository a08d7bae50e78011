"""Every kind of listener of a real node, asked by sockets of Python's: UDP, TCP and TLS, IPv4 and IPv6."""

from __future__ import annotations

import socket
import ssl
import struct

from twisted.internet.threads import deferToThread

from tests.certificates import Authority
from tests.interop.case import InteropTestCase
from tests.interop.group import Group, free_ports, serve
from voipshift.demo.plan import LOOPBACK, SECOND_SIP_OFFSET

LOOPBACK_6 = "::1"
PATIENCE_S = 5.0
OPTIONS = (
    "OPTIONS sip:{host}:{port} SIP/2.0\r\nVia: SIP/2.0/{transport} 192.0.2.99;branch=z9hG4bK{branch};rport\r\n"
    "From: <sip:test@example.org>;tag=1\r\nTo: <sip:node@example.org>\r\nCall-ID: {branch}\r\nCSeq: 1 OPTIONS\r\n"
    "Max-Forwards: 70\r\nContent-Length: {length}\r\n\r\n"
)


def options(transport: str, branch: str, length: str = "0") -> bytes:
    """A question of what the node can do."""
    words = {"transport": transport, "branch": branch, "length": length}
    return OPTIONS.format(host="example.org", port=5060, **words).encode()


def heard(connection: socket.socket, enough: bytes) -> bytes:
    """What comes until that has come, or until the connection ends."""
    octets = b""
    while enough not in octets:
        piece = connection.recv(65536)
        if not piece:
            break
        octets += piece
    return octets


class ListenerTests(InteropTestCase):
    """One node with six listeners."""

    async def group(self) -> Group:
        """Bring it up."""
        self.port = free_ports(1)
        self.secure = self.port + SECOND_SIP_OFFSET
        certificate, key, self.authorities = Authority().write(self.folder, "node", LOOPBACK, LOOPBACK_6)
        ports = [("udp", self.port), ("tcp", self.port), ("tls", self.secure)]
        listen = [(f"{LOOPBACK}:{port}", transport) for transport, port in ports]
        listen += [(f"[{LOOPBACK_6}]:{port}", transport) for transport, port in ports]
        text = ", ".join(f'{{ transport = "{transport}", address = "{address}" }}' for address, transport in listen)
        files = [f"sip.tls.certificate={certificate}", f"sip.tls.private_key={key}"]
        return await serve(self, self.port, {"primary": 10}, f"primary.sip.listen=[{text}]", *files)

    def connect(self, host: str, port: int) -> socket.socket:
        """Open a connection."""
        connection = socket.create_connection((host, port), timeout=PATIENCE_S)
        self.addCleanup(connection.close)
        return connection

    def connect_safely(self, host: str) -> ssl.SSLSocket:
        """Open one over TLS, and look at the certificate."""
        context = ssl.create_default_context(cafile=self.authorities)
        connection = context.wrap_socket(self.connect(host, self.secure), server_hostname=host)
        self.addCleanup(connection.close)
        return connection

    async def test_each_listener(self) -> None:
        """Each answers OPTIONS where it came from, whatever the Via says."""
        await self.group()

        def ask() -> None:
            for host in (LOOPBACK, LOOPBACK_6):
                with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as udp:
                    udp.settimeout(PATIENCE_S)
                    udp.sendto(options("UDP", f"udp{len(host)}"), (host, self.port))
                    self.assertTrue(udp.recv(65536).startswith(b"SIP/2.0 200 OK\r\n"))
                for transport, connection in (
                    ("TCP", self.connect(host, self.port)),
                    ("TLS", self.connect_safely(host)),
                ):
                    connection.sendall(options(transport, f"{transport}{len(host)}"))
                    answer = heard(connection, b"\r\n\r\n")
                    self.assertTrue(answer.startswith(b"SIP/2.0 200 OK\r\n"), answer)
                    self.assertIn(f";received={host}".encode(), answer)

        await deferToThread(ask)

    async def test_tls_below_1_2(self) -> None:
        """TLS 1.1 is refused."""
        await self.group()

        def ask() -> None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
            with self.assertRaises(OSError):
                context.wrap_socket(self.connect(LOOPBACK, self.secure))

        await deferToThread(ask)

    async def test_keep_alives(self) -> None:
        """A double CRLF is answered with one over TCP and TLS, a STUN binding request over UDP (RFC 5626)."""
        await self.group()

        def ask() -> None:
            for connection in (self.connect(LOOPBACK, self.port), self.connect_safely(LOOPBACK)):
                connection.sendall(b"\r\n")
                connection.sendall(options("TCP", f"ping{connection.fileno()}"))
                heard(connection, b"\r\n\r\n")
                connection.sendall(b"\r\n\r\n")
                self.assertEqual(connection.recv(100), b"\r\n")
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
                udp.settimeout(PATIENCE_S)
                udp.bind((LOOPBACK, 0))
                udp.sendto(struct.pack("!HHI12s", 1, 0, 0x2112A442, b"transaction1"), (LOOPBACK, self.port))
                answer = udp.recv(65536)
                self.assertEqual(answer[:2] + answer[8:20], b"\x01\x01transaction1")
                self.assertEqual(struct.unpack("!H", answer[26:28])[0] ^ 0x2112, udp.getsockname()[1])

        await deferToThread(ask)

    async def test_lengths_that_cannot_be(self) -> None:
        """400, and the connection is closed."""
        await self.group()

        def ask() -> None:
            for number, length in enumerate(("-1", "0\r\nContent-Length: 0", "70000")):
                connection = self.connect(LOOPBACK, self.port)
                connection.sendall(options("TCP", f"length{number}", length) + options("TCP", f"lost{number}"))
                answer = heard(connection, b"never")
                self.assertTrue(answer.startswith(b"SIP/2.0 400 "), answer)
                self.assertNotIn(b"lost", answer)

        await deferToThread(ask)
