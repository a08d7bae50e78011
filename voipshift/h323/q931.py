"""The Q.931 message around every H.225.0 message: header and information elements (ITU-T Q.931 section 4, H.225.0 7.2).

::

    08            protocol discriminator
    02 FV VV      call reference: F (0x80) is set by the side that did not begin the call, 15 bits of value
    MM            message type
    II LL ...     information elements, in ascending order: identifier, length, contents
    7E LL LL 05   User-User: the last one, a length of two octets, a discriminator, and the H.225.0 message in PER

An information element is kept as its octets, so that a message that is passed on is the one that came in, but for what
was put in its place.  Elements of other codesets (after a shift) are kept as they are, and not looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from voipshift.errors import ProtocolViolation

PROTOCOL_DISCRIMINATOR = 0x08
#: User-User contents in ASN.1 (4.5.30).
_ASN1 = 0x05
#: More information elements than any message has.
MAX_ELEMENTS = 64


class MessageType(IntEnum):
    """Message types, table 4-2; those that H.225.0 uses."""

    ALERTING = 0x01
    CALL_PROCEEDING = 0x02
    PROGRESS = 0x03
    SETUP = 0x05
    CONNECT = 0x07
    SETUP_ACKNOWLEDGE = 0x0D
    CONNECT_ACKNOWLEDGE = 0x0F
    USER_INFORMATION = 0x20
    RELEASE = 0x4D
    RELEASE_COMPLETE = 0x5A
    FACILITY = 0x62
    NOTIFY = 0x6E
    STATUS_ENQUIRY = 0x75
    INFORMATION = 0x7B
    STATUS = 0x7D


class Element(IntEnum):
    """Identifiers of information elements, table 4-3; those that H.225.0 uses."""

    BEARER_CAPABILITY = 0x04
    CAUSE = 0x08
    CALL_STATE = 0x14
    FACILITY = 0x1C
    PROGRESS_INDICATOR = 0x1E
    NOTIFICATION_INDICATOR = 0x27
    DISPLAY = 0x28
    KEYPAD = 0x2C
    SIGNAL = 0x34
    CALLING_PARTY_NUMBER = 0x6C
    CALLED_PARTY_NUMBER = 0x70
    USER_USER = 0x7E


# Causes (Q.850), as far as they are used here.
UNALLOCATED_NUMBER = 1
NO_ROUTE = 3
NORMAL_CLEARING = 16
USER_BUSY = 17
NO_RESPONSE = 18
NO_ANSWER = 19
SUBSCRIBER_ABSENT = 20
CALL_REJECTED = 21
OUT_OF_ORDER = 27
INVALID_NUMBER_FORMAT = 28
STATUS_ENQUIRY_ANSWERED = 30
NORMAL_UNSPECIFIED = 31
NO_CIRCUIT = 34
NETWORK_OUT_OF_ORDER = 38
TEMPORARY_FAILURE = 41
CONGESTION = 42
RESOURCES_UNAVAILABLE = 47
INVALID_CALL_REFERENCE = 81
MANDATORY_ELEMENT_MISSING = 96
TIMER_EXPIRED = 102
INTERWORKING = 127

#: Unrestricted digital information, 64 kbit/s, H.221 and H.242 (H.225.0 table 14).
BEARER = b"\x88\x90\xa5"


@dataclass(frozen=True, slots=True)
class Message:
    """A message of Q.931.

    :ivar type: a :class:`MessageType`, or the number of one that is not known here
    :ivar call_reference: 15 bits, chosen by the side that began the call
    :ivar from_destination: the flag: sent by the other side
    :ivar elements: identifier and contents, as they came; the contents of one of a single octet are empty
    """

    type: int
    call_reference: int
    from_destination: bool
    elements: tuple[tuple[int, bytes], ...] = ()

    def get(self, identifier: int) -> bytes | None:
        """The contents of the first such element."""
        for each, contents in self.elements:
            if each == identifier:
                return contents
        return None

    @property
    def user_user(self) -> bytes | None:
        """The H.225.0 message, None where there is none."""
        contents = self.get(Element.USER_USER)
        return contents[1:] if contents and contents[0] == _ASN1 else None

    @property
    def cause(self) -> int | None:
        """The cause, None where there is none."""
        contents = self.get(Element.CAUSE)
        if not contents:
            return None
        at = 0 if contents[0] & 0x80 else 1
        return contents[at + 1] & 0x7F if len(contents) > at + 1 else None

    @property
    def called_number(self) -> str:
        """The digits of the called party number, empty where there is none."""
        return _digits(self.get(Element.CALLED_PARTY_NUMBER))

    @property
    def calling_number(self) -> str:
        """The digits of the calling party number, empty where there is none."""
        return _digits(self.get(Element.CALLING_PARTY_NUMBER))

    @property
    def display(self) -> str:
        """The display text, empty where there is none."""
        return (self.get(Element.DISPLAY) or b"").rstrip(b"\0").decode("latin-1")

    def with_user_user(self, octets: bytes) -> Message:
        """The same with another H.225.0 message in it."""
        elements = [each for each in self.elements if each[0] != Element.USER_USER]
        return Message(self.type, self.call_reference, self.from_destination, (*elements, user_user(octets)))

    def octets(self) -> bytes:
        """It on the wire, without the TPKT header.

        :raises ProtocolViolation: an element is too long
        """
        reference = self.call_reference | 0x8000 if self.from_destination else self.call_reference
        parts = [bytes((PROTOCOL_DISCRIMINATOR, 2)), reference.to_bytes(2), bytes((self.type,))]
        for identifier, contents in self.elements:
            if identifier & 0x80:
                parts.append(bytes((identifier,)))
                continue
            size = 2 if identifier == Element.USER_USER else 1
            if len(contents) >> 8 * size:
                raise ProtocolViolation("Q.931: an information element is too long")
            parts += (bytes((identifier,)), len(contents).to_bytes(size), contents)
        return b"".join(parts)


def parse(octets: bytes) -> Message:
    """Read a message; an element that is cut short is a violation, one that is not known is not.

    :raises ProtocolViolation: it is none
    """
    if len(octets) < 5 or octets[0] != PROTOCOL_DISCRIMINATOR:
        raise ProtocolViolation("no Q.931 message")
    if octets[1] != 2:
        raise ProtocolViolation("Q.931: a call reference of another length than two octets")
    reference = int.from_bytes(octets[2:4])
    elements = []
    at, end = 5, len(octets)
    while at < end:
        identifier = octets[at]
        at += 1
        if identifier & 0x80:
            elements.append((identifier, b""))
        else:
            size = 2 if identifier == Element.USER_USER else 1
            start = at + size
            at = start + int.from_bytes(octets[at:start])
            if start > end or at > end:
                raise ProtocolViolation("Q.931: an information element is cut short")
            elements.append((identifier, octets[start:at]))
        if len(elements) > MAX_ELEMENTS:
            raise ProtocolViolation("Q.931: too many information elements")
    return Message(octets[4], reference & 0x7FFF, bool(reference & 0x8000), tuple(elements))


def user_user(octets: bytes) -> tuple[int, bytes]:
    """The element that holds an H.225.0 message."""
    return Element.USER_USER, b"\x05" + octets


def cause(value: int) -> tuple[int, bytes]:
    """The element that says why a call ends."""
    return Element.CAUSE, bytes((0x80, 0x80 | value))


def call_state(value: int) -> tuple[int, bytes]:
    """The element that says in which state a call is."""
    return Element.CALL_STATE, bytes((value,))


def called_number(digits: str) -> tuple[int, bytes]:
    """The called party number, of unknown type, in the plan of E.164."""
    return Element.CALLED_PARTY_NUMBER, b"\x81" + digits.encode("latin-1", "replace")


def calling_number(digits: str) -> tuple[int, bytes]:
    """The calling party number, of unknown type, in the plan of E.164."""
    return Element.CALLING_PARTY_NUMBER, b"\x81" + digits.encode("latin-1", "replace")


def _digits(contents: bytes | None) -> str:
    """The digits of a party number: after one octet, or after two where the first has no extension bit."""
    if not contents:
        return ""
    return contents[1 if contents[0] & 0x80 else 2 :].rstrip(b"\0").decode("latin-1")
