"""Aligned PER is read and written as X.691 says: pycrate's decoder, which is another reading of it, finds the same."""

from __future__ import annotations

from random import Random
from typing import Any

from pycrate_asn1dir import H225
from twisted.trial.unittest import SynchronousTestCase

from tests.asn1_values import opened, pycrate_value, random_value
from voipshift.errors import ProtocolViolation
from voipshift.h323 import per, ras, uuie
from voipshift.h323.asn1 import UNKNOWN, CharacterString, Integer, ObjectIdentifier, OctetString, Size
from voipshift.h323.components import Layout
from voipshift.h323.constructed import SequenceOf, SequenceType
from voipshift.h323.definitions import CLEAR_TOKEN, RAS_MESSAGE, USER_INFORMATION

MESSAGES = H225.H323_MESSAGES
ROOTS = [
    (MESSAGES.H323_UserInformation, USER_INFORMATION),
    (MESSAGES.RasMessage, RAS_MESSAGE),
    (H225.H235_SECURITY_MESSAGES.ClearToken, CLEAR_TOKEN),
]

#: GRJ resourceUnavailable with one alternate, as tshark reads it.  pycrate writes another octet before the length (0b).
GRJ = bytes.fromhex("0a000000060008914a000401600b0001000a00000106b78000")


class CodecTests(SynchronousTestCase):
    """Values of all types of H.225.0, most of which no terminal has ever sent."""

    def test_random_values(self) -> None:
        """What is written is read again, by pycrate too, and written again as it was."""
        for definition, type in ROOTS:
            for seed in range(100):
                value = random_value(definition, Random(seed))
                octets = type.encode(value)
                tree = type.decode(octets)
                self.assertEqual(opened(tree), value, seed)
                self.assertEqual(type.encode(tree), octets, seed)
                self.assertEqual(pycrate_value(definition, octets), value, seed)

    def test_octet_before_extension_additions(self) -> None:
        """There MUST be none that X.691 does not ask for: pycrate's encoder adds one here, and nobody can read that."""
        tree = pycrate_value(MESSAGES.RasMessage, GRJ)
        self.assertEqual(RAS_MESSAGE.encode(tree), GRJ)
        self.assertEqual(opened(RAS_MESSAGE.decode(GRJ)), tree)

    def test_unknown_additions(self) -> None:
        """Extension additions of a later version are kept, each in its place."""
        known = RAS_MESSAGE.encode(("unregistrationConfirm", {"requestSeqNum": 1}))
        self.assertEqual(known.hex(), "1c0000")
        # UnregistrationConfirm has six additions; here are nine, of which the first, seventh and ninth are there.
        octets = bytes.fromhex("1e0000" + "1105" + "0100" + "02abcd" + "01ff")
        name, tree = RAS_MESSAGE.decode(octets)
        self.assertEqual((name, tree["requestSeqNum"]), ("unregistrationConfirm", 1))
        self.assertEqual(tree[UNKNOWN], (9, ((6, b"\xab\xcd"), (8, b"\xff"))))
        self.assertEqual(RAS_MESSAGE.encode((name, tree)), octets)

    def test_unknown_alternative(self) -> None:
        """An alternative of a later version is its index and its octets."""
        self.assertEqual(RAS_MESSAGE.encode((40, b"\x11")).hex(), "a80111")
        self.assertEqual(RAS_MESSAGE.decode(bytes.fromhex("a80111")), (40, b"\x11"))

    def test_padding(self) -> None:
        """What follows a value is padding."""
        self.assertEqual(RAS_MESSAGE.decode(GRJ + bytes(7)), RAS_MESSAGE.decode(GRJ))


class PrimitiveTests(SynchronousTestCase):
    """X.691, section by section, where the edges are."""

    def test_whole_numbers(self) -> None:
        """Bits below 256 values, octets from there, a length before those from 65537 on (10.5.7)."""
        for low, span, value, octets in [
            (0, 1, 0, ""),
            (1, 2, 2, "80"),
            (0, 255, 254, "fe"),
            (0, 256, 254, "fe"),
            (0, 257, 254, "00fe"),
            (1, 65535, 65535, "fffe"),
            (0, 65536, 65535, "ffff"),
            (0, 65537, 65536, "80010000"),
            (0, 1 << 32, 0, "0000"),
            (0, 1 << 32, 255, "00ff"),
            (0, 1 << 32, 256, "400100"),
            (0, 1 << 32, (1 << 32) - 1, "c0ffffffff"),
        ]:
            type = Integer(low, span, False)
            self.assertEqual(type.encode(value).hex(), octets, (low, span, value))
            self.assertEqual(type.decode(bytes.fromhex(octets)), value)
            for outside in (low - 1, low + span):
                self.assertRaises(ProtocolViolation, type.encode, outside)

    def test_unbounded_numbers(self) -> None:
        """Two's complement, as few octets as will do (10.8)."""
        for value, octets in [(0, "0100"), (127, "017f"), (128, "020080"), (-128, "0180"), (-129, "02ff7f")]:
            self.assertEqual(Integer(0, None, False).encode(value).hex(), octets)
            self.assertEqual(Integer(0, None, False).decode(bytes.fromhex(octets)), value)

    def test_lengths(self) -> None:
        """One octet, two from 128 on; fragments are not read (10.9)."""
        type = OctetString(Size(0, None))
        for count, head in [(0, "00"), (127, "7f"), (128, "8080"), (16383, "bfff")]:
            self.assertEqual(type.encode(bytes(count)), bytes.fromhex(head) + bytes(count))
            self.assertEqual(type.decode(bytes.fromhex(head) + bytes(count)), bytes(count))
        self.assertRaises(ProtocolViolation, type.encode, bytes(16384))
        self.assertRaises(ProtocolViolation, type.decode, b"\xc1" + bytes(16400))

    def test_characters(self) -> None:
        """Digits take four bits, in the order of their codes; a character outside the alphabet is a violation."""
        digits = CharacterString(Size(1, 128), 4, "#*,0123456789")
        self.assertEqual(digits.encode("1234").hex(), "064567")
        self.assertEqual(digits.decode(bytes.fromhex("064567")), "1234")
        self.assertRaises(ProtocolViolation, digits.encode, "12a")
        self.assertRaises(ProtocolViolation, digits.decode, bytes.fromhex("06f567"))
        wide = CharacterString(Size(1, 256), 16, "")
        self.assertEqual(wide.encode("é").hex(), "0000e9")

    def test_halves_of_characters(self) -> None:
        """Two of them are one beyond the basic plane; one alone is a violation, for nobody can store or pass it on."""
        wide = CharacterString(Size(1, 256), 16, "")
        self.assertEqual(wide.decode(wide.encode("\U0001f600")), "\U0001f600")
        self.assertRaises(ProtocolViolation, wide.encode, "\ud800")
        self.assertRaises(ProtocolViolation, wide.decode, bytes.fromhex("00d800"))

    def test_object_identifiers(self) -> None:
        """Seven bits to the octet; one that does not end is a violation."""
        type = ObjectIdentifier()
        self.assertEqual(type.encode((0, 0, 8, 2250, 0, 4)).hex(), "060008914a0004")
        self.assertEqual(type.decode(bytes.fromhex("0488378101")), (2, 999, 129))
        for octets in ("00", "0180", "03008081", "0500"):
            self.assertRaises(ProtocolViolation, type.decode, bytes.fromhex(octets))


class LimitTests(SynchronousTestCase):
    """A short message can be made to say much."""

    def test_elements(self) -> None:
        """There is a bound for the elements of a message, however little room they take."""
        type = SequenceOf()
        type.set(Integer(0, 1, False), Size(0, None))
        self.assertEqual(len(type.decode((0x8000 | per.MAX_ELEMENTS).to_bytes(2))), per.MAX_ELEMENTS)
        self.assertRaises(ProtocolViolation, type.decode, (0x8001 + per.MAX_ELEMENTS).to_bytes(2))

    def test_depth(self) -> None:
        """And for how deep they are nested."""
        type = SequenceOf()
        type.set(type, Size(0, None))
        self.assertIsInstance(type.decode(b"\x01" * (per.MAX_DEPTH - 1) + b"\x00"), list)
        self.assertRaises(ProtocolViolation, type.decode, b"\x01" * 10000)

    def test_additions(self) -> None:
        """A SEQUENCE has at most 64 extension additions."""
        type = SequenceType()
        type.set((), (), extensible=True)
        self.assertRaises(ProtocolViolation, type.decode, b"\xff" * 40)


class LayoutTests(SynchronousTestCase):
    """The values of ours name components that there are."""

    def test_components(self) -> None:
        """Each is spelt as H.225.0 spells it, and none that a message must have can be left out."""
        signals: Any = MESSAGES.H323_UU_PDU._cont["h323-message-body"]
        for definitions, layouts in ((MESSAGES.RasMessage, ras._LAYOUTS), (signals, uuie._LAYOUTS)):
            for name, layout in layouts.items():
                self.check(layout, definitions._cont[name])

    def check(self, layout: Layout, definition: Any) -> None:
        """One message."""
        parts = {part.component: part for part in layout.parts}
        self.assertEqual(set(parts) - set(definition._cont), set(), layout.name)
        for name in definition._root_mand:
            self.assertIn(name, parts, layout.name)
            self.assertFalse(parts[name].optional, f"{layout.name} {name}")
