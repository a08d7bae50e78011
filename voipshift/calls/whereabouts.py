"""Where a called user is: at his telephones, or behind a gateway whose name must be looked up first, be it one that a
Route names.

What the gateways' names lead to is only made known here; to whom the call then goes is the proxy's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from twisted.internet.defer import Deferred, succeed

Find = Callable[[str], Deferred[Any] | None]


class Gateways(Protocol):
    """Who looks up the names of gateways; None where that is not needed."""

    def look_up(self, uri: str) -> Deferred[None] | None: ...
    def look_up_route(self, routes: Sequence[str]) -> Deferred[None] | None: ...


class Whereabouts:
    """Asks the registrar, and then DNS.

    :param registered: where a user is registered; None where nobody is registered at all
    """

    def __init__(self, registered: Find | None, gateways: Gateways) -> None:
        self._registered = registered
        self._gateways = gateways

    def find(self, target: str, routes: Sequence[str] = ()) -> Deferred[Any] | None:
        """The places of a user, none for a call to the gateways; None where nobody need be asked.

        :param routes: the Route values of the request, which goes along them whoever is called
        """
        routed = self._gateways.look_up_route(routes) if routes else None
        if routed is not None:
            return routed.addCallback(lambda _: ())
        found = None if self._registered is None else self._registered(target)
        if found is not None:
            return found.addCallback(lambda places: places or self._behind_gateways(target))
        waiting = self._gateways.look_up(target)
        return None if waiting is None else waiting.addCallback(lambda _: ())

    def _behind_gateways(self, target: str) -> Deferred[Any]:
        waiting = self._gateways.look_up(target)
        return succeed(()) if waiting is None else waiting.addCallback(lambda _: ())
