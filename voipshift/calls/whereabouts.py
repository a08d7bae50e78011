"""Where a called user is: at his telephones, or behind a gateway whose name must be looked up first.

What the gateways' names lead to is only made known here; to whom the call then goes is the proxy's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, succeed

Find = Callable[[str], Deferred[Any] | None]


class Whereabouts:
    """Asks the registrar, and then DNS.

    :param registered: where a user is registered; None where nobody is registered at all
    :param look_up: looks up the gateways of a Request-URI; None where that is not needed
    """

    def __init__(self, registered: Find | None, look_up: Find) -> None:
        self._registered = registered
        self._look_up = look_up

    def find(self, target: str) -> Deferred[Any] | None:
        """The places of a user, none for a call to the gateways; None where nobody need be asked."""
        found = None if self._registered is None else self._registered(target)
        if found is not None:
            return found.addCallback(lambda places: places or self._behind_gateways(target))
        waiting = self._look_up(target)
        return None if waiting is None else waiting.addCallback(lambda _: ())

    def _behind_gateways(self, target: str) -> Deferred[Any]:
        waiting = self._look_up(target)
        return succeed(()) if waiting is None else waiting.addCallback(lambda _: ())
