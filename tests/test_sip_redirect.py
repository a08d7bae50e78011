"""302 with a lease, and what a node does when the client comes with it."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

from tests.sipnet import HERE, HERE_TOO, MEMBER, PHONE, STRANGER, Asks, Peer, SipNetTestCase
from voipshift.node import Acceptance, NodeIdentity
from voipshift.sip.message import Response

LEASE = "0123456789abcdef0123456789abcdef"


class RedirectTest(SipNetTestCase):
    """A member accepted."""

    def redirected(self, uri: str, address: tuple[str, int] = MEMBER) -> Response:
        """The 302 to an INVITE that a member at that address accepts."""
        asks = self.introduce(self.node(limit=0), address=address)
        self.phone.say(self.phone.request("INVITE", uri), HERE)
        asks.sent[0].answer.callback(Acceptance(NodeIdentity("member", {"sip/udp": address}), LEASE, (), 1))
        self.network.settle()
        return self.phone.told(302)

    def test_it_names_the_member_that_accepted(self) -> None:
        """Exactly one Contact: the advertised address, an explicit port, the called user, the lease; no Expires."""
        answer = self.redirected("sip:100@example.org")
        self.assertEqual(answer.values("Contact"), [f"<sip:100@192.0.2.2:5060;lease={LEASE}>"])
        self.assertFalse(answer.has("Expires"))
        self.assertNotIn("expires", (answer.get("Contact") or "").lower())

    def test_the_user_part_is_that_of_the_request_uri(self) -> None:
        """The user part of the Request-URI, escapes and parameters in it included, and not that of To."""
        answer = self.redirected("sip:+1%32;ext=5@example.org;user=phone")
        self.assertEqual(answer.get("Contact"), f"<sip:+1%32;ext=5@192.0.2.2:5060;lease={LEASE}>")

    def test_without_a_user_there_is_none(self) -> None:
        """A Request-URI without a user part."""
        self.assertEqual(self.redirected("sip:example.org").get("Contact"), f"<sip:192.0.2.2:5060;lease={LEASE}>")

    def test_the_scheme_is_the_clients(self) -> None:
        """The client's scheme: sips stays sips."""
        answer = self.redirected("sips:100@example.org")
        self.assertEqual(answer.get("Contact"), f"<sips:100@192.0.2.2:5060;lease={LEASE}>")

    def test_an_ipv6_address_has_brackets(self) -> None:
        """RFC 3261 section 19.1.1."""
        answer = self.redirected("sip:100@example.org", ("2001:db8::2", 5060))
        self.assertEqual(answer.get("Contact"), f"<sip:100@[2001:db8::2]:5060;lease={LEASE}>")

    def test_nothing_is_carried_here(self) -> None:
        """The entry keeps neither call nor lease, and has forgotten the transaction after its ACK."""
        answer = self.redirected("sip:100@example.org")
        node = self.nodes[0]
        invite = self.phone.request("INVITE", "sip:100@example.org")
        invite.set("Via", str(answer.via))
        self.phone.acknowledge(invite, answer, HERE)
        self.network.advance(6)
        self.assertEqual((len(node.table), len(node.leases), len(node.sip.layer)), (0, 0, 0))


class IdentifySelfTest(SipNetTestCase):
    """The seed's step 60: the node that accepts says who it is, even if it is the one that was called."""

    def test_it_answers_302_with_its_own_second_port(self) -> None:
        """With identify_self a call that is accepted here is redirected to the second port, then carried."""
        node = self.node(HERE, HERE_TOO, identify_self=True)
        self.phone.say(self.phone.request("INVITE", "sip:100@example.org"), HERE)
        contact = self.phone.told(302).get("Contact") or ""
        self.assertTrue(contact.startswith("<sip:100@192.0.2.1:5067;lease="), contact)
        self.assertEqual((len(node.table), len(node.leases)), (0, 1))
        self.phone.say(self.phone.request("INVITE", contact.strip("<>")), HERE_TOO)
        invite = self.gateway.asked("INVITE")
        self.assertEqual(invite.values("Record-Route"), ["<sip:192.0.2.1:5067;lr>"])
        self.assertEqual((len(node.table), len(node.leases)), (1, 0))

    def test_it_never_names_the_port_that_was_called(self) -> None:
        """A call to the second port is redirected to the first."""
        self.node(HERE, HERE_TOO, identify_self=True)
        self.phone.say(self.phone.request("INVITE", "sip:100@example.org"), HERE_TOO)
        contact = self.phone.told(302).get("Contact") or ""
        self.assertTrue(contact.startswith("<sip:100@192.0.2.1:5060;lease="), contact)

    def test_without_it_the_call_is_carried_at_once(self) -> None:
        """A node carries what it accepts at once."""
        node = self.node(HERE, HERE_TOO)
        self.phone.say(self.phone.request("INVITE", "sip:100@example.org"), HERE)
        self.gateway.asked("INVITE")
        self.assertEqual((len(node.table), len(node.leases), node.leases.counts["arrived"]), (1, 0, 1))


class ArrivalTest(SipNetTestCase):
    """A client comes with a lease."""

    def test_it_is_served(self) -> None:
        """A good lease is served, with the hops of its attempt, and closes: one slot, once."""
        node = self.node(limit=1)
        lease = self.lease(node, "sip:100@example.org", hops=2)
        self.assertFalse(node.workload.room(0.0))
        self.phone.say(self.phone.request("INVITE", f"sip:100@192.0.2.1:5060;lease={lease}"), HERE)
        self.gateway.asked("INVITE")
        self.assertEqual((len(node.table), len(node.leases)), (1, 0))
        self.assertEqual(node.table.hops, {2: 1})
        self.assertEqual(node.leases.counts["arrived"], 1)

    def test_the_original_request_uri_is_restored(self) -> None:
        """A lease holds the original Request-URI: the number of a tel URI, and user=phone, reach the gateway."""
        node = self.node()
        for target, expected in (
            ("sip:100@example.org", "sip:100@192.0.2.20:5060"),
            ("sip:+1-201@example.org;user=phone", "sip:+1-201@192.0.2.20:5060;user=phone"),
            ("tel:+1-201-555;phone-context=x", "sip:+1-201-555@192.0.2.20:5060;user=phone"),
        ):
            lease = self.lease(node, target)
            uri = f"sip:other@192.0.2.1:5060;lease={lease}"
            self.phone.say(self.phone.request("INVITE", uri, call_id=target), HERE)
            self.assertEqual(self.gateway.asked("INVITE").uri, expected)

    def test_the_domain_is_restored_where_a_route_says_the_way(self) -> None:
        """With a Route to the gateway the Request-URI is not rewritten for it: there the domain shows."""
        node = self.node()
        lease = self.lease(node, "sip:100@example.org;user=phone")
        route = [("Route", "<sip:192.0.2.20;lr>")]
        self.phone.say(self.phone.request("INVITE", f"sip:100@192.0.2.1;lease={lease}", fields=route), HERE)
        self.assertEqual(self.gateway.asked("INVITE").uri, "sip:100@example.org;user=phone")

    def test_the_lease_goes_no_further(self) -> None:
        """A lease parameter is stripped before the request goes on, a good one, a bad one, and one without a value."""
        node = self.node()
        lease = self.lease(node, "sip:100@example.org")
        route = [("Route", "<sip:192.0.2.20;lr>")]
        for number, parameter in enumerate((f"lease={lease}", "lease=bad", "Lease=BAD", "lease", "lease=;x=1")):
            uri = f"sip:100@192.0.2.1;{parameter}"
            self.phone.say(self.phone.request("INVITE", uri, to="<sip:100@x>", call_id=f"{number}", fields=route), HERE)
            invite = self.gateway.asked("INVITE")
            self.assertNotIn(b"lease", invite.octets().lower())

    def test_a_lease_that_is_not_open_falls_to_the_nodes_own_rule(self) -> None:
        """An unknown, used or lapsed one: accepted where there is room, and nobody is asked."""
        node = self.node()
        asks = self.introduce(node)
        used = self.lease(node, "sip:100@example.org")
        node.leases.arrive(used)
        lapsed = self.lease(node, "sip:100@example.org")
        self.network.advance(10.5)
        for number, lease in enumerate(("unknown", used, lapsed)):
            uri = f"sip:100@192.0.2.1;lease={lease}"
            self.phone.say(self.phone.request("INVITE", uri, call_id=f"{number}"), HERE)
            self.gateway.asked("INVITE")
        self.assertEqual((len(node.table), asks.sent), (3, []))

    def test_a_lease_that_is_not_open_is_never_redirected_again(self) -> None:
        """503 where there is no room, with a member that has some: never a second 302."""
        node = self.node(limit=0)
        asks = self.introduce(node)
        self.phone.say(self.phone.request("INVITE", "sip:100@192.0.2.1;lease=unknown"), HERE)
        self.phone.told(503)
        self.assertEqual(asks.sent, [])

    def test_a_lease_that_is_not_open_is_not_redirected_to_oneself(self) -> None:
        """identify_self ends where a client has followed once."""
        self.node(HERE, HERE_TOO, identify_self=True)
        self.phone.say(self.phone.request("INVITE", "sip:100@192.0.2.1:5067;lease=unknown"), HERE_TOO)
        self.gateway.asked("INVITE")

    def test_a_dropped_lease_is_found(self) -> None:
        """Where a client drops the parameter, its address and the called user find it."""
        node = self.node(limit=1)
        asks = self.introduce(node)
        self.lease(node, "sip:100@example.org;user=phone")
        self.phone.say(self.phone.request("INVITE", "sip:100@192.0.2.1"), HERE)
        self.assertEqual(self.gateway.asked("INVITE").uri, "sip:100@192.0.2.20:5060;user=phone")
        self.assertEqual((len(node.table), len(node.leases), asks.sent), (1, 0, []))

    def test_somebody_elses_lease_is_not_found(self) -> None:
        """Another address, or another called user, is an attempt of its own."""
        node = self.node(limit=2)
        asks = self.introduce(node)
        self.lease(node, "sip:100@example.org")
        self.lease(node, "sip:100@example.org")
        stranger = Peer(self.network, STRANGER, "stranger")
        stranger.say(stranger.request("INVITE", "sip:100@192.0.2.1"), HERE)
        self.phone.say(self.phone.request("INVITE", "sip:200@192.0.2.1", call_id="2"), HERE)
        self.assertEqual((len(asks.sent), len(node.leases)), (2, 2))

    def test_a_lease_is_not_looked_for_where_the_request_names_somebody_else(self) -> None:
        """Only a Request-URI that names this node comes from a redirect to it."""
        node = self.node(limit=1)
        asks = self.introduce(node)
        self.lease(node, "sip:100@example.org")
        self.phone.say(self.phone.request("INVITE", "sip:100@example.org"), HERE)
        self.assertEqual((len(asks.sent), len(node.leases)), (1, 1))

    def test_a_used_lease_is_not_found_again(self) -> None:
        """Closed exactly once: the next call of the same client to the same user is an attempt of its own."""
        node = self.node(limit=1)
        asks = self.introduce(node)
        self.lease(node, "sip:100@example.org")
        for number in range(2):
            self.phone.say(self.phone.request("INVITE", "sip:100@192.0.2.1", call_id=f"{number}"), HERE)
        self.assertEqual((len(node.table), len(asks.sent)), (1, 1))


class AttemptTest(SipNetTestCase):
    """What the group is told of a client's request."""

    def asks(self, **how: Any) -> Asks:
        """A portal's asks."""
        return self.introduce(self.node(limit=0, **how))

    def test_it_says_who_calls_whom_from_where(self) -> None:
        """Caller, callee, the Request-URI as it was written, and the address that the request came from."""
        asks = self.asks()
        self.phone.say(self.phone.request("INVITE", "sip:100@example.org;user=phone"), HERE)
        attempt = asks.sent[0].attempt
        self.assertEqual((attempt.caller, attempt.callee), ("sip:alice@example.org", "100"))
        self.assertEqual(attempt.target, "sip:100@example.org;user=phone")
        self.assertEqual((attempt.client, attempt.door, attempt.trusted), (PHONE, "sip/udp", False))
        self.assertEqual(len(attempt.id), 16)

    def test_trust_is_by_network(self) -> None:
        """An address of a trusted network is trusted, another one is not."""
        asks = self.asks(trusted=(ip_network("198.51.100.0/24"),))
        stranger = Peer(self.network, STRANGER, "stranger")
        for peer in (self.phone, stranger, self.phone):
            peer.say(peer.request("INVITE", "sip:100@example.org", call_id=f"{len(asks.sent)}"), HERE)
        self.assertEqual([asked.attempt.trusted for asked in asks.sent], [True, False, True])

    def test_what_would_not_fit_into_an_ask_is_decided_alone(self) -> None:
        """A Request-URI past 512 octets is not sent round the group; long names are cut."""
        asks = self.asks()
        for uri in (f"sip:100@example.org;x={'x' * 500}", f"tel:+1;x={'x' * 510}"):
            self.phone.say(self.phone.request("INVITE", uri, to="<sip:b@x>", call_id=uri), HERE)
            self.phone.told(503)
        self.phone.say(self.phone.request("INVITE", f"sip:{'1' * 200}@example.org", to="<sip:b@x>"), HERE)
        self.assertEqual([asked.attempt.callee for asked in asks.sent], ["1" * 128])
