"""Messages written as nearly everybody writes them, looked at once and taken apart no further than they must.

To take every line of a message apart was a third of what a redirect cost and a fifth of what a call cost, and of most
lines nobody needs more than that they go on.  A **plain** message has its Vias at the top, each field that there may be
only one of at most once, and long names in their usual spelling, without folding; :func:`parse_plain` sees whether a
message is one, and reads the few fields that tell whose it is.  Every other is left to
:func:`voipshift.sip.message.parse`, the judge of what is malformed.

A :class:`PlainRequest` or :class:`PlainResponse` is the very :class:`~voipshift.sip.message.Request` or
:class:`~voipshift.sip.message.Response` that the judge would have made: it answers what is asked about each from that
:class:`~voipshift.sip.reading.Reading`, and is changed as text (:mod:`voipshift.sip.headertext`).  What a request is
answered with is written from its lines as they came (RFC 3261 section 8.2.6.2).  Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from voipshift.errors import ProtocolViolation
from voipshift.sip.fields import write_line
from voipshift.sip.grammar import MAGIC_COOKIE, NAMES, header_parameters, parse_cseq
from voipshift.sip.headertext import WRITTEN
from voipshift.sip.message import MAX_MESSAGE, Request, Response
from voipshift.sip.reading import Reading
from voipshift.sip.reasons import REASONS
from voipshift.sip.uri import SipUri, TelUri

#: Octets of a longer header are not plain: that of a call which three proxies have passed on is half as long.
MAX_HEADER: Final = 2000
#: Where the top Via of a plain message ends at last.
MAX_TOP: Final = 512
_TOP_VIA: Final = "\r\nVia: SIP/2.0/"
#: How a branch is found (the cookie is the branch's own).
_BRANCH: Final = ";branch="
#: Further Vias on the line of the top one; with those of other lines they stay below what the judge allows.
MAX_LISTED: Final = 40
#: Lines below the Vias, fewer than the judge allows.
MAX_LINES: Final = 100
#: What stands behind a telephone's branch.
_USUAL: Final = ("", ";rport")
#: Parameters of top Vias that are remembered: those of a node's own come back with each response.
MAX_REMEMBERED = 500
#: Lines that are remembered: nearly all but four of a message came with the one before it, from each client.
MAX_REMEMBERED_LINES: Final = 2000

_TOKEN = r"[A-Za-z0-9\-.!%*_+`'~]++"
_HOST = r"[a-z0-9][a-z0-9.\-]*+"
_PORT = r"[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}"
_NAMED = r'(?:"[^"\\\r\n]*+" ?|[A-Za-z0-9][^"<>,;\r\n]*+|)'
_URI = r'sips?:[^\x00- "<>]++'

# No group has a possessive quantifier: some releases of Python 3.11 lose what is captured within.  And none may come
# again: what is captured then is kept for each time, which costs more than all the rest.
#: All Vias; of the top one host, port, an rport before the branch, the branch, what follows it, and whatever else is
#: listed on that line.
_VIAS = (
    rf"(\r\nVia: SIP/2\.0/(?:UDP|TCP|TLS) ({_HOST})(?::({_PORT})|)(;rport(?=;)|);branch=({MAGIC_COOKIE}{_TOKEN})"
    r"(;[^\r\n,]++|)(,[^\r\n]*+|)(?:\r\nVia: [^\r\n,]*+){0,20}+)(?=\r\n)"
)
#: Method, and Request-URI with user, host, port and parameters.
_REQUEST: Final = re.compile(
    rf"([A-Z]++) (sip:(?:([A-Za-z0-9\-_.!~*'()&=+$,/#]++)@|)({_HOST})(?::({_PORT})|)(;[^ \r\n]++|)) SIP/2\.0{_VIAS}",
    re.ASCII,
).match
_RESPONSE: Final = re.compile(rf"SIP/2\.0 ([1-6][0-9][0-9]) ([^\r\n]*+){_VIAS}", re.ASCII).match
#: From with its URI and its tag, To with its tag, and Call-ID, a line each.
_DIALOG: Final = re.compile(
    rf"{_NAMED}<({_URI})>;tag=({_TOKEN})\n{_NAMED}<{_URI}>(?:;tag=({_TOKEN})|)\n[!-~]++", re.ASCII
).fullmatch
_VIA_PARAMETERS: Final = re.compile(r'(?:;[a-z\-]++(?:="[^"\\,\r\n]*+"|=[^\s;,"<>]++)?)++', re.ASCII).fullmatch
_URI_PARAMETERS: Final = re.compile(
    r"(?:;[A-Za-z0-9\-_.!~*'()\[\]/:&+$%]++(?:=[A-Za-z0-9\-_.!~*'()\[\]/:&+$%]*+)?)++"
).fullmatch
_EXTENSION: Final = re.compile(r"X-[A-Za-z\-]++").fullmatch

#: Fields of which there may be one.
_SINGLE = ("From", "To", "Call-ID", "CSeq", "Max-Forwards", "Content-Length", "Content-Type", "Expires")
#: The place of each of them; other fields only go on, as often as they come, and have none.  A Via among them is not
#: plain.
_ANY: Final = -1
_UNKNOWN: Final = -2
_PLACES: Final = {name: _SINGLE.index(name) if name in _SINGLE else _ANY for name in NAMES if name != "Via"}
#: The last of those that a response takes from its request.
_CSEQ: Final = _SINGLE.index("CSeq")
#: How a plain Max-Forwards is written.
_HOPS: Final = frozenset(str(hops) for hops in range(100))
#: Place and value of lines that came before.
_remembered: Final[dict[str, tuple[int, str]]] = {}


def parse_plain(octets: bytes) -> PlainRequest | PlainResponse | None:
    """Read a message; None where it is none, or not plain."""
    text = octets[:MAX_HEADER].decode("latin-1")
    end = text.find("\r\n\r\n")
    if end < 0 or len(octets) > MAX_MESSAGE:
        return None
    size = len(octets) - end - 4
    if text.startswith("SIP/2.0 "):
        matched = _RESPONSE(text)
        if matched is None:
            return None
        status, reason, vias, host, port, rport, branch, more, listed = matched.groups()
        lines = text[matched.end() : end + 2]
        if not _are_plain(rport, more, listed) or (reading := _read(lines, size, host, port, branch)) is None:
            return None
        return PlainResponse(int(status), reason, vias, lines, octets[end + 4 :], reading)
    matched = _REQUEST(text)
    if matched is None:
        return None
    method, uri, user, at, at_port, asked, vias, host, port, rport, branch, more, listed = matched.groups()
    if asked and not _URI_PARAMETERS(asked):
        return None
    lines = text[matched.end() : end + 2]
    if not _are_plain(rport, more, listed) or (reading := _read(lines, size, host, port, branch)) is None:
        return None
    if reading.method != method:
        return None
    target = None if asked else SipUri(user, at, None if at_port is None else int(at_port))
    return PlainRequest(method, uri, target, vias, lines, octets[end + 4 :], reading)


def plain_key(octets: bytes) -> str | None:
    """The ``transaction_key`` of a plain request that begins with its Via, read alone; None where it is not found so.

    What it is of another message is no key of any transaction, or the key of the message that it pretends to be.
    """
    text = octets[:MAX_TOP].decode("latin-1")
    start = text.find("\r")
    end = text.find("\r", start + 1)
    at = text.find(" ", start + len(_TOP_VIA), end) + 1
    if end < 0 or at == 0 or text.find(_TOP_VIA, start, at) != start:
        return None
    place = text.find(_BRANCH, at, end)
    first = text.find(";", at, end)
    if place < 0 or text.find('"', at, place) >= 0 or text.find(",", at, place) >= 0:
        return None
    place += len(_BRANCH)
    last = text.find(";", place, end)
    host, colon, port = text[at:first].partition(":")
    return f"{text[place : end if last < 0 else last]}\n{host}\n{port if colon else None}"


def _are_plain(rport: str, more: str, listed: str) -> bool:
    """What stands around the branch of the top Via."""
    if (rport or more not in _USUAL) and not _come_once(f"{rport};branch{more}"):
        return False
    return listed.count(",") <= MAX_LISTED


def _read(lines: str, size: int, host: str, port: str | None, branch: str) -> Reading | None:
    """Read the lines below the Vias of a message with a body of so many octets."""
    text = lines[2:-2]
    rows = text.split("\r\n")
    ends = len(rows) - 1
    if text.count("\r") != ends or text.count("\n") != ends or ends >= MAX_LINES:
        return None
    values: list[str | None] = [None] * len(_SINGLE)
    last = -1
    is_in_order = True
    for row in rows:
        known = _remembered.get(row)
        if known is not None:
            place, value = known
        elif row.startswith("From: "):  # these three are hardly ever those of another call
            place, value = 0, row[6:]
        elif row.startswith("To: "):
            place, value = 1, row[4:]
        elif row.startswith("Call-ID: "):
            place, value = 2, row[9:]
        else:
            name, colon, value = row.partition(": ")
            place = _PLACES.get(name, _UNKNOWN)
            if place == _UNKNOWN:
                if _EXTENSION(name) is None:
                    return None
                place = _ANY
            if not colon:
                return None
            if len(_remembered) >= MAX_REMEMBERED_LINES:
                _remembered.clear()
            _remembered[row] = (place, value)
        if place >= 0:
            if values[place] is not None:
                return None
            values[place] = value
            if place <= _CSEQ:
                is_in_order = is_in_order and place > last
                last = place
    sender, to, call_id, cseq, hops, length, _, _ = values
    if hops is not None and hops not in _HOPS:
        return None
    if length is not None and length.lstrip(" ") != str(size):
        return None
    if sender is None or to is None or call_id is None or cseq is None:
        return None
    dialog = _DIALOG(f"{sender}\n{to}\n{call_id}")
    if dialog is None:
        return None
    uri, tag, to_tag = dialog.groups()
    try:
        number, method = parse_cseq(cseq)
    except ProtocolViolation:
        return None
    return Reading(host, port, branch, sender, uri, tag, to, to_tag, call_id, cseq, number, method, is_in_order)


@lru_cache(MAX_REMEMBERED)
def _come_once(parameters: str) -> bool:
    """Whether this is how parameters of a Via are written plainly, and none comes twice."""
    if _VIA_PARAMETERS(parameters) is None:
        return False
    try:
        header_parameters(parameters)
    except ProtocolViolation:
        return False
    return True


class PlainRequest(Request):
    """A plain request.

    :param target: what its Request-URI says, where that is known
    :param vias: as :class:`~voipshift.sip.headertext.HeaderText` keeps them, and so are ``lines``
    :param reading: what it says of itself
    """

    __slots__ = ()

    def __init__(
        self,
        method: str,
        uri: str,
        target: SipUri | TelUri | re.Match[str] | None,
        vias: str,
        lines: str,
        body: bytes,
        reading: Reading | None,
    ) -> None:
        self.method = method
        self.uri = self._target_uri = uri
        self._target = target
        self.body = body
        self._vias = vias
        self._lines = lines
        self._reading = reading
        self._has_its_via = True
        self._fields = self._first = self._via = self._branch = self._cseq = self._from = self._to = None

    def copy(self) -> Request:
        lines = self._lines
        if lines is None:
            return super().copy()
        copied = PlainRequest(self.method, self.uri, self._target, self._vias, lines, self.body, self._reading)
        copied._target_uri = self._target_uri
        self._copy_known_to(copied)
        return copied

    @property
    def transaction_key(self) -> str:
        reading = self._reading
        if reading is None or not self._has_its_via:
            return super().transaction_key
        return f"{reading.branch}\n{reading.host}\n{reading.port}"

    @property
    def max_forwards(self) -> int | None:
        lines = self._lines
        if lines is None:
            return super().max_forwards
        place = lines.find("\r\nMax-Forwards: ") + 16
        return None if place < 16 else int(lines[place : lines.find("\r", place)])

    @property
    def from_uri(self) -> str:
        return super().from_uri if self._reading is None else self._reading.from_uri

    def stamp(self, host: str, port: int) -> None:
        reading = self._reading
        vias = self._vias
        end = vias.find("\r", 2)
        top = vias if end < 0 else vias[:end]
        if (
            reading is None
            or not self._has_its_via
            or ";received" in top
            or ";rport=" in top
            or '"' in top
            or "," in top
        ):
            super().stamp(host, port)
            return
        if top.endswith(";rport"):
            top = f"{top}={port};received={host}"
        elif ";rport;" in top:
            top = top.replace(";rport;", f";rport={port};received={host};")
        elif reading.host != host:
            top = f"{top};received={host}"
        self._vias = top if end < 0 else top + vias[end:]
        self._via = None

    def response(
        self,
        status: int,
        reason: str | None = None,
        *,
        to_tag: str | None = None,
        fields: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> Response:
        reading, lines = self._reading, self._lines
        returns_way = self.method == "INVITE" and 100 < status < 300
        if reading is None or lines is None or status == 100 or (returns_way and self.has("Record-Route")):
            return super().response(status, reason, to_tag=to_tag, fields=fields, body=body)
        to = reading.to if to_tag is None or reading.to_tag is not None else f"{reading.to};tag={to_tag}"
        text = _returned(lines, reading, to)
        for name, value in fields:
            if name not in WRITTEN:
                return super().response(status, reason, to_tag=to_tag, fields=fields, body=body)
            text = f"{text}{write_line(name, value)}\r\n"
        reason = REASONS.get(status, "") if reason is None else reason
        return PlainResponse(status, reason, self._vias, text, body, None)


class PlainResponse(Response):
    """A plain response, or one of ours to a plain request.

    :param vias: as :class:`~voipshift.sip.headertext.HeaderText` keeps them, and so are ``lines``
    :param reading: what it says of itself; None for one of ours
    """

    __slots__ = ()

    def __init__(self, status: int, reason: str, vias: str, lines: str, body: bytes, reading: Reading | None) -> None:
        self.status = status
        self.reason = reason
        self.ours = reading is None
        self.body = body
        self._vias = vias
        self._lines = lines
        self._reading = reading
        self._has_its_via = reading is not None
        self._fields = self._first = self._via = self._branch = self._cseq = self._from = self._to = None

    def copy(self) -> Response:
        lines = self._lines
        if lines is None:
            return super().copy()
        copied = PlainResponse(self.status, self.reason, self._vias, lines, self.body, self._reading)
        copied.ours = self.ours
        self._copy_known_to(copied)
        return copied

    @property
    def transaction_key(self) -> str:
        reading = self._reading
        if reading is None or not self._has_its_via:
            return super().transaction_key
        return f"{reading.branch}\n{reading.method}"


def _returned(lines: str, reading: Reading, to: str) -> str:
    """The lines that a response takes from its request, in the order that they have there, with that To."""
    sender, call_id, cseq = reading.sender, reading.call_id, reading.cseq
    if reading.is_in_order:
        return f"\r\nFrom: {sender}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {cseq}\r\n"
    said = {"From": sender, "To": to, "Call-ID": call_id, "CSeq": cseq}
    names = sorted(said, key=lambda name: lines.find(WRITTEN[name]))
    return "".join(("\r\n", *(f"{name}: {said[name]}\r\n" for name in names)))
