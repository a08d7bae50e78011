"""``voipshift demo`` as a user meets it: what it prints, how it ends, and that nothing outlives it."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

from tests.interop.case import InteropTestCase
from tests.interop.daemon import Daemon
from tests.interop.group import VOIPSHIFT, free_ports
from tests.interop.program import Program
from voipshift.demo.plan import GATEWAY_OFFSET, LOOPBACK, PORTS_PER_NODE

KEYS = ["attempted", "completed", "refused", "failed", "redirected", "setup_ms", "hops", "nodes"]


class DemoTests(InteropTestCase):
    """Three nodes, or two."""

    def demo(self, *words: str) -> Program:
        """Start it."""
        self.base_port = free_ports()
        return self.run_program(*VOIPSHIFT, "demo", "--base-port", str(self.base_port), *words)

    async def figures(self, program: Program, status: int) -> dict[str, Any]:
        """What it prints with ``--json``, as one line of its own, when it ends with that status."""
        self.assertEqual(await program.ends(60.0), status, program.output)
        [line] = [line for line in program.output.splitlines() if line.startswith("{")]
        shown: dict[str, Any] = json.loads(line)
        self.assertEqual(list(shown), KEYS)
        self.assertEqual(list(shown["setup_ms"]), ["p50", "p99"])
        self.assertEqual(shown["attempted"], shown["completed"] + shown["refused"] + shown["failed"])
        nodes = shown["nodes"].values()
        self.assertEqual({tuple(node) for node in nodes}, {("calls", "peak", "limit")})
        self.assertEqual(sum(shown["hops"].values()), sum(node["calls"] for node in nodes))
        return shown

    async def test_the_figures_fit(self) -> None:
        """Calls that do not fit into the primary are redirected, and those for which nobody has room are refused."""
        limits = {"primary": 2, "member1": 4}
        settings = [f"{name}.workload.ongoing_calls={limit}" for name, limit in limits.items()]
        words = [word for setting in settings for word in ("--set", setting)]
        demo = self.demo("--json", "--nodes", "2", "--calls", "12", "--rate", "40", "--hold", "2", *words)
        shown = await self.figures(demo, 0)
        self.assertEqual([shown[key] for key in KEYS[:5]], [12, 6, 6, 0, 4])
        self.assertEqual(shown["hops"], {"0": 2, "1": 4})
        self.assertEqual(
            shown["nodes"], {name: {"calls": limit, "peak": limit, "limit": limit} for name, limit in limits.items()}
        )
        self.assertLessEqual(shown["setup_ms"]["p50"], shown["setup_ms"]["p99"])

    async def test_a_call_that_fails(self) -> None:
        """Status 1, and the reason beside the figures."""
        demo = self.demo("--json", "--nodes", "1", "--calls", "3", "--hold", "1", "--set", "gateways=[]")
        shown = await self.figures(demo, 1)
        self.assertEqual([shown[key] for key in KEYS[:5]], [3, 0, 0, 3, 0])
        self.assertEqual((shown["setup_ms"], shown["hops"]), ({"p50": None, "p99": None}, {}))
        self.assertIn("3 failed: 404 ", demo.output)

    async def test_nothing_outlives_it(self) -> None:
        """However it ends, by SIGKILL too: its nodes die with it, and its folder goes."""
        for name, status in (("INT", 0), ("TERM", 0), ("KILL", -signal.SIGKILL)):
            demo = self.demo("--serve")
            serving = json.loads((await demo.says(r"\A.+\n", patience_s=40.0)).group())
            self.assertEqual(list(serving), ["nodes", "gateway"])
            self.assertEqual(serving["gateway"], f"{LOOPBACK}:{self.base_port + GATEWAY_OFFSET}")
            for number, node in enumerate(serving["nodes"]):
                self.assertEqual(list(node), ["name", "sip", "h323", "http", "config", "pid"])
                self.assertEqual(node["sip"], f"{LOOPBACK}:{self.base_port + PORTS_PER_NODE * number}")
            self.assertEqual([node["name"] for node in serving["nodes"]], ["primary", "member1", "member2"])
            daemons = [Daemon(node["pid"]) for node in serving["nodes"]]
            for daemon in daemons:
                self.addCleanup(daemon.kill)
            folder = Path(serving["nodes"][0]["config"]).parent
            self.assertTrue(folder.is_dir())
            demo.kill(name)
            self.assertEqual(await demo.ends(), status, demo.output)
            for daemon in daemons:
                await self.until(daemon.ended, f"a node ended after SIG{name}")
            self.assertFalse(os.path.exists(folder), f"SIG{name}")
