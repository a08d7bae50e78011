"""The messages of H.225.0 call signalling: octets of real callers are understood, and passed on unharmed."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from tests.h323_messages import (
    ACCEPT,
    ANSWERS,
    AUDIO_IN,
    AUDIO_OUT,
    CALL,
    CALLED,
    CONFERENCE,
    FAX,
    FRONT,
    PHONE,
    PLAIN_SETUP,
    SETUP,
    TUNNELLED,
    VIDEO,
    signals,
)
from voipshift.errors import ProtocolViolation
from voipshift.h323 import q931, uuie
from voipshift.h323.addresses import Alias, EndpointType, alias_of
from voipshift.h323.asn1 import UNKNOWN, Unknown
from voipshift.h323.definitions import USER_INFORMATION
from voipshift.h323.uuie import PROTOCOL, Empty, Facility, ReleaseComplete, Setup, UserInformation, decode, encode

#: A SETUP of version 4 as Asterisk's chan_ooh323 writes it, tunnelling, with a fast start; read by tshark.
ASTERISK = bytes.fromhex(
    "20b8060008914a000402400500630061006c006c006500720180433422c0b800002707417374657269736b0431362e3238000101804567007f"
    "00000106b800000102030405060708090a0b0c0d0e0f00dd1d80000007007f000001a0281100101112131415161718191a1b1c1d1e1f32021200"
    "00000c6013800a04000100c000020127111d400000060401004c6013801114000100c0000201271000c0000201271101000100010001001080"
    "0180"
)
SOURCE = ("198.51.100.1", 40000)
DESTINATION = ("198.51.100.2", 1720)
#: Mutated messages: seconds here, the whole of them in bench/h323.py.
MUTATIONS = 3000


class DecodeTests(SynchronousTestCase):
    """What a message says."""

    def test_setup(self) -> None:
        """Every part of a real one."""
        information = decode(ASTERISK)
        self.assertIs(information.h245_tunnelling, True)
        self.assertEqual(
            information.body,
            Setup(
                PROTOCOL,
                EndpointType("terminal", "Asterisk"),
                CONFERENCE,
                CALL,
                (Alias("h323-ID", "caller"), Alias("dialledDigits", "1001")),
                CALLED,
                ("127.0.0.1", 41000),
                ("127.0.0.1", 1720),
                fast_start=(AUDIO_OUT, AUDIO_IN),
            ),
        )

    def test_written_and_read(self) -> None:
        """Every message comes back as the value that it was."""
        for body in (SETUP, PLAIN_SETUP, *(body for _, body, _ in ANSWERS)):
            information = UserInformation(body, None, (TUNNELLED, b""))
            self.assertEqual(decode(encode(information)), information)

    def test_padding(self) -> None:
        """Some stacks send octets after the value: they MUST do no harm."""
        self.assertEqual(decode(ASTERISK + bytes(3)), decode(ASTERISK))

    def test_not_tunnelling(self) -> None:
        """A sender of version 1 says nothing of it."""
        for tunnelling in (True, False, None):
            octets = encode(UserInformation(Empty(), tunnelling))
            self.assertIs(decode(octets).h245_tunnelling, tunnelling)

    def test_forwarded(self) -> None:
        """The FACILITY that shifts a call, octet for octet as tshark reads it, and real callers follow."""
        body = Facility(
            PROTOCOL,
            "callForwarded",
            CALL,
            alternative_address=ACCEPT,
            alternative_alias_address=CALLED,
        )
        octets = encode(UserInformation(body))
        self.assertEqual(octets, FORWARDED)
        self.assertEqual(decode(octets).body, body)

    def test_addresses_that_are_not_ip(self) -> None:
        """One of another network is read as none."""
        tree = USER_INFORMATION.decode(ASTERISK)
        setup = tree["h323-uu-pdu"]["h323-message-body"][1]
        setup["sourceCallSignalAddress"] = ("netBios", bytes(16))
        body = decode(USER_INFORMATION.encode(tree)).body
        assert isinstance(body, Setup)
        self.assertIsNone(body.source_call_signal_address)

    def test_ipv6(self) -> None:
        """An address of version 6 is one."""
        body = replace(PLAIN_SETUP, dest_call_signal_address=("2001:db8::7", 1720))
        self.assertEqual(decode(encode(UserInformation(body))).body, body)

    def test_every_cut(self) -> None:
        """A message cut anywhere is a message or a violation, nothing else."""
        for end in range(len(ASTERISK)):
            try:
                decode(ASTERISK[:end])
            except ProtocolViolation:
                continue

    def test_mutations(self) -> None:
        """Neither is one with a few octets changed, and what is read can be sent on."""
        random = Random(5)
        originals = [q931.parse(octets).user_user or b"" for octets in signals()]
        read = 0
        for _ in range(MUTATIONS):
            octets = mutated(random.choice(originals), random)
            try:
                information = decode(octets)
                read += 1
                if isinstance(information.body, Setup):
                    uuie.readdressed(information, SOURCE, DESTINATION)
            except ProtocolViolation:
                continue
        self.assertGreater(read, MUTATIONS // 10)


class EncodeTests(SynchronousTestCase):
    """What is written."""

    def test_what_cannot_be_sent(self) -> None:
        """A value that H.225.0 has no room for is a violation too: aliases come from outside."""
        for body in (
            replace(PLAIN_SETUP, destination_address=(Alias("dialledDigits", "12ab"),)),
            replace(PLAIN_SETUP, destination_address=(Alias("dialledDigits", ""),)),
            replace(PLAIN_SETUP, destination_address=(Alias("h323-ID", "a" * 300),)),
            replace(PLAIN_SETUP, destination_address=(Alias("mobileUIM", ""),)),
            replace(PLAIN_SETUP, dest_call_signal_address=("example.com", 1720)),
            replace(PLAIN_SETUP, dest_call_signal_address=("192.0.2.1", 65536)),
            replace(PLAIN_SETUP, conference_id=b"short"),
            ReleaseComplete(PROTOCOL, "becauseISaySo"),
        ):
            self.assertRaises(ProtocolViolation, encode, UserInformation(body))

    def test_alias_of(self) -> None:
        """Digits are dialled, all else is a name."""
        self.assertEqual(alias_of("*31#0123,4"), Alias("dialledDigits", "*31#0123,4"))
        self.assertEqual(alias_of("+49301"), Alias("h323-ID", "+49301"))


class ReaddressedTests(SynchronousTestCase):
    """A SETUP that is sent on."""

    def test_all_else_stays(self) -> None:
        """With the addresses that it had it is octet for octet the one that came: video, fax and tokens too."""
        for octets in (ASTERISK, encode(UserInformation(replace(SETUP, hop_count=None), True, (TUNNELLED,)))):
            information = decode(octets)
            body = information.body
            assert isinstance(body, Setup)
            source, destination = body.source_call_signal_address, body.dest_call_signal_address
            assert source is not None and destination is not None
            self.assertEqual(uuie.readdressed(information, source, destination), octets)

    def test_addresses(self) -> None:
        """Both are those of the new connection, added where there was none."""
        for octets in (ASTERISK, encode(UserInformation(PLAIN_SETUP)), encode(UserInformation(SETUP))):
            before = decode(octets).body
            after = decode(uuie.readdressed(decode(octets), SOURCE, DESTINATION)).body
            assert isinstance(before, Setup) and isinstance(after, Setup)
            self.assertEqual((after.source_call_signal_address, after.dest_call_signal_address), (SOURCE, DESTINATION))
            restored = replace(
                after,
                source_call_signal_address=before.source_call_signal_address,
                dest_call_signal_address=before.dest_call_signal_address,
                hop_count=before.hop_count,
            )
            self.assertEqual(restored, before)

    def test_the_new_connection_is_for_one_call(self) -> None:
        """The flags multipleCalls and maintainConnection are false, whatever the caller says of its own connection."""
        octets = encode(UserInformation(replace(SETUP, multiple_calls=True, maintain_connection=True)))
        body = decode(uuie.readdressed(decode(octets), SOURCE, DESTINATION)).body
        assert isinstance(body, Setup)
        self.assertEqual((body.multiple_calls, body.maintain_connection), (False, False))

    def test_later_version(self) -> None:
        """What is not known here is sent on too, at every level."""
        tree = USER_INFORMATION.decode(ASTERISK)
        pdu = tree["h323-uu-pdu"]
        setup = pdu["h323-message-body"][1]
        for each in (tree, pdu, setup, setup["sourceInfo"]):
            each[UNKNOWN] = Unknown(40, ((39, b"\xca\xfe"),))
        octets = USER_INFORMATION.encode(tree)
        self.assertEqual(octets.count(b"\xca\xfe"), 4)
        information = decode(octets)
        self.assertEqual(uuie.readdressed(information, ("127.0.0.1", 41000), ("127.0.0.1", 1720)), octets)

    def test_other_number(self) -> None:
        """The dial plan may change who is called."""
        information = decode(uuie.readdressed(decode(ASTERISK), SOURCE, DESTINATION, (alias_of("34"),)))
        assert isinstance(information.body, Setup)
        self.assertEqual(information.body.destination_address, (alias_of("34"),))

    def test_hops(self) -> None:
        """A hop count is one less each time, and the last one is not sent on."""
        information = decode(encode(UserInformation(replace(SETUP, hop_count=2))))
        information = decode(uuie.readdressed(information, SOURCE, DESTINATION))
        assert isinstance(information.body, Setup)
        self.assertEqual(information.body.hop_count, 1)
        self.assertRaises(ProtocolViolation, uuie.readdressed, information, SOURCE, DESTINATION)

    def test_no_setup(self) -> None:
        """Only a SETUP that came in is sent on."""
        for information in (decode(FORWARDED), UserInformation(SETUP)):
            self.assertRaises(ProtocolViolation, uuie.readdressed, information, FRONT, PHONE)

    def test_channels(self) -> None:
        """The proposed channels are those that were sent."""
        body = decode(uuie.readdressed(decode(encode(UserInformation(SETUP))), SOURCE, DESTINATION)).body
        assert isinstance(body, Setup)
        self.assertEqual(body.fast_start, (AUDIO_OUT, AUDIO_IN, VIDEO, FAX))


#: FACILITY callForwarded to 192.0.2.7:1721, to ask for 1234 there.
FORWARDED = bytes.fromhex(
    "26e0060008914a000400c000020706b9010180456723e030001100101112131415161718191a1b1c1d1e1f0100010010800100"
)


def mutated(octets: bytes, random: Random) -> bytes:
    """Octets with a few changed, lost or added."""
    changed = bytearray(octets)
    for _ in range(random.randrange(1, 6)):
        at = random.randrange(len(changed))
        match random.randrange(4):
            case 0:
                changed[at] ^= 1 << random.randrange(8)
            case 1:
                changed[at] = random.choice((0, 0x7F, 0x80, 0xFF, random.randrange(256)))
            case 2:
                del changed[at : at + random.randrange(1, 4)]
            case _:
                changed[at:at] = random.randbytes(random.randrange(1, 4))
        if not changed:
            break
    return bytes(changed)
