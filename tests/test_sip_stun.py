"""STUN binding requests: RFC 5389, with the test vectors of RFC 5769."""

from __future__ import annotations

import struct

from twisted.trial.unittest import SynchronousTestCase

from voipshift.sip import stun

#: RFC 5769 section 2.2 and 2.3: the transaction, and what an address looks like in its answer.
TRANSACTION = bytes.fromhex("b7e7a701bc34d686fa87dfae")
MAPPED_4 = bytes.fromhex("002000080001a147e112a643")
MAPPED_6 = bytes.fromhex("002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9")


def request(attributes: bytes = b"", kind: int = 1, cookie: int = 0x2112A442) -> bytes:
    """A STUN message."""
    return struct.pack("!HHI12s", kind, len(attributes), cookie, TRANSACTION) + attributes


class StunTests(SynchronousTestCase):
    """What is answered, and what is not."""

    def test_ipv4(self) -> None:
        """The vector of RFC 5769 section 2.2."""
        answer = stun.answer(request(), ("192.0.2.1", 32853))
        self.assertEqual(answer, request(MAPPED_4, 0x0101))

    def test_ipv6(self) -> None:
        """The vector of section 2.3."""
        answer = stun.answer(request(), ("2001:db8:1234:5678:11:2233:4455:6677", 32853))
        self.assertEqual(answer, request(MAPPED_6, 0x0101))

    def test_known_and_optional_attributes(self) -> None:
        """SOFTWARE need not be understood, USERNAME is, and asks nothing of us."""
        attributes = bytes.fromhex("80220003") + b"abc\0" + bytes.fromhex("00060001") + b"u\0\0\0"
        self.assertEqual(stun.answer(request(attributes), ("192.0.2.1", 32853)), request(MAPPED_4, 0x0101))

    def test_unknown_attribute(self) -> None:
        """What must be understood and is not is 420, and is named (section 7.3.1)."""
        answer = stun.answer(request(bytes.fromhex("00030004") + bytes(4)), ("192.0.2.1", 1))
        assert answer is not None
        self.assertEqual(answer[:2], b"\x01\x11")
        self.assertIn(b"\0\0\x04\x14Unknown Attribute", answer)
        self.assertTrue(answer.endswith(bytes.fromhex("000a0002") + b"\0\x03\0\0"))
        self.assertEqual(struct.unpack("!H", answer[2:4])[0], len(answer) - 20)

    def test_nothing_else_is_answered(self) -> None:
        """Responses, indications, other cookies, lengths that lie, requests that are cut or too long."""
        whole = request(bytes.fromhex("80220003") + b"abc\0")
        for octets in (
            request(kind=0x0101),
            request(kind=0x0011),
            request(cookie=0x2112A443),
            request(bytes.fromhex("80220008") + b"abc\0"),
            request(bytes.fromhex("80220000") * 200),
            *(whole[:place] for place in range(len(whole))),
            whole + b"\0",
            b"",
            b"\r\n\r\n",
        ):
            self.assertIsNone(stun.answer(octets, ("192.0.2.1", 1)), octets)
