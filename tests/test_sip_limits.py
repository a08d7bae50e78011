"""The limits that README.rst tells of, as a node has them; what happens beyond each is tested where it belongs."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from voipshift.sip.connection import MAX_UNREAD
from voipshift.sip.layer import MAX_ABSORBING
from voipshift.sip.listeners import Listener, Listeners
from voipshift.sip.message import MAX_FIELDS, MAX_MESSAGE, MAX_VIAS
from voipshift.sip.server import SipServer
from voipshift.sip.streams import MAX_PER_ADDRESS, SLOW_S

ASKED = (
    b"INVITE sip:bob@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK%d\r\nMax-Forwards: 70\r\n"
    b"From: <sip:alice@192.0.2.7>;tag=a1\r\nTo: <sip:bob@192.0.2.1>\r\nCall-ID: %d\r\nCSeq: 1 INVITE\r\n\r\n"
)


class LimitsTests(SynchronousTestCase):
    """A door whose user never answers."""

    def test_undecided(self) -> None:
        """The 20 000th request is taken, and the next one is not."""
        clock = Clock()
        server = SipServer(clock=clock, force_rport=True, listeners=Listeners([Listener("udp", ("192.0.2.1", 5060))]))
        said: list[bytes] = []
        server.add_port(lambda octets, address: said.append(octets))
        taken: list[object] = []
        server.serve(taken.append, lambda ack, source: None, ())
        for number in range(20_001):
            server.received(0, ASKED % (number, number), ("192.0.2.7", 5060))
        self.assertEqual((len(taken), len(said)), (20_000, 1))
        self.assertTrue(said[0].startswith(b"SIP/2.0 503 "))
        server.stop()
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_as_documented(self) -> None:
        """64 kB, 200 header lines, 70 Via; 50 connections, 10 s, 1 MB unread; 200 000 transactions that only absorb."""
        self.assertEqual((MAX_MESSAGE, MAX_FIELDS, MAX_VIAS), (65_536, 200, 70))
        self.assertEqual((MAX_PER_ADDRESS, SLOW_S, MAX_UNREAD, MAX_ABSORBING), (50, 10.0, 1 << 20, 200_000))
