"""The types of ASN.1 that have parts: SEQUENCE, SEQUENCE OF, CHOICE and ENUMERATED, in aligned PER (ITU-T X.691).

Their parts are set after they were made, for a type may contain itself.  Section numbers are those of X.691 (07/2002).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from voipshift.errors import ProtocolViolation
from voipshift.h323.asn1 import UNKNOWN, Addition, Null, Size, Tree, Type, Unknown
from voipshift.h323.per import Reader, Writer


class SequenceType(Type):
    """SEQUENCE, section 18."""

    __slots__ = ("_additions", "_components", "_extensible", "_known", "_optional", "_preamble")

    def set(
        self, root: Sequence[tuple[str, Type, bool]], additions: Sequence[tuple[str, Type]], extensible: bool
    ) -> None:
        """Set its parts.

        :param root: name, type, and whether it is optional
        """
        optional = [name for name, _, can_miss in root if can_miss]
        self._optional = len(optional)
        #: Name, type, and its bit in the preamble: 0 for one that is always there.
        self._components = tuple(
            (name, kind, 1 << len(optional) - 1 - optional.index(name) if can_miss else 0)
            for name, kind, can_miss in root
        )
        self._additions = tuple(additions)
        self._known = {name: place for place, (name, _) in enumerate(additions)}
        self._extensible = extensible
        self._preamble = self._optional + extensible

    def read(self, reader: Reader) -> Tree:
        present = reader.bits(self._preamble) if self._preamble else 0
        tree: Tree = {name: kind.read(reader) for name, kind, bit in self._components if not bit or present & bit}
        if self._extensible and present >> self._optional:
            self._read_additions(reader, tree)
        return tree

    def _read_additions(self, reader: Reader, tree: Tree) -> None:
        """The extension additions (18.7 to 18.9)."""
        count = reader.small_number() + 1
        present = reader.bits(count)
        additions = self._additions
        unknown = []
        for place in range(count):
            if present >> count - 1 - place & 1:
                octets = reader.open_type()
                if place < len(additions):
                    name, kind = additions[place]
                    tree[name] = Addition(kind, octets)
                else:
                    unknown.append((place, octets))
        tree[UNKNOWN] = Unknown(count, tuple(unknown))

    def write(self, writer: Writer, value: Tree) -> None:
        known = self._known
        added = {known[name]: each for name, each in value.items() if name in known} if known else {}
        there = value.get(UNKNOWN)
        if there is not None:
            added.update(there.additions)
        present = 0
        for name, _, bit in self._components:
            if bit and name in value:
                present |= bit
        if added:
            present |= 1 << self._optional
        writer.bits(present, self._preamble)
        for name, kind, bit in self._components:
            if not bit or present & bit:
                if name not in value:
                    raise ProtocolViolation(f"PER: {name} is missing")
                kind.write(writer, value[name])
        if added:
            self._write_additions(writer, added, there.known if there is not None else len(self._additions))

    def _write_additions(self, writer: Writer, added: dict[int, Any], count: int) -> None:
        places = sorted(added)
        count = max(count, places[-1] + 1)
        writer.small_number(count - 1)
        writer.bits(sum(1 << count - 1 - place for place in places), count)
        for place in places:
            value = added[place]
            if value.__class__ is Addition:
                writer.open_type(value.octets)
            elif place < len(self._additions):
                writer.open_type(self._additions[place][1].encode(value))
            else:
                writer.open_type(value)


class SequenceOf(Type):
    """SEQUENCE OF, section 19."""

    __slots__ = ("_element", "_size")

    def set(self, element: Type, size: Size) -> None:
        """Set its parts."""
        self._element = element
        self._size = size

    def read(self, reader: Reader) -> list[Any]:
        count = self._size.read(reader)
        reader.enter(count)
        read = self._element.read
        elements = [read(reader) for _ in range(count)]
        reader.depth -= 1
        return elements

    def write(self, writer: Writer, value: list[Any]) -> None:
        self._size.write(writer, len(value))
        for each in value:
            self._element.write(writer, each)


class Choice(Type):
    """CHOICE, section 22."""

    __slots__ = ("_additions", "_extensible", "_places", "_root")

    def set(self, root: Sequence[tuple[str, Type]], additions: Sequence[tuple[str, Type]], extensible: bool) -> None:
        """Set its alternatives."""
        self._root = tuple(root)
        self._additions = tuple(additions)
        self._extensible = extensible
        self._places: Mapping[str, tuple[bool, int, Type]] = {
            name: (added, place, kind)
            for added, alternatives in ((False, root), (True, additions))
            for place, (name, kind) in enumerate(alternatives)
        }

    def read(self, reader: Reader) -> tuple[str | int, Any]:
        if self._extensible and reader.bit():
            place = reader.small_number()
            octets = reader.open_type()
            if place >= len(self._additions):
                return place, octets
            name, kind = self._additions[place]
            return name, kind.decode(octets)
        place = reader.number(0, len(self._root))
        if place >= len(self._root):
            raise ProtocolViolation("PER: an alternative that there is not")
        name, kind = self._root[place]
        return name, kind.read(reader)

    def write(self, writer: Writer, value: tuple[str | int, Any]) -> None:
        name, content = value
        if isinstance(name, int):
            writer.bits(1, 1)
            writer.small_number(name)
            return writer.open_type(content)
        place = self._places.get(name)
        if place is None:
            raise ProtocolViolation(f"PER: no alternative is called {name}")
        added, index, kind = place
        if content is None and kind.__class__ is not Null:
            raise ProtocolViolation(f"PER: {name} says nothing without its value")
        if self._extensible:
            writer.bits(added, 1)
        if added:
            writer.small_number(index)
            return writer.open_type(kind.encode(content))
        writer.number(index, 0, len(self._root))
        return kind.write(writer, content)


class Enumerated(Type):
    """ENUMERATED, section 13: the name, or the index of one that is not known here."""

    __slots__ = ("_additions", "_extensible", "_root")

    def __init__(self, root: Sequence[str], additions: Sequence[str], extensible: bool) -> None:
        self._root = tuple(root)
        self._additions = tuple(additions)
        self._extensible = extensible

    def read(self, reader: Reader) -> str | int:
        if self._extensible and reader.bit():
            place = reader.small_number()
            return self._additions[place] if place < len(self._additions) else place
        place = reader.number(0, len(self._root))
        if place >= len(self._root):
            raise ProtocolViolation("PER: a value that there is not")
        return self._root[place]

    def write(self, writer: Writer, value: str | int) -> None:
        if value in self._root:
            if self._extensible:
                writer.bits(0, 1)
            return writer.number(self._root.index(str(value)), 0, len(self._root))
        writer.bits(1, 1)
        return writer.small_number(value if isinstance(value, int) else self._additions.index(value))
