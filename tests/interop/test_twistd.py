"""``twistd voipshift`` as an operator meets it: in the background, wrongly configured, beside another."""

from __future__ import annotations

import os
import signal
import socket

from twisted.internet import reactor
from twisted.internet.defer import Deferred

from tests.interop.case import InteropTestCase
from tests.interop.daemon import Daemon
from tests.interop.group import TWISTD, free_ports
from tests.interop.program import PATIENCE_S, Program
from voipshift.demo.plan import GROUP_OFFSET, KEY_FILE, LOOPBACK, PORTS_PER_NODE, NodePlan, plan
from voipshift.group import keys
from voipshift.node import Address
from voipshift.udp import open_port

OPTIONS = """\
OPTIONS sip:{host}:{port} SIP/2.0\r
Via: SIP/2.0/UDP {own_host}:{own_port};branch=z9hG4bK{branch}\r
From: <sip:test@{own_host}>;tag=1\r
To: <sip:{host}:{port}>\r
Call-ID: {branch}\r
CSeq: 1 OPTIONS\r
Max-Forwards: 70\r
Content-Length: 0\r
\r
"""


class TwistdTests(InteropTestCase):
    """Two nodes that an operator configured, in a folder that is not the one that twistd runs in."""

    def setUp(self) -> None:
        super().setUp()
        self.base_port = free_ports(2)
        self.nodes = plan(nodes=2, offered=10, base_port=self.base_port).nodes
        self.etc = self.folder / "etc"
        self.runs_in = self.folder / "run"
        self.etc.mkdir()
        self.runs_in.mkdir()
        keys.make(str(self.etc / KEY_FILE))

    def config(self, node: NodePlan) -> str:
        """Write the configuration of a node; its key file has a relative path."""
        file = self.etc / f"{node.name}.toml"
        file.write_text(node.toml())
        return os.path.relpath(file, self.runs_in)

    def twistd(self, config: str, *options: str) -> Program:
        """Start a node."""
        return self.run_program(*TWISTD, *options, "voipshift", "--config", config, folder=self.runs_in)

    def place(self, node: int) -> Address:
        """Where a node is to serve."""
        return LOOPBACK, self.base_port + PORTS_PER_NODE * node

    async def options(self, place: Address) -> str:
        """Ask a node what it can do.

        :returns: the first line of its answer
        """
        answered: Deferred[bytes] = Deferred()
        port = open_port((LOOPBACK, 0), lambda octets, source: answered.callback(octets))
        host, own_port = port.address
        words = {"host": place[0], "port": place[1], "own_host": host, "own_port": own_port}
        port.start(reactor)
        try:
            port.send(OPTIONS.format(branch=f"b{own_port}", **words).encode(), place)
            answer = await answered.addTimeout(PATIENCE_S, reactor)
        finally:
            port.stop()
        return answer.decode().partition("\r\n")[0]

    async def test_in_the_background(self) -> None:
        """Its command returns when the node serves; the node has written its pidfile, and SIGTERM ends both."""
        started = self.twistd(self.config(self.nodes[0]), "--pidfile=node.pid", "--logfile=node.log")
        self.assertEqual(await started.succeeds(), "")
        pidfile = self.runs_in / "node.pid"
        daemon = Daemon(int(pidfile.read_text()))
        self.addCleanup(daemon.kill)
        self.assertEqual(await self.options(self.place(0)), "SIP/2.0 200 OK")
        daemon.terminate()
        await self.until(daemon.ended, "the node ended")
        self.assertFalse(pidfile.exists())
        log = (self.runs_in / "node.log").read_text()
        self.assertIn("Server Shut Down.", log)
        self.assertNotIn("Traceback", log)

    async def test_wrong_configuration(self) -> None:
        """One line that names file, key and reason, status 1, and nothing is started; the same in the background."""
        self.nodes[0].tables["workload"]["ongoing_calls"] = -1
        config = self.config(self.nodes[0])
        for options in (["-n", "--pidfile="], ["--pidfile=node.pid", "--logfile=node.log"]):
            node = self.twistd(config, *options)
            self.assertEqual(await node.ends(), 1, node.output)
            self.assertRegex(node.output, r"\A\S.*primary\.toml: workload\.ongoing_calls: .*-1\n\Z")
        self.assertEqual(os.listdir(self.runs_in), [])

    async def test_a_port_that_is_taken(self) -> None:
        """Likewise one line, for each port that a node opens."""
        config = self.config(self.nodes[0])
        for offset, key in ((0, "sip.listen"), (GROUP_OFFSET, "group.listen")):
            taken = LOOPBACK, self.base_port + offset
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as somebody:
                somebody.bind(taken)
                for options in (["-n", "--pidfile="], ["--pidfile=node.pid", "--logfile=node.log"]):
                    node = self.twistd(config, *options)
                    self.assertEqual(await node.ends(), 1, node.output)
                    self.assertRegex(node.output, rf"\A\S.*primary\.toml: {key}.*{taken[0]}:{taken[1]}.*\n\Z")
        self.assertEqual(os.listdir(self.runs_in), [])

    async def test_two_in_one_folder(self) -> None:
        """With ``--pidfile=`` two nodes in one folder do not meet."""
        nodes = [self.twistd(self.config(node), "-n", "--pidfile=") for node in self.nodes]
        for number, node in enumerate(nodes):
            await node.says("reactor class")
            self.assertEqual(await self.options(self.place(number)), "SIP/2.0 200 OK")
            node.kill("TERM")
            self.assertEqual(await node.ends(), -signal.SIGTERM)
            self.assertIn("Server Shut Down.", node.output)
            self.assertNotIn("Traceback", node.output)
        self.assertEqual(os.listdir(self.runs_in), [])
