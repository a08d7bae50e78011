"""``answer = "direct"``: the node that accepts tells the client itself; the ACK goes to the entry."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import succeed
from twisted.trial.unittest import SynchronousTestCase

from tests.sipnet import PHONE, word
from tests.test_tap import NodeTestCase
from voipshift.node import Acceptance, Address, CallAttempt, NodeIdentity
from voipshift.sip.direct import DirectAnswers
from voipshift.sip.listeners import Listener, Listeners
from voipshift.sip.message import Request, Response, parse
from voipshift.sip.transaction import Hop, ServerTransaction

PRIMARY, MEMBER, THIRD = ("192.0.2.1", 5060), ("192.0.2.2", 5060), ("192.0.2.3", 5060)
REPLY = (
    b"Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK1\r\nFrom: <sip:a@x>;tag=a\r\nTo: <sip:b@x>;tag=b\r\n"
    b"Call-ID: 1\r\nCSeq: 1 INVITE\r\n"
)


class DirectTestCase(NodeTestCase):
    """A pure portal that has its clients answered directly, and members."""

    def group(self, more: str = "", *, between: bool = False, primary: str = "direct") -> None:
        """Start the nodes.

        :param between: the member that the primary asks is full itself, and asks a third one
        """
        settings = f'[sip]\nanswer = "{primary}"\nredirect = "always"\n{more}'
        self.primary = self.start(1, "primary", 0, ("192.0.2.2:5065",), more=settings)
        self.member = self.start(2, "member", 2)
        if between:
            self.third = self.start(3, "third", 9, ("192.0.2.2:5065",))
        self.network.advance(3)
        if between:
            # The primary has heard nothing of the third, and nothing yet of that the member is full now.
            self.primary.members.leave("third")
            self.member.workload.ongoing_calls = 0
        self.network.sent.clear()

    def invite(self, call_id: str = "1", via: str = "SIP/2.0/UDP 198.51.100.7:5060", **more: Any) -> Request:
        """A call of a phone that does not ask for rport."""
        invite = self.phone.request("INVITE", "sip:100@example.org", call_id=call_id, **more)
        invite.set("Via", f"{via};branch=z9hG4bK{call_id}")
        self.phone.say(invite, PRIMARY)
        return invite

    def told_by(self) -> list[tuple[Address, str]]:
        """Who sent the phone what."""
        return [(source, word(parse(octets))) for source, to, octets in self.network.sent if to == PHONE]

    def over(self) -> None:
        """Leases lapse, transactions end; nothing more is said."""
        self.phone.heard.clear()
        self.network.sent.clear()
        self.network.advance(40)
        self.assertEqual(self.told_by(), [])
        self.assertEqual(len(self.primary.sip.layer), 0)


class WayTest(DirectTestCase):
    """From the INVITE to the ACK."""

    def test_the_node_that_accepts_tells_the_client_once(self) -> None:
        """From its own address; the entry absorbs the ACK, and sends nothing itself."""
        self.group()
        invite = self.invite()
        self.assertEqual(self.told_by(), [(MEMBER, "302 INVITE")])
        answer = self.phone.told(302)
        self.assertRegex(answer.get("Contact") or "", r"^<sip:100@192\.0\.2\.2:5060;lease=[0-9a-f]{32}>$")
        self.assertEqual(answer.to_tag, self.primary.sip.layer.tag_for(invite))
        self.phone.acknowledge(invite, answer, PRIMARY)
        self.over()

    def test_the_client_follows(self) -> None:
        """The call is the member's."""
        self.group()
        invite = self.invite()
        answer = self.phone.told(302)
        self.phone.acknowledge(invite, answer, PRIMARY)
        contact = (answer.get("Contact") or "").strip("<>")
        self.phone.say(self.phone.request("INVITE", contact, number=2), MEMBER)
        self.gateway.asked("INVITE")
        self.assertEqual((len(self.member.table), len(self.member.leases)), (1, 0))

    def test_a_302_that_is_lost_is_sent_by_the_entry(self) -> None:
        """The identical response, by timer G, until the ACK is there; and at once to an INVITE that comes again."""
        self.group()
        self.network.cut.add(PHONE)
        invite = self.invite()
        self.network.cut.clear()
        first = [octets for source, to, octets in self.network.sent if (source, to) == (MEMBER, PHONE)]
        self.network.sent.clear()
        self.phone.say(invite, PRIMARY)
        self.network.advance(0.6)
        again = [octets for source, to, octets in self.network.sent if (source, to) == (PRIMARY, PHONE)]
        self.assertEqual(again, first * 2)
        self.phone.acknowledge(invite, self.phone.told(302), PRIMARY)
        self.assertTrue(all(isinstance(each, Response) for each in self.phone.heard))
        self.over()

    def test_the_node_far_down_the_chain_tells_the_client(self) -> None:
        """A member that asks on passes along what the third needs, and that it was done."""
        self.group(between=True)
        invite = self.invite()
        self.network.advance(0.3)
        self.assertEqual(self.told_by(), [(THIRD, "302 INVITE")])
        self.phone.acknowledge(invite, self.phone.told(302), PRIMARY)
        self.over()

    def test_an_ack_before_the_answer_of_the_chain(self) -> None:
        """The client is faster than the group: the entry remembers, and does not send what was acknowledged."""
        self.group()
        group_address = ("192.0.2.1", 5065)
        self.network.cut.add(group_address)
        invite = self.invite()
        answer = self.phone.told(302)
        self.phone.acknowledge(invite, answer, PRIMARY)
        self.network.cut.clear()
        self.network.advance(0.15)  # the Ask is repeated, and answered from memory
        self.assertEqual(self.primary.delegation.counts.shifted, 1)
        self.over()
        self.assertEqual(self.member.clientele.direct.sent, 1)

    def test_a_lease_that_lapses_teaches_as_ever(self) -> None:
        """The ACK says that the 302 was delivered."""
        self.group('[[clients]]\nnetworks = ["198.51.100.0/24"]\nredirect = "auto"\n')
        self.phone.acknowledge(self.invite(), self.phone.told(302), PRIMARY)
        self.network.advance(12)
        self.invite("2")
        self.gateway.asked("INVITE")


class ChainTest(DirectTestCase):
    """Who is answered by the chain all the same."""

    def assert_chain(self, **more: Any) -> None:
        """The entry sends the 302."""
        invite = self.invite(**more)
        self.assertEqual([source for source, what in self.told_by() if what == "302 INVITE"], [PRIMARY])
        self.phone.acknowledge(invite, self.phone.told(302), PRIMARY)

    def test_everybody_by_default(self) -> None:
        """``answer = "chain"``."""
        self.group(primary="chain")
        self.assert_chain()

    def test_who_asks_for_rport(self) -> None:
        """RFC 3581 section 4: the response comes from the address that was called."""
        self.group()
        self.assert_chain(via="SIP/2.0/UDP 198.51.100.7:5060;rport")

    def test_who_is_not_where_it_says(self) -> None:
        """Behind a NAT, only the address that was called gets through."""
        self.group()
        self.assert_chain(via="SIP/2.0/UDP 10.0.0.5:5060")

    def test_whose_request_came_through_a_proxy(self) -> None:
        """The proxy's own Via is on top, and there is a second one."""
        self.group()
        self.assert_chain(via="SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bKp, SIP/2.0/UDP 10.0.0.9:5060")

    def test_whose_lines_are_too_long(self) -> None:
        """They would not fit into an Ask with the rest."""
        self.group()
        self.assert_chain(sender=f"<sip:alice@example.org;x={'x' * 400}>;tag=alice")

    def test_an_ask_that_is_too_long_is_sent_without_them(self) -> None:
        """Which the Ask itself finds out: the rest of it is longer here."""
        self.group()
        reply = self.primary.clientele.direct.reply
        invite = self.phone.request("INVITE", f"sip:{'1' * 120}@{'e' * 350}.org", to="<sip:b@x>")
        invite.set("Via", "SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bKlong")
        invite.set("From", f"<sip:{'a' * 110}@example.org;x={'y' * 180}>;tag=alice")
        given: list[bytes] = []

        def watched(invite: ServerTransaction) -> bytes:
            given.append(reply(invite))
            return given[-1]

        self.patch(self.primary.portal._placement, "_reply", watched)
        self.phone.say(invite, PRIMARY)
        self.assertEqual([bool(each) for each in given], [True])
        self.assertEqual([source for source, what in self.told_by() if what == "302 INVITE"], [PRIMARY])
        self.phone.acknowledge(invite, self.phone.told(302), PRIMARY)

    def test_the_operators_own_choice(self) -> None:
        """``direct_to``: although they ask for rport."""
        self.group('direct_to = ["198.51.100.0/28"]\n')
        invite = self.invite(via="SIP/2.0/UDP 198.51.100.7:5060;rport")
        self.assertEqual(self.told_by(), [(MEMBER, "302 INVITE")])
        self.phone.acknowledge(invite, self.phone.told(302), PRIMARY)
        self.over()


class HostileTest(DirectTestCase):
    """What a node is asked to send for others."""

    def attempt(self, client: Address = PHONE, reply: bytes = REPLY, door: str = "sip/udp") -> CallAttempt:
        return CallAttempt(bytes(16), door, "a", "100", "sip:100@x", client, True, False, reply)

    def sent(self, *asked: Any, **how: Any) -> int:
        """How many 302 a member sends for an Ask; it accepts in any case."""
        before = self.member.clientele.direct.sent
        accepted = self.successResultOf(
            self.member.clientele.direct.consider(self.attempt(*asked, **how), (), 1.0, lambda: None, "primary")
        )
        self.network.settle()
        self.member.leases.withdraw(accepted.lease)
        sent = self.member.clientele.direct.sent - before
        self.assertEqual(accepted.told, bool(sent))
        return sent

    def test_it_sends_to_single_machines_alone(self) -> None:
        """Never to broadcast or multicast addresses, no port, no address, not of another transport or family."""
        self.group()
        self.assertEqual(self.sent(), 1)
        for client in (
            ("255.255.255.255", 5060), ("224.0.0.1", 5060), ("0.0.0.0", 5060), ("198.51.100.7", 0), ("ff02::1", 5060),
            ("2001:db8::7", 5060), ("phone.example.org", 5060), ("", 5060),
        ):  # fmt: skip
            self.assertEqual(self.sent(client), 0, client)
        self.assertEqual(self.sent(door="sip/tcp"), 0)
        self.phone.told(302)

    def test_it_sends_a_302_and_nothing_else(self) -> None:
        """Whatever came along: one Via, a To tag, one Contact, which is its own."""
        self.group()
        for reply in (
            b"x", REPLY.replace(b";tag=b", b""), REPLY.replace(b"Via", b"Vai"), REPLY + b"\r\nbody", REPLY[:-2],
            REPLY + b"Contact: <sip:evil@203.0.113.9>\r\n", REPLY + b"Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK2\r\n",
            REPLY + b"Content-Length: 5\r\n", b"\xff" * 100,
        ):  # fmt: skip
            self.assertEqual(self.sent(reply=reply), 0, reply)
        self.assertEqual(self.phone.words(), [])


class ListenersTest(SynchronousTestCase):
    """A node whose first port is not for UDP."""

    def test_the_contact_is_that_of_udp(self) -> None:
        """Whatever stands first in its configuration."""
        doors = {"sip/tcp": ("192.0.2.2", 5062), "sip/udp": MEMBER}
        sent: list[tuple[bytes, Hop]] = []
        identity = NodeIdentity("member", doors)
        accepted = Acceptance(identity, "ab" * 16, (), 1)
        answers = DirectAnswers(
            identity=identity,
            listeners=Listeners([Listener("tcp", ("192.0.2.2", 5062)), Listener("udp", MEMBER)]),
            offers=False,
            also_to=(),
            consider=lambda *asked: succeed(accepted),
            tag=lambda request: "t",
            send=lambda octets, hop: sent.append((octets, hop)),
        )
        attempt = CallAttempt(bytes(16), "sip/udp", "a", "100", "sip:100@x", PHONE, True, False, REPLY)
        told = self.successResultOf(answers.consider(attempt, (), 1.0, lambda: None, "primary"))
        self.assertTrue(told.told)
        ((octets, hop),) = sent
        self.assertEqual(hop, Hop(*PHONE, 1))
        self.assertIn(f"Contact: <sip:100@192.0.2.2:5060;lease={'ab' * 16}>\r\n".encode(), octets)
