"""Nodes that have nothing but a Redis server find each other, and do without it when it goes away."""

from __future__ import annotations

from tests.interop.case import InteropTestCase
from tests.interop.group import TWISTD, free_ports, is_free
from tests.interop.program import Program
from voipshift.demo.plan import KEY_FILE, LOOPBACK, PORTS_PER_NODE, NodePlan, plan, text_of
from voipshift.group import keys


class BusTests(InteropTestCase):
    """A primary that accepts nothing itself answers OPTIONS with 200 when it knows a member that would."""

    needs = ("redis-server", "sipsak")

    async def serve_redis(self) -> Program:
        words = ("--port", str(self.redis), "--bind", LOOPBACK, "--save", "", "--appendonly", "no")
        server = self.run_program("redis-server", *words)
        await server.says("Ready to accept connections")
        return server

    def start(self, node: NodePlan) -> Program:
        config = self.folder / f"{node.name}.toml"
        config.write_text(node.toml())
        return self.run_program(*TWISTD, "-n", "--pidfile=", "voipshift", "--config", str(config))

    async def serves(self, node: Program, address: str) -> None:
        async def found() -> bool:
            self.assertIsNone(node.status, node.output)
            return await self.run_program("sipsak", "-s", f"sip:{address}").ends() == 0

        await self.until(found, f"{address} answers 200")

    async def test_nodes_find_each_other(self) -> None:
        """By the bus alone; without it they keep each other; when it is back, a new one is found by it."""
        base_port = free_ports(3)
        self.redis = base_port + 970
        self.assertTrue(is_free(self.redis))
        settings = ["group.members=[]", f'group.bus="redis://{LOOPBACK}:{self.redis}"']
        settings += ["primary.workload.ongoing_calls=0", "member1.workload.ongoing_calls=0"]
        group = plan(nodes=3, offered=10, base_port=base_port, settings=settings)
        keys.make(str(self.folder / KEY_FILE))
        places = [text_of((LOOPBACK, base_port + PORTS_PER_NODE * k)) for k in range(3)]
        primary, late, carrier = group.nodes
        server = await self.serve_redis()
        nodes = [self.start(primary), self.start(carrier)]
        await self.serves(nodes[0], places[0])
        await server.close()
        await nodes[0].says("is gone: reports go to each member")
        await self.run_program("sleep", "5").ends()
        self.assertEqual(await self.run_program("sipsak", "-s", f"sip:{places[0]}").ends(), 0)
        await self.serve_redis()
        nodes.append(self.start(late))
        await self.serves(nodes[2], places[1])
        for node in nodes:
            self.assertNotIn("Traceback", node.output)
