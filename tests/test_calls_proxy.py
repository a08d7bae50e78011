"""An INVITE on its way through a node, and what comes back (RFC 3261 section 16)."""

from __future__ import annotations

import gc

from tests.sipnet import GATEWAY, HERE, HERE_TOO, PHONE, STRANGER, Peer, SipNetTestCase, word
from voipshift.calls.context import Branch, ResponseContext
from voipshift.calls.table import Call
from voipshift.sip.message import Request, parse
from voipshift.sip.transaction import ClientTransaction, ServerTransaction


class ForwardTest(SipNetTestCase):
    """Section 16.6."""

    def test_the_request_goes_on_as_it_came_but_for_what_a_proxy_changes(self) -> None:
        """Via, Record-Route, Max-Forwards, Max-Breadth and Session-Expires are the node's; everything else stays, byte
        for byte, body included.
        """
        self.node()
        fields = [("Contact", "<sip:alice@198.51.100.7>"), ("X-Odd", 'a  "b" ,c'), ("Content-Type", "x/y")]
        invite = self.phone.request("INVITE", "sip:100@192.0.2.1", contact="", fields=fields, body=b"\0octets")
        self.phone.say(invite, HERE)
        octets = next(octets for _, to, octets in self.network.sent if to == GATEWAY)
        lines = octets.split(b"\r\n")
        self.assertEqual(lines[0], b"INVITE sip:100@192.0.2.20:5060 SIP/2.0")
        self.assertRegex(
            lines[1],
            rb"^Via: SIP/2\.0/UDP 192\.0\.2\.1:5060;branch=z9hG4bK[0-9a-f]{16}(\.[0-9a-f]{8}){2};oc;oc-algo=.loss.$",
        )
        self.assertIn(b"Record-Route: <sip:192.0.2.1:5060;lr>", lines)
        self.assertIn(b"Max-Forwards: 69", lines)
        came = invite.octets().split(b"\r\n")
        changed = (b"INVITE", b"Via", b"Max-Forwards", b"Record-Route", b"Max-Breadth", b"Session-Expires")
        kept = [line for line in came if not line.startswith(changed)]
        self.assertEqual([line for line in lines if not line.startswith(changed)], kept)

    def test_a_request_without_max_forwards_gets_70(self) -> None:
        """Section 16.6 item 3."""
        self.node()
        invite = self.phone.request("INVITE", "sip:100@192.0.2.1")
        invite.remove("Max-Forwards")
        self.phone.say(invite, HERE)
        self.assertEqual(self.gateway.asked("INVITE").max_forwards, 70)

    def test_it_leaves_by_the_port_that_it_came_in_by(self) -> None:
        """Each port of a node is a node of its own to those who use it."""
        self.node(HERE, HERE_TOO)
        self.phone.say(self.phone.request("INVITE", "sip:100@192.0.2.1"), HERE_TOO)
        invite = self.gateway.asked("INVITE")
        self.assertEqual(invite.via.address, HERE_TOO)
        self.assertEqual(invite.values("Record-Route"), ["<sip:192.0.2.1:5067;lr>"])
        self.gateway.answer(invite, 200)
        self.assertEqual({source for source, to, _ in self.network.sent if to == PHONE}, {HERE_TOO})

    def test_responses_come_back_without_our_via(self) -> None:
        """Section 16.7 item 3; 100 is the node's own business (item 5)."""
        self.node()
        self.phone.say(self.phone.request("INVITE", "sip:100@192.0.2.1"), HERE)
        invite = self.gateway.asked("INVITE")
        for status in (100, 180, 183, 200):
            self.gateway.answer(invite, status)
        for status in (180, 183, 200):
            answer = self.phone.told(status)
            self.assertEqual([via.address for via in answer.vias], [PHONE])
            self.assertEqual(answer.to_tag, "there")
        self.assertEqual(self.phone.words(), [])

    def test_a_retransmission_is_absorbed(self) -> None:
        """The same INVITE again is answered with what was answered last, and goes no further."""
        node = self.node()
        invite = self.phone.request("INVITE", "sip:100@192.0.2.1")
        self.phone.say(invite, HERE)
        self.gateway.answer(self.gateway.asked("INVITE"), 180)
        self.phone.say(invite, HERE)
        self.assertEqual(self.phone.words(), ["180 INVITE", "180 INVITE"])
        self.assertEqual((self.gateway.words(), len(node.table)), ([], 1))

    def test_what_is_lost_is_sent_again(self) -> None:
        """Timer A: an INVITE that the gateway did not get."""
        self.node()
        self.network.cut.add(GATEWAY)
        self.phone.say(self.phone.request("INVITE", "sip:100@192.0.2.1"), HERE)
        self.network.cut.clear()
        self.network.advance(0.6)
        self.gateway.asked("INVITE")

    def test_the_same_call_by_another_way_is_482(self) -> None:
        """A second INVITE of the same Call-ID and caller would be counted as a call of its own."""
        node = self.node()
        self.phone.say(self.phone.request("INVITE", "sip:100@192.0.2.1"), HERE)
        self.phone.say(self.phone.request("INVITE", "sip:100@192.0.2.1"), HERE)
        self.phone.told(482)
        self.assertEqual((len(node.table), self.gateway.words()), (1, ["INVITE"]))

    def test_a_call_can_be_tried_again_after_it_failed(self) -> None:
        """The same Call-ID and tag with the next CSeq: what a phone does after 407."""
        node = self.node()
        invite = self.phone.request("INVITE", "sip:100@192.0.2.1")
        self.phone.say(invite, HERE)
        self.gateway.answer(self.gateway.asked("INVITE"), 407)
        self.phone.acknowledge(invite, self.phone.told(407), HERE)
        self.assertEqual((self.gateway.words(), len(node.table)), (["ACK"], 0))
        self.phone.say(self.phone.request("INVITE", "sip:100@192.0.2.1", number=2), HERE)
        self.gateway.asked("INVITE")
        self.assertEqual(len(node.table), 1)

    def test_a_call_over_ipv6(self) -> None:
        """The same with addresses in brackets: Via, Record-Route, Request-URI, Contact, and the way back."""
        here, far = ("2001:db8::1", 5060), ("2001:db8::20", 5060)
        node = self.node(here, gateways=((far, ("",)),))
        phone = Peer(self.network, ("2001:db8::7", 5070), "six")
        gateway = Peer(self.network, far, "100")
        phone.say(phone.request("INVITE", "sip:100@[2001:db8::1]"), here)
        invite = gateway.asked("INVITE")
        self.assertEqual(invite.uri, "sip:100@[2001:db8::20]:5060")
        self.assertEqual(invite.values("Record-Route"), ["<sip:[2001:db8::1]:5060;lr>"])
        gateway.answer(invite, 200)
        answer = phone.told(200)
        phone.say(phone.within("ACK", answer, 1), here)
        gateway.asked("ACK")
        gateway.say(gateway.back("BYE", invite), here)
        phone.answer(phone.asked("BYE"), 200)
        gateway.told(200, "BYE")
        self.assertEqual(len(node.table), 0)


class LoopTest(SipNetTestCase):
    """Requests that come back."""

    def setUp(self) -> None:
        """A call that has reached the gateway."""
        super().setUp()
        self.here = self.node()
        self.phone.say(self.phone.request("INVITE", "sip:100@192.0.2.1"), HERE)
        self.forwarded = self.gateway.asked("INVITE")

    def again(self, uri: str) -> Request:
        """The gateway sends the request back as a proxy does, with that Request-URI."""
        back = self.forwarded.copy()
        back.uri = uri
        back.prepend("Via", "SIP/2.0/UDP 192.0.2.20:5060;branch=z9hG4bKback")
        back.set("Max-Forwards", "60")
        self.gateway.say(back, HERE)
        return back

    def test_a_loop_is_482(self) -> None:
        """Section 16.3 item 4: one that comes back unchanged."""
        self.again(self.forwarded.uri)
        self.gateway.told(482)
        self.assertEqual(len(self.here.table), 1)

    def test_a_spiral_is_none(self) -> None:
        """One that comes back with another Request-URI goes on (section 16.3 item 4), and is the same call."""
        self.again("sip:200@192.0.2.1")
        second = self.gateway.asked("INVITE")
        self.assertEqual(second.uri, "sip:200@192.0.2.20:5060")
        self.assertEqual(len(second.values("Record-Route")), 2)
        self.assertEqual((len(self.here.table), len(self.here.leases)), (1, 0))
        self.gateway.answer(second, 200)
        inner = self.gateway.told(200)
        inner.remove_first_value("Via")
        self.gateway.say(inner, HERE)
        answer = self.phone.told(200)
        self.phone.say(self.phone.within("ACK", answer, 1), HERE)
        self.assertEqual(self.gateway.words(), ["ACK"])
        self.phone.say(self.phone.within("BYE", answer), HERE)
        self.gateway.answer(self.gateway.asked("BYE"), 200)
        self.phone.told(200, "BYE")
        self.assertEqual(len(self.here.table), 0)

    def test_a_spiral_that_fails_leaves_the_call_to_whoever_sent_it_round(self) -> None:
        """The failure goes back to the proxy that spiralled; the call ends when that gives up."""
        self.again("sip:200@192.0.2.1")
        second = self.gateway.asked("INVITE")
        self.gateway.answer(second, 486)
        self.assertEqual(self.gateway.words(), ["ACK", "486 INVITE"])
        self.assertEqual(len(self.here.table), 1)
        self.gateway.answer(self.forwarded, 486)
        self.phone.told(486)
        self.assertEqual(len(self.here.table), 0)


class CancelTest(SipNetTestCase):
    """CANCEL of a call that is under way."""

    def setUp(self) -> None:
        """An INVITE that has reached the gateway."""
        super().setUp()
        self.here = self.node()
        self.invite = self.phone.request("INVITE", "sip:100@192.0.2.1")
        self.phone.say(self.invite, HERE)
        self.forwarded = self.gateway.asked("INVITE")

    def cancel(self) -> None:
        """Send CANCEL, which is answered 200 at once."""
        cancel = self.phone.request("CANCEL", self.invite.uri)
        cancel.set("Via", str(self.invite.via))
        self.phone.say(cancel, HERE)
        self.phone.told(200, "CANCEL")

    def test_cancel_while_ringing_is_passed_on(self) -> None:
        """200 to the CANCEL, CANCEL to the gateway, and its 487 comes back; the call leaves the table."""
        self.gateway.answer(self.forwarded, 180)
        self.phone.told(180)
        self.cancel()
        cancel = self.gateway.asked("CANCEL")
        self.assertEqual(str(cancel.via), str(self.forwarded.via))
        self.assertEqual(cancel.uri, self.forwarded.uri)
        self.gateway.answer(cancel, 200)
        self.gateway.answer(self.forwarded, 487)
        self.assertEqual(self.gateway.words(), ["ACK"])
        self.phone.told(487)
        self.assertEqual(len(self.here.table), 0)

    def test_cancel_waits_for_the_first_provisional_response(self) -> None:
        """Section 9.1: no CANCEL before a provisional response."""
        self.cancel()
        self.assertEqual(self.gateway.words(), [])
        self.gateway.answer(self.forwarded, 100)
        self.gateway.asked("CANCEL")

    def test_a_gateway_that_says_nothing_does_not_keep_a_cancelled_call(self) -> None:
        """Two seconds after the CANCEL the caller gets his 487, and the slot is free."""
        self.cancel()
        self.network.advance(2.1)
        self.assertEqual(self.phone.words(), ["100 INVITE", "487 INVITE"])
        self.assertEqual(len(self.here.table), 0)

    def test_an_answer_that_crosses_the_cancel_wins(self) -> None:
        """A 2xx goes to the caller, who hangs up then."""
        self.gateway.answer(self.forwarded, 180)
        self.phone.told(180)
        self.cancel()
        self.gateway.answer(self.forwarded, 200)
        self.phone.told(200)
        self.assertEqual(len(self.here.table), 1)

    def test_a_gateway_that_ignores_the_cancel(self) -> None:
        """64 T1 after the CANCEL the call is given up, and the caller gets its 487."""
        self.gateway.answer(self.forwarded, 180)
        self.phone.told(180)
        self.cancel()
        self.network.advance(31)
        self.assertEqual(self.phone.words(), [])
        self.network.advance(2)
        self.phone.told(487)
        self.assertEqual(len(self.here.table), 0)


class AnswerTest(SipNetTestCase):
    """2xx, its ACK, and forks."""

    def setUp(self) -> None:
        """An INVITE that has reached the gateway."""
        super().setUp()
        self.here = self.node()
        self.phone.say(self.phone.request("INVITE", "sip:100@192.0.2.1"), HERE)
        self.forwarded = self.gateway.asked("INVITE")

    def test_the_ack_of_a_2xx_is_forwarded(self) -> None:
        """It has no transaction (section 16.11): each one goes along the route, with a Via of its own."""
        self.gateway.answer(self.forwarded, 200)
        answer = self.phone.told(200)
        for _ in range(2):
            self.phone.say(self.phone.within("ACK", answer, 1), HERE)
        first, second = self.gateway.asked("ACK"), self.gateway.asked("ACK")
        self.assertEqual(first.uri, "sip:100@192.0.2.20:5060")
        self.assertFalse(first.has("Route"))
        self.assertEqual([via.address for via in first.vias], [HERE, PHONE])
        self.assertNotEqual(first.via.branch, second.via.branch)

    def test_a_2xx_is_forwarded_each_time(self) -> None:
        """Section 16.7 item 5: retransmissions of a 2xx are end to end."""
        for _ in range(3):
            self.gateway.answer(self.forwarded, 200)
        self.assertEqual(self.phone.words(), ["200 INVITE"] * 3)
        self.assertEqual(self.here.table.carried, 1)

    def test_two_2xx_of_a_fork(self) -> None:
        """Both reach the caller, with one count; ACK and BYE reach either callee (section 13.2.2.4)."""
        other = Peer(self.network, STRANGER, "other")
        self.gateway.answer(self.forwarded, 200, tag="one")
        first = self.phone.told(200)
        self.gateway.answer(self.forwarded, 200, tag="two", fields=[("Contact", other.contact)])
        second = self.phone.told(200)
        self.assertEqual((first.to_tag, second.to_tag), ("one", "two"))
        self.phone.say(self.phone.within("ACK", first, 1), HERE)
        self.gateway.asked("ACK")
        self.phone.say(self.phone.within("ACK", second, 1), HERE)
        other.asked("ACK")
        self.assertEqual((len(self.here.table), self.here.table.carried), (1, 1))
        self.phone.say(self.phone.within("BYE", second), HERE)
        other.answer(other.asked("BYE"), 200)
        self.phone.told(200, "BYE")

    def test_the_ack_of_a_failure_stays_here(self) -> None:
        """The ACK of a final response that is no 2xx is hop by hop."""
        self.gateway.answer(self.forwarded, 486)
        self.assertEqual(self.gateway.words(), ["ACK"])
        invite = parse(next(octets for source, _, octets in self.network.sent if source == PHONE))
        assert isinstance(invite, Request)
        self.phone.acknowledge(invite, self.phone.told(486), HERE)
        self.assertEqual(self.gateway.words(), [])
        self.network.advance(33)
        self.assertEqual((len(self.here.table), len(self.here.sip.layer)), (0, 0))

    def test_an_ack_of_nothing_is_dropped(self) -> None:
        """An ACK has no answer, whatever is wrong with it."""
        self.gateway.answer(self.forwarded, 200)
        answer = self.phone.told(200)
        before = len(self.network.sent)
        for fields in ([("Route", "<sip:203.0.113.9;lr>")], [("Route", "<mailto:x>")]):
            self.phone.say(self.phone.within("ACK", answer, 1, fields=fields), HERE)
        ack = self.phone.within("ACK", answer, 1)
        ack.set("Call-ID", "another")
        self.phone.say(ack, HERE)
        ack = self.phone.within("ACK", answer, 1)
        ack.set("Max-Forwards", "0")
        self.phone.say(ack, HERE)
        self.assertEqual([word(parse(octets)) for _, _, octets in self.network.sent[before:]], ["ACK"] * 4)
        self.assertEqual(self.gateway.words(), [])


class TimerCTest(SipNetTestCase):
    """Section 16.8: a call that rings for ever."""

    def test_timer_c_cancels(self) -> None:
        """More than three minutes after the last provisional response the INVITE is cancelled."""
        node = self.node()
        self.phone.say(self.phone.request("INVITE", "sip:100@192.0.2.1"), HERE)
        invite = self.gateway.asked("INVITE")
        self.gateway.answer(invite, 180)
        self.network.advance(180)
        self.assertEqual(self.gateway.words(), [])
        self.network.advance(2)
        self.gateway.answer(self.gateway.asked("CANCEL"), 200)
        self.gateway.answer(invite, 487)
        self.assertEqual(self.phone.words(), ["180 INVITE", "487 INVITE"])
        self.assertEqual(len(node.table), 0)

    def test_a_provisional_response_starts_it_anew(self) -> None:
        """Section 16.7 item 2: so does each of them."""
        self.node()
        self.phone.say(self.phone.request("INVITE", "sip:100@192.0.2.1"), HERE)
        invite = self.gateway.asked("INVITE")
        for _ in range(3):
            self.gateway.answer(invite, 180)
            self.network.advance(150)
        self.assertEqual(self.gateway.words(), [])
        self.gateway.answer(invite, 200)
        self.network.advance(200)
        self.assertNotIn("CANCEL", self.gateway.words())


class NothingLeftTest(SipNetTestCase):
    """What held each other lets go when it is over, so that nobody need look for it."""

    def setUp(self) -> None:
        """The collector does not help."""
        super().setUp()
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        self.node()

    def assert_nothing_left(self) -> None:
        self.network.advance(200.0)
        self.phone.heard.clear()
        self.gateway.heard.clear()
        kinds = (ServerTransaction, ClientTransaction, ResponseContext, Branch, Call)
        self.assertEqual([each for each in gc.get_objects() if isinstance(each, kinds)], [])

    def test_of_a_call_that_was_ended(self) -> None:
        """INVITE and BYE."""
        _, answer = self.call()
        self.phone.say(self.phone.within("BYE", answer), HERE)
        self.gateway.answer(self.gateway.asked("BYE"), 200)
        self.assert_nothing_left()

    def test_of_a_call_that_was_refused(self) -> None:
        """The gateway answers 486."""
        self.phone.say(self.phone.request("INVITE", "sip:100@192.0.2.1"), HERE)
        self.gateway.answer(self.gateway.asked("INVITE"), 486)
        self.assert_nothing_left()

    def test_of_a_call_that_nobody_answered(self) -> None:
        """The gateway is silent, until timer B."""
        self.phone.say(self.phone.request("INVITE", "sip:100@192.0.2.1"), HERE)
        self.assert_nothing_left()

    def test_of_a_call_that_was_given_up(self) -> None:
        """It rings, and is cancelled."""
        invite = self.phone.request("INVITE", "sip:100@192.0.2.1")
        self.phone.say(invite, HERE)
        asked = self.gateway.asked("INVITE")
        self.gateway.answer(asked, 180)
        cancel = self.phone.request("CANCEL", "sip:100@192.0.2.1")
        cancel.set("Via", invite.get("Via") or "")
        self.phone.say(cancel, HERE)
        self.gateway.answer(self.gateway.asked("CANCEL"), 200)
        self.gateway.answer(asked, 487)
        self.assert_nothing_left()
