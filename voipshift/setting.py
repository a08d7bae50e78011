"""One setting: how it is declared, how its value is read from TOML, and the one line that says what is wrong with it.

A *room* is a frozen dataclass whose fields are declared with :func:`key`: a reader, which holds the bounds, and a
default.  :func:`table` reads a TOML table into one, and knows no setting by name.  A reader takes the value as TOML
gave it and the :class:`Place` where it stood, and returns the value that the rooms work with or raises what
:meth:`Place.wrong` makes.

Nothing is looked up and no port is opened here.
"""

from __future__ import annotations

import dataclasses
import difflib
import ipaddress
import json
import math
import os
import re
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast, dataclass_transform

from voipshift.errors import ConfigurationError
from voipshift.node import Address

T = TypeVar("T")
Word = TypeVar("Word", bound=str)

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


class Place(NamedTuple):
    """Where a value stands: the file as the operator named it, and the dotted key."""

    file: str
    key: str = ""

    def within(self, *names: str) -> Place:
        """The place of a key of the table that stands here, through tables in it."""
        quoted = [name if re.fullmatch(r"[\w-]+", name, re.ASCII) else json.dumps(name) for name in names]
        return self._replace(key=".".join([self.key, *quoted] if self.key else quoted))

    def item(self, index: int) -> Place:
        """The place of one value of the array that stands here."""
        return self._replace(key=f"{self.key}[{index}]")

    def wrong(self, reason: str) -> ConfigurationError:
        """The error that an operator reads as one line."""
        return ConfigurationError(self.file, self.key, reason)


Reader = Callable[[object, Place], T]

_REQUIRED: Any = dataclasses.MISSING


def key(read: Reader[T], *, default: T = _REQUIRED, needed: str = "") -> T:
    """Declare one setting.

    :param read: turns TOML's value into ours
    :param default: the value when the key is not there; without one the key must be there
    :param needed: said when the key is not there: what to write
    """
    return dataclasses.field(default=default, metadata={"read": read, "needed": needed})


@dataclass_transform(frozen_default=True, field_specifiers=(key,))
def room(declared: type[T]) -> type[T]:
    """Make a class of :func:`key` declarations a frozen dataclass."""
    return dataclasses.dataclass(frozen=True, slots=True)(declared)


def table(made: type[T], **given: object) -> Reader[T]:
    """A TOML table, read into the room `made`: each key is known, and each that has no default is there.

    :param given: the fields that do not come from the file
    """
    declared = {each.name: each for each in dataclasses.fields(cast(Any, made)) if each.name not in given}

    def read(value: object, at: Place) -> T:
        if not isinstance(value, dict):
            raise at.wrong(f"must be a table: write [{at.key}]")
        for name in value:
            if name not in declared:
                raise at.within(name).wrong("unknown" + _meant(name, list(declared)))
        for name, each in declared.items():
            if name not in value and each.default is dataclasses.MISSING:
                raise at.within(name).wrong(f"missing: {each.metadata['needed']}")
        found = {name: declared[name].metadata["read"](each, at.within(name)) for name, each in value.items()}
        return made(**given, **found)

    return read


def tables(made: type[T], *, at_least: int = 0) -> Reader[tuple[T, ...]]:
    """An array of tables, ``[[gateways]]``."""
    read_all = several(table(made), at_least=at_least)

    def read(value: object, at: Place) -> tuple[T, ...]:
        if isinstance(value, dict):
            raise at.wrong(f"can be there several times: write [[{at.key}]] with two brackets")
        return read_all(value, at)

    return read


def several(read_one: Reader[T], *, at_least: int = 0) -> Reader[tuple[T, ...]]:
    """An array of values, each there once."""

    def read(value: object, at: Place) -> tuple[T, ...]:
        if not isinstance(value, list):
            raise at.wrong(f"must be an array in brackets, not {shown(value)}")
        if len(value) < at_least:
            raise at.wrong(f"must have at least {at_least}")
        found: list[T] = []
        for index, item in enumerate(value):
            one = read_one(item, at.item(index))
            if one in found:
                raise at.item(index).wrong("is there twice: leave one out")
            found.append(one)
        return tuple(found)

    return read


def boolean(value: object, at: Place) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise at.wrong(f"must be true or false, not {shown(value)}")
    return value


def number(low: float, high: float) -> Reader[float]:
    """A number, with or without a fraction, within bounds that belong to it."""

    def read(value: object, at: Place) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise at.wrong(f"must be a number from {low:g} to {high:g}, not {shown(value)}")
        return float(value)

    return read


def whole(low: int, high: int) -> Reader[int]:
    """A number without a fraction, within bounds that belong to it."""

    def read(value: object, at: Place) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise at.wrong(f"must be a whole number from {low} to {high}, not {shown(value)}")
        return value

    return read


def or_unlimited(read_number: Reader[float]) -> Reader[float]:
    """A limit: a number, or the word ``"unlimited"``, which is :data:`math.inf`."""

    def read(value: object, at: Place) -> float:
        if value == "unlimited":
            return math.inf
        if isinstance(value, str):
            raise at.wrong(f'must be a number or "unlimited", not {shown(value)}')
        return read_number(value, at)

    return read


def or_off(read_number: Reader[float]) -> Reader[float]:
    """A duration: a number, or the word ``"off"``, which is :data:`math.inf`."""

    def read(value: object, at: Place) -> float:
        if value == "off":
            return math.inf
        if isinstance(value, str):
            raise at.wrong(f'must be a number or "off", not {shown(value)}')
        return read_number(value, at)

    return read


def or_all(read_number: Reader[float]) -> Reader[float]:
    """So many of them: a number, or the word ``"all"``, which is :data:`math.inf`."""

    def read(value: object, at: Place) -> float:
        if value == "all":
            return math.inf
        if isinstance(value, str):
            raise at.wrong(f'must be a number or "all", not {shown(value)}')
        return read_number(value, at)

    return read


def text(value: object, at: Place) -> str:
    """A string that is not empty and has no control characters."""
    if not isinstance(value, str) or not value or not value.isprintable():
        raise at.wrong(f"must be text in quotes, not {shown(value)}")
    return value


def one_of(*words: Word) -> Reader[Word]:
    """One of a few words."""
    choice = " or ".join(f'"{word}"' for word in words)

    def read(value: object, at: Place) -> Word:
        for word in words:
            if value == word:
                return word
        raise at.wrong(f"must be {choice}, not {shown(value)}")

    return read


def matching(pattern: str, allowed: str) -> Reader[str]:
    """A string of a given form.

    :param allowed: the form in the operator's words
    """
    compiled = re.compile(pattern, re.ASCII)

    def read(value: object, at: Place) -> str:
        if not isinstance(value, str) or not compiled.fullmatch(value):
            raise at.wrong(f"must be {allowed}, not {shown(value)}")
        return value

    return read


def path(value: object, at: Place) -> str:
    """A file; a relative path starts at the folder of the configuration file."""
    return os.path.abspath(os.path.join(os.path.dirname(at.file), text(value, at)))


def host(value: object, at: Place) -> str:
    """An IP address that others can send to."""
    return _unicast(_ip(text(value, at), at), at)


def network(value: object, at: Place) -> IPNetwork:
    """A network, ``"192.0.2.0/24"``, or one address."""
    written = text(value, at)
    try:
        return ipaddress.ip_network(written)
    except ValueError as error:
        with_host_bits = "host bits" in str(error)
        meant = str(ipaddress.ip_network(written, strict=False)) if with_host_bits else "192.0.2.0/24"
        raise at.wrong(f"must be a network such as {shown(meant)}, not {shown(written)}") from None


def listening(value: object, at: Place) -> Address:
    """An own address and port, a wildcard included."""
    written, port = _split(value, at)
    ip = _ip(written, at)
    return (str(ip) if ip.is_unspecified else _unicast(ip, at)), port


def reachable(value: object, at: Place) -> Address:
    """The IP address and port of somebody else."""
    written, port = _split(value, at)
    return _unicast(_ip(written, at), at), port


def reachable_by_name(value: object, at: Place) -> Address:
    """The IP address or DNS name, and port, of somebody else."""
    written, port = _split(value, at)
    if _HOST_NAME.fullmatch(written):
        return written.lower(), port
    return _unicast(_ip(written, at), at), port


def reachable_by_domain(value: object, at: Place) -> Address:
    """The same, or a domain name alone, whose port DNS knows: then the port is 0."""
    written = text(value, at)
    return (written.lower(), 0) if _HOST_NAME.fullmatch(written) else reachable_by_name(value, at)


def multicast(value: object, at: Place) -> Address:
    """The IP address and port of a multicast group."""
    written, port = _split(value, at)
    ip = _ip(written, at)
    if not ip.is_multicast:
        raise at.wrong(f"must be a multicast address such as 239.255.50.60, not {ip}")
    return str(ip), port


def shown(value: object) -> str:
    """A value as its line in the file would show it, short."""
    if isinstance(value, str):
        return json.dumps(value if len(value) <= 40 else value[:37] + "...", ensure_ascii=False)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        return "a table" if isinstance(value, dict) else "an array"
    if isinstance(value, int) and abs(value) > 10**18:
        return "a number that large"
    return str(value)


# RFC 1123, section 2.1; the last label has a letter, so that a mistyped IPv4 address is not taken for a name.
_HOST_NAME = re.compile(
    r"(?=.{1,253}\Z)(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*"
    r"(?=[A-Za-z0-9-]*[A-Za-z])[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?",
)


def _split(value: object, at: Place) -> tuple[str, int]:
    written = text(value, at)
    parts = re.fullmatch(r"(?:\[([^\[\]]*)\]|([^\[\]:]*)):([0-9]{1,5})", written, re.ASCII)
    if parts is None:
        hint = '"[2001:db8::7]:5060"' if written.count(":") > 1 else '"192.0.2.7:5060"'
        raise at.wrong(f"must be an address and a port such as {hint}, not {shown(written)}")
    if not 1 <= int(parts[3]) <= 65535:
        raise at.wrong(f"must have a port from 1 to 65535, not {parts[3]}")
    return parts[1] or parts[2], int(parts[3])


def _ip(written: str, at: Place) -> IPAddress:
    try:
        ip = ipaddress.ip_address(written)
    except ValueError:
        raise at.wrong(f"must have an IP address, not {shown(written)}") from None
    if "%" in written:  # a zone means something on one machine only, and no URI has one
        raise at.wrong(f"must have an IP address without a zone, not {shown(written)}")
    return ip


def _unicast(ip: IPAddress, at: Place) -> str:
    if ip.is_unspecified or ip.is_multicast or ip == ipaddress.ip_address("255.255.255.255"):
        raise at.wrong(f"must have the address of one machine, not {ip}")
    return str(ip)


def _meant(written: object, known: list[str] | tuple[str, ...]) -> str:
    close = difflib.get_close_matches(str(written), known, n=1)
    return f": did you mean {close[0]}?" if close else f": use one of {', '.join(sorted(known))}" if known else ""
