"""Where requests come from: which addresses are trusted, and how much any other may send.

An address that is not trusted has a bucket of tokens; a datagram takes one before anything is done for it, wrong
credentials take more.  Pure.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address

#: Addresses whose trust is remembered; beyond that all are looked up anew.
MAX_TRUST_MEMORY = 4096
#: Addresses whose buckets are kept; whoever was heard the longest ago is forgotten first, and starts with a full one.
MAX_BUCKETS = 10_000
#: A bucket holds so many seconds of its rate: an office whose power comes back registers all at once.
BURST_S = 5.0
#: Tokens that wrong credentials cost: guessing by many names is slow, too (:mod:`voipshift.sip.guesses`).
WRONG_COST = 20.0


class Sources:
    """The addresses that datagrams come from.

    :param trusted: the operator's networks
    :param per_second: datagrams a second from an address that is not trusted; ``math.inf`` for no limit
    :param known: whether an address is a gateway's or a member's, which no limit is for; asked where a bucket is empty
    """

    __slots__ = ("_buckets", "_known", "_per_second", "_size", "_trust", "_trusted")

    def __init__(
        self, *, trusted: Iterable[IPv4Network | IPv6Network], per_second: float, known: Callable[[str], bool]
    ) -> None:
        self._trusted = tuple(trusted)
        self._per_second = per_second
        self._size = per_second * BURST_S
        self._known = known
        self._trust: dict[str, bool] = {}
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def trusts(self, host: str) -> bool:
        """Whether an address is one of the operator's."""
        trusted = self._trust.get(host)
        if trusted is None:
            address = ip_address(host)
            trusted = any(address in network for network in self._trusted)
            if len(self._trust) >= MAX_TRUST_MEMORY:
                self._trust.clear()
            self._trust[host] = trusted
        return trusted

    def admits(self, host: str, now: float) -> bool:
        """Whether one more datagram of an address is looked at."""
        if self._trust.get(host) or self.trusts(host):
            return True
        left = self._left(host, now)
        if left < 1.0 and not self._known(host):
            return False
        self._put(host, left - 1.0, now)
        return True

    def charge(self, host: str, now: float) -> None:
        """Wrong credentials came from an address."""
        if not self.trusts(host):
            self._put(host, self._left(host, now) - WRONG_COST, now)

    def _left(self, host: str, now: float) -> float:
        tokens, filled = self._buckets.get(host, (self._size, now))
        return min(self._size, tokens + (now - filled) * self._per_second) if now > filled else tokens

    def _put(self, host: str, tokens: float, now: float) -> None:
        buckets = self._buckets
        buckets[host] = (max(0.0, tokens), now)
        buckets.move_to_end(host)
        if len(buckets) > MAX_BUCKETS:
            buckets.popitem(last=False)
