"""Requests written as nearly everybody writes them, read by one expression and taken apart no further than they must.

A redirect server needs little of an INVITE: whom it calls, by which Via its answer goes, and the lines that the answer
repeats.  To take every line apart for that was a third of what a redirect cost.  A **plain** request has one Via, each
field that there may be only one of at most once, long names, no folding, and of other fields only those that no
server need look at; :func:`parse_plain` reads such a one from end to end in one go, and leaves every other to
:func:`voipshift.sip.message.parse`, the judge of what is malformed.

A :class:`PlainRequest` is the very :class:`~voipshift.sip.message.Request` that the judge would have made: it answers
what is asked about each request from what was matched, and takes its lines apart as soon as anybody wants to see or to
change them.  What it answers with is written from its lines as they came (RFC 3261 section 8.2.6.2).  Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from voipshift.sip.fields import Field, write_line
from voipshift.sip.grammar import KEYS, MAGIC_COOKIE, Via, key_of
from voipshift.sip.message import REASONS, Request, Response
from voipshift.sip.uri import SipUri

#: A longer request is not plain: with a frame of Ethernet there is no need to count its lines.
MAX_PLAIN = 1500

# No group has a possessive quantifier: some releases of Python 3.11 lose what is captured within.  Each line can be
# matched in one way only, so that there is nothing to try again.
_TOKEN = r"[A-Za-z0-9\-.!%*_+`'~]++"
_HOST = r"[a-z0-9][a-z0-9.\-]*+"
_PORT = r":([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3})"
_NAMED = r'(?:"[^"\\\r\n]*+" ?|[A-Za-z0-9][^"<>,;\r\n]*+|)<(sips?:[^<>\s"]++)>'
_PLAIN = re.compile(
    # 1 method, 2 Request-URI, 3 user, 4 host, 5 port
    rf"([A-Z]++) (sip:(?:([A-Za-z0-9\-_.!~*'()&=+$,/#]++)@)?({_HOST})(?:{_PORT})?) SIP/2\.0\r\n"
    # 6 the top Via, 7 host, 8 port, 9 branch
    rf"(Via: SIP/2\.0/(?:UDP|TCP|TLS) ({_HOST})(?:{_PORT})?(?!;rport;[^\r]*;rport)(?:;rport(?=;))?"
    rf";branch=({MAGIC_COOKIE}{_TOKEN})(?:;rport)?)\r\n(?:"
    # 10 From, 11 its URI; 12 To, 13 its URI, 14 its tag
    rf"From: ({_NAMED};tag={_TOKEN})\r\n|To: ({_NAMED}(?:;tag=({_TOKEN}))?)\r\n|"
    # 15 Call-ID; 16 CSeq, 17 its method; 18 Max-Forwards; 19 Content-Length; 20 User-Agent
    r"Call-ID: ([!-~]++)\r\n|CSeq: ([0-9]{1,9} ([A-Z]++))\r\n|Max-Forwards: ([1-9][0-9]?)\r\n|"
    r"Content-Length: ([0-9]{1,4})\r\n|User-Agent: ([!-~](?:[^\r\n]*[!-~])?)\r\n|"
    r"(?:Contact|Content-Type|Allow|Supported|Accept|Allow-Events|Session-Expires|Min-SE|P-Asserted-Identity|"
    r"P-Preferred-Identity|Privacy|Subject|Organization|Date|X-[A-Za-z\-]++): [^\r\n]*+\r\n"
    r")*\r\n",
    re.ASCII,
).match
#: What a plain request may have once, and need not have; a repeated one is for the judge.
_AT_MOST_ONCE = ("\r\nMax-Forwards: ", "\r\nContent-Length: ", "\r\nContent-Type: ", "\r\nUser-Agent: ")
#: Fields that are asked for in each request and that a plain one does not have.
_ABSENT = frozenset(("proxy-require", "require", "route", "record-route", "priority", "resource-priority"))


def parse_plain(octets: bytes) -> PlainRequest | None:
    """Read a request; None where it is none, or not plain."""
    if len(octets) > MAX_PLAIN:
        return None
    text = octets.decode("latin-1")
    match = _PLAIN(text)
    if match is None:
        return None
    end = match.end()
    first, last, count = text.find, match.start, text.count
    # A group has what matched last: where that is not the first, or there is none, it is not once.
    if (
        first("\r\nFrom: ") + 8 != last(10)
        or first("\r\nTo: ") + 6 != last(12)
        or first("\r\nCall-ID: ") + 11 != last(15)
        or first("\r\nCSeq: ") + 8 != last(16)
    ):
        return None
    for name in _AT_MOST_ONCE:
        if count(name, 0, end) > 1:
            return None
    size = match[19]
    if match[17] != match[1] or (size is not None and int(size) != len(octets) - end):
        return None
    return PlainRequest(match, octets[end:])


class PlainRequest(Request):
    """A plain request.

    :ivar _match: what was matched; None as soon as the lines were taken apart, and it is a request like any other
    """

    __slots__ = ("_line", "_match")

    def __init__(self, match: re.Match[str], body: bytes) -> None:
        # What is asked for later is made then: `fields` and `_first` come to be in __getattr__.
        self.method, self._uri, user, host, port, self._line = match.group(1, 2, 3, 4, 5, 6)
        self._target = SipUri(user, host, None if port is None else int(port))
        self.body = body
        self._match: re.Match[str] | None = match
        self._via = self._branch = self._cseq = self._from = self._to = None

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            match = self._match if name in ("fields", "_first") else None
            if match is None:
                raise AttributeError(name)
            self._match = None
            lines = match.string[match.end(6) + 2 : match.end() - 4].split("\r\n")
            self.fields = _fields([self._line, *lines])
            self._first = dict(reversed(self.fields))
            return getattr(self, name)

    @property
    def is_whole(self) -> bool:
        """Whether nobody has needed its lines so far."""
        return self._match is not None

    @property
    def transaction_key(self) -> str:
        match = self._match
        if match is None:
            return super().transaction_key
        host, port, branch = match.group(7, 8, 9)
        return f"{branch}\n{host}\n{port}"

    @property
    def via(self) -> Via:
        if self._via is None and self._match is not None:
            self._via = Via.parse(self._line, 4)
        return super().via

    def has_via_parameter(self, name: str) -> bool:
        return super().has_via_parameter(name) if self._match is None or name in _VIA_PARAMETERS else False

    @property
    def has_one_via(self) -> bool:
        return self._match is not None or super().has_one_via

    @property
    def max_forwards(self) -> int | None:
        if self._match is None:
            return super().max_forwards
        hops = self._match[18]
        return None if hops is None else int(hops)

    @property
    def from_uri(self) -> str:
        return super().from_uri if self._match is None else self._match[11]

    @property
    def to_tag(self) -> str | None:
        return super().to_tag if self._match is None else self._match[14]

    @property
    def call_id(self) -> str:
        return super().call_id if self._match is None else self._match[15]

    def get(self, name: str) -> str | None:
        match = self._match
        if match is not None:
            key = KEYS.get(name) or key_of(name)
            group = _GROUPS.get(key)
            if group is not None:
                return match[group]
            if key in _ABSENT:
                return None
        return super().get(name)

    def has(self, name: str) -> bool:
        if self._match is not None and (KEYS.get(name) or key_of(name)) in _ABSENT:
            return False
        return super().has(name)

    def stamp(self, host: str, port: int) -> None:
        match = self._match
        if match is None:
            super().stamp(host, port)
            return
        line = self._line
        if line.endswith(";rport"):
            self._line = f"{line}={port};received={host}"
        elif ";rport;" in line:
            self._line = line.replace(";rport;", f";rport={port};received={host};")
        elif match[7] != host:
            self._line = f"{line};received={host}"
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
        match = self._match
        if match is None or body or status == 100:
            return super().response(status, reason, to_tag=to_tag, fields=fields, body=body)
        from_, to, tag, call_id, cseq = match.group(10, 12, 14, 15, 16)
        if to_tag is not None and tag is None:
            to = f"{to};tag={to_tag}"
        start = match.start
        if start(10) < start(12) < start(15) < start(16):
            text = f"{self._line}\r\nFrom: {from_}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {cseq}\r\n"
        else:
            lines = ((10, f"From: {from_}"), (12, f"To: {to}"), (15, f"Call-ID: {call_id}"), (16, f"CSeq: {cseq}"))
            text = "\r\n".join((self._line, *(line for _, line in sorted(lines, key=lambda line: start(line[0]))), ""))
        for name, value in fields:
            text += f"{write_line(name, value)}\r\n"
        return PlainResponse(status, REASONS.get(status, "") if reason is None else reason, text)


class PlainResponse(Response):
    """A response to a plain request, without a body.

    :ivar _text: its header lines; None as soon as they were taken apart
    """

    __slots__ = ("_text",)

    def __init__(self, status: int, reason: str, text: str) -> None:
        self.status = status
        self.reason = reason
        self.ours = True
        self.body = b""
        self._text: str | None = text
        self._via = self._branch = self._cseq = self._from = self._to = None

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            text = self._text if name in ("fields", "_first") else None
            if text is None:
                raise AttributeError(name)
            self._text = None
            self.fields = _fields(text[:-2].split("\r\n"))
            self._first = dict(reversed(self.fields))
            return getattr(self, name)

    def get(self, name: str) -> str | None:
        if self._text is not None and name == "via":
            return self._text[5 : self._text.index("\r")]
        return super().get(name)

    def octets(self) -> bytes:
        if self._text is None or self.body:
            return super().octets()
        return f"SIP/2.0 {self.status} {self.reason}\r\n{self._text}Content-Length: 0\r\n\r\n".encode("latin-1")


#: Where the values of fields are in what was matched.
_GROUPS = {"from": 10, "to": 12, "call-id": 15, "cseq": 16, "max-forwards": 18, "user-agent": 20}
_VIA_PARAMETERS = frozenset(("branch", "rport", "received"))


def _fields(lines: list[str]) -> list[Field]:
    return [(KEYS.get(name) or key_of(name), line) for line in lines for name in (line.partition(":")[0],)]
