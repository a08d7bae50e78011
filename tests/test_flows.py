"""A client that only one node can reach is called through another (RFC 5626 section 5.2)."""

from __future__ import annotations

from ipaddress import ip_network

from tests.registrations import RegistrarTestCase
from tests.sipnet import HERE, HERE_TOO, MEMBER, STRANGER, Peer
from voipshift.node import Load, NodeIdentity
from voipshift.sip.message import parse
from voipshift.sip.transaction import Hop
from voipshift.tap import Node

BOB = ("198.51.100.20", 40000)
ALL = (ip_network("0.0.0.0/0"),)
INSIDE = "<sip:bob@10.0.0.5:5060>"


class FlowTest(RegistrarTestCase):
    """Bob is behind a NAT and registered at the node ``member``; calls are carried by the node ``here``."""

    def setUp(self) -> None:
        super().setUp()
        self.here = self.registrar(trusted=ALL)
        self.member = self.registrar(MEMBER, name="member", trusted=ALL)
        self.meet()
        self.bob = Peer(self.network, BOB, "bob")
        asked = self.bob.request(
            "REGISTER", "sip:192.0.2.2", sender="<sip:bob@192.0.2.2>;tag=1", to="<sip:bob@192.0.2.2>", contact=INSIDE
        )
        asked.set("Via", "SIP/2.0/UDP 10.0.0.5:5060;branch=z9hG4bKnat;rport")
        self.bob.say(asked, MEMBER)
        self.bob.told(200, "REGISTER")
        self.network.sent.clear()

    def meet(self) -> None:
        """Let the two nodes have heard of each other just now."""
        for node, name, place in ((self.here, "member", MEMBER), (self.member, "here", HERE)):
            self.heard(node, name, place)

    def heard(self, node: Node, name: str, place: tuple[str, int]) -> None:
        load = Load(name, 1, int(self.clock.seconds()) + 1, 0.9, 100.0)
        node.members.heard(NodeIdentity(name, {"sip/udp": place}), load, self.clock.seconds())

    def test_a_whole_call(self) -> None:
        """INVITE, ACK, a BYE from either end: all by the node that holds the flow, which carries no call itself."""
        for number, ending in enumerate(("phone", "bob")):
            self.phone.say(self.phone.request("INVITE", "sip:bob@192.0.2.1", call_id=f"c{number}"), HERE)
            invite = self.bob.asked("INVITE")
            self.assertEqual(invite.uri, "sip:bob@10.0.0.5:5060")
            self.assertEqual([via.address for via in invite.vias][:2], [MEMBER, HERE])
            self.assertEqual((len(self.here.table), len(self.member.table)), (1, 0))
            self.bob.say(invite.response(180, to_tag="there", fields=[("Contact", INSIDE)]), MEMBER)
            self.bob.say(invite.response(200, to_tag="there", fields=[("Contact", INSIDE)]), MEMBER)
            self.phone.told(180)
            answer = self.phone.told(200)
            self.phone.say(self.phone.within("ACK", answer, 1), HERE)
            self.bob.asked("ACK")
            if ending == "phone":
                self.phone.say(self.phone.within("BYE", answer), HERE)
                self.bob.say(self.bob.asked("BYE").response(200), MEMBER)
                self.phone.told(200, "BYE")
            else:
                self.bob.say(self.bob.back("BYE", invite), MEMBER)
                self.phone.answer(self.phone.asked("BYE"), 200)
                self.bob.told(200, "BYE")
            self.assertEqual(len(self.here.table), 0)
        talked = {source for source, to, _ in self.network.sent if to == BOB}
        self.assertEqual(talked, {MEMBER}, "nobody else can reach it")

    def test_a_holder_that_trusts_nobody(self) -> None:
        """A member's Route into a flow needs no password."""
        self.member.stopService()
        self.nodes.remove(self.member)
        self.user("bob")
        self.member = self.registrar(MEMBER, name="member")
        self.meet()
        self.phone.say(self.phone.request("INVITE", "sip:bob@192.0.2.1"), HERE)
        self.bob.asked("INVITE")

    def test_a_cancelled_call(self) -> None:
        """CANCEL takes the same way."""
        invite = self.phone.request("INVITE", "sip:bob@192.0.2.1")
        self.phone.say(invite, HERE)
        asked = self.bob.asked("INVITE")
        self.bob.say(asked.response(180, to_tag="there"), MEMBER)
        self.phone.told(180)
        cancel = self.phone.request("CANCEL", "sip:bob@192.0.2.1", contact="")
        cancel.set("Via", invite.get("Via") or "")
        self.phone.say(cancel, HERE)
        self.bob.say(self.bob.asked("CANCEL").response(200), MEMBER)
        self.bob.say(asked.response(487, to_tag="there"), MEMBER)
        self.assertEqual(self.phone.words(), ["200 CANCEL", "487 INVITE"])

    def test_a_message_into_the_flow(self) -> None:
        """By the node that holds the flow, which needs no password of ours."""
        self.phone.say(self.phone.request("MESSAGE", "sip:bob@192.0.2.1", contact="", body=b"hello"), HERE)
        message = self.bob.asked("MESSAGE")
        self.assertEqual((message.body, [via.address for via in message.vias][:2]), (b"hello", [MEMBER, HERE]))
        self.bob.say(message.response(200, to_tag="there"), MEMBER)
        self.phone.told(200, "MESSAGE")

    def test_a_subscription_through_the_flow(self) -> None:
        """SUBSCRIBE, the NOTIFY before and after its answer, and a refresh by either route."""
        self.phone.say(self.phone.request("SUBSCRIBE", "sip:bob@192.0.2.1", fields=[("Expires", "600")]), HERE)
        asked = self.bob.asked("SUBSCRIBE")
        state = ("Subscription-State", "active;expires=600")
        routes = [("Route", value) for value in asked.values("Record-Route")]
        self.bob.say(self.bob.back("NOTIFY", asked, fields=[*routes, state], contact=INSIDE), MEMBER)
        notify = self.phone.asked("NOTIFY")
        self.phone.answer(notify, 200)
        self.bob.told(200, "NOTIFY")
        accepted = [("Record-Route", value) for value in asked.values("Record-Route")]
        accepted += [("Contact", INSIDE), ("Expires", "600")]
        self.bob.say(asked.response(200, to_tag="there", fields=accepted), MEMBER)
        answer = self.phone.told(200, "SUBSCRIBE")
        self.phone.say(self.phone.within("SUBSCRIBE", answer), HERE)
        self.bob.say(self.bob.asked("SUBSCRIBE").response(200, fields=[("Expires", "600")]), MEMBER)
        self.phone.told(200, "SUBSCRIBE")
        # A subscriber that takes its route from the NOTIFY, as RFC 6665 section 4.4.1 has it.
        self.phone.say(self.phone.back("SUBSCRIBE", notify, 3, tag="alice"), HERE)
        self.bob.asked("SUBSCRIBE")
        talked = {source for source, to, _ in self.network.sent if to == BOB}
        self.assertEqual(talked, {MEMBER}, "nobody else can reach it")

    def test_a_node_that_is_gone(self) -> None:
        """Nobody else can reach its clients: the call goes where it would without them."""
        self.network.advance(10)
        self.phone.say(self.phone.request("INVITE", "sip:bob@192.0.2.1"), HERE)
        self.gateway.asked("INVITE")

    def test_strangers_find_no_way_in(self) -> None:
        """The Route into a flow is believed with the group's seal alone, wherever it comes from."""
        stranger = Peer(self.network, STRANGER, "mallory")
        for sender in (stranger, Peer(self.network, HERE_TOO, "mallory")):
            for seal in ("", "-", f"-{'0' * 40}"):
                route = [("Route", f"<sip:192.0.2.2;lr;flow={BOB[0]}-{BOB[1]}-0{seal}>")]
                sender.say(sender.request("INVITE", "sip:100@10.0.0.5:5060", call_id=seal, fields=route), MEMBER)
                sender.say(
                    sender.request("BYE", "sip:bob@10.0.0.5", to="<sip:b@b>;tag=1", call_id=seal, fields=route), MEMBER
                )
        self.assertEqual(self.bob.words(), [])
        self.assertIn("481 BYE", stranger.words())

    def test_a_route_that_was_captured_opens_no_other_call(self) -> None:
        """Its seal is for the call that it was written for."""
        self.phone.say(self.phone.request("INVITE", "sip:bob@192.0.2.1"), HERE)
        self.bob.asked("INVITE")
        captured = next(parse(octets) for source, to, octets in self.network.sent if (source, to) == (HERE, MEMBER))
        stranger = Peer(self.network, STRANGER, "mallory")
        route = [("Route", captured.values("Route")[0])]
        stranger.say(stranger.request("INVITE", "sip:100@10.0.0.5:5060", call_id="other", fields=route), MEMBER)
        self.assertEqual(self.bob.words(), [])

    def test_a_flow_that_cannot_be(self) -> None:
        """430."""
        other = Peer(self.network, STRANGER, "other")
        asked = other.request("INVITE", "sip:bob@10.0.0.5")
        route = self.seals.route("<sip:192.0.2.2;lr>", MEMBER, Hop(*BOB, 7), asked)
        asked.prepend("Route", route)
        other.say(asked, MEMBER)
        self.assertEqual(other.words(), ["430 INVITE"])
