"""Messages written as nearly everybody writes them, read by one expression and taken apart no further than they must.

To take every line of a message apart was a third of what a redirect cost and a fifth of what a call cost, and of most
lines nobody needs more than that they go on.  A **plain** message has its Vias at the top, each field that there may be
only one of at most once, and long names in their usual spelling, without folding; :func:`parse_plain` reads such a one
from end to end in one go.  Every other is left to :func:`voipshift.sip.message.parse`, the judge of what is malformed.

A :class:`PlainRequest` or :class:`PlainResponse` is the very :class:`~voipshift.sip.message.Request` or
:class:`~voipshift.sip.message.Response` that the judge would have made: it answers what is asked about each from what
was matched, and is changed as text (:mod:`voipshift.sip.headertext`).  What a request is answered with is written from
its lines as they came (RFC 3261 section 8.2.6.2).  Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from voipshift.errors import ProtocolViolation
from voipshift.sip.fields import write_line
from voipshift.sip.grammar import MAGIC_COOKIE, NAMES, header_parameters
from voipshift.sip.headertext import WRITTEN
from voipshift.sip.message import MAX_MESSAGE, Request, Response
from voipshift.sip.reasons import REASONS
from voipshift.sip.uri import SipUri, TelUri

#: Octets of a longer header are not plain: that of a call which three proxies have passed on is half as long.
MAX_HEADER = 2000
#: Further Vias on the line of the top one; with those of other lines they stay below what the judge allows.
MAX_LISTED = 40
#: Parameters of top Vias that are remembered: those of a node's own come back with each response.
MAX_REMEMBERED = 500

# No group has a possessive quantifier: some releases of Python 3.11 lose what is captured within.  Each line can be
# matched in one way only, so that there is nothing to try again.
_TOKEN = r"[A-Za-z0-9\-.!%*_+`'~]++"
_HOST = r"[a-z0-9][a-z0-9.\-]*+"
_PORT = r"[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}"
_PARAMETER = r';[a-z\-]++(?:="[^"\\,\r\n]*+"|=[^\s;,"<>]++)?'
_NAMED = r'(?:"[^"\\\r\n]*+" ?|[A-Za-z0-9][^"<>,;\r\n]*+|)'
_URI = r'sips?:[^<>\s"]++'
_URI_PARAMETER = r";[A-Za-z0-9\-_.!~*'()\[\]/:&+$%]++(?:=[A-Za-z0-9\-_.!~*'()\[\]/:&+$%]*+)?"
#: The groups of a header, in their order.
_GROUPS = (
    *(
        "vias",
        "host",
        "port",
        "rport",
        "branch",
        "more",
        "list",
        "lines",
        "from",
        "from_uri",
        "from_tag",
        "to",
        "to_tag",
    ),
    *("call_id", "number", "of", "forwards", "length", "type", "expires"),
)
_SINGLE = ("Via", "From", "To", "Call-ID", "CSeq", "Max-Forwards", "Content-Length", "Content-Type", "Expires")
_OTHERS = "|".join(name for name in NAMES if name not in _SINGLE)


def _header(behind: int, method: str) -> str:
    """The expression for a header, its groups behind so many others, with a CSeq of that method."""
    numbers = {name: number for number, name in enumerate(_GROUPS, behind + 1)}
    # A line of which there may be one does not match where its group has matched before.
    new = {name: f"(?({number})(?!))" for name, number in numbers.items()}
    there = "".join(f"(?({numbers[name]})|(?!))" for name in ("from", "to", "call_id", "number"))
    return (
        rf"(?P<vias>\r\nVia: SIP/2\.0/(?:UDP|TCP|TLS) (?P<host>{_HOST})(?::(?P<port>{_PORT}))?"
        rf"(?P<rport>;rport(?=;))?;branch=(?P<branch>{MAGIC_COOKIE}{_TOKEN})(?P<more>(?:{_PARAMETER})*)"
        r"(?P<list>,[^\r\n]*+)?(?:\r\nVia: [^\r\n,]*+){0,20})(?P<lines>\r\n(?:"
        rf"From: {new['from']}(?P<from>{_NAMED}<(?P<from_uri>{_URI})>;tag=(?P<from_tag>{_TOKEN}))\r\n|"
        rf"To: {new['to']}(?P<to>{_NAMED}<{_URI}>(?:;tag=(?P<to_tag>{_TOKEN}))?)\r\n|"
        rf"Call-ID: {new['call_id']}(?P<call_id>[!-~]++)\r\n|"
        rf"CSeq: {new['number']}(?P<number>[0-9]{{1,9}}) (?P<of>{method})\r\n|"
        rf"Max-Forwards: {new['forwards']}(?P<forwards>[0-9]{{1,2}})\r\n|"
        rf"Content-Length: {new['length']} *+(?P<length>[0-9]{{1,5}})\r\n|"
        rf"Content-Type: {new['type']}(?P<type>[^\r\n]*+)\r\n|"
        rf"Expires: {new['expires']}(?P<expires>[^\r\n]*+)\r\n|"
        rf"(?:{_OTHERS}|X-[A-Za-z\-]++): [^\r\n]*+\r\n"
        rf"){{4,100}})\r\n{there}"
    )


_REQUEST = re.compile(
    rf"(?P<method>[A-Z]++) (?P<uri>sip:(?:(?P<user>[A-Za-z0-9\-_.!~*'()&=+$,/#]++)@)?(?P<at>{_HOST})"
    rf"(?::(?P<at_port>{_PORT}))?(?P<asks>(?:{_URI_PARAMETER})*)) SIP/2\.0{_header(6, '(?P=method)')}",
    re.ASCII,
).match
_RESPONSE = re.compile(
    rf"SIP/2\.0 (?P<status>[1-6][0-9][0-9]) (?P<reason>[^\r\n]*+){_header(2, '[A-Z]++')}", re.ASCII
).match


def parse_plain(octets: bytes) -> PlainRequest | PlainResponse | None:
    """Read a message; None where it is none, or not plain."""
    end = octets.find(b"\r\n\r\n", 0, MAX_HEADER) + 4
    if end < 4 or len(octets) > MAX_MESSAGE:
        return None
    text = octets[:end].decode("latin-1")
    is_response = text.startswith("SIP/2.0 ")
    match = _RESPONSE(text) if is_response else _REQUEST(text)
    if match is None:
        return None
    length, rport, more, listed = match.group("length", "rport", "more", "list")
    if length is not None and int(length) != len(octets) - end:
        return None
    if more and not _come_once(f"{rport or ''};branch{more}"):
        return None
    if listed is not None and listed.count(",") > MAX_LISTED:
        return None
    if is_response:
        status, reason, vias, lines = match.group("status", "reason", "vias", "lines")
        return PlainResponse(int(status), reason, vias, lines, octets[end:], match)
    method, uri, vias, lines, user, host, port, asks = match.group(
        "method", "uri", "vias", "lines", "user", "at", "at_port", "asks"
    )
    target = None if asks else SipUri(user, host, None if port is None else int(port))
    return PlainRequest(method, uri, target, vias, lines, octets[end:], match)


@lru_cache(MAX_REMEMBERED)
def _come_once(parameters: str) -> bool:
    """Whether no parameter of a Via comes twice."""
    try:
        header_parameters(parameters)
    except ProtocolViolation:
        return False
    return True


class PlainRequest(Request):
    """A plain request.

    :param target: what its Request-URI says, where that is known
    :param vias: as :class:`~voipshift.sip.headertext.HeaderText` keeps them, and so are ``lines``
    :param match: what was matched
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
        match: re.Match[str] | None,
    ) -> None:
        self.method = method
        self.uri = self._target_uri = uri
        self._target = target
        self.body = body
        self._vias = vias
        self._lines = lines
        self._match = match
        self._has_its_via = True
        self._fields = self._first = self._via = self._branch = self._cseq = self._from = self._to = None

    def copy(self) -> Request:
        lines = self._lines
        if lines is None:
            return super().copy()
        copied = PlainRequest(self.method, self.uri, self._target, self._vias, lines, self.body, self._match)
        copied._target_uri = self._target_uri
        self._copy_known_to(copied)
        return copied

    @property
    def transaction_key(self) -> str:
        if self._match is None or not self._has_its_via:
            return super().transaction_key
        host, port, branch = self._match.group("host", "port", "branch")
        return f"{branch}\n{host}\n{port}"

    @property
    def max_forwards(self) -> int | None:
        lines = self._lines
        if lines is None:
            return super().max_forwards
        place = lines.find("\r\nMax-Forwards: ") + 16
        return None if place < 16 else int(lines[place : lines.index("\r\n", place)])

    @property
    def from_uri(self) -> str:
        return super().from_uri if self._match is None else self._match["from_uri"]

    def stamp(self, host: str, port: int) -> None:
        top, end, others = self._vias[2:].partition("\r\n")
        if (
            self._match is None
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
        elif self._match["host"] != host:
            top = f"{top};received={host}"
        self._vias = f"\r\n{top}{end}{others}"
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
        match, lines = self._match, self._lines
        returns_way = self.method == "INVITE" and 100 < status < 300
        if match is None or lines is None or status == 100 or (returns_way and self.has("Record-Route")):
            return super().response(status, reason, to_tag=to_tag, fields=fields, body=body)
        sender, to, tag, call_id, number, of = match.group("from", "to", "to_tag", "call_id", "number", "of")
        if to_tag is not None and tag is None:
            to = f"{to};tag={to_tag}"
        start = match.start
        if start("from") < start("to") < start("call_id") < start("number"):
            text = f"\r\nFrom: {sender}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {number} {of}\r\n"
        else:
            places = {"From": "from", "To": "to", "Call-ID": "call_id", "CSeq": "number"}
            said = {"From": sender, "To": to, "Call-ID": call_id, "CSeq": f"{number} {of}"}
            names = sorted(places, key=lambda name: start(places[name]))
            text = "".join(("\r\n", *(f"{name}: {said[name]}\r\n" for name in names)))
        for name, value in fields:
            if name not in WRITTEN:
                return super().response(status, reason, to_tag=to_tag, fields=fields, body=body)
            text = f"{text}{write_line(name, value)}\r\n"
        reason = REASONS.get(status, "") if reason is None else reason
        return PlainResponse(status, reason, self._vias, text, body, None)


class PlainResponse(Response):
    """A plain response, or one of ours to a plain request.

    :param vias: as :class:`~voipshift.sip.headertext.HeaderText` keeps them, and so are ``lines``
    :param match: what was matched; None for one of ours
    """

    __slots__ = ()

    def __init__(
        self, status: int, reason: str, vias: str, lines: str, body: bytes, match: re.Match[str] | None
    ) -> None:
        self.status = status
        self.reason = reason
        self.ours = match is None
        self.body = body
        self._vias = vias
        self._lines = lines
        self._match = match
        self._has_its_via = match is not None
        self._fields = self._first = self._via = self._branch = self._cseq = self._from = self._to = None

    def copy(self) -> Response:
        lines = self._lines
        if lines is None:
            return super().copy()
        copied = PlainResponse(self.status, self.reason, self._vias, lines, self.body, self._match)
        copied.ours = self.ours
        self._copy_known_to(copied)
        return copied

    @property
    def transaction_key(self) -> str:
        if self._match is None or not self._has_its_via:
            return super().transaction_key
        return f"{self._match['branch']}\n{self._match['of']}"
