"""What the settings say of clients: who is redirected, and how."""

from __future__ import annotations

from collections.abc import Callable

from voipshift import config
from voipshift.node import NodeIdentity
from voipshift.sip.clients import ClientRule, Clients
from voipshift.sip.direct import Consider, DirectAnswers
from voipshift.sip.listeners import Listeners
from voipshift.sip.server import SipServer


def clients_of(settings: config.Settings, now: Callable[[], float]) -> Clients:
    """The clients of a node, nothing learnt of them yet."""
    return Clients(
        rules=[ClientRule(each.networks, each.user_agent or "", each.redirect) for each in settings.clients],
        otherwise=settings.sip.redirect,
        lease_s=settings.sip.lease_s,
        now=now,
    )


def direct_answers_of(
    settings: config.Settings, identity: NodeIdentity, listeners: Listeners, sip: SipServer, consider: Consider
) -> DirectAnswers:
    """The direct answers of a node, as an entry and as the one that accepts."""
    return DirectAnswers(
        identity=identity,
        listeners=listeners,
        offers=settings.sip.answer == "direct",
        also_to=settings.sip.direct_to,
        consider=consider,
        tag=sip.layer.tag_for,
        send=sip.send,
    )
