"""Telephones with a password: baresip and sipsak register, and call each other through a shifted call."""

from __future__ import annotations

import re
import wave
from pathlib import Path

from tests.interop.case import InteropTestCase
from tests.interop.group import CLIENT_OFFSET, OWN_GATEWAY_OFFSET, VOIPSHIFT, Group, free_ports, serve
from tests.interop.program import Program
from tests.interop.test_baresip import CONFIG, MODULES, SAMPLES_PER_S
from voipshift.demo.plan import LOOPBACK, PORTS_PER_NODE
from voipshift.sip.auth import Secrets
from voipshift.store import userfile

PASSWORDS = {"alice": "wonder land", "bob": "builder"}
LIMITS = {"primary": 0, "member1": 10, "member2": 10}


class RegistrarTests(InteropTestCase):
    """A group that is not open, whose users are in a file and whose bindings are in another."""

    needs = ("baresip", "sipsak")

    async def closed_group(self, *settings: str, limits: dict[str, int] = LIMITS) -> Group:
        """Bring it up; loopback is not trusted."""
        if not hasattr(self, "base_port"):
            self.base_port = free_ports()
        users = {(name, "voipshift"): Secrets.of(name, "voipshift", said) for name, said in PASSWORDS.items()}
        userfile.write(str(self.folder / "users"), users)
        return await serve(
            self,
            self.base_port,
            limits,
            f'registrar.location="{self.folder}/location.sqlite"',
            f'access.users="{self.folder}/users"',
            "access.trusted=[]",
            "access.open=false",
            'access.digest=["MD5"]',  # baresip 1.0 gives up where it is offered anything beside it
            *settings,
        )

    def telephone(
        self, user: str, server: str, port: int, *more: str, password: str | None = None, transport: str = "udp"
    ) -> Program:
        """Start a telephone that registers, and answers by itself."""
        modules = next((found.parent for each in MODULES for found in Path("/usr/lib").glob(each)), None)
        self.assertIsNotNone(modules, "baresip is there, but none of its modules")
        folder = self.folder / user
        folder.mkdir()
        config = CONFIG.format(client=f"{LOOPBACK}:{port}", modules=modules, folder=folder)
        (folder / "config").write_text(config)
        said = PASSWORDS[user] if password is None else password
        account = f'<sip:{user}@{server};transport={transport}>;auth_user={user};auth_pass="{said}"'
        (folder / "accounts").write_text(f"{account};regint=120;answermode=auto\n")
        with wave.open(str(folder / "silence.wav"), "wb") as silence:
            silence.setparams((1, 2, SAMPLES_PER_S, 0, "NONE", ""))
            silence.writeframes(bytes(2 * SAMPLES_PER_S))
        return self.run_program("baresip", "-f", str(folder), "-s", *more)

    async def test_a_telephone_registers(self) -> None:
        """401, then 200; when it leaves, it is registered no more."""
        group = await self.closed_group()
        telephone = self.telephone("alice", group.primary.sip, self.base_port + CLIENT_OFFSET)
        await telephone.says(r"^SIP/2\.0 401 Unauthorized")
        await telephone.says(r"^SIP/2\.0 200 OK")
        telephone.kill("TERM")
        printed = await telephone.succeeds()
        self.assertRegex(printed, rf"Contact: <sip:alice-\w+@{LOOPBACK}:\d+[^>]*>;expires=1[12]\d")
        last = printed[printed.rindex("SIP/2.0 200") :]
        self.assertNotIn("Contact", last)

    async def test_a_wrong_password(self) -> None:
        """It is asked again and again, and never in."""
        group = await self.closed_group()
        telephone = self.telephone("alice", group.primary.sip, self.base_port + CLIENT_OFFSET, password="x")
        await telephone.says(r"401 Unauthorized(?s:.*)401 Unauthorized")
        self.assertNotIn("200 OK", telephone.output)

    async def test_sipsak_registers(self) -> None:
        """With the Contact that it is told to register."""
        group = await self.closed_group()
        contact = f"sip:alice@{LOOPBACK}:{self.base_port + CLIENT_OFFSET}"
        who = ["-u", "alice", "-a", PASSWORDS["alice"], "-s", f"sip:alice@{group.primary.sip}"]
        words = ["-U", "-C", contact, "-x", "120", *who, "-vvv"]
        printed = await self.run_program("sipsak", *words).succeeds()
        self.assertRegex(printed, rf"(?m)^Contact: <{contact}>;expires=\d+")

    async def test_telephones_call_each_other(self) -> None:
        """Alice calls bob at the full primary: her password once, a redirect, and bob, registered at another node,
        answers; her lease spares her the second question.
        """
        group = await self.closed_group()
        bob = self.telephone("bob", group.members[1].sip, self.base_port + OWN_GATEWAY_OFFSET)
        await bob.says(r"^SIP/2\.0 200 OK")
        dial = ("-e", f"/dial sip:bob@{group.primary.sip}")
        alice = self.telephone("alice", group.primary.sip, self.base_port + CLIENT_OFFSET, *dial)
        await alice.says("Call established")
        await bob.says("Call established")
        alice.kill("TERM")
        printed = await alice.succeeds()
        answers = re.findall(r"(?m)^SIP/2\.0 (\d+) (?=[^\0]*?^CSeq: \d+ (\w+))", printed)
        of_invites = [status for status, method in answers if method == "INVITE"]
        self.assertEqual([status for status in of_invites if status >= "200"], ["407", "302", "200"])
        await bob.says(r"^BYE sip:bob-\w+@")
        self.assertNotIn("Proxy-Authorization", bob.output)

    async def test_a_telephone_on_tcp_is_called_through_its_node(self) -> None:
        """Bob's connection is the second member's, which carries nothing; the first member carries the call."""
        base_port = self.base_port = free_ports()
        by_tcp = f"{LOOPBACK}:{base_port + 2 * PORTS_PER_NODE + 1}"
        ports = [("udp", f"{LOOPBACK}:{base_port + 2 * PORTS_PER_NODE}"), ("tcp", by_tcp)]
        listens = ", ".join(f'{{ transport = "{transport}", address = "{place}" }}' for transport, place in ports)
        limits = {"primary": 0, "member1": 10, "member2": 0}
        group = await self.closed_group(f"member2.sip.listen=[{listens}]", limits=limits)
        bob = self.telephone("bob", by_tcp, base_port + OWN_GATEWAY_OFFSET, transport="tcp")
        await bob.says(r"^SIP/2\.0 200 OK")
        dial = ("-e", f"/dial sip:bob@{group.primary.sip}")
        alice = self.telephone("alice", group.primary.sip, base_port + CLIENT_OFFSET, *dial)
        await alice.says("Call established")
        await bob.says("Call established")
        alice.kill("TERM")
        await alice.succeeds()
        await bob.says(r"^BYE sip:bob-\w+@")
        self.assertRegex(
            bob.output, rf"(?m)^Via: SIP/2\.0/TCP {by_tcp}[^\n]*\nVia: SIP/2\.0/UDP {group.members[0].sip}"
        )

    async def test_a_stranger_calls_nobody(self) -> None:
        """Without a password there is neither bob nor a gateway."""
        group = await self.closed_group()
        call = self.run_program(*VOIPSHIFT, "call", f"sip:1234@{group.members[0].sip}")
        self.assertEqual(await call.ends(), 1)
        self.assertIn("407", call.output)
