"""The values of SIP header fields are read as RFC 3261 section 25 says, and as what phones really send needs."""

from __future__ import annotations

import contextlib
import random

from twisted.trial.unittest import SynchronousTestCase

from voipshift.errors import ProtocolViolation
from voipshift.sip.grammar import (
    NameAddr,
    Via,
    first_value_end,
    header_parameters,
    is_token,
    key_of,
    number_of,
    parse_cseq,
    split_values,
)


class NameTests(SynchronousTestCase):
    """Names of header fields."""

    def test_any_case_and_compact(self) -> None:
        """A name in any case, or its compact form, is the same field."""
        for name, key in (
            ("Via", "via"),
            ("VIA", "via"),
            ("v", "via"),
            ("V", "via"),
            ("CALL-id", "call-id"),
            ("i", "call-id"),
            ("l", "content-length"),
            ("m", "contact"),
            ("TO ", "to"),
            ("from   ", "from"),
            ("X-Unknown", "x-unknown"),
            ("extensionHeader-!.%*+_`'~", "extensionheader-!.%*+_`'~"),
        ):
            self.assertEqual(key_of(name), key)

    def test_no_name(self) -> None:
        """What is no token is no name."""
        for name in ("", " ", " To", "T o", "To\r\n", "T\xf6", "a@b", "a:b", "a;b"):
            self.assertRaises(ProtocolViolation, key_of, name)

    def test_token(self) -> None:
        """The RFC's own set of characters, and nothing else."""
        self.assertTrue(is_token("!interesting-Method0123456789_*+`.%indeed'~"))
        for text in ("", "a b", "a/b", "\xe4", "a\n", "a@"):
            self.assertFalse(is_token(text))


class NumberTests(SynchronousTestCase):
    """Numbers of strangers."""

    def test_bounded(self) -> None:
        """A number below its limit is read; anything else is refused without showing it to int()."""
        self.assertEqual(number_of("0068", 256), 68)
        self.assertEqual(number_of("255", 256), 255)
        for text in ("", "256", "-1", "+1", " 1", "1_0", "0x1", "\xb2", "9" * 5000, "00000000001", "1.0"):
            self.assertRaises(ProtocolViolation, number_of, text, 256)

    def test_cseq(self) -> None:
        """A CSeq is a number below 2**31 and a method."""
        self.assertEqual(parse_cseq("0009 INVITE"), (9, "INVITE"))
        self.assertEqual(parse_cseq("2147483647\t!m"), (2147483647, "!m"))
        for text in ("", "1", "INVITE", "INVITE 1", "-1 INVITE", "1INVITE", "2147483648 INVITE", "1 INVITE x",
                     "36893488147419103232 REGISTER", "9" * 5000 + " INVITE", "\xb2 INVITE"):  # fmt: skip
            self.assertRaises(ProtocolViolation, parse_cseq, text)


class ListTests(SynchronousTestCase):
    """Comma-separated lists."""

    def test_split(self) -> None:
        """Commas in quoted strings and angle brackets do not separate."""
        for text, values in (
            ("a", ["a"]),
            (" a ", ["a"]),
            ("a, b ,c", ["a", "b", "c"]),
            ('"x, y" <sip:a@b>, <sip:c,d@e>;q=1', ['"x, y" <sip:a@b>', "<sip:c,d@e>;q=1"]),
            (r'"\"," <sip:a@b>,c', [r'"\"," <sip:a@b>', "c"]),
            ("a,,b, ,", ["a", "b"]),
            (",", []),
            ('a"b,c', ['a"b,c']),
            ("a<b,c", ["a<b,c"]),
            ('"a\\', ['"a\\']),
        ):
            self.assertEqual(split_values(text), values, text)

    def test_first(self) -> None:
        """The first value ends at its comma."""
        for text, end in (("a", 1), ("a,b", 1), ('"a,b" <c>, d', 9), (",a", 0), ("<a,b>,c", 5)):
            self.assertEqual(first_value_end(text), end, text)

    def test_as_much_as_fits(self) -> None:
        """64 kB of whatever is a value or a violation."""
        for text in (
            "<" * 65000,
            '"' * 65000,
            "," * 65000,
            '"\\' * 32000,
            "<," * 32000,
            '",<' * 21000,
            "a" * 65000 + ",",
        ):
            split_values(text)
            first_value_end(text)


class NameAddrTests(SynchronousTestCase):
    """From, To, Contact, Route."""

    def test_read(self) -> None:
        """All forms that RFC 3261 and RFC 4475 show."""
        for text, display, uri, parameters in (
            ("sip:a@b", "", "sip:a@b", {}),
            ("sip:a@b;tag=1", "", "sip:a@b", {"tag": "1"}),
            ("<sip:a@b;lr>;tag=1", "", "sip:a@b;lr", {"tag": "1"}),
            ("Alice Smith <sip:a@b> ; TAG = 1", "Alice Smith", "sip:a@b", {"tag": "1"}),
            ("caller<sip:caller@example.com>;tag=323", "caller", "sip:caller@example.com", {"tag": "323"}),
            (r'"J \\\"" <sip:a@b> ; tag = 98asjd8', r'"J \\\""', "sip:a@b", {"tag": "98asjd8"}),
            ('"Bell, \x07 \x00" <sip:a@b>', '"Bell, \x07 \x00"', "sip:a@b", {}),
            ('"\\\x00" <tel:1>;p="a;b";q=0.7', '"\\\x00"', "tel:1", {"p": '"a;b"', "q": "0.7"}),
            ("token1~` t2'+_ <sip:m@e>;f''~=\"\xd1\x80\";tag=_t~1'+`*%!-.", "token1~` t2'+_", "sip:m@e",
             {"f''~": '"\xd1\x80"', "tag": "_t~1'+`*%!-."}),
            ("J\xc3\xb6rg (home) <sip:a@b>", "J\xc3\xb6rg (home)", "sip:a@b", {}),
            ("<http://www.example.com>;tag=3", "", "http://www.example.com", {"tag": "3"}),
            ("<sip:a@b?Route=%3Cx%3E>;p=a=b", "", "sip:a@b?Route=%3Cx%3E", {"p": "a=b"}),
        ):  # fmt: skip
            value = NameAddr.parse(text)
            self.assertEqual((value.display, value.uri, value.parameters), (display, uri, parameters), text)
            self.assertEqual(value.tag, parameters.get("tag"))
            self.assertEqual(str(NameAddr.parse(str(value))), str(value))

    def test_refused(self) -> None:
        """Quotes and brackets that do not close, blanks in a URI, parameters that are none."""
        for text in (
            "",
            "*",
            "alice",
            '"Mr. J. User <sip:j.user@example.com>',
            "<sip:a@b",
            "sip:a@b>",
            "< sip:a@b >",
            "<sip:a b@c>",
            "<>",
            '"a" b <sip:a@b>',
            "Bell, Alexander <sip:a@b>",
            "<sip:a@b>;",
            "<sip:a@b>;;tag=1",
            "<sip:a@b>;tag=",
            "<sip:a@b>;tag=1;tag=2",
            "<sip:a@b>;tag=1;Tag=2",
            '<sip:a@b>;a="x;A="y"',
            "<sip:a@b> x",
            "sip:a@b, sip:c@d",
            "sip:a@b?x=y",
        ):
            self.assertRaises(ProtocolViolation, NameAddr.parse, text)

    def test_quoted_parameters(self) -> None:
        """Separators in quoted strings separate nothing, and a name comes once."""
        self.assertEqual(header_parameters(';a="x;y=\\"" ; B ;c=d'), {"a": '"x;y=\\""', "b": None, "c": "d"})
        self.assertRaises(ProtocolViolation, header_parameters, ';a="x";A=y')


class ViaTests(SynchronousTestCase):
    """Via."""

    def test_read(self) -> None:
        """Blanks around every separator, IPv6 with and without brackets, any transport."""
        for text, transport, host, port, branch in (
            ("SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1;rport", "UDP", "192.0.2.1", 5060, "z9hG4bK1"),
            ("SIP  / 2.0 / TCP    T.Example.com  ;  branch  =   z9hG4bK9  ", "TCP", "t.example.com", None, "z9hG4bK9"),
            ("sip/2.0/unknown t4 : 5062", "UNKNOWN", "t4", 5062, ""),
            ("SIP/7.0/UDP c.example.com;branch=z9", "UDP", "c.example.com", None, "z9"),
            ("SIP/2.0/UDP [2001:DB8::9:1]:6050;branch=a", "UDP", "2001:db8::9:1", 6050, "a"),
            ("SIP/2.0/TCP host;branch=z9hG4bK209%fzsnel234", "TCP", "host", None, "z9hG4bK209%fzsnel234"),
            ("SIP/2.0/UDP a;branch=x , SIP/2.0/UDP b;branch=y", "UDP", "a", None, "x"),
            ('SIP/2.0/UDP a;x="1,2;3";branch=x', "UDP", "a", None, "x"),
        ):  # fmt: skip
            via = Via.parse(text)
            self.assertEqual((via.transport, via.host, via.port, via.branch), (transport, host, port, branch))
            again = Via.parse(str(via))
            self.assertEqual(
                (again.transport, again.host, again.port, again.parameters), (transport, host, port, via.parameters)
            )

    def test_received(self) -> None:
        """RFC 5118 4.5: an IPv6 address in received has brackets or not."""
        for text in ("received=[2001:db8::9:255]", "received=2001:db8::9:255"):
            self.assertEqual(Via.parse(f"SIP/2.0/UDP [2001:db8::9:1];{text};branch=z").received, "2001:db8::9:255")
        self.assertIsNone(Via.parse("SIP/2.0/UDP a").received)

    def test_address(self) -> None:
        """A Via without a port means the transport's."""
        self.assertEqual(Via.parse("SIP/2.0/UDP a").address, ("a", 5060))
        self.assertEqual(Via.parse("SIP/2.0/TLS a").address, ("a", 5061))
        self.assertEqual(Via.parse("SIP/2.0/UDP [::1]:9").address, ("::1", 9))
        self.assertEqual(Via.parse("SIP/2.0/UDP [::1]:9").sent_by, "[::1]:9")

    def test_refused(self) -> None:
        """What the grammar does not allow MUST be refused."""
        for text in (
            "",
            "SIP/2.0/UDP",
            "SIP/2.0/UDP ",
            "SIP/2.0 a",
            "2.0/UDP a",
            "SIP/2.0/UDP 192.0.2.15;;,;,,",
            "SIP/2.0/UDP a;",
            "SIP/2.0/UDP a:0",
            "SIP/2.0/UDP a:65536",
            "SIP/2.0/UDP a:" + "9" * 5000,
            "SIP/2.0/UDP 2001:db8::1",
            "SIP/2.0/UDP [2001:db8::1",
            "SIP/2.0/UDP a b",
            "SIP/2.0/UDP a;branch=1;branch=2",
            'SIP/2.0/UDP a;x="y',
            "SIP/2.0/UDP a;branch=",
        ):
            self.assertRaises(ProtocolViolation, Via.parse, text)


class GarbageTests(SynchronousTestCase):
    """Whatever comes."""

    def test_every_cut_and_tail(self) -> None:
        """A value cut anywhere, or with a tail, is a value or a violation."""
        readers = (NameAddr.parse, Via.parse, parse_cseq)
        for text in (
            '"A \\" b" <sip:a@[::1]:5060;lr>;tag=1;p="x"',
            "SIP/2.0/UDP [::1]:5060;branch=z9hG4bK;rport",
            "1 INVITE",
        ):
            for end in range(len(text)):
                for piece in (text[:end], text[end:], text + text[:end]):
                    self._read(readers, piece)

    def test_mutations(self) -> None:
        """Random changes, one seed."""
        draw = random.Random(4475)
        readers = (NameAddr.parse, Via.parse, parse_cseq)
        seeds = (
            '"A" <sip:a@b;lr>;tag=1',
            "SIP/2.0/UDP a:5060;branch=z9hG4bK1;rport",
            "1 INVITE",
            "Bob <tel:1>;q=0.5, x",
        )
        for _ in range(3000):
            text = list(draw.choice(seeds))
            for _ in range(draw.randrange(1, 6)):
                text[draw.randrange(len(text))] = draw.choice(' \t"<>;,=:@[]\\%\x00\xff/a1')
            self._read(readers, "".join(text))
            split_values("".join(text))

    def test_as_much_as_fits(self) -> None:
        """64 kB of whatever is a value or a violation."""
        texts = ('"' + "\\" * 65000, "a" * 65000, ";a" * 32000, "<" * 65000, "sip:a@b" + ";a=b" * 16000, " " * 65000,
                 "sip:a@b;a" + " " * 65000, "SIP/2.0/UDP a" + " ;" * 30000, 'sip:a@b;a="' + '\\"' * 32000)  # fmt: skip
        for text in texts:
            self._read((NameAddr.parse, Via.parse, parse_cseq), text)

    def _read(self, readers: tuple[object, ...], text: str) -> None:
        for read in readers:
            assert callable(read)
            with contextlib.suppress(ProtocolViolation):
                read(text)
