"""Where a call goes: gateways by the prefix of the number that was dialled.

The longest prefix wins.  Gateways of equal prefix are tried in the order of the configuration, and those of a shorter
prefix come after them, so that a default route (the empty prefix) is the last resort.  Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from voipshift.node import Address

#: Gateways that are tried for one call; more would outlast any caller's patience at 2 s each.
MAX_TRIES = 8
#: What people write into a number to read it (RFC 3966, visual-separator).
_SEPARATORS = str.maketrans("", "", "-.()")


class Gateway(NamedTuple):
    """A terminating gateway.

    :ivar address: where its SIP is, as an IP address and port
    :ivar prefixes: the beginnings of the numbers that it takes, without ``+``; the empty one takes everything
    :ivar transport: how it is called
    """

    address: Address
    prefixes: tuple[str, ...]
    transport: str = "udp"


class DialPlan:
    """The gateways of a node."""

    def __init__(self, gateways: Iterable[Gateway]) -> None:
        self._by_prefix: dict[str, list[Gateway]] = {}
        #: How each gateway is called.
        self.transports: dict[Address, str] = {}
        for gateway in gateways:
            self.transports[gateway.address] = gateway.transport
            for prefix in gateway.prefixes:
                self._by_prefix.setdefault(number_of(prefix), []).append(gateway)
        self._longest = max(map(len, self._by_prefix), default=0)
        self.addresses = frozenset(gateway.address for plan in self._by_prefix.values() for gateway in plan)

    def route(self, user: str) -> Sequence[Address]:
        """The gateways for a dialled user or number, in the order to try them; none where nobody takes it."""
        number = number_of(user)
        found: dict[Address, None] = {}
        for length in range(min(self._longest, len(number)), -1, -1):
            for gateway in self._by_prefix.get(number[:length], ()):
                found.setdefault(gateway.address)
        return tuple(found)[:MAX_TRIES]


def number_of(user: str) -> str:
    """A user part without what does not belong to the number: the ``+``, visual separators, telephone parameters."""
    number = user.partition(";")[0]
    if number[:1] == "+" or number[:1].isdigit():
        return number.translate(_SEPARATORS).removeprefix("+")
    return number
