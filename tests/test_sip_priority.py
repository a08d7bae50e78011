"""Emergency calls by their marks: Priority (RFC 3261 section 20.26) and Resource-Priority (RFC 4412)."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network
from typing import Any

from tests.sipnet import HERE, PHONE, STRANGER, Peer, SipNetTestCase, settings
from voipshift import config, tap
from voipshift.errors import Refused
from voipshift.group.fields import unpack
from voipshift.group.messages import Ask, decode_ask, encode_ask
from voipshift.node import FULL, CallAttempt, Load
from voipshift.sip.priority import Marks

EMERGENCY = ("Priority", "emergency")
ETS = ("Resource-Priority", "dsn.flash, ets.0")


class MarkTests(SipNetTestCase):
    """What is one."""

    def test_as_configured(self) -> None:
        """Values and whole namespaces, in any case; several values, of which one is enough."""
        for marks, fields, is_one in [
            (Marks(), [EMERGENCY, ETS], False),
            (Marks(priority=True), [EMERGENCY], True),
            (Marks(priority=True), [("Priority", "Emergency")], True),
            (Marks(priority=True), [("Priority", "urgent"), ETS], False),
            (Marks(resource_priorities=["ets"]), [ETS], True),
            (Marks(resource_priorities=["ETS.0"]), [ETS], True),
            (Marks(resource_priorities=["ets.1", "q735"]), [ETS, EMERGENCY], False),
            (Marks(resource_priorities=["ets"]), [("Resource-Priority", "etsy.0")], False),
            (Marks(resource_priorities=["e.0"]), [("Resource-Priority", "x.1"), ("Resource-priority", "e.0")], True),
        ]:  # fmt: skip
            self.assertEqual(marks.on(self.phone.request("INVITE", "sip:1@h", fields=fields)), is_one, fields)


class NodeTests(SipNetTestCase):
    """A node with two slots, one of them kept, whose only ordinary one is taken."""

    def setUp(self) -> None:
        """The phone is trusted."""
        super().setUp()
        self.here = self.made(limit=2, trusted=(ip_network(PHONE[0]),))
        self.call()

    def made(self, **how: Any) -> tap.Node:
        marks = config.EmergencySettings(priority=True, resource_priorities=("ets",))
        node = tap.Node(replace(settings("here", [HERE], **how), emergency=marks), self.clock)
        node.startService()
        self.nodes.append(node)
        return node

    def outcome(self, peer: Peer, *fields: tuple[str, str], call_id: str = "call-2") -> str:
        """What becomes of a call."""
        peer.say(peer.request("INVITE", "sip:100@192.0.2.1", call_id=call_id, fields=fields), HERE)
        words = self.gateway.words()
        return words[0] if words else str(peer.heard.pop(0).status)  # type: ignore[union-attr]

    def test_a_marked_call_of_a_trusted_caller_has_the_last_slot(self) -> None:
        """Also once others are refused unread."""
        for number in range(2):
            self.assertEqual(self.outcome(self.phone, call_id=f"other-{number}"), "503")
        self.assertTrue(self.here.sip._refusals and self.here.sip._refusals.open)
        self.assertEqual(self.outcome(self.phone, ETS), "INVITE")
        self.assertEqual(self.outcome(self.phone, EMERGENCY, call_id="call-3"), "503")

    def test_a_stranger_is_not_believed(self) -> None:
        """Anybody can write a header field."""
        self.assertEqual(self.outcome(Peer(self.network, STRANGER), EMERGENCY), "503")
        self.assertEqual(self.outcome(self.phone, EMERGENCY), "INVITE")

    def test_what_must_be_understood_and_is_not(self) -> None:
        """RFC 4412 section 4.6.2: 417, with what is understood; the option itself is supported."""
        demand = ("Proxy-Require", "resource-priority")
        self.phone.say(
            self.phone.request("INVITE", "sip:1@192.0.2.1", fields=[demand, ("Resource-Priority", "x.1")]), HERE
        )
        self.assertEqual(self.phone.told(417).get("Accept-Resource-Priority"), "ets")
        self.assertEqual(self.outcome(self.phone, demand, ETS), "INVITE")
        self.assertEqual(self.outcome(self.phone, ("Proxy-Require", "resource-priority, x"), ETS, call_id="c"), "420")

    def test_a_full_member_is_asked(self) -> None:
        """Full is said of what is not reserved: each member may have room for an emergency."""
        self.assertEqual(self.outcome(self.phone, EMERGENCY), "INVITE")
        asks = self.introduce(self.here, occupancy=1.0)
        self.introduce(self.here, "other", ("192.0.2.3", 5060), occupancy=1.0)
        self.assertEqual(self.outcome(self.phone, call_id="ordinary"), "503")
        self.assertEqual(asks.sent, [])
        self.phone.say(self.phone.request("INVITE", "sip:1@192.0.2.1", call_id="c", fields=[EMERGENCY]), HERE)
        self.assertTrue(asks.sent[0].attempt.emergency)
        for number in range(2):
            asked = asks.sent[number]
            asked.answer.errback(Refused((Load(asked.name, 1, 2, 1.2, 100.0, FULL),)))
            self.network.settle()
        self.assertEqual({asked.name for asked in asks.sent}, {"member", "other"})
        self.assertIn("503 INVITE", self.phone.words())

    def test_a_member_is_told(self) -> None:
        """An Ask says it of an emergency, and nothing of other calls."""
        for emergency in (True, False):
            attempt = CallAttempt(bytes(16), "sip/udp", "a", "b", "sip:b@h", PHONE, True, emergency)
            fields = unpack(encode_ask(Ask(1, attempt, (), 1.0, "here")))
            self.assertEqual(13 in fields, emergency)
            self.assertEqual(decode_ask(fields).attempt, attempt)
