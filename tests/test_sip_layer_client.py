"""Responses find their transaction, and each request of ours gets its outcome in time."""

from __future__ import annotations

from tests.sip_wire import GATEWAY, LayerTestCase, only, sent
from voipshift.sip.effects import Ended, Responded, StrayResponse
from voipshift.sip.message import Request
from voipshift.sip.spent import TOGETHER_S


class InviteClientTests(LayerTestCase):
    """Figure 5."""

    def test_a_and_b(self) -> None:
        """Timer A repeats an INVITE at T1, doubling; timer B gives it up after 64 T1."""
        self.call()
        sends, others = self.times()
        self.assertEqual(sends, [0.5, 1.5, 3.5, 7.5, 15.5, 31.5])
        self.assertEqual(others, [(32.0, "TimedOut"), (32.0, "Ended")])
        self.assert_over()

    def test_reliable(self) -> None:
        """Over TCP nothing is repeated, and timer D is zero."""
        _, ours = self.call(reliable=True)
        self.assertEqual(self.times(31.9), ([], []))
        self.answer(ours, 486)
        self.assertEqual(self.times(31.9), ([], [(31.9, "Ended")]))

    def test_provisional(self) -> None:
        """A provisional response ends the retransmissions; each is passed on."""
        client, ours = self.call()
        self.step(0.6)
        for status in (100, 180, 183):
            told = only(self.answer(ours, status), Responded)
            self.assertEqual((told.transaction, told.response.status), (client, status))
        self.assertEqual(self.times(300.0), ([], []))

    def test_d(self) -> None:
        """17.1.1.2: a failure is passed on once and acknowledged each time it comes, for 32 s."""
        client, ours = self.call()
        self.answer(ours, 180)
        effects = self.answer(ours, 486)
        self.assertEqual(only(effects, Responded).response.status, 486)
        ack = sent(effects)[0]
        again = self.answer(ours, 486)
        self.assertEqual(again, [effects[0]])
        self.assertEqual(self.answer(ours, 200), [])
        self.assertEqual(self.times(), ([], [(32.0, "Ended")]))
        assert isinstance(ack, Request)
        self.assertEqual((ack.method, ack.uri, ack.cseq), ("ACK", "sip:bob@192.0.2.1", (1, "ACK")))
        self.assertEqual((ack.from_tag, ack.to_tag, ack.call_id), ("a1", "g1", "c1"))
        self.assertEqual([str(via) for via in ack.vias], [str(ours.via)])
        self.assertEqual(ack.values("Route"), ["<sip:192.0.2.1;lr>"])
        self.assertEqual(only(self.answer(ours, 486), StrayResponse).source, GATEWAY)
        self.assertFalse(hasattr(client, "request"))

    def test_m(self) -> None:
        """RFC 6026: every 2xx is passed on for 64 T1, and none is acknowledged here."""
        _, ours = self.call()
        for to_tag in ("g1", "g1", "g2"):
            effects = self.answer(ours, 200, to_tag)
            self.assertEqual(only(effects, Responded).response.to_tag, to_tag)
            self.assertEqual(len(effects), 1)
        self.assertEqual(self.answer(ours, 486), [])
        self.assertEqual(self.times(), ([], [(32.0, "Ended")]))
        only(self.answer(ours, 200), StrayResponse)
        self.assert_over()

    def test_cancel_when_proceeding(self) -> None:
        """9.1: the CANCEL has the INVITE's URI, Via, Route, To, From, Call-ID and CSeq number; its 200 is absorbed."""
        client, ours = self.call()
        self.answer(ours, 180)
        effects = self.layer.cancel(client, self.now)
        (cancel,) = sent(effects)
        assert isinstance(cancel, Request)
        self.assertEqual((cancel.method, cancel.uri, cancel.cseq), ("CANCEL", ours.uri, (1, "CANCEL")))
        self.assertEqual(
            (cancel.get("To"), cancel.get("From"), cancel.call_id), (ours.get("To"), ours.get("From"), "c1")
        )
        self.assertEqual([str(via) for via in cancel.vias], [str(ours.via)])
        self.assertEqual(cancel.values("Route"), ours.values("Route"))
        self.assertEqual(self.layer.cancel(client, self.now), [])
        self.assertEqual(self.answer(cancel, 200), [])
        effects = self.answer(ours, 487)
        self.assertEqual(only(effects, Responded).response.status, 487)
        self.assertEqual(self.times()[0], [])
        self.assert_over()

    def test_cancel_waits_for_a_provisional_response(self) -> None:
        """9.1: no CANCEL MUST be sent before a provisional response; it follows that one."""
        client, ours = self.call()
        self.assertEqual(self.layer.cancel(client, self.now), [])
        effects = self.answer(ours, 100)
        only(effects, Responded)
        self.assertEqual([message.cseq for message in sent(effects)], [(1, "CANCEL")])

    def test_cancel_that_is_not_needed(self) -> None:
        """9.1: after a final response there is nothing to cancel, whoever was first."""
        client, ours = self.call()
        self.layer.cancel(client, self.now)
        self.assertEqual(len(self.answer(ours, 200)), 1)
        other, theirs = self.call()
        self.answer(theirs, 486)
        self.assertEqual(self.layer.cancel(other, self.now), [])
        bye, _ = self.call("BYE")
        self.assertEqual(self.layer.cancel(bye, self.now), [])

    def test_cancelled_and_silent(self) -> None:
        """9.1: without a final response 64 T1 after the CANCEL, the INVITE is over."""
        client, ours = self.call()
        self.answer(ours, 180)
        self.now = 10.0
        self.layer.cancel(client, self.now)
        sends, others = self.times()
        self.assertEqual(sends[:3], [10.5, 11.5, 13.5])
        self.assertEqual(others, [(42.0, "TimedOut"), (42.0, "Ended")])
        self.assert_over()


class OtherClientTests(LayerTestCase):
    """Figure 6."""

    def test_e_and_f(self) -> None:
        """Timer E repeats at T1, doubling up to T2; timer F gives up after 64 T1."""
        self.call("OPTIONS")
        sends, others = self.times()
        self.assertEqual(sends, [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5])
        self.assertEqual(others, [(32.0, "TimedOut"), (32.0, "Ended")])
        self.assert_over()

    def test_proceeding(self) -> None:
        """17.1.2.2: after a provisional response it is repeated every T2, and given up at the same time."""
        _, ours = self.call("BYE")
        self.step(0.6)
        only(self.answer(ours, 100), Responded)
        sends, others = self.times()
        self.assertEqual(sends, [1.5, 5.5, 9.5, 13.5, 17.5, 21.5, 25.5, 29.5])
        self.assertEqual(others, [(32.0, "TimedOut"), (32.0, "Ended")])

    def test_k(self) -> None:
        """A final response is passed on once; what is repeated is absorbed for T4."""
        _, ours = self.call("BYE")
        self.step(2.0)
        responded, ended = self.answer(ours, 200)
        assert isinstance(responded, Responded) and isinstance(ended, Ended)
        self.assertEqual(responded.response.status, 200)
        self.assertEqual(self.step(7.0), [])
        self.assertEqual(self.answer(ours, 200), [])
        self.assertEqual(self.step(7.0 + TOGETHER_S), [])
        only(self.answer(ours, 200), StrayResponse)
        self.assert_over()

    def test_matching(self) -> None:
        """17.1.3: a response belongs to the request with its branch and CSeq method."""
        _, ours = self.call("BYE")
        other = ours.copy()
        other.set("Via", "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKother")
        only(self.answer(other, 200), StrayResponse)
        other = ours.copy()
        other.set("CSeq", "1 INFO")
        only(self.answer(other, 200), StrayResponse)
        self.assertEqual([type(effect) for effect in self.answer(ours, 200)], [Responded, Ended])
