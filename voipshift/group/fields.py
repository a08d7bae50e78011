"""The values inside a message: each one checked for its type and its bounds as it is read.

What a field may hold is said once, here; which fields a message has is :mod:`voipshift.group.messages`.  Every reader
returns the value or raises ProtocolViolation.  Pure.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeVar

import msgpack

from voipshift.balance.factors import Factors
from voipshift.errors import ProtocolViolation
from voipshift.group.envelope import LONGEST_NAME
from voipshift.node import Address, Load, NodeIdentity

CHALLENGE_OCTETS = 8
MOST_DOORS = 16
MOST_SERVICES = 8
#: What is longer does not fit in a datagram anyway.
LONGEST_TEXT = 1200
LONGEST_DOOR = 32
LONGEST_HOST = 255
#: Of an incarnation (ms since 1970), a sequence, a count: exact in every language's numbers.
LARGEST_NUMBER = (1 << 53) - 1
#: Of an occupancy or a capacity.
LARGEST_LOAD = 1e9
#: Of why a node decided so; later versions know more of them.
LARGEST_REASON = 255

_T = TypeVar("_T")


#: One for all: making it costs more than packing an Ask; its buffer grows where a message is longer.
_packer = msgpack.Packer(buf_size=4096)


def pack(value: object) -> bytes:
    """One msgpack value."""
    return _packer.pack(value)  # type: ignore[no-any-return]


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
        return msgpack.unpackb(octets, strict_map_key=False, use_list=True)
    except (ValueError, TypeError, OverflowError, msgpack.exceptions.UnpackException):
        # TypeError is a map whose key cannot be one.
        raise ProtocolViolation("malformed") from None


def document(name: str, doors: Mapping[str, Address]) -> bytes:
    """An identity packed by itself: the receiver knows the octets again and reads them once."""
    return pack([name, dict(doors)])


@lru_cache(maxsize=1024)
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
    """A node's load; every ask carries some, so that its fields are checked here and not one by one."""
    if type(value) is not list or not 6 <= len(value) <= 64:
        raise ProtocolViolation("malformed")
    node, incarnation, sequence, occupancy, capacity, flags = value[:6]
    reason = value[6] if len(value) > 6 else 0
    if type(occupancy) is not float or not 0.0 <= occupancy <= LARGEST_LOAD:
        occupancy = read_amount(occupancy)
    if type(capacity) is not float or not 0.0 <= capacity <= LARGEST_LOAD:
        capacity = read_amount(capacity)
    if (
        type(node) is str
        and 0 < len(node) <= LONGEST_NAME
        and type(incarnation) is type(sequence) is type(flags) is type(reason) is int
        and 0 <= incarnation <= LARGEST_NUMBER
        and 0 <= sequence <= LARGEST_NUMBER
        and 0 <= flags <= LARGEST_NUMBER
        and 0 <= reason <= LARGEST_REASON
    ):
        return Load(node, incarnation, sequence, occupancy, capacity, flags, reason)
    raise ProtocolViolation("malformed")


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


def read_array(value: object, least: int, most: int) -> Sequence[Any]:
    """An array of so many elements."""
    if type(value) not in (list, tuple) or not least <= len(value) <= most:  # type: ignore[arg-type]
        raise ProtocolViolation("malformed")
    return value  # type: ignore[return-value]


def read_whole(value: object, largest: int = LARGEST_NUMBER) -> int:
    """A whole number from 0 on; True is none."""
    if type(value) is not int or not 0 <= value <= largest:
        raise ProtocolViolation("malformed")
    return value


def read_amount(value: object) -> float:
    """A number from 0 on; whatever is larger than the largest counts as that, infinity included."""
    # NaN compares false.
    if (type(value) is float or type(value) is int) and value >= 0:
        return float(min(value, LARGEST_LOAD))
    raise ProtocolViolation("malformed")


def read_text(value: object, longest: int = LONGEST_TEXT) -> str:
    """A text, which may be empty."""
    if type(value) is not str or len(value) > longest:
        raise ProtocolViolation("malformed")
    return value


def read_name(value: object) -> str:
    """A node's name."""
    if type(value) is not str or not 0 < len(value) <= LONGEST_NAME:
        raise ProtocolViolation("malformed")
    return value


def read_octets(value: object, least: int, most: int = 0) -> bytes:
    """So many octets."""
    if type(value) is not bytes or not least <= len(value) <= (most or least):
        raise ProtocolViolation("malformed")
    return value


def read_challenge(value: object) -> bytes:
    """A challenge, or the echo of one."""
    return read_octets(value, CHALLENGE_OCTETS)


def read_address(value: object) -> Address:
    """A host and a port."""
    fields = read_array(value, 2, 16)
    host, port = read_text(fields[0], LONGEST_HOST), read_whole(fields[1], 65535)
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
