"""The dialogs of a fork: early ones of several telephones, and two that are picked up."""

from __future__ import annotations

from tests.forks import ForkTestCase
from tests.sipnet import HERE, Peer
from voipshift.sip.message import Response


class EarlyDialogTest(ForkTestCase):
    """The early dialogs of several branches, each with its own other end."""

    def test_requests_go_to_the_branch_that_they_are_for(self) -> None:
        """PRACK and UPDATE by their To tag, whoever rang last."""
        self.invite()
        first, second = self.both()
        reliable = [("Require", "100rel"), ("RSeq", "1")]
        self.desk.answer(first, 183, tag="desk", fields=reliable)
        self.cell.answer(second, 183, tag="cell", fields=reliable)
        one, other = self.phone.told(183), self.phone.told(183)
        number = 1
        for ringing, phone in ((one, self.desk), (other, self.cell), (one, self.desk)):
            for method in ("PRACK", "UPDATE"):
                number += 1
                self.phone.say(self.phone.within(method, ringing, number), HERE)
                phone.answer(phone.asked(method), 200)
                self.phone.told(200, method)
        self.desk.say(self.desk.back("UPDATE", first, tag="desk"), HERE)
        self.phone.answer(self.phone.asked("UPDATE"), 200)
        self.desk.told(200, "UPDATE")

    def test_a_target_that_moves_is_that_branchs(self) -> None:
        """Target refresh (RFC 3311) of one early dialog leaves the other one alone."""
        self.invite()
        first, second = self.both()
        moved = Peer(self.network, ("198.51.100.99", 5060), "moved")
        self.desk.answer(first, 183, tag="desk")
        self.cell.answer(second, 183, tag="cell")
        one, other = self.phone.told(183), self.phone.told(183)
        self.desk.say(self.desk.back("UPDATE", first, tag="desk", contact=moved.contact), HERE)
        self.phone.answer(self.phone.asked("UPDATE"), 200)
        info = self.phone.within("INFO", one, 2)
        info.uri = "sip:bob@192.0.2.1"  # a sloppy client, which is helped
        self.phone.say(info, HERE)
        moved.asked("INFO")
        self.phone.say(self.phone.within("INFO", other, 3), HERE)
        self.cell.asked("INFO")

    def test_a_bye_ends_one_early_dialog_only(self) -> None:
        """Section 15: the other telephone rings on, and the call is one until it is over."""
        self.invite()
        first, second = self.both()
        self.desk.answer(first, 183, tag="desk")
        self.cell.answer(second, 183, tag="cell")
        one, _ = self.phone.told(183), self.phone.told(183)
        self.phone.say(self.phone.within("BYE", one), HERE)
        self.desk.answer(self.desk.asked("BYE"), 200)
        self.phone.told(200, "BYE")
        self.desk.answer(first, 487, tag="desk")
        self.assertEqual((self.phone.words(), self.sizes()), ([], (1, 1)))
        self.cell.answer(second, 200, tag="cell")
        self.hang_up(self.phone.told(200), 3)
        self.cell.asked("ACK")
        self.cell.answer(self.cell.asked("BYE"), 200)
        self.assertEqual(self.sizes(), (0, 1))

    def test_a_bye_to_the_only_one_that_rings(self) -> None:
        """The other telephone has said nothing yet; the call is not over before it has."""
        self.invite()
        first, second = self.both()
        self.desk.answer(first, 183, tag="desk")
        self.phone.say(self.phone.within("BYE", self.phone.told(183)), HERE)
        self.desk.answer(self.desk.asked("BYE"), 200)
        self.assertEqual(self.sizes(), (1, 1))
        self.cell.answer(second, 200, tag="cell")
        self.assertEqual(self.phone.words(), ["200 BYE", "200 INVITE"])
        self.assertEqual(self.sizes(), (1, 1))


class TwoAnswersTest(ForkTestCase):
    """Both telephones are picked up (section 13.2.2.4)."""

    def setUp(self) -> None:
        """Both answers have reached Alice, in one call."""
        super().setUp()
        self.invite()
        first, second = self.both()
        self.desk.answer(first, 180, tag="desk")
        self.desk.answer(first, 200, tag="desk")
        self.cell.answer(second, 200, tag="cell")
        self.phone.told(180)
        self.first, self.second = first, second
        self.one, self.other = self.phone.told(200), self.phone.told(200)
        self.assertEqual(self.sizes(), (1, 1))

    def acknowledge(self) -> None:
        """Alice acknowledges both, and each reaches its telephone."""
        for answer, phone in ((self.other, self.cell), (self.one, self.desk)):
            self.phone.say(self.phone.within("ACK", answer, 1), HERE)
            phone.asked("ACK")

    def bye(self, answer: Response, phone: Peer, number: int) -> None:
        """Alice hangs up on one."""
        self.phone.say(self.phone.within("BYE", answer, number), HERE)
        phone.answer(phone.asked("BYE"), 200)
        self.phone.told(200, "BYE")

    def test_the_second_one_is_hung_up(self) -> None:
        """The call stands with the first one, and is over with it."""
        self.acknowledge()
        self.bye(self.other, self.cell, 2)
        self.assertEqual(self.sizes(), (1, 1))
        self.bye(self.one, self.desk, 3)
        self.assertEqual(self.sizes(), (0, 1))

    def test_the_first_one_is_hung_up(self) -> None:
        """The other way round; the one that is left is watched, and may hang up itself."""
        self.acknowledge()
        self.bye(self.one, self.desk, 2)
        self.assertEqual(self.sizes(), (1, 1))
        self.network.advance(60)
        self.assertEqual((self.desk.words(), self.cell.words()), ([], ["OPTIONS"]))
        self.assertEqual(self.phone.asked("OPTIONS").from_tag, "cell")
        self.cell.say(self.cell.back("BYE", self.second, tag="cell"), HERE)
        self.phone.answer(self.phone.asked("BYE"), 200)
        self.assertEqual(self.sizes(), (0, 1))

    def test_retransmissions_until_the_ack(self) -> None:
        """Each 2xx is forwarded each time; so is each ACK, to its own telephone; an ACK that is lost is sent again."""
        for phone, asked, tag in ((self.desk, self.first, "desk"), (self.cell, self.second, "cell")):
            phone.answer(asked, 200, tag=tag)
            self.assertEqual(self.phone.told(200).to_tag, tag)
        self.network.cut.add(self.desk.address)
        self.phone.say(self.phone.within("ACK", self.one, 1), HERE)
        self.network.cut.clear()
        self.assertEqual(self.desk.words(), [])
        self.desk.answer(self.first, 200, tag="desk")
        self.phone.told(200)
        self.acknowledge()
        self.assertEqual(self.sizes(), (1, 1))

    def test_the_second_answer_comes_after_the_end(self) -> None:
        """A call that is over is one again when another telephone of it answers, and is ended like any."""
        self.acknowledge()
        self.bye(self.one, self.desk, 2)
        self.bye(self.other, self.cell, 3)
        self.desk.answer(self.first, 200, tag="desk")
        self.assertEqual(self.sizes(), (0, 1))
        self.cell.answer(self.second, 200, tag="third")
        self.phone.told(200)
        third = self.phone.told(200)
        self.assertEqual(len(self.here.table), 1)
        self.phone.say(self.phone.within("ACK", third, 1), HERE)
        self.cell.asked("ACK")
        self.bye(third, self.cell, 4)
        self.assertEqual(len(self.here.table), 0)
