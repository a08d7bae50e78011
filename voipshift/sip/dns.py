"""The door to DNS: one question out, its records back (twisted.names).

Which servers are asked is the operator's choice; without one it is the system's, and the addresses of its hosts file
come first.  What is remembered, and what is asked at all, is :mod:`voipshift.sip.names`'.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from ipaddress import ip_address
from typing import Any, Protocol

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import CannotListenError
from twisted.names import client, dns, hosts
from twisted.names.error import DNSNameError
from twisted.python.failure import Failure

from voipshift.errors import NoAnswer
from voipshift.node import Address
from voipshift.sip.locate import Naptr, Question, Records, Srv

#: After how many seconds each server is asked again.
WAITS_S = (0.5, 1.0, 1.5)
#: When nobody has answered by then, nobody will: two rounds of two servers, and less than a caller is patient.
DEADLINE_S = 3.0
#: The TTL of what stands in the system's hosts file, in seconds.
HOSTS_TTL_S = 60.0
HOSTS = "/etc/hosts"
RESOLV = "/etc/resolv.conf"

_TYPES = {"NAPTR": dns.NAPTR, "SRV": dns.SRV, "A": dns.A, "AAAA": dns.AAAA}


class Port(Protocol):
    """A port of UDP."""

    def start(self, reactor: Any) -> None: ...
    def send(self, octets: bytes, address: Address) -> None: ...
    def stop(self) -> None: ...


class Dns:
    """Asks servers of DNS.

    :param reactor: time and sockets
    :param servers: whom, in order; the system's where there are none
    :param open_port: opens a port of UDP (:func:`voipshift.udp.open_port`)
    """

    def __init__(
        self,
        reactor: Any,
        servers: Sequence[Address],
        open_port: Callable[[Address, Callable[[bytes, Address], None]], Port],
    ) -> None:
        self._reactor = reactor
        self._sockets = _Sockets(reactor, open_port)
        self._servers = list(servers)
        self._hosts: Any = None if servers else hosts.Resolver(HOSTS)
        self._resolver: Any = None

    def ask(self, question: Question) -> Deferred[tuple[Records, float]]:
        """Ask.

        :returns: the records and their TTL in seconds; no records where the name or the type does not exist
        :raises NoAnswer: nobody answered, or none that could (in the Deferred)
        """
        if not is_name(question.name):
            return succeed(((), 0.0))
        if self._hosts is not None and question.type in ("A", "AAAA"):
            lookup: Any = self._hosts.lookupIPV6Address if question.type == "AAAA" else self._hosts.lookupAddress
            found: Deferred[Any] = lookup(question.name)
            return found.addCallbacks(_from_hosts, lambda _: self._query(question), callbackArgs=(question,))
        return self._query(question)

    def _query(self, question: Question) -> Deferred[tuple[Records, float]]:
        if self._resolver is None:
            # Not before it is needed: it reads a file, and looks each minute whether that has changed.
            resolv = None if self._servers else RESOLV
            self._resolver = client.Resolver(resolv, self._servers or None, WAITS_S, self._sockets)
        query: Any = dns.Query(question.name, _TYPES[question.type], dns.IN)
        asked: Deferred[Any] = self._resolver.query(query, WAITS_S)
        asked.addTimeout(DEADLINE_S, self._reactor)
        return asked.addCallbacks(_records, _failed, callbackArgs=(question,))


class _Sockets:
    """The reactor as twisted.names needs it, which opens a port for each question: one that the log is not told of."""

    def __init__(self, reactor: Any, open_port: Callable[[Address, Callable[[bytes, Address], None]], Port]) -> None:
        self._reactor = reactor
        self._open_port = open_port
        self.callLater = reactor.callLater
        self.seconds = reactor.seconds

    def connectTCP(self, *what: Any, **how: Any) -> Any:
        """For an answer that is too large for a datagram."""
        return self._reactor.connectTCP(*what, **how)

    def listenUDP(self, port: int, protocol: Any, interface: str = "", maxPacketSize: int = 0) -> None:
        """Give a protocol a port.

        :raises CannotListenError: it is taken
        """
        address = interface or "0.0.0.0", port
        try:
            opened = self._open_port(address, lambda octets, source: protocol.datagramReceived(octets, source))
        except OSError as error:
            raise CannotListenError(interface, port, error) from None
        opened.start(self._reactor)
        protocol.transport = _Transport(opened)
        protocol.startProtocol()


class _Transport:
    """A port as a protocol of twisted.names uses it."""

    def __init__(self, port: Port) -> None:
        self.write = port.send
        self.stopListening = port.stop


def is_name(name: str) -> bool:
    """Whether DNS can be asked for a name at all (RFC 1035 section 2.3.4)."""
    return len(name) <= 253 and all(0 < len(label) < 64 for label in name.split("."))


def _from_hosts(sections: Any, question: Question) -> tuple[Records, float]:
    records, _ = _records(sections, question)
    return records, HOSTS_TTL_S


def _failed(failure: Failure) -> tuple[Records, float]:
    """There is no such name; or nobody says whether there is."""
    if failure.check(DNSNameError):
        return (), 0.0
    raise NoAnswer(True)


def _records(sections: tuple[Iterable[Any], Iterable[Any], Iterable[Any]], question: Question) -> tuple[Records, float]:
    """The records of the type that was asked for: what stands for them, CNAMEs and the like, is passed over."""
    answers = [each for each in sections[0] if each.type == _TYPES[question.type] and each.payload is not None]
    ttl_s = min((float(each.ttl) for each in answers), default=0.0)
    return tuple(_READ[question.type](each.payload) for each in answers), ttl_s


def _name(name: Any) -> str:
    text = str(name.name.decode("ascii", "replace")).lower()
    return text.rstrip(".") or "."


def _text(charstr: Any) -> str:
    return str(charstr.string.decode("ascii", "replace"))


def _naptr(payload: Any) -> Naptr:
    flags, service = _text(payload.flags), _text(payload.service)
    return Naptr(payload.order, payload.preference, flags, service, _name(payload.replacement))


_READ: dict[str, Any] = {
    "NAPTR": _naptr,
    "SRV": lambda payload: Srv(payload.priority, payload.weight, payload.port, _name(payload.target)),
    "A": lambda payload: str(ip_address(payload.address)),
    "AAAA": lambda payload: str(ip_address(payload.address)),
}
