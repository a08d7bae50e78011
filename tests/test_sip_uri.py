"""SIP and tel URIs are read, written and compared as RFC 3261 section 19.1 and RFC 3966 say."""

from __future__ import annotations

import contextlib

from twisted.trial.unittest import SynchronousTestCase

from voipshift.errors import ProtocolViolation
from voipshift.sip.uri import SipUri, TelUri, host_port, is_ip_address, parameters_of, scheme_of, unescape, write_host


class SipUriTests(SynchronousTestCase):
    """What a SIP URI is."""

    def test_parts(self) -> None:
        """Every part is found, the host and the names of parameters in lower case, the user as it is."""
        uri = SipUri.parse("SIPS:Al%69ce:Secret@Example.COM:5071;Transport=TCP;lr?Subject=x&Priority=urgent")
        self.assertEqual(
            (uri.scheme, uri.user, uri.password, uri.host, uri.port, uri.parameters, uri.headers),
            (
                "sips",
                "Al%69ce",
                "Secret",
                "example.com",
                5071,
                {"transport": "TCP", "lr": None},
                "Subject=x&Priority=urgent",
            ),
        )

    def test_written_as_read(self) -> None:
        """What is in its normal form is written as it was read."""
        for text in (
            "sip:example.com",
            "sip:alice@example.com",
            "sips:alice:pw@example.com:5061",
            "sip:+1-212-555-1212:1234@gateway.com;user=phone",
            "sip:alice@[2001:db8::10]",
            "sip:[2001:db8::10:5070]",
            "sip:[2001:db8::10]:5070",
            "sip:[::ffff:192.0.2.10];lr",
            "sip:sips%3Auser%40example.com@example.net",
            "sip:null-%00-null@example.com",
            "sip:user;par=u%40example.net@example.com",
            "sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com",
            "sip:user@example.com?Route=%3Csip:example.com%3E",
            "sip:*21#@example.com",
            "sip:a@b;x=;y",
        ):
            self.assertEqual(str(SipUri.parse(text)), text)

    def test_no_sip_uri(self) -> None:
        """What the grammar does not allow MUST be refused."""
        for text in (
            "",
            "sip:",
            "sip",
            "sip:@example.com",
            "sip:alice@",
            "sip:2001:db8::10",
            "sip:alice@2001:db8::10",
            "sip:alice@example.com:",
            "sip:alice@example.com:0",
            "sip:alice@example.com:65536",
            "sip:alice@example.com:" + "9" * 5000,
            "sip:alice@example.com; lr",
            "sip:alice@example.com;;lr",
            "sip:alice@example.com;lr;LR",
            "sip:al ice@example.com",
            "sip:al%6@example.com",
            "sip:alice@exam ple.com",
            "sip:alice@[2001:db8::10",
            "sip:alice@example.com\r\nEvil: yes",
            "<sip:alice@example.com>",
            "tel:+1",
            "http://example.com",
        ):
            self.assertRaises(ProtocolViolation, SipUri.parse, text)

    def test_every_cut(self) -> None:
        """A URI cut anywhere is a URI or a violation, nothing else."""
        text = "sips:al%69ce:pw@[2001:db8::10]:5061;transport=tcp;lr?Subject=x"
        for end in range(len(text)):
            with contextlib.suppress(ProtocolViolation):
                SipUri.parse(text[:end])

    def test_parameters(self) -> None:
        """A parameter is taken out of a copy."""
        leased = SipUri.parse("sip:bob@example.com;lr;lease=00ff")
        self.assertEqual(str(leased.without_parameter("lease")), "sip:bob@example.com;lr")
        self.assertEqual(str(leased), "sip:bob@example.com;lr;lease=00ff")

    def test_address(self) -> None:
        """A request goes to maddr or the host, at the port or the scheme's."""
        for text, address in (
            ("sip:192.0.2.1", ("192.0.2.1", 5060)),
            ("sips:192.0.2.1", ("192.0.2.1", 5061)),
            ("sip:a@192.0.2.1:5080;maddr=192.0.2.9", ("192.0.2.9", 5080)),
            ("sip:a@[2001:DB8::1]", ("2001:db8::1", 5060)),
            ("sip:a@[2001:db8:::192.0.2.1]", ("2001:db8::192.0.2.1", 5060)),
        ):
            self.assertEqual(SipUri.parse(text).address(), address)
        self.assertEqual(SipUri.parse("sip:a@b").address(7), ("b", 7))

    def test_equal(self) -> None:
        """The examples of 19.1.4 that are equal, and have one hash."""
        for one, other in (
            ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"),
            (
                "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
                "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
            ),
            ("sip:alice@atlanta.com?subject=project%20x&priority=urgent",
             "sip:alice@atlanta.com?priority=urgent&subject=project%20x"),
        ):  # fmt: skip
            self.assertEqual(SipUri.parse(one), SipUri.parse(other))
            self.assertEqual(hash(SipUri.parse(one)), hash(SipUri.parse(other)))

    def test_not_equal(self) -> None:
        """The examples of 19.1.4 that are not equal, the one that shows it is not transitive among them."""
        for one, other in (
            ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
            ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
            ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
            ("sip:bob@biloxi.com", "sips:bob@biloxi.com"),
        ):
            self.assertNotEqual(SipUri.parse(one), SipUri.parse(other))
        self.assertNotEqual(SipUri.parse("sip:a@b"), "sip:a@b")

    def test_as_much_as_fits(self) -> None:
        """64 kB of whatever is a value or a violation."""
        for text in ("sip:" + "a" * 65000, "sip:" + ";" * 65000, "sip:a@b" + ";a=b" * 16000, "sip:" + "%41" * 20000):
            with contextlib.suppress(ProtocolViolation):
                SipUri.parse(text)


class OtherUriTests(SynchronousTestCase):
    """Telephone numbers, and what any URI is."""

    def test_tel(self) -> None:
        """A number loses its visual separators and keeps its parameters."""
        for text, number, written in (
            ("tel:+1-201-555-0123", "+12015550123", "tel:+12015550123"),
            ("TEL:7042;phone-context=example.com", "7042", "tel:7042;phone-context=example.com"),
            ("tel:*21#", "*21#", "tel:*21#"),
        ):
            uri = TelUri.parse(text)
            self.assertEqual((uri.number, str(uri)), (number, written))

    def test_no_tel(self) -> None:
        """What is no number is refused."""
        for text in ("tel:", "tel:+", "tel:alice", "sip:1@b", "tel:1;a;A", "tel:+-"):
            self.assertRaises(ProtocolViolation, TelUri.parse, text)

    def test_scheme(self) -> None:
        """The scheme of any URI is told; what has none is no URI."""
        for text, scheme in (
            ("SIP:a@b", "sip"),
            ("nobodyKnowsThisScheme:totallyopaquecontent", "nobodyknowsthisscheme"),
            ("soap.beep://192.0.2.103:3002", "soap.beep"),
            ("tel:1", "tel"),
        ):
            self.assertEqual(scheme_of(text), scheme)
        for text in ("", ":", "a", "sip:", "1a:b", "<sip:a@b>", "*"):
            self.assertRaises(ProtocolViolation, scheme_of, text)

    def test_ip_address(self) -> None:
        """An address is told from a name."""
        for host, is_one in (
            ("192.0.2.1", True),
            ("256.0.2.1", False),
            ("192.0.2", False),
            ("192.0.2.1.example", False),
            ("::1", True),
            ("[2001:db8::1]", True),
            ("2001:db8:::1", False),
            ("example.com", False),
            ("", False),
        ):
            self.assertEqual(is_ip_address(host), is_one, host)

    def test_written_host(self) -> None:
        """An IPv6 address stands in brackets."""
        self.assertEqual(host_port(("::1", 5060)), "[::1]:5060")
        self.assertEqual(host_port(("192.0.2.1", 5060)), "192.0.2.1:5060")
        self.assertEqual(write_host("::1", None), "[::1]")

    def test_parameters_once(self) -> None:
        """A parameter that comes twice is refused, in any case."""
        self.assertEqual(parameters_of(";a = 1 ;B;c="), {"a": "1", "b": None, "c": ""})
        self.assertRaises(ProtocolViolation, parameters_of, ";a=1;A=2")

    def test_unescape(self) -> None:
        """Escapes are octets."""
        self.assertEqual(unescape("%41b%c3"), "Ab\xc3")
