"""``shift_registrations``: a REGISTER is sent on by 302 to the member that accepts the client."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

from tests.registrations import RegistrarTestCase, authorized
from tests.sipnet import HERE, MEMBER, PHONE, Asks
from voipshift import config
from voipshift.calls.resettlement import REGISTERS
from voipshift.errors import Refused
from voipshift.node import Acceptance, CallAttempt, NodeIdentity
from voipshift.tap import Node

ALL = (ip_network("0.0.0.0/0"),)
LEASE = "0123456789abcdef" * 2


class ResettlementTestCase(RegistrarTestCase):
    """A node that shifts registrations, and a member."""

    def group(self, limit: float = 0, *, shifts: bool = True, **access: Any) -> Node:
        access.setdefault("trusted", ALL)
        settings = config.RegistrarSettings(shift_registrations=shifts)
        node = self.node(limit=limit, access=config.AccessSettings(users="store", **access), registrar=settings)
        self.asks: Asks = self.introduce(node)
        return node

    def accept(self) -> None:
        """The member takes the client."""
        accepted = Acceptance(NodeIdentity("member", {"sip/udp": MEMBER}), LEASE, (), 1)
        self.asks.sent.pop().answer.callback(accepted)
        self.network.settle()

    def promised(self, node: Node, user: str = "alice") -> None:
        """A place that this node keeps for a client which another one sends here."""
        attempt = CallAttempt(bytes(16), "sip/udp", "a", REGISTERS + user, "sip:192.0.2.2", PHONE, True)
        node.delegation.accept(attempt, (), "entry", 1)


class EntryTest(ResettlementTestCase):
    """The node that the client asks."""

    def test_a_client_is_sent_to_the_member_that_accepts_it(self) -> None:
        """302 with one Contact, an address without a user part and without a lease; nothing is stored."""
        self.group()
        self.register(self.phone)
        (asked,) = self.asks.sent
        attempt = asked.attempt
        self.assertEqual((attempt.callee, attempt.client, attempt.trusted), ("REGISTER alice", PHONE, True))
        self.accept()
        self.assertEqual(self.phone.told(302, "REGISTER").values("Contact"), ["<sip:192.0.2.2:5060>"])
        self.assertEqual(self.contacts("alice"), [])

    def test_it_must_be_known_who_it_is_first(self) -> None:
        """A stranger sets nothing going."""
        self.group(trusted=())
        self.user()
        asked = self.register(self.phone)
        challenge = self.phone.told(401, "REGISTER")
        self.assertEqual(self.asks.sent, [])
        self.phone.say(authorized(asked, challenge), HERE)
        self.accept()
        self.phone.told(302, "REGISTER")

    def test_by_default_it_is_registered_where_it_asks(self) -> None:
        """``shift_registrations = false``."""
        self.group(shifts=False)
        self.register(self.phone)
        self.phone.told(200, "REGISTER")

    def test_a_node_with_room_registers_it(self) -> None:
        """By the rule of calls; no place is kept for who is there."""
        node = self.group(limit=10)
        self.register(self.phone)
        self.phone.told(200, "REGISTER")
        self.assertEqual((self.asks.sent, len(node.leases)), ([], 0))

    def test_nobody_has_room(self) -> None:
        """It is registered here: a telephone that is not registered is not called."""
        self.group()
        self.register(self.phone)
        self.asks.sent.pop().answer.errback(Refused())
        self.network.settle()
        self.phone.told(200, "REGISTER")

    def test_what_makes_no_new_binding_stays(self) -> None:
        """The list of bindings, the end of one, a binding that this node holds and that is refreshed."""
        node = self.group(limit=10)
        self.register(self.phone)
        node.workload.ongoing_calls = 0
        self.register(self.phone, number=2)
        self.register(self.phone, number=3, contact="")
        self.register(self.phone, number=4, contact="<sip:new@198.51.100.7>", fields=[("Expires", "0")])
        self.assertEqual(self.phone.words(), ["200 REGISTER"] * 4)
        self.assertEqual(self.asks.sent, [])
        self.register(self.phone, number=5, contact="<sip:new@198.51.100.7>")
        self.assertEqual(len(self.asks.sent), 1)
        self.accept()

    def test_a_request_that_names_another_member_is_not_sent_on_again(self) -> None:
        """The node is its outbound proxy, and would be asked for ever."""
        self.group()
        asked = self.phone.request("REGISTER", "sip:192.0.2.2", to="<sip:alice@192.0.2.1>")
        self.phone.say(asked, HERE)
        self.phone.told(200, "REGISTER")

    def test_a_request_through_a_proxy_stays(self) -> None:
        """It is the proxy that would be sent elsewhere."""
        self.group()
        asked = self.phone.request("REGISTER", "sip:192.0.2.1", to="<sip:alice@192.0.2.1>")
        asked.prepend("Via", "SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bKproxy")
        self.phone.say(asked, HERE)
        self.phone.told(200, "REGISTER")

    def test_a_client_that_did_not_follow_is_registered_here_the_next_time(self) -> None:
        """``auto``: the member tells that its place was never taken; its calls are redirected as ever."""
        node = self.group()
        self.register(self.phone)
        self.accept()
        self.phone.told(302, "REGISTER")
        node.clientele.clients.lapsed(LEASE)
        self.register(self.phone, number=2)
        self.phone.told(200, "REGISTER")
        self.phone.say(self.phone.request("INVITE", "sip:100@192.0.2.1"), HERE)
        self.accept()
        self.phone.told(302)

    def test_our_own_fault(self) -> None:
        """It is logged."""
        self.group()
        self.register(self.phone)
        self.asks.sent.pop().answer.errback(ZeroDivisionError())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class MemberTest(ResettlementTestCase):
    """The node that accepted it."""

    def test_it_is_not_shifted_again(self) -> None:
        """Full or not: its place was kept, and is free for others now; a user part in the Request-URI is no harm."""
        node = self.group()
        self.promised(node)
        asked = self.phone.request("REGISTER", "sip:alice@192.0.2.1", to="<sip:alice@192.0.2.1>")
        self.phone.say(asked, HERE)
        self.phone.told(200, "REGISTER")
        self.assertEqual((self.asks.sent, len(node.leases), node.leases.counts["arrived"]), ([], 0, 1))
        (binding,) = self.successResultOf(self.store.find("alice"))
        self.assertEqual(binding.node, "here")

    def test_a_place_is_no_password(self) -> None:
        """It is asked for that here too."""
        node = self.group(trusted=())
        self.user()
        self.promised(node)
        self.register(self.phone)
        self.phone.told(401, "REGISTER")
        self.assertEqual(len(node.leases), 1)
        self.network.advance(11)

    def test_the_lease_of_a_call_is_no_place(self) -> None:
        """Nor the other way round: whom somebody calls and who registers are two things."""
        node = self.group()
        self.lease(node, "sip:alice@192.0.2.1", callee="alice")
        self.register(self.phone)
        self.assertEqual((len(self.asks.sent), len(node.leases)), (1, 1))
        self.accept()
        self.network.advance(11)
        self.promised(node)
        self.introduce(node, "other", ("192.0.2.3", 5060))
        self.phone.say(self.phone.request("INVITE", "sip:alice@192.0.2.1"), HERE)
        self.assertEqual((len(self.asks.sent), len(node.leases)), (1, 1))
        self.accept()
        self.network.advance(11)
