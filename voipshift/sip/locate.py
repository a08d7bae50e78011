"""Where the SIP server of a domain is: RFC 3263 section 4, from a URI to the addresses to try, in their order.

It takes the answers of DNS as somebody gives them, and says what is missing: :func:`locate` is called again with more
answers until nothing is.  The weights of SRV records are drawn anew each time (RFC 2782).  An answer is a tuple of the
records of one type; what a server said beside them is not looked at.  Pure; asking is :mod:`voipshift.sip.dns`'s,
remembering :mod:`voipshift.sip.names`'.

Which of several transports a domain without NAPTR records is called by is left open by the RFC (4.1, last paragraph):
here the first of UDP, TCP and TLS that has SRV records.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from voipshift.node import Address
from voipshift.sip.uri import DEFAULT_PORT, DEFAULT_SECURE_PORT, SipUri, is_ip_address

#: Addresses that are tried for one URI; more would outlast anybody's patience.
MAX_TRIES = 8
#: Records of one answer that are looked at; the largest carriers have some ten.
MAX_RECORDS = 32

#: NAPTR services (4.1) and the transports that they stand for.
SERVICES = {"SIP+D2U": "udp", "SIP+D2T": "tcp", "SIPS+D2T": "tls"}
#: The names that SRV records of a transport stand under, in the order of preference where there is no NAPTR record.
PREFIXES = {"udp": "_sip._udp.", "tcp": "_sip._tcp.", "tls": "_sips._tcp."}


class Naptr(NamedTuple):
    """A NAPTR record (RFC 3403 section 4.1), as far as RFC 3263 needs it."""

    order: int
    preference: int
    flags: str
    service: str
    replacement: str


class Srv(NamedTuple):
    """An SRV record (RFC 2782); the target ``.`` says that there is no such service."""

    priority: int
    weight: int
    port: int
    target: str


#: The records of one name and one type: an address is its text.
Records = Sequence[Naptr] | Sequence[Srv] | Sequence[str]


class Question(NamedTuple):
    """What DNS is asked: a name in lower case, and NAPTR, SRV, A or AAAA."""

    name: str
    type: str


class Place(NamedTuple):
    """What is known of a server before anything is looked up.

    :ivar host: a name or an address (the TARGET of RFC 3263)
    :ivar port: None where none is written
    :ivar transport: None where none is asked for
    :ivar secure: it is reached over TLS or not at all (``sips:``)
    """

    host: str
    port: int | None = None
    transport: str | None = None
    secure: bool = False

    @classmethod
    def of(cls, uri: SipUri) -> Place:
        """Of a URI; ``maddr`` stands for its host."""
        host = uri.address()[0].lower().rstrip(".")
        asked = (uri.parameters.get("transport") or "").lower() or None
        secure = uri.scheme == "sips"
        return cls(host, uri.port, "tls" if secure and asked in (None, "tcp") else asked, secure)


class Try(NamedTuple):
    """One way to reach it."""

    transport: str
    address: Address


class Located(NamedTuple):
    """What can be said with the answers so far.

    :ivar tries: in their order; none where the server cannot be found
    :ivar missing: the questions that are to be asked before that is final
    """

    tries: tuple[Try, ...]
    missing: tuple[Question, ...]


#: The records of an answer, none for a name or type that does not exist; None while nobody asked.
Answers = Callable[[Question], Records | None]


def locate(
    place: Place, answers: Answers, supported: Container[tuple[str, bool]], draw: Callable[[], float]
) -> Located:
    """Find the addresses of a server.

    :param supported: the transports that can be used, each with whether over IPv6
    :param draw: a number from 0 to 1, for the weights
    """
    search = _Search(place, answers, supported, draw)
    tries = dict.fromkeys(search.tries())
    return Located(tuple(tries)[:MAX_TRIES], tuple(dict.fromkeys(search.missing)))


class _Search:
    """One run; a question that nobody has asked yet counts as one without records, and is noted."""

    def __init__(
        self, place: Place, answers: Answers, supported: Container[tuple[str, bool]], draw: Callable[[], float]
    ) -> None:
        self._place = place
        self._answers = answers
        self._supported = supported
        self._draw = draw
        self.missing: list[Question] = []

    def tries(self) -> Iterator[Try]:
        """All, in their order."""
        host, port, transport, secure = self._place
        default = "tls" if secure else "udp"
        if transport is not None and (transport not in PREFIXES or (secure and transport != "tls")):
            return
        if is_ip_address(host):
            transport = transport or default
            if self._can(transport, host):
                yield Try(transport, (host, port or _port(transport)))
        elif port is not None:
            yield from self._at(host, port, transport or default)
        elif transport is not None:
            yield from self._by_srv(transport)
        else:
            yield from self._by_naptr(default)

    def _by_naptr(self, default: str) -> Iterator[Try]:
        found = [record for record in self._naptr(self._place.host) if self._fits(record)]
        if found:
            # Of those with a higher order nothing may be used once one fits (RFC 3403 section 4.1).
            order = min(record.order for record in found)
            for record in sorted(found, key=lambda record: record.preference):
                if record.order == order:
                    yield from self._servers(self._srv(record.replacement), SERVICES[record.service.upper()])
            return
        if self.missing:
            return
        transports = ("tls",) if self._place.secure else tuple(PREFIXES)
        usable = [each for each in transports if (each, False) in self._supported or (each, True) in self._supported]
        records = {each: self._srv(PREFIXES[each] + self._place.host) for each in usable}
        if self.missing:
            return
        named = next((each for each in usable if records[each]), None)
        if named is None:
            yield from self._at(self._place.host, _port(default), default)
        else:
            yield from self._servers(records[named], named)

    def _by_srv(self, transport: str) -> Iterator[Try]:
        records = self._srv(PREFIXES[transport] + self._place.host)
        if records:
            yield from self._servers(records, transport)
        elif not self.missing:
            yield from self._at(self._place.host, _port(transport), transport)

    def _servers(self, records: Iterable[Srv], transport: str) -> Iterator[Try]:
        for record in in_order(records, self._draw):
            if record.target not in ("", "."):
                yield from self._at(record.target, record.port, transport)

    def _at(self, host: str, port: int, transport: str) -> Iterator[Try]:
        """The addresses of a host."""
        for type, v6 in (("AAAA", True), ("A", False)):
            if (transport, v6) in self._supported:
                for address in self._records(Question(host, type)):
                    if isinstance(address, str):
                        yield Try(transport, (address, port))

    def _fits(self, record: Naptr) -> bool:
        transport = SERVICES.get(record.service.upper())
        if transport is None or record.flags.lower() != "s" or (self._place.secure and transport != "tls"):
            return False
        return (transport, False) in self._supported or (transport, True) in self._supported

    def _can(self, transport: str, host: str) -> bool:
        return (transport, ":" in host) in self._supported

    def _naptr(self, name: str) -> list[Naptr]:
        return [record for record in self._records(Question(name, "NAPTR")) if isinstance(record, Naptr)]

    def _srv(self, name: str) -> list[Srv]:
        return [record for record in self._records(Question(name.lower(), "SRV")) if isinstance(record, Srv)]

    def _records(self, question: Question) -> Records:
        found = self._answers(question)
        if found is None:
            self.missing.append(question)
            return ()
        return found[:MAX_RECORDS]


def in_order(records: Iterable[Srv], draw: Callable[[], float]) -> Iterator[Srv]:
    """SRV records in the order in which they are tried: the lowest priority first, and among equal ones drawn in
    proportion to their weights, those of weight 0 put first so that they have a small chance (RFC 2782, page 4).
    """
    by_priority: dict[int, list[Srv]] = {}
    for record in records:
        by_priority.setdefault(record.priority, []).append(record)
    for priority in sorted(by_priority):
        left = sorted(by_priority[priority], key=lambda record: record.weight > 0)
        while left:
            drawn = draw() * sum(record.weight for record in left)
            running = accumulate(record.weight for record in left)
            yield left.pop(next((number for number, so_far in enumerate(running) if so_far >= drawn), len(left) - 1))


def _port(transport: str) -> int:
    return DEFAULT_SECURE_PORT if transport == "tls" else DEFAULT_PORT
