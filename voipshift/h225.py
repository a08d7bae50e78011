"""The H.323 side of a node: its door, its portal and its relay, made of what the settings say."""

from __future__ import annotations

import os
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any, Protocol

from voipshift import config
from voipshift.balance.leases import Leases
from voipshift.calls.dialplan import DialPlan, Gateway
from voipshift.calls.table import Call, CallTable
from voipshift.delegation import Delegation
from voipshift.errors import ConfigurationError
from voipshift.h323 import require


class Part(Protocol):
    """What the wiring does with it."""

    @property
    def octets(self) -> int: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...


class Absent:
    """The H.323 side of a node that has none."""

    octets = 0

    def start(self) -> None:
        """There is nothing to start."""

    def stop(self) -> None:
        """There is nothing to stop."""


def plan_of(settings: config.Settings, protocol: str) -> DialPlan:
    """Where the calls of a protocol go."""
    return DialPlan(
        Gateway(gateway.address, gateway.prefixes, gateway.transport)
        for gateway in settings.gateways
        if gateway.protocol == protocol
    )


def call_signalling(
    settings: config.Settings,
    reactor: Any,
    table: CallTable,
    delegation: Delegation,
    leases: Leases,
    trusts: Callable[[str], bool],
    *,
    answered: Callable[[Call], None],
    closed: Callable[[Call], None],
) -> Part:
    """The H.323 side of a node, its ports bound.

    :raises ConfigurationError: a port is taken, or what it needs is not installed
    """
    front, accept = settings.h323.listen, settings.h323.accept
    if front is None or accept is None:
        return Absent()
    require(settings.file)
    # Not before it is known to be there; and it takes 0.2 s and 14 MB, which a node without H.323 need not have.
    from voipshift.calls.relay import Relay
    from voipshift.h323.portal import Portal
    from voipshift.h323.server import Server

    now: Callable[[], float] = reactor.seconds
    server = Server(reactor=reactor, trusted=trusts)
    portal = Portal(
        name=settings.node.name,
        delegation=delegation,
        leases=leases,
        trusts=trusts,
        anybody=settings.access.open,
        now=now,
        octets=os.urandom,
    )
    near = "" if ip_address(front[0]).is_unspecified else front[0]
    relay = Relay(
        table=table,
        plan=plan_of(settings, "h323"),
        connect=lambda far: server.connect(near, far),
        requested=portal.requested,
        answered=answered,
        closed=closed,
        now=now,
        octets=os.urandom,
    )
    server.serve(relay)
    for key, address in (("listen", front), ("accept", accept)):
        try:
            server.listen(key == "listen", address)
        except OSError as error:
            server.stop()
            reason = f"{address[0]}:{address[1]}/tcp: {error.strerror}; stop who has it, or choose another"
            raise ConfigurationError(settings.file, f"h323.{key}", reason) from None
    return server
