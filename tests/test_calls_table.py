"""The call table, whose length is the number of ongoing calls."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from voipshift.calls.table import MAX_BRANCHES, MAX_PARTIES, Call, CallTable, End

CALLER = End("<sip:a@x>;tag=a", "sip:a@198.51.100.7", (), ("198.51.100.7", 5060), False)
CALLEE = End("<sip:b@x>;tag=b", "sip:b@192.0.2.20", (), ("192.0.2.20", 5060), False)


def call(call_id: str = "1", tag: str = "a", hops: int = 0) -> Call:
    """A call that has just been accepted."""
    return Call((call_id, tag), CALLER, hops, 0, 0.0)


class CallTableTest(SynchronousTestCase):
    """Opened, found and closed."""

    def setUp(self) -> None:
        """A table with one call."""
        self.table = CallTable()
        self.call = call()
        self.table.open(self.call)

    def test_a_call_is_closed_once(self) -> None:
        """The count is the table's: it cannot drift."""
        self.assertEqual(len(self.table), 1)
        self.assertEqual([self.table.close(self.call), self.table.close(self.call)], [True, False])
        self.assertEqual((len(self.table), list(self.table)), (0, []))

    def test_closing_does_not_close_another_call_of_that_name(self) -> None:
        """The same Call-ID and tag may be used again after a failure."""
        self.table.close(self.call)
        again = call()
        self.table.open(again)
        self.assertFalse(self.table.close(self.call))
        self.assertIs(self.table.get(("1", "a")), again)
        self.assertIn(("1", "a"), self.table)

    def test_it_remembers_what_it_carried(self) -> None:
        """Calls opened, the most at once, and the hops of each."""
        other = call("2", hops=2)
        self.table.open(other)
        self.table.close(self.call)
        self.table.close(other)
        self.table.open(call("3"))
        self.assertEqual((self.table.carried, self.table.peak, dict(self.table.hops)), (3, 2, {0: 2, 2: 1}))

    def test_an_answered_call_is_found_by_both_tags(self) -> None:
        """A dialog is Call-ID and both tags (section 12), from either end."""
        self.assertTrue(self.call.answer(CALLEE, "b", 1.0))
        for call_id, from_tag, to_tag, found in [
            ("1", "a", "b", True),
            ("1", "b", "a", True),
            ("1", "a", "c", False),
            ("1", "c", "a", False),
            ("1", "a", "", False),
            ("1", "b", "b", False),
            ("2", "a", "b", False),
        ]:
            self.assertEqual(
                self.table.find(call_id, from_tag, to_tag) is self.call, found, (call_id, from_tag, to_tag)
            )

    def test_before_the_answer_any_callee_is_found(self) -> None:
        """Each of many may ring: an early dialog has the caller's tag alone for sure."""
        self.assertIs(self.table.find("1", "a", "x"), self.call)
        self.assertIs(self.table.find("1", "x", "a"), self.call)
        self.assertIsNone(self.table.find("1", "x", "y"))

    def test_every_answer_of_a_fork_is_found(self) -> None:
        """Two 2xx: the first one is the far end, both tags are the call's."""
        other = End("<sip:c@x>;tag=c", "sip:c@192.0.2.21", (), ("192.0.2.21", 5060), False)
        self.assertEqual([self.call.answer(CALLEE, "b", 1.0), self.call.answer(other, "c", 2.0)], [True, True])
        self.assertFalse(self.call.answer(CALLEE, "b", 3.0))
        self.assertEqual((self.call.callee, self.call.answered, self.call.callee_tags), (CALLEE, 1.0, ("b", "c")))
        self.assertIs(self.table.find("1", "c", "a"), self.call)

    def test_what_is_remembered_of_one_call_is_bounded(self) -> None:
        """Tags of a fork, and addresses."""
        for number in range(100):
            self.call.answer(CALLEE, f"{number}", 1.0)
            self.call.admit(("192.0.2.9", number))
        self.assertEqual(len(self.call.callee_tags), MAX_BRANCHES)
        self.assertLessEqual(len(self.call.parties), MAX_PARTIES)
        self.call.admit(*(("192.0.2.10", number) for number in range(200)))
        self.assertLessEqual(len(self.call.parties), MAX_PARTIES)
        self.assertIn(CALLER.address, self.call.parties)
