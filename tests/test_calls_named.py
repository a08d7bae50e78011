"""Gateways that are known by a domain name (RFC 3263), and names in the dialogs of their calls."""

from __future__ import annotations

from typing import Any

from tests.sipnet import GATEWAY, HERE, SPARE, Peer, SipNetTestCase
from voipshift.node import Address
from voipshift.sip.locate import Naptr, Records, Srv

CARRIER = ("carrier.example.net", 0)
ZONE: dict[tuple[str, str], Records] = {
    ("carrier.example.net", "NAPTR"): (Naptr(10, 10, "s", "SIP+D2U", "_sip._udp.carrier.example.net"),),
    ("_sip._udp.carrier.example.net", "SRV"): (Srv(1, 0, 5060, "one.example.net"), Srv(2, 0, 5060, "two.example.net")),
    ("one.example.net", "A"): (GATEWAY[0],),
    ("two.example.net", "A"): (SPARE[0],),
    ("ours.example.net", "A"): (HERE[0],),
}


class NamedTestCase(SipNetTestCase):
    """A node whose DNS is a zone, and a carrier with two servers."""

    gateways: tuple[tuple[Address, tuple[str, ...]], ...] = ((CARRIER, ("",)),)

    def setUp(self) -> None:
        """Nothing is known of the carrier yet."""
        super().setUp()
        self.zone.records.update(ZONE)
        self.spare = Peer(self.network, SPARE, "spare")
        self.here = self.node(gateways=self.gateways)

    def invite(self, uri: str = "sip:100@192.0.2.1") -> Any:
        """The phone calls."""
        invite = self.phone.request("INVITE", uri)
        self.phone.say(invite, HERE)
        return invite


class GatewayTest(NamedTestCase):
    """Calls to the carrier."""

    def test_it_gets_its_calls_by_its_name(self) -> None:
        """At the address that SRV prefers, with the domain in the Request-URI."""
        self.invite()
        self.assertEqual(self.gateway.asked("INVITE").uri, "sip:100@carrier.example.net")
        asked = ["NAPTR carrier.example.net", "SRV _sip._udp.carrier.example.net"]
        self.assertEqual(self.zone.take(), [*asked, "A one.example.net", "A two.example.net"])

    def test_names_are_looked_up_once(self) -> None:
        """Not for the next call."""
        self.call()
        self.zone.take()
        self.call(call_id="call-2")
        self.assertEqual(self.zone.take(), [])

    def test_a_call_waits_for_dns(self) -> None:
        """Its slot is kept; the client is told 100 in the meantime, and others are served."""
        self.zone.held = True
        self.invite()
        self.network.advance(0.3)
        self.phone.told(100)
        self.assertEqual(len(self.here.leases) + len(self.here.table), 1)
        self.phone.say(self.phone.request("OPTIONS", "sip:192.0.2.1", call_id="other"), HERE)
        self.phone.told(200, "OPTIONS")
        self.zone.release()
        self.network.settle()
        self.gateway.answer(self.gateway.asked("INVITE"), 200)
        self.phone.told(200)
        self.assertEqual((len(self.here.leases), len(self.here.table)), (0, 1))

    def test_a_call_that_is_cancelled_while_it_waits(self) -> None:
        """It ends at once; nothing goes to the carrier when DNS answers."""
        self.zone.held = True
        invite = self.invite()
        cancel = self.phone.request("CANCEL", invite.uri)
        cancel.set("Via", str(invite.via))
        self.phone.say(cancel, HERE)
        self.assertEqual(self.phone.words(), ["200 CANCEL", "487 INVITE"])
        self.zone.release()
        self.network.settle()
        self.assertEqual((self.gateway.words(), len(self.here.leases), len(self.here.table)), ([], 0, 0))

    def test_the_next_address_after_a_failure(self) -> None:
        """Section 4.3: 503, and silence."""
        for status in (503, None):
            invite = self.phone.request("INVITE", "sip:100@192.0.2.1", call_id=f"{status}")
            self.phone.say(invite, HERE)
            if status is None:
                self.network.advance(2.01)
                self.gateway.words()
            else:
                self.gateway.answer(self.gateway.asked("INVITE"), status)
                self.gateway.asked("ACK")
            tried = self.spare.asked("INVITE")
            self.assertEqual(tried.uri, "sip:100@carrier.example.net")
            self.spare.answer(tried, 486)
            self.spare.asked("ACK")
            self.phone.words()

    def routed(self, route: str, **more: Any) -> None:
        """The phone calls by a Route of its own, after one that names this node."""
        routes = [("Route", "<sip:192.0.2.1;lr>"), ("Route", route)]
        self.phone.say(self.phone.request("INVITE", "sip:100@example.org", fields=routes, **more), HERE)

    def test_by_a_route_that_names_it(self) -> None:
        """Section 16.5 and RFC 3263: it goes to that gateway whatever the dial plan says, along its Route."""
        self.routed("<sip:carrier.example.net;lr>")
        invite = self.gateway.asked("INVITE")
        self.assertEqual(
            (invite.uri, invite.values("Route")), ("sip:100@example.org", ["<sip:carrier.example.net;lr>"])
        )
        self.gateway.answer(invite, 503)
        self.gateway.asked("ACK")
        self.assertEqual(self.spare.asked("INVITE").uri, "sip:100@example.org")

    def test_a_route_waits_for_dns(self) -> None:
        """Its slot is kept."""
        self.zone.held = True
        self.routed("<sip:carrier.example.net;lr;transport=UDP>")
        self.assertEqual((self.gateway.words(), len(self.here.leases) + len(self.here.table)), ([], 1))
        self.zone.release()
        self.network.settle()
        self.gateway.asked("INVITE")
        self.assertEqual((len(self.here.leases), len(self.here.table)), (0, 1))

    def test_routes_that_name_none(self) -> None:
        """403: another port, another name; and 500 where there is no such way to the gateway."""
        for number, (host, status) in enumerate(
            (
                ("carrier.example.net:5070", 403),
                ("other.example.net", 403),
                ("one.example.net", 403),
                ("carrier.example.net;transport=tcp", 500),
            )
        ):
            self.routed(f"<sip:{host};lr>", call_id=f"c{number}")
            self.phone.told(status)
            self.assertEqual((len(self.here.leases), len(self.here.table)), (0, 0))

    def test_a_name_that_leads_nowhere(self) -> None:
        """500, and no call is left."""
        for silent in (True, False):
            self.zone.records.clear()
            self.zone.silent = silent
            self.clock.advance(60)
            self.phone.say(self.phone.request("INVITE", "sip:100@192.0.2.1", call_id=f"{silent}"), HERE)
            self.phone.told(500)
            self.assertEqual((len(self.here.table), len(self.here.leases)), (0, 0))

    def test_a_bye_of_the_carrier(self) -> None:
        """From whichever address; the call ends."""
        invite, _ = self.call()
        self.gateway.say(self.gateway.back("BYE", invite), HERE)
        self.phone.answer(self.phone.asked("BYE"), 200)
        self.gateway.told(200, "BYE")
        self.assertEqual(len(self.here.table), 0)


class LoopTest(NamedTestCase):
    """A gateway whose name leads to this node."""

    gateways = ((("ours.example.net", 5060), ("",)), (SPARE, ("",)))

    def test_a_name_of_this_nodes_own(self) -> None:
        """It is passed over: the call does not come back."""
        self.invite()
        self.spare.asked("INVITE")
        self.assertEqual(len([1 for _, to, octets in self.network.sent if to == HERE and octets[:6] == b"INVITE"]), 1)


class DialogTest(NamedTestCase):
    """Ends that give a host name for where they are."""

    gateways = ((GATEWAY, ("",)),)

    def stand(self, contact: str = "<sip:100@two.example.net>") -> Any:
        """A call whose far end gives a name; the answer."""
        self.invite()
        self.gateway.answer(self.gateway.asked("INVITE"), 200, fields=[("Contact", contact)])
        return self.phone.told(200)

    def test_it_is_reached_by_its_name(self) -> None:
        """ACK and BYE go to the address behind the name; the Request-URI stays."""
        answer = self.stand()
        self.phone.say(self.phone.within("ACK", answer, 1), HERE)
        self.assertEqual(self.spare.asked("ACK").uri, "sip:100@two.example.net")
        self.phone.say(self.phone.within("BYE", answer), HERE)
        self.spare.answer(self.spare.asked("BYE"), 200)
        self.phone.told(200, "BYE")
        self.assertEqual((self.gateway.words(), len(self.here.table)), ([], 0))

    def test_a_request_waits_for_dns(self) -> None:
        """The ACK as well as the BYE, and nobody else."""
        answer = self.stand()
        self.zone.held = True
        self.phone.say(self.phone.within("ACK", answer, 1), HERE)
        self.phone.say(self.phone.within("BYE", answer), HERE)
        self.assertEqual(self.spare.words(), [])
        self.zone.release()
        self.network.settle()
        self.assertEqual(self.spare.words(), ["ACK", "BYE"])

    def test_a_re_invite_that_is_cancelled_while_it_waits(self) -> None:
        """487, and the call stands."""
        answer = self.stand()
        self.zone.held = True
        invite = self.phone.within("INVITE", answer)
        self.phone.say(invite, HERE)
        cancel = self.phone.request("CANCEL", invite.uri, number=2)
        cancel.set("Via", str(invite.via))
        self.phone.say(cancel, HERE)
        self.assertEqual(self.phone.words(), ["200 CANCEL", "487 INVITE"])
        self.zone.release()
        self.network.settle()
        self.assertEqual((self.spare.words(), len(self.here.table)), ([], 1))
        self.network.advance(40)
        self.phone.words()

    def test_a_name_that_leads_nowhere(self) -> None:
        """The end is reached where it was seen."""
        for contact in ("<sip:100@nobody.example.net>", "<sip:100@ours.example.net>"):
            answer = self.stand(contact)
            self.phone.say(self.phone.within("ACK", answer, 1), HERE)
            self.gateway.asked("ACK")
            self.phone.say(self.phone.within("BYE", answer), HERE)
            self.gateway.answer(self.gateway.asked("BYE"), 200)
            self.phone.told(200, "BYE")

    def test_no_other_name_is_looked_up(self) -> None:
        """Not in a Request-URI that the far end did not give, nor in a Route: this node is no relay."""
        answer = self.stand()
        self.zone.take()
        for uri in ("sip:100@one.example.net", "sip:100@two.example.net;maddr=one.example.net"):
            bye = self.phone.within("BYE", answer)
            bye.uri = uri
            self.phone.say(bye, HERE)
            self.assertEqual(self.zone.take(), [])
            self.gateway.answer(self.gateway.asked("BYE"), 500)
        bye.prepend("Route", "<sip:one.example.net;lr>")
        bye.set("Via", "SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bKrouted;rport")
        self.phone.words()
        self.phone.say(bye, HERE)
        self.phone.told(403, "BYE")
        self.assertEqual(self.zone.take(), [])

    def test_the_next_address_behind_the_name(self) -> None:
        """Section 4.3: where the first is silent, or says 503."""
        self.zone.records["two.example.net", "A"] = ("192.0.2.99", SPARE[0])
        answer = self.stand()
        self.phone.say(self.phone.within("BYE", answer), HERE)
        self.network.advance(2.01)
        self.spare.answer(self.spare.asked("BYE"), 200)
        self.phone.words()

    def test_the_caller_too(self) -> None:
        """Its BYE comes by its name."""
        self.zone.records["phone.example.net", "A"] = (SPARE[0],)
        self.phone.say(self.phone.request("INVITE", "sip:100@192.0.2.1", contact="<sip:a@phone.example.net>"), HERE)
        invite = self.gateway.asked("INVITE")
        self.gateway.answer(invite, 200)
        self.phone.told(200)
        self.gateway.say(self.gateway.back("BYE", invite), HERE)
        self.spare.answer(self.spare.asked("BYE"), 200)
        self.gateway.told(200, "BYE")

    def test_it_is_asked_by_its_name_whether_it_is_still_there(self) -> None:
        """As soon as that is known."""
        answer = self.stand()
        self.network.advance(60)
        self.spare.asked("OPTIONS")
        self.zone.held = True
        self.phone.words()
        self.network.advance(60.1)
        self.phone.say(self.phone.within("BYE", answer), HERE)
        self.zone.release()
        self.network.settle()
        self.assertEqual(self.spare.words()[-2:], ["OPTIONS", "BYE"])
