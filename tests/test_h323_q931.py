"""Q.931 messages are read and written as section 4 of Q.931 says, with what H.225.0 changes."""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from tests.h323_messages import SETUP_OCTETS
from voipshift.errors import ProtocolViolation
from voipshift.h323 import q931
from voipshift.h323.q931 import Element, Message, MessageType, parse

#: A SETUP as chan_ooh323 begins one: bearer capability, display, calling and called party number, and User-User.
SETUP = bytes.fromhex(
    "0802126705"  # call reference 0x1267
    "04038893a5"  # bearer capability: unrestricted, packet mode, H.221
    "280763616c6c657200"  # display "caller" and a NUL
    "6c06008131303031"  # calling party number: plan unknown, presentation allowed, "1001"
    "70058131323334"  # called party number "1234"
    "7e00050501020304"  # User-User, with something for a message
)


class ParseTests(SynchronousTestCase):
    """What a message says."""

    def test_setup(self) -> None:
        """Every part that is asked for is found."""
        message = parse(SETUP)
        self.assertEqual(message.type, MessageType.SETUP)
        self.assertEqual(message.call_reference, 0x1267)
        self.assertFalse(message.from_destination)
        self.assertEqual(message.display, "caller")
        self.assertEqual(message.calling_number, "1001")
        self.assertEqual(message.called_number, "1234")
        self.assertEqual(message.user_user, b"\x01\x02\x03\x04")
        self.assertIsNone(message.cause)
        self.assertEqual(message.get(Element.BEARER_CAPABILITY), b"\x88\x93\xa5")

    def test_written_as_read(self) -> None:
        """A message that is passed on is the one that came in, elements that nobody knows included."""
        for octets in (
            SETUP,
            SETUP_OCTETS,
            bytes.fromhex("0802ffff00"),
            bytes.fromhex("080280055a08028090"),
            bytes.fromhex("0802000105a1960803808090280141"),  # sending complete, and a shift to another codeset
            bytes.fromhex("0802000103550055021234"),
        ):
            self.assertEqual(parse(octets).octets(), octets)

    def test_flag(self) -> None:
        """The side that did not begin the call sets the flag; it is no part of the value."""
        message = parse(bytes.fromhex("080292675a08028090"))
        self.assertEqual((message.call_reference, message.from_destination), (0x1267, True))
        self.assertEqual((message.type, message.cause), (MessageType.RELEASE_COMPLETE, q931.NORMAL_CLEARING))

    def test_cause(self) -> None:
        """It comes after the location, and after the recommendation where there is one."""
        for contents, expected in [("8090", 16), ("008091", 17), ("80", None), ("0080", None), ("", None)]:
            message = Message(0x5A, 1, True, ((Element.CAUSE, bytes.fromhex(contents)),))
            self.assertEqual(message.cause, expected, contents)

    def test_no_user_user(self) -> None:
        """There may be none, an empty one, or one that is no ASN.1."""
        for element in ("", "7e0000", "7e000104", "7e00020441"):
            self.assertIsNone(parse(bytes.fromhex("0802000105" + element)).user_user)

    def test_unknown_type(self) -> None:
        """A type that is not known is read: it may be passed on."""
        self.assertEqual(parse(bytes.fromhex("08020001ff")).type, 0xFF)

    def test_no_message(self) -> None:
        """What is cut short, or is none, MUST be refused."""
        for octets in (
            "",
            "08",
            "08020001",
            "0902000105",
            "0801010500",
            "0800050000",
            "080200010528",
            "08020001052802",
            "0802000105280241",
            "08020001057e",
            "08020001057e00",
            "08020001057effff05",
        ):
            self.assertRaises(ProtocolViolation, parse, bytes.fromhex(octets))
        self.assertRaises(ProtocolViolation, parse, bytes.fromhex("0802000105") + b"\xa1" * 1000)

    def test_every_cut(self) -> None:
        """A message cut anywhere is a message or a violation, nothing else."""
        for end in range(len(SETUP_OCTETS)):
            try:
                parse(SETUP_OCTETS[:end])
            except ProtocolViolation:
                continue

    def test_garbage(self) -> None:
        """Neither is anything behind a good header."""
        random = Random(1)
        for _ in range(2000):
            octets = b"\x08\x02" + random.randbytes(random.randrange(60))
            try:
                message = parse(octets)
            except ProtocolViolation:
                continue
            self.assertEqual(message.octets(), octets)
            str((message.cause, message.called_number, message.calling_number, message.display, message.user_user))


class WriteTests(SynchronousTestCase):
    """What is written."""

    def test_elements(self) -> None:
        """Each as Q.931 draws it."""
        for element, octets in [
            (q931.cause(q931.NORMAL_CLEARING), "08028090"),
            (q931.call_state(10), "14010a"),
            (q931.called_number("1234"), "70058131323334"),
            (q931.user_user(b"\x20"), "7e00020520"),
            ((Element.FACILITY, b""), "1c00"),
        ]:
            self.assertEqual(Message(0x5A, 0x1267, True, (element,)).octets().hex(), "080292675a" + octets)

    def test_other_user_user(self) -> None:
        """All but the User-User element stays as it was."""
        message = parse(SETUP).with_user_user(b"\x20\x21")
        self.assertEqual(message.octets(), SETUP[:-8] + bytes.fromhex("7e0003052021"))

    def test_too_long(self) -> None:
        """An element has at most 255 octets, User-User 65535."""
        for element in ((Element.DISPLAY, bytes(256)), (Element.USER_USER, bytes(65536))):
            self.assertRaises(ProtocolViolation, Message(5, 1, False, (element,)).octets)
