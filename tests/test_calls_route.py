"""Where a request inside a dialog goes, as values: Route and Request-URI in, an address out."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from voipshift.calls.route import (
    MAX_NAMED,
    Routing,
    address_of,
    addresses,
    contact_of,
    reach,
    suit_strict_router,
    uri_of,
)
from voipshift.calls.table import Call, End
from voipshift.errors import ProtocolViolation
from voipshift.group.keys import Keys
from voipshift.node import Address
from voipshift.sip.message import Request, request
from voipshift.sip.seals import Seals

OURS = frozenset((("192.0.2.1", 5060), ("192.0.2.1", 5067)))
GATEWAY = ("192.0.2.20", 5060)
MEMBER = ("192.0.2.2", 5060)
PHONE = ("198.51.100.7", 5060)
SEALS = Seals(keys=Keys([bytes(32)]), now=lambda: 0.0)


def asked(uri: str, *routes: str) -> Request:
    """A request with these Route fields."""
    return request("BYE", uri, [("Route", route) for route in routes])


def end(target: str = "sip:b@192.0.2.20", *route: str, nat: bool = False, address: Address = GATEWAY) -> End:
    """The far end of a call."""
    return End("<sip:b@x>;tag=b", target, route, address, nat)


class RoutingTestCase(SynchronousTestCase):
    """A node with two ports, a gateway and a member."""

    def setUp(self) -> None:
        """Its routing, and a call of the phone to the gateway."""
        self.routing = Routing(OURS, frozenset((GATEWAY,)), lambda address: address == MEMBER, SEALS)
        self.call = Call(("1", "a"), End("<sip:a@x>;tag=a", "sip:a@198.51.100.7", (), PHONE, False), 0, 0, 0.0)

    def refused(self, asked: Request, to: End | None = None) -> int:
        """The status that refuses a request."""
        error = self.assertRaises(ProtocolViolation, self.routing.next_hop, asked, self.call, to or end())
        assert isinstance(error, ProtocolViolation)
        return error.status


class OursTest(RoutingTestCase):
    """Section 16.4: Route values that name this node."""

    def test_ours_are_taken_off(self) -> None:
        """One, or both of a node that was passed twice in a row; what follows stays."""
        for routes, rest in [
            ((), []),
            (("<sip:192.0.2.1;lr>",), []),
            (("<sip:192.0.2.1:5067;lr>", "<sip:192.0.2.1;lr>"), []),
            (("<sip:192.0.2.1;lr>, <sip:x;lr>",), ["<sip:x;lr>"]),
            (("<sip:x;lr>", "<sip:192.0.2.1;lr>"), ["<sip:x;lr>", "<sip:192.0.2.1;lr>"]),
            (("<sip:192.0.2.1:5061;lr>",), ["<sip:192.0.2.1:5061;lr>"]),
        ]:
            came = asked("sip:b@192.0.2.20", *routes)
            goes = self.routing.without_ours(came)
            self.assertEqual((goes.values("Route"), goes.uri), (rest, came.uri), routes)
            self.assertEqual(came.values("Route"), asked("sip:b@x", *routes).values("Route"))

    def test_a_name_of_ours_is_taken_off(self) -> None:
        """An outbound proxy by a host name that stands for the group, whatever its port."""
        routing = Routing(OURS, frozenset(), lambda address: False, SEALS, frozenset(("example.org",)))
        goes = routing.without_ours(asked("sip:b@x", "<sip:EXAMPLE.org:5070;transport=tcp;lr>", "<sip:example.net;lr>"))
        self.assertEqual(goes.values("Route"), ["<sip:example.net;lr>"])

    def test_a_strict_router_before_us(self) -> None:
        """A Request-URI that this node recorded: the last Route value is the Request-URI."""
        goes = self.routing.without_ours(asked("sip:192.0.2.1:5060;lr", "<sip:x;lr>", "<sip:b@192.0.2.20>"))
        self.assertEqual((goes.uri, goes.values("Route")), ("sip:b@192.0.2.20", ["<sip:x;lr>"]))

    def test_a_request_uri_that_calls_somebody_is_no_strict_router(self) -> None:
        """Somebody at this node's address, or the address without lr: nobody recorded that."""
        for uri in ("sip:100@192.0.2.1", "sip:192.0.2.1", "sip:100@192.0.2.1;lr", "sip:x;lr", "tel:+1"):
            goes = self.routing.without_ours(asked(uri, "<sip:192.0.2.1;lr>", "<sip:x;lr>"))
            self.assertEqual((goes.uri, goes.values("Route")), (uri, ["<sip:x;lr>"]))

    def test_a_strict_router_with_a_last_route_that_is_none(self) -> None:
        """400: there is no Request-URI in it."""
        for last in ("<tel:+1>", "garbage"):
            self.assertRaises(ProtocolViolation, self.routing.without_ours, asked("sip:192.0.2.1;lr", last))

    def test_a_strict_router_behind_us(self) -> None:
        """Section 16.6 item 6: it wants itself in the Request-URI."""
        goes = asked("sip:b@x", "<sip:strict;a=1>, <sip:z;lr>")
        suit_strict_router(goes)
        self.assertEqual((goes.uri, goes.values("Route")), ("sip:strict;a=1", ["<sip:z;lr>", "<sip:b@x>"]))
        goes = asked("sip:b@x", "<sip:loose;lr>")
        suit_strict_router(goes)
        self.assertEqual((goes.uri, goes.values("Route")), ("sip:b@x", ["<sip:loose;lr>"]))


class NextHopTest(RoutingTestCase):
    """Whom a request may reach."""

    def hop(self, uri: str, *routes: str, to: End | None = None) -> Address:
        """Where a request goes."""
        return self.routing.next_hop(asked(uri, *routes), self.call, to or end())

    def test_by_the_first_route_value(self) -> None:
        """A gateway, a member, or a party of the call, and nobody else."""
        self.assertEqual(self.hop("sip:x", "<sip:192.0.2.20;lr>"), GATEWAY)
        self.assertEqual(self.hop("sip:x", "<sip:192.0.2.2;lr>"), MEMBER)
        self.assertEqual(self.hop("sip:x", "<sip:198.51.100.7;lr>"), PHONE)
        for stranger in ("<sip:203.0.113.9;lr>", "<sip:192.0.2.20:5061;lr>", "<sip:name;lr>", "<tel:+1>", "garbage"):
            self.assertEqual(self.refused(asked("sip:b@192.0.2.20", stranger)), 403, stranger)

    def test_by_the_request_uri(self) -> None:
        """Without a Route: a gateway or a party of the call; a member is none."""
        self.assertEqual(self.hop("sip:b@192.0.2.20"), GATEWAY)
        self.assertEqual(self.hop("sip:b@198.51.100.7"), PHONE)
        for stranger in ("sip:b@203.0.113.9", "sip:b@192.0.2.2", "sip:b@192.0.2.20:5061"):
            self.assertEqual(self.refused(asked(stranger)), 403, stranger)
        self.call.admit(("203.0.113.9", 5060))
        self.assertEqual(self.hop("sip:b@203.0.113.9"), ("203.0.113.9", 5060))

    def test_a_name_is_not_looked_up(self) -> None:
        """The far end's address is known; so is that of a proxy that recorded a name."""
        self.assertEqual(self.hop("sip:b@gw.example.org"), GATEWAY)
        to = end("sip:b@10.0.0.1", "<sip:gw.example.org;lr>")
        self.assertEqual(self.hop("sip:b@10.0.0.1", "<sip:GW.example.org;lr>", to=to), GATEWAY)
        self.assertEqual(self.refused(asked("sip:b@10.0.0.1", "<sip:other.example.org;lr>"), to), 403)

    def test_behind_a_nat_the_source_counts(self) -> None:
        """Whatever its Contact says."""
        self.assertEqual(self.hop("sip:b@10.0.0.1", to=end(nat=True)), GATEWAY)

    def test_a_number_is_no_way(self) -> None:
        """416: nothing in a tel URI says where its end is."""
        self.assertEqual(self.refused(asked("tel:+1")), 416)

    def test_a_request_uri_of_ours_means_the_far_end(self) -> None:
        """With the route that the far end recorded."""
        sloppy = asked("sip:b@192.0.2.1")
        to = end("sip:b@10.0.0.1", "<sip:192.0.2.20;lr>", "<sip:y;lr>")
        self.assertEqual(self.routing.next_hop(sloppy, self.call, to), GATEWAY)
        self.assertEqual(
            (sloppy.uri, sloppy.values("Route")), ("sip:b@10.0.0.1", ["<sip:192.0.2.20;lr>", "<sip:y;lr>"])
        )

    def test_the_way_of_a_request_of_our_own(self) -> None:
        """Its first Route value, its source behind a NAT, its Contact, and its source where that is a name."""
        self.assertEqual(reach(end("sip:b@10.0.0.1", "<sip:192.0.2.21;lr>"), OURS), ("192.0.2.21", 5060))
        self.assertEqual(reach(end("sip:b@10.0.0.1", "<sip:name;lr>"), OURS), GATEWAY)
        self.assertEqual(reach(end("sip:b@10.0.0.1", nat=True), OURS), GATEWAY)
        self.assertEqual(reach(end("sip:b@10.0.0.1:5099"), OURS), ("10.0.0.1", 5099))
        self.assertEqual(reach(end("sip:b@name"), OURS), GATEWAY)

    def test_a_far_end_is_never_this_node(self) -> None:
        """A Contact or a route that names the node: its end is where it was seen."""
        self.assertEqual(reach(end("sip:b@192.0.2.1"), OURS), GATEWAY)
        self.assertEqual(reach(end("sip:b@10.0.0.1", "<sip:192.0.2.1:5067;lr>"), OURS), GATEWAY)
        self.assertEqual(self.hop("sip:b@192.0.2.1", to=end("sip:b@192.0.2.1")), GATEWAY)


class ValueTest(SynchronousTestCase):
    """Contact, Route and Record-Route values."""

    def test_what_can_be_read(self) -> None:
        """A SIP URI with an address; everything else is None, never an exception."""
        for value, expected in [
            ("<sip:192.0.2.1>", ("192.0.2.1", 5060)),
            ('"A, B" <sips:x@192.0.2.1>;q=1', ("192.0.2.1", 5061)),
            ("sip:x@192.0.2.1:5070", ("192.0.2.1", 5070)),
            ("<sip:[2001:db8::1]:5070;lr>", ("2001:db8::1", 5070)),
            ("<sip:name>", None),
            ("*", None),
            ("<tel:+1>", None),
            ("<sip:192.0.2.1", None),
            ("", None),
        ]:
            self.assertEqual(address_of(value), expected, value)
        self.assertEqual(addresses(["*", "<sip:192.0.2.1>", "<sip:name>"]), (("192.0.2.1", 5060),))
        self.assertIsNone(uri_of("<mailto:x@y>"))

    def test_a_value_is_looked_at_once(self) -> None:
        """But for a long one, so that nobody fills the memory with it."""
        self.assertIs(uri_of("<sip:a@192.0.2.1>"), uri_of("<sip:a@192.0.2.1>"))
        long = f"<sip:{'a' * MAX_NAMED}@192.0.2.1>"
        self.assertIsNot(uri_of(long), uri_of(long))

    def test_a_contact(self) -> None:
        """The first one's URI, or None."""
        for value, expected in {"<sip:a@x;t=1>;q=1, <sip:b@x>": "sip:a@x;t=1", "*": None, "<tel:+1>": None}.items():
            self.assertEqual(contact_of(request("INVITE", "sip:x", [("Contact", value)])), expected)
        self.assertIsNone(contact_of(request("INVITE", "sip:x", [])))
