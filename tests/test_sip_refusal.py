"""Refusing calls unread while the whole group is full: the same answer as the long way gives, for next to nothing."""

from __future__ import annotations

from typing import Any

from tests.sipnet import HERE, MEMBER, PHONE, STRANGER, Peer, SipNetTestCase
from voipshift import config, tap
from voipshift.node import FULL, Load, NodeIdentity
from voipshift.sip.answers import RETRY_AFTER_S
from voipshift.sip.message import Request, Response
from voipshift.sip.refusal import opens_call

#: What a proxy before the node adds.
SECOND_VIA = ("Via", "SIP/2.0/UDP 203.0.113.77:5060;branch=z9hG4bKfar")


class RefusalTests(SipNetTestCase):
    """A node that carries nothing, and a member that is flagged full."""

    def setUp(self) -> None:
        """The lane is open: one INVITE was refused the long way."""
        super().setUp()
        self.here = self.full_node()

    def full_node(self, **how: Any) -> tap.Node:
        """A node without room, whose member has none either."""
        node = self.node(limit=0, **how)
        self.introduce(node, occupancy=1.0)
        self.phone.say(self.phone.request("INVITE", "sip:100@192.0.2.1", call_id="first"), HERE)
        self.phone.told(503)
        return node

    def transactions(self) -> int:
        return len(self.here.sip.layer)

    def invite(self, uri: str = "sip:100@192.0.2.1", **more: Any) -> Request:
        return self.phone.request("INVITE", uri, **more)

    def refused(self, invite: Request, peer: Peer | None = None) -> Response:
        """Send an INVITE, which opens no transaction; the 503."""
        peer = peer or self.phone
        before = self.transactions()
        peer.say(invite, HERE)
        response = peer.told(503)
        self.assertEqual(self.transactions(), before)
        return response

    def test_refused_without_a_transaction(self) -> None:
        """8.2.6: the response repeats Via, From, To, Call-ID and CSeq, tags To, and says when to come back."""
        invite = self.invite()
        response = self.refused(invite)
        for name in ("From", "Call-ID", "CSeq"):
            self.assertEqual(response.get(name), invite.get(name))
        self.assertEqual(response.to.uri, invite.to.uri)
        self.assertTrue(response.to_tag)
        self.assertEqual(response.via.branch, invite.via.branch)
        self.assertEqual((response.via.received, response.via.parameters["rport"]), (PHONE[0], str(PHONE[1])))
        self.assertIn(response.get("Retry-After"), RETRY_AFTER_S)
        self.assertEqual(response.get("Content-Length"), "0")

    def test_the_same_answer_as_the_long_way(self) -> None:
        """But for the tag and the seconds, it is what the portal answers."""
        invite = self.invite(fields=[("Subject", "x"), ("Timestamp", "1")], body=b"v=0\r\n")
        short = self.refused(invite)
        self.here.sip.serve(self.here.portal.requested, self.here.proxy.acknowledge, ())
        self.phone.say(invite, HERE)
        long = self.phone.told(503)
        for response in (short, long):
            response.remove("Retry-After")
            response.set("To", response.to.uri)
        self.assertEqual(short.octets(), long.octets())

    def test_whatever_order_its_lines_come_in(self) -> None:
        """The same values go back; of lines of which there may be one, a second one is judged by the long way."""
        invite = self.invite(fields=[("Subject", "x"), ("Allow", "INVITE")])
        usual = self.refused(invite)
        lines = invite.octets().decode().split("\r\n\r\n")[0].split("\r\n")
        for order in (lines[:2] + lines[:1:-1], [*lines[:2], *lines[3:], lines[2]]):
            self.phone.say("\r\n".join([*order, "", ""]).encode(), HERE)
            response = self.phone.told(503)
            for name in ("Via", "From", "To", "Call-ID", "CSeq", "Retry-After"):
                self.assertEqual(response.get(name), usual.get(name))
        for double in lines[2:]:
            if double.partition(":")[0] in ("From", "To", "Call-ID", "CSeq"):
                self.phone.say("\r\n".join([*lines, double, "", ""]).encode(), HERE)
                self.phone.told(400)

    def test_the_same_tag_for_the_same_request(self) -> None:
        """8.2.7: a retransmission gets the very same response; another request gets another tag."""
        invite = self.invite()
        first, again = self.refused(invite), self.refused(invite)
        self.assertEqual(first.octets(), again.octets())
        self.assertNotEqual(self.refused(self.invite()).to_tag, first.to_tag)
        self.assertEqual(self.here.delegation.counts.refused, 3)

    def test_its_ack_is_swallowed(self) -> None:
        """17.2.3: the ACK belongs to no transaction, and goes nowhere."""
        invite = self.invite()
        response = self.refused(invite)
        sent = len(self.network.sent)
        self.phone.acknowledge(invite, response, HERE)
        self.assertEqual(len(self.network.sent), sent + 1)
        self.assertEqual(self.phone.words(), [])

    def test_only_the_client_itself_is_told_when_to_come_back(self) -> None:
        """A proxy that is told keeps all its clients away (21.5.4)."""
        invite = self.invite(fields=[SECOND_VIA])
        response = self.refused(invite)
        self.assertFalse(response.has("Retry-After"))
        self.assertEqual(len(response.vias), 2)

    def test_nothing_of_a_call_under_way(self) -> None:
        """An INVITE within a dialog is never refused for want of room."""
        self.phone.say(self.invite(to="<sip:100@192.0.2.1>;tag=there"), HERE)
        self.assertEqual(self.phone.words(), ["481 INVITE"])

    def test_a_lease_is_a_slot(self) -> None:
        """A client that was promised a slot has it, in its Request-URI or by its address and whom it calls."""
        for uri in ("sip:100@192.0.2.1;lease={}", "sip:100@192.0.2.1"):
            lease = self.lease(self.here, "sip:100@192.0.2.1")
            invite = self.invite(uri.format(lease), call_id=uri)
            self.phone.say(invite, HERE)
            self.gateway.answer(self.gateway.asked("INVITE"), 486)
            self.gateway.asked("ACK")
            self.phone.told(486)

    def test_an_invite_for_another_node_is_passed_on(self) -> None:
        """Its Request-URI names the member, which decides."""
        member = Peer(self.network, MEMBER)
        self.phone.say(self.invite("sip:100@192.0.2.2"), HERE)
        member.answer(member.asked("INVITE"), 404)

    def test_what_is_wrong_is_said_first(self) -> None:
        """What cannot be served at all is told so, whether there is room or not."""
        for number, (fields, status) in enumerate(
            [
                ([("Proxy-Require", "x")], 420),
                ([("PROXY-require", "x")], 420),
                ([("Route", "<sip:203.0.113.1;lr>"), SECOND_VIA], 403),
            ]
        ):
            self.phone.say(self.invite(call_id=str(number), fields=fields), HERE)
            self.phone.told(status)
        invite = self.invite()
        invite.set("Max-Forwards", "0")
        self.phone.say(invite, HERE)
        self.phone.told(483)

    def test_a_loop_is_told_as_one(self) -> None:
        """16.3 item 4: a Via of this node's is looked at by who knows its own."""
        before = self.transactions()
        self.phone.say(self.invite(fields=[("Via", "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKours")]), HERE)
        self.phone.told(503)
        self.assertEqual(self.transactions(), before + 1)

    def test_whatever_is_not_plain_is_read(self) -> None:
        """Any other spelling takes the long way, and gets its answer there."""
        plain = self.invite().octets()
        via = b"Via: SIP/2.0/UDP 198.51.100.7:5060"
        self.assertIn(via, plain)
        for number, (old, new, expected) in enumerate(
            [
                (via, b"Via: SIP/2.0/UDP [2001:db8::7]:5060", b"503"),
                (via, b"via : SIP / 2.0 / UDP 198.51.100.7:5060", b"503"),
                (b";rport", b";rport=9", b"503"),
                (b"sip:100@192.0.2.1 SIP", b"tel:100 SIP", b"503"),
                (b"Call-ID: call-1", b"Call-ID:\r\n call-1", b"503"),
                (b"Call-ID: call-1\r\n", b"", b"400"),
                (b"CSeq: 1 INVITE", b"CSeq: 1 BYE", b"400"),
                (b"Max-Forwards: 70", b"f: <sip:x@y>;tag=z", b"400"),
                (b"Max-Forwards: 70", b"Max-Forwards", b"400"),
                (b"Max-Forwards: 70", b"X: a\nb", b"400"),
            ]
        ):
            self.assertIn(old, plain)
            octets = plain.replace(old, new, 1).replace(b"z9hG4bKalice", b"z9hG4bK%dx" % number)
            sent = len(self.network.sent)
            self.phone.say(octets, HERE)
            answers = [octets for source, _, octets in self.network.sent[sent + 1 :] if source == HERE]
            self.assertEqual([answer.split(b" ")[1] for answer in answers], [expected], octets)
            self.phone.heard.clear()
            self.phone.malformed.clear()

    def test_what_is_undecided_is_not_refused(self) -> None:
        """A retransmission of an INVITE that is being decided about belongs to that transaction."""
        asks = self.introduce(self.here, "spare", ("192.0.2.3", 5060))
        invite = self.invite()
        self.phone.say(invite, HERE)
        self.assertEqual(len(asks.sent), 1)
        self.here.members.learn(Load("spare", 1, 2, 1.0, 100.0, FULL), self.clock.seconds())
        self.phone.say(invite, HERE)
        self.assertEqual(self.phone.words(), [])
        asks.sent[0].answer.cancel()
        self.phone.words()

    def test_room_again(self) -> None:
        """The next INVITE is placed; a retransmission of one that was refused just now is refused like before."""
        invite = self.invite()
        self.refused(invite)
        asks = self.introduce(self.here, "spare", ("192.0.2.3", 5060))
        self.refused(invite)
        self.assertEqual(asks.sent, [])
        self.phone.say(self.invite(), HERE)
        self.assertEqual(len(asks.sent), 1)
        asks.sent[0].answer.cancel()
        self.phone.words()
        for _ in range(10):
            self.network.advance(1.0)
            self.here.members.heard(
                NodeIdentity("spare", {"sip/udp": ("192.0.2.3", 5060)}),
                Load("spare", 1, 3 + int(self.clock.seconds()), 0.0, 100.0),
                self.clock.seconds(),
            )
        self.phone.say(invite, HERE)
        self.assertEqual(len(asks.sent), 2)
        asks.sent[1].answer.cancel()
        self.phone.words()


class StrangerTests(SipNetTestCase):
    """Somebody who may not call at all."""

    def test_is_told_so(self) -> None:
        """403, not a time to come back."""
        node = self.node(limit=0, access=config.AccessSettings(open=False))
        stranger = Peer(self.network, STRANGER)
        node.sip._refusals.open = True  # type: ignore[union-attr]  # as after a refusal of somebody who may call
        stranger.say(stranger.request("INVITE", "sip:100@192.0.2.1"), HERE)
        stranger.told(403)


class OpensCallTests(SipNetTestCase):
    """What is dropped unread by a node that is too late for anybody."""

    def test_an_invite_without_a_to_tag(self) -> None:
        """In any spelling of To; everything else ends calls, or tells of calls under way."""
        octets = self.phone.request("INVITE", "sip:100@192.0.2.1").octets()
        self.assertTrue(opens_call(octets))
        for to in (b"To: <sip:1@h>;tag=x", b"t:<sip:1@h>;x=y;TAG=x", b"TO : sip:1@h ; tag=x"):
            self.assertFalse(opens_call(octets.replace(b"To: <sip:100@192.0.2.1>", to)), to)
        self.assertFalse(opens_call(octets.replace(b"INVITE", b"BYE")))
