"""An ACK that acknowledges a refusal or a redirect is taken in by its branch and sent-by, and not read."""

from __future__ import annotations

from tests.sip_wire import LayerTestCase, made
from voipshift.sip.effects import Effect, Ended
from voipshift.sip.message import Request, parse
from voipshift.sip.plain import MAX_TOP
from voipshift.sip.transaction import InviteServer


class AbsorbTests(LayerTestCase):
    """A redirected INVITE, and its ACK in many spellings."""

    def absorb(self, octets: bytes) -> list[Effect] | None:
        return self.layer.absorb(octets, self.now)

    def test_plain(self) -> None:
        """17.2.1: the ACK ends the retransmissions, however often it comes; timer I ends the transaction after T4."""
        invite = self.invited()
        self.respond(invite, 302)
        self.assertEqual(self.absorb(made("ACK", to_tag="t1").octets()), [Ended(invite)])
        self.assertIs(invite.state, InviteServer.CONFIRMED)
        for _ in range(3):
            self.assertEqual(self.absorb(made("ACK", to_tag="t1").octets()), [])
        self.assert_spent(made("INVITE"))

    def test_what_follows_the_via_is_not_looked_at(self) -> None:
        """17.2.3 matches by branch, sent-by and method; what else is wrong with it, or missing, harms nobody."""
        invite = self.invited()
        self.respond(invite, 302)
        start, via = made("ACK").octets().split(b"\r\n")[:2]
        self.assertEqual(self.absorb(b"\r\n".join((start, via, b"\0 CSeq: 77 INVITE\xff"))), [Ended(invite)])

    def test_same_as_when_it_is_read(self) -> None:
        """Whatever Via is plain finds the transaction that it finds when the ACK is read as a whole."""
        for via in (
            "SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bKa",
            "SIP/2.0/UDP pc33.example.com;rport;branch=z9hG4bKb;x=y",
            "SIP/2.0/TCP 192.0.2.7:1;maddr=10.0.0.1;branch=z9hG4bKc:=/@d",
        ):
            invite = self.invited(via=via)
            self.respond(invite, 302)
            self.assertEqual(self.absorb(made("ACK", via=via).octets()), [Ended(invite)], via)
            self.assertIs(invite.state, InviteServer.CONFIRMED)

    def test_not_plain(self) -> None:
        """Any other spelling is left to who reads it as a whole, and nothing has happened."""
        invite = self.invited()
        self.respond(invite, 302)
        plain = made("ACK", to_tag="t1").octets()
        via = b"Via: SIP/2.0/UDP 192.0.2.7:5060"
        self.assertIn(via, plain)
        for spelling in (
            b"via : SIP/2.0/UDP 192.0.2.7:5060",
            b"Via: SIP / 2.0 / UDP 192.0.2.7:5060",
            b"Via: SIP/2.0/UDP 192.0.2.7:05060",
            b"Via: SIP/2.0/UDP [2001:db8::1]:5060",
            b'Via: SIP/2.0/UDP 192.0.2.7:5060;x=";branch=z9hG4bK1"',
            b"Via: SIP/2.0/UDP 192.0.2.9, SIP/2.0/UDP 192.0.2.7:5060",
            b"Via: SIP/2.0/UDP\r\n 192.0.2.7:5060",
            b"Subject: no\r\nVia: SIP/2.0/UDP 192.0.2.7:5060",
            b"X" * 600 + b": no\r\nVia: SIP/2.0/UDP 192.0.2.7:5060",
        ):
            self.assertIsNone(self.absorb(plain.replace(via, spelling)), spelling)
        self.assertIs(invite.state, InviteServer.COMPLETED)

    def test_a_via_that_is_cut_off(self) -> None:
        """A branch whose end is not seen may be another's beginning; without any line end there is no Via."""
        short, long = self.invited(branch="z9hG4bK1"), self.invited(branch="z9hG4bK12")
        for invite in (short, long):
            self.respond(invite, 302)
        plain = made("ACK", branch="z9hG4bK12").octets()
        for more in range(MAX_TOP):
            effects = self.absorb(plain.replace(b" sip:", b" sip:" + b"a" * more, 1))
            self.assertNotIn(Ended(short), effects or [])
        self.assertIsNone(self.absorb(b"ACK aaaaaaaaaaaaa 192.0.2.7:5060;branch=z9hG4bK1;x"))
        self.assertIs(short.state, InviteServer.COMPLETED)

    def test_of_another_transaction(self) -> None:
        """Another branch, host or port is another transaction; one that was accepted, or is undecided, is not over."""
        self.respond(self.invited(), 200)
        undecided = self.invited(branch="z9hG4bK2")
        for ack in (made("ACK"), made("ACK", branch="z9hG4bK2"), made("ACK", branch="z9hG4bK3")):
            self.assertIsNone(self.absorb(ack.octets()))
        self.assertIs(undecided.state, InviteServer.PROCEEDING)

    def test_an_old_branch(self) -> None:
        """RFC 2543 knew no branch that is unique: such an ACK is matched by more than that."""
        invite = self.invited(branch="1")
        self.respond(invite, 302)
        ack = made("ACK", branch="1", to_tag="t1").octets()
        self.assertIsNone(self.absorb(ack))
        read = parse(ack)
        assert isinstance(read, Request)
        self.assertEqual(self.receive(read), [Ended(invite)])
