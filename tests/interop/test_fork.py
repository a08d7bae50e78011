"""One user with two telephones: sipp calls, both ring in parallel, one answers, and the other one is cancelled."""

from __future__ import annotations

import re

from tests.interop.case import InteropTestCase
from tests.interop.group import CLIENT_OFFSET, OWN_GATEWAY_OFFSET, Group, free_ports, is_free, serve
from tests.interop.program import Program
from tests.interop.telephone import Telephone
from tests.interop.test_sipp import SCENARIOS
from voipshift.demo.plan import LOOPBACK

CALLS = 30
RATE = 15


class ForkTests(InteropTestCase):
    """A node with a registrar, that trusts loopback."""

    needs = ("sipp", "sipsak", "baresip")

    async def group(self) -> Group:
        """Bring it up."""
        self.base_port = free_ports()
        return await serve(
            self, self.base_port, {"primary": 100}, f'registrar.location="{self.folder}/location.sqlite"'
        )

    async def register(self, user: str, port: int, group: Group) -> None:
        """Register a user at a port of loopback, from that port, so that it is believed to be there."""
        words = ["-U", "-l", str(port), "-C", f"sip:{user}@{LOOPBACK}:{port}", "-x", "120"]
        printed = await self.run_program("sipsak", *words, "-s", f"sip:{user}@{group.primary.sip}", "-vvv").succeeds()
        self.assertRegex(printed, rf"(?m)^Contact: .*<sip:{user}@{LOOPBACK}:{port}>")

    def sipp(self, scenario: str, port: int, *words: str, calls: int = CALLS) -> Program:
        """Start one side of all calls."""
        told = ["-sf", str(SCENARIOS / scenario), "-m", str(calls), "-i", LOOPBACK, "-p", str(port), "-nostdin"]
        return self.run_program(
            "sipp", *told, "-trace_err", "-error_file", f"{scenario}-errors.log", "-trace_logs", "-log_file",
            f"{scenario}.log", *words,
        )  # fmt: skip

    async def test_two_telephones_ring_and_one_answers(self) -> None:
        """Every call is answered and ended by the one, and cancelled at the other, which would not end else."""
        group = await self.group()
        ports = [self.base_port + OWN_GATEWAY_OFFSET, self.base_port + OWN_GATEWAY_OFFSET + 2]
        for port in ports:
            await self.register("bob", port, group)
        answering = self.sipp("gateway.xml", ports[0])
        ringing = self.sipp("loser.xml", ports[1])
        await self.until(lambda: not any(map(is_free, ports)), "both telephones listen")
        words = ["-t", "u1", "-s", "bob", "-r", str(RATE), group.primary.sip]
        caller = self.sipp("caller.xml", self.base_port + CLIENT_OFFSET, *words)
        for program in (caller, answering, ringing):
            await program.succeeds(patience_s=40.0)
        completed = re.findall(r"completed (\d+)", (self.folder / "caller.xml.log").read_text())
        self.assertEqual(len(set(completed)), CALLS)

    async def test_a_message_reaches_a_telephone(self) -> None:
        """From one registered user to another one, whose baresip takes it."""
        group = await self.group()
        await self.register("alice", self.base_port + CLIENT_OFFSET, group)
        bob = Telephone(self, "bob", "any", group.primary.sip, self.base_port + OWN_GATEWAY_OFFSET)
        await bob.program.says(r"^SIP/2\.0 200 OK")
        words = ["-s", "bob", group.primary.sip]
        message = self.sipp("message.xml", self.base_port + CLIENT_OFFSET, *words, calls=1)
        await message.succeeds()
        await bob.program.says(r"^MESSAGE sip:bob-(?s:.*)the door is open")
