"""RAS: one datagram between an endpoint and its gatekeeper, or between gatekeepers, as a value (H.225.0 section 7.7).

The messages are in registration.py, admission.py and resources.py; each has ``request_seq_num``, which its reply
repeats.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from voipshift.errors import ProtocolViolation
from voipshift.h323 import admission, registration, resources
from voipshift.h323.components import Layout, layout_of, read, write
from voipshift.h323.definitions import RAS_MESSAGE

#: A datagram of an endpoint with hundreds of aliases; a longer one is not read.
MAX_DATAGRAM = 16384


@dataclass(frozen=True, slots=True)
class NotUnderstood:
    """A message of a kind that is not known here: XRS answers it."""

    name: str
    request_seq_num: int


Message = (
    registration.GatekeeperRequest
    | registration.GatekeeperConfirm
    | registration.GatekeeperReject
    | registration.RegistrationRequest
    | registration.RegistrationConfirm
    | registration.RegistrationReject
    | registration.UnregistrationRequest
    | registration.UnregistrationConfirm
    | registration.UnregistrationReject
    | admission.AdmissionRequest
    | admission.AdmissionConfirm
    | admission.AdmissionReject
    | admission.BandwidthRequest
    | admission.BandwidthConfirm
    | admission.BandwidthReject
    | admission.DisengageRequest
    | admission.DisengageConfirm
    | admission.DisengageReject
    | admission.LocationRequest
    | admission.LocationConfirm
    | admission.LocationReject
    | resources.InfoRequest
    | resources.InfoRequestResponse
    | resources.InfoRequestAck
    | resources.InfoRequestNak
    | resources.ResourcesAvailableIndicate
    | resources.ResourcesAvailableConfirm
    | resources.RequestInProgress
    | resources.UnknownMessageResponse
)


def decode(octets: bytes) -> Message | NotUnderstood:
    """Read a datagram.

    :raises ProtocolViolation: it is no RAS message, and nothing that could be answered
    """
    if len(octets) > MAX_DATAGRAM:
        raise ProtocolViolation("RAS: a datagram beyond any message")
    name, content = RAS_MESSAGE.decode(octets)
    layout = _LAYOUTS.get(name)
    if layout is not None:
        message: Message = read(layout, content)
        return message
    if isinstance(content, dict) and "requestSeqNum" in content:
        return NotUnderstood(str(name), content["requestSeqNum"])
    raise ProtocolViolation("RAS: a message of an unknown kind")


def encode(message: Message) -> bytes:
    """Write a datagram.

    :raises ProtocolViolation: it holds something that cannot be sent
    """
    layout = _BY_CLASS[type(message)]
    return RAS_MESSAGE.encode((layout.name, write(layout, message)))


_BY_CLASS: dict[type, Layout] = {message: layout_of(message) for message in Message.__args__}
_LAYOUTS: dict[Any, Layout] = {layout.name: layout for layout in _BY_CLASS.values()}
