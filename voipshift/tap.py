"""The wiring: a configuration file becomes a running node.  The only file that knows every room.

:func:`makeService` is what ``twistd voipshift`` calls.  It reads the file and binds every port before it returns, so
that a mistake of the operator is one line and an exit status of 1, before twistd forks.
"""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable
from random import Random
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, gatherResults
from twisted.python import usage

from voipshift import config, configfile
from voipshift.balance.leases import Lease
from voipshift.balance.members import Members
from voipshift.balance.policy import policy_of
from voipshift.balance.rates import rates_of
from voipshift.balance.rule import rule_of
from voipshift.batch import Batch
from voipshift.calls.probe import Prober
from voipshift.calls.proxy import Proxy
from voipshift.calls.quality import Quality
from voipshift.calls.route import Routing
from voipshift.calls.session import SessionTimer
from voipshift.calls.table import Call, CallTable
from voipshift.calls.whereabouts import Whereabouts
from voipshift.delegation.chain import Delegation
from voipshift.delegation.collection import chain_of
from voipshift.entropy import Entropy
from voipshift.errors import ConfigurationError
from voipshift.group import keys
from voipshift.node import Address
from voipshift.sip.portal import Portal
from voipshift.sip.seals import Seals
from voipshift.sip.server import SipServer
from voipshift.wiring import gateways, h225, overload, parts, tcp
from voipshift.wiring.announcing import Announcing
from voipshift.wiring.clientele import Clientele
from voipshift.wiring.doors import identity_of, listeners_of
from voipshift.wiring.gauge import Gauge, workload_of
from voipshift.wiring.joining import membership_of
from voipshift.wiring.lapsing import Lapsing
from voipshift.wiring.membership import Alone, Membership
from voipshift.wiring.ports import Ports
from voipshift.wiring.reception import Reception, domains_of
from voipshift.wiring.records import records_of
from voipshift.wiring.slots import leases_of
from voipshift.wiring.standing import Standing

#: How many objects may come up before the collector looks for cycles among the young ones; how often before it looks
#: among the older, the oldest.  A call leaves none behind, so that there is little to find: the young ones are looked
#: at while the processor still has them near, and the older hardly ever, for each transaction lives for half a minute,
#: and looking through all of them is what made the slowest hundredth of the redirects slow.
COLLECTOR_THRESHOLDS = (2_000, 2_000, 100)


class Options(usage.Options):
    """The command line of ``twistd voipshift``."""

    synopsis = "--config FILE"
    longdesc = "Runs one node of a voipshift group.  etc/primary.toml is a commented configuration."
    optParameters = [["config", "c", None, "the node's configuration file (TOML)"]]

    def postOptions(self) -> None:
        if self["config"] is None:
            raise usage.UsageError("say which node to run: --config FILE")


def makeService(options: Options, reactor: Any = None) -> Service:
    """Build a node from its configuration file.

    :raises SystemExit: with one line that names the file, the key and the reason
    """
    if reactor is None:
        from twisted.internet import reactor
    try:
        node = Node(configfile.load(options["config"]), reactor)
    except ConfigurationError as error:
        raise SystemExit(f"voipshift: {error}") from None
    gc.freeze()
    gc.set_threshold(*COLLECTOR_THRESHOLDS)
    return node


class Node(Service):
    """One node: its rooms, wired to each other.

    :param settings: what its configuration file says
    :param reactor: time and sockets
    :raises ConfigurationError: a port cannot be opened
    """

    name = "voipshift"

    def __init__(self, settings: config.Settings, reactor: Any) -> None:
        self._settings = settings
        self._reactor = reactor
        now: Callable[[], float] = reactor.seconds
        random = Random()
        name = settings.node.name
        self.listeners = listeners_of(settings)
        places = self.listeners.places
        self._places = places
        self.identity = identity_of(settings, self.listeners)

        self._batch = Batch()
        self._entropy = Entropy()
        self._ports = Ports(settings.file, self._batch)
        self.h323: parts.Side = parts.Absent()
        self.sip = SipServer(clock=reactor, force_rport=settings.sip.force_rport, listeners=self.listeners)
        self._terminating = terminating = gateways.terminating(
            settings, reactor, self.sip, self.listeners, self._is_ours
        )
        self.streams = tcp.streams_of(settings, reactor, self.sip, self._trusts, terminating.domain_of)
        self.table = CallTable()
        self.records = records_of(settings, reactor, self.table)
        self.leases = leases_of(settings)
        self._lapsing = Lapsing(reactor, self.leases, self._lapsed)
        interval_s = settings.group.report_interval_s if settings.group else 1.0
        self.workload = workload_of(
            settings,
            occupied=lambda: len(self.table) + len(self.leases),
            octets=self._octets,
            clients=lambda: self.reception.registrations + self.streams.accepted + self.h323.accepted,
            accepted=lambda: self.delegation.counts.accepted,
            now=now(),
        )
        self.members = Members(here=name, report_interval_s=interval_s)
        self.membership: Membership = Alone()
        self._announcing = Announcing(name=name, workload=self.workload, lapsing=self._lapsing, now=now)
        self.delegation = Delegation(
            identity=self.identity,
            rule=rule_of(settings.balance),
            workload=self.workload,
            leases=self.leases,
            members=self.members,
            ask=self.membership.ask,
            withdraw=self.membership.give_back,
            load=self._announcing.decided,
            now=now,
            random=random,
            deadline_s=settings.balance.deadline_s,
            chain=chain_of(settings.balance, lambda *asked: self.membership.poll(*asked)),
            select=policy_of(settings).select,
            explains=self.records.recorder is not None,
            rates=rates_of(settings.balance, self.members, self.workload, now()),
        )
        self.quality = Quality()
        self.standing = Standing(
            identity=self.identity,
            workload=self.workload,
            table=self.table,
            leases=self.leases,
            members=self.members,
            delegation=self.delegation,
            quality=self.quality,
            settings=settings.node,
            load=self._announcing.load,
            now=now,
        )
        self._gauge = Gauge(
            clock=reactor,
            workload=self.workload,
            waited_s=self._ports.waited_s,
            drop=self.sip.drop_new_calls,
            changed=self._announcing.decided,
        )
        self.prober = Prober(
            interval_s=settings.calls.probe_interval_s,
            listeners=self.listeners,
            is_open=self.streams.is_open,
            names=terminating.names,
            send=self.sip.request,
            vanished=lambda call: self.proxy.close(call),
            now=now,
            octets=self._entropy,
        )
        self._keys = keys.load(settings.group.key_file) if settings.group else keys.Keys([os.urandom(32)])
        seals = Seals(keys=self._keys, now=now)
        self.proxy = Proxy(
            listeners=self.listeners,
            is_open=self.streams.is_open,
            table=self.table,
            session=SessionTimer(settings.calls.session_expires_s),
            gateways=terminating.gateways,
            names=terminating.names,
            routing=Routing(frozenset(places), terminating.gateways, self._is_member, seals, domains_of(settings)),
            respond=self.sip.respond,
            tag=self.sip.layer.tag_for,
            request=self.sip.request,
            cancel=self.sip.cancel,
            hush=self.sip.hush,
            send=self.sip.send,
            answered=self._answered,
            closed=self._closed,
            consume=lambda request: self.reception.gate.consume(request),
            seals=seals,
            thinning=overload.thinning_of(settings, terminating.gateways.is_controlled, self._trusts, now, random),
            now=now,
            octets=self._entropy,
            unserved=self.records.unserved,
        )
        self.clientele = Clientele(
            settings,
            identity=self.identity,
            listeners=self.listeners,
            whose=self._whose,
            trusts=lambda host: self.reception.sources.trusts(host),
            delegation=self.delegation,
            leases=self.leases,
            sip=self.sip,
            pass_on=self.proxy.pass_on,
            now=now,
            draw=random.random,
        )
        self.reception = Reception(
            settings,
            reactor,
            keys=self._keys,
            members=self.members,
            whose=self._whose,
            listeners=self.listeners,
            settle=self.clientele.resettlement.settle,
            is_open=self.streams.is_open,
            gateway_hosts=lambda: terminating.gateways.hosts,
            respond=self.sip.refuse,
            tag=self.sip.layer.tag_for,
            wall=time.time,
        )
        self.portal = Portal(
            name=name,
            listeners=self.listeners,
            whose=self._whose,
            delegation=self.records.over(self.delegation),
            leases=self.leases,
            carrier=self.proxy,
            answers=self.clientele.answers,
            identification=self.clientele.identification,
            group_full=self.standing.is_group_full,
            reply=self.clientele.direct.reply,
            is_marked=seals.is_marked,
            trusts=self.reception.sources.trusts,
            anybody=settings.access.open,
            gate=self.reception.gate,
            registrar=self.reception.registrar,
            marks=overload.marks_of(settings),
            find=Whereabouts(self.reception.find, terminating.gateways).find,
            identify_self=settings.sip.identify_self,
            now=now,
            octets=self._entropy,
            recorder=self.records.recorder,
        )
        sources = self.reception.sources
        deciding = overload.Rooms(
            self.workload,
            self.members,
            self.leases,
            self.delegation,
            self.clientele.answers,
            self.listeners,
            self._whose,
            self.reception.sources.trusts,
            now,
            self.records.recorder,
        )
        control = overload.control_of(deciding, time.time)
        refusals = overload.refusals_of(settings, deciding, self.sip.layer, control)
        timetables = (self.proxy, self.prober, terminating.watch)
        used_by = (self.portal.requested, self.proxy.acknowledge, timetables)
        self.sip.serve(*used_by, sources.admits, refusals, control, sources.trusts)

        try:
            self._open_ports()
        except ConfigurationError:
            self._close_ports()
            raise

    # Opening, starting, stopping.

    def _open_ports(self) -> None:
        settings = self._settings
        self._ports.open_sip(settings, self.sip, self.streams)
        shared = (self.table, self.delegation, self.leases, self.members, self.reception, self.workload, self.records)
        rooms = parts.Rooms(*shared)
        self.h323 = h225.call_signalling(settings, self._reactor, rooms, self.quality.answered, self._closed)
        self.membership = self._announcing.membership = membership = membership_of(
            settings,
            self._reactor,
            ports=self._ports,
            keys=self._keys,
            identity=self.identity,
            members=self.members,
            random=self._entropy,
            statement=self.standing.statement,
            consider=self.clientele.direct.consider,
            withdraw=self._withdrawn,
            lapsed=self.clientele.clients.lapsed,
            at_end=self._batch.at_end,
        )
        self.delegation.ask, self.delegation.withdraw = membership.ask, membership.give_back

    def startService(self) -> None:
        Service.startService(self)
        self.reception.start()
        self.records.start()
        self._ports.start(self._reactor)
        self.streams.start()
        self.h323.start()
        self._gauge.start()
        self._terminating.start()
        self.membership.start()

    def stopService(self) -> Deferred[Any] | None:
        Service.stopService(self)
        released = self.h323.stop()
        self.membership.stop()
        self._gauge.stop()
        self.sip.stop()
        self._lapsing.stop()
        self._close_ports()
        waits = [each for each in (released, self.reception.stop(), self.records.stop()) if each is not None]
        return gatherResults(waits) if waits else None

    def _close_ports(self) -> None:
        self.streams.stop()
        self.h323.stop()
        self._ports.stop()

    # What the rooms need of each other.

    def _whose(self, address: Address) -> str | None:
        if address in self._places:
            return self.identity.name
        return self.members.whose(address)

    def _trusts(self, host: str) -> bool:
        return self.reception.sources.trusts(host)

    def _is_ours(self, address: Address) -> bool:
        return self._whose(address) is not None

    def _is_member(self, address: Address) -> bool:
        return self._whose(address) not in (None, self.identity.name)

    # The workload, and who is told of it.

    def _octets(self) -> int:
        """Of signalling with clients and gateways, in and out."""
        return self._ports.octets + self.streams.octets + self.h323.octets

    def _answered(self, call: Call) -> None:
        self.quality.answered(call)
        self.prober.watch(call)

    def _closed(self, call: Call) -> None:
        self.quality.closed(call)
        self.records.closed(call)
        self.prober.forget(call)
        self.workload.call_ended(self._reactor.seconds() - call.began)
        self._announcing.decided()

    def _withdrawn(self, lease: str) -> None:
        self.leases.withdraw(lease)
        self._announcing.decided()

    def _lapsed(self, lapsed: list[Lease]) -> None:
        clients = self.clientele.clients
        for lease in lapsed:
            clients.lapsed(lease.id)
        self.records.lapsed(lapsed)
        self.membership.tell_lapsed(lapsed)
        self._announcing.decided()
