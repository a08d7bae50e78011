"""Clients of all kinds at a full primary: those that do not follow a redirect, those that send everything to it, and
those that are told by another node than they called.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from tests.interop.case import InteropTestCase
from tests.interop.group import CLIENT_OFFSET, Group, free_ports, serve
from tests.interop.program import Program
from tests.interop.test_baresip import CONFIG, MODULES, write_silence
from tests.interop.test_sipp import Fates
from tests.interop.test_transports import listeners
from voipshift.demo.plan import LOOPBACK

SCENARIO = Path(__file__).resolve().parent / "scenarios" / "caller.xml"
CALLS = 100
RATE = 50
#: About fifty calls stand at once.
LIMITS = {"primary": 5, "member1": 100, "member2": 100}
ALL = set(range(1, CALLS + 1))


class CallersCase(InteropTestCase):
    """sipp calls a group of three."""

    needs: Sequence[str] = ("sipp",)

    def caller(self, group: Group, scenario: str, *words: str, calls: int = CALLS, transport: str = "u1") -> Program:
        """Start the calls."""
        (self.folder / "caller.xml").write_text(scenario)
        host, port = group.client
        words = ("-sf", "caller.xml", "-t", transport, "-s", "1234", "-m", str(calls), "-r", str(RATE), *words)
        words += ("-i", host, "-p", str(port), "-nostdin", "-trace_logs", "-log_file", "caller.log")
        return self.run_program("sipp", *words, "-trace_err", "-error_file", "errors.log", group.primary.sip)

    def fates(self) -> Fates:
        """Of a caller that ended."""
        return Fates((self.folder / "caller.log").read_text())

    async def completed(self, group: Group, scenario: str, *words: str, transport: str = "u1") -> Fates:
        """Let all calls be made: each must be answered and ended."""
        await self.caller(group, scenario, *words, transport=transport).succeeds(patience_s=40.0)
        fates = self.fates()
        self.assertEqual(fates.completed, ALL)
        return fates


class PassedOnTests(CallersCase):
    """Who does not follow."""

    async def test_never_over_udp(self) -> None:
        """100 of 100, and none of them was ever redirected."""
        group = await serve(self, free_ports(), LIMITS, 'primary.sip.redirect="never"')
        fates = await self.completed(group, SCENARIO.read_text())
        self.assertEqual(fates.redirected, {})

    async def test_never_over_tcp(self) -> None:
        """100 of 100 by a connection each, by which the primary stays in the way of their dialogs."""
        base_port = free_ports()
        settings = [*listeners(base_port, "tcp"), 'primary.sip.redirect="never"']
        group = await serve(self, base_port, LIMITS, *settings)
        fates = await self.completed(group, SCENARIO.read_text(), "-max_socket", "500", transport="tn")
        self.assertEqual(fates.redirected, {})

    async def test_auto_learns_who_does_not_follow(self) -> None:
        """A caller that ends its first call at the 302 gets all others through, once the lease of that has lapsed."""
        group = await serve(self, free_ports(), LIMITS | {"primary": 0}, "sip.lease_s=2")
        whole = SCENARIO.read_text()
        acknowledged = whole.index("</send>", whole.index("ACK sip:")) + len("</send>")
        ending = re.sub(r'(?s)<recv response="200".*?</recv>', "", whole[:acknowledged])
        ending = ending.replace("[branch-5]", "[branch-4]") + '<Reference variables="uri"/></scenario>'
        await self.caller(group, ending, calls=1).succeeds()
        self.assertEqual(len(self.fates().redirected), 1)
        (self.folder / "caller.log").unlink()

        async def is_learnt() -> bool:
            """Try with one call, which follows if it must."""
            caller = self.caller(group, whole, calls=1)
            await caller.succeeds()
            redirected = bool(self.fates().redirected)
            (self.folder / "caller.log").unlink()
            return not redirected

        await self.until(is_learnt, "the primary has learnt it")
        fates = await self.completed(group, whole)
        self.assertEqual(fates.redirected, {})


class OutboundTests(CallersCase):
    """The primary is the outbound proxy."""

    async def test_100_of_100_with_at_most_one_redirect_each(self) -> None:
        """The caller follows by the Request-URI alone, and goes on sending everything to the primary."""
        group = await serve(self, free_ports(), LIMITS)
        scenario = re.sub(r"<setdest [^>]*/>", '<log message="stays"/>', SCENARIO.read_text())
        fates = await self.completed(group, scenario)
        self.assertGreater(len(fates.redirected), CALLS / 2)
        log = (self.folder / "caller.log").read_text()
        redirects = re.findall(r"redirected (\d+)", log)
        self.assertEqual(len(redirects), len(set(redirects)), "a call was redirected twice")


class DirectTests(CallersCase):
    """``answer = "direct"``."""

    needs = ("sipp", "baresip", "tshark")

    async def test_sipp_is_told_by_the_members(self) -> None:
        """100 of 100, and every 302 came from the member that it names."""
        group = await serve(self, free_ports(), LIMITS | {"primary": 0}, 'primary.sip.answer="direct"')
        port = group.client[1]
        decode = [word for place in (*(node.sip for node in group.nodes), f"x:{port}") for word in (
            "-d", f"udp.port=={place.rpartition(':')[2]},sip"
        )]  # fmt: skip
        shown = ["-Y", "sip.Status-Code == 302", "-T", "fields", "-e", "udp.srcport", "-e", "sip.contact.uri"]
        capture = self.run_program("tshark", "-l", "-i", "lo", "-f", f"udp dst port {port}", *decode, *shown)
        await capture.says("Capture started")
        fates = await self.completed(group, SCENARIO.read_text())
        self.assertEqual(len(fates.redirected), CALLS)
        told = r"(?m)^(\d+)\tsip:1234@127\.0\.0\.1:(\d+);lease="
        await self.until(lambda: len(re.findall(told, capture.output)) >= CALLS, "tshark has seen all of them")
        sources = re.findall(told, capture.output)
        # The primary repeats one whose ACK took longer than half a second.
        from_members = [source for source, named in sources if source == named]
        self.assertGreaterEqual(len(from_members), CALLS)
        capture.kill("TERM")

    async def test_a_telephone_of_the_operators_choice(self) -> None:
        """Baresip asks for rport, and takes a 302 from another address than it called all the same."""
        settings = ['primary.sip.answer="direct"', 'primary.sip.direct_to=["127.0.0.0/8"]']
        group = await serve(self, free_ports(), {"primary": 0, "member1": 10, "member2": 10}, *settings)
        modules = next((found.parent for each in MODULES for found in Path("/usr/lib").glob(each)), None)
        self.assertIsNotNone(modules, "baresip is there, but none of its modules")
        primary, (host, port) = group.primary.sip, group.client
        (self.folder / "config").write_text(CONFIG.format(client=f"{host}:{port}", modules=modules, folder=self.folder))
        (self.folder / "accounts").write_text(f"<sip:alice@{primary}>;regint=0;auth_pass=none\n")
        write_silence(self.folder / "silence.wav")
        telephone = self.run_program("baresip", "-f", str(self.folder), "-s", "-e", f"/dial sip:1234@{primary}")
        await telephone.says("Call established")
        telephone.kill("TERM")
        printed = await telephone.succeeds()
        source = re.search(r"(\S+) -> \S+\r?\nSIP/2\.0 302 ", printed)
        assert source is not None
        self.assertIn(source[1], [member.sip for member in group.members])


class RegistrationsTests(InteropTestCase):
    """``shift_registrations``."""

    needs = ("sipsak",)

    async def test_sipsak_registers_where_it_is_sent(self) -> None:
        """It follows the 302 to a member, which registers it; sipsak follows once, and needs no password here."""
        base_port = free_ports()
        settings = [f'registrar.location="{self.folder}/location.sqlite"', "registrar.shift_registrations=true"]
        group = await serve(self, base_port, {"primary": 0, "member1": 10, "member2": 10}, *settings)
        contact = f"sip:alice@{LOOPBACK}:{base_port + CLIENT_OFFSET}"
        words = ["-U", "-C", contact, "-x", "120", "-s", f"sip:alice@{group.primary.sip}", "-vvv"]
        printed = await self.run_program("sipsak", *words).succeeds()
        self.assertIn("received redirect", printed)
        named = re.findall(r"(?m)^REGISTER sip:(127\.0\.0\.1:\d+) SIP/2\.0", printed)
        self.assertIn(named[-1], [member.sip for member in group.members])
        self.assertRegex(printed, rf"(?m)^Contact: <{contact}>;expires=\d+")
