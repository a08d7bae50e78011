"""The ports of a node as its messages name them: in a Via, in a Record-Route, in a Contact.

A listener is known by its number, the place of its ``[[sip.listen]]`` in the configuration; a :class:`Hop` says by
which of them a message came or goes.  Which one a request leaves by is found from the transport that its next URI asks
for (RFC 3261 section 19.1.1) and the family of the address; where a response goes, from its request.  Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address
from typing import NamedTuple

from voipshift.node import Address
from voipshift.sip.grammar import NameAddr, Via
from voipshift.sip.message import Request
from voipshift.sip.transaction import Hop
from voipshift.sip.uri import DEFAULT_PORT, SipUri, host_port, scheme_of, write_parameters

#: Addresses that a node tells the group of, beside the first of each transport: a report is one datagram.
MAX_FURTHER = 8


class Listener(NamedTuple):
    """One port.

    :ivar transport: ``udp``, ``tcp`` or ``tls``
    :ivar place: its address as others reach it
    """

    transport: str
    place: Address

    @property
    def door(self) -> str:
        """Its name among the doors of the group."""
        return f"sip/{self.transport}"


class Listeners:
    """All ports of a node.

    :ivar places: their addresses, by listener
    :ivar doors: what kind each is: ``sip/udp``
    :ivar reliable: whether its transport is
    :ivar ways: the transports of all, each with whether over IPv6
    """

    def __init__(self, listeners: Sequence[Listener]) -> None:
        self.places = tuple(each.place for each in listeners)
        self.doors = tuple(each.door for each in listeners)
        self.reliable = tuple(each.transport != "udp" for each in listeners)
        self._transports = tuple(each.transport for each in listeners)
        # alias: the far end may send its own requests by the connection that we opened (RFC 5923 section 5).
        self._vias = tuple(
            f"SIP/2.0/{each.transport.upper()} {host_port(each.place)}{';alias' if each.transport == 'tls' else ''}"
            for each in listeners
        )
        # By whether the request's own URI is a ``sips:`` (RFC 5630 section 5.1).
        self._records = {
            secure: tuple(f"<{_uri(each.transport, each.place, '', secure=secure)};lr>" for each in listeners)
            for secure in (False, True)
        }
        self._is_udp = not any(self.reliable)
        self._way: dict[tuple[str, bool], int] = {}
        for number, each in enumerate(listeners):
            self._way.setdefault((each.transport, ":" in each.place[0]), number)
        self.ways = frozenset(self._way)

    @property
    def identity(self) -> dict[str, Address]:
        """The doors of this node.  No client is sent to further addresses of one by others, but a Request-URI may name
        them.
        """
        found: dict[str, Address] = {}
        for number, (door, place) in enumerate(zip(self.doors, self.places, strict=True), 1):
            if door not in found:
                found[door] = place
            elif len(found) < MAX_FURTHER:
                found[f"{door}/{'second' if f'{door}/second' not in found else number}"] = place
        return found

    def via(self, listener: int, branch: str) -> str:
        """The Via of a request that leaves by a listener."""
        return f"{self._vias[listener]};branch={branch}"

    def via_again(self, via: Via, listener: int) -> str:
        """The Via of a request of ours that leaves by another listener than it says."""
        said = {name: value for name, value in via.parameters.items() if name != "alias"}
        return self._vias[listener] + write_parameters(said)

    def record(self, listener: int, *, secure: bool = False) -> str:
        """The Record-Route of a listener.

        :param secure: the request's own URI is a ``sips:`` (RFC 5630 section 5.1)
        """
        return self._records[secure][listener]

    def contact(self, listener: int, place: Address, user: str, *, secure: bool) -> str:
        """The URI of somebody at a place that is reached as this listener is, ours or a member's."""
        return _uri(self._transports[listener], place, user, secure=secure)

    def second(self, listener: int) -> Address:
        """Another place of the same transport; this one where there is no other."""
        for number, place in enumerate(self.places):
            if number != listener and self._transports[number] == self._transports[listener]:
                return place
        return self.places[listener]

    def towards(self, address: Address, transport: str, nearest: int) -> Hop:
        """The way to an address.

        :param nearest: the listener that is taken if it fits, or where none does
        """
        v6 = ":" in address[0]
        if self._transports[nearest] == transport and (":" in self.places[nearest][0]) == v6:
            return Hop(address[0], address[1], nearest)
        return Hop(address[0], address[1], self._way.get((transport, v6), nearest))

    def way(self, request: Request, address: Address, nearest: int) -> Hop:
        """The way of a request to an address: by the transport that its next URI asks for."""
        return self.towards(address, "udp" if self._is_udp else transport_to(request), nearest)

    def larger(self, hop: Hop) -> Hop | None:
        """The way to the same address for what is too large for a datagram (18.1.1); None where there is none."""
        listener = self._way.get(("tcp", ":" in hop.host))
        return None if listener is None or self.reliable[hop.listener] else hop.replace(listener=listener)


def _uri(transport: str, place: Address, user: str, *, secure: bool) -> str:
    scheme = "sips" if secure else "sip"
    written = f"{user}@{host_port(place)}" if user else host_port(place)
    if transport == "udp" or (transport == "tls" and secure):
        return f"{scheme}:{written}"
    return f"{scheme}:{written};transport={transport}"


def transport_of(uri: SipUri) -> str:
    """The transport that a URI asks for: ``udp`` where it asks for none."""
    asked = (uri.parameters.get("transport") or "").lower()
    if uri.scheme == "sips" or asked == "tls":
        return "tls"
    return "tcp" if asked == "tcp" else "udp"


def transport_to(request: Request) -> str:
    """The transport that a request leaves by: what its first Route asks for, or its Request-URI (section 8.1.2)."""
    routes = request.values("Route")
    uri = NameAddr.parse(routes[0]).uri if routes else request.uri
    return "udp" if scheme_of(uri) not in ("sip", "sips") else transport_of(SipUri.parse(uri))


def response_hop(via: Via, source: Hop, *, force_rport: bool) -> Hop:
    """Say where the responses to a request go (18.2.2, RFC 3581 section 4).

    :param via: its top Via
    :param source: where it came from
    :param force_rport: always back to the source, which reaches clients behind a NAT and is nobody else
    """
    if force_rport or "rport" in via.parameters:
        return source
    port = via.port or DEFAULT_PORT
    maddr = via.parameters.get("maddr")
    if maddr:
        try:
            address = ip_address(maddr.strip("[]"))
        except ValueError:
            return source
        if address.is_multicast or address.is_unspecified or maddr == "255.255.255.255":
            return source
        return source.replace(host=str(address), port=port)
    return source.replace(port=port)
