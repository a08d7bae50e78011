"""Two telephones with a password talk to each other through a shifted call: over UDP, TCP and TLS, sound both ways."""

from __future__ import annotations

import re
from pathlib import Path

from tests.certificates import Authority
from tests.interop.case import InteropTestCase
from tests.interop.group import CLIENT_OFFSET, OWN_GATEWAY_OFFSET, free_ports, serve
from tests.interop.telephone import Telephone
from tests.interop.test_transports import listeners
from voipshift.demo.plan import LOOPBACK, PORTS_PER_NODE, SECOND_SIP_OFFSET
from voipshift.sip.auth import Secrets
from voipshift.store import userfile

PASSWORDS = {"alice": "wonder land", "bob": "builder"}
LIMITS = {"primary": 0, "member1": 10, "member2": 0}


class MediaTests(InteropTestCase):
    """Alice calls bob at the primary, which is full; a member takes the call, and another holds his registration."""

    needs = ("baresip",)

    async def talk(self, transport: str, *settings: str, outbound: bool = False, **files: str) -> str:
        """Let them register and talk until each has heard the other, then let alice hang up.

        :param outbound: the primary is alice's outbound proxy, too
        :returns: what alice's telephone printed
        """
        base_port = free_ports()
        users = {(name, "voipshift"): Secrets.of(name, "voipshift", said) for name, said in PASSWORDS.items()}
        userfile.write(str(self.folder / "users"), users)
        await serve(
            self,
            base_port,
            LIMITS,
            f'registrar.location="{self.folder}/location.sqlite"',
            f'access.users="{self.folder}/users"',
            "access.trusted=[]",
            "access.open=false",
            'access.digest=["MD5"]',  # baresip 1.0 gives up where it is offered anything beside it
            *(listeners(base_port, transport) if transport != "udp" else ()),
            *settings,
        )
        offset = SECOND_SIP_OFFSET if transport == "tls" else 0
        primary, other = (f"{LOOPBACK}:{base_port + PORTS_PER_NODE * number + offset}" for number in (0, 2))
        ports = {"alice": base_port + CLIENT_OFFSET, "bob": base_port + OWN_GATEWAY_OFFSET}
        bob = Telephone(self, "bob", PASSWORDS["bob"], other, ports["bob"], transport=transport, **files)
        await bob.program.says(r"^SIP/2\.0 200 OK")
        dial = ("-e", f"/dial sip:bob@{primary}")
        alice = Telephone(
            self,
            "alice",
            PASSWORDS["alice"],
            primary,
            ports["alice"],
            *dial,
            transport=transport,
            outbound=primary if outbound else "",
            **files,
        )
        await alice.program.says("Call established")
        await bob.program.says("Call established")
        await self.until(lambda: alice.hears_tone() and bob.hears_tone(), "both hear each other")
        alice.program.kill("TERM")
        printed = await alice.program.succeeds()
        await bob.program.says(r"^BYE sip:bob-\w+@")
        answers = re.findall(r"(?m)^SIP/2\.0 (\d+) (?=[^\0]*?^CSeq: \d+ (\w+))", printed)
        of_invites = [status for status, method in answers if method == "INVITE" and status >= "200"]
        self.assertEqual(of_invites, ["407", "302", "200"])
        return printed

    async def test_over_udp(self) -> None:
        """RTP flows both ways, past the nodes."""
        await self.talk("udp")

    async def test_over_tcp(self) -> None:
        """Likewise; bob is reached through the node that holds his connection."""
        printed = await self.talk("tcp")
        self.assertRegex(printed, r"(?m)^Record-Route: <sip:127\.0\.0\.1:\d+;transport=tcp;lr>")

    async def test_with_the_primary_for_an_outbound_proxy(self) -> None:
        """The redirected INVITE comes back to the primary, which asks for no password a second time."""
        await self.talk("udp", outbound=True)

    async def test_over_tls(self) -> None:
        """Likewise; everybody looks at certificates."""
        certificate, key, authorities = Authority().write(self.folder, "node", LOOPBACK)
        pem = self.folder / "telephone.pem"
        pem.write_text(Path(certificate).read_text() + Path(key).read_text())
        names = {"certificate": certificate, "private_key": key, "authorities": authorities}
        settings = [f"sip.tls.{name}={file}" for name, file in names.items()]
        printed = await self.talk("tls", *settings, pem=str(pem), authorities=authorities)
        self.assertRegex(printed, r"(?m)^Record-Route: <sip:127\.0\.0\.1:\d+;transport=tls;lr>")
