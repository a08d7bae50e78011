"""Sealed datagrams: what is let in, and what is not."""

from __future__ import annotations

import struct
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from voipshift.errors import ProtocolViolation
from voipshift.group.envelope import (
    DERIVATIONS_PER_S,
    LONGEST_NAME,
    NOBODY,
    TOO_LONG,
    WINDOW,
    Header,
    Opener,
    Outgoing,
    ReplayWindow,
    Stream,
    parse_prefix,
)
from voipshift.group.keys import Key, Keys

ONE, TWO = bytes(range(32)), bytes(range(1, 33))
A, B, LATER = b"a" * 16, b"b" * 16, b"B" * 16


class EnvelopeTests(SynchronousTestCase):
    """From a to b."""

    def setUp(self) -> None:
        self.keys = Keys([ONE])
        self.opener = Opener(self.keys, "b", B)
        self.to_b = Outgoing(self.keys, Stream.UNICAST, A, "a", B, "b")

    def reason(self, octets: bytes, now: float = 0.0, opener: Opener | None = None) -> str:
        opener = self.opener if opener is None else opener
        return str(self.assertRaises(ProtocolViolation, opener.open, octets, now).reason)

    def test_layout(self) -> None:
        """Every octet is where the docstring draws it."""
        datagram = self.to_b.seal(b"body", b"rand")
        key_id = Key(ONE).id
        expected = struct.pack(">BBBB4s16s16s1s1sQ4s", 1, 42, 1, 1, key_id, A, B, b"a", b"b", 1, b"rand")
        self.assertEqual(datagram[: len(expected)], expected)
        self.assertEqual(len(datagram), len(expected) + 4 + 16)
        self.assertEqual(len(datagram) - 4, self.to_b.overhead)

    def test_opened(self) -> None:
        """What was sealed is opened, by its receiver."""
        header, body = self.opener.open(self.to_b.seal(b"body", b"rand"), 0.0)
        self.assertEqual(header, Header(1, Key(ONE).id, A, "a", B, "b"))
        self.assertEqual(body, b"body")

    def test_streams(self) -> None:
        """Hello and the group's stream are for everybody, each with a sequence of its own."""
        for stream in (Stream.HELLO, Stream.GROUP):
            outgoing = Outgoing(self.keys, stream, A, "a")
            for _ in range(2):
                header, _ = self.opener.open(outgoing.seal(b"", b"rand"), 0.0)
                self.assertEqual((header.stream, header.receiver, header.receiver_boot), (stream, "", NOBODY))

    def test_every_octet_is_sealed(self) -> None:
        """Any octet changed, or cut off, or added, is not let in, and leaves nothing behind."""
        datagram = self.to_b.seal(b"some body", b"rand")
        for k in range(len(datagram)):
            self.reason(datagram[:k] + bytes([datagram[k] ^ 0x40]) + datagram[k + 1 :], k)
            self.reason(datagram[:k], k)
        self.reason(datagram + b"\0")
        self.assertEqual(len(self.opener), 0)
        self.opener.open(datagram, 1000.0)

    def test_garbage(self) -> None:
        """Random octets raise a ProtocolViolation, nothing else."""
        random = Random(1)
        known = self.to_b.seal(b"body", b"rand")
        for k in range(5000):
            start = known[: random.randrange(4)]
            self.reason(start + random.randbytes(random.randrange(300)), float(k))

    def test_replayed(self) -> None:
        """A datagram is opened once."""
        datagram = self.to_b.seal(b"body", b"rand")
        self.opener.open(datagram, 0.0)
        self.assertEqual(self.reason(datagram), "replayed")

    def test_misaddressed(self) -> None:
        """A datagram for another node, or for an earlier boot, is not opened."""
        datagram = self.to_b.seal(b"body", b"rand")
        self.assertEqual(self.reason(datagram, opener=Opener(self.keys, "c", B)), "misaddressed")
        self.assertEqual(self.reason(datagram, opener=Opener(self.keys, "b", LATER)), "misaddressed")
        self.assertEqual(self.reason(datagram, opener=Opener(self.keys, "a", A)), "own")

    def test_too_long(self) -> None:
        """A datagram is shorter than 1200 octets."""
        self.opener.open(self.to_b.seal(bytes(TOO_LONG - 1 - self.to_b.overhead), b"rand"), 0.0)
        self.assertEqual(self.reason(self.to_b.seal(bytes(TOO_LONG - self.to_b.overhead), b"rand")), "too_long")

    def test_derivations_are_limited(self) -> None:
        """A hundred a second, whatever comes; a stream that is known is not affected."""
        self.opener.open(self.to_b.seal(b"", b"rand"), 0.0)
        datagram = bytearray(self.to_b.seal(b"", b"rand"))
        reasons = []
        for k in range(1000):
            datagram[8:24] = k.to_bytes(16, "big")
            reasons.append(self.reason(bytes(datagram), k / 1000))
        self.assertLessEqual(reasons.count("forged"), 2 * DERIVATIONS_PER_S)
        self.assertGreaterEqual(reasons.count("forged"), 2 * DERIVATIONS_PER_S - 2)
        self.opener.open(self.to_b.seal(b"", b"rand"), 1.0)

    def test_keys_change(self) -> None:
        """The first key seals, all open; one that is removed opens nothing from the reload on."""
        both = Keys([ONE, TWO])
        opener = Opener(both, "b", B)
        old = Outgoing(self.keys, Stream.UNICAST, A, "a", B, "b")
        opener.open(old.seal(b"", b"rand"), 0.0)
        opener.open(Outgoing(Keys([TWO]), Stream.UNICAST, A, "a", B, "b").seal(b"", b"rand"), 0.0)
        both._use([Key(TWO)])
        both.generation += 1
        self.assertEqual(self.reason(old.seal(b"", b"rand"), opener=opener), "unknown_key")
        self.keys._use([Key(TWO)])
        self.keys.generation += 1
        opener.open(old.seal(b"", b"more"), 0.0)

    def test_forget(self) -> None:
        """All streams of a boot are dropped."""
        self.opener.open(self.to_b.seal(b"", b"rand"), 0.0)
        self.opener.open(Outgoing(self.keys, Stream.HELLO, A, "a").seal(b"", b"rand"), 0.0)
        self.opener.forget(A)
        self.assertEqual(len(self.opener), 0)

    def test_names(self) -> None:
        """A name has 1 to 64 octets of UTF-8."""
        longest = "ä" * (LONGEST_NAME // 2)
        header = Header(1, b"1234", A, longest, B, longest)
        self.assertEqual(parse_prefix(header.prefix()), header)
        for wrong in ("", longest + "b"):
            self.assertRaises(ValueError, header._replace(sender=wrong).prefix)


class ReplayWindowTests(SynchronousTestCase):
    """The window of 1024."""

    def test_against_a_set(self) -> None:
        """In any order each sequence is admitted once, unless it is too old."""
        random = Random(2)
        window, seen, newest = ReplayWindow(), set(), -1
        for _ in range(20_000):
            sequence = max(0, newest + random.randrange(-WINDOW - 20, 40))
            expected = sequence not in seen and sequence > newest - WINDOW
            self.assertEqual(window.admit(sequence), expected)
            if expected:
                seen.add(sequence)
                newest = max(newest, sequence)

    def test_edges(self) -> None:
        """The oldest that may still come, one older, and the largest."""
        window = ReplayWindow()
        self.assertTrue(window.admit(5000))
        self.assertTrue(window.admit(5000 - WINDOW + 1))
        self.assertFalse(window.admit(5000 - WINDOW))
        self.assertTrue(window.admit((1 << 64) - 1))
        self.assertFalse(window.admit((1 << 64) - 1))
        self.assertFalse(window.admit(5001))
