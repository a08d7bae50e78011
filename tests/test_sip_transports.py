"""Whole nodes that listen to UDP and TCP, on a network in memory: doors, routes, sizes (RFC 3261 18.1.1, RFC 5658)."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from tests.sipnet import GATEWAY, HERE, MEMBER, PHONE, SPARE, Network, Peer, SipNetTestCase, settings, word
from voipshift import config, tap
from voipshift.node import Acceptance, Address, Load, NodeIdentity
from voipshift.sip.message import Request, Response
from voipshift.sip.server import SipServer
from voipshift.sip.transaction import Hop
from voipshift.wiring import tcp

TCP_HERE = ("192.0.2.1", 5062)
TCP_MEMBER = ("192.0.2.2", 5062)
LARGE = b"x" * 1300


class Streams:
    """In place of the stream door: messages arrive whole, whoever is there can be connected to."""

    def __init__(self, network: Network, sip: SipServer) -> None:
        self.network = network
        self.sip = sip
        self.ports: dict[int, Any] = {}

    def listen(self, listener: int, address: Address, credentials: object) -> None:
        self.ports[listener] = self.network.open_port(address, partial(self.sip.received, listener))

    def start(self) -> None:
        """Messages are handed over at once."""

    def stop(self) -> None:
        for port in self.ports.values():
            port.stop()

    def is_open(self, hop: Hop) -> bool:
        return hop.listener in self.ports and (hop.host, hop.port) not in self.network.cut

    def send(self, listener: int, octets: bytes, address: Address) -> None:
        if address in self.network.cut:
            self.network.clock.callLater(0.01, self.sip.undelivered, listener, octets)
        else:
            self.ports[listener].send(octets, address)


class TcpPeer(Peer):
    """A peer that says so in its Via and Contact."""

    def request(self, method: str, uri: str, **how: Any) -> Request:
        made = super().request(method, uri, **how)
        via = made.get("Via") or ""
        made.set("Via", via.replace("/UDP", "/TCP"))
        return made


class TransportTestCase(SipNetTestCase):
    """A phone at TCP, another at UDP, gateways at either, and a node with both."""

    def setUp(self) -> None:
        super().setUp()
        self.tcp = Network(self.clock)
        self.patch(tcp, "streams_of", lambda settings, reactor, sip, trusted, domain_of: Streams(self.tcp, sip))
        self.caller = TcpPeer(self.tcp, PHONE)
        self.far = TcpPeer(self.tcp, GATEWAY, "100")

    def both(self, *more: config.SipListen, gateways: Any = ((GATEWAY, "udp"),), **how: Any) -> tap.Node:
        """Start a node that listens to both."""
        made = settings("here", (HERE,), **how)
        listen = (*made.sip.listen, config.SipListen("tcp", TCP_HERE), *more)
        reached = tuple(config.GatewaySettings(address=at, transport=transport) for at, transport in gateways)
        node = tap.Node(replace(made, sip=replace(made.sip, listen=listen), gateways=reached), self.clock)
        node.startService()
        self.nodes.append(node)
        return node

    def settle(self) -> None:
        """Let everything arrive, on both networks."""
        for _ in range(8):
            self.tcp.settle()
            self.network.settle()

    def say(self, peer: Peer, message: Request | Response, to: Address) -> None:
        """Send a message, and let everything happen that comes of it."""
        peer.say(message, to)
        self.settle()

    def meet(self, node: tap.Node, doors: dict[str, Address]) -> Any:
        """Let a node know a member with those doors, and remember what it asks."""
        asks = self.introduce(node, "other", ("192.0.2.3", 5060), 1.0)
        node.members.heard(NodeIdentity("member", doors), Load("member", 1, 1, 0.0, 100.0, 0), self.clock.seconds())
        return asks


class TransportTests(TransportTestCase):
    """What a node does by each transport."""

    def test_doors(self) -> None:
        """The group is told of each transport, and of each further address."""
        node = self.both(config.SipListen("tcp", ("192.0.2.1", 5063)), config.SipListen("udp", ("192.0.2.1", 5064)))
        doors = {"sip/udp": HERE, "sip/tcp": TCP_HERE, "sip/tcp/second": ("192.0.2.1", 5063)}
        self.assertEqual(node.identity.doors, {**doors, "sip/udp/second": ("192.0.2.1", 5064)})

    def test_redirected_over_tcp(self) -> None:
        """The attempt has the client's door, and the Contact is the member's address of that door."""
        node = self.both(limit=0)
        asks = self.meet(node, {"sip/udp": MEMBER, "sip/tcp": TCP_MEMBER})
        self.say(self.caller, self.caller.request("INVITE", "sip:100@192.0.2.1:5062;transport=tcp"), TCP_HERE)
        asked = asks.sent[0]
        self.assertEqual((asked.name, asked.attempt.door), ("member", "sip/tcp"))
        identity = NodeIdentity("member", {"sip/udp": MEMBER, "sip/tcp": TCP_MEMBER})
        load = Load("member", 1, 2, 0.1, 100.0, 0)
        asked.answer.callback(Acceptance(identity, "ab" * 16, (load,), 1))
        self.settle()
        answer = self.caller.told(302)
        lease = "ab" * 16
        self.assertEqual(answer.get("Contact"), f"<sip:100@192.0.2.2:5062;transport=tcp;lease={lease}>")

    def test_a_member_without_the_door_is_not_asked(self) -> None:
        """It could not serve the client."""
        node = self.both(limit=0)
        asks = self.meet(node, {"sip/udp": MEMBER})
        self.say(self.caller, self.caller.request("INVITE", "sip:100@192.0.2.1:5062;transport=tcp"), TCP_HERE)
        self.caller.told(503)
        self.assertEqual(asks.sent, [])

    def test_identify_self(self) -> None:
        """The second port is one of the same transport."""
        second = config.SipListen("tcp", ("192.0.2.1", 5063))
        self.both(config.SipListen("udp", ("192.0.2.1", 5064)), second, identify_self=True)
        self.say(self.caller, self.caller.request("INVITE", "sip:100@192.0.2.1:5062"), TCP_HERE)
        contact = self.caller.told(302).get("Contact") or ""
        self.assertTrue(contact.startswith("<sip:100@192.0.2.1:5063;transport=tcp;lease="), contact)

    def test_nothing_is_repeated_over_tcp(self) -> None:
        """Timers A and G run over unreliable transports only."""
        self.both(gateways=((GATEWAY, "tcp"),))
        self.say(self.caller, self.caller.request("INVITE", "sip:100@192.0.2.1:5062"), TCP_HERE)
        for _ in range(4):
            self.clock.advance(1.0)
            self.settle()
        self.assertEqual(self.far.words(), ["INVITE"])
        self.clock.advance(29.0)
        self.settle()
        self.assertEqual(self.caller.words(), ["100 INVITE", "408 INVITE"])
        for _ in range(4):
            self.clock.advance(1.0)
            self.settle()
        self.assertEqual(self.caller.words(), [])

    def test_a_call_from_tcp_to_udp(self) -> None:
        """Two Record-Routes, each end's own transport on its side; requests of the dialog pass both ways."""
        self.both()
        self.say(self.caller, self.caller.request("INVITE", "sip:100@192.0.2.1:5062"), TCP_HERE)
        invite = self.gateway.asked("INVITE")
        self.assertEqual(invite.via.sent_by, "192.0.2.1:5060")
        self.assertEqual(invite.via.transport, "UDP")
        ways = ["<sip:192.0.2.1:5060;lr>", "<sip:192.0.2.1:5062;transport=tcp;lr>"]
        self.assertEqual(invite.values("Record-Route"), ways)
        self.gateway.answer(invite, 200)
        self.settle()
        answer = self.caller.told(200)
        self.assertEqual(answer.values("Record-Route"), ways)
        self.say(self.caller, self.caller.within("ACK", answer, 1), TCP_HERE)
        ack = self.gateway.asked("ACK")
        self.assertEqual((ack.via.transport, ack.values("Route")), ("UDP", []))
        self.say(self.gateway, self.gateway.back("BYE", invite), HERE)
        bye = self.caller.asked("BYE")
        self.assertEqual((bye.via.transport, bye.via.sent_by, bye.values("Route")), ("TCP", "192.0.2.1:5062", []))
        self.caller.answer(bye, 200)
        self.settle()
        self.gateway.told(200, "BYE")
        self.assertEqual(len(self.nodes[0].table), 0)

    def test_one_record_route_where_nothing_changes(self) -> None:
        """TCP on both sides is one."""
        self.both(gateways=((GATEWAY, "tcp"),))
        self.say(self.caller, self.caller.request("INVITE", "sip:100@192.0.2.1:5062"), TCP_HERE)
        invite = self.far.asked("INVITE")
        self.assertEqual(invite.values("Record-Route"), ["<sip:192.0.2.1:5062;transport=tcp;lr>"])
        self.assertEqual(invite.uri, "sip:100@192.0.2.20:5060;transport=tcp")

    def test_large_goes_by_tcp(self) -> None:
        """A request over 1300 octets, its Via too, and its response comes back (18.1.1); a smaller one stays."""
        self.both()
        self.say(self.phone, self.phone.request("INVITE", "sip:100@192.0.2.1", body=LARGE), HERE)
        invite = self.far.asked("INVITE")
        self.assertEqual((invite.via.transport, invite.via.sent_by, invite.body), ("TCP", "192.0.2.1:5062", LARGE))
        self.far.answer(invite, 200)
        self.settle()
        self.phone.told(200)
        self.assertEqual(self.gateway.words(), [])
        self.say(self.phone, self.phone.request("INVITE", "sip:100@192.0.2.1", call_id="small"), HERE)
        self.gateway.asked("INVITE")

    def test_large_goes_by_udp_where_tcp_is_refused(self) -> None:
        """Its Via says so again, and it is repeated as any request over UDP."""
        self.both()
        self.tcp.cut.add(GATEWAY)
        self.say(self.phone, self.phone.request("INVITE", "sip:100@192.0.2.1", body=LARGE), HERE)
        self.clock.advance(0.01)
        self.settle()
        invite = self.gateway.asked("INVITE")
        self.assertEqual((invite.via.transport, invite.via.sent_by, invite.body), ("UDP", "192.0.2.1:5060", LARGE))
        self.network.advance(0.5)
        self.assertEqual(self.gateway.words(), ["INVITE"])
        self.gateway.answer(invite, 200)
        self.settle()
        self.assertEqual(self.phone.words(), ["100 INVITE", "200 INVITE"])
        # the next one is not kept waiting
        self.say(self.phone, self.phone.request("INVITE", "sip:100@192.0.2.1", call_id="next", body=LARGE), HERE)
        self.assertEqual(self.gateway.words(), ["INVITE"])

    def test_a_refused_gateway_is_passed_over(self) -> None:
        """What cannot be sent counts as 503 (16.9): the next one is tried at once."""
        self.both(gateways=((SPARE, "tcp"), (GATEWAY, "udp")))
        self.tcp.cut.add(SPARE)
        self.say(self.caller, self.caller.request("INVITE", "sip:100@192.0.2.1:5062"), TCP_HERE)
        self.clock.advance(0.01)
        self.settle()
        self.assertEqual([word(message) for message in self.gateway.heard], ["INVITE"])
        self.gateway.answer(self.gateway.asked("INVITE"), 486)
        self.settle()
        self.assertEqual(self.caller.words(), ["486 INVITE"])

    def test_nobody_is_left(self) -> None:
        """The last gateway's refusal is 500 for the caller (16.7 item 6)."""
        self.both(gateways=((GATEWAY, "tcp"),))
        self.tcp.cut.add(GATEWAY)
        self.say(self.caller, self.caller.request("INVITE", "sip:100@192.0.2.1:5062"), TCP_HERE)
        self.clock.advance(0.01)
        self.settle()
        self.assertEqual(self.caller.words(), ["500 INVITE"])
        self.assertEqual(len(self.nodes[0].table), 0)

    def test_the_ends_are_asked_by_their_transport(self) -> None:
        """OPTIONS of the prober: by the connection of the caller, by UDP to the gateway."""
        self.both(probe_interval_s=10.0)
        self.say(self.caller, self.caller.request("INVITE", "sip:100@192.0.2.1:5062"), TCP_HERE)
        self.gateway.answer(self.gateway.asked("INVITE"), 200)
        self.settle()
        self.caller.told(200)
        self.clock.advance(10.0)
        self.settle()
        for peer, transport in ((self.caller, "TCP"), (self.gateway, "UDP")):
            options = [each for each in peer.heard if isinstance(each, Request) and each.method == "OPTIONS"]
            self.assertEqual([each.via.transport for each in options], [transport])
            peer.heard.clear()

    def test_sips_goes_on_over_tls_alone(self) -> None:
        """A gateway without TLS would end what the caller was promised (RFC 5630); one with it gets a sips: URI."""
        self.both()
        self.say(self.caller, self.caller.request("INVITE", "sips:100@192.0.2.1:5062"), TCP_HERE)
        self.assertEqual(self.caller.words(), ["480 INVITE"])
        self.assertEqual((self.gateway.words(), len(self.nodes[0].table)), ([], 0))

    def test_sips_to_a_gateway_over_tls(self) -> None:
        """Only those over TLS are tried, and the Record-Route is a sips: URI, too."""
        secure = config.SipListen("tls", ("192.0.2.1", 5061))
        self.patch(tcp, "_credentials", lambda sip, listen: None)
        self.both(secure, gateways=((SPARE, "udp"), (GATEWAY, "tls")))
        self.say(self.caller, self.caller.request("INVITE", "sips:100@192.0.2.1:5061"), secure.address)
        invite = self.far.asked("INVITE")
        self.assertEqual((invite.uri, invite.via.transport), ("sips:100@192.0.2.20:5060", "TLS"))
        self.assertEqual(invite.values("Record-Route"), ["<sips:192.0.2.1:5061;lr>"])
