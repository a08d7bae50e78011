"""Offers and answers without media."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from voipshift.demo.media import answer, offer

PHONE = b"""v=0\r
o=alice 2890844526 2890844526 IN IP4 192.0.2.1\r
s=-\r
c=IN IP4 192.0.2.1\r
t=0 0\r
m=audio 49170 RTP/AVP 9 0 101\r
a=rtpmap:101 telephone-event/8000\r
m=video 51372 RTP/AVP 31\r
m=audio 49172 RTP/AVP 8\r
"""


def streams(description: bytes) -> list[str]:
    """The ``m=`` lines."""
    return [line for line in description.decode().splitlines() if line.startswith("m=")]


class MediaTest(SynchronousTestCase):
    """RFC 3264."""

    def test_an_answer_has_each_stream_of_the_offer_in_its_order(self) -> None:
        """The answer MUST contain the same number of m= lines as the offer (section 6)."""
        self.assertEqual(
            streams(answer(PHONE, "127.0.0.1")),
            ["m=audio 9 RTP/AVP 9 0 101", "m=video 0 RTP/AVP 31", "m=audio 0 RTP/AVP 8"],
        )

    def test_an_invite_without_an_offer_is_answered_with_one(self) -> None:
        self.assertEqual(answer(b"", "127.0.0.1"), offer("127.0.0.1"))
        self.assertEqual(answer(b"\xff\xfe nonsense\r\nm=\r\n", "127.0.0.1"), offer("127.0.0.1"))

    def test_what_we_offer_we_take(self) -> None:
        self.assertEqual(answer(offer("::1"), "::1"), offer("::1"))
        self.assertIn(b"c=IN IP6 ::1\r\n", offer("::1"))

    def test_every_line_ends_with_cr_lf(self) -> None:
        for description in (offer("127.0.0.1"), answer(PHONE, "127.0.0.1")):
            self.assertEqual(description.count(b"\n"), description.count(b"\r\n"))
            self.assertTrue(description.endswith(b"\r\n"))
