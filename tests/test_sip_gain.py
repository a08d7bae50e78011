"""No stranger gets more than twice what he sent: what could be left out is left out, or nothing is said."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network

from tests.registrations import RegistrarTestCase, authorized
from tests.sip_wire import CLIENT, LayerTestCase, made, only, statuses
from tests.sipnet import HERE, MEMBER, PHONE, Peer, SipNetTestCase
from voipshift.config import AccessSettings
from voipshift.node import Acceptance, Address, NodeIdentity
from voipshift.sip.effects import Requested
from voipshift.sip.gain import MOST_GAIN, UNBOUNDED
from voipshift.sip.message import Request, parse
from voipshift.sip.transaction import ServerTransaction

#: Somebody whose address is long, so that much must be said of where he is.
FAR: Address = ("2001:db8:1111:2222:3333:4444:5555:6666", 50600)
METHODS = ("INVITE", "OPTIONS", "REGISTER", "MESSAGE", "SUBSCRIBE", "BYE", "PUBLISH", "CANCEL", "D")


def short(
    method: str, number: int, *, uri: str = "sip:1@192.0.2.1", via: str = "a", more: str = "", cut: str = ""
) -> bytes:
    """As short a request as can be."""
    lines = (
        f"{method} {uri} SIP/2.0", f"v: SIP/2.0/UDP {via};branch=z9hG4bK{number};rport", "f:a:b;tag=1", "t:a:b",
        f"i:{number}", f"CSeq:1 {method}", *([more] if more else ()), "", "",
    )  # fmt: skip
    return "\r\n".join(line for line in lines if not cut or not line.startswith(cut)).encode()


class LayerTests(LayerTestCase):
    """What the layer says, and what it does not."""

    def invited_by_a_stranger(self, most: int) -> ServerTransaction:
        """An INVITE arrives, whose answer may be so long."""
        effects = self.layer.receive_request(made("INVITE"), CLIENT, self.now, most=most)
        return only(effects, Requested).transaction

    def test_a_response_of_ours_is_not_sent(self) -> None:
        """It is not repeated either, nor sent to whoever repeats the request; the transaction ends as ever."""
        invite = self.invited_by_a_stranger(100)
        self.assertEqual(self.times(1.0), ([], []), "100 would be too long, too")
        self.assertEqual(self.respond(invite, 302), [])
        self.assertEqual(self.layer.receive_request(made("INVITE"), CLIENT, self.now, most=100), [])
        self.assertEqual(self.times(), ([], [(33.0, "Ended")]))
        self.assertEqual(self.layer.counts["silent"], 2)
        self.assert_over()

    def test_a_response_of_somebody_else_is(self) -> None:
        """What the far end says is as long as it is."""
        invite = self.invited_by_a_stranger(100)
        relayed = parse(invite.request.response(180, to_tag="t1").octets())
        assert not isinstance(relayed, Request)
        self.assertFalse(relayed.copy().ours)
        self.assertEqual(statuses(self.layer.respond(invite, relayed, self.now)), [180])

    def test_an_answer_that_another_node_has_sent(self) -> None:
        """It is kept, but not if it is too long to be repeated."""
        for most, kept in ((100, False), (1000, True)):
            invite = self.invited_by_a_stranger(most)
            self.layer.keep(invite, invite.request.response(302, to_tag="t1"), self.now)
            self.assertEqual(invite.sent is not None, kept)
            self.step(self.now + 40)

    def test_a_shorter_request_is_no_retransmission(self) -> None:
        """What was told to a long request is not told again to a short one that pretends to be the same."""
        invite = self.invited_by_a_stranger(1000)
        self.assertEqual(statuses(self.respond(invite, 404)), [404])
        for most, said in ((1000, [404]), (998, [])):
            effects = self.layer.receive_request(made("INVITE"), CLIENT, self.now, most=most)
            self.assertEqual(statuses(effects), said)

    def test_who_became_known_may_repeat_his_request(self) -> None:
        """What he is told again may be long."""
        invite = self.invited_by_a_stranger(100)
        invite.most = UNBOUNDED
        self.assertEqual(statuses(self.respond(invite, 404)), [404])
        effects = self.layer.receive_request(made("INVITE"), CLIENT, self.now, most=100)
        self.assertEqual(statuses(effects), [404])

    def test_without_a_transaction(self) -> None:
        """The reason goes first, then the whole answer."""
        request = made("INVITE")
        whole, bare = (
            len(self.layer.answer_statelessly(request, CLIENT, 400, reason)[0].octets)  # type: ignore[union-attr]
            for reason in ("a body shorter than its Content-Length", "")
        )
        for most, length in ((whole, [whole]), (whole - 1, [bare]), (bare, [bare]), (bare - 1, [])):
            effects = self.layer.answer_statelessly(
                request, CLIENT, 400, "a body shorter than its Content-Length", most=most
            )
            self.assertEqual([len(effect.octets) for effect in effects], length)  # type: ignore[union-attr]


class NodeTests(RegistrarTestCase):
    """What whole nodes say to strangers and to others."""

    def setUp(self) -> None:
        super().setUp()
        self.far = Peer(self.network, FAR)
        self.user()

    def hear(self, peer: Peer, asked: bytes, patience_s: float = 70.0) -> list[bytes]:
        """Say something; what comes back within that time."""
        before = len(self.network.sent)
        peer.say(asked, HERE)
        self.network.advance(patience_s)
        peer.heard.clear()
        return [octets for _, to, octets in self.network.sent[before:] if to == peer.address]

    def requests(self) -> Iterator[bytes]:
        """Short ones of each kind, and some with which something is wrong."""
        number = 0
        for method in METHODS:
            for more in ("", "Proxy-Require:x", "Max-Forwards:0", "Require:x", "Route:<sip:203.0.113.9;lr>", "l:9"):
                for cut in ("", "f", "i", "CSeq"):
                    number += 1
                    yield short(method, number, more=more, cut=cut)
        for uri in ("x:y", "sip:", "sip:1@192.0.2.1", "sip:1@192.0.2.2", "tel:1", "<sip:1@192.0.2.1>"):
            for via in ("a", 'a;oc;oc-algo="loss"'):
                for method in ("INVITE", "D"):
                    number += 1
                    yield short(method, number, uri=uri, via=via)

    def assert_bounded(self, patience_s: float = 70.0) -> int:
        """No datagram is longer than may be; how many there were."""
        heard = 0
        for asked in self.requests():
            for octets in self.hear(self.far, asked, patience_s):
                heard += 1
                self.assertLessEqual(len(octets), MOST_GAIN * len(asked), (asked, octets))
        return heard

    def test_where_everybody_may_call(self) -> None:
        """An open node, which answers most of it."""
        node = self.node(gateways=(), access=AccessSettings(open=True))
        self.assertGreater(self.assert_bounded(), 100)
        self.assertGreater(node.sip.layer.counts["silent"], 0)

    def test_where_users_have_passwords(self) -> None:
        """Challenges are bounded, too; where there is no room for one it is 403, or nothing."""
        self.registrar()
        self.assertGreater(self.assert_bounded(), 100)

    def test_where_nobody_has_room(self) -> None:
        """Refused the long way, and unread."""
        node = self.node(limit=0, access=AccessSettings(open=True))
        self.introduce(node, occupancy=1.0)
        self.assertGreater(self.assert_bounded(0.0), 100)

    def test_whoever_is_trusted_is_answered(self) -> None:
        """No request of theirs is left without its answer."""
        self.node(gateways=(), access=AccessSettings(open=True, trusted=(ip_network(FAR[0]),)))
        self.assertEqual(len(self.hear(self.far, short("D", 1, uri="x:y"))), 1)
        (answer,) = self.hear(self.far, short("OPTIONS", 2, uri="sip:192.0.2.1"))
        self.assertIn(b"\r\nAllow: ", answer)

    def test_users_are_answered_in_full(self) -> None:
        """Whoever has given his password is no stranger: all his bindings are listed."""
        self.registrar()
        contacts = ",".join(f"<sip:alice@198.51.100.{number}:5060>" for number in range(20, 40))
        asked = self.phone.request("REGISTER", "sip:192.0.2.1", to="<sip:alice@192.0.2.1>", contact=contacts)
        self.phone.say(asked, HERE)
        again = authorized(asked, self.phone.told(401, "REGISTER"))
        self.phone.say(again, HERE)
        self.assertEqual(len(self.phone.told(200, "REGISTER").values("Contact")), 20)
        listing = self.phone.request("REGISTER", "sip:192.0.2.1", to="<sip:alice@192.0.2.1>", contact="", number=5)
        self.phone.say(listing, HERE)
        again = authorized(listing, self.phone.told(401, "REGISTER"), number=6)
        self.phone.say(again, HERE)
        self.assertEqual(len(self.phone.told(200, "REGISTER").values("Contact")), 20)

    def test_a_telephone_of_just_anybody_hears_of_its_own_binding_first(self) -> None:
        """Where anybody may register there may be no room for all bindings; that of the request is there."""
        self.registrar(users=None, open=True)
        for number in range(20):
            peer = Peer(self.network, ("198.51.100.90", 6000 + number))
            register = peer.request("REGISTER", "sip:192.0.2.1", to="<sip:alice@192.0.2.1>", call_id=f"c{number}")
            peer.say(register, HERE)
            answer = peer.told(200, "REGISTER")
            self.assertTrue((answer.get("Contact") or "").startswith(peer.contact))
            self.assertLessEqual(len(answer.octets()), MOST_GAIN * len(register.octets()))


class RedirectTests(SipNetTestCase):
    """A 302 can be longer than half a short request."""

    def test_a_short_request_is_passed_on(self) -> None:
        """It reaches the member that accepted all the same, and its sender sees a proxy."""
        asks = self.introduce(self.node(limit=0))
        member = Peer(self.network, MEMBER)
        for number, more, redirected in ((1, "", False), (2, "Subject:" + 200 * "x", True)):
            asked = short("INVITE", number, more=more)
            self.phone.say(asked, HERE)
            asks.sent[-1].answer.callback(Acceptance(NodeIdentity("member", {"sip/udp": MEMBER}), "0" * 32, (), 1))
            self.network.settle()
            if redirected:
                self.assertLessEqual(len(self.phone.told(302).octets()), MOST_GAIN * len(asked))
            else:
                self.assertIn("lease=" + "0" * 32, member.asked("INVITE").uri)
        self.assertEqual((self.phone.words(), PHONE), ([], self.phone.address))

    def test_a_stranger_is_told_once(self) -> None:
        """A forged source gets one 302, and one more for each request; a trusted one gets it until its ACK."""
        for trusted, words in (((), ["302 INVITE"] * 2), ((ip_network(PHONE[0]),), ["302 INVITE"] * 5)):
            node = self.node(HERE, name=f"n{len(trusted)}", limit=0, trusted=trusted)
            asks = self.introduce(node)
            invite = self.phone.request("INVITE", "sip:100@192.0.2.1", call_id=f"c{len(trusted)}")
            self.phone.say(invite, HERE)
            asks.sent[-1].answer.callback(Acceptance(NodeIdentity("member", {"sip/udp": MEMBER}), "0" * 32, (), 1))
            self.network.advance(3.6)
            self.phone.say(invite, HERE)
            self.assertEqual(self.phone.words(), words)
            self.nodes.remove(node)
            node.stopService()
