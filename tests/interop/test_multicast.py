"""Nodes that have nothing but a multicast address find each other, in a network of their own."""

from __future__ import annotations

from pathlib import Path

from tests.interop.group import TWISTD, VOIPSHIFT
from tests.interop.network import NetworkTestCase
from tests.interop.program import Program
from tests.interop.test_sipp import SCENARIOS
from voipshift.demo.plan import KEY_FILE, LOOPBACK, PORTS_PER_NODE, plan, text_of
from voipshift.group import keys

MULTICAST = "239.255.50.60:5064"
#: All ports are free in there.
BASE_PORT = 5060
CALLS = 2
NETWORK = ("ip link set lo multicast on", "ip route add 239.0.0.0/8 dev lo")


class MulticastTests(NetworkTestCase):
    """Three nodes in a network namespace that is empty but for its loopback."""

    needs = ("unshare", "nsenter", "ip", "sipp", "sipsak")

    async def serves(self, node: Program, address: str) -> None:
        """Wait until a node that accepts nothing itself has found one that does: until then its OPTIONS get 503."""

        async def found() -> bool:
            self.assertIsNone(node.status, node.output)
            return await self.run_inside("sipsak", "-s", f"sip:{address}").ends() == 0

        await self.until(found, f"{address} answers 200")

    async def test_nodes_find_each_other(self) -> None:
        """Both nodes without room find the one that has some, and a call at either is shifted to it."""
        await self.make_network(*NETWORK)
        settings = ["group.members=[]", f"group.multicast={MULTICAST}"]
        settings += ["primary.workload.ongoing_calls=0", "member1.workload.ongoing_calls=0"]
        settings.append("calls.watch_interval_s=0")  # the gateway begins with INVITE and expects no OPTIONS
        group = plan(nodes=3, offered=10, base_port=BASE_PORT, settings=settings)
        host, port = group.gateway
        gateway = ["-sf", str(SCENARIOS / "gateway.xml"), "-m", str(CALLS), "-i", host, "-p", str(port), "-nostdin"]
        answering = self.run_inside("sipp", *gateway)
        sockets = Path(f"/proc/{self.network.pid}/net/udp")
        await self.until(lambda: f":{port:04X} " in sockets.read_text(), "the gateway listens")
        keys.make(str(self.folder / KEY_FILE))
        nodes = []
        for each in group.nodes:
            config = self.folder / f"{each.name}.toml"
            config.write_text(each.toml())
            nodes.append(self.run_inside(*TWISTD, "-n", "--pidfile=", "voipshift", "--config", str(config)))
        places = [text_of((LOOPBACK, BASE_PORT + PORTS_PER_NODE * k)) for k in range(len(nodes))]
        for node, place in zip(nodes[:2], places[:2], strict=True):
            await self.serves(node, place)
        for place in places[:2]:
            steps = await self.run_inside(*VOIPSHIFT, "call", f"sip:1234@{place}", "--hold", "0.1").succeeds()
            self.assertIn(f"INVITE sip:1234@{places[2]};lease=", steps)
        await answering.succeeds()
        for node in nodes:
            self.assertNotIn("Traceback", node.output)
