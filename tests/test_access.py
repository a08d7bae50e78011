"""Who may call: Digest for INVITE, leases of known clients, members that vouch for those they pass on."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

from twisted.internet.defer import Deferred

from tests.registrations import RegistrarTestCase, authorized
from tests.sipnet import HERE, MEMBER, PHONE, STRANGER, Peer
from voipshift.config import AccessSettings
from voipshift.node import Acceptance, CallAttempt, NodeIdentity
from voipshift.sip.auth import Secrets
from voipshift.sip.message import Request
from voipshift.tap import Node

PHONES = (ip_network("198.51.100.0/24"),)


class AccessTestCase(RegistrarTestCase):
    """A node with a user, alice, who calls a number of the gateway's."""

    def setUp(self) -> None:
        super().setUp()
        self.user()

    def invite(self, uri: str = "sip:100@192.0.2.1", to: Any = HERE, **more: Any) -> Request:
        """Let the phone call."""
        asked = self.phone.request("INVITE", uri, **more)
        self.phone.say(asked, to)
        return asked

    def acknowledge(self, invite: Request, status: int) -> Any:
        """The phone hears a refusal, and acknowledges it."""
        response = self.phone.told(status)
        self.phone.acknowledge(invite, response, HERE)
        return response


class CallerTest(AccessTestCase):
    """RFC 3261 section 22.3."""

    def test_a_stranger_is_asked(self) -> None:
        """407, then the call is carried; ACK and BYE are not asked."""
        node = self.registrar()
        asked = self.invite()
        again = authorized(asked, self.acknowledge(asked, 407))
        self.phone.say(again, HERE)
        invite = self.gateway.asked("INVITE")
        self.assertFalse(invite.has("Proxy-Authorization"), "it is nobody else's business")
        self.gateway.answer(invite, 200)
        answer = self.phone.told(200)
        self.phone.say(self.phone.within("ACK", answer, 2), HERE)
        self.gateway.asked("ACK")
        self.phone.say(self.phone.within("BYE", answer, 3), HERE)
        self.gateway.answer(self.gateway.asked("BYE"), 200)
        self.phone.told(200, "BYE")
        self.assertEqual((len(node.table), len(node.leases)), (0, 0))

    def test_a_wrong_password_calls_nobody(self) -> None:
        """407 again, and no slot was ever taken."""
        node = self.registrar()
        asked = self.invite()
        self.phone.say(authorized(asked, self.acknowledge(asked, 407), password="x"), HERE)
        self.phone.told(407)
        self.assertEqual((node.delegation.counts.attempts, self.gateway.words()), (0, []))

    def test_a_user_calls_by_its_own_name(self) -> None:
        """From must be the user whose password it was, of whatever domain; or nobody in particular (RFC 3323)."""
        self.user("+4930")
        self.registrar()
        for number, (sender, username, status) in enumerate([
            ("<sip:alice@192.0.2.1>", "alice", 0),
            ("<sip:%61lice@elsewhere.example>", "alice", 0),
            ('"Anonymous" <sip:anonymous@anonymous.invalid>', "alice", 0),
            ("<tel:+49-30>", "+4930", 0),
            ("<sip:bob@192.0.2.1>", "alice", 403),
            ("<sip:192.0.2.1>", "alice", 403),
            ("<sip:anonymous@192.0.2.1>", "alice", 403),
            ("<tel:+4930>", "alice", 403),
            ("<mailto:alice@x>", "alice", 403),
        ]):  # fmt: skip
            asked = self.invite(sender=f"{sender};tag=a", call_id=f"c{number}")
            again = authorized(asked, self.acknowledge(asked, 407), username=username)
            self.phone.say(again, HERE)
            if status:
                self.phone.told(status)
            else:
                self.gateway.asked("INVITE")

    def test_an_operator_may_let_users_call_by_any_name(self) -> None:
        """``callers = "any"``."""
        self.registrar(callers="any")
        asked = self.invite(sender="<sip:bob@192.0.2.1>;tag=a")
        self.phone.say(authorized(asked, self.acknowledge(asked, 407)), HERE)
        self.gateway.asked("INVITE")

    def test_who_is_trusted_is_not_asked(self) -> None:
        """Gateways and neighbours, by list."""
        self.registrar(trusted=PHONES)
        self.invite()
        self.gateway.asked("INVITE")

    def test_without_users_strangers_are_refused(self) -> None:
        """403: there is nobody that they could be."""
        self.node(access=AccessSettings())
        self.invite()
        self.phone.told(403)
        self.assertEqual(self.gateway.words(), [])

    def test_an_open_node_asks_nobody(self) -> None:
        """Anybody may call; where there are no users, anybody may register too."""
        self.registrar(open=True)
        self.invite()
        self.gateway.asked("INVITE")
        self.register(self.phone)
        self.phone.told(401, "REGISTER")
        self.nodes.pop().stopService()
        self.registrar(open=True, users=None)
        self.register(self.phone)
        self.phone.told(200, "REGISTER")

    def test_a_cancel_is_not_asked(self) -> None:
        """It is answered while the store still looks for the user."""
        node = self.registrar()
        asked = self.invite()
        again = authorized(asked, self.acknowledge(asked, 407))
        waiting: Deferred[Secrets | None] = Deferred()
        self.patch(node.reception.gate._users, "secrets", lambda name: waiting)
        self.phone.say(again, HERE)
        cancel = self.phone.request("CANCEL", "sip:100@192.0.2.1", number=2, contact="")
        cancel.set("Via", again.get("Via") or "")
        self.phone.say(cancel, HERE)
        self.assertEqual(self.phone.words(), ["200 CANCEL", "487 INVITE"])
        self.assertEqual((node.delegation.counts.attempts, self.gateway.words()), (0, []))

    def test_a_forged_members_mark_is_not_believed(self) -> None:
        """passed-on from somewhere else is nothing."""
        node = self.registrar()
        self.introduce(node)
        asked = self.phone.request("INVITE", "sip:100@192.0.2.1")
        asked.set("Via", f"{asked.get('Via')};passed-on")
        self.phone.say(asked, HERE)
        self.phone.told(407)

    def test_a_member_vouches_for_those_it_passes_on(self) -> None:
        """It has asked them itself."""
        node = self.registrar()
        self.introduce(node)
        member = Peer(self.network, MEMBER)
        member.say(self.passed_on(member.request("INVITE", "sip:100@192.0.2.1")), HERE)
        self.gateway.asked("INVITE")

    def test_a_stranger_is_asked_before_it_is_passed_on(self) -> None:
        """For the member will believe this node."""
        node = self.registrar()
        self.introduce(node)
        member = Peer(self.network, MEMBER)
        asked = self.invite("sip:100@192.0.2.2")
        challenge = self.acknowledge(asked, 407)
        self.assertEqual(member.words(), [])
        self.phone.say(authorized(asked, challenge), HERE)
        member.asked("INVITE")

    def test_an_attempt_of_a_user_is_a_trusted_one(self) -> None:
        """The member that is asked gives a lease that needs no password, and no limit of leases per address."""
        node = self.registrar(users="store")
        asks = self.introduce(node)
        node.workload.ongoing_calls = 0
        node.workload._silent = True
        asked = self.invite()
        self.phone.say(authorized(asked, self.acknowledge(asked, 407)), HERE)
        self.assertTrue(asks.sent[0].attempt.trusted)
        self.phone.heard.clear()


class LeaseTest(AccessTestCase):
    """A lease was given for a client that was known at the entry."""

    def known(self, node: Node, *, trusted: bool = True) -> str:
        """Promise the phone a slot."""
        caller = "sip:alice@example.org"
        attempt = CallAttempt(bytes(16), "sip/udp", caller, "100", "sip:100@192.0.2.2", PHONE, trusted)
        return node.delegation.accept(attempt, (), "entry", 1).lease

    def test_it_is_not_asked_again(self) -> None:
        """From the same address: with the lease, and where the client has dropped it."""
        node = self.registrar()
        for parameter in (f";lease={self.known(node)}", ""):
            if not parameter:
                self.known(node)
            self.invite(f"sip:100@192.0.2.1{parameter}", call_id=f"c{len(parameter)}")
            self.gateway.asked("INVITE")
        self.assertEqual((len(node.table), len(node.leases)), (2, 0))

    def redirected(self, node: Node) -> str:
        """The phone gives its password at a node that shifts its call: the URI that it is to call."""
        asks = self.introduce(node)
        node.workload.draining = True
        asked = self.invite()
        self.phone.say(authorized(asked, self.acknowledge(asked, 407)), HERE)
        asks.sent[0].answer.callback(Acceptance(NodeIdentity("member", {"sip/udp": MEMBER}), "0" * 32, (), 1))
        self.network.settle()
        return self.phone.told(302).values("Contact")[0].strip("<>")

    def test_it_is_not_asked_again_where_it_was_redirected(self) -> None:
        """A client with that node for its outbound proxy is passed on at once: from its address, by its name, once."""
        uri = self.redirected(self.registrar())
        member, other = Peer(self.network, MEMBER, "member"), Peer(self.network, STRANGER, "alice")
        other.say(other.request("INVITE", uri, call_id="other"), HERE)
        other.told(407)
        self.invite(uri, sender="<sip:bob@example.org>;tag=b", call_id="bob")
        self.phone.told(407)
        self.invite(uri, call_id="again")
        self.assertEqual(member.asked("INVITE").uri, uri)
        self.invite(uri, call_id="once more")
        self.phone.told(407)

    def test_by_another_name_it_is(self) -> None:
        """The entry has seen to it that From is the user's own: another one needs a password anew, and gets 403."""
        node = self.registrar()
        asked = self.invite(f"sip:100@192.0.2.1;lease={self.known(node)}", sender="<sip:bob@example.org>;tag=b")
        self.phone.say(authorized(asked, self.acknowledge(asked, 407)), HERE)
        self.phone.told(403)
        self.assertEqual((len(node.leases), self.gateway.words()), (1, []))

    def test_from_another_address_it_is(self) -> None:
        """And the lease waits: no 407 closes it; the right password does."""
        node = self.registrar()
        lease = self.known(node)
        other = Peer(self.network, STRANGER, "alice")
        asked = other.request("INVITE", f"sip:100@192.0.2.1;lease={lease}")
        other.say(asked, HERE)
        challenge = other.told(407)
        self.assertEqual(len(node.leases), 1)
        other.acknowledge(asked, challenge, HERE)
        other.say(authorized(asked, challenge), HERE)
        self.gateway.asked("INVITE")
        self.assertEqual((len(node.table), len(node.leases)), (1, 0))

    def test_a_lease_of_just_anybody_grants_no_call(self) -> None:
        """It is a slot, and never permission."""
        node = self.registrar()
        self.invite(f"sip:100@192.0.2.1;lease={self.known(node, trusted=False)}")
        self.phone.told(407)
        self.assertEqual(len(node.leases), 1)

    def test_a_lease_that_nobody_gave(self) -> None:
        """The same."""
        self.registrar()
        self.invite(f"sip:100@192.0.2.1;lease={'0' * 32}")
        self.phone.told(407)

    def tearDown(self) -> None:
        self.network.advance(20)  # leases lapse
        super().tearDown()
