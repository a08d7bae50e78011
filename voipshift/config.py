"""The settings of a node: what its TOML file can hold, each with its type, default and bounds.

Each room is handed its own frozen settings and sees no other.  How they fit together is
:mod:`voipshift.consistency`'s, and the file :mod:`voipshift.configfile`'s.  What a setting does, and which way to turn
it, is written beside it in ``etc/primary.toml``.
"""

from __future__ import annotations

import math
from typing import Literal

from voipshift.node import Address
from voipshift.setting import (
    IPNetwork,
    Place,
    Reader,
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
    or_off,
    or_unlimited,
    path,
    reachable,
    reachable_by_domain,
    reachable_by_name,
    room,
    several,
    table,
    tables,
    text,
    whole,
)

Transport = Literal["udp", "tcp", "tls"]
Redirect = Literal["always", "never", "auto"]
_name = matching(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,62})", "1 to 63 letters, digits, dots, hyphens or underscores")
_bus = matching(r"redis://[^/?#\s]+/?", 'like "redis://192.0.2.30:6379"')
_realm = matching(r'[^"\\:\x00-\x1f\x7f]{1,64}', "1 to 64 characters without quotes, colons and backslashes")
_domain = matching(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,252})", "a host name such as example.org")
_resource_priority = matching(
    r"[A-Za-z0-9!%*_+`'~-]+(\.[A-Za-z0-9!%*_+`'~-]+)?", 'such as "ets.0", or "ets" for all of it'
)
_prefix = matching(r"\+?[0-9*#]*", 'the first digits of a number, or "" for everything')
_number_prefix = matching(r"\+?[0-9]{1,15}", 'the first digits of international numbers, such as "+4930"')
_country = matching(r"[1-9][0-9]{0,2}", 'the code of a country, such as "49"')
_digits = matching(r"[0-9]{0,8}", "up to 8 digits")
_prepended = matching(r"\+?[0-9*#]{0,15}", "up to 15 digits, with a + in front or without")


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
    redirect: Redirect = key(one_of("always", "never", "auto"), default="auto")
    answer: Literal["chain", "direct"] = key(one_of("chain", "direct"), default="chain")
    direct_to: tuple[IPNetwork, ...] = key(several(network), default=())
    lease_s: float = key(number(0.5, 60), default=10.0)
    tls: TlsSettings = key(table(TlsSettings), default=TlsSettings())

    def files(self, listen: SipListen) -> tuple[str, str] | None:
        """The certificate and the key of a listener over TLS; None where one of them is missing."""
        own, shared = (listen.certificate, listen.private_key), (self.tls.certificate, self.tls.private_key)
        certificate, private = shared if own == (None, None) else own
        return None if certificate is None or private is None else (certificate, private)


@room
class ClientSettings:
    """``[[clients]]``."""

    redirect: Redirect = key(one_of("always", "never", "auto"), needed='write redirect = "always", "never" or "auto"')
    networks: tuple[IPNetwork, ...] = key(several(network), default=())
    user_agent: str | None = key(text, default=None)


#: Where callers arrive who were sent here, unless the operator says otherwise: the port beside H.323's own.
ACCEPT_PORT = 1721


@room
class NeighbourSettings:
    """``[[h323.neighbours]]``."""

    address: Address = key(reachable, needed='write the RAS address of the gatekeeper, such as "192.0.2.40:1719"')
    prefixes: tuple[str, ...] = key(several(_prefix), default=())
    resources: bool = key(boolean, default=False)


@room
class H323Settings:
    """``[h323]``: a node that speaks it has both of the first ports; accept is beside listen where it is not said."""

    listen: Address | None = key(listening, default=None)
    accept: Address | None = key(listening, default=None)
    ras: Address | None = key(listening, default=None)
    neighbours: tuple[NeighbourSettings, ...] = key(tables(NeighbourSettings), default=())

    def __post_init__(self) -> None:
        if self.listen is not None and self.accept is None:
            object.__setattr__(self, "accept", (self.listen[0], ACCEPT_PORT))


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
    """``[balance]``; `shift_above`, `delta` and `hop_limit` are None where the rule's own value holds."""

    rule: Literal["seed", "even", "rate"] = key(one_of("seed", "even", "rate"), default="seed")
    choose: Literal["weighted", "lowest"] = key(one_of("weighted", "lowest"), default="weighted")
    shift_above: float | None = key(number(0, 1), default=None)
    delta: float | None = key(number(0, 1), default=None)
    hop_limit: int | None = key(whole(1, 7), default=None)
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
    networks: tuple[IPNetwork, ...] = key(several(network), default=())
    numbers: tuple[str, ...] = key(several(_number_prefix), default=())


@room
class ServiceSettings:
    """``[[services]]``."""

    name: str = key(_name, needed="name the service")
    prefixes: tuple[str, ...] = key(several(text, at_least=1), needed="write the numbers or users that it is called by")


@room
class EmergencySettings:
    """``[emergency]``."""

    numbers: tuple[str, ...] = key(several(text), default=())
    priority: bool = key(boolean, default=False)
    resource_priorities: tuple[str, ...] = key(several(_resource_priority), default=())
    reserved: float = key(number(0, 0.9), default=0.05)

    @property
    def share(self) -> float:
        """What is kept: nothing where no call can be one."""
        return self.reserved if self.numbers or self.priority or self.resource_priorities else 0.0


def _transport(value: object, at: Place) -> Transport | None:
    """One that is named."""
    read: Reader[Transport] = one_of("udp", "tcp", "tls")
    return read(value, at)


def _interval(value: object, at: Place) -> float:
    """Seconds between two questions; 0 for none."""
    return 0.0 if value == 0 and not isinstance(value, bool) else number(5, 3600)(value, at)


@room
class CallSettings:
    """``[calls]``."""

    probe_interval_s: float = key(number(1, 3600), default=60.0)
    session_expires_s: float = key(or_off(whole(90, 86_400)), default=1800.0)
    watch_interval_s: float = key(_interval, default=30.0)


@room
class DnsSettings:
    """``[dns]``; without servers those of the system are asked."""

    servers: tuple[Address, ...] = key(several(reachable), default=())


@room
class DialPlanSettings:
    """``[dialplan]``: what a dialled number means."""

    country: str | None = key(_country, default=None)
    international_prefix: str = key(_digits, default="00")
    national_prefix: str = key(_digits, default="0")
    area: str | None = key(_digits, default=None)


@room
class GatewaySettings:
    """``[[gateways]]``; the prefix ``""`` takes everything, and port 0 stands for none."""

    address: Address = key(reachable_by_domain, needed='write where the calls go, such as "192.0.2.20:5060"')
    protocol: Literal["sip", "h323"] = key(one_of("sip", "h323"), default="sip")
    transport: Transport | None = key(_transport, default=None)
    domain: str | None = key(_domain, default=None)
    overload_control: bool = key(boolean, default=True)
    prefixes: tuple[str, ...] = key(several(_prefix, at_least=1), default=("",))
    region: str | None = key(_name, default=None)
    cost: float = key(number(0, 1e9), default=0.0)
    send: Literal["dialled", "e164", "digits"] = key(one_of("dialled", "e164", "digits"), default="dialled")
    strip: int = key(whole(0, 15), default=0)
    prepend: str = key(_prepended, default="")
    watch_interval_s: float | None = key(_interval, default=None)


def _store(value: object, at: Place) -> str:
    """The URL of a Redis server, or a file."""
    return text(value, at) if str(value).startswith("redis:") else path(value, at)


def _archive(value: object, at: Place) -> str:
    """The URL of a PostgreSQL server, the word ``"none"``, or a file."""
    if value == "none" or str(value).startswith(("postgresql:", "postgres:")):
        return text(value, at)
    return path(value, at)


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
    shift_registrations: bool = key(boolean, default=False)


@room
class RecordSettings:
    """``[records]``; `store` is a file or a ``postgresql:`` URL, ``"none"``, or None for the default file."""

    store: str | None = key(_archive, default=None)
    json_lines: str | None = key(path, default=None)
    keep_days: float = key(or_unlimited(number(0.1, 36_500)), default=90.0)


@room
class AccessSettings:
    """``[access]``; `users` is a file, or ``"store"`` for that of the registrar."""

    trusted: tuple[IPNetwork, ...] = key(several(network), default=())
    open: bool = key(boolean, default=False)
    users: str | None = key(_users, default=None)
    callers: Literal["own", "any"] = key(one_of("own", "any"), default="own")
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
    clients: tuple[ClientSettings, ...] = key(tables(ClientSettings), default=())
    h323: H323Settings = key(table(H323Settings), default=H323Settings())
    group: GroupSettings | None = key(table(GroupSettings), default=None)
    balance: BalanceSettings = key(table(BalanceSettings), default=BalanceSettings())
    policy: PolicySettings = key(table(PolicySettings), default=PolicySettings())
    regions: tuple[RegionSettings, ...] = key(tables(RegionSettings), default=())
    services: tuple[ServiceSettings, ...] = key(tables(ServiceSettings), default=())
    emergency: EmergencySettings = key(table(EmergencySettings), default=EmergencySettings())
    calls: CallSettings = key(table(CallSettings), default=CallSettings())
    dns: DnsSettings = key(table(DnsSettings), default=DnsSettings())
    dialplan: DialPlanSettings = key(table(DialPlanSettings), default=DialPlanSettings())
    gateways: tuple[GatewaySettings, ...] = key(tables(GatewaySettings), default=())
    registrar: RegistrarSettings | None = key(table(RegistrarSettings), default=None)
    records: RecordSettings | None = key(table(RecordSettings), default=None)
    access: AccessSettings = key(table(AccessSettings), default=AccessSettings())
