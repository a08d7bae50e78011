"""How the settings of one file fit together: what no key can be checked for on its own.

Pure, but for the certificates and the key file that the settings name, which are read to see that they can be used.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterator

from voipshift.config import GatewaySettings, GroupSettings, Settings, SipListen, SipSettings, WorkloadSettings
from voipshift.errors import ConfigurationError
from voipshift.group import keys
from voipshift.group.fields import MOST_SERVICES
from voipshift.node import Address
from voipshift.setting import Place


def check(settings: Settings, at: Place) -> None:
    """Check all that has to fit.

    :raises ConfigurationError: with one line that names the file, the key, and what to do
    """
    _check_ports(settings, at)
    _check_tls(settings.sip, at)
    _check_advertised(settings, at)
    _check_clients(settings, at)
    _check_times(settings, at)
    _check_watermarks(settings.workload, at)
    _check_factors(settings, at)
    _check_regions(settings, at)
    if settings.dialplan.area and not settings.dialplan.country:
        raise at.within("dialplan", "area").wrong("needs dialplan.country, which it is in")
    _check_registrar(settings, at)
    _check_records(settings, at)
    if settings.group is not None:
        _check_group(settings.group, at)


def _ports(settings: Settings, at: Place) -> Iterator[tuple[Place, str, Address]]:
    """Every port that the node opens, of UDP or of TCP."""
    for index, listen in enumerate(settings.sip.listen):
        protocol = "udp" if listen.transport == "udp" else "tcp"
        yield at.within("sip", "listen").item(index).within("address"), protocol, listen.address
    h323 = settings.h323
    for name, protocol, address in (
        ("listen", "tcp", h323.listen),
        ("accept", "tcp", h323.accept),
        ("ras", "udp", h323.ras),
    ):
        if address is not None:
            yield at.within("h323", name), protocol, address
    if settings.group:
        yield at.within("group", "listen"), "udp", settings.group.listen


def _check_ports(settings: Settings, at: Place) -> None:
    opened: list[tuple[str, Address]] = []
    for place, protocol, address in _ports(settings, at):
        taken = next((other for kind, other in opened if kind == protocol and _meet(address, other)), None)
        if taken:
            raise place.wrong(f"meets {'{}:{}'.format(*taken)}, which this node listens at too: use another port")
        opened.append((protocol, address))
    if settings.h323.listen is None and (settings.h323.accept or settings.h323.ras):
        raise at.within("h323", "listen").wrong("missing: a node that speaks H.323 has a front port, listen")
    if settings.h323.neighbours and settings.h323.ras is None:
        raise at.within("h323", "ras").wrong("missing: neighbours ask at the port of RAS")
    addresses = {address for _, address in opened}
    own = {*addresses, *((settings.node.advertise, port) for _, port in addresses)}
    for index, gateway in enumerate(settings.gateways):
        here = at.within("gateways").item(index)
        if gateway.address in own:
            reason = "is this node itself, which would call itself for ever: write the gateway's address"
            raise here.within("address").wrong(reason)
        if gateway.protocol == "h323":
            _check_h323_gateway(settings, gateway, here)
        elif not any(_reaches(listen, gateway) for listen in settings.sip.listen):
            version = " of the same IP version" if _is_address(gateway.address[0]) else ""
            reason = f"needs a [[sip.listen]] over {gateway.transport or 'udp'}{version}, to call from"
            raise here.within("transport").wrong(reason)
    for index, neighbour in enumerate(settings.h323.neighbours):
        if neighbour.address in own:
            reason = "is this node itself: write the address of another gatekeeper"
            raise at.within("h323", "neighbours").item(index).within("address").wrong(reason)
    transports = [listen.transport for listen in settings.sip.listen]
    for transport in transports:
        if settings.sip.identify_self and transports.count(transport) < 2:
            reason = (
                f"needs a second [[sip.listen]] over {transport}, for a client is never redirected to the port that"
            )
            raise at.within("sip", "identify_self").wrong(f"{reason} it called")


def _reaches(listen: SipListen, gateway: GatewaySettings) -> bool:
    if not _is_address(gateway.address[0]):
        return gateway.transport in (None, listen.transport)
    versions = {ipaddress.ip_address(address[0]).version for address in (listen.address, gateway.address)}
    return listen.transport == (gateway.transport or "udp") and len(versions) == 1


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _check_h323_gateway(settings: Settings, gateway: GatewaySettings, here: Place) -> None:
    if settings.h323.listen is None:
        raise here.within("protocol").wrong("needs [h323] with its listen, to call from")
    if not _is_address(gateway.address[0]):
        raise here.within("address").wrong("must be an IP address and a port where the protocol is h323")
    for name in ("transport", "domain", "send", "strip", "prepend", "watch_interval_s"):
        if getattr(gateway, name) not in (None, 0, "", "dialled"):
            raise here.within(name).wrong("is for gateways of SIP: leave it out")


def _check_regions(settings: Settings, at: Place) -> None:
    for index, region in enumerate(settings.regions):
        if not (region.networks or region.numbers):
            here = at.within("regions").item(index)
            raise here.within("networks").wrong("missing: write the networks of its clients, or the numbers in it")
    named = {region.name for region in settings.regions}
    if settings.node.region is not None and settings.node.region not in named:
        reason = f"names {settings.node.region}, and there is no [[regions]] with that name"
        raise at.within("node").within("region").wrong(reason)
    for index, gateway in enumerate(settings.gateways):
        if gateway.region is not None and gateway.region not in named:
            reason = f"names {gateway.region}, and there is no [[regions]] with that name"
            raise at.within("gateways").item(index).within("region").wrong(reason)


def _check_tls(sip: SipSettings, at: Place) -> None:
    for index, listen in enumerate(sip.listen):
        here = at.within("sip", "listen").item(index)
        if listen.transport != "tls":
            if listen.certificate or listen.private_key:
                raise here.within("certificate").wrong(f"is for TLS, and this listens to {listen.transport}")
        elif sip.files(listen) is None:
            reason = "missing: TLS needs a certificate and its key, here or in [sip.tls]"
            raise here.within("certificate").wrong(reason)
    for certificate, private in {files for listen in sip.listen if (files := sip.files(listen)) is not None}:
        _check_credentials(certificate, private, sip.tls.authorities, at.within("sip", "tls"))


def _check_credentials(certificate: str, private: str, authorities: str | None, at: Place) -> None:
    from voipshift.sip.tls import Credentials  # which brings OpenSSL along, and most nodes have none

    try:
        Credentials(certificate, private, authorities)
        if os.stat(private).st_mode & 0o077:
            raise at.within("private_key").wrong(f"{private}: others can read it: chmod 600")
    except ValueError as error:
        raise at.wrong(f"{error}") from None


def _meet(one: Address, other: Address) -> bool:
    """Whether one socket would get in the way of another."""
    hosts = [ipaddress.ip_address(one[0]), ipaddress.ip_address(other[0])]
    same = hosts[0] == hosts[1] or any(each.is_unspecified for each in hosts)
    return one[1] == other[1] and hosts[0].version == hosts[1].version and same


def _check_advertised(settings: Settings, at: Place) -> None:
    advertise = settings.node.advertise
    for place, _, address in _ports(settings, at):
        listens = ipaddress.ip_address(address[0])
        if advertise is None and listens.is_unspecified:
            reason = f"missing: {place.key} listens on every address, so write the one that others reach this node at"
            raise at.within("node", "advertise").wrong(reason)
        if advertise and listens.version != (version := ipaddress.ip_address(advertise).version):
            raise place.wrong(f"is IPv{listens.version} while node.advertise is IPv{version}: use one of them for both")


def _check_clients(settings: Settings, at: Place) -> None:
    for index, client in enumerate(settings.clients):
        if not client.networks and client.user_agent is None:
            reason = "needs networks or a user_agent, to say which clients; for all of them there is sip.redirect"
            raise at.within("clients").item(index).wrong(reason)
    if settings.sip.answer == "direct" and settings.balance.collect == "race":
        reason = 'does not go with balance.collect = "race", where several accept and only one of them is taken'
        raise at.within("sip", "answer").wrong(reason)
    if settings.sip.answer == "chain" and settings.sip.direct_to:
        raise at.within("sip", "direct_to").wrong('needs sip.answer = "direct"')


def _check_times(settings: Settings, at: Place) -> None:
    if settings.sip.lease_s <= settings.balance.deadline_s:
        reason = f"must be more than balance.deadline_s ({settings.balance.deadline_s:g}), or it lapses on its way"
        raise at.within("sip", "lease_s").wrong(reason)


def _check_registrar(settings: Settings, at: Place) -> None:
    registrar = settings.registrar
    if registrar is None:
        if settings.access.users == "store":
            raise at.within("access", "users").wrong("needs a [registrar], whose store it means; or name a file")
    elif registrar.max_expires_s < registrar.min_expires_s:
        reason = f"must be at least registrar.min_expires_s ({registrar.min_expires_s})"
        raise at.within("registrar", "max_expires_s").wrong(reason)


def _check_records(settings: Settings, at: Place) -> None:
    if settings.records is None:
        return
    store, here = settings.records.store, at.within("records", "store")
    if store == "none" and settings.records.json_lines is None:
        raise here.wrong("keeps nothing: name a file as json_lines, or leave [records] out")
    if store is not None and store.startswith(("postgresql:", "postgres:")):
        from voipshift.store.recordpostgresql import connector  # which needs psycopg, and most nodes have none

        connector(store, here.key, here.file)


def _check_factors(settings: Settings, at: Place) -> None:
    services = {service.name for service in settings.services}
    for index, name in enumerate(settings.node.hosts):
        if name not in services:
            reason = f"names {name}, and there is no [[services]] with that name"
            raise at.within("node", "hosts").item(index).wrong(reason)
    if len(settings.node.hosts) > MOST_SERVICES:
        raise at.within("node", "hosts").wrong(f"must be at most {MOST_SERVICES}")


def _check_watermarks(workload: WorkloadSettings, at: Place) -> None:
    if workload.low_watermark > workload.high_watermark:
        reason = f"must be at most workload.high_watermark ({workload.high_watermark:g})"
        raise at.within("workload", "low_watermark").wrong(reason)


def _check_group(group: GroupSettings, at: Place) -> None:
    at = at.within("group")
    version = ipaddress.ip_address(group.listen[0]).version
    others = [(at.within("members").item(index), member) for index, member in enumerate(group.members)]
    if group.multicast:
        others.append((at.within("multicast"), group.multicast))
    for place, (written, _) in others:
        try:
            other = ipaddress.ip_address(written).version
        except ValueError:
            continue  # a DNS name
        if other != version:
            raise place.wrong(f"is IPv{other} while group.listen is IPv{version}: use one of them for both")
    try:
        keys.load(group.key_file)
    except ConfigurationError as error:
        raise at.within("key_file").wrong(f"{error.file}: {error.reason}") from None
