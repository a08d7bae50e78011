"""SIP over TCP and TLS with real clients, sipp and baresip; every call shifted by a primary that is full.

Debian's sipp has no TLS; the telephone has.
"""

from __future__ import annotations

import re
from pathlib import Path

from tests.certificates import Authority
from tests.interop.case import InteropTestCase
from tests.interop.group import Group, free_ports, own_gateway, serve
from tests.interop.program import Program
from tests.interop.test_baresip import CONFIG, MODULES, REDIRECTED_ONCE, write_silence
from tests.interop.test_sipp import Fates
from voipshift.demo.plan import LOOPBACK, PORTS_PER_NODE, SECOND_SIP_OFFSET

SCENARIOS = Path(__file__).resolve().parent / "scenarios"
NAMES = ("primary", "member1", "member2")
CALLS = 200
RATE = 50


def listeners(base_port: int, transport: str) -> list[str]:
    """The settings that let each node listen to a transport beside UDP: TCP at its own port, TLS at its second."""
    settings = []
    for number, name in enumerate(NAMES):
        port = base_port + PORTS_PER_NODE * number
        other = port + SECOND_SIP_OFFSET if transport == "tls" else port
        listen = f'{{ transport = "udp", address = "{LOOPBACK}:{port}" }}'
        listen += f', {{ transport = "{transport}", address = "{LOOPBACK}:{other}" }}'
        settings.append(f"{name}.sip.listen=[{listen}]")
    return settings


class SippTcpTests(InteropTestCase):
    """200 calls, each by a TCP connection of its own."""

    needs = ("sipp",)

    def caller(self, group: Group) -> Program:
        """Start the calls."""
        scenario = (SCENARIOS / "caller.xml").read_text().replace('protocol="udp"', 'protocol="tcp"')
        (self.folder / "caller.xml").write_text(scenario)
        host, port = group.client
        words = ["-sf", "caller.xml", "-t", "tn", "-s", "1234", "-m", str(CALLS), "-r", str(RATE), "-max_socket", "500"]
        words += ["-i", host, "-p", str(port), "-nostdin", "-trace_logs", "-log_file", "caller.log"]
        words += ["-trace_err", "-error_file", "errors.log"]
        return self.run_program("sipp", *words, group.primary.sip)

    async def completed(self, *settings: str, base_port: int) -> Fates:
        """Let all calls be made, and say what became of them."""
        limits = {"primary": 5, "member1": 150, "member2": 150}
        group = await serve(self, base_port, limits, *listeners(base_port, "tcp"), *settings)
        caller = self.caller(group)
        await caller.succeeds(patience_s=40.0)
        fates = Fates((self.folder / "caller.log").read_text())
        self.assertEqual(fates.completed, set(range(1, CALLS + 1)))
        self.assertGreater(len(fates.redirected), CALLS / 2)
        self.assertEqual(set(fates.redirected.values()), {member.sip for member in group.members})
        return fates

    async def test_to_a_gateway_over_udp(self) -> None:
        """TCP on one side, UDP on the other: each end comes back by its own Record-Route, and no call is lost."""
        await self.completed(base_port=free_ports())

    async def test_to_a_gateway_over_tcp(self) -> None:
        """The gateway's calls share one connection of each node."""
        base_port = free_ports()
        host, port = own_gateway(base_port)
        words = ["-sf", str(SCENARIOS / "gateway.xml"), "-t", "t1", "-m", str(CALLS), "-i", host, "-p", str(port)]
        gateway = self.run_program("sipp", *words, "-nostdin", "-trace_err", "-error_file", "gateway-errors.log")
        through = f'gateways=[{{ address = "{host}:{port}", transport = "tcp" }}]'
        await self.completed(through, base_port=base_port)
        await gateway.succeeds()


class SippIpv6Tests(InteropTestCase):
    """200 calls by IPv6, to a gateway that has IPv4 alone."""

    needs = ("sipp",)

    async def completed_over_ipv6(self, transport: str) -> None:
        """Let all calls be made; each is sent to the IPv6 address of the member that takes it."""
        base_port = free_ports()
        settings = []
        for number, name in enumerate(NAMES):
            port = base_port + PORTS_PER_NODE * number
            places = [("udp", f"[::1]:{port}"), ("tcp", f"[::1]:{port}"), ("udp", f"{LOOPBACK}:{port}")]
            listen = ", ".join(f'{{ transport = "{each}", address = "{place}" }}' for each, place in places)
            settings.append(f"{name}.sip.listen=[{listen}]")
        limits = {"primary": 5, "member1": 150, "member2": 150}
        group = await serve(self, base_port, limits, *settings)
        scenario = (SCENARIOS / "caller.xml").read_text().replace("@([^:;]+):", r"@(\[[^]]+\]):")
        scenario = scenario.replace('host="[$host]"', 'host="::1"')
        scenario = scenario.replace("IN IP4 [local_ip]", "IN IP6 ::1")  # elsewhere it has brackets
        if transport == "tn":
            scenario = scenario.replace('protocol="udp"', 'protocol="tcp"')
        (self.folder / "caller.xml").write_text(scenario)
        words = ["-sf", "caller.xml", "-t", transport, "-s", "1234", "-m", str(CALLS), "-r", str(RATE), "-i", "[::1]"]
        words += ["-p", str(group.client[1]), "-max_socket", "500", "-nostdin", "-trace_logs"]
        words += ["-log_file", "caller.log", "-trace_err", "-error_file", "errors.log"]
        await self.run_program("sipp", *words, f"[::1]:{base_port}").succeeds(patience_s=40.0)
        fates = Fates((self.folder / "caller.log").read_text())
        self.assertEqual(fates.completed, set(range(1, CALLS + 1)))
        self.assertGreater(len(fates.redirected), CALLS / 2)

    async def test_over_udp(self) -> None:
        """Each end comes back by a Record-Route of its own kind."""
        await self.completed_over_ipv6("u1")

    async def test_over_tcp(self) -> None:
        """By a connection each."""
        await self.completed_over_ipv6("tn")


class BaresipTransportTests(InteropTestCase):
    """One call of a telephone, redirected once, answered by the gateway over UDP and ended by the telephone."""

    needs = ("baresip",)

    async def call(self, transport: str, *settings: str, outbound: bool = False) -> str:
        """Make it, and return what the telephone printed.

        :param outbound: the primary is the telephone's outbound proxy, too
        """
        base_port = free_ports()
        limits = {"primary": 0, "member1": 10, "member2": 10}
        group = await serve(self, base_port, limits, *listeners(base_port, transport), *settings)
        modules = next((found.parent for each in MODULES for found in Path("/usr/lib").glob(each)), None)
        self.assertIsNotNone(modules, "baresip is there, but none of its modules")
        host, port = group.client
        config = CONFIG.format(client=f"{host}:{port}", modules=modules, folder=self.folder)
        if transport == "tls":
            config += f"sip_certificate {self.folder}/node.pem\nsip_cafile {self.folder}/node.ca\n"
            config += "sip_verify_server yes\n"
        (self.folder / "config").write_text(config)
        primary = base_port + (SECOND_SIP_OFFSET if transport == "tls" else 0)
        account = f"<sip:alice@{LOOPBACK}:{primary};transport={transport}>;regint=0;auth_pass=none"
        if outbound:
            account += f';outbound="sip:{LOOPBACK}:{primary};transport={transport}"'
        (self.folder / "accounts").write_text(account + "\n")
        write_silence(self.folder / "silence.wav")
        uri = f"sip:1234@{LOOPBACK}:{primary}"  # the telephone adds the transport of its account
        telephone = self.run_program("baresip", "-f", str(self.folder), "-s", "-e", f"/dial {uri}")
        await telephone.says("Call established")
        telephone.kill("TERM")
        printed = await telephone.succeeds()
        self.assertRegex(printed, r"(?m)^CSeq: \d+ BYE")
        self.assertNotIn("closed: ", printed)
        self.assertEqual(re.findall(r"(?m)^SIP/2\.0 (\d+ [^\r\n]+)", printed), REDIRECTED_ONCE)
        members = "|".join(
            str(base_port + PORTS_PER_NODE * number + (SECOND_SIP_OFFSET if transport == "tls" else 0))
            for number in (1, 2)
        )
        self.assertRegex(
            printed, rf"(?m)^Contact: <sip:1234@127\.0\.0\.1:({members});transport={transport};lease=[0-9a-f]{{32}}>"
        )
        return printed

    async def test_over_tcp(self) -> None:
        """The 302 names the member's TCP port, and the telephone calls there over TCP."""
        printed = await self.call("tcp")
        self.assertRegex(printed, r"(?m)^Record-Route: <sip:127\.0\.0\.1:\d+;transport=tcp;lr>")

    def certificates(self) -> list[str]:
        """Make a certificate for the telephone and the nodes, and the settings that name it."""
        certificate, key, authorities = Authority().write(self.folder, "node", LOOPBACK)
        pem = Path(certificate).read_text() + Path(key).read_text()
        (self.folder / "node.pem").write_text(pem)
        files = {"certificate": certificate, "private_key": key, "authorities": authorities}
        return [f"sip.tls.{name}={file}" for name, file in files.items()]

    async def test_over_tls(self) -> None:
        """Likewise over TLS; the telephone looks at the certificates."""
        printed = await self.call("tls", *self.certificates())
        self.assertRegex(printed, r"(?m)^Record-Route: <sip:127\.0\.0\.1:\d+;transport=tls;lr>")

    async def test_outbound_proxy_over_tcp(self) -> None:
        """The INVITE that names the member comes back to the primary, which connects to the member."""
        await self.call("tcp", outbound=True)

    async def test_outbound_proxy_over_tls(self) -> None:
        """Likewise over TLS: the nodes look at each other's certificates."""
        await self.call("tls", *self.certificates(), "sip.tls.clients=required", outbound=True)
