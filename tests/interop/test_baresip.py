"""A telephone, baresip, calls through a primary that is full."""

from __future__ import annotations

import re
import wave
from pathlib import Path

from tests.interop.case import InteropTestCase
from tests.interop.group import Group, free_ports, serve
from tests.interop.program import Program
from voipshift.demo.plan import LOOPBACK, SECOND_SIP_OFFSET, text_of

CONFIG = """\
sip_listen {client}
net_interface 127.0.0.1
module_path {modules}
module g711.so
module aufile.so
module_app account.so
module_app menu.so
audio_source aufile,{folder}/silence.wav
audio_player aufile,{folder}/heard.wav
"""
SAMPLES_PER_S = 8000
#: What the telephone hears of a call from its INVITE to its BYE.
REDIRECTED_ONCE = ["302 Moved Temporarily", "180 Ringing", "200 OK", "200 OK"]
#: Where distributions install its modules.
MODULES = ("baresip/modules/menu.so", "*/baresip/modules/menu.so")


class BaresipTests(InteropTestCase):
    """One call from a telephone, answered by the gateway and ended by the telephone."""

    needs = ("baresip",)

    async def full_primary(self) -> Group:
        """Bring up a group whose primary accepts nothing itself."""
        return await serve(self, free_ports(), {"primary": 0, "member1": 10, "member2": 10})

    def telephone(self, group: Group, account: str = "") -> Program:
        """Start a telephone whose server is the primary, and dial.

        :param account: further parameters of its account
        """
        modules = next((found.parent for each in MODULES for found in Path("/usr/lib").glob(each)), None)
        self.assertIsNotNone(modules, "baresip is there, but none of its modules")
        primary, (host, port) = group.primary.sip, group.client
        config = CONFIG.format(client=f"{host}:{port}", modules=modules, folder=self.folder)
        (self.folder / "config").write_text(config)
        (self.folder / "accounts").write_text(f"<sip:alice@{primary}>;regint=0;auth_pass=none{account}\n")
        write_silence(self.folder / "silence.wav")
        return self.run_program("baresip", "-f", str(self.folder), "-s", "-e", f"/dial sip:1234@{primary}")

    async def call(self, telephone: Program) -> list[str]:
        """Let it be answered, hang up as a user who leaves, and wait until that is confirmed.

        :returns: the status lines that the telephone received
        """
        await telephone.says("Call established")
        telephone.kill("TERM")
        printed = await telephone.succeeds()
        self.assertRegex(printed, r"(?m)^CSeq: \d+ BYE")
        self.assertNotIn("closed: ", printed)
        return re.findall(r"(?m)^SIP/2\.0 (\d+ [^\r\n]+)", printed)

    async def test_a_call_is_shifted(self) -> None:
        """It is redirected once, goes to the member that accepted, is answered, and its BYE is confirmed."""
        group = await self.full_primary()
        telephone = self.telephone(group)
        self.assertEqual(await self.call(telephone), REDIRECTED_ONCE)
        first, second = invited(telephone.output)
        self.assertEqual(first, group.primary.sip)
        self.assertIn(second, [member.sip for member in group.members])

    async def test_an_outbound_proxy_is_not_left(self) -> None:
        """With the primary as outbound proxy the redirected INVITE comes back to it; it is passed on."""
        group = await self.full_primary()
        primary = group.primary.sip
        telephone = self.telephone(group, f';outbound="sip:{primary}"')
        self.assertEqual(await self.call(telephone), REDIRECTED_ONCE)
        self.assertEqual(invited(telephone.output), [primary, primary])

    async def test_a_node_identifies_itself(self) -> None:
        """With identify_self a node that accepts sends the client to its own second port."""
        base_port = free_ports(1)
        group = await serve(self, base_port, {"primary": 10}, "sip.identify_self=true")
        telephone = self.telephone(group)
        self.assertEqual(await self.call(telephone), REDIRECTED_ONCE)
        second = text_of((LOOPBACK, base_port + SECOND_SIP_OFFSET))
        self.assertEqual(invited(telephone.output), [group.primary.sip, second])


def invited(trace: str) -> list[str]:
    """Where the telephone sent its INVITEs."""
    return re.findall(r"-> (\S+)\r?\nINVITE ", trace)


def write_silence(file: Path) -> None:
    """Write what the telephone says."""
    with wave.open(str(file), "wb") as silence:
        silence.setparams((1, 2, SAMPLES_PER_S, 0, "NONE", ""))
        silence.writeframes(bytes(2 * SAMPLES_PER_S))
