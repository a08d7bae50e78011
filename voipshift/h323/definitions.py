"""H.225.0 as the ITU-T defined it: its ASN.1, compiled by pycrate, as types that read and write octets.

The only file that imports pycrate, and only its definitions.  **Its codec is not used**: its encoder adds an octet
before some extension additions, so that GRJ, ARQ, DRQ and RAI come out malformed; it loses the first addition that it
does not know; its decoder takes 300 µs for a SETUP, and any time for one that was made to be slow.
"""

from __future__ import annotations

from typing import Any

from pycrate_asn1dir import H225

from voipshift.h323.asn1 import (
    BitString,
    Boolean,
    CharacterString,
    Integer,
    Null,
    ObjectIdentifier,
    OctetString,
    OpenType,
    Size,
    Type,
)
from voipshift.h323.constructed import Choice, Enumerated, SequenceOf, SequenceType

_SIMPLE: dict[str, Type] = {
    "NULL": Null(),
    "BOOLEAN": Boolean(),
    "OBJECT IDENTIFIER": ObjectIdentifier(),
    "OPEN_TYPE": OpenType(),
}
_BITS = {"IA5String": 8, "PrintableString": 8, "BMPString": 16}
#: A size up to this is no bound for PER (10.9.3.3).
_UNBOUNDED = 65536


def _type(definition: Any, known: dict[int, Type]) -> Type:
    """The type of a definition; ``known`` are those made before, by identity, for a type may contain itself."""
    found = known.get(id(definition))
    if found is None:
        found = known[id(definition)] = _new(definition)
        _set_parts(found, definition, known)
    return found


def _new(definition: Any) -> Type:
    match definition.TYPE:
        case "SEQUENCE":
            return SequenceType()
        case "SEQUENCE OF":
            return SequenceOf()
        case "CHOICE":
            return Choice()
        case "ENUMERATED":
            return Enumerated(definition._root, definition._ext or (), definition._ext is not None)
        case "INTEGER":
            return _integer(definition._const_val)
        case "OCTET STRING":
            return OctetString(_size(definition))
        case "BIT STRING":
            return BitString(_size(definition))
        case "IA5String" | "PrintableString" | "BMPString" as name:
            alphabet = "".join(definition._const_alpha.root) if definition._const_alpha else ""
            return CharacterString(_size(definition), 4 if alphabet else _BITS[name], alphabet)
        case name:
            return _SIMPLE[name]


def _set_parts(made: Type, definition: Any, known: dict[int, Type]) -> None:
    extensible = getattr(definition, "_ext", None) is not None
    if isinstance(made, SequenceOf):
        made.set(_type(definition._cont, known), _size(definition))
    elif isinstance(made, (SequenceType, Choice)):
        parts = {name: _type(definition._cont[name], known) for name in definition._cont}
        additions = [(name, parts[name]) for name in (definition._ext or ())]
        if isinstance(made, Choice):
            made.set([(name, parts[name]) for name in definition._root], additions, extensible)
        else:
            root = [(name, parts[name], name in definition._root_opt) for name in definition._root]
            made.set(root, additions, extensible)


def _integer(constraint: Any) -> Integer:
    if constraint is None:
        return Integer(0, None, False)
    return Integer(constraint.lb, constraint.ub - constraint.lb + 1, constraint.ext is not None)


def _size(definition: Any) -> Size:
    constraint = definition._const_sz
    if constraint is None or constraint.ub >= _UNBOUNDED:
        return Size(0, None)
    return Size(constraint.lb, constraint.ub - constraint.lb + 1)


_known: dict[int, Type] = {}
#: What the User-User information element of a call signalling message holds.
USER_INFORMATION = _type(H225.H323_MESSAGES.H323_UserInformation, _known)
#: One datagram of RAS.
RAS_MESSAGE = _type(H225.H323_MESSAGES.RasMessage, _known)
#: What a password is hashed in (H.235.0).
CLEAR_TOKEN = _type(H225.H235_SECURITY_MESSAGES.ClearToken, _known)
