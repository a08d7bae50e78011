"""The SIP door against whatever comes: datagrams in, at most one answer out, nothing left behind."""

from __future__ import annotations

from random import Random

from tests.sipnet import GATEWAY, HERE, MEMBER, STRANGER, SipNetTestCase
from voipshift.node import Address

#: Where bad input comes from.
SOURCE = STRANGER

GOOD = (
    b"INVITE sip:100@192.0.2.1 SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 203.0.113.9:5060;branch=z9hG4bKgood;rport\r\n"
    b"Max-Forwards: 70\r\n"
    b"From: <sip:alice@example.org>;tag=1\r\n"
    b"To: <sip:100@192.0.2.1>\r\n"
    b"Call-ID: good\r\n"
    b"CSeq: 1 INVITE\r\n"
    b"Contact: <sip:alice@203.0.113.9>\r\n"
    b"Route: <sip:192.0.2.1;lr>\r\n"
    b"Content-Type: application/sdp\r\n"
    b"Content-Length: 4\r\n"
    b"\r\n"
    b"v=0\n"
)


class SipServerTestCase(SipNetTestCase):
    """A node, and somebody who sends octets to it."""

    def setUp(self) -> None:
        """A node with a member, so that every way through the portal is open."""
        super().setUp()
        self.here = self.node()
        self.introduce(self.here)
        self.answers: list[bytes] = []
        self.network.open_port(SOURCE, lambda octets, source: self.answers.append(octets))

    def send(self, octets: bytes, source: Address = SOURCE) -> list[bytes]:
        """Send one datagram; what came back at once."""
        self.answers.clear()
        self.network.send(octets, source, HERE)
        self.network.settle()
        return list(self.answers)

    def status(self, octets: bytes) -> str | None:
        """Send one datagram; the status of its one answer, None for silence."""
        answers = self.send(octets)
        self.assertLessEqual(len(answers), 1)
        return answers[0].split(b" ", 2)[1].decode() if answers else None


class MalformedTest(SipServerTestCase):
    """Malformed SIP gets 400, or 505, 416, 420, 483 as the RFC says, or silence for what cannot be answered."""

    def test_answered_as_the_rfc_says(self) -> None:
        """Each request with one thing wrong."""
        for number, (old, new, expected) in enumerate(
            [
                (b"SIP/2.0\r\nVia", b"SIP/3.0\r\nVia", "505"),
                (b"sip:100@192.0.2.1 SIP", b"mailto:100@192.0.2.1 SIP", "416"),
                (b"sip:100@192.0.2.1 SIP", b"sip:100@192.0.2.1:99999 SIP", "400"),
                (b"sip:100@192.0.2.1 SIP", b"<sip:100@192.0.2.1> SIP", "400"),
                (b"sip:100@192.0.2.1 SIP", b"sip:100@192.0.2.1 ; SIP", "400"),
                (b"sip:100@192.0.2.1 SIP", b'tel:x"y SIP', "400"),
                (b"Max-Forwards: 70", b"Max-Forwards: 0", "483"),
                (b"Max-Forwards: 70", b"Max-Forwards: 256", "400"),
                (b"Max-Forwards: 70", b"Max-Forwards: -1", "400"),
                (b"Max-Forwards: 70", b"Max-Forwards: " + b"7" * 5000, "400"),
                (b"Max-Forwards: 70", b"Proxy-Require: x", "420"),
                (b"CSeq: 1 INVITE", b"CSeq: 1 BYE", "400"),
                (b"CSeq: 1 INVITE", b"CSeq: 4294967296 INVITE", "400"),
                (b"CSeq: 1 INVITE\r\n", b"", "400"),
                (b"Call-ID: good\r\n", b"", "400"),
                (b"To: <sip:100@192.0.2.1>\r\n", b"", "400"),
                (b"To: <sip:100", b"To: <sip:x@y>\r\nt: <sip:100", "400"),
                (b"From: <", b"From: <<", "400"),
                (b";tag=1", b";tag=1;tag=2", "400"),
                (b"Content-Length: 4", b"Content-Length: 5", "400"),
                (b"Content-Length: 4", b"Content-Length: x", "400"),
                (b"Contact:", b"Contact", "400"),
                (b"Max-Forwards: 70", b"Via: nonsense", "400"),
            ]
        ):
            octets = GOOD.replace(old, new, 1)
            self.assertNotEqual(octets, GOOD)
            octets = octets.replace(b"z9hG4bKgood", b"z9hG4bK%d" % number)
            self.assertEqual(self.status(octets), expected, octets)
        self.assertEqual(len(self.here.table), 0)

    def test_silence_for_what_cannot_be_answered(self) -> None:
        """No Via, an ACK, a response, noise: nothing goes back, and it is counted."""
        bad = [
            GOOD.replace(b"Via: ", b"Vie: "),
            GOOD.replace(b"INVITE", b"ACK").replace(b"Max-Forwards: 70", b"Max-Forwards: x"),
            GOOD.replace(b"INVITE sip:100@192.0.2.1 SIP/2.0", b"SIP/2.0 abc OK"),
            GOOD.replace(b"INVITE sip:100@192.0.2.1 SIP/2.0", b"SIP/2.0 200 OK").replace(b"CSeq: 1", b"CSeq: x"),
            GOOD.replace(b"INVITE sip:100@192.0.2.1 SIP/2.0", b"\xff\xfe"),
            b"x",
            b"\0" * 1000,
            b"GET / HTTP/1.1\r\n\r\n",
        ]
        for octets in bad:
            self.assertEqual(self.send(octets), [], octets)
        self.assertEqual(sum(self.here.sip.dropped.values()), len(bad))

    def test_keep_alives_are_neither_answered_nor_counted(self) -> None:
        """Empty datagrams and line ends keep a NAT open."""
        for octets in (b"", b"\r\n", b"\r\n\r\n", b"\0", b"\0\0\0\0"):
            self.assertEqual(self.send(octets), [], octets)
        self.assertEqual(sum(self.here.sip.dropped.values()), 0)

    def test_a_response_that_nobody_waits_for_is_dropped(self) -> None:
        """It is not passed on, wherever its Via points."""
        vias = b"Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKx\r\nVia: SIP/2.0/UDP 198.51.100.7;branch=z9hG4bKy"
        octets = GOOD.replace(b"INVITE sip:100@192.0.2.1 SIP/2.0", b"SIP/2.0 200 OK")
        sent = len(self.network.sent)
        self.assertEqual(self.send(octets.replace(b"Via: SIP/2.0/UDP 203.0.113.9:5060;branch=z9hG4bKgood", vias)), [])
        self.assertEqual(len(self.network.sent), sent + 1)

    def test_a_response_without_any_via_left(self) -> None:
        """A gateway that answers with our Via alone: its 2xx after a refusal has nowhere to go but back."""
        self.send(GOOD)
        invite = self.gateway.asked("INVITE")
        for status in (180, 486, 200):
            response = invite.response(status, to_tag="x")
            response.remove("Via")
            response.add("Via", str(invite.via))
            response.set("Via", str(invite.via))
            self.gateway.say(response, HERE)
        self.assertEqual(len(self.here.table), 0)


class NoiseTest(SipServerTestCase):
    """Seeded noise: no exception, and nothing grows."""

    def sizes(self) -> dict[str, int]:
        """What could grow."""
        here = self.here
        return {
            "transactions": len(here.sip.layer),
            "timers": len(here.sip.layer.timers),
            "calls": len(here.table),
            "leases": len(here.leases),
        }

    def after(self) -> None:
        """All is forgotten in the end."""
        self.network.cut.add(GATEWAY)
        self.network.advance(300)
        self.assertEqual(set(self.sizes().values()), {0}, self.sizes())
        self.assertLess(len(self.here.sip.dropped), 40)

    def test_octets(self) -> None:
        """Random octets of random length."""
        random = Random(1)
        for _ in range(300):
            self.assertEqual(self.send(random.randbytes(random.randrange(200))), [])
        self.assertEqual(set(self.sizes().values()), {0})
        self.after()

    def test_cut_at_every_octet(self) -> None:
        """A datagram that was cut is malformed, unless nothing is missing."""
        for end in range(len(GOOD) - 1):
            answers = self.send(GOOD[:end])
            self.assertLessEqual(len(answers), 1)
            self.assertTrue(all(answer.startswith(b"SIP/2.0 400 ") for answer in answers), answers)
        self.assertEqual(len(self.here.table), 0)
        self.after()

    def test_mutations_of_a_request(self) -> None:
        """Octets changed, removed, doubled: answered at most once each, and no exception."""
        random = Random(2)
        for number in range(1500):
            octets = GOOD.replace(b"good", b"%d" % number)
            if number % 3 == 0:
                octets = octets.replace(b"INVITE", random.choice((b"BYE", b"OPTIONS", b"ACK", b"CANCEL", b"REGISTER")))
            if number % 2 == 0:
                octets = octets.replace(b"To: <sip:100@192.0.2.1>", b"To: <sip:100@192.0.2.1>;tag=x")
            self.assertLessEqual(len(self.send(mutated(octets, random))), 1)
            self.gateway.heard.clear()
        self.after()

    def test_mutations_of_a_response(self) -> None:
        """What a gateway answers is no more trusted than what a client asks."""
        random = Random(3)
        for number in range(500):
            self.network.send(GOOD.replace(b"good", b"%d" % number), SOURCE, HERE)
            self.network.settle()
            invite = self.gateway.asked("INVITE")
            contact = ("Contact", "<sip:100@192.0.2.20;lr>")
            for status in (100, 180, 503, 200, 200):
                response = invite.response(status, to_tag="there", fields=[contact]).octets()
                self.network.send(mutated(response, random), GATEWAY, HERE)
                self.network.settle()
            self.gateway.heard.clear()
        self.network.cut.add(GATEWAY)
        self.network.advance(600)  # answered calls are probed, and both ends say nothing
        self.assertEqual(set(self.sizes().values()), {0}, self.sizes())

    def test_mutations_inside_a_dialog(self) -> None:
        """Requests of a call that stands, changed at random: the call is the only one that is left."""
        invite, answer = self.call()
        random = Random(4)
        for number in range(500):
            for peer, request in (
                (self.phone, self.phone.within(random.choice(("INFO", "INVITE", "ACK", "BYE")), answer, number + 2)),
                (self.gateway, self.gateway.back(random.choice(("INFO", "UPDATE", "INVITE")), invite, number + 1)),
            ):
                self.network.send(mutated(request.octets(), random), peer.address, HERE)
                self.network.settle()
                peer.malformed.clear()  # a 400 repeats what it answers
        self.assertLessEqual(len(self.here.table), 2)
        self.after_all_vanished()

    def after_all_vanished(self) -> None:
        """Every end is gone: every call is noticed to be over."""
        self.network.cut |= {GATEWAY, self.phone.address, MEMBER, SOURCE}
        self.network.advance(600)
        self.assertEqual(set(self.sizes().values()), {0}, self.sizes())


def mutated(octets: bytes, random: Random) -> bytes:
    """The octets with one to three changes."""
    changed = bytearray(octets)
    for _ in range(random.randint(1, 3)):
        place = random.randrange(len(changed))
        kind = random.randrange(5)
        if kind == 0:
            changed[place] = random.randrange(256)
        elif kind == 1:
            del changed[place : place + random.randint(1, 20)]
        elif kind == 2:
            changed[place:place] = changed[place : place + random.randint(1, 40)]
        elif kind == 3:
            changed[place:place] = random.choice(
                (b"\r\n", b"\r\n ", b";", b",", b'"', b"<", b">", b"@", b":", b"%", b"\0")
            )
        else:
            lines = bytes(changed).split(b"\r\n")
            random.shuffle(lines[1:-2])
            lines.insert(1, random.choice(lines))
            changed = bytearray(b"\r\n".join(lines))
        if not changed:
            return b""
    return bytes(changed)
