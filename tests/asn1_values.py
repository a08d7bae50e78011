"""Random values of any type that pycrate has a definition of, and what pycrate's decoder makes of octets.

pycrate's encoder has faults, but its decoder is another reading of X.691 than ours.
"""

from __future__ import annotations

from random import Random
from typing import Any

from pycrate_asn1rt.codecs import ASN1CodecPER

from voipshift.h323.asn1 import UNKNOWN, Addition

#: Levels of nesting after which what is optional is left out.
DEEPEST = 9
_ALPHABETS = {"PrintableString": "aZ09 ", "IA5String": "az~ 09@", "BMPString": "aé€中"}


def random_value(definition: Any, random: Random, depth: int = 0) -> Any:
    """A value of a type, as a tree of ours."""
    match definition.TYPE:
        case "NULL":
            return None
        case "BOOLEAN":
            return random.random() < 0.5
        case "INTEGER":
            return _integer(definition._const_val, random)
        case "OBJECT IDENTIFIER":
            return (random.randrange(2), random.randrange(40), *(random.randrange(1 << 20) for _ in range(3)))
        case "ENUMERATED":
            return random.choice(definition._root)
        case "OPEN_TYPE":
            return random.randbytes(random.randrange(1, 5))
        case "OCTET STRING":
            return random.randbytes(_size(definition, random, 20))
        case "BIT STRING":
            count = _size(definition, random, 100)
            return random.getrandbits(count) if count else 0, count
        case "IA5String" | "BMPString" | "PrintableString" as name:
            alphabet = definition._const_alpha.root if definition._const_alpha else _ALPHABETS[name]
            return "".join(random.choices(alphabet, k=_size(definition, random, 20)))
        case "SEQUENCE OF":
            count = _size(definition, random, 2 if depth < DEEPEST else 0)
            return [random_value(definition._cont, random, depth + 1) for _ in range(count)]
        case "CHOICE":
            # An alternative that goes on and on is not taken deep down.
            names = list(definition._cont)
            name = names[0] if depth > DEEPEST else random.choice(names)
            return name, random_value(definition._cont[name], random, depth + 1)
    return _sequence(definition, random, depth)


def pycrate_value(definition: Any, octets: bytes) -> Any:
    """What pycrate reads, as a tree of ours."""
    try:
        definition.from_aper(octets)
        return _as_ours(definition, definition.get_val())
    finally:
        del ASN1CodecPER._off[:]


def opened(value: Any) -> Any:
    """A tree of ours with every extension addition read."""
    if isinstance(value, Addition):
        return opened(value.value())
    if isinstance(value, dict):
        return {name: opened(each) for name, each in value.items() if name != UNKNOWN}
    if isinstance(value, list):
        return [opened(each) for each in value]
    if isinstance(value, tuple):
        return tuple(opened(each) for each in value)
    return value


def _sequence(definition: Any, random: Random, depth: int) -> dict[str, Any]:
    optional = set(definition._root_opt) | set(definition._ext or ())
    chance = 0.4 if depth < 4 else 0.1 if depth < DEEPEST else 0
    return {
        name: random_value(definition._cont[name], random, depth + 1)
        for name in definition._cont
        if name not in optional or random.random() < chance
    }


def _integer(constraint: Any, random: Random) -> int:
    if constraint is None or (constraint.ext is not None and random.random() < 0.5):
        return random.choice((0, 127, 128, -128, -129, 1 << 20, -(1 << 33)))
    return random.choice((constraint.lb, constraint.ub, random.randint(constraint.lb, constraint.ub)))


def _size(definition: Any, random: Random, most: int) -> int:
    constraint = definition._const_sz
    if constraint is None:
        return random.randrange(most + 1)
    return random.randint(constraint.lb, min(constraint.ub, constraint.lb + most))


def _as_ours(definition: Any, value: Any) -> Any:
    match definition.TYPE:
        case "NULL":
            return None
        case "OPEN_TYPE":
            return value[1]
        case "SEQUENCE":
            return {name: _as_ours(definition._cont[name], each) for name, each in value.items()}
        case "SEQUENCE OF":
            return [_as_ours(definition._cont, each) for each in value]
        case "CHOICE":
            return value[0], _as_ours(definition._cont[value[0]], value[1])
    return value
