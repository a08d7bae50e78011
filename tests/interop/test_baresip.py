"""A telephone, baresip, calls through a primary that is full."""

from __future__ import annotations

import re
import wave
from pathlib import Path

from tests.interop.case import InteropTestCase
from tests.interop.group import Group, free_ports, serve
from tests.interop.program import Program

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
#: Where distributions install its modules.
MODULES = ("baresip/modules/menu.so", "*/baresip/modules/menu.so")


class BaresipTests(InteropTestCase):
    """One call from a telephone, answered by the gateway and ended by the telephone."""

    needs = ("baresip",)

    async def setUp(self) -> None:
        super().setUp()
        self.modules = next((found.parent for each in MODULES for found in Path("/usr/lib").glob(each)), None)
        self.assertIsNotNone(self.modules, "baresip is there, but none of its modules")
        self.group = await serve(self, free_ports(), {"primary": 0, "member1": 10, "member2": 10})

    def telephone(self, account: str = "") -> Program:
        """Start a telephone whose server is the primary, and dial.

        :param account: further parameters of its account
        """
        primary, (host, port) = self.group.primary.sip, self.group.client
        config = CONFIG.format(client=f"{host}:{port}", modules=self.modules, folder=self.folder)
        (self.folder / "config").write_text(config)
        (self.folder / "accounts").write_text(f"<sip:alice@{primary}>;regint=0;auth_pass=none{account}\n")
        with wave.open(str(self.folder / "silence.wav"), "wb") as silence:
            silence.setparams((1, 2, SAMPLES_PER_S, 0, "NONE", ""))
            silence.writeframes(bytes(2 * SAMPLES_PER_S))
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
        telephone = self.telephone()
        statuses = await self.call(telephone)
        self.assertEqual(statuses, ["302 Moved Temporarily", "180 Ringing", "200 OK", "200 OK"])
        first, second = invited(telephone.output)
        self.assertEqual(first, self.group.primary.sip)
        self.assertIn(second, [member.sip for member in self.group.members])

    async def test_an_outbound_proxy_is_not_left(self) -> None:
        """With the primary as outbound proxy the redirected INVITE comes back to it, and is passed on, not redirected."""
        primary = self.group.primary.sip
        telephone = self.telephone(f';outbound="sip:{primary}"')
        statuses = await self.call(telephone)
        self.assertEqual(statuses, ["302 Moved Temporarily", "180 Ringing", "200 OK", "200 OK"])
        self.assertEqual(invited(telephone.output), [primary, primary])


def invited(trace: str) -> list[str]:
    """Where the telephone sent its INVITEs."""
    return re.findall(r"-> (\S+)\r?\nINVITE ", trace)
