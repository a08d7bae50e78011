"""The H.323 side of a node: its door, its portal, its relay and its gatekeeper, made of what the settings say."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from typing import Any, NamedTuple, Protocol

from voipshift import config
from voipshift.balance.leases import Leases
from voipshift.balance.members import Members
from voipshift.calls.dialplan import DialPlan, Gateway
from voipshift.calls.table import Call, CallTable
from voipshift.delegation.chain import Delegation
from voipshift.errors import ConfigurationError
from voipshift.h323 import require
from voipshift.node import Address
from voipshift.sip.sources import Sources
from voipshift.udp import DatagramPort, open_port
from voipshift.wiring.doors import RAS, advertised

#: Other gatekeepers that a terminal is told of.
MAX_ALTERNATES = 8


class Rooms(NamedTuple):
    """The rooms of the node that it shares with SIP."""

    table: CallTable
    delegation: Delegation
    leases: Leases
    members: Members
    sources: Sources


class Part(Protocol):
    """What the wiring does with it."""

    @property
    def octets(self) -> int: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...


class Both:
    """Call signalling, and RAS where the node is a gatekeeper.

    :param server: the connections
    :param ras: the port of RAS
    """

    def __init__(self, server: Part, ras: DatagramPort | None, reactor: Any) -> None:
        self._server = server
        self._ras = ras
        self._reactor = reactor

    @property
    def octets(self) -> int:
        """In and out."""
        return self._server.octets + (self._ras.octets if self._ras is not None else 0)

    def start(self) -> None:
        """Begin to listen."""
        self._server.start()
        if self._ras is not None:
            self._ras.start(self._reactor)

    def stop(self) -> None:
        """Close everything."""
        self._server.stop()
        if self._ras is not None:
            self._ras.stop()


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
    rooms: Rooms,
    answered: Callable[[Call], None],
    closed: Callable[[Call], None],
) -> Part:
    """The H.323 side of a node, its ports bound.

    :param answered: told of each call that is answered
    :param closed: told of each call that left the table
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
    trusts = rooms.sources.trusts
    server = Server(reactor=reactor, trusted=trusts)
    portal = Portal(
        name=settings.node.name,
        delegation=rooms.delegation,
        leases=rooms.leases,
        trusts=trusts,
        anybody=settings.access.open,
        now=now,
        octets=os.urandom,
    )
    near = "" if ip_address(front[0]).is_unspecified else front[0]
    relay = Relay(
        table=rooms.table,
        plan=plan_of(settings, "h323"),
        connect=lambda far: server.connect(near, far),
        requested=portal.requested,
        answered=answered,
        closed=closed,
        now=now,
        octets=os.urandom,
    )
    server.serve(relay)
    try:
        for key, address in (("listen", front), ("accept", accept)):
            with _named(settings.file, key, address, "tcp"):
                server.listen(key == "listen", address)
        return Both(server, _gatekeeper(settings, rooms, now), reactor)
    except ConfigurationError:
        server.stop()
        raise


def _gatekeeper(settings: config.Settings, rooms: Rooms, now: Callable[[], float]) -> DatagramPort | None:
    """The port of RAS, bound; None where there is none."""
    ras, front = settings.h323.ras, settings.h323.listen
    if ras is None or front is None:
        return None
    from voipshift.h323.addresses import AlternateGatekeeper
    from voipshift.h323.gatekeeper import Gatekeeper

    sources = rooms.sources

    def received(octets: bytes, source: Address) -> None:
        if sources.admits(source[0], now()):
            gatekeeper.received(octets, source)

    def alternates() -> tuple[AlternateGatekeeper, ...]:
        live = rooms.members.live(RAS, now())[:MAX_ALTERNATES]
        return tuple(AlternateGatekeeper(member.doors[RAS], member.name) for member in live)

    with _named(settings.file, "ras", ras, "udp"):
        port = open_port(ras, received)
    gatekeeper = Gatekeeper(
        name=settings.node.name,
        place=advertised(settings, ras),
        front=advertised(settings, front),
        delegation=rooms.delegation,
        alternates=alternates,
        permits=lambda host: settings.access.open or sources.trusts(host),
        trusts=sources.trusts,
        send=port.send,
        now=now,
        octets=os.urandom,
    )
    return port


@contextmanager
def _named(file: str, key: str, address: Address, protocol: str) -> Iterator[None]:
    """Say in one line which port cannot be opened."""
    try:
        yield
    except OSError as error:
        reason = f"{address[0]}:{address[1]}/{protocol}: {error.strerror}; stop who has it, or choose another"
        raise ConfigurationError(file, f"h323.{key}", reason) from None
