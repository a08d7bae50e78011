"""A TCP stream is taken apart into TPKTs as RFC 1006 section 6 says, however it is cut."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from voipshift.errors import ProtocolViolation
from voipshift.h323.tpkt import HEADER_SIZE, KEEP_ALIVE, MAX_PACKET, Reader, wrap

STREAM = bytes.fromhex("0300000b08020001050405") + KEEP_ALIVE + KEEP_ALIVE + bytes.fromhex("0300000508 03000006a0a1")
PAYLOADS = [bytes.fromhex("08020001050405"), b"\x08", b"\xa0\xa1"]


class ReaderTests(SynchronousTestCase):
    """What a reader gives for a stream."""

    def test_whole(self) -> None:
        """Several packets in one segment."""
        reader = Reader()
        self.assertEqual(reader.receive(STREAM), PAYLOADS)
        self.assertEqual(reader.keep_alives, 2)
        self.assertTrue(reader.is_between_packets)

    def test_cut_at_every_octet(self) -> None:
        """Two segments, cut anywhere, and one octet at a time."""
        for cut in range(len(STREAM) + 1):
            reader = Reader()
            self.assertEqual(reader.receive(STREAM[:cut]) + reader.receive(STREAM[cut:]), PAYLOADS)
            self.assertEqual(reader.keep_alives, 2)
        reader = Reader()
        self.assertEqual([each for octet in STREAM for each in reader.receive(bytes((octet,)))], PAYLOADS)

    def test_tail(self) -> None:
        """What a packet still lacks is waited for, and a stream that ends there was cut."""
        reader = Reader()
        self.assertEqual(reader.receive(STREAM + b"\x03\x00\x00\x06\x01"), PAYLOADS)
        self.assertFalse(reader.is_between_packets)
        self.assertEqual(reader.receive(b"\x02"), [b"\x01\x02"])
        self.assertTrue(reader.is_between_packets)

    def test_lengths_that_lie(self) -> None:
        """A length below the header's own, or beyond any message, MUST end the stream."""
        for length in (0, 1, 3, MAX_PACKET + 1, 0xFFFF):
            self.assertRaises(ProtocolViolation, Reader().receive, b"\x03\x00" + length.to_bytes(2))

    def test_no_tpkt(self) -> None:
        """Another protocol is seen by its first octet: nothing is waited for."""
        for octets in (b"INVITE sip:", b"\x16\x03\x01\x02\x00", b"\x00", b"\x02\x00\x00\x05\x01"):
            self.assertRaises(ProtocolViolation, Reader().receive, octets)
        self.assertRaises(ProtocolViolation, Reader().receive, wrap(b"a") + b"G")

    def test_longest(self) -> None:
        """The longest packet is taken, and no more than that is ever held."""
        payload = bytes(MAX_PACKET - HEADER_SIZE)
        reader = Reader()
        octets = wrap(payload)
        self.assertEqual(reader.receive(octets[:-1]), [])
        self.assertEqual(reader.receive(octets[-1:]), [payload])


class WrapTests(SynchronousTestCase):
    """What is written."""

    def test_read_as_written(self) -> None:
        """A reader gives back what was wrapped."""
        self.assertEqual(wrap(b"\x08\x02"), bytes.fromhex("030000060802"))
        self.assertEqual(Reader().receive(wrap(b"a" * 5000)), [b"a" * 5000])

    def test_too_long(self) -> None:
        """The length has two octets."""
        self.assertRaises(ProtocolViolation, wrap, bytes(0xFFFF - 3))
