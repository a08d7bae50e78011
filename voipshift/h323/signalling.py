"""A message of H.225.0 call signalling whole: Q.931 outside, its User-User contents inside, and those a node writes.

What a node sends of its own accord is little: CALL PROCEEDING, the two messages that send a caller elsewhere, RELEASE
COMPLETE and STATUS.  They repeat call reference and callIdentifier of the SETUP that they answer.  multipleCalls and
maintainConnection are false in all of them (H.225.0 section 7.3).
"""

from __future__ import annotations

from typing import NamedTuple

from voipshift.h323 import q931, uuie
from voipshift.h323.addresses import Alias, alias_of
from voipshift.h323.q931 import Element, MessageType
from voipshift.h323.uuie import NODE, PROTOCOL, Body, Setup, UserInformation
from voipshift.node import Address

#: Reason of H.225.0 -> cause of Q.850 (H.225.0 section 7.2.2.8, table 5).
CAUSES = {
    "noBandwidth": q931.NO_CIRCUIT,
    "gatekeeperResources": q931.RESOURCES_UNAVAILABLE,
    "unreachableDestination": q931.NO_ROUTE,
    "destinationRejection": q931.NORMAL_CLEARING,
    "invalidRevision": 88,
    "noPermission": q931.INTERWORKING,
    "unreachableGatekeeper": q931.NETWORK_OUT_OF_ORDER,
    "gatewayResources": q931.CONGESTION,
    "badFormatAddress": q931.INVALID_NUMBER_FORMAT,
    "adaptiveBusy": q931.TEMPORARY_FAILURE,
    "inConf": q931.USER_BUSY,
    "undefinedReason": q931.NORMAL_UNSPECIFIED,
    "facilityCallDeflection": q931.NORMAL_CLEARING,
    "securityDenied": q931.NORMAL_UNSPECIFIED,
    "calledPartyNotRegistered": q931.SUBSCRIBER_ABSENT,
    "callerNotRegistered": q931.NORMAL_UNSPECIFIED,
    "newConnectionNeeded": q931.RESOURCES_UNAVAILABLE,
    "hopCountExceeded": 25,
}


class Signal(NamedTuple):
    """A message, and what its User-User element says; None where it has none."""

    message: q931.Message
    information: UserInformation | None

    @property
    def call_identifier(self) -> bytes | None:
        """The call's name in every message but those of version 1."""
        return getattr(self.information.body, "call_identifier", None) if self.information is not None else None

    @property
    def called(self) -> tuple[Alias, ...]:
        """Who is called: the SETUP's destinationAddress, else its called party number."""
        body = self.information.body if self.information is not None else None
        if isinstance(body, Setup) and body.destination_address:
            return body.destination_address
        number = self.message.called_number
        return (alias_of(number),) if number else ()

    @property
    def caller(self) -> tuple[Alias, ...]:
        """Who calls: the SETUP's sourceAddress, else its calling party number."""
        body = self.information.body if self.information is not None else None
        if isinstance(body, Setup) and body.source_address:
            return body.source_address
        number = self.message.calling_number
        return (alias_of(number),) if number else ()


def parse(octets: bytes) -> Signal:
    """Read the contents of a TPKT.

    :raises ProtocolViolation: it is no message of call signalling
    """
    message = q931.parse(octets)
    contents = message.user_user
    return Signal(message, None if contents is None else uuie.decode(contents))


def call_proceeding(setup: Signal) -> bytes:
    """CALL PROCEEDING, in answer to a SETUP."""
    body = uuie.CallProceeding(PROTOCOL, NODE, setup.call_identifier)
    return _answer(setup.message.call_reference, MessageType.CALL_PROCEEDING, body)


def call_forwarded(setup: Signal, address: Address) -> bytes:
    """FACILITY that sends the caller to another address, to ask there for whom it called.

    RELEASE COMPLETE with facilityCallDeflection follows: some callers wait for it.

    :param address: the accept port of the node that took the call
    """
    body = uuie.Facility(
        PROTOCOL,
        uuie.CALL_FORWARDED,
        setup.call_identifier,
        alternative_address=address,
        alternative_alias_address=setup.called,
    )
    # H.225.0 table 11: the Facility element is there, and empty.
    return _answer(setup.message.call_reference, MessageType.FACILITY, body, (Element.FACILITY, b""))


def release_complete(
    signal: Signal, reason: str | None, *, cause: int | None = None, from_destination: bool = True
) -> bytes:
    """RELEASE COMPLETE for the call of a message that came or was sent.

    :param reason: as H.225.0 spells it; None says it by the cause alone
    :param cause: of Q.850; None takes the one that belongs to the reason
    :param from_destination: it goes to the side that began the call
    """
    if cause is None:
        cause = CAUSES.get(reason or "", q931.NORMAL_CLEARING)
    return _answer(
        signal.message.call_reference,
        MessageType.RELEASE_COMPLETE,
        uuie.ReleaseComplete(PROTOCOL, reason, signal.call_identifier),
        q931.cause(cause),
        from_destination=from_destination,
    )


def status(enquiry: Signal, state: int, cause: int = q931.STATUS_ENQUIRY_ANSWERED) -> bytes:
    """STATUS, in answer to STATUS ENQUIRY or to a message of a call that there is not.

    :param state: of Q.931, 0 for no call
    """
    return _answer(
        enquiry.message.call_reference,
        MessageType.STATUS,
        uuie.Status(PROTOCOL, enquiry.call_identifier or bytes(16)),
        q931.cause(cause),
        q931.call_state(state),
        from_destination=not enquiry.message.from_destination,
    )


def setup_sent_on(
    setup: Signal,
    call_reference: int,
    source: Address,
    destination: Address,
    called: tuple[Alias, ...] | None = None,
) -> bytes:
    """A SETUP as a node sends it on to a gateway or terminal: only its addresses are other ones.

    :param call_reference: of the new connection
    :param source: this end of it
    :param destination: its far end
    :param called: the called aliases, where the dial plan changes them; a called party number becomes the first of them
    :raises ProtocolViolation: it is no SETUP with H.225.0 in it, or has made all its hops
    """
    information = setup.information or UserInformation(uuie.Empty())
    message = setup.message.with_user_user(uuie.readdressed(information, source, destination, called))
    elements = message.elements
    if called:
        elements = tuple(
            q931.called_number(called[0].text) if each[0] == Element.CALLED_PARTY_NUMBER else each for each in elements
        )
    return q931.Message(MessageType.SETUP, call_reference, False, elements).octets()


def with_reference(octets: bytes, call_reference: int) -> bytes:
    """The contents of a TPKT with another call reference, its flag and all else as they are: what is relayed."""
    flag = octets[2] & 0x80
    return octets[:2] + (flag << 8 | call_reference).to_bytes(2) + octets[4:]


def _answer(
    call_reference: int, type: MessageType, body: Body, *elements: tuple[int, bytes], from_destination: bool = True
) -> bytes:
    octets = uuie.encode(UserInformation(body))
    return q931.Message(type, call_reference, from_destination, (*elements, q931.user_user(octets))).octets()
