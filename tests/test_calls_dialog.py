"""Requests inside a dialog: where they go, whom they may reach, and how a call ends."""

from __future__ import annotations

from tests.sipnet import GATEWAY, HERE, MEMBER, NO_CONTACT, PHONE, STRANGER, Peer, SipNetTestCase, word
from voipshift.calls import route
from voipshift.calls.table import Call
from voipshift.sip.message import Request, Response, parse

UPSTREAM = ("198.51.100.53", 5060)
#: What a NAT makes of the phone's address.
OUTSIDE = ("198.51.100.99", 40001)


class CallEndTest(SipNetTestCase):
    """BYE."""

    def setUp(self) -> None:
        """A call that stands."""
        super().setUp()
        self.here = self.node()
        self.invite, self.answer = self.call()
        self.ended: list[Call] = []
        self.here.proxy._ledger._closed = self.ended.append

    def over(self) -> None:
        """The call was closed exactly once, the count is the table's, and nothing is left."""
        self.assertEqual(len(self.ended), 1)
        self.assertEqual((len(self.here.table), self.here.workload.occupancy(self.clock.seconds())), (0, 0.0))
        self.network.advance(200)
        self.assertEqual((self.phone.words(), self.gateway.words(), len(self.here.sip.layer)), ([], [], 0))
        self.assertEqual(len(self.ended), 1)

    def test_the_caller_hangs_up(self) -> None:
        """BYE from the caller goes to the callee, its 200 comes back, and the call is over."""
        self.phone.say(self.phone.within("BYE", self.answer), HERE)
        bye = self.gateway.asked("BYE")
        self.assertEqual(bye.uri, "sip:100@192.0.2.20:5060")
        self.assertFalse(bye.has("Route"))
        self.assertFalse(bye.has("Record-Route"))
        self.assertEqual(len(self.here.table), 1)
        self.gateway.answer(bye, 200)
        self.phone.told(200, "BYE")
        self.over()

    def test_the_callee_hangs_up(self) -> None:
        """BYE from the callee goes to the caller's Contact."""
        self.gateway.say(self.gateway.back("BYE", self.invite), HERE)
        bye = self.phone.asked("BYE")
        self.assertEqual(bye.uri, "sip:alice@198.51.100.7:5060")
        self.phone.answer(bye, 200)
        self.gateway.told(200, "BYE")
        self.over()

    def test_both_hang_up_at_once(self) -> None:
        """Each BYE is answered, and the call is closed once."""
        self.phone.say(self.phone.within("BYE", self.answer), HERE)
        self.gateway.say(self.gateway.back("BYE", self.invite), HERE)
        self.gateway.answer(self.gateway.asked("BYE"), 200)
        self.phone.answer(self.phone.asked("BYE"), 481)
        self.phone.told(200, "BYE")
        self.gateway.told(481, "BYE")
        self.assertEqual(len(self.ended), 1)
        self.assertEqual(len(self.here.table), 0)

    def test_a_bye_is_sent_again_by_the_node_and_answered_once(self) -> None:
        """Each hop has its own transaction: what is lost behind the node is repeated by the node."""
        self.network.cut.add(GATEWAY)
        bye = self.phone.within("BYE", self.answer)
        self.phone.say(bye, HERE)
        self.phone.say(bye, HERE)
        self.network.cut.clear()
        self.network.advance(0.6)
        self.gateway.answer(self.gateway.asked("BYE"), 200)
        self.phone.told(200, "BYE")
        self.phone.say(bye, HERE)
        self.phone.told(200, "BYE")
        self.over()

    def test_a_bye_that_nobody_answers_ends_the_call(self) -> None:
        """408 to BYE ends the dialog (section 15.1.1)."""
        self.network.cut.add(GATEWAY)
        self.phone.say(self.phone.within("BYE", self.answer), HERE)
        self.network.advance(32.5)
        self.phone.told(408, "BYE")
        self.over()

    def test_a_bye_that_is_refused_does_not_end_the_call(self) -> None:
        """401, and the phone tries again with its credentials."""
        self.phone.say(self.phone.within("BYE", self.answer), HERE)
        self.gateway.answer(self.gateway.asked("BYE"), 401)
        self.phone.told(401, "BYE")
        self.assertEqual(len(self.here.table), 1)
        self.phone.say(self.phone.within("BYE", self.answer, 3), HERE)
        self.gateway.answer(self.gateway.asked("BYE"), 200)
        self.phone.told(200, "BYE")
        self.over()

    def test_after_the_end_there_is_no_such_call(self) -> None:
        """A request for a call that has ended is 481, and an ACK is dropped."""
        self.phone.say(self.phone.within("BYE", self.answer), HERE)
        self.gateway.answer(self.gateway.asked("BYE"), 200)
        self.phone.told(200, "BYE")
        self.phone.say(self.phone.within("INFO", self.answer, 3), HERE)
        self.phone.told(481, "INFO")
        self.phone.say(self.phone.within("ACK", self.answer, 1), HERE)
        self.over()


class DialogTest(SipNetTestCase):
    """A call that stands."""

    def setUp(self) -> None:
        """A call that stands."""
        super().setUp()
        self.here = self.node()
        self.invite, self.answer = self.call()

    def test_a_tag_that_nobody_knows_is_481(self) -> None:
        """A request with a To tag that the call table does not know, or another Call-ID, gets 481."""
        for name, value in (("To", "<sip:100@x>;tag=unknown"), ("From", "<sip:a@x>;tag=unknown"), ("Call-ID", "x")):
            stray = self.phone.within("BYE", self.answer)
            stray.set(name, value)
            self.phone.say(stray, HERE)
            self.phone.told(481, "BYE")
        self.assertEqual((self.gateway.words(), len(self.here.table)), ([], 1))

    def test_a_tag_that_nobody_knows_goes_on_to_a_member(self) -> None:
        """Unless its next Route is a member: a client with this node for an outbound proxy, whose call is there."""
        self.introduce(self.here)
        member = Peer(self.network, MEMBER, "member")
        routes = [("Route", "<sip:192.0.2.1:5060;lr>"), ("Route", "<sip:192.0.2.2:5060;lr>")]
        for method in ("ACK", "BYE"):
            stray = self.phone.within(method, self.answer, fields=routes)
            stray.set("Call-ID", "another")
            self.phone.say(stray, HERE)
            passed = member.asked(method)
            self.assertEqual(passed.values("Route"), ["<sip:192.0.2.2:5060;lr>"])
            self.assertNotIn("passed-on", passed.via.parameters)
        member.answer(passed, 200)
        self.phone.told(200, "BYE")

    def test_a_route_to_a_stranger_is_403(self) -> None:
        """Route entries past ours that are no gateway, member or party of that call get 403, call or not."""
        for routes in ("<sip:192.0.2.1;lr>, <sip:203.0.113.9;lr>", "<sip:203.0.113.9;lr>", "<sip:stranger.example;lr>"):
            self.phone.say(self.phone.within("BYE", self.answer, fields=[("Route", routes)]), HERE)
            self.phone.told(403, "BYE")
        stray = self.phone.within("BYE", self.answer, fields=[("Route", "<sip:203.0.113.9;lr>")])
        stray.set("Call-ID", "another")
        self.phone.say(stray, HERE)
        self.phone.told(481, "BYE")

    def test_a_request_uri_of_a_stranger_is_403(self) -> None:
        """A node is no relay: not by the Request-URI either."""
        stray = self.phone.within("MESSAGE", self.answer)
        stray.uri = "sip:victim@203.0.113.9"
        self.phone.say(stray, HERE)
        self.phone.told(403, "MESSAGE")

    def test_refusing_strangers_costs_no_memory(self) -> None:
        """No exception is kept that keeps what it was raised by."""
        for number in range(3):
            stray = self.phone.within("BYE", self.answer, number + 2, fields=[("Route", "<sip:203.0.113.9;lr>")])
            self.phone.say(stray, HERE)
            self.phone.told(403, "BYE")
        kept = [value for value in vars(route).values() if isinstance(value, BaseException)]
        self.assertEqual(kept, [])

    def test_a_sloppy_client_that_names_the_node(self) -> None:
        """An in-dialog Request-URI that names the node, without Route or with ours, means the other end."""
        for number, fields in enumerate(([], [("Route", "<sip:192.0.2.1:5060;lr>")])):
            info = self.phone.within("INFO", self.answer, number + 2, fields=fields)
            info.uri = "sip:100@192.0.2.1"
            self.phone.say(info, HERE)
            passed = self.gateway.asked("INFO")
            self.assertEqual(passed.uri, "sip:100@192.0.2.20:5060")
            self.gateway.answer(passed, 200)
            self.phone.told(200, "INFO")

    def test_every_method_of_a_dialog_goes_both_ways(self) -> None:
        """A proxy forwards what it does not know (section 16)."""
        for number, method in enumerate(("INFO", "UPDATE", "REFER", "NOTIFY", "MESSAGE", "OPTIONS", "DANCE"), 2):
            self.phone.say(self.phone.within(method, self.answer, number), HERE)
            self.gateway.answer(self.gateway.asked(method), 200)
            self.phone.told(200, method)
            self.gateway.say(self.gateway.back(method, self.invite, number), HERE)
            self.phone.answer(self.phone.asked(method), 200)
            self.gateway.told(200, method)
        self.assertEqual(len(self.here.table), 1)

    def test_a_re_invite_moves_the_target(self) -> None:
        """A 2xx to re-INVITE or UPDATE replaces the Contact of both ends (12.2.1.2): later requests go there."""
        moved = Peer(self.network, STRANGER, "moved")
        self.phone.say(self.phone.within("INVITE", self.answer, contact=moved.contact), HERE)
        again = self.gateway.asked("INVITE")
        self.assertEqual(len(self.here.table), 1)
        self.gateway.answer(again, 200)
        answer = self.phone.told(200)
        self.phone.say(self.phone.within("ACK", answer, 2), HERE)
        self.gateway.asked("ACK")
        self.gateway.say(self.gateway.back("BYE", again), HERE)
        moved.answer(moved.asked("BYE"), 200)
        self.gateway.told(200, "BYE")
        self.assertEqual(len(self.here.table), 0)

    def test_a_re_invite_that_is_refused_changes_nothing(self) -> None:
        """The call stands as it did (section 14.1), and is watched as it was."""
        self.phone.say(self.phone.within("INVITE", self.answer, contact=f"<sip:x@{STRANGER[0]}>"), HERE)
        again = self.gateway.asked("INVITE")
        self.gateway.answer(again, 488)
        self.phone.told(488)
        call = next(iter(self.here.table))
        self.assertEqual(call.caller.target, "sip:alice@198.51.100.7:5060")

    def test_a_re_invite_can_be_cancelled(self) -> None:
        """CANCEL and 487 as for the first one; the call stands."""
        again = self.phone.within("INVITE", self.answer)
        self.phone.say(again, HERE)
        passed = self.gateway.asked("INVITE")
        self.gateway.answer(passed, 100)
        cancel = self.phone.request("CANCEL", again.uri, number=2)
        cancel.set("Via", str(again.via))
        self.phone.say(cancel, HERE)
        self.phone.told(200, "CANCEL")
        self.gateway.asked("CANCEL")
        self.gateway.answer(passed, 487)
        self.phone.told(487)
        self.assertEqual(len(self.here.table), 1)

    def test_max_forwards_ends_inside_a_dialog_too(self) -> None:
        """483, for OPTIONS as well: it is not for this node."""
        for method in ("BYE", "OPTIONS"):
            worn = self.phone.within(method, self.answer)
            worn.set("Max-Forwards", "0")
            self.phone.say(worn, HERE)
            self.phone.told(483, method)


class EarlyDialogTest(SipNetTestCase):
    """Before the answer."""

    def setUp(self) -> None:
        """A call that rings."""
        super().setUp()
        self.here = self.node()
        self.phone.say(self.phone.request("INVITE", "sip:100@192.0.2.1"), HERE)
        self.invite = self.gateway.asked("INVITE")

    def ring(self) -> Response:
        """The gateway rings, reliably."""
        self.gateway.answer(self.invite, 183, fields=[("Require", "100rel"), ("RSeq", "1")])
        return self.phone.told(183)

    def test_prack_and_update(self) -> None:
        """PRACK (RFC 3262) and UPDATE (RFC 3311), from either end."""
        ringing = self.ring()
        for number, method in enumerate(("PRACK", "UPDATE"), 2):
            self.phone.say(self.phone.within(method, ringing, number), HERE)
            self.gateway.answer(self.gateway.asked(method), 200)
            self.phone.told(200, method)
        self.gateway.say(self.gateway.back("UPDATE", self.invite), HERE)
        self.phone.answer(self.phone.asked("UPDATE"), 200)
        self.gateway.told(200, "UPDATE")
        self.assertEqual(len(self.here.table), 1)

    def test_a_bye_ends_an_early_dialog(self) -> None:
        """Section 15: the caller may; the 487 that follows closes nothing twice."""
        ringing = self.ring()
        self.phone.say(self.phone.within("BYE", ringing), HERE)
        self.gateway.answer(self.gateway.asked("BYE"), 200)
        self.assertEqual(len(self.here.table), 0)
        self.gateway.answer(self.invite, 487)
        self.assertEqual(self.phone.words(), ["200 BYE", "487 INVITE"])

    def test_before_anybody_rings_there_is_no_other_end(self) -> None:
        """A request to an end that is not known yet is 481."""
        stray = self.phone.request("UPDATE", "sip:100@192.0.2.1", to="<sip:100@192.0.2.1>;tag=guessed")
        self.phone.say(stray, HERE)
        self.phone.told(481, "UPDATE")


class WayTest(SipNetTestCase):
    """Callers that cannot be reached as they say."""

    def test_a_client_behind_nat_is_reached_at_its_source(self) -> None:
        """Its Via and Contact have an address inside: responses and requests go to where it was seen."""
        node = self.node()
        outside = Peer(self.network, OUTSIDE, "outside")
        inside = Peer(self.network, ("10.0.0.7", 5060), "inside")
        outside.say(inside.request("INVITE", "sip:100@192.0.2.1"), HERE)
        invite = self.gateway.asked("INVITE")
        self.assertEqual(invite.vias[1].parameters["received"], OUTSIDE[0])
        self.gateway.answer(invite, 200)
        outside.told(200)
        self.gateway.say(self.gateway.back("BYE", invite), HERE)
        bye = outside.asked("BYE")
        self.assertEqual(bye.uri, "sip:inside@10.0.0.7:5060")
        outside.say(bye.response(200), HERE)
        self.gateway.told(200, "BYE")
        self.assertEqual((inside.words(), len(node.table)), ([], 0))

    def test_responses_go_to_the_source_unless_the_operator_minds(self) -> None:
        """force_rport is what reaches them; without it the Via counts where the client did not ask (18.2.2)."""
        other = Peer(self.network, ("198.51.100.7", 5099), "other")
        for force_rport, expected in ((True, other), (False, self.phone)):
            node = self.node(force_rport=force_rport)
            options = self.phone.request("OPTIONS", "sip:192.0.2.1")
            options.set("Via", "SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bKx")
            other.say(options, HERE)
            expected.told(200, "OPTIONS")
            node.stopService()
        self.assertEqual((other.words(), self.phone.words()), ([], []))

    def test_a_caller_without_a_contact_is_reached_at_its_source(self) -> None:
        """Its From says who it is and not where."""
        self.node()
        self.phone.say(
            self.phone.request("INVITE", "sip:100@192.0.2.1", contact=NO_CONTACT, sender="<sip:a@10.1.1.1>;tag=a"), HERE
        )
        invite = self.gateway.asked("INVITE")
        self.gateway.answer(invite, 200)
        self.gateway.say(self.gateway.back("BYE", invite), HERE)
        self.assertEqual(self.phone.words(), ["200 INVITE", "BYE"])

    def test_a_contact_with_a_host_name_is_reached_at_its_source(self) -> None:
        """Nothing is looked up on the way."""
        self.node()
        contact = "<sip:alice@pc33.example.org>"
        self.phone.say(self.phone.request("INVITE", "sip:100@192.0.2.1", contact=contact), HERE)
        invite = self.gateway.asked("INVITE")
        self.gateway.answer(invite, 200)
        self.gateway.say(self.gateway.back("BYE", invite), HERE)
        self.phone.told(200)
        self.assertEqual(self.phone.asked("BYE").uri, "sip:alice@pc33.example.org")

    def upstream(self, recorded: str) -> tuple[Peer, Request]:
        """An INVITE that came through a proxy which recorded that route, as it reached the gateway."""
        self.node()
        proxy = Peer(self.network, UPSTREAM, "proxy")
        invite = self.phone.request("INVITE", "sip:100@192.0.2.1", fields=[("Record-Route", recorded)])
        invite.prepend("Via", "SIP/2.0/UDP 198.51.100.53:5060;branch=z9hG4bKproxy")
        proxy.say(invite, HERE)
        forwarded = self.gateway.asked("INVITE")
        self.assertEqual(forwarded.values("Record-Route"), ["<sip:192.0.2.1:5060;lr>", recorded])
        self.gateway.answer(forwarded, 200)
        proxy.told(200)
        self.assertEqual(self.phone.words(), [])
        return proxy, forwarded

    def test_an_upstream_proxy_is_on_the_way_back(self) -> None:
        """Requests to the caller go by the proxies that recorded their route."""
        proxy, forwarded = self.upstream("<sip:198.51.100.53;lr>")
        self.gateway.say(self.gateway.back("BYE", forwarded), HERE)
        bye = proxy.asked("BYE")
        self.assertEqual(bye.values("Route"), ["<sip:198.51.100.53;lr>"])
        self.assertEqual(bye.uri, "sip:alice@198.51.100.7:5060")

    def test_an_upstream_proxy_that_recorded_its_name(self) -> None:
        """A host name is not looked up: that proxy is where its INVITE came from."""
        proxy, forwarded = self.upstream("<sip:edge.example.org;lr;x=1>")
        self.gateway.say(self.gateway.back("BYE", forwarded), HERE)
        self.assertEqual(proxy.asked("BYE").values("Route"), ["<sip:edge.example.org;lr;x=1>"])

    def test_an_upstream_strict_router(self) -> None:
        """Section 16.6 item 6: a next hop without lr gets itself as the Request-URI, and the target as last Route."""
        proxy, forwarded = self.upstream("<sip:198.51.100.53>")
        self.gateway.say(self.gateway.back("BYE", forwarded), HERE)
        bye = proxy.asked("BYE")
        self.assertEqual(bye.uri, "sip:198.51.100.53")
        self.assertEqual(bye.values("Route"), ["<sip:alice@198.51.100.7:5060>"])

    def test_a_strict_router_before_us(self) -> None:
        """Section 16.4: a Request-URI that is our own Record-Route means its last Route value."""
        self.node()
        _, answer = self.call()
        bye = self.phone.within("BYE", answer, fields=[("Route", "<sip:100@192.0.2.20:5060>")])
        bye.uri = "sip:192.0.2.1:5060;lr"
        self.phone.say(bye, HERE)
        passed = self.gateway.asked("BYE")
        self.assertEqual(passed.uri, "sip:100@192.0.2.20:5060")
        self.assertFalse(passed.has("Route"))

    def test_proxies_beyond_the_gateway_are_on_the_way(self) -> None:
        """What was recorded behind the gateway is the callee's route; a sloppy client gets it, too."""
        self.node()
        self.phone.say(self.phone.request("INVITE", "sip:100@192.0.2.1"), HERE)
        invite = self.gateway.asked("INVITE")
        beyond = f"<sip:gw.example.org;lr>, {invite.get('Record-Route')}"
        response = invite.response(200, to_tag="there", fields=[("Contact", "<sip:100@10.9.9.9>")])
        response.set("Record-Route", beyond)
        self.gateway.say(response, HERE)
        answer = self.phone.told(200)
        self.phone.say(self.phone.within("ACK", answer, 1), HERE)
        self.assertEqual(self.gateway.asked("ACK").values("Route"), ["<sip:gw.example.org;lr>"])
        bye = self.phone.within("BYE", answer, fields=[])
        bye.uri = "sip:100@192.0.2.1"
        self.phone.say(bye, HERE)
        passed = self.gateway.asked("BYE")
        self.assertEqual((passed.uri, passed.values("Route")), ("sip:100@10.9.9.9", ["<sip:gw.example.org;lr>"]))

    def test_the_end_called_by_a_client_of_rfc_2543_hangs_up(self) -> None:
        """Its BYE has no To tag, for the caller gave itself none; another call's without one stays 481."""
        node = self.node()
        invite = self.phone.request("INVITE", "sip:100@192.0.2.1", sender="<sip:old@x>")
        self.phone.say(invite, HERE)
        self.gateway.answer(self.gateway.asked("INVITE"), 200)
        self.phone.told(200)
        stray = self.gateway.back("BYE", invite)
        stray.set("Call-ID", "another")
        self.gateway.say(stray, HERE)
        self.gateway.told(481, "BYE")
        bye = self.gateway.back("BYE", invite)
        self.assertIsNone(bye.to_tag)
        self.gateway.say(bye, HERE)
        self.phone.answer(self.phone.asked("BYE"), 200)
        self.gateway.told(200, "BYE")
        self.assertEqual(len(node.table), 0)

    def test_a_client_of_rfc_2543_without_tags(self) -> None:
        """A caller without a From tag can call and hang up."""
        node = self.node()
        self.phone.say(self.phone.request("INVITE", "sip:100@192.0.2.1", sender="<sip:old@x>"), HERE)
        self.gateway.answer(self.gateway.asked("INVITE"), 200)
        answer = self.phone.told(200)
        self.phone.say(self.phone.within("BYE", answer), HERE)
        self.gateway.answer(self.gateway.asked("BYE"), 200)
        self.assertEqual(len(node.table), 0)
        self.assertEqual(word(parse(self.network.sent[-1][2])), "200 BYE")
        self.assertEqual(self.network.sent[-1][1], PHONE)
