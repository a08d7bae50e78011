"""The lines of a plain message: which are none, and what is remembered of them."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.sip_wire import made
from voipshift.sip import plain
from voipshift.sip.plain import MAX_REMEMBERED_LINES, parse_plain

INVITE = made("INVITE").octets()


class LineTests(SynchronousTestCase):
    """A line more in an INVITE that is plain without it."""

    def read(self, line: bytes) -> object:
        return parse_plain(INVITE.replace(b"Max", line + b"\r\nMax", 1))

    def test_one_without_a_colon_is_not_plain(self) -> None:
        """Whatever name it is, and however often it comes."""
        self.assertIsNotNone(self.read(b"Subject: a"))
        for line in (b"Subject", b"X-a", b"From", b"CSeq", b"Subject:", b": a"):
            for _ in range(2):
                self.assertIsNone(self.read(line), line)

    def test_one_that_there_may_be_only_one_of(self) -> None:
        """The second is not plain, be it the same or not, and however often that comes."""
        for line in (
            b"Max-Forwards: 70",
            b"Max-Forwards: 69",
            b"From: <sip:b@x>;tag=2",
            b"Call-ID: c1",
            b"Expires: 1\r\nExpires: 1",
        ):
            for _ in range(2):
                self.assertIsNone(self.read(line), line)

    def test_remembered_within_limits(self) -> None:
        """However many different ones come, and the next is read all the same."""
        for number in range(MAX_REMEMBERED_LINES + 100):
            self.assertIsNotNone(self.read(b"X-a: %d" % number))
            self.assertLessEqual(len(plain._remembered), MAX_REMEMBERED_LINES)
