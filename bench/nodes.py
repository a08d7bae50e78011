"""A group for the benchmarks: a portal that accepts nothing, and a member that accepts everything.

Each is ``twistd voipshift`` with a configuration as an operator would write it, under the interpreter that runs this.
"""

from __future__ import annotations

import socket
from functools import partial

from bench.load import read_line
from bench.processes import Starter, await_answer, free_ports
from bench.rivals import Server, options
from voipshift.group import keys
from voipshift.node import Address

#: For the nodes to start and to hear each other.
PATIENCE_S = 15.0
#: For how long a member holds a slot; shorter than the default, so that a run can wait for the end of every lease.
LEASE_S = 5.0

_NODE = """\
[node]
name = "{name}"
[[sip.listen]]
transport = "udp"
address = "127.0.0.1:{sip}"
[sip]
lease_s = {lease_s}
redirect = "always"
[group]
listen = "127.0.0.1:{group}"
key_file = "group.key"
members = ["127.0.0.1:{other}"]
[workload]
ongoing_calls = {limit}
[calls]
probe_interval_s = 3600
watch_interval_s = 0
[[gateways]]
address = "127.0.0.1:{gateway}"
[access]
trusted = ["127.0.0.0/8"]
"""
_H323 = """\
[h323]
listen = "127.0.0.1:{front}"
accept = "127.0.0.1:{accept}"
"""
#: ``python -m twisted`` is twist; this is twistd without knowing where its script lies.
_TWISTD = "from twisted.scripts.twistd import run; run()"


def portal(starter: Starter, sampled: bool = False, h323: tuple[list[int], ...] = ()) -> Server:
    """Start a portal and the member that it redirects to; the portal's share is shown apart.

    :param sampled: both write where their time goes into the folder when they are stopped
    :param h323: the front and the accept port of each
    """
    ports = free_ports(5)
    pids = []
    for at, (name, limit) in enumerate((("primary", "0"), ("member", '"unlimited"'))):
        own = {"sip": ports[at], "group": ports[2 + at], "other": ports[3 - at], "gateway": ports[4]}
        more = _H323.format(front=h323[at][0], accept=h323[at][1]) if h323 else ""
        pids.append(_start(starter, sampled, more, name=name, limit=limit, **own))
    address = ("127.0.0.1", ports[0])
    # A portal that believes no member to have room answers OPTIONS with 503.
    if not await_answer(address, partial(options, address), b"SIP/2.0 200", PATIENCE_S):
        raise SystemExit(f"the nodes do not answer:\n{words_of(starter, 'primary')}{words_of(starter, 'member')}")
    return Server("redirect", address, pids, first=pids[:1])


def h323_portal(starter: Starter) -> tuple[Server, Address]:
    """The same with the doors of H.323: the nodes, and the portal's front port."""
    tcp = free_ports(4, socket.SOCK_STREAM)
    server = portal(starter, h323=(tcp[:2], tcp[2:]))
    return server, ("127.0.0.1", tcp[0])


def carrier(starter: Starter, gateway: int, name: str = "carrier", sampled: bool = False) -> Server:
    """Start a node that stands alone and carries every call to a gateway on that port of loopback.

    :param sampled: it writes where its time goes into the folder when it is stopped
    """
    ports = free_ports(2)
    own = {"sip": ports[0], "group": ports[1], "other": ports[1]}
    pid = _start(starter, sampled, name=name, limit='"unlimited"', gateway=gateway, **own)
    address = ("127.0.0.1", ports[0])
    if not await_answer(address, partial(options, address), b"SIP/2.0 200", PATIENCE_S):
        raise SystemExit(f"the node does not answer:\n{words_of(starter, name)}")
    return Server(name, address, [pid])


def full(starter: Starter) -> Server:
    """Start two nodes that accept nothing and know it of each other; calls come to the first."""
    ports = free_ports(5)
    pids = []
    for at, name in enumerate(("full", "full-too")):
        own = {"sip": ports[at], "group": ports[2 + at], "other": ports[3 - at], "gateway": ports[4]}
        pids.append(_start(starter, False, name=name, limit="0", **own))
    address = ("127.0.0.1", ports[0])
    if not await_answer(address, partial(options, address), b"SIP/2.0 503", PATIENCE_S):
        raise SystemExit(f"the nodes do not answer:\n{words_of(starter, 'full')}{words_of(starter, 'full-too')}")
    return Server("full", address, pids[:1])


def build() -> str:
    """How the voipshift that is installed was built: ``interpreted``, or ``compiled`` (``make compiled``)."""
    with Starter() as starter:
        process = starter.start_python("-c", "from voipshift import node; print(node.__file__)", talks=True)
        file = read_line(process, PATIENCE_S).strip()
    if not file:
        raise SystemExit("voipshift is not installed for this Python: pip install --editable .")
    return "interpreted" if file.endswith(".py") else "compiled"


def words_of(starter: Starter, name: str) -> str:
    """What a node printed."""
    return (starter.folder / f"{name}.log").read_text(errors="replace")


def _start(starter: Starter, sampled: bool, more: str = "", /, *, name: str, **words: object) -> int:
    key_file = starter.folder / "group.key"
    if not key_file.exists():
        keys.make(str(key_file))
    configuration = starter.folder / f"{name}.toml"
    configuration.write_text(_NODE.format(name=name, lease_s=LEASE_S, **words) + more)
    twistd = ["-n", "--pidfile=", "voipshift", "--config", str(configuration)]
    if sampled:
        samples = str(starter.folder / f"{name}.json")
        return starter.start_python("-m", "bench.sampler", samples, *twistd, log=f"{name}.log").pid
    return starter.start_python("-c", _TWISTD, *twistd, log=f"{name}.log").pid
