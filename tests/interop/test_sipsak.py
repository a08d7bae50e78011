"""sipsak asks a node what it can do, and follows a 302 while it drops the lease that came with it."""

from __future__ import annotations

from tests.interop.case import InteropTestCase
from tests.interop.group import Group, free_ports, serve

#: sipsak adds the Via.
INVITE = """\
INVITE sip:bob@{primary} SIP/2.0
From: <sip:sipsak@{client}>;tag=1
To: <sip:bob@{primary}>
Call-ID: sipsak@{client}
CSeq: 1 INVITE
Contact: <sip:sipsak@{client}>
Max-Forwards: 70
Content-Length: 0

"""


class SipsakTests(InteropTestCase):
    """A primary that accepts nothing itself, and a member with one slot."""

    needs = ("sipsak",)

    async def group(self) -> Group:
        """Bring them up."""
        return await serve(self, free_ports(2), {"primary": 0, "member1": 1})

    async def test_options_are_answered(self) -> None:
        """200 while anybody in the group has room, with the methods that it takes."""
        group = await self.group()
        uri = f"sip:bob@{group.primary.sip}"
        printed = await self.run_program("sipsak", "-vv", "-s", uri).succeeds()
        self.assertRegex(printed, r"(?m)^SIP/2\.0 200 OK")
        self.assertRegex(printed, r"(?m)^Allow: INVITE, ACK, CANCEL, BYE, OPTIONS\b")

    async def test_a_dropped_lease_is_found(self) -> None:
        """A client that leaves out the Contact's parameters is known by its address and whom it calls.

        Were it not, it would be refused: its own lease takes the only slot.
        """
        group = await self.group()
        host, port = group.client
        message = INVITE.format(primary=group.primary.sip, client=f"{host}:{port}")
        (self.folder / "invite.txt").write_text(message)
        uri = f"sip:bob@{group.primary.sip}"
        printed = await self.run_program("sipsak", "-vvv", "-f", "invite.txt", "-l", str(port), "-s", uri).succeeds()
        member = group.node("member1").sip
        self.assertIn("received redirect", printed)
        self.assertRegex(
            printed, rf"(?m)^INVITE sip:bob@{member} SIP/2\.0", "sipsak keeps the lease: use another client"
        )
        self.assertRegex(printed, rf"(?m)^Record-Route: <sip:{member};lr>")
        self.assertRegex(printed, r"(?m)^CSeq: 2 INVITE")
        self.assertRegex(printed, r"SIP/2\.0 200 OK\s+final received")
