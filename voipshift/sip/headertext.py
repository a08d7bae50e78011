"""Header lines that are kept as the one text that they came in, for as long as nobody wants them one by one.

A proxy changes three or four lines of a message and passes on a dozen.  Where each line is written in the one usual way
(:mod:`voipshift.sip.plain` sees to that), a field is found, put, or taken away by looking for its name behind a line
end, and the rest is passed on as it is.  What cannot be done that way takes the lines apart, and the message is one
like any other from then on.  Pure.
"""

from __future__ import annotations

from typing import Final

from voipshift.sip.fields import Field, Message, write_line
from voipshift.sip.grammar import KEYS, NAMES, first_value_end, key_of, split_values
from voipshift.sip.reading import Reading

#: A field's name in the usual way -> what its lines begin with, the end of the line before included.
WRITTEN: Final = {name: f"\r\n{name}: " for name in NAMES}
#: The same for every way to name it, in lower case and compact too.
_BEGINNINGS: Final = {name: WRITTEN[long] for long in NAMES for name, key in KEYS.items() if key == long.lower()}
_VIA: Final = WRITTEN["Via"]
#: What a reading says and a changed line might not: whose message it is.
_READ: Final = frozenset(WRITTEN[name] for name in ("From", "To", "Call-ID", "CSeq"))
#: How the names of fields begin that are known to nobody, and may be there all the same.
_UNKNOWN = "x-"


class HeaderText(Message):
    """A message whose header fields may be text: its Vias, and behind them all other lines.

    :ivar _vias: each with the line end before it
    :ivar _lines: each with the line end behind it, and one before the first; None where they are taken apart.  There is
        no CR but in those
    :ivar _reading: what was read when the message came; None when its identity was changed since, and in one of ours
    :ivar _has_its_via: its top Via is the one that was read, stamped perhaps
    """

    __slots__ = ("_has_its_via", "_lines", "_reading", "_vias")

    def __init__(self, fields: list[Field], body: bytes = b"", first: dict[str, str] | None = None) -> None:
        super().__init__(fields, body, first)
        self._vias = ""
        self._lines: str | None = None
        self._reading: Reading | None = None
        self._has_its_via = False

    @property
    def is_whole(self) -> bool:
        """Whether nobody has needed its lines one by one so far."""
        return self._lines is not None

    # What is asked of its fields.

    def get(self, name: str) -> str | None:
        if self._reading is not None and name == "from":  # each To tag of ours is computed from it
            return self._reading.sender
        lines = self._lines
        beginning = _BEGINNINGS.get(name)
        if lines is None or beginning is None:
            return super().get(name) if lines is None or _may_be_there(name) else None
        if beginning is _VIA:
            vias = self._vias
            end = vias.find("\r", 2)
            return vias[len(_VIA) : len(vias) if end < 0 else end].strip(" \t") if vias else None
        place = lines.find(beginning)
        if place < 0:
            return None
        place += len(beginning)
        return lines[place : lines.find("\r", place)].strip(" \t")

    def has(self, name: str) -> bool:
        lines = self._lines
        beginning = _BEGINNINGS.get(name)
        if lines is None or beginning is None:
            return super().has(name) if lines is None or _may_be_there(name) else False
        return beginning in (self._vias if beginning is _VIA else lines)

    def values(self, name: str) -> list[str]:
        lines = self._lines
        beginning = _BEGINNINGS.get(name)
        if lines is None or beginning is None:
            return super().values(name) if lines is None or _may_be_there(name) else []
        if beginning is _VIA:
            lines = self._vias + "\r\n"
        found: list[str] = []
        place = lines.find(beginning)
        while place >= 0:
            place += len(beginning)
            end = lines.find("\r", place)
            value = lines[place:end].strip(" \t")
            if "," in value:
                found += split_values(value)
            else:
                found.append(value)
            place = lines.find(beginning, end)
        return found

    @property
    def has_one_via(self) -> bool:
        if self._lines is None or "," in self._vias:
            return super().has_one_via
        return self._vias.find("\r") == 0 and self._vias.find("\r", 2) < 0

    @property
    def via_host(self) -> str:
        reading = self._reading
        return reading.host if reading is not None and self._has_its_via else super().via_host

    def has_via_parameter(self, name: str) -> bool:
        if self._has_its_via and f";{name}" not in self._vias:
            return False
        return super().has_via_parameter(name)

    @property
    def call_id(self) -> str:
        return super().call_id if self._reading is None else self._reading.call_id

    @property
    def cseq(self) -> tuple[int, str]:
        reading = self._reading
        return super().cseq if reading is None else (reading.number, reading.method)

    @property
    def from_tag(self) -> str | None:
        return super().from_tag if self._reading is None else self._reading.from_tag

    @property
    def to_tag(self) -> str | None:
        return super().to_tag if self._reading is None else self._reading.to_tag

    @property
    def identity(self) -> tuple[str, str | None, str | None, int, str]:
        reading = self._reading
        if reading is None:
            return super().identity
        return reading.call_id, reading.from_tag, reading.to_tag, reading.number, reading.method

    # How they are changed.

    def set(self, name: str, value: str) -> None:
        lines = self._lines
        beginning = WRITTEN.get(name)
        if lines is None or beginning is None or beginning is _VIA:
            super().set(name, value)
            return
        line = write_line(name, value)
        place = lines.find(beginning)
        if place < 0:
            self._changed_to(beginning, f"{lines}{line}\r\n")
            return
        end = lines.find("\r", place + 2)
        if lines.find(beginning, end) >= 0:
            super().set(name, value)
        else:
            self._changed_to(beginning, f"{lines[: place + 2]}{line}{lines[end:]}")

    def add(self, name: str, value: str) -> None:
        lines = self._lines
        beginning = WRITTEN.get(name)
        if lines is None or beginning is None or beginning is _VIA:
            super().add(name, value)
        else:
            self._changed_to(beginning, f"{lines}{write_line(name, value)}\r\n")

    def prepend(self, name: str, value: str) -> None:
        lines = self._lines
        beginning = WRITTEN.get(name)
        if lines is None or beginning is None:
            super().prepend(name, value)
            return
        line = write_line(name, value)
        if beginning is _VIA:
            self._vias = f"\r\n{line}{self._vias}"
            self._via_changed()
            return
        place = lines.find(beginning)
        place = len(lines) if place < 0 else place + 2
        self._changed_to(beginning, f"{lines[:place]}{line}\r\n{lines[place:]}")

    def remove(self, name: str) -> None:
        lines = self._lines
        beginning = WRITTEN.get(name)
        if lines is None or beginning is None or beginning is _VIA:
            super().remove(name)
            return
        place = lines.find(beginning)
        while place >= 0:
            lines = lines[:place] + lines[lines.find("\r", place + 2) :]
            place = lines.find(beginning, place)
        self._changed_to(beginning, lines)

    def remove_first_value(self, name: str) -> None:
        if self._lines is None or name != "Via":
            super().remove_first_value(name)
            return
        top, end, others = self._vias[len(_VIA) :].partition("\r\n")
        rest = ""
        if "," in top:
            # In what was read, no comma but that between two values.
            place = top.find(",") if self._has_its_via else first_value_end(top)
            rest = top[place + 1 :].strip(" \t").lstrip(" \t,")
        self._vias = f"{_VIA}{rest}{end}{others}" if rest else f"{end}{others}"
        self._via_changed()

    def octets(self) -> bytes:
        lines = self._lines
        if lines is None:
            return super().octets()
        length = "" if "\r\nContent-Length: " in lines else f"Content-Length: {len(self.body)}\r\n"
        return f"{self.start_line}{self._vias}{lines}{length}\r\n".encode("latin-1") + self.body

    def _take_apart(self) -> list[Field]:
        lines = f"{self._vias}{self._lines}"[2:-2].split("\r\n")
        self._lines = self._reading = None
        self._has_its_via = False
        return [(KEYS.get(name) or key_of(name), line) for line in lines for name in (line.partition(":")[0],)]

    def _copy_known_to(self, other: HeaderText) -> None:
        """Give another message that was made with these lines what is known of them."""
        other._has_its_via, other._via, other._branch = self._has_its_via, self._via, self._branch
        other._cseq, other._from, other._to = self._cseq, self._from, self._to

    def _changed_to(self, beginning: str, lines: str) -> None:
        """Some fields that begin so were changed."""
        self._lines = lines
        if beginning in _READ:
            self._reading = self._cseq = self._from = self._to = None

    def _via_changed(self) -> None:
        self._via = self._branch = None
        self._has_its_via = False


def _may_be_there(name: str) -> bool:
    """Whether lines of a name may be there that is not among those that are known."""
    key = KEYS.get(name) or key_of(name)
    return key.startswith(_UNKNOWN) or key in KEYS
