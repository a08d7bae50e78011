"""Aligned PER, octet for octet: the fields that ITU-T X.691 (basic-PER, ALIGNED variant) builds every value from.

:class:`Reader` and :class:`Writer` know lengths, whole numbers and padding; they know no type (asn1.py) and no message.
Section numbers are those of X.691 (07/2002).

Not here: fragmented lengths (16384 and more, section 10.9.3.8), which no message of ours can hold.
"""

from __future__ import annotations

from functools import lru_cache

from voipshift.errors import ProtocolViolation

#: Elements of all SEQUENCE OF in one message.  Some of them need no octets: the size of a message does not bound the
#: time that reading it takes.  A gateway that registers its whole dial plan names some hundred prefixes.
MAX_ELEMENTS = 1000
#: A SEQUENCE OF in a SEQUENCE OF and so on: H.225.0 needs five, only GenericData could go on for ever.
MAX_DEPTH = 16

_SHORT = "PER: the message ends too early"
_FRAGMENTED = "PER: a length beyond any message"
_TOO_MANY = "PER: too many elements"


class Reader:
    """Takes fields off the front of octets.

    :ivar elements: how many more elements of SEQUENCE OFs there may be
    :ivar depth: SEQUENCE OFs that are being read, each within the one before
    :raises ProtocolViolation: from every method, when the octets end too early
    """

    __slots__ = ("_at", "_end", "_octets", "depth", "elements")

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self._at = 0
        self._end = 8 * len(octets)
        self.elements = MAX_ELEMENTS
        self.depth = 0

    def bit(self) -> int:
        """One bit."""
        at = self._at
        if at >= self._end:
            raise ProtocolViolation(_SHORT)
        self._at = at + 1
        return self._octets[at >> 3] >> (7 - (at & 7)) & 1

    def bits(self, count: int) -> int:
        """So many bits as a number."""
        at = self._at
        end = self._at = at + count
        if end > self._end:
            raise ProtocolViolation(_SHORT)
        first, last = at >> 3, (end + 7) >> 3
        octets = self._octets
        number = octets[first] if last - first == 1 else int.from_bytes(octets[first:last])
        return number >> (-end & 7) & ((1 << count) - 1)

    def align(self) -> None:
        """Skip to the next octet."""
        self._at = self._at + 7 & ~7

    def octets(self, count: int) -> bytes:
        """So many octets, from the next one on."""
        first = self._at + 7 >> 3
        last = first + count
        self._at = last << 3
        if self._at > self._end:
            raise ProtocolViolation(_SHORT)
        return self._octets[first:last]

    def length(self) -> int:
        """An unconstrained length determinant (10.9.3.5 to 10.9.3.7)."""
        at = self._at + 7 >> 3
        octets = self._octets
        if at >= len(octets):
            raise ProtocolViolation(_SHORT)
        first = octets[at]
        if first < 0x80:
            self._at = at + 1 << 3
            return first
        if first >= 0xC0:
            raise ProtocolViolation(_FRAGMENTED)
        if at + 1 >= len(octets):
            raise ProtocolViolation(_SHORT)
        self._at = at + 2 << 3
        return (first & 0x3F) << 8 | octets[at + 1]

    def open_type(self) -> bytes:
        """The octets of an open type (10.2)."""
        return self.octets(self.length())

    def small_number(self) -> int:
        """A normally small non-negative whole number (10.6)."""
        if self.bit():
            raise ProtocolViolation(_FRAGMENTED)
        return self.bits(6)

    def number(self, low: int, span: int) -> int:
        """A constrained whole number (10.5.7): one of ``span`` values, of which ``low`` is the lowest."""
        if span <= 255:
            return low + self.bits((span - 1).bit_length()) if span > 1 else low
        if span <= 65536:
            return low + int.from_bytes(self.octets(1 if span == 256 else 2))
        return low + int.from_bytes(self.octets(1 + self.bits(_length_bits(span))))

    def integer(self) -> int:
        """An unconstrained whole number (10.8)."""
        return int.from_bytes(self.octets(self.length()), signed=True)

    def enter(self, count: int) -> None:
        """Begin to read so many elements of a SEQUENCE OF; whoever ends takes one off :attr:`depth`.

        :raises ProtocolViolation: too many, or too deep
        """
        self.elements -= count
        self.depth += 1
        if self.elements < 0 or self.depth > MAX_DEPTH:
            raise ProtocolViolation(_TOO_MANY)


class Writer:
    """Puts fields one behind the other.

    :raises ProtocolViolation: from every method, for what cannot be written
    """

    __slots__ = ("_bits", "_octets", "_pending")

    def __init__(self) -> None:
        self._octets = bytearray()
        #: What does not fill an octet yet, and how many bits that is: more than seven when nothing asked for octets.
        self._pending = 0
        self._bits = 0

    def bits(self, number: int, count: int) -> None:
        """A number in so many bits."""
        self._pending = self._pending << count | number
        self._bits += count

    def align(self) -> None:
        """Fill up the last octet with zeros."""
        if self._bits:
            pad = -self._bits & 7
            self._octets += (self._pending << pad).to_bytes(self._bits + pad >> 3)
            self._pending = self._bits = 0

    def octets(self, octets: bytes) -> None:
        """Octets, from the next one on."""
        self.align()
        self._octets += octets

    def length(self, length: int) -> None:
        """An unconstrained length determinant."""
        self.align()
        if length < 0x80:
            self._octets.append(length)
        elif length < 0x4000:
            self._octets += (0x8000 | length).to_bytes(2)
        else:
            raise ProtocolViolation(_FRAGMENTED)

    def open_type(self, octets: bytes) -> None:
        """The octets of an open type; an empty value takes one octet (10.1.3)."""
        self.length(len(octets) or 1)
        self._octets += octets or b"\0"

    def small_number(self, number: int) -> None:
        """A normally small non-negative whole number."""
        if number > 63:
            raise ProtocolViolation(_FRAGMENTED)
        self.bits(number, 7)

    def number(self, number: int, low: int, span: int) -> None:
        """A constrained whole number."""
        offset = number - low
        if not 0 <= offset < span:
            raise ProtocolViolation(f"PER: {number} is out of range")
        if span <= 255:
            self.bits(offset, (span - 1).bit_length())
        elif span <= 65536:
            self.octets(offset.to_bytes(1 if span == 256 else 2))
        else:
            size = max(1, offset.bit_length() + 7 >> 3)
            self.bits(size - 1, _length_bits(span))
            self.octets(offset.to_bytes(size))

    def integer(self, number: int) -> None:
        """An unconstrained whole number."""
        size = (number if number >= 0 else ~number).bit_length() // 8 + 1
        self.length(size)
        self._octets += number.to_bytes(size, signed=True)

    def finish(self) -> bytes:
        """All that was put, up to a whole octet."""
        self.align()
        return bytes(self._octets)


@lru_cache
def _length_bits(span: int) -> int:
    """The bits that hold how many octets a number of a large range takes (10.5.7.4)."""
    return (((span - 1).bit_length() + 7 >> 3) - 1).bit_length()
