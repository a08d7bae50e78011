"""The header fields and the body of a message: what requests and responses share (RFC 3261 section 7.3).

A message keeps each header line as it came (octets as latin-1 text, folding included), so that a proxy passes on what
it does not know byte for byte.  What a header means is looked at when somebody asks for it, and kept.
"""

from __future__ import annotations

import re
from typing import TypeVar

from voipshift.sip.grammar import KEYS, NameAddr, Via, first_value_end, key_of, parse_cseq, split_values

#: A header line: the key of :func:`voipshift.sip.grammar.key_of`, and the line as it is sent.
Field = tuple[str, str]

_FOLD = re.compile(r"[ \t]*+\r\n[ \t]++")
_M = TypeVar("_M", bound="Message")


class Message:
    """What requests and responses share: header fields and a body.

    Names of header fields may be given in any case, long or compact.

    :ivar body: octets; set it together with its Content-Length through :meth:`set_body`
    """

    __slots__ = ("_branch", "_cseq", "_fields", "_first", "_from", "_to", "_via", "body")

    def __init__(self, fields: list[Field], body: bytes = b"", first: dict[str, str] | None = None) -> None:
        self._fields: list[Field] | None = fields
        self.body = body
        #: The first line of each key; made when somebody asks.
        self._first = first
        self._via: Via | None = None
        self._branch: str | None = None
        self._cseq: tuple[int, str] | None = None
        self._from: NameAddr | re.Match[str] | None = None
        self._to: NameAddr | re.Match[str] | None = None

    @property
    def fields(self) -> list[Field]:
        """All header lines in their order; change them through the methods only."""
        known = self._fields
        if known is None:
            self._fields = known = self._take_apart()
        return known

    @fields.setter
    def fields(self, fields: list[Field]) -> None:
        self._fields = fields

    def get(self, name: str) -> str | None:
        """The value of the first field of that name, unfolded."""
        first = self._first
        if first is None:
            first = self._index()
        line = first.get(KEYS.get(name) or key_of(name))
        return None if line is None else value_of(line)

    def has(self, name: str) -> bool:
        """Say whether there is a field of that name."""
        return (KEYS.get(name) or key_of(name)) in (self._index() if self._first is None else self._first)

    def values(self, name: str) -> list[str]:
        """The values of all fields of that name, lists taken apart."""
        key = KEYS.get(name) or key_of(name)
        return [value for kind, line in self.fields if kind == key for value in split_values(value_of(line))]

    @property
    def call_id(self) -> str:
        """The Call-ID, empty where there is none."""
        return self.get("call-id") or ""

    @property
    def cseq(self) -> tuple[int, str]:
        """Number and method of the CSeq."""
        if self._cseq is None:
            self._cseq = parse_cseq(self.get("cseq") or "")
        return self._cseq

    @property
    def identity(self) -> tuple[str, str | None, str | None, int, str]:
        """Call-ID, tags of From and To, CSeq: what no proxy changes."""
        return self.call_id, self.from_tag, self.to_tag, *self.cseq

    @property
    def via(self) -> Via:
        """The top Via."""
        if self._via is None:
            self._via = Via.parse(self.get("via") or "")
        return self._via

    @property
    def branch(self) -> str:
        """The branch of the top Via, empty where there is none."""
        return self._branch or self.via.branch

    @property
    def via_host(self) -> str:
        """The host of the top Via: where its sender thinks that it is."""
        return self.via.host

    def has_via_parameter(self, name: str) -> bool:
        """Say whether the top Via has a parameter."""
        return name in self.via.parameters

    @property
    def vias(self) -> list[Via]:
        """All Via values, the top one first; read each time.

        :raises ProtocolViolation: when one of those below the top, which nobody has looked at before, is none
        """
        return [Via.parse(value) for value in self.values("via")]

    @property
    def has_one_via(self) -> bool:
        """Whether the top Via is the only one: the message comes from its author, or goes to it."""
        first = self._index() if self._first is None else self._first
        if len(first) == len(self.fields) and "," not in first.get("via", ","):
            return True
        return len(self.values("via")) == 1

    @property
    def from_(self) -> NameAddr:
        """The From field."""
        known = self._from
        if isinstance(known, NameAddr):
            return known
        self._from = made = NameAddr.parse(self.get("from") or "") if known is None else NameAddr.of(known)
        return made

    @property
    def to(self) -> NameAddr:
        """The To field."""
        known = self._to
        if isinstance(known, NameAddr):
            return known
        self._to = made = NameAddr.parse(self.get("to") or "") if known is None else NameAddr.of(known)
        return made

    @property
    def from_uri(self) -> str:
        """The URI in From, as it was written."""
        known = self._from
        return known[2] or known[3] if isinstance(known, re.Match) else self.from_.uri

    @property
    def from_tag(self) -> str | None:
        """The tag of From; RFC 2543 knew requests without one."""
        return self.from_.parameters.get("tag")

    @property
    def to_tag(self) -> str | None:
        """The tag of To: there is one within a dialog."""
        known = self._to
        if isinstance(known, re.Match) and not known[4]:
            return None
        return self.to.parameters.get("tag")

    def set(self, name: str, value: str) -> None:
        """Put this one field in place of the first of that name, or at the end; others of that name go."""
        key = KEYS.get(name) or key_of(name)
        line = write_line(name, value)
        fields = self.fields
        places = [place for place, (kind, _) in enumerate(fields) if kind == key]
        if not places:
            fields.append((key, line))
        else:
            fields[places[0]] = (key, line)
            for place in reversed(places[1:]):
                del fields[place]
        self._changed(key, line)

    def add(self, name: str, value: str) -> None:
        """Put a field at the end."""
        key = KEYS.get(name) or key_of(name)
        line = write_line(name, value)
        self.fields.append((key, line))
        if self._first is None or key not in self._first:
            self._changed(key, line)

    def prepend(self, name: str, value: str) -> None:
        """Put a field before all others of that name: a Via, a Record-Route, a Route."""
        key = KEYS.get(name) or key_of(name)
        line = write_line(name, value)
        # Our own Via comes first of all: the next element need not look for it.
        place = 0 if key == "via" else self._place(key)
        self.fields.insert(len(self.fields) if place is None else place, (key, line))
        self._changed(key, line)

    def push_via(self, via: str, branch: str) -> None:
        """Put our own Via on top, which has that branch."""
        self.prepend("Via", via)
        self._branch = branch

    def remove(self, name: str) -> None:
        """Take all fields of that name away."""
        key = KEYS.get(name) or key_of(name)
        if self._first is None or key in self._first:
            self.fields = [field for field in self.fields if field[0] != key]
            self._changed(key, None)

    def remove_first_value(self, name: str) -> None:
        """Take the first value of that name away: our own Via off a response, our own Route off a request."""
        key = KEYS.get(name) or key_of(name)
        place = self._place(key)
        if place is None:
            return
        name, _, _ = self.fields[place][1].partition(":")
        value = value_of(self.fields[place][1])
        rest = value[first_value_end(value) + 1 :].lstrip(" \t,")
        if rest:
            line = write_line(name, rest)
            self.fields[place] = (key, line)
            self._changed(key, line)
        else:
            del self.fields[place]
            place = self._place(key)
            self._changed(key, None if place is None else self.fields[place][1])

    def set_body(self, body: bytes, content_type: str | None = None) -> None:
        """Give the message this body, with its length and type."""
        self.body = body
        self.set("Content-Length", str(len(body)))
        if content_type is not None:
            self.set("Content-Type", content_type)

    def octets(self) -> bytes:
        """The message as it is sent.  A Content-Length is added where there is none."""
        lines = [self.start_line]
        lines += [line for _, line in self.fields]
        if "content-length" not in (self._first or dict(self.fields)):
            lines.append(f"Content-Length: {len(self.body)}")
        lines.append("\r\n")
        return "\r\n".join(lines).encode("latin-1") + self.body

    @property
    def start_line(self) -> str:
        """The Request-Line or Status-Line."""
        raise NotImplementedError

    def _take_apart(self) -> list[Field]:
        """Make the header lines of a message that was made without."""
        raise NotImplementedError

    def _copy_to(self, other: _M) -> _M:
        other.fields = self.fields.copy()
        other.body = self.body
        other._first = None if self._first is None else self._first.copy()
        # These are values that nobody changes.
        other._via, other._branch = self._via, self._branch
        other._cseq, other._from, other._to = self._cseq, self._from, self._to
        return other

    def _index(self) -> dict[str, str]:
        # Backwards, so that the first line of a key is the one that stays.
        self._first = first = dict(reversed(self.fields))
        return first

    def _place(self, key: str) -> int | None:
        for place, (kind, _) in enumerate(self.fields):
            if kind == key:
                return place
        return None

    def _changed(self, key: str, line: str | None) -> None:
        """Forget what was known of a key whose first line is now another one."""
        if self._first is not None:
            if line is None:
                self._first.pop(key, None)
            else:
                self._first[key] = line
        if key == "via":
            self._via = self._branch = None
        elif key == "cseq":
            self._cseq = None
        elif key == "from":
            self._from = None
        elif key == "to":
            self._to = None


def value_of(line: str) -> str:
    """The value of a header line, unfolded."""
    value = line.partition(":")[2].strip(" \t\r\n")
    return unfold(value) if "\r" in value else value


def unfold(text: str) -> str:
    """Undo folding (7.3.1): a line break with blanks behind it is one blank."""
    return _FOLD.sub(" ", text)


def write_line(name: str, value: str) -> str:
    """Write a header line.

    :raises ValueError: when the value has a line end in it: that would be another header, or the body
    """
    if "\n" in value or "\r" in value:
        raise ValueError(f"a line end in {name}")
    return f"{name}: {value}"
