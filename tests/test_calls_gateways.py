"""The next gateway, when one does not take a call."""

from __future__ import annotations

from tests.sipnet import GATEWAY, HERE, SPARE, Peer, SipNetTestCase
from voipshift.sip.message import Request, Response


class GatewayTestCase(SipNetTestCase):
    """A node with two gateways for every number, and a third one for those that begin with 49."""

    def setUp(self) -> None:
        """Three gateways, and nobody calls yet."""
        super().setUp()
        self.spare = Peer(self.network, SPARE, "spare")
        self.german = Peer(self.network, ("192.0.2.49", 5060), "german")
        self.here = self.node(gateways=((GATEWAY, ("",)), (SPARE, ("",)), (self.german.address, ("49",))))

    def invite(self, uri: str = "sip:100@192.0.2.1") -> Request:
        """The phone calls."""
        invite = self.phone.request("INVITE", uri)
        self.phone.say(invite, HERE)
        return invite

    def cancel(self, invite: Request) -> None:
        """The phone gives up."""
        cancel = self.phone.request("CANCEL", invite.uri)
        cancel.set("Via", str(invite.via))
        self.phone.say(cancel, HERE)


class HuntTest(GatewayTestCase):
    """Which gateway, and when the next one."""

    def test_the_longest_prefix_wins(self) -> None:
        """A number goes to the gateway with the longest prefix, and to the others after it."""
        self.invite("sip:+49-30-1234@example.org")
        self.german.answer(self.german.asked("INVITE"), 503)
        self.gateway.answer(self.gateway.asked("INVITE"), 503)
        self.spare.answer(self.spare.asked("INVITE"), 180)
        self.phone.told(180)

    def test_503_tries_the_next_one(self) -> None:
        """503: the caller hears nothing of it, and each try has a branch and a Request-URI of its own."""
        self.invite()
        first = self.gateway.asked("INVITE")
        self.gateway.answer(first, 503)
        second = self.spare.asked("INVITE")
        self.assertEqual(self.gateway.words(), ["ACK"])
        self.assertEqual(second.uri, "sip:100@192.0.2.21:5060")
        self.assertNotEqual(first.via.branch, second.via.branch)
        self.assertEqual(len(second.vias), 2)
        self.assertEqual(len(second.values("Record-Route")), 1)
        self.assertEqual(second.max_forwards, 69)
        self.spare.answer(second, 200)
        answer = self.phone.told(200)
        self.phone.say(self.phone.within("ACK", answer, 1), HERE)
        self.spare.asked("ACK")
        self.assertEqual((len(self.here.table), self.here.table.carried), (1, 1))

    def test_408_tries_the_next_one(self) -> None:
        """408 is as good as no answer."""
        self.invite()
        self.gateway.answer(self.gateway.asked("INVITE"), 408)
        self.spare.asked("INVITE")

    def test_silence_tries_the_next_one(self) -> None:
        """No response at all within 2 s."""
        self.invite()
        self.network.advance(1.99)
        self.assertEqual(self.spare.words(), [])
        self.network.advance(0.02)
        self.spare.asked("INVITE")

    def test_one_that_was_silent_is_sent_the_request_no_more(self) -> None:
        """It may come back, and would ring for a call that has gone elsewhere; the other one is sent it again."""
        self.invite()
        self.network.advance(2.01)
        self.gateway.words()
        self.spare.words()
        self.network.advance(28.0)
        self.assertEqual((self.gateway.words(), set(self.spare.words())), ([], {"INVITE"}))

    def test_100_is_an_answer(self) -> None:
        """100 counts as one: nobody else is tried."""
        self.invite()
        self.gateway.answer(self.gateway.asked("INVITE"), 100)
        self.network.advance(60)
        self.assertEqual(self.spare.words(), [])

    def test_silence_of_the_last_one_is_waited_for(self) -> None:
        """There is nobody else to try: timer B, and the caller is told 408."""
        self.network.cut |= {GATEWAY, SPARE}
        invite = self.invite()
        self.network.advance(33.9)
        self.assertEqual(self.phone.words(), ["100 INVITE"])
        self.network.advance(0.2)
        self.phone.acknowledge(invite, self.phone.told(408), HERE)
        self.assertEqual(len(self.here.table), 0)

    def test_6xx_and_4xx_stop(self) -> None:
        """A callee's own answer ends the search: a 6xx stops, and so does any 4xx but 408, and 5xx but 503."""
        for number, status in enumerate((404, 486, 500, 603)):
            invite = self.phone.request("INVITE", "sip:100@192.0.2.1", call_id=f"{number}")
            self.phone.say(invite, HERE)
            self.gateway.answer(self.gateway.asked("INVITE"), status)
            self.phone.acknowledge(invite, self.phone.told(status), HERE)
            self.assertEqual(self.gateway.words(), ["ACK"])
        self.network.advance(3)
        self.assertEqual((self.spare.words(), len(self.here.table)), ([], 0))

    def test_503_that_ends_the_search_is_500(self) -> None:
        """A gateway's overload is not ours (section 16.7 item 6), and its Retry-After is nobody's business."""
        self.invite()
        self.gateway.answer(self.gateway.asked("INVITE"), 503)
        self.spare.answer(self.spare.asked("INVITE"), 503, fields=[("Retry-After", "600")])
        answer = self.phone.told(500)
        self.assertFalse(answer.has("Retry-After"))
        self.assertEqual(len(self.here.table), 0)

    def test_a_gateway_that_rang_and_then_refused(self) -> None:
        """503 after 180 tries the next one, too; the caller sees another early dialog."""
        self.invite()
        first = self.gateway.asked("INVITE")
        self.gateway.answer(first, 180)
        self.network.advance(5)
        self.gateway.answer(first, 503)
        self.spare.answer(self.spare.asked("INVITE"), 180, tag="other")
        self.assertEqual([self.phone.told(180).to_tag, self.phone.told(180).to_tag], ["there", "other"])


class LateTest(GatewayTestCase):
    """What comes from a try that was given up."""

    def setUp(self) -> None:
        """The first gateway was silent for 2 s, and the second one is asked."""
        super().setUp()
        self.first_invite = self.invite()
        self.first = self.gateway.asked("INVITE")
        self.network.advance(2.01)
        self.gateway.words()  # retransmissions
        self.phone.words()
        self.second = self.spare.asked("INVITE")

    def answered(self, answer: Response, *, left: int = 0) -> None:
        """The phone acknowledges and hangs up, and the first gateway hears of it; then there is no call."""
        self.assertEqual(len(self.here.table), 1)
        self.phone.say(self.phone.within("ACK", answer, 1), HERE)
        self.phone.say(self.phone.within("BYE", answer), HERE)
        self.gateway.asked("ACK")
        self.gateway.answer(self.gateway.asked("BYE"), 200)
        self.phone.told(200, "BYE")
        self.assertEqual(len(self.here.table), left)
        self.network.advance(20 if left else 200)
        self.assertEqual(self.gateway.words(), [])

    def test_a_late_1xx_is_cancelled(self) -> None:
        """It would ring at two places; the caller hears only of the try under way."""
        self.gateway.answer(self.first, 180)
        self.assertEqual(self.gateway.words(), ["CANCEL"])
        self.gateway.answer(self.first, 180)
        self.assertEqual(self.gateway.words(), [])
        self.gateway.answer(self.first, 487)
        self.assertEqual(self.gateway.words(), ["ACK"])
        self.assertEqual(self.phone.words(), [])
        self.assertEqual(len(self.here.table), 1)

    def test_a_late_failure_changes_nothing(self) -> None:
        """Of the first gateway nothing is expected any more."""
        self.gateway.answer(self.first, 486)
        self.gateway.answer(self.first, 503)
        self.assertEqual(self.phone.words(), [])
        self.spare.answer(self.second, 200)
        self.phone.told(200)

    def test_a_late_2xx_is_forwarded(self) -> None:
        """It is the call; the try under way is cancelled."""
        self.spare.answer(self.second, 180)
        self.phone.told(180)
        self.gateway.answer(self.first, 200)
        answer = self.phone.told(200)
        self.assertEqual(self.spare.words(), ["CANCEL"])
        self.spare.answer(self.second, 487)
        self.assertEqual((self.spare.words(), self.phone.words()), (["ACK"], []))
        self.answered(answer)

    def test_a_2xx_after_the_other_ones_2xx_is_forwarded(self) -> None:
        """Two answered: the caller has both, and hangs up on one (section 13.2.2.4); the other one is the call."""
        self.spare.answer(self.second, 200, tag="spare")
        standing = self.phone.told(200)
        self.gateway.answer(self.first, 200)
        answer = self.phone.told(200)
        self.answered(answer, left=1)
        self.phone.say(self.phone.within("BYE", standing, 3), HERE)
        self.spare.answer(self.spare.asked("BYE"), 200)
        self.assertEqual(len(self.here.table), 0)

    def test_a_2xx_after_the_other_ones_refusal_is_forwarded(self) -> None:
        """Section 16.7 item 5: always. It is a call then, so it is in the table, can be ended, and is watched."""
        self.spare.answer(self.second, 486)
        self.phone.acknowledge(self.first_invite, self.phone.told(486), HERE)
        self.assertEqual(len(self.here.table), 0)
        self.gateway.answer(self.first, 200)
        answer = self.phone.told(200)
        self.gateway.answer(self.first, 200)
        self.phone.told(200)
        self.answered(answer)

    def test_a_1xx_after_the_end_is_cancelled_and_schedules_nothing(self) -> None:
        """A try that was given up rings after the call was refused."""
        self.spare.answer(self.second, 486)
        self.phone.acknowledge(self.first_invite, self.phone.told(486), HERE)
        self.gateway.answer(self.first, 180)
        self.assertEqual(self.gateway.words(), ["CANCEL"])
        self.network.advance(70)
        self.assertEqual((self.phone.words(), len(self.here.sip.layer)), ([], 0))

    def test_an_abandoned_try_that_never_answers(self) -> None:
        """Its timer B is nobody's business."""
        self.spare.answer(self.second, 180)
        self.network.advance(40)
        self.assertEqual(self.phone.words(), ["180 INVITE"])
        self.assertEqual(len(self.here.table), 1)


class CancelledHuntTest(GatewayTestCase):
    """CANCEL while gateways are tried."""

    def test_no_other_one_is_tried_after_a_silence(self) -> None:
        """The caller gave up: the search ends with 487, and a late 1xx of the silent one is cancelled."""
        invite = self.invite()
        first = self.gateway.asked("INVITE")
        self.cancel(invite)
        self.phone.told(200, "CANCEL")
        self.network.advance(2.01)
        self.assertEqual(self.phone.words(), ["100 INVITE", "487 INVITE"])
        self.assertEqual((self.spare.words(), len(self.here.table)), ([], 0))
        self.gateway.words()
        self.gateway.answer(first, 180)
        self.assertEqual(self.gateway.words(), ["CANCEL"])
        self.gateway.answer(first, 180)
        self.network.advance(250)
        self.assertEqual(len(self.here.sip.layer), 0)

    def test_no_other_one_is_tried_after_503(self) -> None:
        """503 to a cancelled INVITE ends the search."""
        invite = self.invite()
        first = self.gateway.asked("INVITE")
        self.gateway.answer(first, 180)
        self.cancel(invite)
        self.gateway.answer(first, 503)
        self.assertEqual(self.phone.words(), ["180 INVITE", "200 CANCEL", "500 INVITE"])
        self.assertEqual((self.spare.words(), len(self.here.table)), ([], 0))
