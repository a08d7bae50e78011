"""RAS: what an endpoint or gatekeeper is busy with, and what it could still take (H.225.0 sections 7.15 to 7.19).

A message whose default is None or ``()`` may lack that component.  What the values lack is not read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

from voipshift.h323.asn1 import Tree, component
from voipshift.h323.components import (
    Aliases,
    AlternateInfo,
    CryptoTokens,
    Endpoint,
    Flag,
    Form,
    Guid,
    Number,
    Octets,
    Oid,
    Place,
    Places,
    Text,
    Tokens,
    Word,
)


class CallCapacity(NamedTuple):
    """How many calls there may be, and how many more there may be now; None where it is not said."""

    maximum: int | None
    current: int | None


class PerCall(NamedTuple):
    """One call of an endpoint."""

    call_reference_value: int
    conference_id: bytes
    call_identifier: bytes | None


def _read_capacity(tree: Tree) -> CallCapacity:
    return CallCapacity(_calls(tree.get("maximumCallCapacity")), _calls(tree.get("currentCallCapacity")))


def _calls(capacity: Tree | None) -> int | None:
    """The calls of every kind of gateway together: an endpoint lists each kind that it is."""
    lists = [component(capacity, name) for name in capacity if name.endswith("CallsAvailable")] if capacity else []
    return sum(each["calls"] for calls in lists for each in calls) if lists else None


def _write_capacity(capacity: CallCapacity) -> Tree:
    tree: Tree = {}
    for name, calls in zip(("maximumCallCapacity", "currentCallCapacity"), capacity, strict=True):
        if calls is not None:
            tree[name] = {"voiceGwCallsAvailable": [{"calls": calls}]}
    return tree


def _read_calls(trees: list[Tree]) -> tuple[PerCall, ...]:
    calls = []
    for tree in trees:
        identifier = component(tree, "callIdentifier")
        calls.append(
            PerCall(tree["callReferenceValue"], tree["conferenceID"], identifier["guid"] if identifier else None)
        )
    return tuple(calls)


def _write_calls(calls: tuple[PerCall, ...]) -> list[Tree]:
    return [_per_call(call) for call in calls]


def _per_call(call: PerCall) -> Tree:
    tree: Tree = {
        "callReferenceValue": call.call_reference_value,
        "conferenceID": call.conference_id,
        "h245": {},
        "callSignalling": {},
        "callType": ("pointToPoint", None),
        "bandWidth": 0,
        "callModel": ("gatekeeperRouted", None),
    }
    if call.call_identifier is not None:
        tree["callIdentifier"] = {"guid": call.call_identifier}
        tree["substituteConfIDs"] = []
    return tree


def _read_protocols(choices: list[tuple[str | int, Any]]) -> tuple[str, ...]:
    return tuple(str(name) for name, _ in choices)


def _write_protocols(names: tuple[str, ...]) -> list[tuple[str, Tree]]:
    return [(name, {"supportedPrefixes": []}) for name in names]


Capacity = Annotated[CallCapacity, Form(_read_capacity, _write_capacity)]
Calls = Annotated[tuple[PerCall, ...], Form(_read_calls, _write_calls)]
#: The names of SupportedProtocols.
Protocols = Annotated[tuple[str, ...], Form(_read_protocols, _write_protocols)]


@dataclass(frozen=True, slots=True)
class InfoRequest:
    """IRQ: what calls are there?  Call reference 0 asks for all."""

    request_seq_num: Number
    call_reference_value: Number
    reply_address: Place = None
    call_identifier: Guid | None = None
    crypto_tokens: CryptoTokens = ()


@dataclass(frozen=True, slots=True)
class InfoRequestResponse:
    """IRR: an endpoint's calls, asked for or not.

    :ivar need_response: IACK or INAK is expected
    """

    request_seq_num: Number
    endpoint_type: Endpoint
    endpoint_identifier: Text
    ras_address: Place
    call_signal_address: Places
    endpoint_alias: Aliases = ()
    per_call_info: Calls = ()
    tokens: Tokens = ()
    crypto_tokens: CryptoTokens = ()
    need_response: Flag = False
    capacity: Capacity | None = None
    unsolicited: Flag = False


@dataclass(frozen=True, slots=True)
class InfoRequestAck:
    """IACK."""

    request_seq_num: Number
    crypto_tokens: CryptoTokens = ()


@dataclass(frozen=True, slots=True)
class InfoRequestNak:
    """INAK."""

    request_seq_num: Number
    nak_reason: Word
    alt_gk_info: AlternateInfo = ()
    crypto_tokens: CryptoTokens = ()


@dataclass(frozen=True, slots=True)
class ResourcesAvailableIndicate:
    """RAI: how much more the sender can take."""

    request_seq_num: Number
    protocol_identifier: Oid
    endpoint_identifier: Text
    almost_out_of_resources: Flag
    protocols: Protocols
    tokens: Tokens = ()
    crypto_tokens: CryptoTokens = ()
    capacity: Capacity | None = None


@dataclass(frozen=True, slots=True)
class ResourcesAvailableConfirm:
    """RAC."""

    request_seq_num: Number
    protocol_identifier: Oid
    crypto_tokens: CryptoTokens = ()


@dataclass(frozen=True, slots=True)
class RequestInProgress:
    """RIP: wait so many milliseconds more."""

    request_seq_num: Number
    delay: Number
    crypto_tokens: CryptoTokens = ()


@dataclass(frozen=True, slots=True)
class UnknownMessageResponse:
    """XRS: a message was not understood."""

    request_seq_num: Number
    message_not_understood: Octets = b""
    crypto_tokens: CryptoTokens = ()
