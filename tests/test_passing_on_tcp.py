"""A client on TCP that does not follow a redirect: the node that it called stays in the way of its call."""

from __future__ import annotations

from typing import Any

from tests.sipnet import HERE, MEMBER, PHONE
from tests.test_sip_transports import TCP_HERE, TCP_MEMBER, TcpPeer, TransportTestCase
from voipshift import config, tap
from voipshift.node import Acceptance, Load, NodeIdentity
from voipshift.sip.message import Request

DOORS = {"sip/udp": MEMBER, "sip/tcp": TCP_MEMBER}
SECOND = ("192.0.2.1", 5063)
PROXY = "<sip:198.51.100.1:5060;transport=tcp;lr>"


class PassedOnOverTcpTests(TransportTestCase):
    """A pure portal on UDP and TCP, and a member that accepts."""

    def setUp(self) -> None:
        super().setUp()
        self.member = TcpPeer(self.tcp, TCP_MEMBER, "member")

    def both(self, *more: config.SipListen, gateways: Any = (), **how: Any) -> tap.Node:
        """Start the portal, which redirects nobody."""
        how.setdefault("limit", 0)
        made = super().both(*more, gateways=gateways, **how)
        made.clientele.clients._otherwise = "never"
        return made

    def arrived(self, **more: Any) -> Request:
        """The caller's INVITE as the member gets it."""
        asks = self.meet(self.nodes[0], DOORS)
        to = more.pop("to_port", TCP_HERE)
        self.say(self.caller, self.caller.request("INVITE", "sip:100@192.0.2.1:5062;transport=tcp", **more), to)
        accepted = Acceptance(NodeIdentity("member", DOORS), "ab" * 16, (Load("member", 1, 2, 0.1, 100.0, 0),), 1)
        asks.sent[0].answer.callback(accepted)
        self.settle()
        return self.member.asked("INVITE")

    def test_the_node_stays_in_the_way(self) -> None:
        """Its Record-Route leads into the caller's connection; requests go through it in either direction."""
        self.both()
        invite = self.arrived()
        self.assertEqual(invite.uri, f"sip:100@192.0.2.2:5062;transport=tcp;lease={'ab' * 16}")
        (recorded,) = invite.values("Record-Route")
        self.assertIn("<sip:192.0.2.1:5062;transport=tcp;lr;flow=198.51.100.7-5060-1-", recorded)
        carried = invite.copy()
        carried.prepend("Record-Route", "<sip:192.0.2.2:5062;transport=tcp;lr>")
        self.say(self.member, carried.response(200, to_tag="m", fields=[("Contact", self.member.contact)]), TCP_HERE)
        answer = self.caller.told(200)
        self.say(self.caller, self.caller.within("ACK", answer, 1), TCP_HERE)
        self.assertEqual(self.member.asked("ACK").values("Route"), ["<sip:192.0.2.2:5062;transport=tcp;lr>"])
        self.say(self.caller, self.caller.within("INFO", answer, 2), TCP_HERE)
        self.say(self.member, self.member.asked("INFO").response(200), TCP_HERE)
        self.caller.told(200, "INFO")
        bye = self.member.back("BYE", invite, tag="m")
        self.say(self.member, bye, TCP_HERE)
        self.say(self.caller, self.caller.asked("BYE").response(200), TCP_HERE)
        self.member.told(200, "BYE")
        self.assertEqual(len(self.nodes[0].table), 0)

    def test_a_caller_behind_a_proxy_of_its_own(self) -> None:
        """Requests for it go by the connection that the INVITE came by, and keep the Route beyond."""
        self.both()
        invite = self.arrived(fields=[("Record-Route", PROXY)])
        self.assertEqual(len(invite.values("Record-Route")), 2)
        self.say(self.member, self.member.back("BYE", invite, tag="m"), TCP_HERE)
        self.assertEqual(self.caller.asked("BYE").values("Route"), [PROXY])

    def test_two_record_routes_where_the_interface_changes(self) -> None:
        """One for either side."""
        self.both(config.SipListen("tcp", SECOND))
        invite = self.arrived(to_port=SECOND)
        recorded = invite.values("Record-Route")
        self.assertIn("<sip:192.0.2.1:5062;transport=tcp;lr;flow=198.51.100.7-5060-2-", recorded[0])
        self.assertEqual(recorded[1:], ["<sip:192.0.2.1:5063;transport=tcp;lr>"])

    def test_a_large_invite_of_a_client_on_udp(self) -> None:
        """It goes on by TCP (18.1.1), which the client may not have: its side of this node stays UDP."""
        self.both()
        asks = self.meet(self.nodes[0], DOORS)
        self.say(self.phone, self.phone.request("INVITE", "sip:100@192.0.2.1", body=b"x" * 1200), HERE)
        accepted = Acceptance(NodeIdentity("member", DOORS), "ab" * 16, (Load("member", 1, 2, 0.1, 100.0, 0),), 1)
        tcp_member = TcpPeer(self.tcp, MEMBER, "member")
        asks.sent[0].answer.callback(accepted)
        self.settle()
        invite = tcp_member.asked("INVITE")
        self.assertEqual(invite.via.transport, "TCP")
        self.assertTrue(self.seals.is_marked(invite))
        self.assertIn("<sip:192.0.2.1:5060;lr;flow=198.51.100.7-5060-0-", invite.values("Record-Route")[0])
        self.say(tcp_member, tcp_member.back("BYE", invite, tag="m"), TCP_HERE)
        self.assertEqual(self.phone.asked("BYE").values("Route"), [])

    def test_a_connection_that_is_gone(self) -> None:
        """430: nobody else can reach that caller."""
        self.both()
        invite = self.arrived()
        self.tcp.cut.add(PHONE)
        self.say(self.member, self.member.back("BYE", invite, tag="m"), TCP_HERE)
        self.member.told(430, "BYE")

    def tearDown(self) -> None:
        self.network.advance(40)
        super().tearDown()
