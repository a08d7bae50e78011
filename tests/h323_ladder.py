"""Calls of H.323 through one node, as their ladders."""

from __future__ import annotations

from tests.h323_messages import CONFERENCE, SETUP_OCTETS, TERMINAL, signal
from tests.h323net import DoorTestCase, Peer
from voipshift.h323 import q931, signalling, uuie
from voipshift.h323.q931 import Element, MessageType
from voipshift.h323.uuie import PROTOCOL

CALL = bytes(range(16, 32))
PROCEEDING = signal(MessageType.CALL_PROCEEDING, uuie.CallProceeding(PROTOCOL, TERMINAL, CALL))
ALERTING = signal(MessageType.ALERTING, uuie.Alerting(PROTOCOL, TERMINAL, CALL))
CONNECT = signal(MessageType.CONNECT, uuie.Connect(PROTOCOL, TERMINAL, CONFERENCE, CALL))
FACILITY = signal(MessageType.FACILITY, uuie.Empty(), (Element.FACILITY, b""))
ENQUIRY = signal(MessageType.STATUS_ENQUIRY, uuie.StatusInquiry(PROTOCOL, CALL))
SECOND_SETUP = signalling.with_reference(SETUP_OCTETS, 99)


def release(cause: int = q931.NORMAL_CLEARING) -> bytes:
    """RELEASE COMPLETE."""
    return signal(MessageType.RELEASE_COMPLETE, uuie.ReleaseComplete(PROTOCOL, None, CALL), q931.cause(cause))


def words(signals: list[signalling.Signal]) -> list[str]:
    """Messages in short."""
    return [MessageType(each.message.type).name for each in signals]


class LadderTestCase(DoorTestCase):
    """Calls between a terminal and a gateway."""

    def reference(self, gateway: Peer) -> int:
        """The call reference that the node gave the gateway, whose SETUP it has heard."""
        return q931.parse(gateway.heard[0]).call_reference

    def carried(self, *, front: bool = True) -> tuple[Peer, Peer, int]:
        """A call that has been answered."""
        phone = self.phone(front=front)
        phone.say(SETUP_OCTETS)
        gateway = self.gateways[-1]
        reference = self.reference(gateway)
        gateway.say(*(signalling.with_reference(each, reference) for each in (PROCEEDING, ALERTING, CONNECT)))
        self.assertEqual(words(phone.told()), ["CALL_PROCEEDING", "ALERTING", "CONNECT"])
        self.assertEqual(words(gateway.told()), ["SETUP"])
        return phone, gateway, reference
