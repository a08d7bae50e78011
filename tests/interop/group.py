"""The group under test: ``voipshift demo --serve``, with the limits that a test sets."""

from __future__ import annotations

import json
import random
import socket
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.interop.case import InteropTestCase
from tests.interop.program import Program
from voipshift.demo.plan import GATEWAY_OFFSET, GROUP_OFFSET, LOOPBACK, OBSERVER_OFFSET, PORTS_PER_NODE
from voipshift.demo.plan import SECOND_SIP_OFFSET as SECOND
from voipshift.node import Address

#: For a client and a gateway of the test's own, from the base port, out of the way of what ``voipshift demo`` uses.
CLIENT_OFFSET = 950
OWN_GATEWAY_OFFSET = 960
#: Where base ports are looked for: below the ports that Linux gives to whoever asks for any (32768 and above).
BASE_PORTS = range(20_000, 31_000, 1000)

#: The two commands, run by the interpreter that runs the tests wherever their scripts lie.
VOIPSHIFT = (sys.executable, "-m", "voipshift.cli")
TWISTD = (sys.executable, "-c", "from twisted.scripts.twistd import run; run()")


@dataclass(frozen=True, slots=True)
class Node:
    """One node that serves: its SIP address as ``127.0.0.1:20060``, its configuration file and its process."""

    name: str
    sip: str
    config: str
    pid: int


@dataclass(frozen=True, slots=True)
class Group:
    """A group that serves; its first node is the primary.

    :ivar client: an address that is free for the test's client
    """

    nodes: tuple[Node, ...]
    client: Address
    program: Program

    @property
    def primary(self) -> Node:
        return self.nodes[0]

    @property
    def members(self) -> tuple[Node, ...]:
        """All but the primary."""
        return self.nodes[1:]

    def node(self, name: str) -> Node:
        return next(node for node in self.nodes if node.name == name)


async def serve(test: InteropTestCase, base_port: int, limits: dict[str, int], *settings: str) -> Group:
    """Bring a group up and wait until all nodes serve and hear each other.

    :param base_port: from :func:`free_ports`
    :param limits: each node's limit of ongoing calls: primary, member1, member2 ...
    :param settings: further ``--set`` of the demo
    """
    words = [*VOIPSHIFT, "demo", "--serve", "--nodes", str(len(limits)), "--base-port", str(base_port)]
    # Gateways of the tests count what comes, and OPTIONS is nothing that sipp expects.
    limited = (f"{name}.workload.ongoing_calls={limit}" for name, limit in limits.items())
    for setting in ("calls.watch_interval_s=0", *limited, *settings):
        words += ["--set", setting]
    program = test.run_program(*words)
    serving = json.loads((await program.says(r"^\{.*\}$", patience_s=30.0)).group())
    nodes = tuple(Node(each["name"], each["sip"], each["config"], each["pid"]) for each in serving["nodes"])
    test.addCleanup(all_quiet, test, nodes)
    return Group(nodes, (LOOPBACK, base_port + CLIENT_OFFSET), program)


def all_quiet(test: InteropTestCase, nodes: tuple[Node, ...]) -> None:
    """No node has met anything that its authors did not expect."""
    for node in nodes:
        log = Path(node.config).with_suffix(".log").read_text()
        test.assertNotIn("Traceback", log, f"{node.name} logged:\n{log}")


def own_gateway(base_port: int) -> Address:
    """Where a gateway of the test's own can listen."""
    return LOOPBACK, base_port + OWN_GATEWAY_OFFSET


def through(gateway: Address) -> str:
    """The setting that sends all calls to a gateway of the test's own."""
    return f'gateways=[{{ address = "{gateway[0]}:{gateway[1]}" }}]'


def free_ports(nodes: int = 3) -> int:
    """A base port whose ports for so many nodes, their gateway and a client are all free right now."""
    offsets = [PORTS_PER_NODE * k + offset for k in range(nodes) for offset in (0, GROUP_OFFSET, SECOND)]
    offsets += [GATEWAY_OFFSET, OBSERVER_OFFSET, CLIENT_OFFSET, OWN_GATEWAY_OFFSET]
    for base_port in random.sample(BASE_PORTS, len(BASE_PORTS)):
        if all(is_free(base_port + offset) for offset in offsets):
            return base_port
    raise AssertionError(f"no free ports from {BASE_PORTS.start} to {BASE_PORTS.stop}")


def is_free(port: int) -> bool:
    """Whether nobody has that UDP port of loopback."""
    with ExitStack() as closing:
        tried = closing.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        try:
            tried.bind((LOOPBACK, port))
        except OSError:
            return False
        return True
