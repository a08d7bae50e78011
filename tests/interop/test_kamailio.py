"""Kamailio on the other side: a neighbour proxy that brings calls, and the proxy before a gateway, over UDP and TLS.

sipp is at both ends: whoever calls has Kamailio as its server, or the group, and whoever answers is the gateway.
"""

from __future__ import annotations

import re
from pathlib import Path

from tests.certificates import Authority
from tests.interop.case import InteropTestCase
from tests.interop.group import Group, free_ports, is_free, own_gateway, serve, through
from tests.interop.kamailio import Certificates, kamailio
from tests.interop.program import Program
from tests.interop.test_transports import listeners
from voipshift.demo.plan import LOOPBACK, SECOND_SIP_OFFSET

SCENARIOS = Path(__file__).resolve().parent / "scenarios"
CALLS = 100
RATE = 50
LIMITS = {"primary": 5, "member1": 150, "member2": 150}
#: Kamailio's ports, from the base port.
UDP_OFFSET = 970
TLS_OFFSET = 971


class KamailioTests(InteropTestCase):
    """100 calls, all of them answered, held and ended; most of them shifted."""

    needs = ("sipp", "kamailio")

    def setUp(self) -> None:
        super().setUp()
        self.base_port = free_ports()

    @property
    def place(self) -> str:
        """Where Kamailio is, over UDP."""
        return f"{LOOPBACK}:{self.base_port + UDP_OFFSET}"

    def certificates(self) -> tuple[Certificates, list[str]]:
        """One certificate for everybody on loopback, and the settings of the nodes that name it."""
        certificate, key, authorities = Authority().write(self.folder, "node", LOOPBACK)
        files = {"certificate": certificate, "private_key": key, "authorities": authorities}
        return Certificates(certificate, key, authorities), [f"sip.tls.{name}={file}" for name, file in files.items()]

    async def proxy(self, to: str, certificates: Certificates | None = None) -> Program:
        """Start Kamailio."""
        tls_port = None if certificates is None else self.base_port + TLS_OFFSET
        return await kamailio(self, self.base_port + UDP_OFFSET, to, tls_port=tls_port, certificates=certificates)

    async def gateway(self) -> Program:
        """Start the sipp that answers."""
        host, port = own_gateway(self.base_port)
        words = ["-sf", str(SCENARIOS / "gateway.xml"), "-m", str(CALLS), "-i", host, "-p", str(port), "-nostdin"]
        program = self.run_program("sipp", *words, "-trace_err", "-error_file", "gateway-errors.log")
        await self.until(lambda: not is_free(port), "the gateway listens")
        return program

    async def completed(self, group: Group, server: str) -> str:
        """Place the calls at a server; all have to be answered and ended.

        :returns: what the caller logged
        """
        host, port = group.client
        words = ["-sf", str(SCENARIOS / "caller.xml"), "-t", "u1", "-s", "1234", "-m", str(CALLS), "-r", str(RATE)]
        words += ["-i", host, "-p", str(port), "-nostdin", "-trace_logs", "-log_file", "caller.log"]
        words += ["-trace_err", "-error_file", "errors.log"]
        await self.run_program("sipp", *words, server).succeeds(patience_s=40.0)
        log = (self.folder / "caller.log").read_text()
        self.assertEqual(len(re.findall("completed", log)), CALLS)
        return log

    async def test_a_neighbour_proxy_follows_on_its_callers_behalf(self) -> None:
        """Its callers see no redirection; the calls that the primary has no room for are its members'."""
        gateway = await self.gateway()
        group = await serve(self, self.base_port, LIMITS, through(own_gateway(self.base_port)))
        await self.proxy(group.primary.sip)
        log = await self.completed(group, self.place)
        self.assertNotIn("redirected", log)
        await gateway.succeeds()

    async def test_a_gateway_behind_it(self) -> None:
        """Two record-routing proxies in the path of each call."""
        gateway = await self.gateway()
        host, port = own_gateway(self.base_port)
        await self.proxy(f"{host}:{port}")
        group = await serve(self, self.base_port, LIMITS, f'gateways=[{{ address = "{self.place}" }}]')
        log = await self.completed(group, group.primary.sip)
        self.assertGreater(log.count("redirected"), CALLS / 2)
        await gateway.succeeds()

    async def test_a_neighbour_proxy_over_tls(self) -> None:
        """Both look at each other's certificates; the 302 keeps the transport, and so does what follows it."""
        gateway = await self.gateway()
        certificates, settings = self.certificates()
        settings += [*listeners(self.base_port, "tls"), "sip.tls.clients=required"]
        group = await serve(self, self.base_port, LIMITS, through(own_gateway(self.base_port)), *settings)
        await self.proxy(f"{LOOPBACK}:{self.base_port + SECOND_SIP_OFFSET};transport=tls", certificates)
        log = await self.completed(group, self.place)
        self.assertNotIn("redirected", log)
        await gateway.succeeds()

    async def test_a_gateway_behind_it_over_tls(self) -> None:
        """Each node opens a connection to it and looks at its certificate."""
        gateway = await self.gateway()
        host, port = own_gateway(self.base_port)
        certificates, settings = self.certificates()
        await self.proxy(f"{host}:{port}", certificates)
        secure = f"{LOOPBACK}:{self.base_port + TLS_OFFSET}"
        settings += [*listeners(self.base_port, "tls"), f'gateways=[{{ address = "{secure}", transport = "tls" }}]']
        group = await serve(self, self.base_port, LIMITS, *settings)
        log = await self.completed(group, group.primary.sip)
        self.assertGreater(log.count("redirected"), CALLS / 2)
        await gateway.succeeds()
