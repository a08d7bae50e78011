"""A stream cut into messages, however the stream itself was cut: RFC 3261 section 18.3, RFC 4475, RFC 5626."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from voipshift.sip.framing import PING, Broken, Framing
from voipshift.sip.message import MAX_MESSAGE

HEAD = (
    b"INVITE sip:bob@example.org SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.1;branch=z9hG4bK1\r\n"
    b"From: <sip:a@example.org>;tag=1\r\nTo: <sip:bob@example.org>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n"
)
BODY = b"v=0\r\n\r\nINVITE sip:no@example.org SIP/2.0\r\n\r\n"
WITH_BODY = HEAD + b"Content-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY
FOLDED = HEAD + b"L :\r\n  0003\r\n\r\nabc"
WITHOUT = HEAD + b"\r\n"
RESPONSE = b"SIP/2.0 200 OK\r\ncontent-LENGTH:0\r\n\r\n"


def cut(*pieces: bytes) -> list[bytes | str]:
    """What a stream of these pieces consists of; a :class:`Broken` as its reason."""
    framing = Framing()
    found = [each for piece in pieces for each in framing.feed(piece)]
    return [each.reason if isinstance(each, Broken) else each for each in found]


class CutTests(SynchronousTestCase):
    """The same messages are found wherever the stream is cut."""

    STREAM = WITH_BODY + b"\r\n\r\n" + FOLDED + b"\r\n" + WITHOUT + b"\r\n\r\n\r\n\r\n" + RESPONSE
    FOUND = [WITH_BODY, PING, FOLDED, WITHOUT, PING, PING, RESPONSE]

    def test_whole(self) -> None:
        """Four messages and three keep-alives in one piece; a single CRLF between messages is ignored."""
        self.assertEqual(cut(self.STREAM), self.FOUND)

    def test_at_every_octet(self) -> None:
        """Likewise in two pieces."""
        for place in range(len(self.STREAM)):
            self.assertEqual(cut(self.STREAM[:place], self.STREAM[place:]), self.FOUND, place)

    def test_octet_by_octet(self) -> None:
        """Likewise in as many pieces as there are octets."""
        self.assertEqual(cut(*(self.STREAM[place : place + 1] for place in range(len(self.STREAM)))), self.FOUND)

    def test_a_tail_waits(self) -> None:
        """What is not complete is not given out, and is begun."""
        framing = Framing()
        self.assertEqual(framing.feed(RESPONSE + WITH_BODY[:-1]), [RESPONSE])
        self.assertTrue(framing.begun)
        self.assertEqual(framing.feed(WITH_BODY[-1:]), [WITH_BODY])
        self.assertFalse(framing.begun)

    def test_a_keep_alive_begins_no_message(self) -> None:
        """A line end is none, and half of one neither."""
        framing = Framing()
        for octets in (b"\r", b"\n", b"\r"):
            framing.feed(octets)
            self.assertFalse(framing.begun)

    def test_largest(self) -> None:
        """64 kB are a message."""
        head = HEAD + b"Content-Length: %d\r\n\r\n"
        size = MAX_MESSAGE - len(head % 65000)
        whole = head % size + b"x" * size
        self.assertEqual(cut(whole[:40000], whole[40000:]), [whole])


class BrokenTests(SynchronousTestCase):
    """A stream that cannot be cut ends, wherever it was cut, and what came before is found."""

    CASES = (
        (HEAD + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", "a second Content-Length"),
        (HEAD + b"Content-Length: 3\r\nl: 3\r\n\r\nabc", "a second Content-Length"),
        (HEAD + b"Content-Length: -999\r\n\r\n", "a Content-Length that cannot be"),
        (HEAD + b"Content-Length: 3, 3\r\n\r\n", "a Content-Length that cannot be"),
        (HEAD + b"Content-Length:\r\n\r\n", "a Content-Length that cannot be"),
        (HEAD + b"Content-Length: 3\nl: 4\r\n\r\n", "a Content-Length that cannot be"),
        (HEAD + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n", "a Content-Length that cannot be"),
        (HEAD + b"Content-Length: 65536\r\n\r\n", "a message longer than 64 kB"),
        (HEAD + b"Content-Type: application/sdp\r\n\r\nv=0\r\n", "a body without a Content-Length"),
        (HEAD + b"Content-Length: 3\r\n\r\nv=0\r\no=x\r\n\r\n", "not the beginning of a message"),
        (b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n", "not the beginning of a message"),
        (b"\x16\x03\x01\x02\x00\x01", "not the beginning of a message"),
        (b" INVITE sip:bob@example.org SIP/2.0\r\n", "not the beginning of a message"),
    )

    def test_reason(self) -> None:
        """Each reason has its case; a message that was whole before it is found."""
        for octets, reason in self.CASES:
            self.assertEqual(cut(RESPONSE + octets)[0::1][:1], [RESPONSE])
            self.assertEqual(cut(RESPONSE + octets)[-1], reason)

    def test_at_every_octet(self) -> None:
        """The outcome does not depend on where the stream was cut."""
        for octets, _ in self.CASES:
            whole = cut(octets)
            for place in range(0, len(octets), 1 if len(octets) < 1000 else 97):
                self.assertEqual(cut(octets[:place], octets[place:]), whole, (octets[:80], place))

    def test_nothing_more_comes(self) -> None:
        """What is behind is not looked at."""
        framing = Framing()
        framing.feed(b"\0")
        self.assertEqual(framing.feed(RESPONSE), [])
        self.assertFalse(framing.begun)

    def test_a_head_without_end(self) -> None:
        """64 kB of head are enough."""
        self.assertEqual(cut(HEAD, *[b"X: " + b"y" * 995 + b"\r\n"] * 66), ["a message longer than 64 kB"])
