"""The gateways of a node, made of the settings: where they are, who takes a number, and whether they are there."""

from __future__ import annotations

import os
from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple

from voipshift import config
from voipshift.calls.dialplan import DialPlan, Gateway
from voipshift.calls.gateways import Gateways
from voipshift.calls.numbering import Numbering, NumberRegions
from voipshift.calls.watch import Watch
from voipshift.node import Address
from voipshift.sip.dns import Dns
from voipshift.sip.listeners import Listeners
from voipshift.sip.names import Names
from voipshift.sip.server import SipServer
from voipshift.udp import open_port


class Terminating(NamedTuple):
    """What the wiring does with them."""

    names: Names
    gateways: Gateways
    watch: Watch
    sip: SipServer

    def domain_of(self, address: Address) -> str:
        """Whose certificate is expected at an address that a name led to; the address itself where none did."""
        return self.names.domain(address) or address[0]

    def start(self) -> None:
        """Ask the gateways whether they are there."""
        self.watch.start()
        self.sip.keep_time()


def plan_of(settings: config.Settings, protocol: str) -> DialPlan:
    """Where the calls of a protocol go."""
    rules = settings.dialplan
    return DialPlan(
        (_gateway(each) for each in settings.gateways if each.protocol == protocol),
        Numbering(rules.country or "", rules.international_prefix, rules.national_prefix, rules.area or ""),
        NumberRegions({region.name: region.numbers for region in settings.regions}),
    )


def terminating(
    settings: config.Settings,
    reactor: Any,
    sip: SipServer,
    listeners: Listeners,
    is_ours: Callable[[Address], bool],
) -> Terminating:
    """The gateways that speak SIP.

    :param is_ours: whether an address is one of the group's
    """
    now: Callable[[], float] = reactor.seconds
    draw = Random().random
    domains = {each.address[0]: each.domain or each.address[0] for each in settings.gateways}
    names = Names(
        ask=Dns(reactor, settings.dns.servers, open_port).ask,
        supported=listeners.ways,
        is_ours=is_ours,
        now=now,
        draw=draw,
        domains=domains,
    )
    plan = plan_of(settings, "sip")
    intervals = {
        _gateway(each): interval_s
        for each in settings.gateways
        if each.protocol == "sip"
        and (interval_s := settings.calls.watch_interval_s if each.watch_interval_s is None else each.watch_interval_s)
    }
    watch = Watch(
        intervals=intervals,
        locate=lambda gateway, then: gateways.located(gateway, then),
        listeners=listeners,
        send=sip.request,
        now=now,
        octets=os.urandom,
        draw=draw,
    )
    gateways = Gateways(plan, names, watch)
    return Terminating(names, gateways, watch, sip)


def _gateway(each: config.GatewaySettings) -> Gateway:
    return Gateway(
        each.address,
        each.prefixes,
        each.transport,
        each.region or "",
        each.cost,
        each.send,
        each.strip,
        each.prepend,
        each.overload_control,
    )
