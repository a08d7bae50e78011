"""SIP messages are read, changed and written as RFC 3261 says, tortuous ones as RFC 4475 and RFC 5118 ask."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.sip_wire import BODY, INVITE, RINGING, TORTUOUS, answered, changed, parsed, wire
from voipshift.sip.message import parse, request
from voipshift.sip.uri import scheme_of


class ReadingTests(SynchronousTestCase):
    """What parse makes of a message."""

    def test_request(self) -> None:
        """A request has its method, URI, fields and body."""
        invite = parsed(INVITE)
        self.assertEqual((invite.method, invite.uri, invite.body), ("INVITE", "sip:bob@192.0.2.1", BODY))
        self.assertEqual(invite.cseq, (1, "INVITE"))
        self.assertEqual(invite.call_id, "c1@192.0.2.7")
        self.assertEqual((invite.from_tag, invite.to_tag), ("a1", None))
        self.assertEqual(invite.from_.uri, "sip:alice@192.0.2.7")
        self.assertEqual(invite.via.branch, "z9hG4bK1")
        self.assertEqual(invite.max_forwards, 70)
        self.assertEqual(invite.get("x-unknown"), "kept   as it is ;;,,")
        self.assertTrue(invite.has("m"))
        self.assertFalse(invite.has("Route"))
        self.assertIs(invite.from_, invite.from_)

    def test_response(self) -> None:
        """A response has its status and reason; values on one line and on many are one list."""
        ringing = answered(RINGING)
        self.assertEqual((ringing.status, ringing.reason), (180, "Ringing"))
        self.assertEqual([via.host for via in ringing.vias], ["192.0.2.1", "192.0.2.7"])
        self.assertEqual(ringing.via.branch, "z9hG4bKp")
        self.assertEqual(ringing.to_tag, "b1")

    def test_version_in_any_case(self) -> None:
        """7.1: the version is compared without regard to case, and MUST be sent in upper case."""
        self.assertTrue(parsed(changed(INVITE, ("1 SIP/2.0", "1 sip/2.0"))).octets().startswith(INVITE[:34]))
        self.assertTrue(answered(changed(RINGING, ("SIP/2.0 180", "Sip/2.0 180"))).octets().startswith(b"SIP/2.0 180 "))

    def test_reason_may_be_anything(self) -> None:
        """RFC 4475 3.1.1.13 and 3.1.1.14: a reason phrase of any octets, or none."""
        self.assertEqual(answered(changed(RINGING, ("180 Ringing", "100 "))).reason, "")
        reason = "= 2**3 * 5**2 \xd0\xbd\xd0\xbe"
        self.assertEqual(answered(changed(RINGING, ("180 Ringing", f"200 {reason}"))).reason, reason)

    def test_written_as_read(self) -> None:
        """Every header line is passed on byte for byte, in its order, folding included."""
        for octets in (INVITE, TORTUOUS):
            self.assertEqual(parse(octets).octets(), octets)

    def test_tortuous(self) -> None:
        """RFC 4475 3.1.1.1: blanks and folding wherever they may be."""
        invite = parsed(TORTUOUS)
        self.assertEqual(invite.to.uri, "sip:vivekg@chair-dnrc.example.com")
        self.assertEqual(invite.to_tag, "1918181833n")
        self.assertEqual((invite.from_.display, invite.from_tag), ('"J Rosenberg \\\\\\""', "98asjd8"))
        self.assertEqual(invite.cseq, (9, "INVITE"))
        self.assertEqual(invite.max_forwards, 68)
        self.assertEqual(invite.get("newfangledheader"), "newfangled value continued newfangled value")
        self.assertEqual(invite.get("subject"), "")
        self.assertEqual([via.branch for via in invite.vias], ["390skdjuw", "z9hG4bK9ikj8", "z9hG4bK30239"])
        self.assertEqual(invite.values("Route"), ["<sip:services.example.com;lr;unknownwith=value;unknown-no-value>"])

    def test_compact(self) -> None:
        """Compact forms are the fields they stand for."""
        octets = changed(
            INVITE, ("From:", "f:"), ("To:", "t:"), ("Call-ID:", "i:"), ("Via:", "v:"), ("Content-Length:", "l:")
        )
        self.assertEqual(parsed(octets).call_id, "c1@192.0.2.7")
        self.assertEqual(parse(octets).octets(), octets)

    def test_line_ends_in_front(self) -> None:
        """7.5: line ends before the start line SHOULD be ignored."""
        self.assertEqual(parsed(b"\r\n\r\n" + INVITE).octets(), INVITE)

    def test_body_longer(self) -> None:
        """18.3: octets beyond the Content-Length of a datagram MUST be discarded (RFC 4475 3.1.1.6)."""
        self.assertEqual(parsed(INVITE + INVITE).body, BODY)
        self.assertEqual(parsed(changed(INVITE, (": 36", ": 0"))).body, b"")

    def test_body_without_length(self) -> None:
        """18.3: without a Content-Length the body goes to the end of the datagram, and one is written."""
        octets = changed(INVITE, ("Content-Length: 36\r\n", ""))
        self.assertEqual(parsed(octets).body, BODY)
        self.assertIn(b"\r\nContent-Length: 36\r\n\r\nv=0", parsed(octets).octets())

    def test_body_is_octets(self) -> None:
        """A body is no text: NUL, line ends and what is no UTF-8 are kept."""
        body = bytes(range(256)) + b"\r\n\r\n\x00"
        octets = changed(INVITE, (": 36", f": {len(body)}"))[: -len(BODY)] + body
        self.assertEqual(parsed(octets).body, body)
        self.assertEqual(parse(octets).octets(), octets)

    def test_rfc_2543(self) -> None:
        """RFC 4475 3.4.1: no branch, no From tag, no Max-Forwards."""
        invite = parsed(changed(INVITE, (";branch=z9hG4bK1;rport", ""), (";tag=a1", ""), ("Max-Forwards: 70\r\n", "")))
        self.assertEqual((invite.via.branch, invite.from_tag, invite.max_forwards), ("", None, None))

    def test_good_torture(self) -> None:
        """What RFC 4475 3.1.1 and RFC 5118 section 4 ask to accept is accepted."""
        for pairs in (
            [("INVITE ", "!interesting-Method0123456789_*+`.%indeed'~ "),
             ("1 INVITE", "1 !interesting-Method0123456789_*+`.%indeed'~")],
            [("INVITE ", "RE%47IST%45R "), ("1 INVITE", "1 RE%47IST%45R"), ("Contact", "C%6Fntact")],
            [('"Alice"', '"BEL:\\\x07 NUL:\\\x00 DEL:\\\x7f"')],
            [("X-Unknown", "extensionHeader-!.%*+_`'~"), ("kept", "\xef\xbb\xbf\xe5\xa4\xa7")],
            [("sip:bob@192.0.2.1 ", "sip:sips%3Auser%40example.com@example.net ")],
            [("sip:bob@192.0.2.1 ", "nobodyKnowsThisScheme:totallyopaquecontent ")],
            [("Via: ", "Via: SIP/2.0/SCTP t2;branch=z9hG4bKk\r\nVia: SIP/2.0/UNKNOWN t4;branch=z9hG4bKa\r\nVia: ")],
            [("192.0.2.7:5060;branch", "[2001:db8::9:1];received=[2001:db8::9:255];branch")],
            [("192.0.2.7:5060;branch", "[2001:db8::9:1];received=2001:db8::9:255;branch")],
            [("192.0.2.7:5060;branch", "[::ffff:192.0.2.10]:19823;branch")],
            [("bob@192.0.2.1", "user@[2001:db8:::192.0.2.1]")],
            [("X-Unknown", "Require")],
            [("CSeq: 1 ", "CSeq: 2130706432 ")],
            [("Max-Forwards: 70", "Max-Forwards: 0")],
            [("Max-Forwards: 70", "Max-Forwards: 255")],
            [("Content-Length: ", "Content-Length:")],
            [("X-Unknown", "X-" + "Long" * 500)],
        ):  # fmt: skip
            invite = parsed(changed(INVITE, *pairs))
            scheme_of(invite.uri)
            invite.octets()


class ChangingTests(SynchronousTestCase):
    """What a proxy does to a message."""

    def test_set(self) -> None:
        """A field is put in the place of the first of its name; others of the name go."""
        invite = parsed(changed(INVITE, ("X-Unknown", "m: <sip:c@d>\r\nX-Unknown")))
        invite.set("Contact", "<sip:e@f>")
        invite.set("Max-Forwards", "69")
        invite.set("User-Agent", "x")
        self.assertEqual(invite.values("Contact"), ["<sip:e@f>"])
        self.assertEqual(invite.max_forwards, 69)
        lines = invite.octets().split(b"\r\n")
        self.assertEqual(lines[2], b"Max-Forwards: 69")
        self.assertEqual(lines[7], b"Contact: <sip:e@f>")
        self.assertEqual(lines[10], b"User-Agent: x")

    def test_prepend_and_remove_first(self) -> None:
        """Via and Record-Route are put in front, and the first value is taken off, from a list too."""
        ringing = answered(RINGING)
        ringing.remove_first_value("Via")
        self.assertEqual([via.branch for via in ringing.vias], ["z9hG4bK1"])
        self.assertEqual(ringing.via.branch, "z9hG4bK1")
        ringing.prepend("Record-Route", "<sip:192.0.2.9;lr>")
        self.assertEqual(ringing.values("Record-Route"), ["<sip:192.0.2.9;lr>", "<sip:192.0.2.1;lr>"])
        ringing.push_via("SIP/2.0/UDP 192.0.2.5;branch=z9hG4bKn", "z9hG4bKn")
        self.assertEqual(ringing.via.branch, "z9hG4bKn")
        self.assertEqual(parse(ringing.octets()).via.branch, "z9hG4bKn")
        ringing.remove_first_value("Via")
        ringing.remove_first_value("Via")
        self.assertFalse(ringing.has("Via"))
        ringing.remove_first_value("Via")
        ringing.prepend("Route", "<sip:a>")
        self.assertEqual(ringing.get("Route"), "<sip:a>")

    def test_what_is_kept_is_forgotten_when_it_changes(self) -> None:
        """A header that was looked at and is changed is looked at anew."""
        invite = parsed(INVITE)
        self.assertEqual((invite.to_tag, invite.from_tag, invite.cseq[0], invite.via.port), (None, "a1", 1, 5060))
        invite.set("To", "<sip:x@y>;tag=2")
        invite.set("f", "<sip:x@y>;tag=3")
        invite.set("CSeq", "4 INVITE")
        invite.set("Via", "SIP/2.0/UDP z:5")
        self.assertEqual((invite.to_tag, invite.from_tag, invite.cseq[0], invite.via.port), ("2", "3", 4, 5))
        invite.remove("To")
        self.assertFalse(invite.has("To"))
        invite.add("To", "<sip:x@y>;tag=6")
        self.assertEqual(invite.to_tag, "6")

    def test_copy(self) -> None:
        """A copy changes alone."""
        invite = parsed(INVITE)
        copy = invite.copy()
        copy.uri = "sip:carol@192.0.2.3"
        copy.remove("Contact")
        copy.prepend("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKn")
        copy.set("To", "<sip:x@y>;tag=2")
        self.assertEqual(invite.octets(), INVITE)
        self.assertEqual((invite.via.branch, invite.to_tag), ("z9hG4bK1", None))
        self.assertEqual((copy.via.branch, copy.to_tag), ("z9hG4bKn", "2"))
        self.assertEqual(answered(RINGING).copy().octets(), parse(RINGING).octets())

    def test_no_line_end_gets_in(self) -> None:
        """A value with a line end in it is our own fault, and never written."""
        invite = parsed(INVITE)
        for change in (invite.set, invite.add, invite.prepend):
            for value in ("a\r\nEvil: yes", "a\n", "\r"):
                self.assertRaises(ValueError, change, "X", value)
        self.assertRaises(ValueError, invite.response, 302, fields=[("Contact", "<sip:a@b>\r\nEvil: yes")])

    def test_made(self) -> None:
        """A request of ours is written with a Content-Length, and read again."""
        fields = [
            ("Via", "SIP/2.0/UDP a;branch=z9hG4bKx"),
            ("From", "<sip:a@b>;tag=1"),
            ("To", "<sip:c@d>"),
            ("Call-ID", "x"),
            ("CSeq", "1 OPTIONS"),
        ]
        options = request("OPTIONS", "sip:c@d", fields)
        self.assertIn(b"\r\nContent-Length: 0\r\n\r\n", options.octets())
        options.set_body(b"abc", "text/plain")
        again = parsed(options.octets())
        self.assertEqual((again.body, again.get("c"), again.get("l")), (b"abc", "text/plain", "3"))


class RespondingTests(SynchronousTestCase):
    """What a response takes from its request."""

    def test_response(self) -> None:
        """8.2.6.2: Via, From, Call-ID and CSeq MUST be equal; To gets a tag."""
        octets = parsed(INVITE).response(302, to_tag="t1", fields=[("Contact", "<sip:bob@192.0.2.9>")]).octets()
        self.assertEqual(
            octets,
            wire(
                """
                SIP/2.0 302 Moved Temporarily
                Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK1;rport
                From: "Alice" <sip:alice@192.0.2.7>;tag=a1
                To: <sip:bob@192.0.2.1>;tag=t1
                Call-ID: c1@192.0.2.7
                CSeq: 1 INVITE
                Contact: <sip:bob@192.0.2.9>
                Content-Length: 0
                """
            ),
        )

    def test_to_tag_stays(self) -> None:
        """8.2.6.2: a To that has a tag MUST be equal."""
        answer = parsed(changed(INVITE, ("To: <sip:bob@192.0.2.1>", "To: <sip:bob@192.0.2.1>;tag=b"))).response(
            200, to_tag="t"
        )
        self.assertEqual(answer.to_tag, "b")

    def test_record_route(self) -> None:
        """12.1.1: a response that makes a dialog MUST repeat Record-Route; others need not."""
        octets = changed(INVITE, ("Contact", "Record-Route: <sip:a;lr>\r\nTimestamp: 5\r\nContact"))
        for status, way, stamp in ((100, False, True), (180, True, False), (200, True, False), (302, False, False)):
            answer = parsed(octets).response(status)
            self.assertEqual((answer.has("Record-Route"), answer.has("Timestamp")), (way, stamp))

    def test_stamp(self) -> None:
        """18.2.1 and RFC 3581 section 4: where it differs, or rport was asked for; a client's own claim is replaced."""
        for said, stamped in (
            ("192.0.2.7:5060;branch=z9hG4bK1;rport", "192.0.2.7:5060;branch=z9hG4bK1;rport=5099;received=192.0.2.99"),
            ("192.0.2.7:5060;rport;branch=z9hG4bK1", "192.0.2.7:5060;rport=5099;received=192.0.2.99;branch=z9hG4bK1"),
            ("192.0.2.7:5060;rport ;branch=z9hG4bK1", "192.0.2.7:5060;rport=5099;branch=z9hG4bK1;received=192.0.2.99"),
            ("192.0.2.7:5060;RPORT;branch=z9hG4bK1", "192.0.2.7:5060;rport=5099;branch=z9hG4bK1;received=192.0.2.99"),
            ("192.0.2.7:5060;branch=z9hG4bK1", "192.0.2.7:5060;branch=z9hG4bK1;received=192.0.2.99"),
            ("192.0.2.99:5060;branch=z9hG4bK1", "192.0.2.99:5060;branch=z9hG4bK1"),
            ("192.0.2.99:5060;branch=z9hG4bK1;rport", "192.0.2.99:5060;branch=z9hG4bK1;rport=5099;received=192.0.2.99"),
            ("a;branch=z9hG4bK1;received=10.0.0.1", "a;branch=z9hG4bK1;received=192.0.2.99"),
            ("a;rport=7;branch=z9hG4bK1", "a;rport=5099;branch=z9hG4bK1;received=192.0.2.99"),
            ("a;rport;branch=z9hG4bK1, SIP/2.0/UDP b;rport",
             "a;rport=5099;branch=z9hG4bK1;received=192.0.2.99, SIP/2.0/UDP b;rport"),
            ("a;branch=z9hG4bK1\r\n ;rport", "a;branch=z9hG4bK1;rport=5099;received=192.0.2.99"),
        ):  # fmt: skip
            invite = parsed(changed(INVITE, ("192.0.2.7:5060;branch=z9hG4bK1;rport", said)))
            invite.stamp("192.0.2.99", 5099)
            self.assertIn(f"\r\nVia: SIP/2.0/UDP {stamped}\r\n".encode(), invite.octets())
            self.assertIn(f"\r\nVia: SIP/2.0/UDP {stamped}\r\n".encode(), invite.response(180).octets())
            self.assertEqual(invite.via.parameters, parsed(invite.octets()).via.parameters)
