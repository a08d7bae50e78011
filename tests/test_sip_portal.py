"""What becomes of a new request: the portal of a real node, and what it answers by itself."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from tests.sipnet import GATEWAY, HERE, MEMBER, PHONE, Peer, SipNetTestCase
from voipshift.errors import Refused
from voipshift.node import Acceptance, Load, NodeIdentity


class AnsweredByTheNodeTest(SipNetTestCase):
    """Requests that go no further."""

    def test_options_is_answered_200(self) -> None:
        """OPTIONS: 200 with what the node understands (RFC 3261 section 11.2)."""
        self.node()
        self.phone.say(self.phone.request("OPTIONS", "sip:192.0.2.1"), HERE)
        answer = self.phone.told(200, "OPTIONS")
        self.assertIn("INVITE", answer.get("Allow") or "")
        self.assertEqual(answer.get("Accept"), "application/sdp")
        self.assertIsNotNone(answer.to_tag)

    def test_a_stranger_gets_no_more_than_twice_what_he_sent(self) -> None:
        """A request that somebody may have forged is answered without what could be left out; a longer one in full."""
        self.node(trusted=())
        short = (
            b"OPTIONS sip:192.0.2.1 SIP/2.0\r\nv:SIP/2.0/UDP 198.51.100.7;branch=z9hG4bK%d\r\nf:<sip:a@b>;tag=1\r\n"
            b"t:<sip:b@b>\r\ni:c%d\r\nCSeq:1 OPTIONS\r\n%b\r\n"
        )
        for number, more, told in ((1, b"", False), (2, b"X: " + bytes(b"x" * 300) + b"\r\n", True)):
            asked = short % (number, number, more)
            self.phone.say(asked, HERE)
            answer = self.phone.told(200, "OPTIONS")
            self.assertEqual(answer.has("Accept"), told)
            self.assertLessEqual(len(answer.octets()), 2 * len(asked))

    def test_options_is_answered_200_while_somebody_has_room(self) -> None:
        """A full node whose group has room stays in service."""
        node = self.node(limit=0)
        self.introduce(node)
        self.phone.say(self.phone.request("OPTIONS", "sip:192.0.2.1"), HERE)
        self.phone.told(200, "OPTIONS")

    def test_options_is_answered_503_when_the_whole_group_refuses(self) -> None:
        """OPTIONS: 503 only while draining or when the whole group refuses."""
        node = self.node(limit=0)
        self.introduce(node, occupancy=1.0)
        self.phone.say(self.phone.request("OPTIONS", "sip:192.0.2.1"), HERE)
        self.phone.told(503, "OPTIONS")

    def test_options_is_answered_503_while_draining(self) -> None:
        """A node that the operator wants empty tells whoever watches it, whatever room its group has."""
        node = self.node()
        self.introduce(node)
        node.workload.draining = True
        self.phone.say(self.phone.request("OPTIONS", "sip:192.0.2.1"), HERE)
        self.phone.told(503, "OPTIONS")

    def test_options_that_may_go_no_further_is_answered_here(self) -> None:
        """Section 16.3 item 3: with Max-Forwards 0 OPTIONS is for whoever has it."""
        self.node()
        options = self.phone.request("OPTIONS", "sip:192.0.2.1")
        options.set("Max-Forwards", "0")
        self.phone.say(options, HERE)
        self.phone.told(200, "OPTIONS")

    def test_what_the_node_does_not_do_is_405(self) -> None:
        """Section 8.2.1: a method that is understood and not allowed gets 405 with Allow."""
        self.node()
        for number, method in enumerate(("REGISTER", "SUBSCRIBE", "PUBLISH", "MESSAGE"), 1):
            self.phone.say(self.phone.request(method, "sip:192.0.2.1", number=number), HERE)
            self.assertIn("INVITE", self.phone.told(405, method).get("Allow") or "")

    def test_what_belongs_into_a_dialog_is_481_outside(self) -> None:
        """BYE and its like without a To tag belong to no call (15.1.2, RFC 3262, 3311, 6086)."""
        self.node()
        for number, method in enumerate(("BYE", "PRACK", "UPDATE", "INFO"), 1):
            self.phone.say(self.phone.request(method, "sip:100@192.0.2.1", number=number), HERE)
            self.phone.told(481, method)

    def test_a_method_that_nobody_knows_is_501(self) -> None:
        """Section 8.2.1, and 21.5.2 for what is not recognised."""
        self.node()
        self.phone.say(self.phone.request("DANCE", "sip:192.0.2.1"), HERE)
        self.phone.told(501, "DANCE")

    def test_every_answer_has_the_same_to_tag_for_one_request(self) -> None:
        """A response other than 100 has a To tag (8.2.6.2), and its retransmission the same one."""
        self.node()
        options = self.phone.request("DANCE", "sip:192.0.2.1")
        self.phone.say(options, HERE)
        self.phone.say(options, HERE)
        self.assertEqual(self.phone.told(501, "DANCE").octets(), self.phone.told(501, "DANCE").octets())


class RefusalTest(SipNetTestCase):
    """503, and when to come back."""

    def test_group_full_is_503_without_an_ask(self) -> None:
        """Group full: 503 at the entry, with no ask when all are known full."""
        node = self.node(limit=0)
        self.introduce(node, occupancy=1.0)
        asks = self.introduce(node, "other", ("192.0.2.3", 5060), occupancy=1.0)
        self.phone.say(self.phone.request("INVITE", "sip:100@192.0.2.1"), HERE)
        self.phone.told(503)
        self.assertEqual((len(node.table), asks.sent), (0, []))

    def test_the_client_itself_is_told_when_to_come_back(self) -> None:
        """Retry-After is 5 s, half of it more or less, so that clients do not come back all at once."""
        self.node(limit=0)
        waits = set()
        for number in range(200):
            self.phone.say(self.phone.request("INVITE", "sip:100@192.0.2.1", call_id=f"call-{number}"), HERE)
            waits.add(int(self.phone.told(503).get("Retry-After") or ""))
        self.assertEqual(waits, {3, 4, 5, 6, 7})

    def test_a_neighbour_proxy_is_not_told_to_stay_away(self) -> None:
        """Retry-After would keep away all clients of a proxy: more than one Via, no Retry-After."""
        self.node(limit=0)
        invite = self.phone.request("INVITE", "sip:100@192.0.2.1")
        invite.prepend("Via", "SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bKproxy")
        self.phone.say(invite, HERE)
        self.assertIsNone(self.phone.told(503).get("Retry-After"))

    def test_a_full_group_that_was_asked_is_503(self) -> None:
        """A refusal that comes back along the chain is the client's 503."""
        asks = self.introduce(self.node(limit=0))
        self.phone.say(self.phone.request("INVITE", "sip:100@192.0.2.1"), HERE)
        asks.sent[0].answer.errback(Refused())
        self.network.settle()
        self.assertIsNotNone(self.phone.told(503).get("Retry-After"))


class PendingTest(SipNetTestCase):
    """While the group decides."""

    def setUp(self) -> None:
        """A portal that asks its member about everything."""
        super().setUp()
        self.here = self.node(limit=0)
        self.asks = self.introduce(self.here)
        self.invite = self.phone.request("INVITE", "sip:100@192.0.2.1")
        self.phone.say(self.invite, HERE)

    def accept(self) -> Deferred[Acceptance]:
        """Let the member accept."""
        answer = self.asks.sent[0].answer
        answer.callback(Acceptance(NodeIdentity("member", {"sip/udp": MEMBER}), "0" * 32, (), 1))
        self.network.settle()
        return answer

    def test_a_slow_decision_says_100_first(self) -> None:
        """A decision that takes over 200 ms sends 100 Trying first (17.2.1)."""
        self.network.advance(0.19)
        self.assertEqual(self.phone.words(), [])
        self.network.advance(0.02)
        self.assertIsNone(self.phone.told(100).to_tag)
        self.accept()
        self.phone.told(302)

    def test_a_fast_decision_does_not(self) -> None:
        """No 100 where the answer is there before it."""
        self.accept()
        answer = self.phone.told(302)
        self.phone.acknowledge(self.invite, answer, HERE)
        self.network.advance(1.0)
        self.assertEqual(self.phone.words(), [])

    def test_a_redirect_after_a_slow_decision_is_sent_until_it_is_acknowledged(self) -> None:
        """Timer G runs for a response that came between two of the door's deadlines, too."""
        self.network.advance(0.7)
        self.accept()
        self.assertEqual(self.phone.words(), ["100 INVITE", "302 INVITE"])
        self.network.advance(0.6)
        answer = self.phone.told(302)
        self.phone.acknowledge(self.invite, answer, HERE)
        self.network.advance(10)
        self.assertEqual(self.phone.words(), [])

    def test_a_retransmission_never_decides_twice(self) -> None:
        """Retransmissions of an INVITE never cause a second decision, whenever they come."""
        self.phone.say(self.invite, HERE)
        self.network.advance(0.3)
        self.phone.say(self.invite, HERE)
        self.assertEqual(self.phone.words(), ["100 INVITE", "100 INVITE"])
        self.accept()
        self.phone.say(self.invite, HERE)
        self.assertEqual(self.phone.words(), ["302 INVITE", "302 INVITE"])
        self.assertEqual(len(self.asks.sent), 1)
        self.assertEqual(self.here.delegation.counts.attempts, 1)

    def test_cancel_is_200_then_487_and_the_chain_is_cancelled(self) -> None:
        """CANCEL while it is pending: 200, then 487, and the cancellation follows the chain."""
        cancel = self.phone.request("CANCEL", self.invite.uri)
        cancel.set("Via", str(self.invite.via))
        self.phone.say(cancel, HERE)
        self.phone.told(200, "CANCEL")
        answer = self.phone.told(487)
        self.assertEqual(self.asks.cancelled, ["member"])
        self.phone.acknowledge(self.invite, answer, HERE)
        self.network.advance(40)
        self.assertEqual(self.phone.words(), [])
        self.assertEqual(len(self.here.sip.layer), 0)

    def test_cancel_after_the_decision_changes_nothing(self) -> None:
        """Section 9.2: CANCEL has no effect on a request that has its final response."""
        self.accept()
        self.phone.told(302)
        cancel = self.phone.request("CANCEL", self.invite.uri)
        cancel.set("Via", str(self.invite.via))
        self.phone.say(cancel, HERE)
        self.phone.told(200, "CANCEL")
        self.assertEqual(self.phone.words(), [])
        self.assertEqual(self.asks.cancelled, [])

    def test_cancel_of_nothing_is_481(self) -> None:
        """Section 9.2."""
        self.phone.say(self.phone.request("CANCEL", self.invite.uri), HERE)
        self.phone.told(481, "CANCEL")

    def test_our_own_fault_is_500(self) -> None:
        """A decision that breaks is logged, and the client is told."""
        self.asks.sent[0].answer.errback(ZeroDivisionError())
        self.network.settle()
        self.phone.told(500)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_what_is_still_pending_at_the_end_is_left_behind_cleanly(self) -> None:
        """A node that stops while it asks schedules nothing more, even when the answer comes then."""
        self.here.stopService()
        self.accept()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.phone.words(), [])


class NowhereToGoTest(SipNetTestCase):
    """Accepted, but it cannot be carried."""

    def test_no_gateway_for_the_number_is_404(self) -> None:
        """The dial plan has nobody for it; the slot is free again."""
        node = self.node(gateways=((GATEWAY, ("49",)),))
        self.phone.say(self.phone.request("INVITE", "sip:100@192.0.2.1"), HERE)
        self.phone.told(404)
        self.assertEqual((len(node.table), len(node.leases)), (0, 0))

    def test_no_gateway_for_the_number_of_a_lease_is_404(self) -> None:
        """The same by the other ways to this node: with a lease, and decided alone."""
        node = self.node(gateways=((GATEWAY, ("49",)),))
        lease = self.lease(node, "sip:100@example.org")
        for promised in (lease, lease):
            self.phone.say(self.phone.request("INVITE", f"sip:100@192.0.2.1;lease={promised}"), HERE)
            self.phone.told(404)
        self.assertEqual((len(node.table), len(node.leases)), (0, 0))

    def test_a_route_to_strangers_is_403(self) -> None:
        """Route entries past ours that are no gateway, member or party of that call get 403."""
        node = self.node()
        for uri in ("sip:100@example.org", "sip:100@192.0.2.1"):
            for routes in (
                "<sip:203.0.113.9;lr>",
                "<sip:192.0.2.1;lr>, <sip:203.0.113.9;lr>",
                "<sip:192.0.2.20;lr>, <sip:203.0.113.9;lr>",
                "<sip:192.0.2.20;lr>, <sip:stranger.example.org;lr>",
            ):
                self.phone.say(self.phone.request("INVITE", uri, fields=[("Route", routes)]), HERE)
                self.phone.told(403)
        self.assertEqual(len(node.table), 0)

    def test_a_route_to_strangers_is_refused_before_anybody_is_asked(self) -> None:
        """At the entry: no 302 sends the client to another node that can only say the same."""
        asks = self.introduce(self.node(limit=0))
        for uri in ("sip:100@example.org", "sip:100@192.0.2.1", "tel:100"):
            routes = [("Route", "<sip:192.0.2.1;lr>, <sip:203.0.113.9;lr>")]
            self.phone.say(self.phone.request("INVITE", uri, to="<sip:b@x>", fields=routes), HERE)
            self.phone.told(403)
        self.assertEqual(asks.sent, [])

    def test_a_route_to_a_gateway_is_followed(self) -> None:
        """A Route that names a gateway is an instruction (16.4); ours are taken off."""
        self.node()
        routes = [("Route", "<sip:192.0.2.1:5060;lr>"), ("Route", "<sip:192.0.2.20;lr>")]
        self.phone.say(self.phone.request("INVITE", "sip:100@example.org", fields=routes), HERE)
        invite = self.gateway.asked("INVITE")
        self.assertEqual(invite.uri, "sip:100@example.org")
        self.assertEqual(invite.values("Route"), ["<sip:192.0.2.20;lr>"])


class MarkTest(SipNetTestCase):
    """Requests that name another node."""

    def test_a_request_that_names_another_node_is_passed_on_marked(self) -> None:
        """An initial INVITE whose Request-URI names another node is passed on to it statefully, marked."""
        node = self.node()
        asks = self.introduce(node)
        member = Peer(self.network, MEMBER, "member")
        uri = "sip:100@192.0.2.2:5060;lease=abc"
        invite = self.phone.request("INVITE", uri, fields=[("Route", "<sip:192.0.2.1;lr>")])
        self.phone.say(invite, HERE)
        passed = member.asked("INVITE")
        self.assertEqual(passed.uri, uri)
        self.assertIn("passed-on", passed.via.parameters)
        self.assertFalse(passed.has("Route"))
        self.assertFalse(passed.has("Record-Route"))
        self.assertEqual(passed.max_forwards, 69)
        self.assertEqual((asks.sent, len(node.table), node.delegation.counts.attempts), ([], 0, 0))
        member.answer(passed, 180)
        self.phone.told(180)
        member.answer(passed, 200)
        self.phone.told(200)

    def test_cancel_of_a_request_that_was_passed_on_is_passed_on(self) -> None:
        """It is carried statefully: CANCEL goes the same way, and the 487 comes back."""
        self.introduce(self.node())
        member = Peer(self.network, MEMBER, "member")
        invite = self.phone.request("INVITE", "sip:100@192.0.2.2")
        self.phone.say(invite, HERE)
        passed = member.asked("INVITE")
        member.answer(passed, 180)
        cancel = self.phone.request("CANCEL", invite.uri)
        cancel.set("Via", str(invite.via))
        self.phone.say(cancel, HERE)
        self.assertEqual(self.phone.words(), ["180 INVITE", "200 CANCEL"])
        self.assertEqual(member.asked("CANCEL").via.branch, passed.via.branch)
        member.answer(passed, 487)
        self.phone.told(487)

    def test_a_member_that_is_silent_is_given_up(self) -> None:
        """A member answers within 200 ms: one that says nothing for 2 s is dead, and the client is told 503."""
        self.introduce(self.node())
        member = Peer(self.network, MEMBER, "member")
        invite = self.phone.request("INVITE", "sip:100@192.0.2.2")
        self.phone.say(invite, HERE)
        passed = member.asked("INVITE")
        self.network.advance(2.1)
        self.assertEqual(self.phone.words(), ["100 INVITE", "503 INVITE"])
        member.answer(passed, 180)
        self.assertEqual(member.words(), ["INVITE", "INVITE", "CANCEL"])

    def test_a_members_second_port_is_that_member_too(self) -> None:
        """A Request-URI that a node gave to redirect to itself names that node, not the one it was sent to."""
        node = self.node()
        self.introduce(node)
        second = ("192.0.2.2", 5062)
        doors = {"sip/udp": MEMBER, "sip/udp/second": second}
        node.members.heard(NodeIdentity("member", doors), Load("member", 1, 2, 0.0, 100.0), self.clock.seconds())
        member = Peer(self.network, second, "member")
        self.phone.say(self.phone.request("INVITE", "sip:100@192.0.2.2:5062;lease=abc"), HERE)
        self.assertEqual(member.asked("INVITE").uri, "sip:100@192.0.2.2:5062;lease=abc")

    def test_the_mark_is_believed_from_a_member(self) -> None:
        """One that is so marked is decided here alone: accepted, or 503, and nobody is asked."""
        node = self.node(limit=0)
        asks = self.introduce(node)
        member = Peer(self.network, MEMBER, "member")
        invite = self.phone.request("INVITE", "sip:100@192.0.2.1")
        invite.prepend("Via", "SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bKm1")
        member.say(self.passed_on(invite), HERE)
        member.told(503)
        self.assertEqual(asks.sent, [])

    def test_the_mark_is_believed_from_nobody_else(self) -> None:
        """Without the group's seal it changes nothing, wherever it comes from: the attempt is placed like any other."""
        node = self.node(limit=0)
        asks = self.introduce(node)
        member = Peer(self.network, MEMBER, "member")
        for number, mark in enumerate(("passed-on", "passed-on=x", f"passed-on={'0' * 40}")):
            invite = member.request("INVITE", "sip:100@192.0.2.1", call_id=f"call-{number}")
            invite.set("Via", f"{invite.get('Via')};{mark}")
            member.say(invite, HERE)
        self.assertEqual(len(asks.sent), 3)

    def test_a_mark_that_was_captured_is_worth_nothing(self) -> None:
        """In another request it breaks, and the same one comes a second time only as a copy."""
        node = self.node(limit=0)
        asks = self.introduce(node)
        invite = self.passed_on(self.phone.request("INVITE", "sip:100@192.0.2.1"))
        self.phone.say(invite, HERE)
        self.phone.told(503)
        self.network.advance(40)
        self.introduce(node, "other", ("192.0.2.3", 5060))
        self.phone.say(invite, HERE)
        other = self.phone.request("INVITE", "sip:200@192.0.2.1")
        other.set("Via", invite.get("Via") or "")
        other.set("Call-ID", "other")
        other.set("Via", (invite.get("Via") or "").replace("branch=z9hG4bK", "branch=z9hG4bKx"))
        self.phone.say(other, HERE)
        self.assertEqual(len(asks.sent), 2)

    def test_the_mark_comes_from_where_a_member_is_known(self) -> None:
        """A request for another node that came in by the second port leaves by the first, which the others know."""
        second = ("192.0.2.1", 5067)
        self.introduce(self.node(HERE, second))
        member = Peer(self.network, MEMBER, "member")
        self.phone.say(self.phone.request("INVITE", "sip:100@192.0.2.2"), second)
        passed = member.asked("INVITE")
        self.assertEqual(passed.via.address, HERE)
        self.assertIn((HERE, MEMBER), [(source, to) for source, to, _ in self.network.sent])
        member.answer(passed, 486)
        self.phone.told(486)
        source, to, _ = self.network.sent[-1]
        self.assertEqual((source, to), (second, PHONE))

    def test_a_number_is_no_address(self) -> None:
        """A tel URI names nobody's address: it is placed, and its Contact has the number for a user."""
        asks = self.introduce(self.node(limit=0))
        self.phone.say(self.phone.request("INVITE", "tel:+1-201-555-0123;phone-context=x", to="<sip:b@x>"), HERE)
        asks.sent[0].answer.callback(Acceptance(NodeIdentity("member", {"sip/udp": MEMBER}), "0" * 32, (), 1))
        self.network.settle()
        self.assertEqual(
            self.phone.told(302).get("Contact"), "<sip:+1-201-555-0123@192.0.2.2:5060;lease=" + "0" * 32 + ">"
        )

    def test_a_number_that_is_none_is_400(self) -> None:
        """What stands in a tel URI goes into a Contact: it is read first."""
        self.node()
        self.phone.say(self.phone.request("INVITE", 'tel:"<1>"', to="<sip:b@x>"), HERE)
        self.phone.told(400)
