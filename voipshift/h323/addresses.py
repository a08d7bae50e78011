"""How H.225.0 names who is called (AliasAddress) and where (TransportAddress), as values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Any

from voipshift.errors import ProtocolViolation
from voipshift.h323.asn1 import Tree, component
from voipshift.node import Address

DIALLED_DIGITS = "dialledDigits"
H323_ID = "h323-ID"
URL_ID = "url-ID"
EMAIL_ID = "email-ID"
PARTY_NUMBER = "partyNumber"

#: Where each kind of PartyNumber keeps its digits; the others are digits themselves.
_DIGITS_OF = {"e164Number": "publicNumberDigits", "privateNumber": "privateNumberDigits"}
_DIALLABLE = re.compile(r"[0-9#*,]{1,128}")


@dataclass(frozen=True, slots=True)
class Alias:
    """A name or number of a user or service.

    :param kind: the alternative of AliasAddress, as H.225.0 spells it
    :param text: the name or the digits; empty for a kind that has none, such as transportID
    :param choice: as it came, so that one that is sent on loses nothing; None for one of our own
    """

    kind: str
    text: str
    choice: Any = field(default=None, compare=False, repr=False)

    @property
    def is_number(self) -> bool:
        """Whether it is digits that can be dialled."""
        return self.kind in (DIALLED_DIGITS, PARTY_NUMBER)


def alias_of(text: str) -> Alias:
    """The alias that a user or number is called by: dialledDigits where it can be, else h323-ID."""
    return Alias(DIALLED_DIGITS if _DIALLABLE.fullmatch(text) else H323_ID, text)


def read_alias(choice: tuple[str | int, Any]) -> Alias:
    """AliasAddress to value."""
    kind, content = choice
    if kind == PARTY_NUMBER:
        plan, number = content
        text = number.get(_DIGITS_OF.get(plan, ""), "") if isinstance(number, dict) else number
        return Alias(PARTY_NUMBER, text if isinstance(text, str) else "", choice)
    return Alias(str(kind), content if isinstance(content, str) else "", choice)


def write_alias(alias: Alias) -> tuple[str | int, Any]:
    """Value to AliasAddress.

    :raises ProtocolViolation: a kind that is only ever passed on
    """
    if alias.choice is not None:
        choice: tuple[str | int, Any] = alias.choice
        return choice
    if alias.kind == PARTY_NUMBER:
        number = {"publicTypeOfNumber": ("unknown", None), "publicNumberDigits": alias.text}
        return PARTY_NUMBER, ("e164Number", number)
    if alias.kind not in (DIALLED_DIGITS, H323_ID, URL_ID, EMAIL_ID):
        raise ProtocolViolation(f"no alias of the kind {alias.kind} can be made")
    return alias.kind, alias.text


def read_aliases(choices: list[tuple[str | int, Any]]) -> tuple[Alias, ...]:
    """SEQUENCE OF AliasAddress to values."""
    return tuple([read_alias(choice) for choice in choices])


def write_aliases(aliases: tuple[Alias, ...]) -> list[tuple[str | int, Any]]:
    """Values to SEQUENCE OF AliasAddress."""
    return [write_alias(alias) for alias in aliases]


def text_of(aliases: Sequence[Alias]) -> str:
    """The first alias that is text; empty where none is."""
    return next((alias.text for alias in aliases if alias.text), "")


def user_of(aliases: Sequence[Alias]) -> str:
    """Who is called: a number, if there is one among the aliases, else the first that is text."""
    return next((alias.text for alias in aliases if alias.is_number and alias.text), "") or text_of(aliases)


def read_address(choice: tuple[str | int, Any]) -> Address | None:
    """TransportAddress to value; None for a network that is not IP."""
    kind, content = choice
    if kind == "ipAddress":
        return "{}.{}.{}.{}".format(*content["ip"]), content["port"]
    if kind == "ip6Address":
        return IPv6Address(content["ip"]).compressed, content["port"]
    return None


def write_address(address: Address | None) -> tuple[str, Tree]:
    """Value to TransportAddress.

    :raises ProtocolViolation: the host is a name, or it was none of IP when it was read
    """
    if address is None:
        raise ProtocolViolation("an address that is not of IP")
    ip = _packed(address[0])
    return ("ipAddress" if len(ip) == 4 else "ip6Address"), {"ip": ip, "port": address[1]}


def read_addresses(choices: list[tuple[str | int, Any]]) -> tuple[Address, ...]:
    """SEQUENCE OF TransportAddress to values, those of IP only."""
    return tuple([address for address in map(read_address, choices) if address is not None])


def write_addresses(addresses: tuple[Address, ...]) -> list[tuple[str, Tree]]:
    """Values to SEQUENCE OF TransportAddress."""
    return [write_address(address) for address in addresses]


@lru_cache
def _packed(host: str) -> bytes:
    try:
        return ip_address(host).packed
    except ValueError:
        raise ProtocolViolation(f"{host} is no IP address") from None


@dataclass(frozen=True, slots=True)
class AlternateGatekeeper:
    """AlternateGK: another gatekeeper that an endpoint may turn to.

    :param priority: 0 (first) to 127
    """

    ras_address: Address
    gatekeeper_identifier: str | None = None
    need_to_register: bool = True
    priority: int = 0


def read_alternates(trees: list[Tree]) -> tuple[AlternateGatekeeper, ...]:
    """SEQUENCE OF AlternateGK to values, those of IP only."""
    return tuple(
        [
            AlternateGatekeeper(address, tree.get("gatekeeperIdentifier"), tree["needToRegister"], tree["priority"])
            for tree in trees
            if (address := read_address(tree["rasAddress"])) is not None
        ]
    )


def write_alternates(alternates: tuple[AlternateGatekeeper, ...]) -> list[Tree]:
    """Values to SEQUENCE OF AlternateGK."""
    return [_alternate(alternate) for alternate in alternates]


def _alternate(alternate: AlternateGatekeeper) -> Tree:
    tree: Tree = {
        "rasAddress": write_address(alternate.ras_address),
        "needToRegister": alternate.need_to_register,
        "priority": alternate.priority,
    }
    if alternate.gatekeeper_identifier is not None:
        tree["gatekeeperIdentifier"] = alternate.gatekeeper_identifier
    return tree


@dataclass(frozen=True, slots=True)
class EndpointType:
    """What a terminal, gateway, gatekeeper or MCU is.

    :param kind: ``terminal``, ``gateway``, ``gatekeeper``, ``mcu``, or empty when it does not say
    :param product: the productId of its vendor, as text
    :param prefixes: of a gateway: what numbers begin with that it reaches
    """

    kind: str = ""
    product: str = ""
    prefixes: tuple[str, ...] = ()


#: Later ones are what a box with several functions is used as.
_KINDS = ("terminal", "mcu", "gatekeeper", "gateway")
#: Neither country nor manufacturer: nobody has been given a code for this program.
_NOBODY = {"t35CountryCode": 0, "t35Extension": 0, "manufacturerCode": 0}


def read_endpoint_type(tree: Tree) -> EndpointType:
    """EndpointType to value."""
    kind = ""
    for each in _KINDS:
        if each in tree:
            kind = each
    product = read_vendor(tree["vendor"]) if "vendor" in tree else ""
    prefixes = tuple(_prefixes(tree["gateway"])) if kind == "gateway" else ()
    return EndpointType(kind, product, prefixes)


def write_endpoint_type(endpoint: EndpointType) -> Tree:
    """Value to EndpointType."""
    tree: Tree = {"mc": False, "undefinedNode": False}
    if endpoint.kind:
        tree[endpoint.kind] = {}
    if endpoint.prefixes:
        prefixes = [{"prefix": write_alias(alias_of(prefix))} for prefix in endpoint.prefixes]
        tree["gateway"] = {"protocol": [("voice", {"supportedPrefixes": prefixes})]}
    if endpoint.product:
        tree["vendor"] = write_vendor(endpoint.product)
    return tree


def read_vendor(tree: Tree) -> str:
    """VendorIdentifier to its productId."""
    product: bytes = tree.get("productId", b"")
    return product.decode("latin-1").rstrip("\0")


def write_vendor(product: str) -> Tree:
    """A productId to VendorIdentifier."""
    tree: Tree = {"vendor": _NOBODY}
    if product:
        tree["productId"] = product.encode("latin-1", "replace")[:256]
    return tree


def _prefixes(gateway: Tree) -> list[str]:
    found = []
    for _, capabilities in gateway.get("protocol", ()):
        if isinstance(capabilities, dict):
            for prefix in component(capabilities, "supportedPrefixes") or ():
                found.append(read_alias(prefix["prefix"]).text)
    return found
