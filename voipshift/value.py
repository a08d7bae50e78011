"""Values: what is equal to another one that holds the same.

A named tuple is that too, and costs ten times as much where the code is compiled, to make and to read; so does a
dataclass.  What is made for each call attempt is a plain class that takes its fields in ``__init__``, and a
:class:`Value`.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self


class Value:
    """Something that never changes, known by what it holds: its fields are its slots, and what ``__init__`` takes."""

    __slots__: ClassVar[tuple[str, ...]] = ()

    def replace(self, **changes: Any) -> Self:
        """The same, but for these fields."""
        return type(self)(**{name: getattr(self, name) for name in self.__slots__} | changes)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    def __hash__(self) -> int:
        return hash(tuple([getattr(self, name) for name in self.__slots__]))

    def __repr__(self) -> str:
        fields = ", ".join([f"{name}={getattr(self, name)!r}" for name in self.__slots__])
        return f"{type(self).__name__}({fields})"
