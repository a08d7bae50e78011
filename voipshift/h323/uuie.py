"""What the User-User information element holds: the messages of H.225.0 call signalling (section 7.3) as values.

Octets become a :class:`UserInformation` and back.  A SETUP that is passed on is not written anew from its value: see
:func:`readdressed`.  The Q.931 message around it is in q931.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from voipshift.errors import ProtocolViolation
from voipshift.h323.addresses import Alias, EndpointType, write_address, write_aliases
from voipshift.h323.asn1 import Tree, component
from voipshift.h323.components import (
    Aliases,
    CryptoTokens,
    Endpoint,
    Flag,
    Guid,
    Layout,
    Number,
    Octets,
    OctetStrings,
    Oid,
    Place,
    Text,
    Tokens,
    Word,
    layout_of,
    read,
    write,
)
from voipshift.h323.definitions import USER_INFORMATION
from voipshift.node import Address

#: H.225.0 version 4: the first with everything that is said here.
PROTOCOL = (0, 0, 8, 2250, 0, 4)

# What a FACILITY or RELEASE COMPLETE may give as its reason, as far as it is used here.
CALL_FORWARDED = "callForwarded"
FACILITY_CALL_DEFLECTION = "facilityCallDeflection"
GATEKEEPER_RESOURCES = "gatekeeperResources"
UNREACHABLE_DESTINATION = "unreachableDestination"
BAD_FORMAT_ADDRESS = "badFormatAddress"
SECURITY_DENIED = "securityDenied"
UNDEFINED_REASON = "undefinedReason"
HOP_COUNT_EXCEEDED = "hopCountExceeded"


@dataclass(frozen=True, slots=True)
class Setup:
    """A request to connect.

    :ivar call_identifier: None from a terminal of version 1
    :ivar fast_start: proposed channels, each an OpenLogicalChannel of H.245
    """

    protocol_identifier: Oid
    source_info: Endpoint
    conference_id: Octets
    call_identifier: Guid | None = None
    source_address: Aliases = ()
    destination_address: Aliases = ()
    source_call_signal_address: Place = None
    dest_call_signal_address: Place = None
    h245_address: Place = None
    active_mc: Flag = False
    conference_goal: Word = "create"
    call_type: Word = "pointToPoint"
    tokens: Tokens = ()
    crypto_tokens: CryptoTokens = ()
    fast_start: OctetStrings = ()
    media_wait_for_connect: Flag = False
    can_overlap_send: Flag = False
    endpoint_identifier: Text | None = None
    multiple_calls: Flag = False
    maintain_connection: Flag = False
    hop_count: Number | None = None


@dataclass(frozen=True, slots=True)
class CallProceeding:
    """The request is being dealt with."""

    protocol_identifier: Oid
    destination_info: Endpoint
    call_identifier: Guid | None = None
    h245_address: Place = None
    fast_start: OctetStrings = ()
    multiple_calls: Flag = False
    maintain_connection: Flag = False


@dataclass(frozen=True, slots=True)
class Alerting:
    """The called side rings."""

    protocol_identifier: Oid
    destination_info: Endpoint
    call_identifier: Guid | None = None
    h245_address: Place = None
    fast_start: OctetStrings = ()
    multiple_calls: Flag = False
    maintain_connection: Flag = False


@dataclass(frozen=True, slots=True)
class Connect:
    """The called side has answered."""

    protocol_identifier: Oid
    destination_info: Endpoint
    conference_id: Octets
    call_identifier: Guid | None = None
    h245_address: Place = None
    fast_start: OctetStrings = ()
    multiple_calls: Flag = False
    maintain_connection: Flag = False


@dataclass(frozen=True, slots=True)
class Progress:
    """Something happens on the way to an answer."""

    protocol_identifier: Oid
    destination_info: Endpoint
    call_identifier: Guid
    h245_address: Place = None
    fast_start: OctetStrings = ()
    multiple_calls: Flag = False
    maintain_connection: Flag = False


@dataclass(frozen=True, slots=True)
class Facility:
    """A service of the call; with ``callForwarded``, where to call instead.

    :ivar alternative_address: to connect there
    :ivar alternative_alias_address: and to ask for this
    """

    protocol_identifier: Oid
    reason: Word
    call_identifier: Guid | None = None
    alternative_address: Place = None
    alternative_alias_address: Aliases = ()
    conference_id: Octets | None = None
    h245_address: Place = None
    fast_start: OctetStrings = ()
    multiple_calls: Flag = False
    maintain_connection: Flag = False


@dataclass(frozen=True, slots=True)
class ReleaseComplete:
    """The call is over; the reason may be in the Q.931 cause alone."""

    protocol_identifier: Oid
    reason: Word | None = None
    call_identifier: Guid | None = None


@dataclass(frozen=True, slots=True)
class Information:
    """More of the called number, or anything."""

    protocol_identifier: Oid
    call_identifier: Guid | None = None


@dataclass(frozen=True, slots=True)
class Notify:
    """Something happened to the call."""

    protocol_identifier: Oid
    call_identifier: Guid


@dataclass(frozen=True, slots=True)
class Status:
    """The state of a call, which the Q.931 message says."""

    protocol_identifier: Oid
    call_identifier: Guid


@dataclass(frozen=True, slots=True)
class StatusInquiry:
    """A request for a :class:`Status`."""

    protocol_identifier: Oid
    call_identifier: Guid


@dataclass(frozen=True, slots=True)
class SetupAcknowledge:
    """More of the called number is needed."""

    protocol_identifier: Oid
    call_identifier: Guid


@dataclass(frozen=True, slots=True)
class Empty:
    """No message of its own: only what is beside it, such as tunnelled H.245; and a message that is not known here."""


Body = (
    Setup
    | CallProceeding
    | Alerting
    | Connect
    | Progress
    | Facility
    | ReleaseComplete
    | Information
    | Notify
    | Status
    | StatusInquiry
    | SetupAcknowledge
    | Empty
)


@dataclass(frozen=True, slots=True)
class UserInformation:
    """A message, and what travels beside it.

    :ivar h245_tunnelling: None where its sender does not know of it
    :ivar h245_control: tunnelled messages of H.245
    :ivar tree: all that was read, for :func:`readdressed`; None for one of our own
    """

    body: Body
    h245_tunnelling: bool | None = False
    h245_control: tuple[bytes, ...] = ()
    tree: Tree | None = field(default=None, compare=False, repr=False)


def decode(octets: bytes) -> UserInformation:
    """Read the contents of a User-User information element, its protocol discriminator taken off.

    :raises ProtocolViolation: it is no H.225.0 message
    """
    tree: Tree = USER_INFORMATION.decode(octets)
    pdu = tree["h323-uu-pdu"]
    name, content = pdu["h323-message-body"]
    layout = _LAYOUTS.get(name)
    body: Body = _EMPTY if layout is None else read(layout, content)
    control = component(pdu, "h245Control")
    return UserInformation(body, component(pdu, "h245Tunnelling"), tuple(control) if control else (), tree)


def encode(information: UserInformation) -> bytes:
    """The contents of a User-User information element; what was read and is not in the values is not written.

    :raises ProtocolViolation: it holds something that cannot be sent
    """
    body = information.body
    if isinstance(body, Empty):
        message: tuple[str, Any] = ("empty", None)
    else:
        layout = _BY_CLASS[type(body)]
        message = (layout.name, write(layout, body))
    pdu: Tree = {"h323-message-body": message}
    if information.h245_tunnelling is not None:
        pdu["h245Tunnelling"] = information.h245_tunnelling
    if information.h245_control:
        pdu["h245Control"] = list(information.h245_control)
    return USER_INFORMATION.encode({"h323-uu-pdu": pdu})


def readdressed(
    information: UserInformation,
    source: Address,
    destination: Address,
    called: tuple[Alias, ...] | None = None,
) -> bytes:
    """A SETUP as a gatekeeper sends it on: both signalling addresses are those of the new connection.

    That is for one call and ends with it, whatever the caller's own connection is for: multipleCalls and
    maintainConnection are false.  All else stays as it came, what is not known here included.  A hop count is one less,
    as H.225.0 asks.

    :param source: this end of the new connection
    :param destination: its far end
    :param called: the called aliases, where the dial plan changes them
    :raises ProtocolViolation: it is no SETUP, or has made all its hops
    """
    setup = information.body
    if information.tree is None or not isinstance(setup, Setup):
        raise ProtocolViolation("not a SETUP that came in")
    pdu = information.tree["h323-uu-pdu"]
    content = dict(pdu["h323-message-body"][1])
    content["sourceCallSignalAddress"] = write_address(source)
    content["destCallSignalAddress"] = write_address(destination)
    if called is not None:
        content["destinationAddress"] = write_aliases(called)
    for flag in ("multipleCalls", "maintainConnection"):
        if flag in content:
            content[flag] = False
    if setup.hop_count is not None:
        if setup.hop_count <= 1:
            raise ProtocolViolation("the SETUP has made all its hops")
        content["hopCount"] = setup.hop_count - 1
    return USER_INFORMATION.encode(
        {**information.tree, "h323-uu-pdu": {**pdu, "h323-message-body": ("setup", content)}}
    )


#: What this program says of itself in every message of a node.
NODE = EndpointType("gatekeeper", "voipshift")

_EMPTY = Empty()
_BY_CLASS: dict[type, Layout] = {
    message: layout_of(message)
    for message in (
        Setup,
        CallProceeding,
        Alerting,
        Connect,
        Progress,
        Facility,
        ReleaseComplete,
        Information,
        Notify,
        Status,
        StatusInquiry,
        SetupAcknowledge,
    )
}
_LAYOUTS: dict[Any, Layout] = {layout.name: layout for layout in _BY_CLASS.values()}
