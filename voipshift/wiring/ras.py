"""The gatekeeper of a node at its port of RAS, made of what the settings say."""

from __future__ import annotations

import math
import os
import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from voipshift import config
from voipshift.alarm import Alarm
from voipshift.calls.dialplan import DialPlan
from voipshift.calls.terminals import Terminals
from voipshift.h323.addresses import AlternateGatekeeper
from voipshift.h323.endpoints import Endpoints
from voipshift.h323.gate import Gate
from voipshift.h323.gatekeeper import Gatekeeper, Standing
from voipshift.h323.neighbours import Neighbour, Neighbours
from voipshift.h323.registry import Registry
from voipshift.node import Address
from voipshift.udp import DatagramPort, open_port
from voipshift.wiring.doors import RAS, advertised
from voipshift.wiring.parts import Rooms
from voipshift.wiring.taken import named

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

#: Other gatekeepers that a terminal is told of.
MAX_ALTERNATES = 8
#: The greatest number of calls that H.225.0 can say.
MOST_CALLS = 2**32 - 1


class Ras:
    """A gatekeeper and its port.

    :param port: bound, and not read yet
    """

    def __init__(self, gatekeeper: Gatekeeper, port: DatagramPort, reactor: Any) -> None:
        self._gatekeeper = gatekeeper
        self._port = port
        self._reactor = reactor
        self._alarm = Alarm(reactor, self._due)
        self._runs = False

    @property
    def octets(self) -> int:
        """In and out."""
        return self._port.octets

    @property
    def dropped(self) -> Counter[str]:
        """Datagrams that were not looked at, or were none, by the reason."""
        return self._gatekeeper.dropped

    def start(self) -> None:
        """Begin to read."""
        self._runs = True
        self._port.start(self._reactor)
        self._gatekeeper.start()
        self._alarm.no_later_than(self._gatekeeper.next)

    def stop(self) -> None:
        """Send the terminals elsewhere, and close the port."""
        self._alarm.stop()
        if self._runs:
            self._runs = False
            self._gatekeeper.stop()
        self._port.stop()

    def received(self, octets: bytes, source: Address) -> None:
        """A datagram that is to be looked at."""
        self._gatekeeper.received(octets, source)
        self._alarm.no_later_than(self._gatekeeper.next)

    def _due(self, now: float) -> float:
        self._gatekeeper.due(now)
        return self._gatekeeper.next


def gatekeeper(
    settings: config.Settings, reactor: Any, rooms: Rooms, gate: Gate, terminals: Terminals, plan: DialPlan
) -> Ras | None:
    """The gatekeeper, its port bound; None where the settings name none.

    :param plan: the gateways that speak H.323
    :raises ConfigurationError: the port is taken
    """
    place, front = settings.h323.ras, settings.h323.listen
    if place is None or front is None:
        return None
    now: Callable[[], float] = reactor.seconds
    sources, members = rooms.reception.sources, rooms.members
    own = rooms.delegation.identity.doors.values()
    shifts = settings.registrar is not None and settings.registrar.shift_registrations

    def received(octets: bytes, source: Address) -> None:
        if sources.admits(source[0], now()):
            made.received(octets, source)
        else:
            made.dropped["too many from one address"] += 1

    def alternates() -> tuple[AlternateGatekeeper, ...]:
        live = members.live(RAS, now())[:MAX_ALTERNATES]
        return tuple(AlternateGatekeeper(member.doors[RAS], member.name) for member in live)

    def is_ours(address: Address) -> bool:
        return address in own or any(address in member.doors.values() for member in members)

    def locate(alias: str) -> Deferred[bool]:
        return terminals.find(alias).addCallback(lambda found: bool(found or plan.addresses(alias)))

    def standing() -> Standing:
        at, workload = now(), rooms.workload
        limit, full = workload.ongoing_calls, not workload.room(at)
        free = 0.0 if full else max(1.0, workload.capacity(at) * (1.0 - workload.occupancy(at)))
        return Standing(None if limit == math.inf else int(limit), int(min(free, MOST_CALLS)), full)

    with named(settings.file, "h323.ras", place, "udp"):
        port = open_port(place, received)
    name, advertised_place = settings.node.name, advertised(settings, place)
    registry = Registry(
        name=name,
        place=advertised_place,
        front=advertised(settings, front),
        endpoints=Endpoints(),
        terminals=terminals,
        gate=gate,
        delegation=rooms.delegation if shifts else None,
        leases=rooms.leases,
        alternates=alternates,
        is_ours=is_ours,
        freed=rooms.delegation.load,
        now=now,
        octets=os.urandom,
    )
    neighbours = Neighbours(Neighbour(each.address, each.prefixes, each.resources) for each in settings.h323.neighbours)
    made = Ras(
        Gatekeeper(
            name=name,
            place=advertised_place,
            front=advertised(settings, front),
            delegation=rooms.records.over(rooms.delegation),
            gate=gate,
            registry=registry,
            neighbours=neighbours,
            locate=locate,
            standing=standing,
            send=port.send,
            now=now,
            wall=time.time,
            octets=os.urandom,
        ),
        port,
        reactor,
    )
    return made
