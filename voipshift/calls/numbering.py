"""What a dialled number means: its international form (ITU-T E.164), by the rules of the place where it was dialled.

``+49 30 1234``, ``0049301234`` and ``0301234`` are one number where the country is 49, the international prefix 00 and
the national prefix 0.  A ``tel:`` URI says by its ``phone-context`` where a local number belongs (RFC 3966 section
5.1.5).  Whatever the rules do not cover stays as it was dialled: short numbers, ``*86``, names.  Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from voipshift.errors import ProtocolViolation
from voipshift.sip.uri import parameters_of

#: What people write into a number to read it (RFC 3966, visual-separator), and what they type there.
_SEPARATORS = str.maketrans("", "", "-.() ")
#: Digits of a number that is dialled without any prefix; shorter ones are short codes and extensions.
SHORTEST_LOCAL = 5
#: Digits of an international number (E.164 section 6).
LONGEST = 15


class Number(NamedTuple):
    """A dialled number, or a name.

    :ivar digits: without ``+`` and separators; a name as it is
    :ivar is_international: the digits begin with a country code
    :ivar dialled: as it was dialled, without separators, its ``+`` in front where it had one
    """

    digits: str
    is_international: bool
    dialled: str


class Numbering(NamedTuple):
    """The rules.

    :ivar country: the code of the country; empty where all numbers come in international form, with ``+`` or without
    :ivar international_prefix: dialled before a country code
    :ivar national_prefix: dialled before an area code; empty where there is none, and all numbers of the country are
        dialled whole
    :ivar area: the code of the area, for numbers that are dialled without any prefix; empty where there are none
    """

    country: str = ""
    international_prefix: str = ""
    national_prefix: str = ""
    area: str = ""

    def number(self, user: str) -> Number:
        """What a user part of a URI means, or what stands behind ``tel:``."""
        written, _, parameters = user.partition(";")
        number = written.translate(_SEPARATORS)
        if number[:1] == "+" and _is_digits(number[1:]):
            return Number(number[1:], True, number)
        if not _is_digits(number):
            plain = number if number[:1] == "+" or number[:1].isdigit() else written
            return Number(plain.removeprefix("+"), False, plain)
        context = _context(parameters) if parameters else ""
        if context:
            return Number(context + number, len(context + number) <= LONGEST, number)
        found = self._international(number)
        return Number(number, False, number) if found is None else Number(found, True, number)

    def _international(self, number: str) -> str | None:
        if not self.country:
            return number
        if self.international_prefix and number.startswith(self.international_prefix):
            found = number[len(self.international_prefix) :]
        elif self.national_prefix and number.startswith(self.national_prefix):
            found = self.country + number[len(self.national_prefix) :]
        elif len(number) < SHORTEST_LOCAL or (self.national_prefix and not self.area):
            return None
        else:
            found = self.country + self.area + number
        return found if SHORTEST_LOCAL <= len(found) <= LONGEST else None


class NumberRegions:
    """Which region a number is in: that of the longest beginning that it has.

    :param regions: the beginnings of international numbers, by the name of the region
    """

    def __init__(self, regions: Mapping[str, Iterable[str]]) -> None:
        self._by_prefix = {prefix.removeprefix("+"): name for name, prefixes in regions.items() for prefix in prefixes}
        self._longest = max(map(len, self._by_prefix), default=0)

    def region(self, number: Number) -> str:
        """The region of a number; empty where it is in none."""
        if number.is_international:
            for length in range(min(self._longest, len(number.digits)), 0, -1):
                found = self._by_prefix.get(number.digits[:length])
                if found is not None:
                    return found
        return ""


def _is_digits(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _context(parameters: str) -> str:
    """The digits of a phone-context that is a number; a domain says nothing to us."""
    try:
        context = parameters_of(f";{parameters}").get("phone-context") or ""
    except ProtocolViolation:
        return ""
    context = context.translate(_SEPARATORS)
    return context[1:] if context[:1] == "+" and _is_digits(context[1:]) else ""
