"""The terminals and gateways that are registered with this gatekeeper, by the identifier that it gave them.

Where their aliases are called is shared by the group (:mod:`voipshift.calls.terminals`); this is what belongs to the
one node that answers their RAS.  Pure.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator

from voipshift.h323.addresses import Alias
from voipshift.h323.procedure import Signer
from voipshift.node import Address

#: Endpoints that are registered at once, beside those that a place was promised to.
MAX_ENDPOINTS = 20_000


class Endpoint:
    """A terminal or gateway that is registered.

    :ivar place: where it is called
    :ivar source: where its RRQ came from
    :ivar user: whose password it knew; None for nobody's
    :ivar signer: signs what is sent to it; None where it does not sign either
    :ivar expires: when it is forgotten, unless it says before that it lives
    """

    __slots__ = ("aliases", "expires", "identifier", "place", "signer", "source", "time_to_live", "user")

    def __init__(
        self, identifier: str, aliases: tuple[Alias, ...], place: Address, source: Address, user: str | None
    ) -> None:
        self.identifier = identifier
        self.aliases = aliases
        self.place = place
        self.source = source
        self.user = user
        self.signer: Signer | None = None
        self.time_to_live = 0
        self.expires = 0.0

    @property
    def names(self) -> tuple[str, ...]:
        """Its aliases as text."""
        return tuple(dict.fromkeys(alias.text for alias in self.aliases if alias.text))


class Endpoints:
    """All of them, the one that was heard the longest ago first."""

    def __init__(self) -> None:
        self._endpoints: OrderedDict[str, Endpoint] = OrderedDict()
        #: by the host that they registered from, and there by the place that they are called at
        self._at: dict[str, dict[Address, Endpoint]] = {}

    def __len__(self) -> int:
        return len(self._endpoints)

    def __iter__(self) -> Iterator[Endpoint]:
        return iter(self._endpoints.values())

    def get(self, identifier: str) -> Endpoint | None:
        """Who is registered by that identifier, run out or not."""
        return self._endpoints.get(identifier)

    def of(self, host: str) -> Iterable[Endpoint]:
        """Those that have registered from an address."""
        return self._at.get(host, {}).values()

    def at(self, host: str, place: Address) -> Endpoint | None:
        """The one of them that is called at a place."""
        return self._at.get(host, {}).get(place)

    def expired(self, now: float) -> Endpoint | None:
        """One that has run out; there may be more."""
        first = next(iter(self._endpoints.values()), None)
        return first if first is not None and first.expires <= now else None

    def put(self, endpoint: Endpoint, time_to_live: int, now: float, *, kept: bool = False) -> bool:
        """Enter one, or note that it lives.

        :param kept: a place was promised to it
        :returns: False where there is no room
        """
        if endpoint.identifier not in self._endpoints and len(self._endpoints) >= MAX_ENDPOINTS and not kept:
            return False
        there = self.at(endpoint.source[0], endpoint.place)
        if there is not None and there.identifier != endpoint.identifier:
            self.remove(there)
        self._at.setdefault(endpoint.source[0], {})[endpoint.place] = endpoint
        endpoint.time_to_live = time_to_live
        endpoint.expires = now + time_to_live
        self._endpoints[endpoint.identifier] = endpoint
        self._endpoints.move_to_end(endpoint.identifier)
        return True

    def remove(self, endpoint: Endpoint) -> None:
        """Forget one."""
        if self._endpoints.pop(endpoint.identifier, None) is not None:
            here = self._at[endpoint.source[0]]
            del here[endpoint.place]
            if not here:
                del self._at[endpoint.source[0]]
