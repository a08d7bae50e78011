"""The settings of a node: what its TOML file can hold, each with its type, default and bounds.

Each room is handed its own frozen settings and sees no other.  :func:`load` checks every key and how they fit
together; only whether a port is free is left to the start.  What a setting does, and which way to turn it, is written
beside it in ``etc/primary.toml``.
"""

from __future__ import annotations

import ipaddress
import math
import os
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

from voipshift.errors import ConfigurationError
from voipshift.group import keys
from voipshift.group.fields import MOST_SERVICES
from voipshift.node import Address
from voipshift.setting import (
    IPNetwork,
    Place,
    boolean,
    host,
    key,
    listening,
    matching,
    multicast,
    network,
    number,
    one_of,
    or_all,
    or_unlimited,
    path,
    reachable,
    reachable_by_name,
    room,
    several,
    table,
    tables,
    text,
    whole,
)

Transport = Literal["udp", "tcp", "tls"]
_name = matching(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,62})", "1 to 63 letters, digits, dots, hyphens or underscores")
_bus = matching(r"redis://[^/?#\s]+/?", 'like "redis://192.0.2.30:6379"')
_realm = matching(r'[^"\\:\x00-\x1f\x7f]{1,64}', "1 to 64 characters without quotes, colons and backslashes")
_domain = matching(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,252})", "a host name such as example.org")
_prefix = matching(r"\+?[0-9*#]*", 'the first digits of a number, or "" for everything')


@room
class NodeSettings:
    """``[node]``."""

    name: str = key(_name, needed="give the node a name that no other member of its group has")
    advertise: str | None = key(host, default=None)
    region: str | None = key(_name, default=None)
    cost: float = key(number(0, 1e9), default=0.0)
    hosts: tuple[str, ...] = key(several(_name), default=())


@room
class SipListen:
    """``[[sip.listen]]``."""

    transport: Transport = key(one_of("udp", "tcp", "tls"), needed='write transport = "udp", "tcp" or "tls"')
    address: Address = key(listening, needed='write the address and port to listen at, such as "192.0.2.7:5060"')
    certificate: str | None = key(path, default=None)
    private_key: str | None = key(path, default=None)


@room
class TlsSettings:
    """``[sip.tls]``: what all listeners over TLS share, and connections that the node opens."""

    certificate: str | None = key(path, default=None)
    private_key: str | None = key(path, default=None)
    authorities: str | None = key(path, default=None)
    clients: Literal["any", "optional", "required"] = key(one_of("any", "optional", "required"), default="any")


@room
class SipSettings:
    """``[sip]``."""

    listen: tuple[SipListen, ...] = key(tables(SipListen, at_least=1), needed="write a [[sip.listen]]")
    force_rport: bool = key(boolean, default=True)
    identify_self: bool = key(boolean, default=False)
    lease_s: float = key(number(0.5, 60), default=10.0)
    tls: TlsSettings = key(table(TlsSettings), default=TlsSettings())

    def files(self, listen: SipListen) -> tuple[str, str] | None:
        """The certificate and the key of a listener over TLS; None where one of them is missing."""
        own, shared = (listen.certificate, listen.private_key), (self.tls.certificate, self.tls.private_key)
        certificate, private = shared if own == (None, None) else own
        return None if certificate is None or private is None else (certificate, private)


@room
class H323Settings:
    """``[h323]``: a node that speaks it has both of the first ports."""

    listen: Address | None = key(listening, default=None)
    accept: Address | None = key(listening, default=None)
    ras: Address | None = key(listening, default=None)


@room
class GroupSettings:
    """``[group]``."""

    listen: Address = key(listening, needed="write the address and port for the group's datagrams")
    key_file: str = key(path, needed="write the file that `voipshift keygen FILE` made; all members have the same")
    members: tuple[Address, ...] = key(several(reachable_by_name), default=())
    multicast: Address | None = key(multicast, default=None)
    bus: str | None = key(_bus, default=None)
    report_interval_s: float = key(number(0.1, 60), default=1.0)


@room
class BalanceSettings:
    """``[balance]``; `shift_above` and `delta` are None where the rule's own value holds."""

    rule: Literal["seed", "even"] = key(one_of("seed", "even"), default="seed")
    choose: Literal["weighted", "lowest"] = key(one_of("weighted", "lowest"), default="weighted")
    shift_above: float | None = key(number(0, 1), default=None)
    delta: float | None = key(number(0, 1), default=None)
    hop_limit: int = key(whole(1, 7), default=3)
    deadline_s: float = key(number(0.1, 10), default=1.5)
    collect: Literal["reports", "poll", "race"] = key(one_of("reports", "poll", "race"), default="reports")
    collect_from: float = key(or_all(whole(1, 1000)), default=3.0)
    poll_s: float = key(number(0.005, 1), default=0.1)


@room
class WorkloadSettings:
    """``[workload]``; no limit is :data:`math.inf`, and 0 accepts nothing."""

    ongoing_calls: float = key(
        or_unlimited(whole(0, 1_000_000)), needed='write how many calls the node carries at once, or "unlimited"'
    )
    calls_per_second: float = key(or_unlimited(number(0, 1_000_000)), default=math.inf)
    data_per_second: float = key(or_unlimited(number(1, 1e12)), default=math.inf)
    clients: float = key(or_unlimited(whole(1, 100_000_000)), default=math.inf)
    cpu_percent: float = key(or_unlimited(number(1, 100)), default=math.inf)
    model: float = key(or_unlimited(number(1, 100)), default=math.inf)
    high_watermark: float = key(number(0, 1), default=1.0)
    low_watermark: float = key(number(0, 1), default=1.0)


@room
class PolicySettings:
    """``[policy]``: the parameters of :class:`voipshift.balance.policy.Formula`."""

    same_region: float = key(number(-100, 100), default=0.0)
    cost: float = key(number(-100, 100), default=0.0)
    answer_seizure_ratio: float = key(number(-100, 100), default=0.0)
    post_dial_delay: float = key(number(-100, 100), default=0.0)
    only_same_region: bool = key(boolean, default=False)
    highest_cost: float = key(or_unlimited(number(0, 1e9)), default=math.inf)
    lowest_answer_seizure_ratio: float = key(number(0, 1), default=0.0)
    longest_post_dial_delay_s: float = key(or_unlimited(number(0, 60)), default=math.inf)


@room
class RegionSettings:
    """``[[regions]]``."""

    name: str = key(_name, needed="name the region")
    networks: tuple[IPNetwork, ...] = key(several(network, at_least=1), needed="write the networks of its clients")


@room
class ServiceSettings:
    """``[[services]]``."""

    name: str = key(_name, needed="name the service")
    prefixes: tuple[str, ...] = key(several(text, at_least=1), needed="write the numbers or users that it is called by")


@room
class EmergencySettings:
    """``[emergency]``."""

    numbers: tuple[str, ...] = key(several(text), default=())
    reserved: float = key(number(0, 0.9), default=0.05)


@room
class CallSettings:
    """``[calls]``."""

    probe_interval_s: float = key(number(1, 3600), default=60.0)


@room
class GatewaySettings:
    """``[[gateways]]``; the prefix ``""`` takes everything."""

    address: Address = key(reachable, needed='write where the calls go, such as "192.0.2.20:5060"')
    protocol: Literal["sip", "h323"] = key(one_of("sip", "h323"), default="sip")
    transport: Transport = key(one_of("udp", "tcp", "tls"), default="udp")
    domain: str | None = key(_domain, default=None)
    prefixes: tuple[str, ...] = key(several(_prefix, at_least=1), default=("",))


def _store(value: object, at: Place) -> str:
    """The URL of a Redis server, or a file."""
    return text(value, at) if str(value).startswith("redis:") else path(value, at)


def _users(value: object, at: Place) -> str:
    """The word ``"store"``, or a file."""
    return "store" if value == "store" else path(value, at)


@room
class RegistrarSettings:
    """``[registrar]``; `location` is a file or a ``redis:`` URL, None for the default file."""

    location: str | None = key(_store, default=None)
    domains: tuple[str, ...] = key(several(_domain), default=())
    min_expires_s: int = key(whole(1, 3600), default=60)
    max_expires_s: int = key(whole(60, 604_800), default=3600)


@room
class AccessSettings:
    """``[access]``; `users` is a file, or ``"store"`` for that of the registrar."""

    trusted: tuple[IPNetwork, ...] = key(several(network), default=())
    open: bool = key(boolean, default=False)
    users: str | None = key(_users, default=None)
    realm: str = key(_realm, default="voipshift")
    digest: tuple[Literal["SHA-256", "MD5"], ...] = key(
        several(one_of("SHA-256", "MD5"), at_least=1), default=("SHA-256", "MD5")
    )
    requests_per_second: float = key(or_unlimited(number(1, 1_000_000)), default=100.0)


@room
class Settings:
    """A whole file.  Without ``[group]`` the node stands alone."""

    file: str
    node: NodeSettings = key(table(NodeSettings), needed="write a [node] with its name")
    sip: SipSettings = key(table(SipSettings), needed="write a [[sip.listen]]")
    workload: WorkloadSettings = key(table(WorkloadSettings), needed="write a [workload] with its ongoing_calls")
    h323: H323Settings = key(table(H323Settings), default=H323Settings())
    group: GroupSettings | None = key(table(GroupSettings), default=None)
    balance: BalanceSettings = key(table(BalanceSettings), default=BalanceSettings())
    policy: PolicySettings = key(table(PolicySettings), default=PolicySettings())
    regions: tuple[RegionSettings, ...] = key(tables(RegionSettings), default=())
    services: tuple[ServiceSettings, ...] = key(tables(ServiceSettings), default=())
    emergency: EmergencySettings = key(table(EmergencySettings), default=EmergencySettings())
    calls: CallSettings = key(table(CallSettings), default=CallSettings())
    gateways: tuple[GatewaySettings, ...] = key(tables(GatewaySettings), default=())
    registrar: RegistrarSettings | None = key(table(RegistrarSettings), default=None)
    access: AccessSettings = key(table(AccessSettings), default=AccessSettings())


def load(file: str) -> Settings:
    """Read and check a configuration file, its key file included.

    :raises ConfigurationError: with one line that names the file, the key, and what to do
    """
    at = Place(file)
    settings = table(Settings, file=file)(_document(at), at)
    _check_ports(settings, at)
    _check_tls(settings.sip, at)
    _check_advertised(settings, at)
    _check_times(settings, at)
    _check_watermarks(settings.workload, at)
    _check_factors(settings, at)
    _check_registrar(settings, at)
    if settings.group is None:
        return settings
    _check_group(settings.group, at)
    return replace(settings, group=_without_itself(settings.group, settings.node.advertise))


def _document(at: Place) -> dict[str, object]:
    try:
        with open(at.file, "rb") as opened:
            return tomllib.load(opened)
    except OSError as error:
        raise at.wrong(f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise at.wrong(f"is not TOML: line {line} is not UTF-8") from None
    except (ValueError, RecursionError) as error:
        raise at.wrong(f"is not TOML: {error}") from None


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
    missing = next((name for name in ("listen", "accept") if getattr(settings.h323, name) is None), None)
    if missing and settings.h323 != H323Settings():
        raise at.within("h323", missing).wrong("missing: a node that speaks H.323 has both ports, listen and accept")
    addresses = {address for _, address in opened}
    own = {*addresses, *((settings.node.advertise, port) for _, port in addresses)}
    for index, gateway in enumerate(settings.gateways):
        here = at.within("gateways").item(index)
        if gateway.address in own:
            reason = "is this node itself, which would call itself for ever: write the gateway's address"
            raise here.within("address").wrong(reason)
        if gateway.protocol == "h323":
            if settings.h323.listen is None:
                raise here.within("protocol").wrong("needs [h323] with its listen and accept, to call from")
        elif not any(_reaches(listen, gateway) for listen in settings.sip.listen):
            reason = f"needs a [[sip.listen]] over {gateway.transport} of the same IP version, to call from"
            raise here.within("transport").wrong(reason)
    transports = [listen.transport for listen in settings.sip.listen]
    for transport in transports:
        if settings.sip.identify_self and transports.count(transport) < 2:
            reason = (
                f"needs a second [[sip.listen]] over {transport}, for a client is never redirected to the port that"
            )
            raise at.within("sip", "identify_self").wrong(f"{reason} it called")


def _reaches(listen: SipListen, gateway: GatewaySettings) -> bool:
    versions = {ipaddress.ip_address(address[0]).version for address in (listen.address, gateway.address)}
    return listen.transport == gateway.transport and len(versions) == 1


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


def _without_itself(group: GroupSettings, advertise: str | None) -> GroupSettings:
    """The group as one of its members sees it, for all of them may have the same list."""
    own = {group.listen, (advertise, group.listen[1])}
    return replace(group, members=tuple(member for member in group.members if member not in own))
