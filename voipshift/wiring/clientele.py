"""What a node tells its clients: who is redirected, how, and by whom; made of what the settings say."""

from __future__ import annotations

import os
from collections.abc import Callable

from voipshift import config
from voipshift.balance.leases import Leases
from voipshift.calls.resettlement import Resettlement
from voipshift.delegation.chain import Delegation
from voipshift.node import Address, NodeIdentity
from voipshift.sip.answers import Answers
from voipshift.sip.clients import ClientRule, Clients
from voipshift.sip.direct import DirectAnswers
from voipshift.sip.identification import Identification
from voipshift.sip.listeners import Listeners
from voipshift.sip.server import SipServer
from voipshift.sip.transaction import ServerTransaction


class Clientele:
    """The parts of a node that face its clients, beside the portal.

    :param whose: the name of the node that has an address
    :param trusts: whether an address is one of the operator's
    :param pass_on: passes an INVITE on to a member's address, with a Request-URI; what is done if it is not there
    :param draw: a number from 0 to 1
    """

    def __init__(
        self,
        settings: config.Settings,
        *,
        identity: NodeIdentity,
        listeners: Listeners,
        whose: Callable[[Address], str | None],
        trusts: Callable[[str], bool],
        delegation: Delegation,
        leases: Leases,
        sip: SipServer,
        pass_on: Callable[[ServerTransaction, Address, str, Callable[[], None]], None],
        now: Callable[[], float],
        draw: Callable[[], float],
    ) -> None:
        tag = sip.layer.tag_for
        self.clients = Clients(
            rules=[ClientRule(each.networks, each.user_agent or "", each.redirect) for each in settings.clients],
            otherwise=settings.sip.redirect,
            lease_s=settings.sip.lease_s,
            trusts=trusts,
            now=now,
        )
        self.answers = Answers(respond=sip.respond, refuse=sip.refuse, keep=sip.keep, tag=tag, draw=draw)
        self.direct = DirectAnswers(
            identity=identity,
            listeners=listeners,
            offers=settings.sip.answer == "direct",
            also_to=settings.sip.direct_to,
            consider=delegation.consider,
            tag=tag,
            send=sip.send,
        )
        self.identification = Identification(
            listeners=listeners, answers=self.answers, clients=self.clients, pass_on=pass_on
        )
        self.resettlement = Resettlement(
            name=identity.name,
            listeners=listeners,
            whose=whose,
            delegation=delegation,
            leases=leases,
            identification=self.identification,
            trusts=trusts,
            now=now,
            octets=os.urandom,
        )
