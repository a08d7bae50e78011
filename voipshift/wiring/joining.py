"""How a node joins its group: the exchange, the bus, and the look-up of members, made of what the settings say."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

from voipshift import config
from voipshift.balance.members import Members
from voipshift.group.bus import Bus
from voipshift.group.considerations import Consider
from voipshift.group.exchange import Exchange
from voipshift.group.keys import Keys
from voipshift.group.messages import Statement
from voipshift.node import Address, NodeIdentity
from voipshift.sip.uri import is_ip_address
from voipshift.wiring.doors import advertised
from voipshift.wiring.lookup import Lookup
from voipshift.wiring.membership import Alone, Grouped, Membership
from voipshift.wiring.ports import Ports


def membership_of(
    settings: config.Settings,
    reactor: Any,
    *,
    ports: Ports,
    keys: Keys,
    identity: NodeIdentity,
    members: Members,
    random: Callable[[int], bytes],
    statement: Callable[[], Statement],
    consider: Consider,
    withdraw: Callable[[str], None],
    lapsed: Callable[[str], None],
    at_end: Callable[[Callable[[], None]], None],
) -> Membership:
    """The membership that a configuration says, its port bound.

    :param members: told what is heard of the others
    :param random: gives so many random octets
    :param statement: what this node says of itself
    :param consider: decides about an attempt that a member asks about
    :param withdraw: closes a lease of this node that nobody will use
    :param lapsed: told of each lease of another node for which a client of this one did not come
    :param at_end: has something done when the datagrams that are being read are worked off
    :raises ConfigurationError: a port cannot be opened
    """
    group = settings.group
    if group is None:
        return Alone()

    def received(octets: bytes, source: Address) -> None:
        exchange.received(octets, source)

    def stated(name: str, said: Statement) -> None:
        members.describe(name, said.factors, said.offered)

    port = ports.open("group.listen", group.listen, received)
    if group.multicast is not None:
        ports.join(group.multicast, port, received)
    bus = None
    if group.bus is not None:
        bus = Bus(group.bus, lambda octets: received(octets, ("", 0)), reactor, settings.file)
    exchange = Exchange(
        clock=reactor,
        send=port.send,
        keys=keys,
        identity=identity,
        address=advertised(settings, group.listen),
        members=[member for member in group.members if is_ip_address(member[0])],
        multicast=group.multicast,
        report_interval_s=group.report_interval_s,
        random=random,
        statement=statement,
        heard=lambda identity, load: members.heard(identity, load, reactor.seconds()),
        left=members.leave,
        stated=stated,
        consider=consider,
        withdraw=withdraw,
        lapsed=lambda attempt, lease: lapsed(lease),
        bus=bus.publish if bus is not None else None,
        at_end=at_end,
    )
    names = [member for member in group.members if not is_ip_address(member[0])]
    lookup = Lookup(reactor, names, ip_address(group.listen[0]).version, exchange.may_be_at)
    return Grouped(exchange, bus, lookup)
