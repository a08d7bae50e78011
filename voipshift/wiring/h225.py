"""The H.323 side of a node: its door, its portal and its relay, made of what the settings say.

The gatekeeper beside them is ras.py's.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

from voipshift import config
from voipshift.calls.table import Call
from voipshift.errors import ConfigurationError
from voipshift.h323 import require
from voipshift.wiring.gateways import plan_of
from voipshift.wiring.parts import Absent, Present, Rooms, Side
from voipshift.wiring.taken import named
from voipshift.wiring.tally import Tally

#: Descriptors that are left for all else: SIP's connections, files, the group.
RESERVED = 512


def call_signalling(
    settings: config.Settings,
    reactor: Any,
    rooms: Rooms,
    answered: Callable[[Call], None],
    closed: Callable[[Call], None],
) -> Side:
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
    from voipshift.calls.terminals import Terminals, Unshared
    from voipshift.h323.gate import Gate
    from voipshift.h323.portal import Portal
    from voipshift.h323.server import Server
    from voipshift.wiring import ras

    now: Callable[[], float] = reactor.seconds
    access, sources, users = settings.access, rooms.reception.sources, rooms.reception.users
    server = Server(reactor=reactor, trusted=sources.trusts, most=_most_connections())
    gate = Gate(
        trusts=sources.trusts,
        anybody_calls=access.open,
        anybody_registers=access.open and access.users is None,
        users=users,
        charge=lambda host: sources.charge(host, now()),
        wall=time.time,
    )
    terminals = Terminals(rooms.reception.location or Unshared(), settings.node.name, time.time)
    portal = Portal(
        name=settings.node.name,
        delegation=rooms.records.over(rooms.delegation),
        leases=rooms.leases,
        gate=gate,
        admits=lambda host: sources.admits(host, now()),
        now=now,
        octets=os.urandom,
        recorder=rooms.records.recorder,
    )
    near = "" if ip_address(front[0]).is_unspecified else front[0]
    plan = plan_of(settings, "h323")
    relay = Relay(
        table=rooms.table,
        plan=plan,
        find=terminals.find,
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
            with named(settings.file, f"h323.{key}", address, "tcp"):
                server.listen(key == "listen", address)
        gatekeeper = ras.gatekeeper(settings, reactor, rooms, gate, terminals, plan)
    except ConfigurationError:
        server.stop()
        raise
    counters = {
        "connections": server.dropped,
        "messages": relay.dropped,
        "calls": portal.dropped,
        "strangers": gate.refused,
    }
    if gatekeeper is not None:
        counters["RAS"] = gatekeeper.dropped
    return Present(server, gatekeeper, Tally(reactor, "H.323", counters))


def _most_connections() -> int:
    """How many connections of callers fit, with one to a gateway for each, into what the system lets a process have."""
    from voipshift.h323.server import MAX_CONNECTIONS

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * MAX_CONNECTIONS + RESERVED
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return MAX_CONNECTIONS if soft == resource.RLIM_INFINITY else max(1, min(MAX_CONNECTIONS, (soft - RESERVED) // 2))
