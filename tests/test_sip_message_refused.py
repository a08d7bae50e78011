"""Malformed SIP messages are refused, and answered where they can be, as RFC 4475 and RFC 5118 ask."""

from __future__ import annotations

import contextlib
import random

from twisted.trial.unittest import SynchronousTestCase

from tests.sip_wire import BODY, INVITE, RINGING, TORTUOUS, changed, made_slow, parsed
from voipshift.errors import ProtocolViolation
from voipshift.sip.message import MAX_FIELDS, MAX_VIAS, MalformedRequest, Request, parse


class RefusingTests(SynchronousTestCase):
    """What parse does not let through."""

    def test_malformed_requests(self) -> None:
        """RFC 4475 3.1.2, 3.3 and others: each is answered with 400, made of what can be read."""
        for word, pairs in (
            ("badinv01", [("192.0.2.7:5060;branch=z9hG4bK1;rport", "192.0.2.15;;,;,,")]),
            ("clerr", [(": 36", ": 9999")]),
            ("ncl", [(": 36", ": -999")]),
            ("no number", [(": 36", ": 36,36")]),
            ("long number", [(": 36", ": " + "9" * 5000)]),
            ("scalar02", [("CSeq: 1 ", "CSeq: 36893488147419103232 ")]),
            ("long CSeq", [("CSeq: 1 ", "CSeq: " + "1" * 5000 + " ")]),
            ("quotbal", [('To: <sip', 'To: "Mr. J. User <sip')]),
            ("lwsruri", [("sip:bob@192.0.2.1 SIP", "sip:bob@192.0.2.1; lr SIP")]),
            ("lwsstart", [("INVITE sip:bob", "INVITE  sip:bob")]),
            ("trws", [("1 SIP/2.0\r\n", "1 SIP/2.0  \r\n")]),
            ("mismatch01", [("1 INVITE", "1 OPTIONS")]),
            ("insuf", [("Call-ID: c1@192.0.2.7\r\n", ""), ("To: <sip:bob@192.0.2.1>\r\n", "")]),
            ("no From", [('From: "Alice" <sip:alice@192.0.2.7>;tag=a1\r\n', "")]),
            ("no CSeq", [("CSeq: 1 INVITE\r\n", "")]),
            ("empty Call-ID", [("Call-ID: c1@192.0.2.7\r\n", "Call-ID: \r\n")]),
            ("multi01", [("CSeq:", "CSeq: 59 INVITE\r\nCall-ID: 2\r\nTo: <sip:c@d>\r\nFrom: <sip:e@f>\r\nCSeq:")]),
            ("mcl01", [("Content-Length:", "l: 5\r\nContent-Length:")]),
            ("the same twice", [("Content-Length:", "l: 36\r\nContent-Length:")]),
            ("two Max-Forwards", [("Max-Forwards", "Max-Forwards: 1\r\nMax-Forwards")]),
            ("Max-Forwards too large", [("Max-Forwards: 70", "Max-Forwards: 256")]),
            ("Max-Forwards no number", [("Max-Forwards: 70", "Max-Forwards: x")]),
            ("tag twice", [(";tag=a1", ";tag=a1;tag=a2")]),
            ("a line without a colon", [("X-Unknown:", "X-Unknown")]),
            ("a known name without a colon", [("X-Unknown:", "Subject\r\nX-Unknown:")]),
            ("a name that is none", [("X-Unknown:", "X Unknown:")]),
            ("bare LF", [("X-Unknown:", "X-A: b\nX-Unknown:")]),
            ("bare CR", [("X-Unknown:", "X-A: b\rX-Unknown:")]),
            ("control in the URI", [("sip:bob@", "sip:b\x00b@")]),
            ("octets in the URI", [("sip:bob@192.0.2.1 ", "sip:b\xc3\xb6b@192.0.2.1 ")]),
            ("ipv6-bad in Via", [("UDP 192.0.2.7:5060", "UDP 2001:db8::9:1")]),
            ("empty line missing", [("\r\n\r\n" + BODY.decode(), "\r\n")]),
        ):  # fmt: skip
            refusal = self.assertRaises(MalformedRequest, parse, changed(INVITE, *pairs))
            self.assertEqual(refusal.status, 400, word)
            answer = refusal.request.response(400, refusal.reason, to_tag="t").octets()
            self.assertTrue(answer.startswith(b"SIP/2.0 400 "), word)
            self.assertIn(b"\r\nVia: ", answer, word)
            for name in (b"From", b"To", b"Call-ID", b"CSeq"):
                self.assertLess(answer.count(b"\r\n%s:" % name), 2, word)

    def test_other_versions(self) -> None:
        """RFC 4475 3.1.2.16: a request of another version SHOULD get 505."""
        refusal = self.assertRaises(
            MalformedRequest, parse, changed(INVITE, ("SIP/2.0\r\n", "SIP/7.0\r\n"), ("SIP/2.0/UDP", "SIP/7.0/UDP"))
        )
        self.assertEqual(refusal.status, 505)
        self.assertIn(b"\r\nVia: SIP/7.0/UDP", refusal.request.response(505).octets())

    def test_request_uris(self) -> None:
        """RFC 5118 4.2, RFC 4475 3.1.2.7: a Request-URI that is none is refused; one of another scheme is not (416)."""
        for uri in ("sip:2001:db8::10", "<sip:bob@192.0.2.1>", "SIPS:b@", "bob", "sip:b@c;;x", ":", "sip:", "*"):
            octets = changed(INVITE, ("sip:bob@192.0.2.1 ", uri + " "))
            self.assertEqual(self.assertRaises(MalformedRequest, parse, octets).status, 400)
        for uri in ("isbn:2983792873", "soap.beep://192.0.2.103:3002", "tel:+1"):
            self.assertEqual(parsed(changed(INVITE, ("sip:bob@192.0.2.1 ", uri + " "))).uri, uri)

    def test_unanswerable(self) -> None:
        """A response, an ACK, or what has no Via is refused with nothing to answer."""
        for octets in (
            changed(RINGING, ("180", "4294967301")),
            changed(RINGING, ("180", "99")),
            changed(RINGING, ("180", "700")),
            changed(RINGING, ("180", "1\xb20")),
            changed(RINGING, ("CSeq: 1 ", "CSeq: 9292394834772304023312 ")),
            changed(RINGING, ("To:", "X:")),
            changed(RINGING, ("SIP/2.0 180", "SIP/3.0 180")),
            changed(INVITE, ("INVITE", "ACK"), (": 36", ": 9999")),
            changed(INVITE, ("Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK1;rport\r\n", "")),
            changed(INVITE, ("SIP/2.0\r\n", "HTTP/1.1\r\n")),
            changed(INVITE, ("Via:", " Via:")),
            changed(RINGING, ("Via:", " Via: x\r\nVia:")),
            b"",
            b"\r\n\r\n",
            b"\r\n\r\n\r\n\r\n",
            b"\x00\x01\x00\x00!\x12\xa4B" + b"\x00" * 12,
            bytes(range(256)) * 8,
            b"INVITE",
        ):
            refusal = self.assertRaises(ProtocolViolation, parse, octets)
            self.assertNotIsInstance(refusal, MalformedRequest)

    def test_limits(self) -> None:
        """More than 64 kB, 200 header fields or 70 Via are refused; as many as that are read."""
        field, via = "X-A: b\r\n", "Via: SIP/2.0/UDP a\r\n"
        parse(changed(INVITE, ("Max-Forwards", field * (MAX_FIELDS - 9) + "Max-Forwards")))
        parse(changed(INVITE, ("Max-Forwards", via * (MAX_VIAS - 1) + "Max-Forwards")))
        parse(changed(INVITE, ("Max-Forwards", via[:-2] + ", SIP/2.0/UDP a" * (MAX_VIAS - 2) + "\r\nMax-Forwards")))
        for status, octets in (
            (400, changed(INVITE, ("Max-Forwards", field * (MAX_FIELDS - 8) + "Max-Forwards"))),
            (400, changed(INVITE, ("Max-Forwards", via * MAX_VIAS + "Max-Forwards"))),
            (400, changed(INVITE, (";rport", ";rport" + ", SIP/2.0/UDP a" * MAX_VIAS))),
            (513, changed(INVITE, ("kept", "k" * 65536))),
        ):
            refusal = self.assertRaises(MalformedRequest, parse, octets)
            self.assertEqual(refusal.status, status)
            self.assertLess(len(refusal.request.response(status).octets()), 5000)

    def test_as_much_as_fits(self) -> None:
        """64 kB of whatever is a message or a violation; ``bench/hostile.py`` measures what it costs."""
        for old, new in made_slow(64_000):
            with contextlib.suppress(ProtocolViolation):
                parse(changed(INVITE, (old, new))).values("Contact")

    def test_every_cut(self) -> None:
        """A message cut anywhere is refused, or (without a length) is whole; one with a tail is that message."""
        for end in range(len(INVITE)):
            self.assertRaises(ProtocolViolation, parse, INVITE[:end])
        for end in range(len(RINGING) - 1):
            self.assertRaises(ProtocolViolation, parse, RINGING[:end])
        for tail in (b"x", b"\r\n", b"\x00" * 100, INVITE):
            self.assertEqual(parse(INVITE + tail).octets(), INVITE)

    def test_mutations(self) -> None:
        """Random changes, one seed: a message that can be used and written, or a violation that can be answered."""
        draw = random.Random(3261)
        seeds = (INVITE, RINGING, TORTUOUS)
        pieces = [
            b"\r\n",
            b"\r\n ",
            b"\n",
            b"\r",
            b":",
            b";",
            b",",
            b'"',
            b"<",
            b">",
            b"=",
            b"\x00",
            b"\xff",
            b"9" * 12,
            b"SIP/2.0",
            b" ",
        ]
        for _ in range(4000):
            octets = bytearray(draw.choice(seeds))
            for _ in range(draw.randrange(1, 5)):
                at = draw.randrange(len(octets))
                octets[at : at + draw.randrange(3)] = draw.choice((*pieces, bytes((draw.randrange(256),))))
            self._use(bytes(octets))

    def _use(self, octets: bytes) -> None:
        try:
            message = parse(octets)
        except MalformedRequest as refusal:
            refusal.request.response(refusal.status, refusal.reason, to_tag="t").octets()
            with contextlib.suppress(ProtocolViolation):
                refusal.request.stamp("192.0.2.99", 5099)
                refusal.request.response(refusal.status).octets()
            return
        except ProtocolViolation:
            return
        self.assertEqual(len({id(part) for part in (message.via, message.from_, message.to)}), 3)
        for use in (lambda: message.vias, lambda: message.values("Contact"), lambda: message.get("X-Unknown")):
            with contextlib.suppress(ProtocolViolation):
                use()
        written = message.octets()
        again = parse(written)
        self.assertEqual(again.octets(), written)
        if isinstance(message, Request):
            self.assertIn(message.max_forwards, (None, *range(256)))
            message.stamp("192.0.2.99", 5099)
            self.assertEqual(parsed(message.octets()).via.received in ("192.0.2.99", None), True)
            answer = parse(message.response(302, to_tag="t", fields=[("Contact", "<sip:a@b>")]).octets())
            self.assertEqual((answer.call_id, answer.cseq), (message.call_id, message.cseq))
            self.assertIsNotNone(answer.to_tag)
