"""Whole messages of call signalling, one constant per arrow of a call that is shifted and then carried."""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from tests.h323_messages import ACCEPT, CALL, CALLED, PLAIN_SETUP_OCTETS, SETUP_OCTETS
from voipshift.errors import ProtocolViolation
from voipshift.h323 import q931, signalling, tpkt, uuie
from voipshift.h323.addresses import Alias, alias_of
from voipshift.h323.q931 import MessageType
from voipshift.h323.signalling import Signal, parse

#: Asterisk -> front port: SETUP for 1234.
F1 = """
030000d7080212670504038893a5280763616c6c6572006c058131303031700581313233347e00af0520b8060008914a000402400500630061006c
006c006500720180433422c0b800002707417374657269736b0431362e3238000101804567007f00000106b800000102030405060708090a0b0c0d
0e0f00dd1d80000007007f000001a0281100101112131415161718191a1b1c1d1e1f3202120000000c6013800a04000100c000020127111d400000
060401004c6013801114000100c0000201271000c00002012711010001000100010010800180
"""
#: CALL PROCEEDING, for a member has to be asked.
F2 = """
0300004308029267027e0037052180060008914a000430800000000008766f697073686966740110c01100101112131415161718191a1b1c1d1e1f
0100010010800100
"""
#: FACILITY: the member took it, 1234 is to be asked for at 192.0.2.7:1721.
F3 = """
0300004208029267621c007e00340526e0060008914a000400c000020706b9010180456723e030001100101112131415161718191a1b1c1d1e1f01
00010010800100
"""
#: RELEASE COMPLETE, facilityCallDeflection.
F4 = """
03000036080292675a080280907e00260525c0060008914a00048001001500001100101112131415161718191a1b1c1d1e1f10800100
"""
#: Asterisk -> the member's accept port: a new SETUP, with a new callIdentifier, conferenceID and call reference.
F5 = """
030000d7080212680504038893a5280763616c6c6572006c058131303031700581313233347e00af0520b8060008914a000402400500630061006c
006c006500720180433422c0b800002707417374657269736b0431362e323800010180456700c000020706b900202122232425262728292a2b2c2d
2e2f00dd1d80000007007f000001a0281100303132333435363738393a3b3c3d3e3f3202120000000c6013800a04000100c000020127111d400000
060401004c6013801114000100c0000201271000c00002012711010001000100010010800180
"""
#: The member -> its gateway at 192.0.2.9: the same with both addresses rewritten.
F6 = """
030000d7080200070504038893a5280763616c6c6572006c058131303031700581313233347e00af0520b8060008914a000402400500630061006c
006c006500720180433422c0b800002707417374657269736b0431362e323800010180456700c000020906b800202122232425262728292a2b2c2d
2e2f00dd1d8000000700c00002079c401100303132333435363738393a3b3c3d3e3f3202120000000c6013800a04000100c000020127111d400000
060401004c6013801114000100c0000201271000c00002012711010001000100010010800180
"""
#: The gateway: ALERTING, then CONNECT.
F7 = """
0300004008028007017e0034052380060008914a00042280000000000470686f6e6501d0c0001100303132333435363738393a3b3c3d3e3f010001
0010800180
"""
F8 = """
03000073080280070704038893a5280763616c6c6565007e0059052280060008914a00042280000000000470686f6e6500202122232425262728
292a2b2c2d2e2f1f1c001100303132333435363738393a3b3c3d3e3f1401120000000c6013800a04000100c000020127110100010010800180
"""
#: Asterisk hangs up: RELEASE COMPLETE.
F9 = """
03000033080212685a080280907e0023052580060008914a00041500001100303132333435363738393a3b3c3d3e3f10800180
"""


def payload(arrow: str) -> bytes:
    """The contents of the one TPKT of an arrow."""
    (octets,) = tpkt.Reader().receive(bytes.fromhex(arrow))
    return octets


class LadderTests(SynchronousTestCase):
    """A redirected call, arrow by arrow."""

    def test_shifted(self) -> None:
        """The node's three answers to a SETUP."""
        setup = parse(payload(F1))
        self.assertEqual(setup.called, CALLED)
        self.assertEqual(setup.caller, (Alias("h323-ID", "caller"), Alias("dialledDigits", "1001")))
        self.assertEqual(setup.call_identifier, CALL)
        self.assertEqual(signalling.call_proceeding(setup), payload(F2))
        self.assertEqual(signalling.call_forwarded(setup, ACCEPT), payload(F3))
        self.assertEqual(signalling.release_complete(setup, uuie.FACILITY_CALL_DEFLECTION), payload(F4))

    def test_sent_on(self) -> None:
        """The SETUP that leaves the member; nothing ties it to the first one."""
        first, second = parse(payload(F1)), parse(payload(F5))
        self.assertNotEqual(second.call_identifier, first.call_identifier)
        octets = signalling.setup_sent_on(second, 7, ("192.0.2.7", 40000), ("192.0.2.9", 1720))
        self.assertEqual(octets, payload(F6))

    def test_relayed(self) -> None:
        """What the gateway says reaches the caller under the caller's call reference, all else as it was."""
        for arrow, type in ((F7, MessageType.ALERTING), (F8, MessageType.CONNECT)):
            octets = payload(arrow)
            relayed = signalling.with_reference(octets, 0x1268)
            self.assertEqual(relayed[:5].hex(), f"08029268{type:02x}")
            self.assertEqual(relayed[5:], octets[5:])
        relayed = signalling.with_reference(payload(F9), 7)
        message = parse(relayed).message
        self.assertEqual((message.call_reference, message.from_destination, message.cause), (7, False, 16))


class AnswerTests(SynchronousTestCase):
    """What a node says of its own accord."""

    def test_flags_are_false(self) -> None:
        """Both multipleCalls and maintainConnection MUST be said, and are false."""
        setup = parse(SETUP_OCTETS)
        for octets in (signalling.call_proceeding(setup), signalling.call_forwarded(setup, ACCEPT)):
            body = self.body(octets)
            assert isinstance(body, (uuie.CallProceeding, uuie.Facility))
            self.assertEqual((body.multiple_calls, body.maintain_connection), (False, False))
            information = parse(octets).information
            assert information is not None and information.tree is not None
            pdu = information.tree["h323-uu-pdu"]["h323-message-body"][1]
            self.assertLessEqual({"multipleCalls", "maintainConnection"}, set(pdu))

    def test_version_1(self) -> None:
        """A caller without callIdentifier gets none back, and is told the number that it dialled."""
        setup = parse(PLAIN_SETUP_OCTETS)
        self.assertIsNone(setup.call_identifier)
        self.assertEqual(setup.called, CALLED)
        facility = self.body(signalling.call_forwarded(setup, ACCEPT))
        assert isinstance(facility, uuie.Facility)
        self.assertIsNone(facility.call_identifier)
        self.assertEqual(facility.alternative_alias_address, CALLED)

    def test_every_alias(self) -> None:
        """All of the called aliases are in the FACILITY as they came, whatever their kind."""
        information = parse(SETUP_OCTETS).information
        assert information is not None and isinstance(information.body, uuie.Setup)
        called = (alias_of("bob"), Alias("partyNumber", "49301"), Alias("email-ID", "bob@example.com"))
        body = replace(information.body, destination_address=called)
        octets = uuie.encode(uuie.UserInformation(body))
        setup = parse(q931.Message(5, 1, False, (q931.user_user(octets),)).octets())
        facility = self.body(signalling.call_forwarded(setup, ACCEPT))
        assert isinstance(facility, uuie.Facility)
        self.assertEqual(facility.alternative_alias_address, called)

    def test_causes(self) -> None:
        """Each reason has its cause of Q.850; a full group says 47."""
        setup = parse(SETUP_OCTETS)
        for reason, cause in signalling.CAUSES.items():
            answer = parse(signalling.release_complete(setup, reason))
            self.assertEqual(answer.message.cause, cause)
            self.assertEqual(self.body_of(answer), uuie.ReleaseComplete(uuie.PROTOCOL, reason, CALL))
        self.assertEqual(signalling.CAUSES[uuie.GATEKEEPER_RESOURCES], 47)
        busy = parse(signalling.release_complete(setup, None, cause=17, from_destination=False))
        self.assertEqual((busy.message.cause, busy.message.from_destination), (17, False))

    def test_status(self) -> None:
        """An enquiry is answered from the other side, whichever asked, and even one without H.225.0 in it."""
        for octets, from_destination in (("0802126775", True), ("0802926775", False)):
            answer = parse(signalling.status(parse(bytes.fromhex(octets)), 10))
            self.assertEqual(answer.message.from_destination, from_destination)
            self.assertEqual(answer.message.get(q931.Element.CALL_STATE), b"\x0a")
            self.assertEqual(answer.message.cause, 30)

    def test_nothing_to_send_on(self) -> None:
        """A SETUP without H.225.0 goes nowhere."""
        setup = parse(bytes.fromhex("0802000105"))
        self.assertEqual((setup.information, setup.called, setup.caller), (None, (), ()))
        self.assertRaises(ProtocolViolation, signalling.setup_sent_on, setup, 1, ACCEPT, ACCEPT)

    def test_other_number(self) -> None:
        """What the dial plan makes of the number is in both places."""
        octets = signalling.setup_sent_on(parse(payload(F5)), 7, ACCEPT, ACCEPT, (alias_of("34"),))
        setup = parse(octets)
        self.assertEqual((setup.called, setup.message.called_number), ((alias_of("34"),), "34"))

    def body(self, octets: bytes) -> uuie.Body:
        """The H.225.0 message in these octets."""
        return self.body_of(parse(octets))

    def body_of(self, signal: Signal) -> uuie.Body:
        """The H.225.0 message of a signal."""
        assert signal.information is not None
        return signal.information.body
