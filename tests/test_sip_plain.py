"""Plain requests: read by one expression, and the very same as the parser's own."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from voipshift.errors import ProtocolViolation
from voipshift.sip.message import Request, parse
from voipshift.sip.plain import PlainRequest, parse_plain
from voipshift.sip.validation import objection, objection_of_server

INVITE = (
    b"INVITE sip:123@192.0.2.1:5060 SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bK1;rport\r\n"
    b"Max-Forwards: 70\r\n"
    b'From: "Alice" <sip:alice@example.net>;tag=a1\r\n'
    b"To: <sip:123@192.0.2.1>\r\n"
    b"Call-ID: 1@192.0.2.9\r\n"
    b"CSeq: 1 INVITE\r\n"
    b"Contact: <sip:alice@192.0.2.9:5070>\r\n"
    b"User-Agent: phone 1\r\n"
    b"Content-Type: application/sdp\r\n"
    b"Content-Length: 4\r\n\r\nv=0\n"
)

#: What a request is made of: a line of each row, or of two, or of none.
START = (
    "INVITE sip:123@192.0.2.1:5060",
    "INVITE sip:192.0.2.1",
    "INVITE sip:a%20b@example.net",
    "OPTIONS sip:a@example.net:65535",
    "INVITE sip:a@example.net:65536",
    "INVITE sip:a@example.net;user=phone",
    "INVITE sips:a@example.net",
    "INVITE tel:+1234",
    "BYE sip:a:secret@EXAMPLE.net:05060",
    "INVITE sip:a@[2001:db8::1]",
    "MESSAGE sip:@example.net",
    "INVITE sip:a@example.net?b=c",
)
LINES = (
    (
        "Via: SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bK1;rport",
        "Via: SIP/2.0/TCP phone.example.net;branch=z9hG4bKa.b",
        "Via: SIP/2.0/UDP 192.0.2.9;rport;branch=z9hG4bK-1",
        "Via: SIP/2.0/UDP 192.0.2.9:70000;branch=z9hG4bK1",
        "Via: SIP/2.0/UDP 192.0.2.9;rport;branch=z9hG4bK1;rport",
        "Via: SIP/2.0/UDP Phone:5060;branch=z9hG4bK1",
        "Via: SIP/2.0/UDP 192.0.2.9;branch=1",
        "v: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1",
        "Via: SIP/2.0/UDP [2001:db8::9];branch=z9hG4bK1",
        "Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1, SIP/2.0/UDP 192.0.2.8;branch=z9hG4bK2",
        "Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1;received=192.0.2.7",
    ),
    (
        'From: "Alice" <sip:alice@example.net>;tag=a1',
        "From: <sip:alice@example.net>;tag=a1",
        "From: Al Ice <sips:a@b;c?d>;tag=a%1",
        "From: sip:alice@example.net;tag=a1",
        "f: <sip:alice@example.net>;tag=a1",
        "From: <tel:+123>;tag=a1",
        'From: "A\\"l" <sip:a@b>;tag=1',
        "From:  <sip:alice@example.net>;tag=a1",
        "From: <sip:alice@example.net>",
        "From: <sip:a@b>;tag=1;tag=2",
        'From: "Alice"<sip:a@b>;tag=1',
    ),
    (
        "To: <sip:123@192.0.2.1>",
        "To: <sip:123@192.0.2.1>;tag=b2",
        'To: "Bob" <sip:bob@example.net>',
        "To: bob <sip:bob@example.net>;tag=",
        "t: <sip:b@c>",
        "To: <sip:123@192.0.2.1>\r\n ;tag=b2",
        "To: Bäb <sip:bob@example.net>",
        "TO: <sip:bob@example.net>",
    ),
    ("Call-ID: 1@192.0.2.9", "Call-ID: a b", "Call-ID: ", "i: 1", "Call-ID: 1 ", "CALL-ID: x"),
    (
        "CSeq: 1 INVITE",
        "CSeq: 1 INVITE",
        "CSeq: 1 INVITE",
        "CSeq: 2147483648 INVITE",
        "CSeq: 7 OPTIONS",
        "CSeq: 1  INVITE",
        "CSeq: x INVITE",
        "CSeq: 0 BYE",
    ),
    (
        "Max-Forwards: 70",
        "Max-Forwards: 70",
        "Max-Forwards: 0",
        "Max-Forwards: 07",
        "Max-Forwards: 255",
        "Max-Forwards: 256",
        "Max-Forwards: 70 ",
    ),
)
#: A line of each of these is there sometimes.
FURTHER = (
    "Contact: <sip:alice@192.0.2.9:5070>",
    "User-Agent: phone 1",
    "User-Agent: phone ",
    "Allow: INVITE, ACK",
    "Supported: replaces",
    "Content-Type: application/sdp",
    "Content-Length: 0",
    "Content-Length: 4",
    "Content-Length: 9",
    "Route: <sip:192.0.2.1;lr>",
    "Require: 100rel",
    "Proxy-Require: foo",
    "Record-Route: <sip:192.0.2.8;lr>",
    "Priority: emergency",
    "X-Asterisk: 1",
    "x-a: 2",
    "Subject: a\r\n b",
    "Broken",
    "Expires: 60",
    "Subject: ",
    "Date: a\nb",
    "Resource-Priority: ets.0",
    "P-Asserted-Identity: <sip:a@b>",
    "Timestamp: 54",
    "Accept : a",
    "k: timer",
    "Contact: \xfc",
)


def draw(random: Random) -> bytes:
    """A request, and most likely one that has something about it."""
    odd = random.choice((0.0, 0.1, 0.3))

    def one(row: tuple[str, ...]) -> str:
        return random.choice(row) if random.random() < odd else row[0]

    lines = [one(row) for row in LINES for _ in range(1 if random.random() > odd / 4 else random.choice((0, 2)))]
    lines += random.sample(FURTHER, random.randrange(5) if random.random() < odd else 0)
    if random.random() < 0.5:
        lines += ["User-Agent: phone 1", "Content-Length: 4"]
    top, *rest = lines or [""]
    if random.random() < odd:
        random.shuffle(rest)
    return "\r\n".join((f"{one(START)} SIP/2.0", top, *rest, "", "v=0\n")).encode("latin-1")


def outcome(look: Callable[[], Any]) -> str:
    """What comes of looking at something, a violation included."""
    try:
        return repr(look())
    except ProtocolViolation as violation:
        return f"{violation.status} {violation.reason}"


def looks(request: Request) -> list[Callable[[], Any]]:
    """All that is asked of a request, in a row that any of it may begin."""
    names = (
        "via",
        "from",
        "to",
        "call-id",
        "cseq",
        "User-Agent",
        "route",
        "Contact",
        "Priority",
        "Max-Forwards",
        "k",
        "x-a",
    )
    return [
        lambda: request.method,
        lambda: request.uri,
        lambda: request.target,
        lambda: (request.via.sent_by, request.via.transport, sorted(request.via.parameters.items(), key=str)),
        lambda: request.transaction_key,
        lambda: [request.has_via_parameter(name) for name in ("rport", "received", "passed-on")],
        lambda: (request.has_one_via, request.get("via")),
        lambda: request.max_forwards,
        lambda: (request.from_uri, request.from_tag, request.from_),
        lambda: (request.to_tag, request.to),
        lambda: (request.call_id, request.cseq),
        lambda: [(request.get(name), request.has(name), request.values(name)) for name in names],
        lambda: (objection(request, frozenset()), objection_of_server(request)),
        lambda: request.response(302, to_tag="t", fields=(("Contact", "<sip:1@192.0.2.2>"),)).octets(),
        lambda: request.response(503, "Busy", to_tag="t").fields,
        lambda: request.response(100).octets(),
        lambda: request.response(200, to_tag="t", body=b"ok").octets(),
        lambda: request.copy().octets(),
        lambda: (request.fields, request.body, request.octets()),
    ]


class PlainTests(SynchronousTestCase):
    """A plain request is read without being taken apart."""

    def plain(self, octets: bytes = INVITE) -> PlainRequest:
        request = parse_plain(octets)
        assert request is not None
        return request

    def test_what_a_redirect_needs_takes_no_line_apart(self) -> None:
        """From the datagram to the 302."""
        request = self.plain()
        request.stamp("192.0.2.7", 1024)
        self.assertIsNone(objection(request, frozenset()))
        self.assertEqual(request.target.address(), ("192.0.2.1", 5060))  # type: ignore[union-attr]  # it is no tel URI
        response = request.response(302, to_tag="b2", fields=(("Contact", "<sip:123@192.0.2.2:5060>"),))
        self.assertEqual(
            response.octets(),
            b"SIP/2.0 302 Moved Temporarily\r\n"
            b"Via: SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bK1;rport=1024;received=192.0.2.7\r\n"
            b'From: "Alice" <sip:alice@example.net>;tag=a1\r\n'
            b"To: <sip:123@192.0.2.1>;tag=b2\r\n"
            b"Call-ID: 1@192.0.2.9\r\n"
            b"CSeq: 1 INVITE\r\n"
            b"Contact: <sip:123@192.0.2.2:5060>\r\n"
            b"Content-Length: 0\r\n\r\n",
        )
        self.assertTrue(request.is_whole)

    def test_it_can_be_changed(self) -> None:
        """It is a request like any other as soon as somebody wants that."""
        request, other = self.plain(), parse(INVITE)
        for each in (request, other):
            each.stamp("192.0.2.7", 1024)  # type: ignore[union-attr]  # it is a request
            each.remove("User-Agent")
            each.prepend("Route", "<sip:192.0.2.3;lr>")
            each.set("Max-Forwards", "69")
        self.assertEqual(request.octets(), other.octets())
        self.assertEqual((request.has("Route"), request.get("user-agent"), request.max_forwards), (True, None, 69))
        self.assertFalse(request.is_whole)

    def test_its_answer_can_be_changed(self) -> None:
        """A response is written at once, and can still have a field more."""
        responses = [
            each.response(302, to_tag="b2") for each in (self.plain(), parse(INVITE)) if isinstance(each, Request)
        ]
        for response in responses:
            response.add("Contact", "<sip:1@192.0.2.2>")
            response.remove_first_value("Via")
        self.assertEqual(responses[0].octets(), responses[1].octets())

    def test_a_line_end_cannot_be_written(self) -> None:
        """That would be another header field."""
        self.assertRaises(ValueError, self.plain().response, 302, fields=(("Contact", "a\r\nVia: b"),))

    def test_what_is_too_long_is_not_plain(self) -> None:
        """So that nobody need count its lines."""
        self.assertIsNone(parse_plain(INVITE.replace(b"phone 1", b"p" * 1500)))


class SameTests(SynchronousTestCase):
    """What is read by one expression is what the parser reads."""

    def test_whatever_is_asked_of_it(self) -> None:
        """Each question has the same answer, whichever comes first, and whether the request was stamped."""
        random = Random(3261)
        plain = 0
        for _ in range(3000):
            octets = draw(random)
            if parse_plain(octets) is None:
                continue
            plain += 1
            first = random.randrange(len(looks(parse_plain(octets))))  # type: ignore[arg-type]  # it was one just now
            source = random.choice((None, ("192.0.2.9", 5070), ("192.0.2.7", 1024)))
            asked = []
            for request in (parse_plain(octets), parse(octets)):
                assert isinstance(request, Request)
                if source is not None:
                    request.stamp(*source)
                row = looks(request)
                asked.append([outcome(look) for look in row[first:] + row[:first]])
            self.assertEqual(asked[0], asked[1], octets)
        self.assertGreater(plain, 1000)

    def test_cut_anywhere(self) -> None:
        """What is cut off is not plain, but for a body that nobody gave a length."""
        for end in range(len(INVITE)):
            self.assertIsNone(parse_plain(INVITE[:end]))

    def test_an_octet_changed(self) -> None:
        """Whatever comes of it is the same, or is left to the parser."""
        random = Random(8)
        for _ in range(3000):
            place = random.randrange(len(INVITE) - 4)
            octets = (
                INVITE[:place]
                + random.choice((b"\r\n", b" ", b":", b";", b'"', b"<", b"0", b"\xe4", b""))
                + INVITE[place + 1 :]
            )
            request = parse_plain(octets)
            if request is not None:
                other = parse(octets)
                assert isinstance(other, Request)
                self.assertEqual(
                    [outcome(look) for look in looks(request)], [outcome(look) for look in looks(other)], octets
                )
