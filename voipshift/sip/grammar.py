"""The values of SIP header fields: RFC 3261 sections 7.3.1, 20 and 25.

Header names and their compact forms, lists of values, ``name-addr`` with parameters, Via, CSeq and numbers.  Everything
works on a value whose folding is undone (message.py does that).  Each expression reads its text once: quantifiers are
possessive, so that no text makes them try again, and time is linear in size.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from voipshift.errors import ProtocolViolation
from voipshift.node import Address
from voipshift.sip.uri import (
    DEFAULT_PORT,
    DEFAULT_SECURE_PORT,
    HOST,
    parameters_of,
    write_host,
    write_parameters,
)

#: Sequence numbers are below 2**31 (8.1.1.5).
CSEQ_LIMIT = 2**31
#: A branch that begins with this is unique for each transaction (8.1.1.7); others come from RFC 2543.
MAGIC_COOKIE: Final = "z9hG4bK"

_TOKEN = r"[A-Za-z0-9\-.!%*_+`'~]"
_SCHEME = r"[A-Za-z][A-Za-z0-9+.\-]*+"
_QUOTED = r'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
# A value may be a host too (RFC 5118 4.5 has a bare IPv6 address), or what no grammar foresees: all but separators.
_PARAMETERS = rf'((?:[ \t]*+;[ \t]*+{_TOKEN}++(?:[ \t]*+=[ \t]*+(?:{_QUOTED}|[^\s;,"<>]++))?+)*+)[ \t]*+'
_VIA = re.compile(
    rf"[ \t]*+({_TOKEN}++)[ \t]*+/[ \t]*+({_TOKEN}++)[ \t]*+/[ \t]*+({_TOKEN}++)[ \t]++"
    rf"({HOST})(?:[ \t]*+:[ \t]*+([0-9]{{1,5}}))?{_PARAMETERS}(?:,|\Z)",
    re.DOTALL | re.ASCII,
)
# A display name should be tokens or a quoted string; what phones write unquoted is taken as it is, up to a separator.
_NAME_ADDR = re.compile(
    rf'[ \t]*+(?:({_QUOTED}|[^"<>,;]*+)[ \t]*+<({_SCHEME}:[^<>\s"]++)>|({_SCHEME}:[^<>\s;,"?]++)){_PARAMETERS}',
    re.DOTALL | re.ASCII,
)
_CSEQ = re.compile(rf"[ \t]*+([0-9]{{1,10}}+)[ \t]++({_TOKEN}++)[ \t]*+")
_PARAMETER = re.compile(rf';[ \t]*+({_TOKEN}++)(?:[ \t]*+=[ \t]*+({_QUOTED}|[^\s;,"<>]++))?', re.DOTALL | re.ASCII)
# What opens and never closes goes to the end, so that many openings are not each looked for an end.
_PIECE = re.compile(r'(?:[^",<]++|"[^"\\]*+(?:\\.[^"\\]*+)*+"?+|<[^>]*+>?+)++', re.DOTALL)
_IS_TOKEN = re.compile(rf"{_TOKEN}+").fullmatch

_COMPACT = {
    "a": "accept-contact",
    "b": "referred-by",
    "c": "content-type",
    "d": "request-disposition",
    "e": "content-encoding",
    "f": "from",
    "i": "call-id",
    "j": "reject-contact",
    "k": "supported",
    "l": "content-length",
    "m": "contact",
    "n": "identity-info",
    "o": "event",
    "r": "refer-to",
    "s": "subject",
    "t": "to",
    "u": "allow-events",
    "v": "via",
    "x": "session-expires",
    "y": "identity",
}
#: The header fields that are known, as their RFCs spell them.
NAMES = (
    "Accept",
    "Accept-Encoding",
    "Accept-Language",
    "Alert-Info",
    "Allow",
    "Allow-Events",
    "Authorization",
    "Call-ID",
    "Call-Info",
    "Contact",
    "Content-Disposition",
    "Content-Encoding",
    "Content-Language",
    "Content-Length",
    "Content-Type",
    "CSeq",
    "Date",
    "Diversion",
    "Error-Info",
    "Event",
    "Expires",
    "From",
    "History-Info",
    "In-Reply-To",
    "Max-Breadth",
    "Max-Forwards",
    "MIME-Version",
    "Min-Expires",
    "Min-SE",
    "Organization",
    "P-Asserted-Identity",
    "P-Preferred-Identity",
    "Path",
    "Priority",
    "Privacy",
    "Proxy-Authenticate",
    "Proxy-Authorization",
    "Proxy-Require",
    "RAck",
    "Reason",
    "Record-Route",
    "Refer-To",
    "Referred-By",
    "Remote-Party-ID",
    "Replaces",
    "Reply-To",
    "Require",
    "Retry-After",
    "Route",
    "RSeq",
    "Server",
    "Service-Route",
    "Session-Expires",
    "Subject",
    "Subscription-State",
    "Supported",
    "Timestamp",
    "To",
    "Unsupported",
    "User-Agent",
    "Via",
    "Warning",
    "WWW-Authenticate",
)
#: How a header field may be named -> how we name it: its long form in lower case.  For speed; key_of knows the rest.
KEYS: Final[dict[str, str]] = {
    **{spelling: name.lower() for name in NAMES for spelling in (name, name.lower(), name.title())},
    **{spelling: name for letter, name in _COMPACT.items() for spelling in (letter, letter.upper(), name)},
}


def is_token(text: str) -> bool:
    """Say whether the text is a ``token`` of the grammar."""
    return _IS_TOKEN(text) is not None


def key_of(name: str) -> str:
    """The long form in lower case of a header field's name, however it is written.

    :raises ProtocolViolation: when it is no header name
    """
    key = KEYS.get(name)
    if key is None:
        name = name.rstrip(" \t").lower()
        if _IS_TOKEN(name) is None:
            raise ProtocolViolation("not a header field")
        key = KEYS.get(name, name)
    return key


def number_of(text: str, limit: int) -> int:
    """Read a decimal number below ``limit``, of ten digits at most: ``int`` is not shown what a stranger sends.

    :raises ProtocolViolation: when it is no such number
    """
    # Among latin-1 characters only 0 to 9 are decimal.
    if not text.isdecimal() or len(text) > 10 or (number := int(text)) >= limit:
        raise ProtocolViolation("a number that cannot be")
    return number


def split_values(text: str) -> list[str]:
    """Take a comma-separated list apart; commas in quoted strings and angle brackets do not separate."""
    if "," not in text:
        return [text.strip(" \t")]
    return [piece.strip(" \t") for piece in _PIECE.findall(text) if not piece.isspace()]


def first_value_end(text: str) -> int:
    """The index of the comma behind the first value of a list, or the length of the text."""
    if "," not in text:
        return len(text)
    match = _PIECE.match(text)
    return 0 if match is None else match.end()


def header_parameters(text: str) -> dict[str, str | None]:
    """Take the parameters of a header value apart; quoted strings keep their quotes.

    :raises ProtocolViolation: when a name appears twice
    """
    if '"' not in text:
        return parameters_of(text)
    parameters: dict[str, str | None] = {}
    for name, value in _PARAMETER.findall(text):
        if name.lower() in parameters:
            raise ProtocolViolation("a parameter appears twice")
        parameters[name.lower()] = value or None
    return parameters


class NameAddr:
    """``"Display" <uri>;parameters`` or ``uri;parameters``: From, To, Contact, Route and Record-Route.

    :ivar display: as it was written, quotes included; empty where there is none
    :ivar uri: as it was written, of any scheme
    """

    __slots__ = ("display", "parameters", "uri")

    def __init__(self, uri: str, parameters: dict[str, str | None] | None = None, display: str = "") -> None:
        self.display = display
        self.uri = uri
        self.parameters: dict[str, str | None] = {} if parameters is None else parameters

    @classmethod
    def parse(cls, text: str) -> NameAddr:
        """Read one value.

        :raises ProtocolViolation: when it is none
        """
        matched = cls.match(text)
        return matched if isinstance(matched, NameAddr) else cls.of(matched)

    @classmethod
    def match(cls, text: str, start: int = 0) -> re.Match[str] | NameAddr:
        """Make sure that the text is one value, and leave what it says for later (:meth:`of`).

        :param start: where the value begins, blanks included: behind the colon of a header line
        :raises ProtocolViolation: when it is none
        """
        match = _NAME_ADDR.fullmatch(text, start)
        if match is None:
            raise ProtocolViolation("not a name-addr or addr-spec")
        # With more than one parameter there may be one that comes twice.
        return match if match[4].count(";") < 2 else cls.of(match)

    @classmethod
    def of(cls, match: re.Match[str]) -> NameAddr:
        """What :meth:`match` has matched."""
        display, bracketed, bare, parameters = match.groups()
        said = header_parameters(parameters) if parameters else {}
        return cls(bracketed or bare, said, display.rstrip(" \t") if display else "")

    @property
    def tag(self) -> str | None:
        """The tag that names one side of a dialog."""
        return self.parameters.get("tag")

    def __str__(self) -> str:
        display = self.display + " " if self.display else ""
        return f"{display}<{self.uri}>{write_parameters(self.parameters)}"

    def __repr__(self) -> str:
        return f"<NameAddr {self}>"


class Via:
    """One Via value: which way a request came, and how its response goes back (section 20.42).

    :ivar transport: in upper case
    :ivar host: the host of ``sent-by`` in lower case, an IPv6 address without its brackets
    :ivar branch: empty where there is none
    """

    __slots__ = ("branch", "host", "parameters", "port", "transport", "version")

    def __init__(
        self,
        transport: str,
        host: str,
        port: int | None,
        parameters: dict[str, str | None],
        version: str = "SIP/2.0",
    ) -> None:
        self.transport = transport
        self.host = host
        self.port = port
        self.parameters = parameters
        self.branch = parameters.get("branch") or ""
        self.version = version

    @classmethod
    def parse(cls, text: str, start: int = 0) -> Via:
        """Read the first value of a list of Via values.

        :param start: where the list begins, blanks included: behind the colon of a header line
        :raises ProtocolViolation: when it is none
        """
        match = _VIA.match(text, start)
        if match is None:
            raise ProtocolViolation("not a Via")
        name, version, transport, host, port, parameters = match.groups()
        number = None if port is None else int(port)
        if number is not None and not 0 < number < 65536:
            raise ProtocolViolation("a port outside 1 to 65535")
        return cls(
            transport if transport == "UDP" else transport.upper(),
            host[1:-1].lower() if host[0] == "[" else host.lower(),
            number,
            header_parameters(parameters) if parameters else {},
            "SIP/2.0" if version == "2.0" and name == "SIP" else f"{name}/{version}",
        )

    @property
    def address(self) -> Address:
        """Host and port of ``sent-by``, 5060 (SIP over TLS: 5061) where there is no port."""
        return self.host, self.port or (DEFAULT_SECURE_PORT if self.transport == "TLS" else DEFAULT_PORT)

    @property
    def sent_by(self) -> str:
        """Host and port as they are written."""
        return write_host(self.host, self.port)

    @property
    def received(self) -> str | None:
        """The address that the request came from, an IPv6 address without brackets (RFC 5118 4.5 has both)."""
        value = self.parameters.get("received")
        return value and value.strip("[]")

    def __str__(self) -> str:
        return f"{self.version}/{self.transport} {self.sent_by}{write_parameters(self.parameters)}"

    def __repr__(self) -> str:
        return f"<Via {self}>"


@lru_cache(maxsize=64)
def parse_cseq(text: str, start: int = 0) -> tuple[int, str]:
    """Read a CSeq: its number and method.  Nearly all begin with ``1 INVITE``, so that the last ones are remembered.

    :param start: where it begins, blanks included: behind the colon of a header line
    :raises ProtocolViolation: when it is none
    """
    match = _CSEQ.fullmatch(text, start)
    if match is None:
        raise ProtocolViolation("not a CSeq")
    number = int(match[1])
    if number >= CSEQ_LIMIT:
        raise ProtocolViolation("a CSeq of 2**31 or more")
    return number, match[2]
