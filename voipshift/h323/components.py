"""Between the trees that asn1.py reads and the frozen values of uuie.py and ras.py.

A message is a dataclass that reads like its definition.  An attribute has the name of its component
(``call_signal_address`` is callSignalAddress), and its annotation the :class:`Form` in which it is read and written::

    call_signal_address: Addresses = ()

One whose default is None or ``()`` is optional: absent, it has its default, and having that it is not written.
Components without an attribute are not read.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import MISSING, fields
from typing import Annotated, Any, NamedTuple, TypeVar, get_type_hints

from voipshift.errors import ProtocolViolation
from voipshift.h323 import addresses, tokens
from voipshift.h323.asn1 import Addition, Tree
from voipshift.node import Address

Value = TypeVar("Value")


class Form(NamedTuple):
    """How a component becomes an attribute, and back."""

    read: Callable[[Any], Any]
    write: Callable[[Any], Any]


def _same(value: Any) -> Any:
    return value


_PLAIN = Form(_same, _same)

Number = Annotated[int, _PLAIN]
Flag = Annotated[bool, _PLAIN]
Octets = Annotated[bytes, _PLAIN]
Text = Annotated[str, _PLAIN]
Oid = Annotated[tuple[int, ...], _PLAIN]
#: The name of an alternative that says all there is to say, as H.225.0 spells it.
Word = Annotated[str, Form(lambda choice: str(choice[0]), lambda word: (word, None))]
#: Of authenticationBES.
_BES = ("default", "radius")


def _read_mechanism(choice: tuple[str | int, Any]) -> str:
    name, content = choice
    return str(content[0] if name == "authenticationBES" else name)


def _write_mechanism(word: str) -> tuple[str, Any]:
    return ("authenticationBES", (word, None)) if word in _BES else (word, None)


#: AuthenticationMechanism: its name; of authenticationBES the name that is in it.
Mechanism = Annotated[str, Form(_read_mechanism, _write_mechanism)]
Mechanisms = Annotated[
    tuple[str, ...],
    Form(
        lambda choices: tuple(_read_mechanism(choice) for choice in choices),
        lambda words: [_write_mechanism(word) for word in words],
    ),
]
#: CallIdentifier: 16 octets.
Guid = Annotated[bytes, Form(lambda tree: tree["guid"], lambda guid: {"guid": guid})]
Oids = Annotated[tuple[tuple[int, ...], ...], Form(tuple, list)]
OctetStrings = Annotated[tuple[bytes, ...], Form(tuple, list)]
#: None also for an address that is not of IP.
Place = Annotated[Address | None, Form(addresses.read_address, addresses.write_address)]
Places = Annotated[tuple[Address, ...], Form(addresses.read_addresses, addresses.write_addresses)]
Aliases = Annotated[tuple[addresses.Alias, ...], Form(addresses.read_aliases, addresses.write_aliases)]
Alternates = Annotated[
    tuple[addresses.AlternateGatekeeper, ...], Form(addresses.read_alternates, addresses.write_alternates)
]
#: AltGKInfo, never permanent.
AlternateInfo = Annotated[
    tuple[addresses.AlternateGatekeeper, ...],
    Form(
        lambda tree: addresses.read_alternates(tree["alternateGatekeeper"]),
        lambda value: {"alternateGatekeeper": addresses.write_alternates(value), "altGKisPermanent": False},
    ),
]
Endpoint = Annotated[addresses.EndpointType, Form(addresses.read_endpoint_type, addresses.write_endpoint_type)]
#: The name of a product.
Vendor = Annotated[str, Form(addresses.read_vendor, addresses.write_vendor)]
Tokens = Annotated[tuple[tokens.AccessToken, ...], Form(tokens.read_tokens, tokens.write_tokens)]
CryptoTokens = Annotated[tuple[tokens.CryptoToken, ...], Form(tokens.read_crypto_tokens, tokens.write_crypto_tokens)]

#: Components that are not spelt by the rule.
_SPELLINGS = {
    "activeMc": "activeMC",
    "conferenceId": "conferenceID",
    "algorithmOid": "algorithmOID",
    "algorithmOids": "algorithmOIDs",
    "altGkInfo": "altGKInfo",
    "willRespondToIrr": "willRespondToIRR",
    "willSupplyUuies": "willSupplyUUIEs",
}


class Part(NamedTuple):
    """One attribute of a message, and its component."""

    component: str
    attribute: str
    form: Form
    default: Any
    optional: bool


class Layout(NamedTuple):
    """How a message is read and written.

    :ivar name: of the alternative that it is
    """

    name: str
    message: Callable[..., Any]
    parts: tuple[Part, ...]


def layout_of(message: type[Any]) -> Layout:
    """The layout of a message, as its annotations say."""
    hints = get_type_hints(message, include_extras=True)
    parts = []
    for each in fields(message):
        hint = hints[each.name]
        if not hasattr(hint, "__metadata__"):  # Annotated[...] | None
            hint = next(inner for inner in hint.__args__ if hasattr(inner, "__metadata__"))
        spelt = re.sub(r"_([a-z0-9])", lambda match: match[1].upper(), each.name)
        optional = each.default is None or each.default == ()
        parts.append(Part(_SPELLINGS.get(spelt, spelt), each.name, hint.__metadata__[0], each.default, optional))
    name = message.__name__
    return Layout(name[0].lower() + name[1:], message, tuple(parts))


def read(layout: Layout, tree: Tree) -> Any:
    """The value that a tree holds.

    :raises ProtocolViolation: a component that is needed is missing or cannot be read
    """
    values = []
    for component, _, form, default, _ in layout.parts:
        value = tree.get(component, MISSING)
        if value.__class__ is Addition:
            value = value.type.decode(value.octets)
        if value is not MISSING:
            values.append(form.read(value))
        elif default is not MISSING:
            values.append(default)
        else:
            raise ProtocolViolation(f"{layout.name} without {component}")
    return layout.message(*values)


def write(layout: Layout, value: Any) -> Tree:
    """The tree that holds a value.

    :raises ProtocolViolation: it holds something that cannot be sent
    """
    tree: Tree = {}
    for component, attribute, form, default, optional in layout.parts:
        part = getattr(value, attribute)
        if not optional or part != default:
            tree[component] = form.write(part)
    return tree
