"""A node's membership of its group: the exchange, the bus, and the look-up of members that have a DNS name.

A node that stands alone has :class:`Alone`, which asks nobody and tells nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from ipaddress import ip_address
from typing import Any

from twisted.internet.defer import Deferred, succeed

from voipshift import config
from voipshift.balance.leases import Lease
from voipshift.balance.members import Members
from voipshift.errors import NoAnswer
from voipshift.group.bus import Bus
from voipshift.group.considerations import Consider
from voipshift.group.exchange import Exchange
from voipshift.group.keys import Keys
from voipshift.group.messages import Statement
from voipshift.node import Acceptance, Address, CallAttempt, Load, NodeIdentity
from voipshift.sip.uri import is_ip_address
from voipshift.wiring.doors import advertised
from voipshift.wiring.lookup import Lookup
from voipshift.wiring.ports import Ports


class Alone:
    """The membership of a node without ``[group]``."""

    incarnation = 0

    def start(self) -> None:
        """There is nobody to speak to."""

    def stop(self) -> None:
        """There is nobody to leave."""

    def ask(self, member: str, attempt: CallAttempt, path: tuple[Load, ...], left_s: float) -> Deferred[Acceptance]:
        """Nobody can be asked.

        :raises NoAnswer: always
        """
        raise NoAnswer(True)

    def poll(self, names: list[str], timeout_s: float) -> Deferred[frozenset[str]]:
        """Nobody answers."""
        return succeed(frozenset())

    def give_back(self, acceptance: Acceptance, attempt: bytes) -> None:
        """Nobody gave a lease."""

    def tell_lapsed(self, lapsed: Iterable[Lease]) -> None:
        """Nobody else asked for them."""

    def workload_changed(self, load: Load) -> None:
        """Nobody is told."""


class Grouped:
    """The membership of a node that has a group.

    :param exchange: what is said to the members
    :param bus: where else reports go; None where they go nowhere else
    :param lookup: of the members that are configured by a DNS name
    """

    def __init__(self, exchange: Exchange, bus: Bus | None, lookup: Lookup) -> None:
        self._exchange = exchange
        self._bus = bus
        self._lookup = lookup
        self.ask: Callable[[str, CallAttempt, tuple[Load, ...], float], Deferred[Acceptance]] = exchange.ask
        self.poll: Callable[[list[str], float], Deferred[frozenset[str]]] = exchange.poll
        self.give_back: Callable[[Acceptance, bytes], None] = exchange.give_back

    @property
    def incarnation(self) -> int:
        """Of this boot, as the group knows it."""
        return self._exchange.incarnation

    def start(self) -> None:
        """Speak to the group."""
        self._exchange.start()
        if self._bus is not None:
            self._bus.start()
        self._lookup.start()

    def stop(self) -> None:
        """Leave it."""
        self._lookup.stop()
        self._exchange.stop()
        if self._bus is not None:
            self._bus.stop()

    def tell_lapsed(self, lapsed: Iterable[Lease]) -> None:
        """Tell the entries of leases that their clients did not come."""
        self._exchange.tell_lapsed([(lease.entry, lease.attempt.id, lease.id) for lease in lapsed])

    def workload_changed(self, load: Load) -> None:
        """Tell the others where they should not wait for it."""
        self._exchange.workload_changed(load)


#: What the rooms of a node need of its group.
Membership = Alone | Grouped


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
