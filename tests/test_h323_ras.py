"""RAS messages are read as terminals write them, and written as tshark reads them."""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from tests.h323_messages import (
    ACCEPT,
    ALIASES,
    CALL,
    CALLED,
    CONFERENCE,
    CRYPTO_TOKENS,
    PHONE,
    RAS_MESSAGES,
    SIGNED_MESSAGES,
    TERMINAL,
    TOKENS,
)
from tests.test_h323_uuie import MUTATIONS, mutated
from voipshift.errors import ProtocolViolation
from voipshift.h323 import ras
from voipshift.h323.addresses import AlternateGatekeeper, EndpointType
from voipshift.h323.admission import AdmissionConfirm, AdmissionReject, AdmissionRequest, DisengageRequest
from voipshift.h323.definitions import RAS_MESSAGE
from voipshift.h323.ras import NotUnderstood, decode, encode
from voipshift.h323.registration import GatekeeperReject, Refusal, RegistrationReject, RegistrationRequest
from voipshift.h323.resources import CallCapacity, ResourcesAvailableIndicate
from voipshift.h323.uuie import PROTOCOL

#: Messages as tshark reads them.
LIGHT_RRQ = bytes.fromhex(
    "0e000002060008914a0004000100c000020106b80100c000020106b82280000000000470686f6e6504000000000470686f6e65348d00000002"
    "003b0180030000310100"
)
ARQ = bytes.fromhex(
    "27900004080000310101804567040180433440040061006c00690063006580130010616c696365406578616d706c652e636f6d8306000c7c63"
    "456000c000020106b84005001267000102030405060708090a0b0c0d0e0f0967200001801100101112131415161718191a1b1c1d1e1f0f0c00"
    "7000720069006d00610072007933014d000a2a864886f70c0a010201c06553f0ff10fbb9fef036bf0e0be6ea60559f77a81d01070a0061006c"
    "00690063006500002e0104040061006c006900630065c06553f0ff082a864886f70d020500808017e8092b969da1bc3964c790603e7e870100"
)
ACF = bytes.fromhex("2b00000440050040c000020706b900772d0080000501018045670100")
GRJ = bytes.fromhex("0a000000060008914a000401600b0001000a00000106b78000")


class MessageTests(SynchronousTestCase):
    """What the messages say."""

    def test_written_and_read(self) -> None:
        """Every message comes back as the value that it was."""
        for message in RAS_MESSAGES + SIGNED_MESSAGES:
            self.assertEqual(decode(encode(message)), message)

    def test_every_kind(self) -> None:
        """There is one of every kind among them."""
        self.assertEqual({type(message) for message in RAS_MESSAGES}, set(ras.Message.__args__))

    def test_light_registration(self) -> None:
        """One that only says that the terminal lives."""
        expected = RegistrationRequest(
            3,
            PROTOCOL,
            False,
            (PHONE,),
            (PHONE,),
            TERMINAL,
            "phone",
            time_to_live=60,
            keep_alive=True,
            endpoint_identifier="1",
        )
        self.assertEqual(decode(LIGHT_RRQ), expected)
        self.assertEqual(encode(expected), LIGHT_RRQ)

    def test_admission(self) -> None:
        """What a caller asks, and the answer that shifts its call."""
        message = decode(ARQ)
        assert isinstance(message, AdmissionRequest)
        self.assertEqual(message.request_seq_num, 5)
        self.assertEqual((message.src_info, message.destination_info), (ALIASES, CALLED))
        self.assertEqual((message.conference_id, message.call_identifier), (CONFERENCE, CALL))
        self.assertEqual((message.tokens, message.crypto_tokens), (TOKENS, CRYPTO_TOKENS))
        self.assertFalse(message.answer_call)
        self.assertEqual(encode(message), ARQ)
        self.assertEqual(encode(AdmissionConfirm(5, 1280, "gatekeeperRouted", ACCEPT, 120, CALLED)), ACF)

    def test_shifted_registration(self) -> None:
        """GRJ with another gatekeeper."""
        alternates = (AlternateGatekeeper(("10.0.0.1", 1719)),)
        message = GatekeeperReject(1, PROTOCOL, "resourceUnavailable", None, alternates)
        self.assertEqual(encode(message), GRJ)
        self.assertEqual(decode(GRJ), message)

    def test_refusals(self) -> None:
        """RRJ duplicateAlias says which; a reason that is not known here is its index."""
        for refusal in (Refusal("duplicateAlias", ALIASES), Refusal("duplicateAlias"), Refusal("securityDenial")):
            message = decode(encode(RegistrationReject(1, PROTOCOL, refusal)))
            assert isinstance(message, RegistrationReject)
            self.assertEqual(message.reject_reason, refusal)
        tree = {"requestSeqNum": 1, "rejectReason": (40, b"\0")}
        message = decode(RAS_MESSAGE.encode(("disengageReject", tree)))
        self.assertEqual(getattr(message, "reject_reason", None), "40")

    def test_gateway(self) -> None:
        """Its prefixes are those of all its protocols."""
        gateway = {
            "protocol": [
                ("voice", {"supportedPrefixes": [{"prefix": ("dialledDigits", "12")}]}),
                ("h323", {"supportedPrefixes": [{"prefix": ("dialledDigits", "34")}], "dataRatesSupported": []}),
                ("h320", {}),
            ]
        }
        name, tree = RAS_MESSAGE.decode(LIGHT_RRQ)
        tree["terminalType"] = {"gateway": gateway, "mc": False, "undefinedNode": False}
        message = decode(RAS_MESSAGE.encode((name, tree)))
        assert isinstance(message, RegistrationRequest)
        self.assertEqual(message.terminal_type, EndpointType("gateway", "", ("12", "34")))

    def test_capacity(self) -> None:
        """What every kind of gateway in it can take is added up."""
        calls = {"voiceGwCallsAvailable": [{"calls": 3}, {"calls": 4}], "sipGwCallsAvailable": [{"calls": 5}]}
        name, tree = RAS_MESSAGE.decode(LIGHT_RRQ)
        tree["capacity"] = {"currentCallCapacity": calls, "maximumCallCapacity": {}}
        message = decode(RAS_MESSAGE.encode((name, tree)))
        assert isinstance(message, RegistrationRequest)
        self.assertEqual(message.capacity, CallCapacity(None, 12))

    def test_not_understood(self) -> None:
        """One of a kind that is not known here can be answered, where it has a number."""
        indication = ("serviceControlIndication", {"requestSeqNum": 77, "serviceControl": []})
        self.assertEqual(decode(RAS_MESSAGE.encode(indication)), NotUnderstood("serviceControlIndication", 77))
        self.assertRaises(ProtocolViolation, decode, RAS_MESSAGE.encode((40, b"\0")))

    def test_what_cannot_be_sent(self) -> None:
        """A value that H.225.0 has no room for is a violation."""
        for message in (
            DisengageRequest(0, "1", CONFERENCE, 1, "normalDrop"),
            DisengageRequest(1, "", CONFERENCE, 1, "normalDrop"),
            DisengageRequest(1, "1", CONFERENCE, 1, "noSuchReason"),
            AdmissionReject(1, "routeCallToSCN"),
            AdmissionConfirm(1, 1280, "gatekeeperRouted", ("example.com", 1720)),
            ResourcesAvailableIndicate(1, PROTOCOL, "1", True, ("nonStandardData",)),
        ):
            self.assertRaises(ProtocolViolation, encode, message)


class BadInputTests(SynchronousTestCase):
    """Datagrams from anybody."""

    def test_every_cut(self) -> None:
        """A message cut anywhere is a message or a violation, nothing else."""
        for octets in (LIGHT_RRQ, ARQ, ACF, GRJ):
            for end in range(len(octets)):
                try:
                    decode(octets[:end])
                except ProtocolViolation:
                    continue

    def test_mutations(self) -> None:
        """Neither is one with a few octets changed, and what is read can be written."""
        random = Random(6)
        originals = [encode(message) for message in RAS_MESSAGES + SIGNED_MESSAGES]
        read = 0
        for _ in range(MUTATIONS):
            try:
                message = decode(mutated(random.choice(originals), random))
                read += 1
                if not isinstance(message, NotUnderstood):
                    encode(message)
            except ProtocolViolation:
                continue
        self.assertGreater(read, MUTATIONS // 10)

    def test_garbage(self) -> None:
        """Nor is what was never a message."""
        random = Random(7)
        for octets in (
            b"",
            bytes(2000),
            b"\xff" * 2000,
            *(random.randbytes(random.randrange(200)) for _ in range(1000)),
        ):
            try:
                decode(octets)
            except ProtocolViolation:
                continue

    def test_too_long(self) -> None:
        """A datagram beyond any message is not read."""
        self.assertRaises(ProtocolViolation, decode, GRJ + bytes(ras.MAX_DATAGRAM))
