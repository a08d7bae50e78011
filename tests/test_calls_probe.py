"""Whether both ends of a call are still there."""

from __future__ import annotations

from ipaddress import ip_network

from tests.registrations import RegistrarTestCase
from tests.sipnet import GATEWAY, HERE, HERE_TOO, PHONE, Peer, SipNetTestCase
from voipshift.sip.message import Request

PROBE_S = 60.0


class ProbeTestCase(SipNetTestCase):
    """A call that was answered at time 0."""

    def setUp(self) -> None:
        """A call that stands."""
        super().setUp()
        self.here = self.node(HERE, HERE_TOO)
        self.invite, self.answer = self.call(to=HERE_TOO)

    def probe(self) -> tuple[Request, Request]:
        """Let the next probe come: the OPTIONS to the caller, and that to the callee."""
        self.network.advance(PROBE_S - self.clock.seconds() % PROBE_S)
        return self.phone.asked("OPTIONS"), self.gateway.asked("OPTIONS")


class ProbeTest(ProbeTestCase):
    """OPTIONS inside the dialog."""

    def test_it_has_the_dialogs_tags_and_cseq_0(self) -> None:
        """The caller gets it from the callee, and the callee from the caller; no numbering is disturbed."""
        self.network.advance(59.9)
        self.assertEqual((self.phone.words(), self.gateway.words()), ([], []))
        self.network.advance(0.2)
        caller, callee = self.phone.asked("OPTIONS"), self.gateway.asked("OPTIONS")
        self.assertEqual((caller.from_tag, caller.to_tag, caller.call_id), ("there", "alice", "call-1"))
        self.assertEqual((callee.from_tag, callee.to_tag, callee.call_id), ("alice", "there", "call-1"))
        self.assertEqual((caller.cseq, callee.cseq), ((0, "OPTIONS"), (0, "OPTIONS")))
        self.assertEqual(caller.uri, "sip:alice@198.51.100.7:5060")
        self.assertEqual(callee.uri, "sip:100@192.0.2.20:5060")
        self.assertEqual([via.address for via in caller.vias], [HERE_TOO])

    def test_any_answer_means_alive(self) -> None:
        """500 for a CSeq that is too low, 405, 403, 503: whoever says so is there."""
        for status in (200, 500, 405, 403, 503, 404, 100):
            for peer, options in zip((self.phone, self.gateway), self.probe(), strict=True):
                peer.answer(options, status)
                peer.answer(options, 200)
        self.assertEqual(len(self.here.table), 1)

    def test_the_call_is_ended_when_both_ends_fail_twice(self) -> None:
        """481: no such call there. Not after one failure of each; after the second it leaves the table, once."""
        for expected in (1, 0):
            for peer, options in zip((self.phone, self.gateway), self.probe(), strict=True):
                peer.answer(options, 481)
            self.assertEqual(len(self.here.table), expected)
        self.network.advance(300)
        self.assertEqual((self.phone.words(), self.gateway.words(), len(self.here.sip.layer)), ([], [], 0))

    def test_silence_is_a_failure(self) -> None:
        """Both vanished: after two probes, and the 32 s of the second, the call is gone."""
        self.network.cut |= {PHONE, GATEWAY}
        self.network.advance(2 * PROBE_S + 31.9)
        self.assertEqual(len(self.here.table), 1)
        self.network.advance(0.2)
        self.assertEqual(len(self.here.table), 0)
        sent = len(self.network.sent)
        self.network.advance(300)
        self.assertEqual(len(self.network.sent), sent)

    def test_one_end_that_is_there_is_enough(self) -> None:
        """Ended only when both ends fail: one may not answer OPTIONS at all."""
        self.network.cut.add(PHONE)
        for _ in range(5):
            self.network.advance(PROBE_S)
            self.gateway.answer(self.gateway.asked("OPTIONS"), 200)
        self.network.advance(40)
        self.assertEqual(len(self.here.table), 1)

    def test_failures_count_in_a_row(self) -> None:
        """An answer in between makes an end alive again."""
        for caller, callee in ((481, 481), (200, 481), (481, 200), (200, 481), (481, 481)):
            one, other = self.probe()
            self.phone.answer(one, caller)
            self.gateway.answer(other, callee)
            self.assertEqual(len(self.here.table), 1)

    def test_nothing_is_sent_after_the_call_has_ended(self) -> None:
        """Not by a probe under way, either: its late failure ends nothing."""
        one, other = self.probe()
        self.phone.answer(one, 481)
        self.gateway.answer(other, 481)
        one, other = self.probe()
        self.phone.say(self.phone.within("BYE", self.answer), HERE_TOO)
        self.gateway.answer(self.gateway.asked("BYE"), 200)
        self.phone.told(200, "BYE")
        self.phone.answer(one, 481)
        self.gateway.answer(other, 481)
        self.network.advance(300)
        self.assertEqual((self.phone.words(), self.gateway.words(), len(self.here.table)), ([], [], 0))

    def test_a_refreshed_target_is_asked_where_it_is(self) -> None:
        """After a re-INVITE the new Contact is asked."""
        moved = Peer(self.network, ("203.0.113.9", 5060), "moved")
        self.phone.say(self.phone.within("INVITE", self.answer, contact=moved.contact), HERE_TOO)
        self.gateway.answer(self.gateway.asked("INVITE"), 200)
        self.phone.say(self.phone.within("ACK", self.phone.told(200), 2), HERE_TOO)
        self.gateway.asked("ACK")
        self.network.advance(PROBE_S)
        moved.asked("OPTIONS")


class UnansweredTest(SipNetTestCase):
    """Calls that are not watched."""

    def test_a_call_that_rings_is_not_probed(self) -> None:
        """Only an answered call has two ends; until then timer C watches."""
        node = self.node()
        self.phone.say(self.phone.request("INVITE", "sip:100@192.0.2.1"), HERE)
        self.gateway.answer(self.gateway.asked("INVITE"), 180)
        self.network.advance(170)
        self.assertEqual((self.phone.words(), self.gateway.words()), (["180 INVITE"], []))
        self.assertEqual(len(node.table), 1)

    def test_a_caller_behind_nat_is_asked_at_its_source(self) -> None:
        """Where it was seen, through its NAT."""
        self.node()
        outside = Peer(self.network, ("198.51.100.99", 40001), "outside")
        inside = Peer(self.network, ("10.0.0.7", 5060), "inside")
        outside.say(inside.request("INVITE", "sip:100@192.0.2.1"), HERE)
        self.gateway.answer(self.gateway.asked("INVITE"), 200)
        self.network.advance(PROBE_S)
        self.assertEqual(outside.words(), ["200 INVITE", "OPTIONS"])

    def test_a_caller_behind_a_proxy_is_asked_through_it(self) -> None:
        """The route that was recorded."""
        self.node()
        proxy = Peer(self.network, ("198.51.100.53", 5060), "proxy")
        invite = self.phone.request("INVITE", "sip:100@192.0.2.1", fields=[("Record-Route", "<sip:198.51.100.53;lr>")])
        invite.prepend("Via", "SIP/2.0/UDP 198.51.100.53:5060;branch=z9hG4bKproxy")
        proxy.say(invite, HERE)
        self.gateway.answer(self.gateway.asked("INVITE"), 200)
        proxy.told(200)
        self.network.advance(PROBE_S)
        self.assertEqual(proxy.asked("OPTIONS").values("Route"), ["<sip:198.51.100.53;lr>"])

    def test_an_end_that_names_this_node_is_asked_at_its_source(self) -> None:
        """The node does not ask itself."""
        self.node()
        self.phone.say(self.phone.request("INVITE", "sip:100@192.0.2.1", contact="<sip:alice@192.0.2.1>"), HERE)
        self.gateway.answer(self.gateway.asked("INVITE"), 200)
        self.network.advance(PROBE_S)
        self.assertEqual(self.phone.words(), ["200 INVITE", "OPTIONS"])

    def test_an_end_that_seems_to_be_this_node_is_not_there(self) -> None:
        """A forged source: the call does not live for ever because the node answers itself."""
        node = self.node()
        self.network.send(self.phone.request("INVITE", "sip:100@192.0.2.1", contact="").octets(), HERE, HERE)
        self.network.settle()
        self.gateway.answer(self.gateway.asked("INVITE"), 200)
        for _ in range(2):
            self.network.advance(PROBE_S)
            self.gateway.answer(self.gateway.asked("OPTIONS"), 481)
        self.assertEqual(len(node.table), 0)


class ListenerTest(RegistrarTestCase):
    """A telephone behind a NAT knows one port of the node alone: the one that it registered at."""

    def test_each_end_is_asked_by_its_own_port(self) -> None:
        """The call came in by another port: what goes to the telephone leaves by its own, OPTIONS and BYE alike."""
        self.registrar(HERE, HERE_TOO, trusted=(ip_network("0.0.0.0/0"),))
        bob = Peer(self.network, ("198.51.100.20", 40000), "bob")
        inside = "<sip:bob@10.0.0.5:5060>"
        asked = bob.request(
            "REGISTER", "sip:192.0.2.1", sender="<sip:bob@x>;tag=1", to="<sip:bob@192.0.2.1>", contact=inside
        )
        asked.set("Via", "SIP/2.0/UDP 10.0.0.5:5060;branch=z9hG4bKnat;rport")
        bob.say(asked, HERE_TOO)
        self.phone.say(self.phone.request("INVITE", "sip:bob@192.0.2.1"), HERE)
        bob.told(200, "REGISTER")
        invite = bob.asked("INVITE")
        bob.say(invite.response(200, to_tag="there", fields=[("Contact", inside)]), HERE_TOO)
        answer = self.phone.told(200)
        self.network.advance(PROBE_S)
        self.phone.say(self.phone.within("BYE", answer), HERE)
        self.assertEqual(bob.words(), ["OPTIONS", "BYE"])
        self.assertEqual({source for source, to, _ in self.network.sent if to == bob.address}, {HERE_TOO})
        self.assertEqual({source for source, to, _ in self.network.sent if to == PHONE}, {HERE})
