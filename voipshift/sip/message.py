"""SIP messages: requests and responses, RFC 3261 section 7, read and written.

:func:`parse` checks what every element depends on (start line, one From, To, Call-ID and CSeq each, top Via, and the
lengths), so that what it returns can be routed and answered; the other header fields are the business of whoever reads
them.  What may be sent back for a request that is malformed hangs on the exception: :class:`MalformedRequest`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from voipshift.errors import ProtocolViolation
from voipshift.sip.fields import Field, Message, unfold, value_of, write_line
from voipshift.sip.grammar import (
    KEYS,
    MAGIC_COOKIE,
    NameAddr,
    Via,
    first_value_end,
    is_token,
    key_of,
    number_of,
    parse_cseq,
)
from voipshift.sip.headertext import HeaderText
from voipshift.sip.reasons import REASONS
from voipshift.sip.uri import SipUri, TelUri, match_uri, scheme_of

__all__ = ("MalformedRequest", "Message", "Request", "Response", "parse", "request")

#: Octets of a message: a UDP datagram cannot carry more, and nothing that sets up a call needs as much.
MAX_MESSAGE: Final = 65536
#: Header lines of a message: ten times what a phone sends, few enough to be looked at one by one.
MAX_FIELDS = 200
#: Via values of a message: Max-Forwards begins with 70, so that a longer way means a loop.
MAX_VIAS = 70
#: Max-Forwards is one octet's worth (section 20.22).
MAX_FORWARDS_LIMIT = 256

#: Fields of which there is only one: two readers would choose differently.
_SINGLE = frozenset(("from", "to", "call-id", "cseq", "content-length", "content-type", "max-forwards", "expires"))
#: Fields that a response takes from its request (8.2.6.2); one that establishes a dialog repeats the way, too (12.1.1).
_RETURNED = frozenset(("via", "from", "to", "call-id", "cseq"))
_RETURNED_WITH_WAY = _RETURNED | {"record-route"}
_RETURNED_AT_ONCE = _RETURNED | {"timestamp"}
_LINE_END = re.compile(r"\r\n(?![ \t])")
_VERSION = re.compile(r"[Ss][Ii][Pp]/[0-9]{1,9}\.[0-9]{1,9}")


class MalformedRequest(ProtocolViolation):
    """A request that breaks the rules but says where an answer goes.

    :param request: what can be made of it: good for :meth:`Request.response`, but its ``via`` and ``to`` may raise, and
        any field but Via may lack
    """

    def __init__(self, reason: str, status: int, request: Request) -> None:
        super().__init__(reason, status)
        self.request = request


class Request(HeaderText):
    """A request.

    :ivar method: as it was written; methods are told apart by case
    :ivar uri: the Request-URI as it was written; may be changed
    """

    __slots__ = ("_target", "_target_uri", "method", "uri")

    def __init__(
        self, method: str, uri: str, fields: list[Field], body: bytes = b"", first: dict[str, str] | None = None
    ) -> None:
        super().__init__(fields, body, first)
        self.method = method
        self.uri = uri
        #: What a Request-URI says, and which one.
        self._target: SipUri | TelUri | re.Match[str] | None = None
        self._target_uri = uri

    @property
    def target(self) -> SipUri | TelUri:
        """What the Request-URI says.

        :raises ProtocolViolation: when it is neither a sip, a sips nor a tel URI
        """
        uri = self.uri
        known = self._target
        if known is None or uri != self._target_uri:
            known = TelUri.parse(uri) if scheme_of(uri) == "tel" else SipUri.parse(uri)
        elif isinstance(known, re.Match):
            known = SipUri.of(known)
        self._target, self._target_uri = known, uri
        return known

    @property
    def start_line(self) -> str:
        return f"{self.method} {self.uri} SIP/2.0"

    @property
    def max_forwards(self) -> int | None:
        """How many more hops are allowed; None where nothing is said."""
        first = self._index() if self._first is None else self._first
        line = first.get("max-forwards")
        return None if line is None else _number_in(line, MAX_FORWARDS_LIMIT)

    @property
    def transaction_key(self) -> str:
        """What a request and its retransmissions, its ACK and its CANCEL have in common (17.2.3)."""
        via = self.via
        if via.branch.startswith(MAGIC_COOKIE) and len(via.branch) > len(MAGIC_COOKIE):
            return f"{via.branch}\n{via.host}\n{via.port}"
        # RFC 2543: the branch says nothing.  The To tag is left out, for the ACK has that of the response.
        seen = (self.uri, self.from_tag, self.call_id, self.cseq[0], via.host, via.port, via.branch)
        return "\n".join(map(str, seen))

    def copy(self) -> Request:
        """The same request, to be changed."""
        copied = self._copy_to(Request(self.method, self.uri, []))
        copied._target, copied._target_uri = self._target, self._target_uri
        return copied

    def stamp(self, host: str, port: int) -> None:
        """Write into the top Via where the request came from (18.2.1, RFC 3581 section 4).

        :raises ProtocolViolation: when the top Via of a malformed request cannot be read
        """
        via = self.via
        said = via.parameters
        asked = "rport" in said
        if not asked and via.host == host and "received" not in said:
            return
        place = self._place("via")
        assert place is not None
        line = self.fields[place][1]
        believed = "received" not in said and said.get("rport") is None and "," not in line and "\r" not in line
        said["received"] = host
        if asked:
            said["rport"] = str(port)
        if not believed:
            # Rare: it claims to know where it comes from, or there is more on the line than one value.
            value = value_of(line)
            line = f"Via: {via}{value[first_value_end(value) :]}"
        elif not asked:
            line += f";received={host}"
        elif line.endswith(";rport"):
            line += f"={port};received={host}"
        elif ";rport;" in line and '"' not in line:
            line = line.replace(";rport;", f";rport={port};received={host};", 1)
        else:
            line = f"Via: {via}"
        self.fields[place] = ("via", line)
        self._changed("via", line)
        self._via = via

    def response(
        self,
        status: int,
        reason: str | None = None,
        *,
        to_tag: str | None = None,
        fields: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> Response:
        """Make a response of ours to this request (8.2.6); lines are taken over as they are.

        :param to_tag: given to To when it has none; every response but 100 has one
        :param fields: what else to say, name and value
        """
        taken = _RETURNED
        if status == 100:
            taken = _RETURNED_AT_ONCE
        elif status < 300 and self.method == "INVITE":
            taken = _RETURNED_WITH_WAY
        lines = [field for field in self.fields if field[0] in taken]
        if to_tag is not None and not self._has_to_tag():
            for place, (key, line) in enumerate(lines):
                if key == "to":
                    lines[place] = ("to", f"{line};tag={to_tag}")
        lines += [(KEYS.get(name) or key_of(name), write_line(name, value)) for name, value in fields]
        return Response(status, REASONS.get(status, "") if reason is None else reason, lines, body)

    def _has_to_tag(self) -> bool:
        try:
            return self.to_tag is not None
        except ProtocolViolation:
            # The To of a malformed request goes back as it came.
            return True


class Response(HeaderText):
    """A response.

    :ivar ours: this node has written it; False for one that came from somebody else
    """

    __slots__ = ("ours", "reason", "status")

    def __init__(
        self, status: int, reason: str, fields: list[Field], body: bytes = b"", first: dict[str, str] | None = None
    ) -> None:
        super().__init__(fields, body, first)
        self.status = status
        self.reason = reason
        self.ours = True

    @property
    def start_line(self) -> str:
        return f"SIP/2.0 {self.status} {self.reason}"

    @property
    def transaction_key(self) -> str:
        """What a response and its request have in common (17.1.3)."""
        return f"{self.branch}\n{self.cseq[1]}"

    def copy(self) -> Response:
        """The same response, to be changed."""
        copied = self._copy_to(Response(self.status, self.reason, []))
        copied.ours = self.ours
        return copied


def request(method: str, uri: str, fields: Iterable[tuple[str, str]], body: bytes = b"") -> Request:
    """Make a request of ours from names and values."""
    return Request(
        method, uri, [(KEYS.get(name) or key_of(name), write_line(name, value)) for name, value in fields], body
    )


def parse(octets: bytes) -> Request | Response:
    """Read one datagram, or one message that a stream was cut into.

    :raises MalformedRequest: when it is a request that breaks the rules and can be answered, with ``status``
    :raises ProtocolViolation: when it breaks the rules and there is nothing to answer
    """
    try:
        return _parse(octets)
    except ProtocolViolation as violation:
        answerable = _answerable(octets)
        if answerable is None:
            raise
        raise MalformedRequest(violation.reason, violation.status, answerable) from None


def _parse(octets: bytes) -> Request | Response:
    if len(octets) > MAX_MESSAGE:
        raise ProtocolViolation("longer than 64 kB", 513)
    end = octets.find(b"\r\n\r\n")
    if end <= 0:
        octets = octets.lstrip(b"\r\n")
        end = octets.find(b"\r\n\r\n")
        if end < 0:
            raise ProtocolViolation("no empty line behind the header fields")
    head = octets[:end].decode("latin-1")
    start, *lines = head.split("\r\n")
    if head.count("\n") != len(lines) or head.count("\r") != len(lines):
        raise ProtocolViolation("a line end that is not CR LF")
    key_for = KEYS.get
    try:
        known = [(key_for(name), line) for line in lines for name, _ in (line.split(":", 1),)]
    except ValueError:
        known = [(None, "")]
    first = dict(known)
    fields: list[Field] = known  # type: ignore[assignment]  # there is no None in it, or it is made anew
    if None in first or len(first) != len(known) or "," in first.get("via", ""):
        # Folded lines, names that are new to us, fields that come twice: the careful way.
        start, *lines = _LINE_END.split(head)
        if "\r" in start:
            raise ProtocolViolation("a folded start line")
        fields, first = _indexed(lines)
    if len(fields) > MAX_FIELDS:
        raise ProtocolViolation("more than 200 header fields")
    body = octets[end + 4 :]
    if start[:4].upper() == "SIP/":
        message: Request | Response = _response(start, fields, first)  # type: ignore[arg-type]
    else:
        message = _request(start, fields, first)  # type: ignore[arg-type]
    if "content-length" in first:
        size = _number_in(first["content-length"], 10**10)
        if size > len(body):
            raise ProtocolViolation("a body shorter than its Content-Length")
        if size < len(body):
            # 18.3: in a datagram what is more is not ours.
            body = body[:size]
    message.body = body
    return message


def _indexed(lines: list[str]) -> tuple[list[Field], dict[str | None, str]]:
    """Name each line and find the first of each name, unfolded."""
    fields: list[Field] = []
    first: dict[str | None, str] = {}
    vias = 0
    for line in lines:
        name, colon, _ = line.partition(":")
        if not colon:
            raise ProtocolViolation("a header line without a colon")
        key = KEYS.get(name) or key_of(unfold(name))
        if key not in first:
            first[key] = unfold(line) if "\r" in line else line
        elif key in _SINGLE:
            raise ProtocolViolation(f"a second {key}")
        if key == "via":
            vias += 1 + line.count(",")
        fields.append((key, line))
    if vias > MAX_VIAS:
        raise ProtocolViolation("more than 70 Via")
    return fields, first


def _request(line: str, fields: list[Field], first: dict[str, str]) -> Request:
    parts = line.split(" ")
    if len(parts) != 3:
        raise ProtocolViolation("not a Request-Line")
    method, uri, version = parts
    if version != "SIP/2.0" and version.upper() != "SIP/2.0":
        if _VERSION.fullmatch(version):
            raise ProtocolViolation("only SIP/2.0 is spoken here", 505)
        raise ProtocolViolation("not a Request-Line")
    if not is_token(method) or not uri:
        raise ProtocolViolation("not a Request-Line")
    made = Request(method, uri, fields, b"", first)
    made._target = match_uri(uri)
    if _check(made, first) != method:
        raise ProtocolViolation("a CSeq of another method")
    if "max-forwards" in first:
        _number_in(first["max-forwards"], MAX_FORWARDS_LIMIT)
    return made


def _response(line: str, fields: list[Field], first: dict[str, str]) -> Response:
    version, _, rest = line.partition(" ")
    status, _, reason = rest.partition(" ")
    if version.upper() != "SIP/2.0" or len(status) != 3 or not status.isdecimal() or not "100" <= status < "700":
        raise ProtocolViolation("not a Status-Line")
    made = Response(int(status), reason, fields, b"", first)
    made.ours = False
    _check(made, first)
    return made


@lru_cache(maxsize=64)
def _number_in(line: str, limit: int) -> int:
    """The number that a header line gives.  There are few different such lines, and each comes thousands of times."""
    return number_of(value_of(line), limit)


def _check(message: Message, first: dict[str, str]) -> str:
    """Look at what every element depends on, keep it in the message, and say the CSeq's method."""
    try:
        line = first["via"]
        message._via = Via.parse(line, line.index(":") + 1)
        line = first["from"]
        message._from = NameAddr.match(line, line.index(":") + 1)
        line = first["to"]
        message._to = NameAddr.match(line, line.index(":") + 1)
        line = first["cseq"]
        message._cseq = cseq = parse_cseq(line, line.index(":") + 1)
        if not value_of(first["call-id"]):
            raise ProtocolViolation("an empty Call-ID")
    except KeyError as missing:
        raise ProtocolViolation(f"no {missing.args[0]}") from None
    return cseq[1]


def _answerable(octets: bytes) -> Request | None:
    """Make of a malformed request what its 400 needs: a method and a Via; None for a response, an ACK, or noise."""
    head = octets[:MAX_MESSAGE].lstrip(b"\r\n").partition(b"\r\n\r\n")[0].decode("latin-1")
    start, *lines = _LINE_END.split(head, maxsplit=MAX_FIELDS)[:MAX_FIELDS]
    method, _, rest = start.partition(" ")
    uri, _, version = rest.strip(" \t").rpartition(" ")
    if method == "ACK" or not uri or not is_token(method) or not _VERSION.fullmatch(version):
        return None
    fields: list[Field] = []
    taken: set[str] = set()
    for line in lines:
        name, colon, value = line.partition(":")
        key = KEYS.get(name) or KEYS.get(unfold(name).rstrip(" \t").lower(), "")
        if not colon or key not in _RETURNED or not value.strip(" \t\r\n"):
            continue
        if (key != "via" and key in taken) or len(fields) > MAX_VIAS or "\n" in unfold(line):
            continue
        taken.add(key)
        fields.append((key, line))
    return Request(method, uri, fields) if "via" in taken else None
