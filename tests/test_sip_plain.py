"""Plain messages: looked at once, and the very same as the parser's own, whatever is asked or changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from random import Random
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from voipshift.errors import ProtocolViolation
from voipshift.sip.message import Request, Response, parse
from voipshift.sip.plain import MAX_HEADER, PlainRequest, PlainResponse, parse_plain
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

RINGING = (
    b"SIP/2.0 180 Ringing\r\n"
    b'Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1.2;oc;oc-algo="loss"\r\n'
    b"Via: SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bK1;rport=5070;received=192.0.2.9\r\n"
    b"Record-Route: <sip:192.0.2.1:5060;lr>\r\n"
    b'From: "Alice" <sip:alice@example.net>;tag=a1\r\n'
    b"To: <sip:123@192.0.2.1>;tag=b2\r\n"
    b"Call-ID: 1@192.0.2.9\r\n"
    b"CSeq: 1 INVITE\r\n"
    b"Contact: <sip:192.0.2.20:5060>\r\n"
    b"Content-Length: 0\r\n\r\n"
)

#: What a message is made of: a line of each row, or of two, or of none.
STATUS = (
    "SIP/2.0 180 Ringing",
    "SIP/2.0 200 OK",
    "SIP/2.0 486 Besetzt, \xfc",
    "SIP/2.0 200 ",
    "SIP/2.0 200",
    "SIP/2.0 700 No",
    "SIP/2.0 099 No",
    "SIP/2.0  200 OK",
    "sip/2.0 200 OK",
    "SIP/2.1 200 OK",
)
START = (
    "INVITE sip:123@192.0.2.1:5060",
    "INVITE sip:192.0.2.1",
    "INVITE sip:a%20b@example.net",
    "OPTIONS sip:a@example.net:65535",
    "INVITE sip:a@example.net:65536",
    "INVITE sip:a@example.net;user=phone",
    "BYE sip:a@192.0.2.9:5070;transport=udp;ob",
    "BYE sip:a@192.0.2.9;lr;lr",
    "ACK sip:a@192.0.2.9;a=;b%20=%41",
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
        'Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1.2;oc;oc-algo="loss"',
        'Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1.2;oc=20;oc-algo="loss";oc-validity=500;oc-seq=12.7',
        "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1;rport=5060;received=192.0.2.1",
        "Via: SIP/2.0/UDP 192.0.2.9;rport;branch=z9hG4bK1;received=192.0.2.7",
        "Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1;alias;rport;branch=z9hG4bK1",
        'Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1;x=";rport;";rport;y',
        "Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1,SIP/2.0/TCP 192.0.2.8:5060;branch=z9hG4bK2 , SIP/2.0/UDP a ",
        'Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1;oc-algo="loss, rate", SIP/2.0/UDP 192.0.2.8;branch=z9hG4bK2',
        "Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1;rport, ",
        "Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1,,",
        f"Via: {', '.join(f'SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK{number}' for number in range(41))}",
        "Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1;ttl=1;maddr=224.2.0.1;RPORT",
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
    "Content-Length:     4",
    "Via: SIP/2.0/UDP 192.0.2.8;branch=z9hG4bK8",
    "Via: SIP/2.0/UDP 192.0.2.8;branch=z9hG4bK8, SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK7",
    "Via: nonsense",
    "Route: <sip:192.0.2.1;lr>, <sip:192.0.2.3;lr>",
    "Contact:   <sip:a@192.0.2.9>;q=1 , <sip:b@192.0.2.9> ",
    "Min-SE: 90",
    "Max-Breadth: 30",
    "Session-Expires: 1800;refresher=uac",
    "Session-expires: 90",
    "RSeq: 1",
    "Server: gateway",
    "Expires: 60",
    "expires: 60",
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
    """A message, and most likely one that has something about it."""
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
    if random.random() < 0.3:
        rest.insert(0, "Via: SIP/2.0/TCP 192.0.2.7;branch=z9hG4bK7;received=192.0.2.7")
    if random.random() < 0.3:
        rest += random.sample(("Route: <sip:192.0.2.1;lr>", "Record-Route: <sip:192.0.2.8;lr>", "Min-SE: 90"), 2)
    start = one(STATUS) if random.random() < 0.5 else f"{one(START)} SIP/2.0"
    return "\r\n".join((start, top, *rest, "", "v=0\n")).encode("latin-1")


def outcome(look: Callable[[], Any]) -> str:
    """What comes of looking at something, a violation included."""
    try:
        return repr(look())
    except ProtocolViolation as violation:
        return f"{violation.status} {violation.reason}"


NAMES = (
    *("via", "From", "to", "call-id", "cseq", "User-Agent", "route", "Record-Route", "Contact", "Priority", "k"),
    *("Max-Forwards", "x-a", "X-Asterisk", "resource-priority", "Session-Expires", "content-length", "ROUTE"),
)


def looks(message: Request | Response) -> list[Callable[[], Any]]:
    """All that is asked of a message, in a row that any of it may begin."""
    both: list[Callable[[], Any]] = [
        lambda: (message.via.sent_by, message.via.transport, sorted(message.via.parameters.items(), key=str)),
        lambda: (message.branch, message.via_host, message.transaction_key),
        lambda: [message.has_via_parameter(name) for name in ("branch", "rport", "received", "oc-seq")],
        lambda: (message.has_one_via, message.get("via")),
        lambda: [str(via) for via in message.vias],
        lambda: (message.from_uri, message.from_tag, message.from_),
        lambda: (message.to_tag, message.to),
        lambda: (message.call_id, message.cseq, message.identity),
        lambda: [(message.get(name), message.has(name), message.values(name)) for name in NAMES],
        lambda: message.copy().octets(),
        lambda: (message.fields, message.body, message.octets()),
    ]
    if isinstance(message, Response):
        return [*both, lambda: (message.status, message.reason)]
    return [
        *both,
        lambda: (message.method, message.uri, message.target, message.max_forwards),
        lambda: (objection(message, frozenset()), objection_of_server(message)),
        lambda: message.response(302, to_tag="t", fields=(("Contact", "<sip:1@192.0.2.2>"),)).octets(),
        lambda: message.response(503, "Busy", to_tag="t").fields,
        lambda: message.response(100).octets(),
        lambda: message.response(200, to_tag="t", body=b"ok").octets(),
    ]


#: What a message may be given, a value for each.
PUT = (
    *(("Max-Forwards", "69"), ("Session-Expires", "1800"), ("Min-SE", "100"), ("Require", "timer"), ("X-A", "b")),
    *(("Record-Route", "<sip:192.0.2.3;lr>"), ("Route", "<sip:192.0.2.4>"), ("To", "<sip:c@d>;tag=x"), ("k", "path")),
    *(("Call-ID", "other"), ("Content-Length", "4"), ("route", "<sip:192.0.2.5;lr>"), ("CSeq", "9 INFO")),
)
VIAS = ("SIP/2.0/UDP 192.0.2.3;branch=z9hG4bK3", "SIP/2.0/UDP a;branch=z9hG4bK4, SIP/2.0/UDP b;branch=z9hG4bK5")


def changes(random: Random) -> list[Callable[[Request | Response], Any]]:
    """Some changes, one after the other."""
    name, value = random.choice(PUT)
    via = random.choice(VIAS)
    every: tuple[Callable[[Request | Response], Any], ...] = (
        lambda message: message.set(name, value),
        lambda message: message.add(name, value),
        lambda message: message.prepend(name, value),
        lambda message: message.remove(name),
        lambda message: message.remove_first_value(name),
        lambda message: message.push_via(VIAS[0], "z9hG4bK3"),
        lambda message: message.prepend("Via", via),
        lambda message: message.remove_first_value("Via"),
        lambda message: message.set("Via", via),
        lambda message: message.set_body(b"more", "text/plain"),
        lambda message: message.fields,
    )
    return [random.choice(every) for _ in range(random.randrange(1, 4))]


class PlainTests(SynchronousTestCase):
    """A plain message is read and changed without being taken apart."""

    def plain(self, octets: bytes = INVITE) -> PlainRequest:
        request = parse_plain(octets)
        assert isinstance(request, PlainRequest)
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

    def test_what_a_proxy_changes_takes_no_line_apart(self) -> None:
        """Neither of a request as it goes on, nor of a response as it comes back."""
        came = self.plain(INVITE.replace(b"Max", b"Route: <sip:192.0.2.1;lr>\r\nMax", 1))
        request = came.copy()
        request.remove("Route")
        request.set("Max-Forwards", "69")
        request.add("Session-Expires", "1800")
        request.prepend("Record-Route", "<sip:192.0.2.1;lr>")
        request.push_via("SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK2", "z9hG4bK2")
        self.assertEqual(
            request.octets(),
            INVITE.replace(b": 70", b": 69")
            .replace(b"Via: ", b"Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK2\r\nVia: ")
            .replace(b": 4\r\n", b": 4\r\nSession-Expires: 1800\r\nRecord-Route: <sip:192.0.2.1;lr>\r\n"),
        )
        response = parse_plain(RINGING)
        assert isinstance(response, PlainResponse) and isinstance(request, PlainRequest)
        self.assertEqual(response.transaction_key, "z9hG4bK1.2\nINVITE")
        response.remove_first_value("Via")
        self.assertEqual(response.octets(), RINGING.replace(RINGING.split(b"\r\n")[1] + b"\r\n", b""))
        self.assertEqual((came.is_whole, request.is_whole, response.is_whole), (True, True, True))
        self.assertTrue(came.has("Route"))

    def test_it_is_taken_apart_where_that_is_wanted(self) -> None:
        """It is a request like any other from then on."""
        request, other = self.plain(), parse(INVITE)
        for each in (request, other):
            each.stamp("192.0.2.7", 1024)  # type: ignore[union-attr]  # it is a request
            each.add("x-unknown", "1")
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

    def test_whose_it_is_stays_whatever_is_changed(self) -> None:
        """What somebody else has answered is his in each copy, also where it has another To by then."""
        response = parse_plain(RINGING)
        assert isinstance(response, PlainResponse)
        response.set("To", "<sip:123@192.0.2.1>;tag=c3")
        self.assertFalse(response.copy().ours)
        self.assertTrue(self.plain().response(302).copy().ours)

    def test_a_line_end_cannot_be_written(self) -> None:
        """That would be another header field."""
        self.assertRaises(ValueError, self.plain().response, 302, fields=(("Contact", "a\r\nVia: b"),))
        for change in (self.plain().set, self.plain().add, self.plain().prepend):
            for name in ("Via", "Route", "Max-Forwards"):
                self.assertRaises(ValueError, change, name, "a\r\nVia: b")

    def test_what_is_too_long_is_not_plain(self) -> None:
        """So that nobody need count its lines."""
        self.assertIsNone(parse_plain(INVITE.replace(b"phone 1", b"p" * MAX_HEADER)))
        self.assertIsNone(parse_plain(INVITE.replace(b": 4", b": 70000") + b"v" * 69_996))
        self.assertIsNone(parse_plain(INVITE.replace(b";rport", b", SIP/2.0/UDP a" * 70)))
        self.assertIsNone(parse_plain(INVITE.replace(b"Max", b"Via: SIP/2.0/UDP a\r\n" * 70 + b"Max", 1)))
        self.assertIsNone(parse_plain(INVITE.replace(b"Max", b"X-a: \r\n" * 201 + b"Max", 1)))


class SameTests(SynchronousTestCase):
    """What is read plainly is what the parser reads."""

    def drawn(self, random: Random, messages: int) -> Iterator[bytes]:
        """So many messages, and those of them that are plain; of either kind there are enough."""
        plain = {PlainRequest: 0, PlainResponse: 0}
        for _ in range(messages):
            octets = draw(random)
            message = parse_plain(octets)
            if message is not None:
                plain[type(message)] += 1
                yield octets
        self.assertGreater(min(plain.values()), messages // 6)

    def test_whatever_is_asked_of_it(self) -> None:
        """Each question has the same answer, whichever comes first, and whether the request was stamped."""
        random = Random(3261)
        for octets in self.drawn(random, 3000):
            first = random.randrange(20)
            source = random.choice((None, ("192.0.2.9", 5070), ("192.0.2.7", 1024)))
            asked = []
            for message in (parse_plain(octets), parse(octets)):
                assert message is not None
                if source is not None and isinstance(message, Request):
                    message.stamp(*source)
                row = looks(message)
                asked.append([outcome(look) for look in row[first:] + row[:first]])
            self.assertEqual(asked[0], asked[1], octets)

    def test_whatever_is_changed_in_it(self) -> None:
        """It is the same message afterwards, too."""
        random = Random(17)
        for octets in self.drawn(random, 3000):
            steps = changes(random)
            told = []
            for message in (parse_plain(octets), parse(octets)):
                assert message is not None
                done = [outcome(partial(step, message)) is not None for step in steps]
                told.append([done, *(outcome(look) for look in looks(message))])
            self.assertEqual(told[0], told[1], octets)

    def test_cut_anywhere(self) -> None:
        """What is cut off is not plain, but for a body that nobody gave a length."""
        for octets in (INVITE, RINGING):
            for end in range(len(octets)):
                self.assertIsNone(parse_plain(octets[:end]))

    def test_an_octet_changed(self) -> None:
        """Whatever comes of it is the same, or is left to the parser."""
        random = Random(8)
        for _ in range(6000):
            whole = random.choice((INVITE, RINGING))
            place = random.randrange(len(whole) - 4)
            octets = (
                whole[:place]
                + random.choice((b"\r\n", b" ", b":", b";", b'"', b"<", b"0", b"\xe4", b""))
                + whole[place + 1 :]
            )
            message = parse_plain(octets)
            if message is not None:
                other = parse(octets)
                self.assertEqual(
                    [outcome(look) for look in looks(message)], [outcome(look) for look in looks(other)], octets
                )
