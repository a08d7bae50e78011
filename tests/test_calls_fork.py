"""One user, several telephones that he prefers alike: they ring in parallel (RFC 3261 sections 16.6 and 16.7)."""

from __future__ import annotations

from tests.forks import ForkTestCase
from tests.sipnet import HERE
from voipshift.sip.message import Response


class ForkTest(ForkTestCase):
    """All of one group at once, the groups one after the other."""

    def test_equal_preference_rings_in_parallel(self) -> None:
        """Both get it, each with a branch and a Request-URI of its own; the third one waits; it is one call."""
        self.invite()
        first, second = self.both()
        self.assertEqual((first.uri, second.uri), ("sip:bob@198.51.100.20:5060", "sip:bob@198.51.100.21:5060"))
        self.assertNotEqual(first.via.branch, second.via.branch)
        for invite in (first, second):
            self.assertEqual((len(invite.vias), len(invite.values("Record-Route"))), (2, 1))
        self.assertEqual((self.hall.words(), self.sizes()), ([], (1, 1)))

    def test_every_provisional_response_goes_to_the_caller(self) -> None:
        """Each is an early dialog of its own; 100 is the node's business."""
        self.invite()
        first, second = self.both()
        self.desk.answer(first, 100)
        self.desk.answer(first, 180, tag="desk")
        self.cell.answer(second, 183, tag="cell")
        self.assertEqual((self.phone.told(180).to_tag, self.phone.told(183).to_tag), ("desk", "cell"))

    def test_whoever_answers_first_has_the_call(self) -> None:
        """A 2xx goes to the caller at once, the other one is cancelled, and its 487 is acknowledged here."""
        self.invite()
        first, second = self.both()
        self.desk.answer(first, 180, tag="desk")
        self.cell.answer(second, 180, tag="cell")
        self.phone.words()
        self.cell.answer(second, 200, tag="cell")
        answer = self.phone.told(200)
        cancel = self.desk.asked("CANCEL")
        self.assertEqual(str(cancel.via), str(first.via))
        self.desk.answer(cancel, 200)
        self.desk.answer(first, 487, tag="desk")
        self.assertEqual((self.desk.words(), self.phone.words()), (["ACK"], []))
        self.hang_up(answer)
        self.cell.asked("ACK")
        self.cell.answer(self.cell.asked("BYE"), 200)
        self.phone.told(200, "BYE")
        self.assertEqual(self.sizes(), (0, 1))

    def test_a_loser_that_has_said_nothing_is_cancelled_when_it_does(self) -> None:
        """Section 9.1: no CANCEL before a provisional response."""
        self.invite()
        first, second = self.both()
        self.cell.answer(second, 200, tag="cell")
        self.assertEqual(self.desk.words(), [])
        self.desk.answer(first, 180, tag="desk")
        self.desk.asked("CANCEL")
        self.assertEqual(self.phone.words(), ["200 INVITE"])

    def test_the_next_group_is_tried_when_all_of_one_have_refused(self) -> None:
        """One that is busy does not end the search, nor does it begin the next group."""
        self.invite()
        first, second = self.both()
        self.desk.answer(first, 486)
        self.assertEqual((self.hall.words(), self.phone.words()), ([], []))
        self.cell.answer(second, 480)
        self.hall.answer(self.hall.asked("INVITE"), 200)
        self.phone.told(200)
        self.assertEqual(self.sizes(), (1, 1))

    def test_a_silent_group_is_passed_over(self) -> None:
        """Nothing at all within 2 s from any: the next group; what comes late is cancelled."""
        self.invite()
        first, _ = self.both()
        self.network.advance(2.01)
        self.hall.asked("INVITE")
        self.desk.words()
        self.desk.answer(first, 180)
        self.desk.asked("CANCEL")

    def test_one_that_rings_keeps_its_group_going(self) -> None:
        """The silent one of two is waited for while the other one rings."""
        self.invite()
        first, second = self.both()
        self.desk.answer(first, 180)
        self.network.advance(20)
        self.assertEqual(self.hall.words(), [])
        self.cell.words()
        self.cell.answer(second, 200, tag="cell")
        self.assertEqual(self.phone.words(), ["180 INVITE", "200 INVITE"])

    def test_a_dead_telephone_does_not_keep_the_answer_of_the_others(self) -> None:
        """The last group: one is silent, the other one refuses; after 2 s of silence that is the answer."""
        self.register(self.hall, contact=f"{self.hall.contact};expires=0", call_id="r2", number=2)
        self.invite()
        first, _ = self.both()
        self.desk.answer(first, 486)
        self.assertEqual(self.phone.words(), [])
        self.network.advance(2.01)
        self.assertEqual(self.phone.words(), ["100 INVITE", "486 INVITE"])
        self.assertEqual(self.sizes(), (0, 1))

    def test_all_are_dead(self) -> None:
        """Nobody says anything: timer B of the last group, and 408."""
        self.invite()
        self.network.advance(34.1)
        self.assertEqual(self.phone.words(), ["100 INVITE", "408 INVITE"])
        self.assertEqual(self.sizes(), (0, 1))

    def test_timer_c_of_each_branch(self) -> None:
        """Section 16.8: the one that rang too long is cancelled, the other one, which rang again since, is not."""
        self.invite()
        first, second = self.both()
        self.desk.answer(first, 180)
        self.cell.answer(second, 180, tag="cell")
        self.network.advance(100)
        self.cell.answer(second, 180, tag="cell")
        self.network.advance(81.1)
        self.desk.answer(self.desk.asked("CANCEL"), 200)
        self.desk.answer(first, 487)
        self.assertEqual((self.cell.words(), self.desk.words()), ([], ["ACK"]))
        self.cell.answer(second, 200, tag="cell")
        self.assertEqual(self.phone.words(), ["180 INVITE", "180 INVITE", "180 INVITE", "200 INVITE"])


class RefusalTest(ForkTestCase):
    """Which of several refusals the caller gets (section 16.7 item 6)."""

    def refused(self, first: int, second: int, *, third: int = 480) -> int:
        """Let all three refuse, and say what Alice is told."""
        invite = self.invite(call_id=f"{first}-{second}", sender=f"<sip:alice@example.org>;tag={first}{second}")
        for phone, status in ((self.desk, first), (self.cell, second), (self.hall, third)):
            phone.answer(phone.asked("INVITE"), status)
            phone.asked("ACK")
        answer = self.phone.heard.pop(0)
        assert isinstance(answer, Response)
        self.phone.acknowledge(invite, answer, HERE)
        return answer.status

    def test_the_best_one(self) -> None:
        """The lowest class; in it what tells how to ask again, then what says no, then silence; 503 becomes 500."""
        for first, second, best in (
            (486, 408, 486),
            (408, 486, 486),
            (404, 484, 484),
            (500, 302, 302),
            (503, 500, 480),
            (420, 302, 302),
        ):
            self.assertEqual(self.refused(first, second), best, (first, second))
        self.assertEqual(self.refused(503, 503, third=503), 500)
        self.assertEqual(self.refused(503, 502, third=503), 502)

    def test_a_6xx_ends_all(self) -> None:
        """Item 5: the others are cancelled, nobody else is tried, and it is sent when they are done."""
        self.invite()
        first, second = self.both()
        self.cell.answer(second, 180, tag="cell")
        self.desk.answer(first, 603)
        self.assertEqual(self.phone.words(), ["180 INVITE"])
        self.cell.answer(self.cell.asked("CANCEL"), 200)
        self.cell.answer(second, 487, tag="cell")
        self.phone.told(603)
        self.assertEqual((self.hall.words(), self.sizes()), ([], (0, 1)))

    def test_a_2xx_that_crosses_a_6xx(self) -> None:
        """Somebody answered nevertheless: it is a call."""
        self.invite()
        first, second = self.both()
        self.cell.answer(second, 180, tag="cell")
        self.desk.answer(first, 603)
        self.cell.answer(second, 200, tag="cell")
        self.assertEqual(self.phone.words(), ["180 INVITE", "200 INVITE"])
        self.assertEqual(self.sizes(), (1, 1))

    def test_a_6xx_waits_for_no_dead_telephone(self) -> None:
        """Two seconds, not 32."""
        self.invite()
        self.desk.answer(self.both()[0], 600)
        self.network.advance(2.01)
        self.assertEqual(self.phone.words(), ["100 INVITE", "600 INVITE"])
        self.assertEqual(self.sizes(), (0, 1))

    def test_all_challenges_are_told(self) -> None:
        """Item 7: 401 and 407 of several branches are one response with what each of them wants."""
        self.invite()
        first, second = self.both()
        asks = 'Digest realm="%s", nonce="1"'
        self.desk.answer(first, 407, fields=[("Proxy-Authenticate", asks % "desk")])
        self.cell.answer(
            second, 401, fields=[("WWW-Authenticate", asks % "cell"), ("WWW-Authenticate", asks % "cell2")]
        )
        self.hall.answer(self.hall.asked("INVITE"), 486)
        answer = self.phone.told(407)
        self.assertEqual(
            [line for key, line in answer.fields if key.endswith("-authenticate")],
            [f"Proxy-Authenticate: {asks % 'desk'}"]
            + [f"WWW-Authenticate: {asks % realm}" for realm in ("cell", "cell2")],
        )


class CancelTest(ForkTestCase):
    """CANCEL in every state of a fork."""

    def test_while_both_ring(self) -> None:
        """Each is cancelled; one 487 goes to the caller when both are done, and nobody else is tried."""
        invite = self.invite()
        first, second = self.both()
        self.desk.answer(first, 180)
        self.cell.answer(second, 180, tag="cell")
        self.phone.words()
        self.cancel(invite)
        for phone, asked in ((self.desk, first), (self.cell, second)):
            self.assertEqual(self.phone.words(), [])
            phone.answer(phone.asked("CANCEL"), 200)
            phone.answer(asked, 487)
            phone.asked("ACK")
        self.phone.told(487)
        self.assertEqual((self.hall.words(), self.sizes()), ([], (0, 1)))

    def test_while_one_rings_and_the_other_is_silent(self) -> None:
        """Nobody waits more than 2 s for the silent one; when it says something after all it is cancelled."""
        invite = self.invite()
        first, second = self.both()
        self.desk.answer(first, 180)
        self.phone.words()
        self.cancel(invite)
        self.desk.answer(self.desk.asked("CANCEL"), 200)
        self.desk.answer(first, 487)
        self.network.advance(2.01)
        self.phone.told(487)
        self.cell.words()
        self.cell.answer(second, 180)
        self.assertEqual(self.cell.words(), ["CANCEL"])
        self.assertEqual(self.sizes(), (0, 1))

    def test_after_one_has_refused(self) -> None:
        """Whoever gave up is told 487, not that the other one was busy."""
        invite = self.invite()
        first, second = self.both()
        self.cell.answer(second, 180, tag="cell")
        self.desk.answer(first, 404)
        self.phone.words()
        self.cancel(invite)
        self.cell.answer(self.cell.asked("CANCEL"), 200)
        self.cell.answer(second, 487, tag="cell")
        self.phone.told(487)

    def test_after_the_answer(self) -> None:
        """It is too late: 200 to the CANCEL, and the call stands."""
        invite = self.invite()
        _, second = self.both()
        self.cell.answer(second, 200, tag="cell")
        self.phone.told(200)
        self.cancel(invite)
        self.assertEqual((self.cell.words(), self.sizes()), ([], (1, 1)))

    def test_an_answer_that_crosses_it(self) -> None:
        """The 2xx wins, and the other one stays cancelled."""
        invite = self.invite()
        first, second = self.both()
        self.desk.answer(first, 180)
        self.cell.answer(second, 180, tag="cell")
        self.phone.words()
        self.cancel(invite)
        self.cell.answer(second, 200, tag="cell")
        self.phone.told(200)
        self.assertEqual(self.desk.words(), ["CANCEL"])
        self.desk.answer(first, 487)
        self.assertEqual((self.phone.words(), self.sizes()), ([], (1, 1)))

    def test_in_the_second_group(self) -> None:
        """What was refused before does not matter any more."""
        invite = self.invite()
        for phone, asked in zip((self.desk, self.cell), self.both(), strict=True):
            phone.answer(asked, 486)
        last = self.hall.asked("INVITE")
        self.hall.answer(last, 180)
        self.phone.told(180)
        self.cancel(invite)
        self.hall.answer(self.hall.asked("CANCEL"), 200)
        self.hall.answer(last, 487)
        self.phone.told(487)


class BreadthTest(ForkTestCase):
    """RFC 5393: a fork cannot fill the network."""

    def test_what_was_given_is_divided(self) -> None:
        """Section 5.3.3: the sum over the branches is what came; nothing said is 60, and more than 60 is 60."""
        for number, (said, expected) in enumerate((("5", ["3", "2"]), (None, ["30", "30"]), ("4000", ["30", "30"]))):
            fields = [] if said is None else [("Max-Breadth", said)]
            self.invite(fields=fields, call_id=f"{number}")
            self.assertEqual([invite.get("Max-Breadth") for invite in self.both()], expected)
            self.desk.words(), self.cell.words()

    def test_it_does_not_suffice(self) -> None:
        """440: nothing is sent, and no slot is taken."""
        for number, said in enumerate(("1", "0")):
            invite = self.invite(fields=[("Max-Breadth", said)], call_id=f"{number}")
            self.phone.acknowledge(invite, self.phone.told(440), HERE)
        self.assertEqual((self.desk.words(), self.cell.words(), self.sizes()), ([], [], (0, 0)))

    def test_what_is_no_number(self) -> None:
        """400."""
        invite = self.invite(fields=[("Max-Breadth", "many")])
        self.phone.acknowledge(invite, self.phone.told(400), HERE)
        self.assertEqual(self.sizes(), (0, 0))

    def test_one_after_the_other_needs_no_more(self) -> None:
        """The next group has what the one before has given back."""
        self.invite(fields=[("Max-Breadth", "2")])
        for phone, asked in zip((self.desk, self.cell), self.both(), strict=True):
            self.assertEqual(asked.get("Max-Breadth"), "1")
            phone.answer(asked, 486)
        self.assertEqual(self.hall.asked("INVITE").get("Max-Breadth"), "2")

    def test_a_fork_that_is_sent_back_is_a_loop(self) -> None:
        """Section 4: it comes back as it came, changed and changed back: 482, and no new fork."""
        self.invite()
        first, _ = self.both()
        back = first.copy()
        back.uri = "sip:bob@192.0.2.1"
        back.prepend("Via", "SIP/2.0/UDP 198.51.100.20:5060;branch=z9hG4bKback")
        self.desk.say(back, HERE)
        self.desk.told(482)
        self.assertEqual((self.cell.words(), self.sizes()), ([], (1, 1)))
