"""What the demo starts: each node's name, ports and limit, written as the TOML that the node reads.

Node k (0 is the ``primary``) has base-port + 10 k for SIP, + 5 for the group's datagrams and + 7 for its second SIP
port; with H.323, + 2 for its front port, + 3 for its accept port and + 4 for RAS.  ``--set`` is applied last, so that
it can change every key; whether the result makes sense is for the node to say, which checks its whole configuration
before it listens.
"""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from voipshift.errors import ConfigurationError
from voipshift.node import Address

LOOPBACK = "127.0.0.1"
PRIMARY = "primary"
KEY_FILE = "group.key"

#: Ports of one node, from its own first one.
GROUP_OFFSET = 5
SECOND_SIP_OFFSET = 7
H323_OFFSETS = {"listen": 2, "accept": 3, "ras": 4}
PORTS_PER_NODE = 10
#: Ports of the demo itself, from the base port.
GATEWAY_OFFSET = 900
H323_GATEWAY_OFFSET = 902
OBSERVER_OFFSET = 905
#: What fits between the base port and the gateway's.
MAX_NODES = GATEWAY_OFFSET // PORTS_PER_NODE

#: The primary's limit as a share of the calls that are offered at once: it alone must refuse most of them.
PRIMARY_SHARE = 0.2
#: What all members together can hold, as a multiple of what is offered at once: they refuse none, even unevenly loaded.
MEMBERS_SHARE = 1.2

Table = dict[str, Any]


@dataclass(frozen=True, slots=True)
class NodePlan:
    """One node: its name and its configuration as nested tables."""

    name: str
    tables: Table

    def toml(self) -> str:
        """The configuration file."""
        return toml_of(self.tables)


@dataclass(frozen=True, slots=True)
class Plan:
    """A group, and the demo's own ports beside it."""

    nodes: tuple[NodePlan, ...]
    gateway: Address
    observer: Address
    h323_gateway: Address


def plan(
    *,
    nodes: int,
    offered: float,
    base_port: int,
    settings: Sequence[str] = (),
    alone: bool = False,
    h323: bool = False,
) -> Plan:
    """Lay out a group.

    :param nodes: how many nodes the group has
    :param offered: calls that will be in progress at once, which the limits are made for
    :param base_port: the primary's SIP port; all others follow from it
    :param settings: the ``KEY=VALUE`` of each ``--set``
    :param alone: only the primary of that group, with the limit that it has there and no members
    :param h323: they speak H.323 too
    :raises ConfigurationError: the ports do not fit, or a setting cannot be read
    """
    if not 1 <= nodes <= MAX_NODES:
        raise ConfigurationError("", "--nodes", f"{nodes} is not a number from 1 to {MAX_NODES}")
    if not 1 <= base_port <= 65535 - OBSERVER_OFFSET:
        raise ConfigurationError("", "--base-port", f"{base_port} is not a port from 1 to {65535 - OBSERVER_OFFSET}")
    names = [PRIMARY] + [f"member{k}" for k in range(1, nodes)]
    gateway = (LOOPBACK, base_port + GATEWAY_OFFSET)
    h323_gateway = (LOOPBACK, base_port + H323_GATEWAY_OFFSET)
    changes = [_setting(text, names) for text in settings]
    plans = []
    for k, name in enumerate(names[:1] if alone else names):
        ports = [base_port + PORTS_PER_NODE * j + GROUP_OFFSET for j in range(1 if alone else nodes) if j != k]
        tables: dict[str, Any] = {
            "node": {"name": name},
            "sip": {
                "listen": [_sip_listen(base_port + PORTS_PER_NODE * k + offset) for offset in (0, SECOND_SIP_OFFSET)]
            },
            "group": {
                "listen": f"{LOOPBACK}:{base_port + PORTS_PER_NODE * k + GROUP_OFFSET}",
                "members": [f"{LOOPBACK}:{port}" for port in ports],
                "key_file": KEY_FILE,
            },
            "workload": {"ongoing_calls": _limit(k, nodes, offered)},
            "gateways": [{"address": text_of(gateway), "prefixes": [""]}],
            "access": {"trusted": ["127.0.0.0/8"], "open": True},
        }
        if h323:
            ports_of = {key: base_port + PORTS_PER_NODE * k + offset for key, offset in H323_OFFSETS.items()}
            tables["h323"] = {key: f"{LOOPBACK}:{port}" for key, port in ports_of.items()}
            tables["gateways"].append({"address": text_of(h323_gateway), "protocol": "h323", "prefixes": [""]})
        for node, path, value in changes:
            if node in (None, name):
                _put(tables, path, value)
        plans.append(NodePlan(name, tables))
    return Plan(tuple(plans), gateway, (LOOPBACK, base_port + OBSERVER_OFFSET), h323_gateway)


def text_of(address: Address) -> str:
    """Write an address as a configuration has it."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def toml_of(tables: Table) -> str:
    """Write nested tables as TOML: a section for each table, arrays and the tables in them on one line."""
    plain = [f"{key} = {_value(value)}" for key, value in tables.items() if not isinstance(value, dict)]
    sections = [
        "\n".join([f"[{section}]", *(f"{key} = {_value(value)}" for key, value in table.items())])
        for section, table in tables.items()
        if isinstance(table, dict)
    ]
    return "\n\n".join([*(["\n".join(plain)] if plain else []), *sections]) + "\n"


def _limit(k: int, nodes: int, offered: float) -> int:
    if k == 0:
        return max(2, round(PRIMARY_SHARE * offered))
    return max(2, math.ceil(MEMBERS_SHARE * offered / (nodes - 1)))


def _sip_listen(port: int) -> Table:
    return {"transport": "udp", "address": f"{LOOPBACK}:{port}"}


def _setting(text: str, names: Sequence[str]) -> tuple[str | None, list[str], Any]:
    """Read one ``[NODE.]KEY=VALUE``: the node it is for (None: all), the path of the key, and the value.

    A value that TOML cannot read is taken as a string, so that ``balance.rule=even`` needs no quotes within quotes.
    """
    key, equals, value = text.partition("=")
    path = [part.strip() for part in key.split(".")]
    node = None
    if path[0] == PRIMARY or re.fullmatch(r"member\d+", path[0]):
        node = path.pop(0)
        if node not in names:
            raise ConfigurationError("", "--set", f"{text!r} names {node}, but the nodes are {', '.join(names)}")
    if not equals or not path or not all(re.fullmatch(r"[A-Za-z0-9_-]+", part) for part in path):
        raise ConfigurationError("", "--set", f"{text!r} is not like workload.ongoing_calls=5")
    try:
        return node, path, tomllib.loads(f"value = {value}")["value"]
    except (tomllib.TOMLDecodeError, KeyError):
        return node, path, value.strip()


def _put(tables: Table, path: Sequence[str], value: Any) -> None:
    table = tables
    for part in path[:-1]:
        inner = table.setdefault(part, {})
        if not isinstance(inner, dict):
            raise ConfigurationError("", "--set", f"{'.'.join(path)}: {part} holds no further keys")
        table = inner
    table[path[-1]] = value


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_value(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_value(inner) for inner in value) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)  # JSON's escapes are those of a TOML basic string
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)  # numbers, inf and nan included, and TOML's dates
