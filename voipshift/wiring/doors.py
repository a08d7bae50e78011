"""The doors of a node, as the settings name them and others reach them."""

from __future__ import annotations

from voipshift import config
from voipshift.node import Address, NodeIdentity
from voipshift.sip.listeners import Listener, Listeners

#: The door of a node that is a gatekeeper.
RAS = "h323/ras"


def advertised(settings: config.Settings, bound: Address) -> Address:
    """What others are told of a port: the advertised host, where there is one."""
    return settings.node.advertise or bound[0], bound[1]


def listeners_of(settings: config.Settings) -> Listeners:
    """The ports of SIP."""
    return Listeners([Listener(each.transport, advertised(settings, each.address)) for each in settings.sip.listen])


def identity_of(settings: config.Settings, listeners: Listeners) -> NodeIdentity:
    """The node with all its doors; those of SIP come first."""
    doors = listeners.identity
    h323 = settings.h323
    if h323.listen is not None and h323.accept is not None:
        doors["h323"] = advertised(settings, h323.listen)
        doors["h323/accept"] = advertised(settings, h323.accept)
        if h323.ras is not None:
            doors[RAS] = advertised(settings, h323.ras)
    return NodeIdentity(settings.node.name, doors)
