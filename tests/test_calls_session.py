"""Session timers as a proxy sees them (RFC 4028 section 8), and what they mean to a call that is watched."""

from __future__ import annotations

import math

from tests.sipnet import GATEWAY, HERE, PHONE, SipNetTestCase
from voipshift.calls.session import MAX_SE_S, Interval, SessionTimer
from voipshift.sip.message import Request, Response

TIMER = ("Supported", "100rel, timer")


class RequestTest(SipNetTestCase):
    """Section 8.1: what becomes of an INVITE on its way."""

    def passed(self, *fields: tuple[str, str]) -> Request:
        """The INVITE as it reaches the gateway."""
        self.phone.say(self.phone.request("INVITE", "sip:100@192.0.2.1", fields=fields), HERE)
        return self.gateway.asked("INVITE")

    def test_an_interval_is_asked_for_where_nobody_did(self) -> None:
        """Without a refresher, and without requiring anything of anybody."""
        self.node()
        passed = self.passed()
        self.assertEqual(passed.get("Session-Expires"), "1800")
        self.assertFalse(passed.has("Require"))
        self.assertFalse(passed.has("Min-SE"))

    def test_off(self) -> None:
        """Nothing is asked for; what the ends agree upon stays as it is, longer ones too."""
        self.node(session_expires_s=math.inf)
        self.assertFalse(self.passed().has("Session-Expires"))
        self.phone.say(
            self.phone.request("INVITE", "sip:1@192.0.2.1", call_id="2", fields=[("x", "7200;refresher=uac")]), HERE
        )
        self.assertEqual(self.gateway.asked("INVITE").get("Session-Expires"), "7200;refresher=uac")

    def test_intervals(self) -> None:
        """One that fits stays, a longer one is reduced, never below what the caller says is the least for him; the
        refresher is not touched.
        """
        timer = SessionTimer(1800)
        for asked, least, expected in (
            ("600", None, "600"),
            ("90", None, "90"),
            ("3600", None, "1800"),
            ("3600;refresher=uas", "2400", "2400;refresher=uas"),
            ("600;refresher=uac", "900", "900;refresher=uac"),
            (None, "2400", "2400"),
            (None, "100", "1800"),
        ):
            request = self.phone.request("INVITE", "sip:100@192.0.2.1")
            for name, value in (("Session-Expires", asked), ("Min-SE", least)):
                if value is not None:
                    request.add(name, value)
            said = timer.requested(request)
            self.assertEqual(request.get("Session-Expires"), expected)
            self.assertEqual(said, Interval(int(expected.partition(";")[0]), False))
            self.assertEqual(request.get("Min-SE"), least)

    def test_too_small_for_one_who_understands_that(self) -> None:
        """422 with our least; nothing is sent on, and no slot is taken."""
        node = self.node()
        invite = self.phone.request("INVITE", "sip:100@192.0.2.1", fields=[TIMER, ("Session-Expires", "60")])
        self.phone.say(invite, HERE)
        refused = self.phone.told(422)
        self.assertEqual(refused.get("Min-SE"), "90")
        self.phone.acknowledge(invite, refused, HERE)
        self.assertEqual((self.gateway.words(), len(node.table), len(node.leases)), ([], 0, 0))

    def test_too_small_for_one_who_does_not(self) -> None:
        """He cannot be refused so: it is raised to the least, which goes with it."""
        self.node()
        passed = self.passed(("Session-Expires", "60"))
        self.assertEqual((passed.get("Session-Expires"), passed.get("Min-SE")), ("90", "90"))

    def test_what_is_no_number(self) -> None:
        """400, and no slot is taken."""
        node = self.node()
        for number, (name, value) in enumerate((("Session-Expires", "soon"), ("Min-SE", "9" * 5000), ("x", "-1"))):
            invite = self.phone.request("INVITE", "sip:1@192.0.2.1", call_id=f"{number}", fields=[(name, value)])
            self.phone.say(invite, HERE)
            self.phone.acknowledge(invite, self.phone.told(400), HERE)
        self.assertEqual((self.gateway.words(), len(node.table)), ([], 0))


class AnswerTest(SipNetTestCase):
    """Section 8.2: what becomes of the 2xx."""

    def answered(self, *fields: tuple[str, str], caller: tuple[tuple[str, str], ...] = ()) -> Response:
        """The 200 as it reaches the caller."""
        self.phone.say(self.phone.request("INVITE", "sip:100@192.0.2.1", fields=caller), HERE)
        self.gateway.answer(self.gateway.asked("INVITE"), 200, fields=fields)
        return self.phone.told(200)

    def test_the_callee_knows_session_timers(self) -> None:
        """What it says is what holds, and nothing is changed."""
        node = self.node()
        answer = self.answered(("Session-Expires", "1200;refresher=uas"), caller=(TIMER,))
        self.assertEqual(answer.get("Session-Expires"), "1200;refresher=uas")
        self.assertEqual([call.session_until for call in node.table], [1200.0])

    def test_the_caller_alone_knows_them(self) -> None:
        """It is told to refresh, in the name of the callee, and that it must; each time the 2xx comes."""
        node = self.node()
        self.phone.say(self.phone.request("INVITE", "sip:100@192.0.2.1", fields=[TIMER]), HERE)
        invite = self.gateway.asked("INVITE")
        for _ in range(2):
            self.gateway.answer(invite, 200)
            answer = self.phone.told(200)
            self.assertEqual(answer.get("Session-Expires"), "1800;refresher=uac")
            self.assertEqual(answer.values("Require"), ["timer"])
        self.assertEqual([call.session_until for call in node.table], [1800.0])

    def test_nobody_knows_them(self) -> None:
        """No session expires; the call is asked after as ever."""
        node = self.node()
        self.assertFalse(self.answered().has("Session-Expires"))
        self.assertEqual([call.session_until for call in node.table], [None])

    def test_what_an_answer_may_say(self) -> None:
        """A hostile or broken one hides a call for a day at most, and does not end it."""
        timer = SessionTimer(math.inf)
        for said, expected in (("99999999", MAX_SE_S), ("1", 90), ("soon", None), ("9" * 5000, None)):
            answer = self.phone.request("INVITE", "sip:x").response(200, fields=[("Session-Expires", said)])
            self.assertEqual(timer.agreed(Interval(None, True), answer), expected)


class WatchTest(SipNetTestCase):
    """A call with a session timer is asked nothing before that has run out (section 8.3: and gets no BYE of ours)."""

    def setUp(self) -> None:
        """A call whose ends have agreed upon 200 s, at time 0."""
        super().setUp()
        self.here = self.node()
        self.phone.say(self.phone.request("INVITE", "sip:100@192.0.2.1", fields=[TIMER]), HERE)
        self.invite = self.gateway.asked("INVITE")
        self.gateway.answer(self.invite, 200, fields=[("Session-Expires", "200;refresher=uac")])
        self.answer = self.phone.told(200)
        self.phone.say(self.phone.within("ACK", self.answer, 1), HERE)
        self.gateway.asked("ACK")

    def refresh(self, method: str, number: int, *fields: tuple[str, str]) -> None:
        """The caller refreshes the session; the callee agrees."""
        self.phone.say(self.phone.within(method, self.answer, number), HERE)
        self.gateway.answer(self.gateway.asked(method), 200, fields=fields)
        answer = self.phone.told(200, method)
        if method == "INVITE":
            self.phone.say(self.phone.within("ACK", answer, number), HERE)
            self.gateway.asked("ACK")

    def test_it_is_asked_at_once_when_nobody_has_refreshed(self) -> None:
        """Not at 60 s, 120 s and 180 s, but at 200 s; ended when both ends fail twice, as any call."""
        self.network.advance(199.9)
        self.assertEqual((self.phone.words(), self.gateway.words()), ([], []))
        self.network.advance(0.2)
        for peer in (self.phone, self.gateway):
            peer.answer(peer.asked("OPTIONS"), 481)
        self.assertEqual(len(self.here.table), 1)
        self.network.advance(60)
        for peer in (self.phone, self.gateway):
            peer.answer(peer.asked("OPTIONS"), 481)
        self.assertEqual(len(self.here.table), 0)
        self.network.advance(300)
        self.assertEqual((self.phone.words(), self.gateway.words()), ([], []))

    def test_ends_that_are_there_keep_their_call(self) -> None:
        """They forgot to refresh, and answer."""
        self.network.advance(200.1)
        for _ in range(5):
            for peer in (self.phone, self.gateway):
                peer.answer(peer.asked("OPTIONS"), 200)
            self.network.advance(60)
        self.assertEqual(len(self.here.table), 1)

    def test_a_refresh_begins_it_anew(self) -> None:
        """By re-INVITE or by UPDATE."""
        self.network.advance(100)
        self.refresh("INVITE", 2, ("Session-Expires", "200;refresher=uac"))
        self.network.advance(150)
        self.refresh("UPDATE", 3, ("Session-Expires", "200;refresher=uac"))
        self.network.advance(199)
        self.assertEqual((self.phone.words(), self.gateway.words()), ([], []))
        self.network.advance(1.1)
        self.assertEqual((self.phone.words(), self.gateway.words()), (["OPTIONS"], ["OPTIONS"]))

    def test_one_that_is_shorter_than_the_interval_of_probes(self) -> None:
        """The call is looked at when its session expires, however long the node waits else."""
        self.here.stopService()
        self.nodes.clear()
        self.here = self.node(probe_interval_s=3600.0)
        self.phone.say(self.phone.request("INVITE", "sip:100@192.0.2.1", call_id="2"), HERE)
        self.gateway.answer(self.gateway.asked("INVITE"), 200, fields=[("Session-Expires", "200;refresher=uas")])
        self.phone.told(200)
        self.network.advance(199)
        self.assertEqual((self.phone.words(), self.gateway.words()), ([], []))
        self.network.advance(61)
        self.assertEqual((set(self.phone.words()), set(self.gateway.words())), ({"OPTIONS"}, {"OPTIONS"}))

    def test_a_refresh_without_an_interval_ends_the_timer(self) -> None:
        """Section 7.2: then the call is asked after as ever."""
        self.refresh("UPDATE", 2)
        self.network.advance(60.1)
        self.assertEqual((self.phone.words(), self.gateway.words()), (["OPTIONS"], ["OPTIONS"]))

    def test_a_refresh_that_fails_changes_nothing(self) -> None:
        """What was agreed upon holds."""
        self.network.advance(100)
        self.phone.say(self.phone.within("UPDATE", self.answer, 2), HERE)
        self.gateway.answer(self.gateway.asked("UPDATE"), 500)
        self.phone.told(500, "UPDATE")
        self.network.advance(100.1)
        self.assertEqual((self.phone.words(), self.gateway.words()), (["OPTIONS"], ["OPTIONS"]))

    def test_a_refresh_that_comes_too_often_is_refused(self) -> None:
        """422 inside the dialog, too."""
        routes = [("Route", value) for value in self.answer.values("Record-Route")]
        fields = [*routes, TIMER, ("Session-Expires", "30")]
        self.phone.say(self.phone.within("UPDATE", self.answer, fields=fields), HERE)
        self.assertEqual(self.phone.told(422, "UPDATE").get("Min-SE"), "90")
        self.assertEqual((self.gateway.words(), len(self.here.table)), ([], 1))

    def test_failures_before_a_refresh_do_not_count(self) -> None:
        """Whoever refreshes is there."""
        self.network.advance(200.1)
        for peer in (self.phone, self.gateway):
            peer.answer(peer.asked("OPTIONS"), 481)
        self.refresh("UPDATE", 2, ("Session-Expires", "90;refresher=uac"))
        self.network.cut |= {PHONE, GATEWAY}
        self.network.advance(140)
        self.assertEqual(len(self.here.table), 1)
