"""Gateways that say how overloaded they are (RFC 7339) get so much less."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

from tests.sipnet import GATEWAY, HERE, SPARE, Peer, SipNetTestCase, settings
from voipshift import config, tap
from voipshift.sip.message import Request, Response


class ThinningTests(SipNetTestCase):
    """A node with two gateways, the first of which speaks RFC 7339."""

    def setUp(self) -> None:
        """112 is an emergency; what is drawn is the same each time."""
        super().setUp()
        self.patch(tap, "Random", lambda: Random(7339))
        self.spare = Peer(self.network, SPARE, "spare")
        self.here = self.made(gateways=((GATEWAY, ("",)), (SPARE, ("",))))
        self.calls = 0

    def made(self, **how: Any) -> tap.Node:
        emergency = config.EmergencySettings(numbers=("112",))
        node = tap.Node(replace(settings("here", [HERE], **how), emergency=emergency), self.clock)
        node.startService()
        self.nodes.append(node)
        return node

    def invite(self, number: str = "100") -> None:
        self.calls += 1
        self.phone.say(self.phone.request("INVITE", f"sip:{number}@192.0.2.1", call_id=f"c{self.calls}"), HERE)

    def tell(self, asked: Request, percent: int, validity_ms: int, sequence: float, status: int = 486) -> None:
        """The first gateway answers, and says how much less it wants."""
        response = asked.response(status, to_tag="t", fields=[("Contact", self.gateway.contact)])
        via = response.via
        parameters = {**via.parameters, "oc": str(percent), "oc-validity": str(validity_ms), "oc-seq": str(sequence)}
        via.parameters.clear()
        via.parameters.update(parameters)
        response.remove_first_value("Via")
        response.push_via(str(via), via.branch)
        self.gateway.say(response, HERE)

    def told(self, percent: int, validity_ms: int = 2000, sequence: float = 1.0) -> None:
        """It says so in its answer to a call."""
        self.invite()
        self.tell(self.gateway.asked("INVITE"), percent, validity_ms, sequence)
        self.gateway.heard.clear()
        self.phone.heard.clear()

    def reached(self, calls: int, number: str = "100") -> tuple[int, int]:
        """How many of so many calls come to the first gateway, and to the second."""
        for _ in range(calls):
            self.invite(number)
        counts = []
        for peer in (self.gateway, self.spare):
            invites = [message for message in peer.heard if isinstance(message, Request)]
            counts.append(len(invites))
            peer.heard.clear()
            for invite in invites:
                peer.answer(invite, 486)
            peer.heard.clear()
        self.phone.heard.clear()
        return counts[0], counts[1]

    def test_announced(self) -> None:
        """Section 4.1: in every request to a gateway; nobody else is told."""
        invite, answer = self.call()
        self.assertEqual(invite.via.parameters["oc"], None)
        self.assertEqual(invite.via.parameters["oc-algo"], '"loss"')
        self.phone.say(self.phone.within("BYE", answer), HERE)
        self.assertIn("oc", self.gateway.asked("BYE").via.parameters)
        self.gateway.say(self.gateway.back("INFO", invite), HERE)
        self.assertNotIn("oc", self.phone.asked("INFO").via.parameters)

    def test_so_many_are_left_out(self) -> None:
        """They go to the next gateway, as long as it holds."""
        self.told(50)
        first, second = self.reached(400)
        self.assertEqual(first + second, 400)
        self.assertTrue(170 <= first <= 230, first)
        self.assertEqual(self.here.proxy._thinning.left_out, second)
        self.network.advance(2.1)
        self.phone.heard.clear()
        self.assertEqual(self.reached(20), (20, 0))

    def test_of_calls_more_where_there_are_other_requests(self) -> None:
        """Section 6.3: it is the percentage of all requests, and those within a dialog are never left out."""
        _, answer = self.call(call_id="standing")
        self.told(20)
        for number in range(3, 103):
            self.phone.say(self.phone.within("INFO", answer, number), HERE)
            self.gateway.answer(self.gateway.asked("INFO"), 200)
            self.phone.told(200, "INFO")
            self.reached(1)
        self.assertTrue(25 <= self.here.proxy._thinning.left_out <= 55, self.here.proxy._thinning.left_out)

    def test_emergencies_are_not_left_out(self) -> None:
        """Not even where it wants nothing at all."""
        self.told(100)
        self.assertEqual(self.reached(10, "112"), (10, 0))
        self.assertEqual(self.reached(10), (0, 10))

    def test_the_newest_counts(self) -> None:
        """Section 4.4: what comes late changes nothing; a validity of 0 ends it."""
        self.told(100, sequence=5.5)
        self.invite("112")
        self.tell(self.gateway.asked("INVITE"), 0, 2000, 5.4)
        self.gateway.heard.clear()
        self.assertEqual(self.reached(3), (0, 3))
        self.invite("112")
        self.gateway.heard.clear()
        self.invite("112")
        self.tell(self.gateway.asked("INVITE"), 100, 0, 5.6)
        self.gateway.heard.clear()
        self.assertEqual(self.reached(3), (3, 0))
        self.assertEqual(self.here.proxy._thinning.left_out, 3)

    def test_no_other_gateway(self) -> None:
        """503, without a time to come back: nobody knows when."""
        self.here.stopService()
        self.nodes.clear()
        self.here = self.made()
        self.told(100)
        self.invite()
        response = self.phone.told(503)
        assert isinstance(response, Response)
        self.assertFalse(response.has("Retry-After"))
        self.assertEqual((len(self.here.table), len(self.here.leases)), (0, 0))
        self.assertEqual(self.gateway.words(), [])
