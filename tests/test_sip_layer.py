"""Requests find their transaction, are told of once and answered, and too many do no harm."""

from __future__ import annotations

from tests.sip_wire import CLIENT, LayerTestCase, made, only, sent, statuses, tokens
from voipshift.sip.effects import Acknowledged, Cancelled, Ended, Requested, Send
from voipshift.sip.grammar import Via
from voipshift.sip.layer import TransactionLayer
from voipshift.sip.listeners import response_hop
from voipshift.sip.message import MalformedRequest, parse
from voipshift.sip.transaction import Hop


class InviteServerTests(LayerTestCase):
    """Figure 7."""

    def test_trying_after_200_ms(self) -> None:
        """17.2.1: 100 MUST be sent when the transaction user has not responded within 200 ms, and only then."""
        self.invited()
        sends, _ = self.times(0.199)
        self.assertEqual(sends, [])
        done = self.step(10)
        self.assertEqual([(when, statuses([effect])) for when, effect in done], [(0.2, [100])])
        self.assertEqual(done[0][1].address, CLIENT)  # type: ignore[union-attr]

    def test_no_trying_after_a_response(self) -> None:
        """A user that has said something has said enough."""
        for status in (180, 200, 302):
            invite = self.invited(branch=f"z9hG4bK{status}")
            self.respond(invite, status)
            self.assertEqual([effect for _, effect in self.step(self.now + 0.4) if isinstance(effect, Send)], [])

    def test_retransmissions_are_one_request(self) -> None:
        """17.2.1: a retransmitted INVITE gets the last response, and MUST NOT be told of again."""
        invite = self.invited()
        self.assertEqual(self.receive(made("INVITE")), [])
        self.step(0.2)
        self.assertEqual(statuses(self.receive(made("INVITE"))), [100])
        self.respond(invite, 180)
        self.assertEqual(statuses(self.receive(made("INVITE"))), [180])
        request = invite.request
        self.respond(invite, 486)
        self.assertEqual(statuses(self.receive(made("INVITE"))), [486])
        self.receive(made("ACK", to_tag="t1"))
        self.assertEqual(self.receive(made("INVITE")), [])
        self.assertEqual(self.respond(invite, 200, request), [])

    def test_g_and_h(self) -> None:
        """Timer G repeats a final response at T1, doubling up to T2; timer H ends it after 64 T1 without an ACK."""
        self.respond(self.invited(), 302)
        sends, others = self.times()
        self.assertEqual(sends, [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5])
        self.assertEqual(others, [(32.0, "Ended")])
        self.assert_over()

    def test_no_g_for_a_refusal(self) -> None:
        """8.2.7: a refusal may be left to the client's retransmissions, unless a provisional response ended them."""
        invite, ringing = self.invited(), self.invited(branch="z9hG4bK2")
        self.layer.respond(invite, invite.request.response(404, to_tag="t1"), self.now, repeat=False)
        self.assertEqual(statuses(self.receive(made("INVITE"))), [404])
        self.respond(ringing, 180)
        self.assertEqual(self.times(10.0), ([], []))
        self.layer.respond(ringing, ringing.request.response(404, to_tag="t1"), self.now, repeat=False)
        self.assertEqual(self.times(12.0)[0], [10.5, 11.5])
        self.receive(made("ACK", to_tag="t1"))
        self.assert_over()

    def test_i(self) -> None:
        """The ACK stops it all, is absorbed however often, and timer I ends the transaction after T4."""
        invite = self.invited()
        self.respond(invite, 302)
        self.step(1.0)
        self.assertEqual(self.receive(made("ACK", to_tag="t1")), [Ended(invite)])
        for _ in range(3):
            self.assertEqual(self.receive(made("ACK", to_tag="t1")), [])
        self.assert_spent(made("INVITE"))

    def test_l(self) -> None:
        """RFC 6026: after a 2xx the INVITE is absorbed, more 2xx are sent, ACKs are passed on, for 64 T1."""
        invite = self.invited()
        self.assertEqual(statuses(self.respond(invite, 200)), [200])
        self.assertEqual(self.receive(made("INVITE")), [])
        self.assertEqual(statuses(self.respond(invite, 200)), [200])
        self.assertEqual(self.respond(invite, 486), [])
        only(self.receive(made("ACK", to_tag="t1")), Acknowledged)
        only(self.receive(made("ACK", branch="z9hG4bKother", to_tag="t1")), Acknowledged)
        self.assertEqual(self.times(), ([], [(32.0, "Ended")]))
        only(self.receive(made("ACK", branch="z9hG4bKother", to_tag="t1")), Acknowledged)
        self.assert_over()

    def test_reliable(self) -> None:
        """Over TCP there is no timer G, and Confirmed and Completed end at once, but H waits."""
        invite = only(self.layer.receive_request(made("INVITE"), CLIENT, 0.0, reliable=True), Requested).transaction
        self.respond(invite, 486)
        self.assertEqual(self.times(31.9), ([], []))
        self.assertEqual(self.receive(made("ACK", to_tag="t1")), [Ended(invite)])
        self.assertFalse(self.layer.is_known(made("INVITE").transaction_key))
        self.assert_over()

    def test_request_is_kept_while_it_is_needed(self) -> None:
        """A transaction that only absorbs keeps no request; one whose INVITE was accepted does, for more 2xx."""
        accepted, refused = self.invited(), self.invited(branch="z9hG4bK2")
        self.respond(accepted, 200)
        self.respond(refused, 486)
        self.assertEqual(accepted.request.method, "INVITE")
        self.assertFalse(hasattr(refused, "request"))
        self.assertIsNone(accepted.sent)


class OtherServerTests(LayerTestCase):
    """Figure 8, ACK and CANCEL."""

    def test_j(self) -> None:
        """A request other than INVITE gets its final response again, for 64 T1, and is told of once."""
        bye = only(self.receive(made("BYE")), Requested).transaction
        self.assertEqual(self.receive(made("BYE")), [])
        self.assertEqual(statuses(self.respond(bye, 100)), [100])
        self.assertEqual(statuses(self.receive(made("BYE"))), [100])
        bye_request = bye.request
        self.assertEqual(statuses(self.respond(bye, 200)), [200])
        self.assertEqual(statuses(self.receive(made("BYE"))), [200])
        self.assertEqual(self.respond(bye, 200, bye_request), [])
        self.assertEqual(self.times(), ([], [(32.0, "Ended")]))
        only(self.receive(made("BYE")), Requested)

    def test_reliable(self) -> None:
        """Over TCP timer J is zero."""
        bye = only(self.layer.receive_request(made("BYE"), CLIENT, 3.0, reliable=True), Requested).transaction
        self.layer.respond(bye, bye.request.response(200), 3.0)
        self.now = 3.0
        self.assertEqual(self.times(), ([], [(3.0, "Ended")]))

    def test_cancel(self) -> None:
        """9.2: a CANCEL is answered 200, again when it is repeated, and its INVITE's user is told once."""
        invite = self.invited()
        effects = self.receive(made("CANCEL"))
        self.assertEqual(statuses(effects), [200])
        self.assertIs(only(effects, Cancelled).transaction, invite)
        self.assertEqual(sent(effects)[0].to_tag, self.layer.tag_for(invite.request))
        again = self.receive(made("CANCEL"))
        self.assertEqual(statuses(again), [200])
        self.assertEqual(len(again), 1)
        self.assertEqual(statuses(self.respond(invite, 487)), [487])
        self.receive(made("ACK", to_tag="t1"))
        self.assert_over()

    def test_cancel_too_late(self) -> None:
        """9.2: a CANCEL after the final response is answered 200 and changes nothing."""
        self.respond(self.invited(), 200)
        effects = self.receive(made("CANCEL"))
        self.assertEqual((statuses(effects), len(effects)), ([200], 1))

    def test_cancel_of_what_is_spent(self) -> None:
        """9.2: nor does one after the ACK."""
        self.respond(self.invited(), 486)
        self.receive(made("ACK", to_tag="t1"))
        effects = self.receive(made("CANCEL"))
        self.assertEqual((statuses(effects), len(effects)), ([200], 1))

    def test_cancel_of_nothing(self) -> None:
        """9.2: a CANCEL without its INVITE gets 481; so does one that differs in branch or sent-by."""
        self.invited()
        for cancel in (
            made("CANCEL", branch="z9hG4bK9"),
            made("CANCEL", via="SIP/2.0/UDP 192.0.2.8:5060;branch=z9hG4bK1"),
        ):
            effects = self.receive(cancel)
            self.assertEqual((statuses(effects), len(effects)), ([481], 1))

    def test_matching(self) -> None:
        """17.2.3: branch, sent-by and method make a transaction; the source address does not."""
        self.invited()
        self.assertEqual(self.receive(made("INVITE"), Hop("192.0.2.99", 9)), [])
        for other in (
            made("INVITE", branch="z9hG4bK2"),
            made("INVITE", via="SIP/2.0/UDP 192.0.2.7:5062;branch=z9hG4bK1"),
            made("INVITE", via="SIP/2.0/UDP 192.0.2.8:5060;branch=z9hG4bK1"),
            made("OPTIONS"),
            made("BYE"),
        ):
            only(self.receive(other), Requested)

    def test_rfc_2543(self) -> None:
        """17.2.3: without the magic cookie, URI, From tag, Call-ID, CSeq and Via make a transaction."""
        for via in (
            "SIP/2.0/UDP 192.0.2.7",
            "SIP/2.0/UDP 192.0.2.7;branch=390skdjuw",
            "SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK",
        ):
            invite = self.invited(via=via)
            self.assertEqual(self.receive(made("INVITE", via=via)), [])
            only(self.receive(made("INVITE", via=via, call="c2")), Requested)
            only(self.receive(made("INVITE", via=via, cseq=2)), Requested)
            self.assertIs(only(self.receive(made("CANCEL", via=via)), Cancelled).transaction, invite)
            self.respond(invite, 487)
            self.assertEqual(self.receive(made("ACK", via=via, to_tag="t1")), [Ended(invite)])
            self.assertEqual(invite.state.value, "Confirmed")

    def test_stamped(self) -> None:
        """18.2.1, RFC 3581: what is told of and answered says where it came from."""
        options = only(self.receive(made("OPTIONS"), Hop("192.0.2.99", 7777)), Requested).transaction
        self.assertEqual(
            (options.request.via.received, options.request.via.parameters["rport"]), ("192.0.2.99", "7777")
        )
        self.assertIn(b"rport=7777;received=192.0.2.99", self.respond(options, 200)[0].octets)  # type: ignore[union-attr]

    def test_where_responses_go(self) -> None:
        """18.2.2, RFC 3581 section 4, and force_rport; nothing is sent to everybody."""
        source = Hop("192.0.2.99", 7777, 3)
        for via, hop in (
            ("a:5080;branch=z9hG4bK1;rport", source),
            ("a:5080;branch=z9hG4bK1", Hop("192.0.2.99", 5080, 3)),
            ("a;branch=z9hG4bK1", Hop("192.0.2.99", 5060, 3)),
            ("a:5080;maddr=192.0.2.98;branch=z9hG4bK1", Hop("192.0.2.98", 5080, 3)),
            ("a;maddr=224.0.1.75", source),
            ("a;maddr=255.255.255.255", source),
            ("a;maddr=ff02::1", source),
            ("a;maddr=example.com", source),
        ):
            read = Via.parse("SIP/2.0/UDP " + via)
            self.assertEqual(response_hop(read, source, force_rport=False), hop, via)
            self.assertEqual(response_hop(read, source, force_rport=True), source)
        layer = TransactionLayer(random=tokens(), force_rport=False)
        options = made("OPTIONS", via="SIP/2.0/UDP 192.0.2.7:5080;branch=z9hG4bK1")
        transaction = only(layer.receive_request(options, source, 0.0), Requested).transaction
        self.assertEqual(transaction.destination, Hop("192.0.2.99", 5080, 3))
        self.assertEqual(transaction.source, source)


class LimitTests(LayerTestCase):
    """What is too much."""

    def test_too_many_undecided(self) -> None:
        """Beyond the limit a new request gets 503 at once and leaves nothing behind; its ACK is absorbed."""
        self.layer = TransactionLayer(random=tokens(), max_undecided=2)
        first = self.invited()
        self.invited(branch="z9hG4bK2")
        effects = self.receive(made("INVITE", branch="z9hG4bK3"))
        self.assertEqual((statuses(effects), len(effects)), ([503], 1))
        self.assertEqual((len(self.layer), self.layer.counts["refused"]), (2, 1))
        tag = sent(effects)[0].to_tag or ""
        self.assertEqual(self.receive(made("ACK", branch="z9hG4bK3", to_tag=tag)), [])
        self.assertEqual(self.layer.counts["absorbed"], 1)
        self.assertEqual(statuses(self.receive(made("CANCEL"))), [200])
        self.respond(first, 486)
        self.invited(branch="z9hG4bK3")

    def test_too_many_absorbing(self) -> None:
        """Beyond the limit the oldest of those that only absorb is forgotten, and no timer of it is left."""
        self.layer = TransactionLayer(random=tokens(), max_absorbing=3)
        for number in range(5):
            effects = self.respond(self.invited(branch=f"z9hG4bK{number}"), 486)
            self.assertEqual([type(effect) for effect in effects], [Send] if number < 3 else [Send, Ended])
        self.assertEqual((len(self.layer), self.layer.counts["dropped"], len(self.layer.timers)), (3, 2, 3))
        only(self.receive(made("INVITE", branch="z9hG4bK0")), Requested)
        self.assertEqual(statuses(self.receive(made("INVITE", branch="z9hG4bK4"))), [486])
        self.assert_over_but_one()

    def assert_over_but_one(self) -> None:
        """Only the transaction that nobody answered is left, undecided."""
        self.step(1000.0)
        self.assertEqual((len(self.layer), self.layer.undecided), (1, 1))

    def test_malformed(self) -> None:
        """A malformed request is answered without a transaction, to where it came from whatever its Via says."""
        octets = made("INVITE").octets()
        for old, new in ((b"Call-ID: c1\r\n", b""), (b"192.0.2.7:5060;branch=z9hG4bK1;rport", b"192.0.2.15;;,;,,")):
            refusal = self.assertRaises(MalformedRequest, parse, octets.replace(old, new))
            effects = self.layer.answer_statelessly(refusal.request, CLIENT, refusal.status, refusal.reason)
            (send,) = effects
            assert isinstance(send, Send)
            self.assertEqual(send.address, CLIENT)
            self.assertTrue(send.octets.startswith(b"SIP/2.0 400 "))
        self.assertEqual(len(self.layer), 0)
