"""Where a call goes: to the terminating gateway nearest to the destination of the number that was dialled.

The longest prefix wins.  Of gateways with equal prefixes those in the region of the called number come first, then the
cheapest, then the order of the configuration.  Gateways of a shorter prefix come after them, so that a default route
(the empty prefix) is the last resort.  Each gateway gets the number in the form that it wants.  Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from voipshift.calls.numbering import Number, Numbering, NumberRegions
from voipshift.node import Address

#: Gateways that are tried for one call; more would outlast any caller's patience at 2 s each.
MAX_TRIES = 8
#: A dial plan without rules: every number is international.
NO_RULES = Numbering()
NO_REGIONS = NumberRegions({})


class Gateway(NamedTuple):
    """A terminating gateway.

    :ivar address: where it is, by an IP address or a domain name; port 0 says that DNS knows the port
    :ivar prefixes: the beginnings of the numbers that it takes, the empty one takes everything; with ``+``, of
        international numbers alone
    :ivar transport: how it is called; None where DNS says it, else UDP
    :ivar region: where it is; empty for nowhere in particular
    :ivar cost: of a call through it
    :ivar send: the form in which it gets a number: ``e164`` with the ``+``, ``digits`` without, or as it was
        ``dialled``
    :ivar strip: so many digits are taken off the beginning of that, a ``+`` with them
    :ivar prepend: and this is put there
    :ivar overload_control: it may be told that it can say when it is overloaded (RFC 7339)
    """

    address: Address
    prefixes: tuple[str, ...] = ("",)
    transport: str | None = None
    region: str = ""
    cost: float = 0.0
    send: str = "dialled"
    strip: int = 0
    prepend: str = ""
    overload_control: bool = True

    def written(self, number: Number) -> str | None:
        """A number as this gateway reads it; None where it gets what was dialled, to the letter."""
        if self.send == "dialled":
            digits = number.dialled.removeprefix("+")
            if not (self.strip or self.prepend) or not digits.isdigit():
                return None
        elif number.is_international:
            digits = number.digits
        else:
            return None  # a short number, or a name
        if self.strip or self.prepend:
            return self.prepend + digits[self.strip :]
        return f"+{digits}" if self.send == "e164" else digits


class DialPlan:
    """The gateways of a node.

    :param numbering: what a dialled number means
    :param regions: where a number is
    :ivar gateways: all of them
    """

    def __init__(
        self, gateways: Iterable[Gateway], numbering: Numbering = NO_RULES, regions: NumberRegions = NO_REGIONS
    ) -> None:
        self.gateways = tuple(gateways)
        self._numbering = numbering
        self._regions = regions
        self._by_prefix: dict[str, list[Gateway]] = {}
        self._international: dict[str, list[Gateway]] = {}
        for gateway in sorted(self.gateways, key=lambda gateway: gateway.cost):
            for prefix in dict.fromkeys(gateway.prefixes):
                if prefix[:1] != "+":
                    self._by_prefix.setdefault(prefix, []).append(gateway)
                self._international.setdefault(prefix.removeprefix("+"), []).append(gateway)
        self._longest = max(map(len, self._international), default=0)

    def number(self, user: str) -> Number:
        """What a dialled user or number means."""
        return self._numbering.number(user)

    def addresses(self, user: str) -> tuple[Address, ...]:
        """The addresses of the gateways for a dialled user or number."""
        return tuple(gateway.address for gateway in self.route(self.number(user)))

    def route(self, number: Number) -> tuple[Gateway, ...]:
        """The gateways for a number, in the order to try them; none where nobody takes it."""
        by_prefix = self._international if number.is_international else self._by_prefix
        region = self._regions.region(number)
        found: dict[Gateway, None] = {}
        for length in range(min(self._longest, len(number.digits)), -1, -1):
            equal = by_prefix.get(number.digits[:length])
            if equal is None:
                continue
            if region:
                equal = sorted(equal, key=lambda gateway: gateway.region != region)
            for gateway in equal:
                found.setdefault(gateway)
        return tuple(found)[:MAX_TRIES]
