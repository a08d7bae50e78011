"""linphone with a password: it registers where the full primary sends it, and calls through a shifted call.

It knows SHA-256.  Its account's server is the primary, so that what it is told by a 302 comes back there first.
"""

from __future__ import annotations

import re
from pathlib import Path

from tests.interop.case import InteropTestCase
from tests.interop.group import OWN_GATEWAY_OFFSET, free_ports, serve
from voipshift.sip.auth import Secrets
from voipshift.store import userfile

PASSWORD = "wonderland"
CONFIG = """\
[sip]
sip_port={port}
sip_tcp_port=-1
sip_tls_port=-1
guess_hostname=0
contact="alice" <sip:alice@127.0.0.1>
use_ipv6=0
store_ha1_passwd=0
[rtp]
audio_rtp_port={rtp}
[proxy_0]
reg_proxy=<sip:{server}>
reg_identity=sip:alice@{server}
reg_expires=120
reg_sendregister=1
publish=0
[auth_info_0]
username=alice
passwd={password}
realm=voipshift
"""
#: What its log has of each message: the first line, and the CSeq.
MESSAGE = re.compile(r"(?m)^((?:[A-Z]+ sip:\S+ )?SIP/2\.0(?: \d+)?)[^\n]*\n(?:[^\n]+\n)*?CSeq: \d+ ([A-Z]+)")


class LinphoneTests(InteropTestCase):
    """A group whose primary is full, and which shifts registrations."""

    needs = ("linphonec",)

    async def test_it_registers_and_calls_where_it_is_sent(self) -> None:
        """A password for each node, none for the lease; when it leaves, the member has it registered no more."""
        base_port = free_ports()
        users = {("alice", "voipshift"): Secrets.of("alice", "voipshift", PASSWORD)}
        userfile.write(str(self.folder / "users"), users)
        settings = [f'registrar.location="{self.folder}/location.sqlite"', "registrar.shift_registrations=true"]
        settings += [f'access.users="{self.folder}/users"', "access.trusted=[]", "access.open=false"]
        settings += ['access.digest=["SHA-256"]']
        group = await serve(self, base_port, {"primary": 0, "member1": 10, "member2": 10}, *settings)
        port = group.client[1]
        config = CONFIG.format(
            port=port, rtp=base_port + OWN_GATEWAY_OFFSET, server=group.primary.sip, password=PASSWORD
        )
        (self.folder / "linphonerc").write_text(config)
        (self.folder / ".local" / "share" / "linphone").mkdir(parents=True)
        log = self.folder / "linphone.log"
        words = ["env", f"HOME={self.folder}", "linphonec", "-c", "linphonerc", "-d", "5", "-l", str(log)]
        telephone = self.run_program(*words)
        await telephone.says("Password for alice on voipshift: ")
        telephone.type(PASSWORD)  # the same one, for the member asks for it, too
        await self.until(lambda: ("SIP/2.0 200", "REGISTER") in messages(log), "it is registered")
        telephone.type(f"call sip:1234@{group.primary.sip}")
        await telephone.says("Call 1 .* connected")
        telephone.type("terminate")
        await self.until(lambda: ("SIP/2.0 200", "BYE") in messages(log), "its call is over")
        telephone.type("quit")
        await telephone.succeeds()
        said = messages(log)
        registered = [first for first, method in said if method == "REGISTER"]
        (member,) = {first.split()[1] for first in registered if first.startswith("REGISTER")} - {
            f"sip:{group.primary.sip}"
        }
        self.assertIn(member, [f"sip:{each.sip}" for each in group.members])
        there, here = f"REGISTER {member} SIP/2.0", f"REGISTER sip:{group.primary.sip} SIP/2.0"
        first = [here, "SIP/2.0 401", here, "SIP/2.0 302", there, "SIP/2.0 401", there, "SIP/2.0 200"]
        self.assertEqual(registered[:8], first)
        self.assertEqual((registered[-2], registered[-1]), (there, "SIP/2.0 200"), "it left where it was registered")
        answers = [first for first, method in said if method == "INVITE" and first.startswith("SIP/2.0 ")]
        final = [answer for answer in answers if answer >= "SIP/2.0 200"]
        self.assertEqual(final, ["SIP/2.0 407", "SIP/2.0 302", "SIP/2.0 200"])


def messages(log: Path) -> list[tuple[str, str]]:
    """The first line and the method of each message of SIP that a log has."""
    return MESSAGE.findall(log.read_text(errors="replace")) if log.exists() else []
