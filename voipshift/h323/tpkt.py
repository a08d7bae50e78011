"""TPKT: where one message of a TCP stream ends and the next begins (RFC 1006 section 6).

::

    03 00 LL LL   version, reserved, length of it all

One of four octets holds nothing and says that its sender is alive.
"""

from __future__ import annotations

from voipshift.errors import ProtocolViolation

VERSION = 3
HEADER_SIZE = 4
#: The longest packet that is taken: a SETUP with video, tunnelled H.245 and its keys has some 4000 octets.
MAX_PACKET = 16384
KEEP_ALIVE = b"\x03\x00\x00\x04"


class Reader:
    """Takes a stream apart.

    It holds what a packet still lacks, less than :data:`MAX_PACKET` octets.

    :ivar keep_alives: how many packets held nothing
    """

    __slots__ = ("_octets", "keep_alives")

    def __init__(self) -> None:
        self._octets = b""
        self.keep_alives = 0

    @property
    def is_between_packets(self) -> bool:
        """Whether the stream may end here."""
        return not self._octets

    def receive(self, octets: bytes) -> list[bytes]:
        """Take the next octets of the stream.

        :returns: the contents of every packet that they complete
        :raises ProtocolViolation: it is no TPKT, or a packet is too long; nothing can be read from this stream any more
        """
        octets = self._octets + octets if self._octets else octets
        packets = []
        at, end = 0, len(octets)
        while end - at >= HEADER_SIZE:
            length = _length(octets, at)
            if end - at < length:
                break
            if length == HEADER_SIZE:
                self.keep_alives += 1
            else:
                packets.append(octets[at + HEADER_SIZE : at + length])
            at += length
        self._octets = octets[at:]
        if self._octets and self._octets[0] != VERSION:
            raise ProtocolViolation("no TPKT")
        return packets


def wrap(payload: bytes) -> bytes:
    """A packet that holds these octets.

    :raises ProtocolViolation: they are too many
    """
    length = HEADER_SIZE + len(payload)
    if length > 0xFFFF:
        raise ProtocolViolation("too long for a TPKT")
    return b"\x03\x00" + length.to_bytes(2) + payload


def _length(octets: bytes, at: int) -> int:
    length = octets[at + 2] << 8 | octets[at + 3]
    if octets[at] != VERSION:
        raise ProtocolViolation("no TPKT")
    if not HEADER_SIZE <= length <= MAX_PACKET:
        raise ProtocolViolation("no TPKT has that length")
    return length
