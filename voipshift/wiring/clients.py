"""What the settings say of clients: who is redirected, and how."""

from __future__ import annotations

from collections.abc import Callable

from voipshift import config
from voipshift.sip.clients import ClientRule, Clients


def clients_of(settings: config.Settings, now: Callable[[], float]) -> Clients:
    """The clients of a node, nothing learnt of them yet."""
    return Clients(
        rules=[ClientRule(each.networks, each.user_agent or "", each.redirect) for each in settings.clients],
        otherwise=settings.sip.redirect,
        lease_s=settings.sip.lease_s,
        now=now,
    )
