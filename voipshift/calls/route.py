"""Where a request inside a dialog goes next: RFC 3261 sections 16.4 to 16.6 for a proxy that knows the call.

A node is no relay for strangers: a request may only go to a gateway, a member, or an address that a party of its own
call has named.  Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from functools import lru_cache
from typing import TypeVar

from voipshift.calls.dialogs import Dialogs, End
from voipshift.errors import ProtocolViolation
from voipshift.node import Address
from voipshift.sip.fields import Message
from voipshift.sip.grammar import NameAddr
from voipshift.sip.locate import Place
from voipshift.sip.message import Request
from voipshift.sip.seals import Seals
from voipshift.sip.transaction import Hop
from voipshift.sip.uri import SipUri, is_ip_address

#: The longest Contact or Record-Route whose host name is looked up, and whose meaning is remembered.
MAX_NAMED = 512
#: Values whose meaning is remembered: each request of a call has those of the one before, and each call of a gateway
#: those of the last one.
MAX_REMEMBERED = 1000

_T = TypeVar("_T")


def not_a_party() -> ProtocolViolation:
    """What is answered to a request that would be relayed to somebody who has no part in the call.

    Made anew each time: an exception keeps every place that it was raised at, and all that was in use there.
    """
    return ProtocolViolation("Not A Party Of This Call", 403)


def _remembered(look: Callable[[str], _T]) -> Callable[[str], _T]:
    """Look at the same value once."""
    known = lru_cache(MAX_REMEMBERED)(look)

    def remembered(value: str) -> _T:
        return known(value) if len(value) <= MAX_NAMED else look(value)

    return remembered


@_remembered
def uri_of(value: str) -> SipUri | None:
    """The SIP URI of a Contact, Route or Record-Route value; None for ``*``, another scheme, or one that cannot be
    read.
    """
    try:
        return SipUri.parse(NameAddr.parse(value).uri)
    except ProtocolViolation:
        return None


@_remembered
def address_of(value: str) -> Address | None:
    """The IP address and port of such a value; None where it has a host name, which the node does not look up here."""
    uri = uri_of(value)
    return uri.address() if uri is not None and is_ip_address(uri.host) else None


def addresses(values: Iterable[str]) -> tuple[Address, ...]:
    """The addresses of all values that have one."""
    return tuple([address for value in values if (address := address_of(value)) is not None])


def contact_of(message: Message) -> str | None:
    """The URI of a message's first Contact, the remote target of its dialog (section 12.1); None without one."""
    values = message.values("Contact")
    return target_of(values[0]) if values else None


@_remembered
def target_of(value: str) -> str | None:
    """The URI of such a value, as it is written anew."""
    uri = uri_of(value)
    return None if uri is None else str(uri)


class Routing:
    """The addresses that this node may send to, and which of them a request goes to.

    :param ours: this node's addresses, as they stand in a Route or Request-URI
    :param gateways: the addresses of its gateways
    :param is_member: whether an address is another node's
    :param seals: of the group
    :param domains: host names that stand for the group: a telephone may have one for its outbound proxy
    """

    def __init__(
        self,
        ours: frozenset[Address],
        gateways: Container[Address],
        is_member: Callable[[Address], bool],
        seals: Seals,
        domains: frozenset[str] = frozenset(),
    ) -> None:
        self._domains = domains
        self._ours = ours
        self._gateways = gateways
        self._is_member = is_member
        self._seals = seals

    def flow(self, request: Request) -> Hop | None:
        """The flow of a client of this node's that the first Route value leads into."""
        routes = request.values("Route")
        uri = uri_of(routes[0]) if routes else None
        return self._seals.flow(uri, request) if uri is not None and uri.address() in self._ours else None

    def without_ours(self, request: Request) -> Request:
        """A copy without the Route values that name this node (section 16.4).

        A request whose Request-URI is what this node recorded as its route comes from a strict router: its last Route
        value is the real Request-URI.
        """
        copy = request.copy()
        routes = copy.values("Route")
        mine = 0
        while mine < len(routes) and self.names_us(routes[mine]):
            mine += 1
        rest = routes[mine:]
        if rest and self._was_recorded(copy.uri):
            last = uri_of(rest.pop())
            if last is None:
                raise ProtocolViolation("Bad Route")
            copy.uri = str(last)
            mine = len(routes)
        if mine:
            copy.remove("Route")
            for value in rest:
                copy.add("Route", value)
        return copy

    def _was_recorded(self, text: str) -> bool:
        """Whether a Request-URI is what this node writes into a Record-Route, which nobody is called by."""
        uri = uri_of(f"<{text}>")
        return uri is not None and uri.user is None and "lr" in uri.parameters and uri.address() in self._ours

    def names_us(self, value: str) -> bool:
        """Whether a Route value or a URI in angle brackets is this node's."""
        if address_of(value) in self._ours:
            return True
        uri = uri_of(value)
        return uri is not None and (uri.address() in self._ours or uri.host in self._domains)

    def member(self, request: Request) -> Address | None:
        """The member that the first Route value names; None when it is none, or there is no Route."""
        routes = request.values("Route")
        address = address_of(routes[0]) if routes else None
        return address if address is not None and self._is_member(address) else None

    def checked(self, request: Request, parties: frozenset[Address]) -> Address | None:
        """The address of the first Route value; None without a Route.

        :raises ProtocolViolation: 403, it is no gateway, no member and no party of the call
        """
        routes = request.values("Route")
        if not routes:
            return None
        address = address_of(routes[0])
        if address is None or not (address in parties or address in self._gateways or self._is_member(address)):
            raise not_a_party()
        return address

    def way_out(self, request: Request, is_gateway: Callable[[str], bool]) -> Address | None:
        """The address of the first Route value of a request from outside a dialog; None without a Route, or where that
        is a name.

        There all of its values are its sender's own, and whoever is first of them would send it to the next.

        :param is_gateway: whether a value names a gateway by its domain
        :raises ProtocolViolation: 403, one of them is no gateway and no member
        """
        values = request.values("Route")
        way = [address_of(value) for value in values]
        for value, address in zip(values, way, strict=True):
            known = address is not None and (address in self._gateways or self._is_member(address))
            if not known and not is_gateway(value):
                raise not_a_party()
        return way[0] if way else None

    def next_hop(self, request: Request, dialogs: Dialogs, to: End) -> Address:
        """Where a request inside a dialog goes, its own Route values taken off before.

        A client that sends it to the node without Route values of its own, by a Request-URI that names the node, is
        helped: it gets the remote target of the call.

        :raises ProtocolViolation: 403, as in :meth:`checked`, for the Request-URI too
        """
        if to.route and _same_name(request, to.route[0]):
            return to.address
        routed = self.checked(request, dialogs.parties)
        if routed is not None:
            return routed
        value = f"<{request.uri}>"
        uri, address = uri_of(value), address_of(value)
        if uri is None:
            raise ProtocolViolation("Unsupported URI Scheme", 416)
        if (address or uri.address()) in self._ours:
            request.uri = to.target
            for value in to.route:
                request.add("Route", value)
            return reach(to, self._ours)
        if to.behind_nat or address is None:
            return to.address
        if address not in dialogs.parties and address not in self._gateways:
            raise not_a_party()
        return address


def named(request: Request, to: End) -> Place | None:
    """Where a request inside a dialog goes by a host name; None where it goes by an address.

    It must be the name that the end it is for has given, or the first proxy on the way there: nobody else's is looked
    up, for that would make a relay of this node.
    """
    place = name_of(to)
    if place is None:
        return None
    routes = request.values("Route")
    uri = uri_of(routes[0] if routes else f"<{request.uri}>")
    return place if uri is not None and Place.of(uri) == place else None


def name_of(end: End) -> Place | None:
    """The host name that an end goes by, or the first proxy on the way there; None where that is an address."""
    if end.behind_nat and not end.route:
        return None
    value = end.route[0] if end.route else f"<{end.target}>"
    return _place_of(value) if len(value) <= MAX_NAMED else None


@_remembered
def _place_of(value: str) -> Place | None:
    uri = uri_of(value)
    place = None if uri is None else Place.of(uri)
    return None if place is None or is_ip_address(place.host) else place


def suit_strict_router(request: Request) -> None:
    """Write a request as a strict router reads it, if the next hop is one (section 16.6 item 6): its first Route value
    has no ``lr``.
    """
    first = uri_of(request.values("Route")[0])
    if first is not None and "lr" not in first.parameters:
        request.add("Route", f"<{request.uri}>")
        request.remove_first_value("Route")
        request.uri = str(first)


def _same_name(request: Request, recorded: str) -> bool:
    """Whether the first Route value is one that was recorded by a host name, where no address can be seen."""
    routes = request.values("Route")
    first = uri_of(routes[0]) if routes else None
    return first is not None and not is_ip_address(first.host) and first == uri_of(recorded)


def reach(end: End, ours: Container[Address]) -> Address:
    """Where a request of this node's own goes on its way to one end of a call: not to the node itself, which a Contact
    may name.
    """
    address = None
    if end.route:
        address = address_of(end.route[0])
    elif not end.behind_nat:
        address = address_of(f"<{end.target}>")
    return end.address if address is None or address in ours else address
