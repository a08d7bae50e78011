"""The gateways of a node as they are now: at which addresses each is, and which of them a call is sent to.

One that is configured by a domain name has the addresses that DNS gives it (RFC 3263), in the order drawn for each
call, and gets its calls by that name; those that are known to be down are skipped while others are there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from twisted.internet.defer import Deferred

from voipshift.calls.dialplan import MAX_TRIES, DialPlan, Gateway
from voipshift.calls.location import Target
from voipshift.calls.route import uri_of
from voipshift.calls.waiting import Lookup
from voipshift.errors import ProtocolViolation
from voipshift.node import Address
from voipshift.sip.locate import Place, Try
from voipshift.sip.message import Request, Response
from voipshift.sip.uri import SipUri, is_ip_address, scheme_of, unescape, write_host

#: Addresses of one gateway that are tried for one call, so that the next gateway has its chance.
MAX_PER_GATEWAY = 4


class Standing(Protocol):
    """Who knows which of them answer (:class:`voipshift.calls.watch.Watch`)."""

    def is_down(self, there: Try) -> bool: ...
    def silent(self, there: Try) -> None: ...
    def doubt(self, there: Try, response: Response) -> None: ...


class Gateways:
    """All gateways that speak SIP.

    :param plan: which of them take a number
    :param names: the addresses behind their names
    :param watch: who of them answers
    """

    def __init__(self, plan: DialPlan, names: Lookup, watch: Standing) -> None:
        self._plan = plan
        self._names = names
        self._watch = watch
        self._fixed: dict[Gateway, tuple[Try, ...]] = {
            gateway: (Try(gateway.transport or "udp", gateway.address),)
            for gateway in plan.gateways
            if is_ip_address(gateway.address[0])
        }
        self._has_names = len(self._fixed) < len(set(plan.gateways))
        #: Where each was found last; requests of dialogs may go there.
        self._places: dict[Gateway, tuple[Try, ...]] = dict(self._fixed)
        self._addresses = self._all_addresses()

    def __contains__(self, address: object) -> bool:
        """Whether an address is a gateway's."""
        return address in self._addresses

    def is_controlled(self, address: Address) -> bool:
        """Whether an address is that of a gateway that can say when it is overloaded."""
        return address in self._controlled

    @property
    def hosts(self) -> frozenset[str]:
        """The hosts of all of them."""
        return self._hosts

    def look_up(self, uri: str) -> Deferred[None] | None:
        """Look up the names of the gateways that take a call; None where nothing need be waited for: a call does not
        wait for the name of a gateway that is to be tried after one that is known.

        It never fails; who cancels it waits no longer.
        """
        if not self._has_names:
            return None
        try:
            _, wanted, _ = _called(uri, None if scheme_of(uri) == "tel" else SipUri.parse(uri))
        except ProtocolViolation:
            return None
        secure = _is_secure(uri)
        waiting: list[Deferred[tuple[Try, ...]]] = []
        somewhere = False
        for gateway in self._plan.route(self._plan.number(wanted)):
            if secure and not _may_be_secure(gateway):
                continue
            tries = self._tries(gateway, secure)
            if tries is None:
                found = self._names.look_up(_place(gateway, secure))
                if not somewhere:
                    waiting.append(found)
            somewhere = somewhere or bool(tries)
        return _all(waiting) if waiting else None

    def look_up_route(self, routes: Sequence[str]) -> Deferred[None] | None:
        """Look up the name of the gateway that a Route names; None where nothing need be waited for.

        It never fails; who cancels it waits no longer.
        """
        for uri in map(uri_of, routes if self._has_names else ()):
            gateway = None if uri is None else self._named(uri)
            if uri is not None and gateway is not None and self._tries(gateway, uri.scheme == "sips") is None:
                return self._names.look_up(_place(gateway, uri.scheme == "sips")).addCallback(lambda _: None)
        return None

    def is_one(self, route: str) -> bool:
        """Whether a Route value names a gateway by its domain."""
        uri = uri_of(route) if self._has_names else None
        return uri is not None and self._named(uri) is not None

    def along(self, routes: Sequence[str]) -> list[tuple[Target]] | None:
        """Where a request goes whose first Route value names a gateway by its domain; None where it names none.

        :raises ProtocolViolation: 500, that name leads nowhere, or not by the transport that is asked for
        """
        uri = uri_of(routes[0]) if routes and self._has_names else None
        gateway = None if uri is None else self._named(uri)
        if uri is None or gateway is None:
            return None
        asked = (uri.parameters.get("transport") or "").lower()
        tries = self._tries(gateway, uri.scheme == "sips") or ()
        found = [each for each in tries if asked in ("", each.transport)][:MAX_PER_GATEWAY]
        if not found:
            raise ProtocolViolation("No Gateway Can Be Found", 500)
        there = [each for each in found if not self._watch.is_down(each)]
        return [(Target(each.address, transport=each.transport, gateway=True),) for each in there or found]

    def targets(self, request: Request) -> list[tuple[Target]]:
        """Where a call for a Request-URI is tried, one after the other.

        :raises ProtocolViolation: 404, no gateway takes the number; 480, it is ``sips:`` and none has TLS (RFC 5630
            section 3); 500, the gateways' names lead nowhere
        """
        uri, said = request.uri, request.target
        user, wanted, phone = _called(uri, said if isinstance(said, SipUri) else None)
        number = self._plan.number(wanted)
        route = self._plan.route(number)
        if not route:
            raise ProtocolViolation("No Gateway For This Number", 404)
        secure = _is_secure(uri)
        if secure:
            route = tuple(gateway for gateway in route if _may_be_secure(gateway))
            if not route:
                raise ProtocolViolation("SIPS Not Allowed", 480)
        found: list[Target] = []
        down: list[Target] = []
        for gateway in route:
            written = gateway.written(number)
            there = _at_gateway(gateway, user if written is None else written, phone, secure)
            for each in (self._tries(gateway, secure) or ())[:MAX_PER_GATEWAY]:
                target = Target(each.address, there, transport=each.transport, gateway=True)
                (down if self._watch.is_down(each) else found).append(target)
        if not found and not down:
            raise ProtocolViolation("No Gateway Can Be Found", 500)
        return [(target,) for target in (found or down)[:MAX_TRIES]]

    def silent(self, target: Target) -> None:
        """A request was not answered there at all."""
        self._watch.silent(_there(target))

    def refused(self, target: Target, response: Response) -> None:
        """A request was answered with 503 there."""
        self._watch.doubt(_there(target), response)

    def located(self, gateway: Gateway, then: Callable[[tuple[Try, ...]], None]) -> None:
        """Hand over where a gateway is, as soon as that is known."""
        tries = self._tries(gateway, False)
        if tries is not None:
            then(tries)
        else:
            found = self._names.look_up(_place(gateway, False))
            found.addCallback(lambda _: then(self._tries(gateway, False) or ()))

    def _named(self, uri: SipUri) -> Gateway | None:
        """The gateway that a URI names as it is configured, by its domain and, if it has one there, its port."""
        for gateway in self._plan.gateways:
            host, port = gateway.address
            if host == uri.host and port == (uri.port or 0) and gateway not in self._fixed:
                return gateway
        return None

    def _tries(self, gateway: Gateway, secure: bool) -> tuple[Try, ...] | None:
        """Where a gateway is; None where that must be looked up."""
        fixed = self._fixed.get(gateway)
        if fixed is not None:
            return fixed
        tries = self._names.known(_place(gateway, secure))
        if tries and frozenset(tries) != frozenset(self._places.get(gateway, ())):
            self._places[gateway] = tries
            self._addresses = self._all_addresses()
        return tries

    def _all_addresses(self) -> frozenset[Address]:
        found = frozenset(each.address for tries in self._places.values() for each in tries)
        self._controlled = found.intersection(
            each.address for gateway, tries in self._places.items() if gateway.overload_control for each in tries
        )
        self._hosts = frozenset(host for host, _ in found)
        return found


def _all(waiting: list[Deferred[tuple[Try, ...]]]) -> Deferred[None]:
    """Fires when all have."""
    first, *others = waiting
    return first.addCallback(lambda _: _all(others) if others else None)


def _there(target: Target) -> Try:
    return Try(target.transport or "udp", target.address)


def _place(gateway: Gateway, secure: bool) -> Place:
    host, port = gateway.address
    return Place(host, port or None, gateway.transport, secure)


def _may_be_secure(gateway: Gateway) -> bool:
    return gateway.transport == "tls" or (gateway.transport is None and not is_ip_address(gateway.address[0]))


def _is_secure(uri: str) -> bool:
    return uri[:5].lower() == "sips:"


def _called(uri: str, said: SipUri | None) -> tuple[str, str, bool]:
    """The user part of a Request-URI, what was dialled, and whether it is said to be a telephone number.

    :param said: what it says; None for a ``tel:`` URI
    """
    if said is None:
        return uri[4:].partition(";")[0], uri[4:], True
    user = said.user or ""
    return user, unescape(user), (said.parameters.get("user") or "").lower() == "phone"


def _at_gateway(gateway: Gateway, user: str, phone: bool, secure: bool) -> str:
    """A Request-URI for a gateway: the number as it reads it, at its name or address (section 16.5)."""
    host, port = gateway.address
    asked = "" if secure or gateway.transport in (None, "udp") else f";transport={gateway.transport}"
    scheme = "sips" if secure else "sip"
    at = f"{user}@" if user else ""
    return f"{scheme}:{at}{write_host(host, port or None)}{';user=phone' if phone else ''}{asked}"
