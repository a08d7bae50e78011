"""The values inside a message: each one checked for its type and its bounds as it is read.

What a field may hold is said once, here; which fields a message has is :mod:`voipshift.group.messages`.  Every reader
returns the value or raises ProtocolViolation.  Pure.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, TypeVar

import msgpack

from voipshift.balance.factors import Factors
from voipshift.errors import ProtocolViolation
from voipshift.group.envelope import LONGEST_NAME
from voipshift.node import Address, Load, NodeIdentity

CHALLENGE_OCTETS = 8
MOST_DOORS = 16
MOST_SERVICES = 8
#: Identities that are remembered with the octets that they are sent in.
MOST_DOCUMENTS: Final = 1024
#: What is longer does not fit in a datagram anyway.
LONGEST_TEXT: Final = 1200
LONGEST_DOOR: Final = 32
LONGEST_HOST: Final = 255
LARGEST_PORT: Final = 65_535
#: Of an incarnation (ms since 1970), a sequence, a count: exact in every language's numbers.
LARGEST_NUMBER: Final = (1 << 53) - 1
#: Of any whole number in msgpack.
LARGEST_UNSIGNED: Final = (1 << 64) - 1
#: Of an occupancy or a capacity.
LARGEST_LOAD: Final = 1e9
#: Of why a node decided so; later versions know more of them.
LARGEST_REASON: Final = 255

_T = TypeVar("_T")

_documents: Final[dict[str, tuple[NodeIdentity, bytes]]] = {}


#: One for all: making it costs more than packing an Ask; its buffer grows where a message is longer.
_packer: Final = msgpack.Packer(buf_size=4096)
_pack: Final[Callable[[object], bytes]] = _packer.pack
_pack_pairs: Final[Callable[[Sequence[tuple[int, object]]], bytes]] = _packer.pack_map_pairs


def pack(value: object) -> bytes:
    """One msgpack value."""
    return _pack(value)


def pack_map(pairs: Sequence[tuple[int, object]]) -> bytes:
    """One msgpack map; each key comes once."""
    try:
        return _pack_pairs(pairs)
    except Exception:
        _packer.reset()  # it keeps what it has written so far
        raise


def unpack(octets: bytes) -> dict[Any, Any]:
    """The one map that the octets are.

    :raises ProtocolViolation: they are something else
    """
    value = _unpacked(octets)
    if type(value) is not dict:
        raise ProtocolViolation("malformed")
    return value


def _unpacked(octets: bytes) -> object:
    try:
        return msgpack.unpackb(octets, strict_map_key=False)
    except (ValueError, TypeError, OverflowError, msgpack.exceptions.UnpackException):
        # TypeError is a map whose key cannot be one.
        raise ProtocolViolation("malformed") from None


def document(name: str, doors: Mapping[str, Address]) -> bytes:
    """An identity packed by itself: the receiver knows the octets again and reads them once."""
    return pack([name, dict(doors)])


def document_of(node: NodeIdentity) -> bytes:
    """The same of a node that accepted, packed once."""
    known = _documents.get(node.name)
    if known is not None and known[0] is node:
        return known[1]
    packed = document(node.name, node.doors)
    if len(_documents) >= MOST_DOCUMENTS:
        _documents.clear()
    _documents[node.name] = (node, packed)
    return packed


@lru_cache(maxsize=MOST_DOCUMENTS)
def read_identity(document: bytes) -> NodeIdentity:
    """An identity of its document."""
    fields = read_array(_unpacked(document), 2, 16)
    doors = fields[1]
    if type(doors) is not dict or len(doors) > MOST_DOORS:
        raise ProtocolViolation("malformed")
    return NodeIdentity(
        read_name(fields[0]), {read_text(door, LONGEST_DOOR): read_address(at) for door, at in doors.items()}
    )


def read_load(value: object) -> Load:
    """A node's load; one of an earlier version does not say why the node decided so."""
    fields = read_array(value, 6, 64)
    return Load(
        read_name(fields[0]),
        read_whole(fields[1]),
        read_whole(fields[2]),
        read_amount(fields[3]),
        read_amount(fields[4]),
        read_whole(fields[5]),
        read_whole(fields[6], LARGEST_REASON) if len(fields) > 6 else 0,
    )


def read_criterion(value: object) -> tuple[int, float, float]:
    """One criterion of a workload: its number, its value, and that as a fraction of its threshold."""
    fields = read_array(value, 3, 16)
    return read_whole(fields[0]), read_amount(fields[1]), read_amount(fields[2])


def read_factors(value: object) -> Factors:
    """What speaks for a node besides its workload."""
    fields = read_array(value, 5, 16)
    services = tuple(read_name(name) for name in read_array(fields[2], 0, MOST_SERVICES))
    region = read_text(fields[0], LONGEST_NAME)
    return Factors(region, read_amount(fields[1]), services, read_amount(fields[3]), read_amount(fields[4]))


def read_offered(value: object) -> float | None:
    """What clients offer a node in a second."""
    return read_amount(read_array(value, 1, 16)[0])


def read_other(value: object) -> tuple[str, Address]:
    """The name of another node, and where it can be reached."""
    fields = read_array(value, 3, 16)
    return read_name(fields[0]), read_group_address(fields[1:3])


def read_array(value: object, least: int, most: int) -> list[Any]:
    """An array of so many elements."""
    if not isinstance(value, list) or not least <= len(value) <= most:
        raise ProtocolViolation("malformed")
    return value


def read_truth(value: object) -> bool:
    """True or False."""
    if not isinstance(value, bool):
        raise ProtocolViolation("malformed")
    return value


def read_whole(value: object, largest: int = LARGEST_NUMBER) -> int:
    """A whole number from 0 on; True is none."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= largest:
        raise ProtocolViolation("malformed")
    return value


def read_amount(value: object) -> float:
    """A number from 0 on; whatever is larger than the largest counts as that, infinity included."""
    if not isinstance(value, float):
        value = float(read_whole(value, LARGEST_UNSIGNED))
    # NaN compares false.
    if not value >= 0.0:
        raise ProtocolViolation("malformed")
    return min(value, LARGEST_LOAD)


def read_text(value: object, longest: int = LONGEST_TEXT) -> str:
    """A text, which may be empty."""
    if not isinstance(value, str) or len(value) > longest:
        raise ProtocolViolation("malformed")
    return value


def read_name(value: object) -> str:
    """A node's name."""
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_NAME:
        raise ProtocolViolation("malformed")
    return value


def read_octets(value: object, least: int, most: int = 0) -> bytes:
    """So many octets."""
    if not isinstance(value, bytes) or not least <= len(value) <= (most or least):
        raise ProtocolViolation("malformed")
    return value


def read_challenge(value: object) -> bytes:
    """A challenge, or the echo of one."""
    return read_octets(value, CHALLENGE_OCTETS)


def read_address(value: object) -> Address:
    """A host and a port."""
    fields = read_array(value, 2, 16)
    host, port = read_text(fields[0], LONGEST_HOST), read_whole(fields[1], LARGEST_PORT)
    if not host or not port:
        raise ProtocolViolation("malformed")
    return host, port


def read_group_address(value: object) -> Address:
    """An address that we send to: never a name to be looked up, never one that multiplies what is sent to it."""
    host, port = read_address(value)
    if not _is_unicast(host):
        raise ProtocolViolation("malformed")
    return host, port


@lru_cache(maxsize=4096)
def _is_unicast(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return not (address.is_multicast or address.is_unspecified or host == "255.255.255.255")


def optional(fields: dict[Any, Any], key: int, default: _T, read: Callable[[object], _T]) -> _T:
    """A field that may be missing."""
    return read(fields[key]) if key in fields else default
