"""SIP, SIPS and tel URIs: RFC 3261 section 19.1 and RFC 3966.

A URI is kept as it was written: the user part stays escaped, so that ``%0d%0a`` can never become a line break.  Only
the host and the names of parameters are lower-cased, for they are compared that way.  Nothing is looked up here.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from urllib.parse import unquote

from voipshift.errors import ProtocolViolation
from voipshift.node import Address

#: The port of SIP where none is written, for sip: over UDP and TCP; sips: has its own.
DEFAULT_PORT = 5060
DEFAULT_SECURE_PORT = 5061

# Possessive quantifiers (``++``) throughout: what the far end wrote is looked at once, whatever it is.
# ``#`` must be escaped in a user part, but phones dial it as it is.
_USER = r"(?:[A-Za-z0-9\-_.!~*'()&=+$,;?/#]++|%[0-9A-Fa-f]{2})++"
_PASSWORD = r"(?:[A-Za-z0-9\-_.!~*'()&=+$,]++|%[0-9A-Fa-f]{2})*+"
HOST = r"\[[0-9A-Fa-f:.]++\]|[A-Za-z0-9_][A-Za-z0-9_.\-]*+"
_PARAMETER = r"[A-Za-z0-9\-_.!~*'()\[\]/:&+$%]"
_SIP = re.compile(
    rf"([Ss][Ii][Pp][Ss]?):(?:({_USER})(?::({_PASSWORD}))?@)?({HOST})(?::([0-9]{{1,5}}))?"
    rf"((?:;{_PARAMETER}++(?:={_PARAMETER}*+)?)*+)(?:\?([A-Za-z0-9\-_.!~*'()\[\]/:&+$?%=,;@]*+))?"
)
_TEL = re.compile(
    rf"[Tt][Ee][Ll]:(\+[0-9().\-]*[0-9][0-9().\-]*|[0-9A-Fa-f*#().\-]+)((?:;{_PARAMETER}++(?:={_PARAMETER}*+)?)*+)"
)
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*+):.")
_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}").fullmatch
#: Parameters that make two URIs different when only one of them has it (19.1.4).
_TELLING = ("user", "ttl", "method", "maddr", "transport")


def scheme_of(text: str) -> str:
    """Say the scheme of any URI, in lower case.

    :raises ProtocolViolation: when it is no URI at all
    """
    match = _SCHEME.match(text)
    if match is None:
        raise ProtocolViolation("not a URI")
    return match[1].lower()


def match_uri(text: str) -> re.Match[str] | None:
    """Make sure that a Request-URI is one, and leave what it says for later (:meth:`SipUri.of`).

    :returns: None for a URI that is neither sip nor sips
    :raises ProtocolViolation: when it is none at all, or is not what the grammar says of sip and sips
    """
    match = _SIP.fullmatch(text)
    if match is None and (scheme_of(text) in ("sip", "sips") or not text.isascii() or not text.isprintable()):
        raise ProtocolViolation("not a SIP URI")
    return match


def unescape(text: str) -> str:
    """Resolve ``%41``.  For comparing and for looking numbers up; never to be written into a header."""
    return unquote(text, "latin-1") if "%" in text else text


def parameters_of(text: str) -> dict[str, str | None]:
    """Take ``;a=1;b`` apart into names in lower case and values, None where there is none.

    The text was matched before: quoted strings are not in it, and blanks only around its separators.

    :raises ProtocolViolation: when a name appears twice: 7.3.1 forbids it, and two readers would choose differently
    """
    if " " in text or "\t" in text:
        text = text.replace(" ", "").replace("\t", "")
    parameters: dict[str, str | None] = {}
    parts = text[1:].split(";")
    for part in parts:
        name, equals, value = part.partition("=")
        parameters[name.lower()] = value if equals else None
    if len(parameters) != len(parts):
        raise ProtocolViolation("a parameter appears twice")
    return parameters


def write_parameters(parameters: dict[str, str | None]) -> str:
    """Write parameters as ``;a=1;b``."""
    return "".join([f";{name}" if value is None else f";{name}={value}" for name, value in parameters.items()])


class SipUri:
    """A ``sip:`` or ``sips:`` URI.  A value: the ``with`` methods return another one.

    :ivar user: still escaped; None where there is no user part
    :ivar host: in lower case, an IPv6 address without its brackets
    :ivar headers: what follows the question mark, as it was written
    """

    __slots__ = ("headers", "host", "parameters", "password", "port", "scheme", "user")

    def __init__(
        self,
        user: str | None,
        host: str,
        port: int | None = None,
        parameters: dict[str, str | None] | None = None,
        *,
        scheme: str = "sip",
        password: str | None = None,
        headers: str | None = None,
    ) -> None:
        self.scheme = scheme
        self.user = user
        self.password = password
        self.host = host
        self.port = port
        self.parameters: dict[str, str | None] = {} if parameters is None else parameters
        self.headers = headers

    @classmethod
    def parse(cls, text: str) -> SipUri:
        """Read a URI that stands alone, without angle brackets.

        :raises ProtocolViolation: when it is no sip or sips URI
        """
        match = _SIP.fullmatch(text)
        if match is None:
            raise ProtocolViolation("not a SIP URI")
        return cls.of(match)

    @classmethod
    def of(cls, match: re.Match[str]) -> SipUri:
        """What :func:`match_uri` has matched.

        :raises ProtocolViolation: when its port is none, or a parameter appears twice
        """
        scheme, user, password, host, port, parameters, headers = match.groups()
        number = None if port is None else int(port)
        if number is not None and not 0 < number < 65536:
            raise ProtocolViolation("a port outside 1 to 65535")
        return cls(
            user,
            host[1:-1].lower() if host[0] == "[" else host.lower(),
            number,
            parameters_of(parameters) if parameters else None,
            scheme=scheme.lower(),
            password=password,
            headers=headers,
        )

    def __str__(self) -> str:
        text = self.scheme + ":"
        if self.user is not None:
            text += self.user + ("@" if self.password is None else f":{self.password}@")
        text += write_host(self.host, self.port)
        if self.parameters:
            text += write_parameters(self.parameters)
        return text if self.headers is None else f"{text}?{self.headers}"

    def __repr__(self) -> str:
        return f"<SipUri {self}>"

    def without_parameter(self, name: str) -> SipUri:
        """The same URI without this parameter."""
        parameters = {key: value for key, value in self.parameters.items() if key != name}
        return SipUri(
            self.user,
            self.host,
            self.port,
            parameters,
            scheme=self.scheme,
            password=self.password,
            headers=self.headers,
        )

    def address(self, default_port: int | None = None) -> Address:
        """Where a request to this URI goes when nothing is looked up: ``maddr`` if there is one, else the host.

        :param default_port: where the URI names no port; the scheme's if this is left out
        """
        host = self.parameters.get("maddr") or self.host
        if ":" in host:
            host = _mended(host)
        return host, self.port or default_port or (DEFAULT_SECURE_PORT if self.scheme == "sips" else DEFAULT_PORT)

    def __eq__(self, other: object) -> bool:
        """Compare as 19.1.4 says: not transitive, for parameters that only one side has mostly do not count."""
        if not isinstance(other, SipUri):
            return NotImplemented
        if (self.scheme, self.host, self.port) != (other.scheme, other.host, other.port):
            return False
        if _unescaped(self.user) != _unescaped(other.user) or _unescaped(self.password) != _unescaped(other.password):
            return False
        ours, theirs = self.parameters, other.parameters
        if any((name in ours) != (name in theirs) for name in _TELLING):
            return False
        if any(_folded(ours[name]) != _folded(theirs[name]) for name in ours.keys() & theirs.keys()):
            return False
        return _headers(self.headers) == _headers(other.headers)

    def __hash__(self) -> int:
        return hash((self.scheme, _unescaped(self.user), self.host, self.port))


class TelUri:
    """A ``tel:`` URI of RFC 3966.

    :ivar number: its digits without visual separators, with the leading ``+`` of a global number
    """

    __slots__ = ("number", "parameters")

    def __init__(self, number: str, parameters: dict[str, str | None] | None = None) -> None:
        self.number = number
        self.parameters: dict[str, str | None] = {} if parameters is None else parameters

    @classmethod
    def parse(cls, text: str) -> TelUri:
        """Read a tel URI.

        :raises ProtocolViolation: when it is none
        """
        match = _TEL.fullmatch(text)
        if match is None:
            raise ProtocolViolation("not a tel URI")
        return cls(re.sub(r"[().\-]", "", match[1]), parameters_of(match[2]) if match[2] else {})

    def __str__(self) -> str:
        return f"tel:{self.number}{write_parameters(self.parameters)}"

    def __repr__(self) -> str:
        return f"<TelUri {self}>"


def host_port(address: Address) -> str:
    """Write an address as it stands in a URI or a Via, ``192.0.2.1:5060`` or ``[2001:db8::1]:5060``."""
    return write_host(address[0], address[1])


def is_ip_address(host: str) -> bool:
    """Say whether a host is an address, so that nothing is to be looked up."""
    if ":" not in host:
        return _IPV4(host) is not None
    try:
        ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def write_host(host: str, port: int | None) -> str:
    """Write ``host`` or ``host:port``, an IPv6 address in brackets."""
    if ":" in host:
        host = f"[{host}]"
    return host if port is None else f"{host}:{port}"


def _mended(host: str) -> str:
    """RFC 5118 section 4.10: an old grammar led some to write three colons where two are meant."""
    return host.strip("[]").replace(":::", "::")


def _unescaped(text: str | None) -> str | None:
    return text if text is None else unescape(text)


def _folded(text: str | None) -> str | None:
    return text if text is None else unescape(text).lower()


def _headers(text: str | None) -> list[tuple[str, str]]:
    pairs = [part.partition("=") for part in text.split("&")] if text else []
    return sorted((unescape(name).lower(), unescape(value)) for name, _, value in pairs)
