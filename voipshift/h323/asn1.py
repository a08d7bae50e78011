"""The types of ASN.1 that H.225.0 is made of; each reads and writes its values in aligned PER (ITU-T X.691).

An **extension addition is left as the octets that it came in** (:class:`Addition`) until somebody asks for it.  Most
are never asked for, which saves most of the time that a message takes, and a message that is passed on keeps every one
of them, known here or not, octet for octet.

Values are trees: a SEQUENCE is a dict of the components that are there, a CHOICE the name of its alternative and the
value (the index and the octets where the alternative is not known here), NULL is None, a BIT STRING its number and its
length in bits.  Section numbers are those of X.691 (07/2002).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from voipshift.errors import ProtocolViolation
from voipshift.h323.per import Reader, Writer

Tree = dict[str, Any]

#: The key, in a SEQUENCE's tree, of what is not known here: :class:`Unknown`.
UNKNOWN = "..."


class Type:
    """A type of ASN.1."""

    __slots__ = ()

    def read(self, reader: Reader) -> Any:
        """Take a value off the front.

        :raises ProtocolViolation: there is none
        """
        raise NotImplementedError

    def write(self, writer: Writer, value: Any) -> None:
        """Put a value at the end.

        :raises ProtocolViolation: the type does not have it
        """
        raise NotImplementedError

    def decode(self, octets: bytes) -> Any:
        """The value of a complete encoding; what follows it is padding, and ignored.

        :raises ProtocolViolation: it is none
        """
        return self.read(Reader(octets))

    def encode(self, value: Any) -> bytes:
        """The complete encoding of a value.

        :raises ProtocolViolation: the type does not have it
        """
        writer = Writer()
        self.write(writer, value)
        return writer.finish()


class Addition(NamedTuple):
    """An extension addition as it came."""

    type: Type
    octets: bytes

    def value(self) -> Any:
        """What it says.

        :raises ProtocolViolation: it cannot be read
        """
        return self.type.decode(self.octets)


class Unknown(NamedTuple):
    """How many extension additions the sender of a SEQUENCE knows, and those of them that are not known here."""

    known: int
    additions: tuple[tuple[int, bytes], ...]


def component(tree: Tree, name: str) -> Any:
    """A component of a SEQUENCE, None when it is not there.

    :raises ProtocolViolation: it cannot be read
    """
    value = tree.get(name)
    return value.type.decode(value.octets) if value.__class__ is Addition else value


class Null(Type):
    """NULL: nothing at all."""

    __slots__ = ()

    def read(self, reader: Reader) -> None:
        """Nothing."""

    def write(self, writer: Writer, value: Any) -> None:
        """Nothing."""


class Boolean(Type):
    """BOOLEAN, section 11."""

    __slots__ = ()

    def read(self, reader: Reader) -> bool:
        return bool(reader.bit())

    def write(self, writer: Writer, value: bool) -> None:
        writer.bits(1 if value else 0, 1)


class Integer(Type):
    """INTEGER, section 12.

    :param low: the lowest value, and
    :param span: how many there are; None where there is no bound
    :param extensible: others than these may be sent too
    """

    __slots__ = ("_extensible", "_low", "_span")

    def __init__(self, low: int, span: int | None, extensible: bool) -> None:
        self._low = low
        self._span = span
        self._extensible = extensible

    def read(self, reader: Reader) -> int:
        if self._span is None or (self._extensible and reader.bit()):
            return reader.integer()
        return reader.number(self._low, self._span)

    def write(self, writer: Writer, value: int) -> None:
        if self._span is None:
            return writer.integer(value)
        if self._extensible:
            outside = not 0 <= value - self._low < self._span
            writer.bits(outside, 1)
            if outside:
                return writer.integer(value)
        return writer.number(value, self._low, self._span)


class Size(NamedTuple):
    """How many units a string may have, and how its count is sent (section 10.9)."""

    low: int
    span: int | None

    def read(self, reader: Reader) -> int:
        """The count."""
        return reader.length() if self.span is None else reader.number(self.low, self.span)

    def write(self, writer: Writer, count: int) -> None:
        """The count.

        :raises ProtocolViolation: the string is too long or too short
        """
        if self.span is None:
            writer.length(count)
        else:
            writer.number(count, self.low, self.span)

    def aligned(self, bits: int) -> bool:
        """Whether the units, of so many bits each, begin with an octet (15.8 to 15.10, 16.5 to 16.8, 27.5)."""
        if self.span is None:
            return True
        most = (self.low + self.span - 1) * bits
        return most > 16 if self.span == 1 or bits in (1, 8) else most >= 16


class OctetString(Type):
    """OCTET STRING, section 16."""

    __slots__ = ("_aligned", "_size")

    def __init__(self, size: Size) -> None:
        self._size = size
        self._aligned = size.aligned(8)

    def read(self, reader: Reader) -> bytes:
        count = self._size.read(reader)
        if self._aligned:
            return reader.octets(count) if count else b""
        return reader.bits(8 * count).to_bytes(count)

    def write(self, writer: Writer, value: bytes) -> None:
        self._size.write(writer, len(value))
        if not self._aligned:
            writer.bits(int.from_bytes(value), 8 * len(value))
        elif value:
            writer.octets(value)


class BitString(Type):
    """BIT STRING, section 15."""

    __slots__ = ("_aligned", "_size")

    def __init__(self, size: Size) -> None:
        self._size = size
        self._aligned = size.aligned(1)

    def read(self, reader: Reader) -> tuple[int, int]:
        count = self._size.read(reader)
        if self._aligned and count:
            reader.align()
        return (reader.bits(count) if count else 0), count

    def write(self, writer: Writer, value: tuple[int, int]) -> None:
        number, count = value
        self._size.write(writer, count)
        if self._aligned and count:
            writer.align()
        writer.bits(number, count)


class CharacterString(Type):
    """IA5String, PrintableString and BMPString, section 27.

    :param bits: of a character: 8, 16, or fewer with
    :param alphabet: the only characters that there are, in their order
    """

    __slots__ = ("_aligned", "_alphabet", "_bits", "_size")

    def __init__(self, size: Size, bits: int, alphabet: str) -> None:
        self._size = size
        self._bits = bits
        self._alphabet = alphabet
        self._aligned = size.aligned(bits)

    def read(self, reader: Reader) -> str:
        count = self._size.read(reader)
        if not count:
            return ""
        if self._aligned:
            reader.align()
        bits = self._bits
        if bits == 16:
            try:
                return reader.octets(2 * count).decode("utf-16-be")
            except UnicodeDecodeError:  # which no store and no message of the group could hold
                raise ProtocolViolation("PER: half a character") from None
        if bits == 8 and self._aligned:
            return reader.octets(count).decode("latin-1")
        number, alphabet = reader.bits(bits * count), self._alphabet
        try:
            return "".join(
                [alphabet[number >> shift & 15] for shift in range(bits * (count - 1), -1, -bits)]
                if bits == 4
                else [chr(number >> shift & 255) for shift in range(bits * (count - 1), -1, -bits)]
            )
        except IndexError:
            raise ProtocolViolation("PER: a character outside its alphabet") from None

    def write(self, writer: Writer, value: str) -> None:
        bits, alphabet = self._bits, self._alphabet
        if bits == 16:
            try:
                octets = value.encode("utf-16-be")
            except UnicodeEncodeError:
                raise ProtocolViolation("PER: half a character") from None
            self._size.write(writer, len(octets) // 2)
            return writer.octets(octets)
        self._size.write(writer, len(value))
        if self._aligned and value:
            writer.align()
        for character in value:
            code = alphabet.find(character) if bits == 4 else ord(character)
            if not 0 <= code < 1 << bits:
                raise ProtocolViolation(f"PER: {character!r} is outside its alphabet")
            writer.bits(code, bits)
        return None


class ObjectIdentifier(Type):
    """OBJECT IDENTIFIER, section 23; the contents as in X.690 section 8.19."""

    __slots__ = ()

    def read(self, reader: Reader) -> tuple[int, ...]:
        return _arcs(reader.open_type())

    def write(self, writer: Writer, value: tuple[int, ...]) -> None:
        writer.open_type(_arc_octets(value))


class OpenType(Type):
    """A value of any type (section 10.2), left as its octets."""

    __slots__ = ()

    def read(self, reader: Reader) -> bytes:
        return reader.open_type()

    def write(self, writer: Writer, value: bytes) -> None:
        writer.open_type(value)


@lru_cache
def _arcs(octets: bytes) -> tuple[int, ...]:
    arcs: list[int] = []
    arc = 0
    for octet in octets:
        arc = arc << 7 | octet & 0x7F
        if not octet & 0x80:
            arcs.append(arc)
            arc = 0
    if not arcs or octets[-1] & 0x80:
        raise ProtocolViolation("PER: an object identifier without an end")
    first = min(arcs[0] // 40, 2)
    return (first, arcs[0] - 40 * first, *arcs[1:])


@lru_cache
def _arc_octets(arcs: tuple[int, ...]) -> bytes:
    octets = bytearray()
    for arc in (40 * arcs[0] + arcs[1], *arcs[2:]):
        for shift in range(max(arc.bit_length() - 1, 0) // 7 * 7, 0, -7):
            octets.append(0x80 | arc >> shift & 0x7F)
        octets.append(arc & 0x7F)
    return bytes(octets)
