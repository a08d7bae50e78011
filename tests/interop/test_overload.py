"""Overload control of RFC 7339 on the wire: sipp offers it and asks for it, tshark reads what passes."""

from __future__ import annotations

import re
from typing import NamedTuple

from tests.interop.case import InteropTestCase
from tests.interop.group import Group, free_ports, is_free, own_gateway, serve, through
from tests.interop.program import Program
from tests.interop.test_sipp import SCENARIOS, address_of
from voipshift.demo.plan import LOOPBACK

FIELDS = ("sip.Method", "sip.Status-Code", "udp.dstport", *(f"sip.Via.oc{each}" for each in ("", "_val", "_algo")))
MORE_FIELDS = ("sip.Via.oc_validity", "sip.Via.oc_seq")


class Seen(NamedTuple):
    """A message, as tshark reads it; of what is not there, or there more than once, the words are its own."""

    method: str
    status: str
    to_port: str
    oc: str
    value: str
    algorithm: str
    validity: str
    sequence: str


class OverloadTests(InteropTestCase):
    """One node between a proxy and a gateway."""

    needs = ("sipp", "tshark")

    async def capture(self, base_port: int) -> Program:
        """Have all datagrams of the test written down."""
        ports = f"udp portrange {base_port}-{base_port + 999}"
        file = self.folder / "wire.pcapng"
        program = self.run_program("tshark", "-i", "lo", "-n", "-f", ports, "-w", str(file))
        await program.says("Capturing on")
        await self.until(lambda: file.exists() and file.stat().st_size > 0, "the capture begins")
        return program

    async def read(self, capture: Program, *ports: int) -> list[Seen]:
        """What passed, once the capture is over."""
        capture.kill("INT")
        await capture.ends()
        words = [word for port in ports for word in ("-d", f"udp.port=={port},sip")]
        words += [word for field in (*FIELDS, *MORE_FIELDS) for word in ("-e", field)]
        read = ("tshark", "-n", "-r", "wire.pcapng", "-Y", "sip", "-T", "fields", "-E", "occurrence=f")
        printed = await self.run_program(*read, *words).succeeds()
        return [Seen(*line.split("\t")) for line in printed.splitlines() if line.count("\t") == 7]

    async def place(self, group: Group, calls: int, rate: int) -> list[str]:
        """Place so many calls, and say what became of each."""
        host, port = group.client
        words = ["-sf", str(SCENARIOS / "overload.xml"), "-s", "1234", "-m", str(calls), "-r", str(rate)]
        words += ["-i", host, "-p", str(port), "-nostdin", "-trace_logs", "-log_file", "proxy.log"]
        await self.run_program("sipp", *words, group.primary.sip).succeeds(patience_s=40.0)
        return re.findall(r"(answered|refused) \d+", (self.folder / "proxy.log").read_text())

    async def test_a_proxy_is_told_how_much_is_too_much(self) -> None:
        """Each response fills its offer in; where all calls are refused it is asked to send less and less."""
        base_port = free_ports(1)
        group = await serve(self, base_port, {"primary": 0})
        capture = await self.capture(base_port)
        self.assertEqual(await self.place(group, calls=60, rate=20), ["refused"] * 60)
        _, port = address_of(group.primary.sip)
        told = [each for each in await self.read(capture, port) if each.status == "503"]
        self.assertGreaterEqual(len(told), 50, "of the last tenth of a second none may be written down")
        percents = [int(each.value) for each in told]
        self.assertEqual(percents, sorted(percents))
        self.assertEqual({each.algorithm for each in told}, {'"loss"'})
        self.assertTrue(50 <= percents[-1] <= 95, percents[-1])
        self.assertEqual({each.validity for each in told if int(each.value)}, {"2000"})
        numbers = [float(each.sequence) for each in told]
        self.assertEqual(numbers, sorted(set(numbers)))

    async def test_a_gateway_is_obeyed(self) -> None:
        """It is offered overload control, asks for no more calls with the answer of the first, and gets none."""
        base_port = free_ports(1)
        host, port = own_gateway(base_port)
        words = ["-sf", str(SCENARIOS / "overloaded.xml"), "-i", host, "-p", str(port), "-nostdin"]
        self.run_program("sipp", *words, "-trace_err", "-error_file", "gateway-errors.log")
        await self.until(lambda: not is_free(port), "the gateway listens")
        group = await serve(self, base_port, {"primary": 50}, through((LOOPBACK, port)))
        capture = await self.capture(base_port)
        fates = await self.place(group, calls=6, rate=2)
        self.assertEqual(sorted(fates), ["answered"] + ["refused"] * 5)
        seen = await self.read(capture, port)
        invites = [each for each in seen if each.method == "INVITE" and each.to_port == str(port)]
        self.assertEqual([(each.value, each.algorithm) for each in invites], [("", '"loss"')])
        answers = [each for each in seen if each.status == "200" and each.value]
        self.assertEqual({(each.value, each.validity) for each in answers}, {("100", "60000")})
