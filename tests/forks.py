"""What tests of forks share: a user with several telephones."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

from tests.registrations import RegistrarTestCase
from tests.sipnet import HERE, Peer
from voipshift.sip.message import Request, Response

ALL = (ip_network("0.0.0.0/0"),)


class ForkTestCase(RegistrarTestCase):
    """bob has two telephones of equal preference, desk and cell, and a third one that he likes less."""

    def setUp(self) -> None:
        """Three registered telephones, and nobody calls yet."""
        super().setUp()
        self.here = self.registrar(trusted=ALL)
        self.desk = Peer(self.network, ("198.51.100.20", 5060), "bob")
        self.cell = Peer(self.network, ("198.51.100.21", 5060), "bob")
        self.hall = Peer(self.network, ("198.51.100.22", 5060), "bob")
        for number, (phone, q) in enumerate(((self.desk, "0.9"), (self.cell, "0.9"), (self.hall, "0.1"))):
            self.register(phone, contact=f"{phone.contact};q={q}", call_id=f"r{number}")
            phone.told(200, "REGISTER")

    def invite(self, **more: Any) -> Request:
        """Alice calls bob."""
        invite = self.phone.request("INVITE", "sip:bob@192.0.2.1", **more)
        self.phone.say(invite, HERE)
        return invite

    def cancel(self, invite: Request) -> None:
        """Alice gives up."""
        cancel = self.phone.request("CANCEL", invite.uri, contact="")
        cancel.set("Via", str(invite.via))
        self.phone.say(cancel, HERE)
        self.phone.told(200, "CANCEL")

    def both(self) -> tuple[Request, Request]:
        """The INVITE as it reached each telephone."""
        return self.desk.asked("INVITE"), self.cell.asked("INVITE")

    def hang_up(self, answer: Response, number: int = 2) -> None:
        """Alice acknowledges and ends the dialog of an answer."""
        self.phone.say(self.phone.within("ACK", answer, 1), HERE)
        self.phone.say(self.phone.within("BYE", answer, number), HERE)

    def sizes(self) -> tuple[int, int]:
        """How many calls there are, and how many were opened."""
        return len(self.here.table), self.here.table.carried
