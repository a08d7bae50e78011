"""STUN binding requests at a SIP port: RFC 5389, as far as RFC 5626 section 4.4.2 needs it.

A telephone behind a NAT asks where its datagrams seem to come from, which keeps the NAT's binding open and shows when
that has changed.  Only binding requests are answered; there is no authentication, for the answer says nothing that its
receiver does not know already.  Pure.

::

    0                   1                   2                   3
    |0 0|   message type (14)       |      message length (16)      |
    |                  magic cookie 0x2112A442                      |
    |                  transaction id (96)                          |
    |   attribute type (16)         |   attribute length (16)       | ...
"""

from __future__ import annotations

import struct
from ipaddress import ip_address

from voipshift.node import Address

MAGIC_COOKIE = 0x2112A442
BINDING_REQUEST = 0x0001
BINDING_RESPONSE = 0x0101
BINDING_ERROR = 0x0111
ERROR_CODE = 0x0009
UNKNOWN_ATTRIBUTES = 0x000A
XOR_MAPPED_ADDRESS = 0x0020
#: Attributes below this must be understood (section 15).
COMPREHENSION_OPTIONAL = 0x8000
#: Those that a binding request may have and that ask nothing of us: user name, integrity, realm, nonce (section 18.2).
IGNORED = frozenset((0x0006, 0x0008, 0x0014, 0x0015))
#: A binding request with all that a telephone writes into it; a longer one is no keep-alive.
MAX_REQUEST = 548
#: Unknown attributes that are named in an error, so that it stays shorter than what it answers.
MAX_UNKNOWN = 8
_HEADER = struct.Struct("!HHI12s")
_ATTRIBUTE = struct.Struct("!HH")


def answer(octets: bytes, source: Address) -> bytes | None:
    """Answer a datagram that is a STUN binding request.

    :param source: where it came from, an IP address and a port
    :returns: None where it is no binding request
    """
    if not _HEADER.size <= len(octets) <= MAX_REQUEST:
        return None
    kind, length, cookie, transaction = _HEADER.unpack_from(octets)
    if kind != BINDING_REQUEST or cookie != MAGIC_COOKIE or length % 4 or length != len(octets) - _HEADER.size:
        return None
    unknown = _unknown(octets)
    if unknown is None:
        return None
    if unknown:
        named = b"".join(struct.pack("!H", each) for each in unknown)
        body = _attribute(ERROR_CODE, b"\0\0\x04\x14Unknown Attribute") + _attribute(UNKNOWN_ATTRIBUTES, named)
        return _HEADER.pack(BINDING_ERROR, len(body), MAGIC_COOKIE, transaction) + body
    body = _attribute(XOR_MAPPED_ADDRESS, _mapped(source, transaction))
    return _HEADER.pack(BINDING_RESPONSE, len(body), MAGIC_COOKIE, transaction) + body


def _unknown(octets: bytes) -> list[int] | None:
    """The attributes that would have to be understood and are not; None where they cannot be read."""
    unknown: list[int] = []
    at = _HEADER.size
    while at < len(octets):
        kind, length = _ATTRIBUTE.unpack_from(octets, at)
        at += _ATTRIBUTE.size + (length + 3) // 4 * 4
        if at > len(octets):
            return None
        if kind < COMPREHENSION_OPTIONAL and kind not in IGNORED and len(unknown) < MAX_UNKNOWN:
            unknown.append(kind)
    return unknown


def _attribute(kind: int, value: bytes) -> bytes:
    return _ATTRIBUTE.pack(kind, len(value)) + value + b"\0" * (-len(value) % 4)


def _mapped(source: Address, transaction: bytes) -> bytes:
    """XOR-MAPPED-ADDRESS (section 15.2): hidden from NATs that rewrite each address which they see."""
    address = ip_address(source[0].partition("%")[0])
    mask = struct.pack("!I", MAGIC_COOKIE) + transaction
    hidden = bytes(one ^ other for one, other in zip(address.packed, mask, strict=False))
    family = 1 if address.version == 4 else 2
    return struct.pack("!BBH", 0, family, source[1] ^ (MAGIC_COOKIE >> 16)) + hidden
