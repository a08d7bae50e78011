"""The cases of RFC 4475 that are about where a message ends, over TCP, and what a far end hears of them.

Their vectors are called clerr, ncl, mcl01 and dblreq, which is two messages on a stream.
"""

from __future__ import annotations

from twisted.internet.address import IPv4Address
from twisted.trial.unittest import SynchronousTestCase

from tests.test_sip_streams import Reactor, Wire
from voipshift.sip.framing import Broken, Framing
from voipshift.sip.listeners import Listener, Listeners
from voipshift.sip.message import Request, Response, parse
from voipshift.sip.server import SipServer
from voipshift.sip.streams import SLOW_S, Streams
from voipshift.sip.transaction import ServerTransaction

PHONE = ("198.51.100.7", 40000)

SDP = (
    "v=0\r\no=mhandley 29739 7272939 IN IP4 192.0.2.15\r\ns=-\r\nc=IN IP4 192.0.2.15\r\nt=0 0\r\n"
    "m=audio 49217 RTP/AVP 0 12\r\n"
)
CLERR = (
    "INVITE sip:user@example.com SIP/2.0\r\nMax-Forwards: 80\r\nTo: sip:j.user@example.com\r\n"
    "From: sip:caller@example.net;tag=93942939o2\r\nContact: <sip:caller@hungry.example.net>\r\n"
    "Call-ID: clerr.0ha0isndaksdjweiafasdk3\r\nCSeq: 8 INVITE\r\n"
    "Via: SIP/2.0/TCP host5.example.com;branch=z9hG4bK-39234-23523\r\nContent-Type: application/sdp\r\n"
    f"Content-Length: 9999\r\n\r\n{SDP}"
).encode()
NCL = (
    "INVITE sip:user@example.com SIP/2.0\r\nMax-Forwards: 254\r\nTo: sip:j.user@example.com\r\n"
    "From: sip:caller@example.net;tag=32394234\r\nCall-ID: ncl.0ha0isndaksdj2193423r542w35\r\nCSeq: 0 INVITE\r\n"
    "Via: SIP/2.0/TCP 192.0.2.53;branch=z9hG4bKkdjuw\r\nContact: <sip:caller@example53.example.net>\r\n"
    f"Content-Type: application/sdp\r\nContent-Length: -999\r\n\r\n{SDP}"
).encode()
MCL01 = (
    b"OPTIONS sip:user@example.com SIP/2.0\r\nVia: SIP/2.0/TCP host5.example.net;branch=z9hG4bK293423\r\n"
    b"To: sip:user@example.com\r\nFrom: sip:other@example.net;tag=3923942\r\n"
    b"Call-ID: mcl01.fhn2323orihawfdoa3o4r52o3irsdf\r\nCSeq: 15932 OPTIONS\r\nContent-Length: 13\r\n"
    b"Max-Forwards: 60\r\nContent-Length: 5\r\nContent-Type: text/plain\r\n\r\n"
    b"There's no way to know how many octets are supposed to be here.\r\n"
)
DBLREQ = (
    "REGISTER sip:example.com SIP/2.0\r\nTo: sip:j.user@example.com\r\n"
    "From: sip:j.user@example.com;tag=43251j3j324\r\nMax-Forwards: 8\r\n"
    "I: dblreq.0ha0isndaksdj99sdfafnl3lk233412\r\nContact: sip:j.user@host.example.com\r\nCSeq: 8 REGISTER\r\n"
    "Via: SIP/2.0/TCP 192.0.2.125;branch=z9hG4bKkdjuw23492\r\nContent-Length: 0\r\n\r\n\r\n"
    "INVITE sip:joe@example.com SIP/2.0\r\nt: sip:joe@example.com\r\nFrom: sip:caller@example.net;tag=141334\r\n"
    "Max-Forwards: 8\r\nCall-ID: dblreq.0ha0isnda977644900765@192.0.2.15\r\nCSeq: 8 INVITE\r\n"
    "Via: SIP/2.0/TCP 192.0.2.15;branch=z9hG4bKkdjuw380234\r\nContent-Type: application/sdp\r\n"
    f"Content-Length: {len(SDP)}\r\n\r\n{SDP}"
).encode()
GOOD = MCL01.partition(b"Content-Length: 13")[0] + b"Content-Length: 0\r\n\r\n"


class StreamTortureTests(SynchronousTestCase):
    """A SIP door with one TCP listener, whose user answers everything with 200."""

    def setUp(self) -> None:
        self.reactor = Reactor()
        self.asked: list[Request] = []
        # Not forced: over a stream a response goes back by its connection all the same (18.2.2).
        listeners = Listeners([Listener("tcp", ("127.0.0.1", 5060))])
        self.sip = SipServer(clock=self.reactor, force_rport=False, listeners=listeners)
        self.sip.serve(self._requested, lambda ack, source: None, ())
        self.streams = Streams(
            reactor=self.reactor,
            received=self.sip.received,
            undelivered=self.sip.undelivered,
            trusted=lambda host: False,
            domain_of=lambda address: address[0],
        )
        self.streams.listen(0, ("127.0.0.1", 0), None)
        self.streams.start()
        self.sip.add_port(lambda octets, address: self.streams.send(0, octets, address))
        self.wire = Wire(self.reactor.accepting[0].buildProtocol(IPv4Address("TCP", *PHONE)))

    def tearDown(self) -> None:
        self.streams.stop()
        self.sip.stop()
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def _requested(self, transaction: ServerTransaction) -> None:
        self.asked.append(transaction.request)
        self.sip.respond(transaction, transaction.request.response(200, to_tag="there"))

    def say(self, octets: bytes, cut: int | None = None) -> None:
        """Send octets, in two pieces perhaps."""
        for piece in (octets,) if cut is None else (octets[:cut], octets[cut:]):
            self.wire.protocol.dataReceived(piece)

    def told(self) -> list[int]:
        """The status of each response that came, in order."""
        found = Framing().feed(self.wire.written())
        responses = [parse(each) for each in found if not isinstance(each, Broken)]
        return [each.status for each in responses if isinstance(each, Response)]

    def test_clerr(self) -> None:
        """A Content-Length larger than the message: the rest is waited for, and at last the connection closed."""
        self.say(GOOD)
        self.say(CLERR)
        self.reactor.advance(SLOW_S - 0.1)
        self.assertEqual((self.told(), self.wire.ended), ([200], ""))
        self.reactor.advance(0.1)
        self.assertEqual((self.told(), self.wire.ended, len(self.asked)), ([], "aborted", 1))

    def test_ncl(self) -> None:
        """A negative one is 400, and the connection ends: nobody knows where the next message begins."""
        self.say(NCL + GOOD)
        self.assertEqual((self.told(), self.wire.ended, self.asked), ([400], "lost", []))

    def test_mcl01(self) -> None:
        """Two that differ, likewise."""
        self.say(MCL01 + GOOD)
        self.assertEqual((self.told(), self.wire.ended, self.asked), ([400], "lost", []))

    def test_dblreq(self) -> None:
        """Two messages in one piece, with an empty line between them, are both answered."""
        for cut in (None, *range(1, len(DBLREQ), 7)):
            self.say(DBLREQ.replace(b"z9hG4bKkdjuw", b"z9hG4bK%dx" % (cut or 0)), cut)
            self.assertEqual([each.method for each in self.asked], ["REGISTER", "INVITE"], cut)
            self.assertEqual(self.asked[1].body, SDP.encode())
            self.assertEqual(self.told(), [200, 200])
            self.asked.clear()
        self.assertEqual(self.wire.ended, "")

    def test_malformed_but_whole(self) -> None:
        """A request that breaks other rules is answered, and the connection goes on."""
        self.say(GOOD.replace(b"15932 OPTIONS", b"15932 INVITE") + GOOD)
        self.assertEqual((self.told(), self.wire.ended), ([400, 200], ""))
