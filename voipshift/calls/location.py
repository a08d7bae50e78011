"""Where registered users are: the bindings of an address of record (RFC 3261 section 10), and who keeps them.

The group is one domain: the address of record is the user part alone, unescaped, whichever of the group's names or
addresses stands behind it.  A :class:`Location` is shared by all nodes of the group and outlives each of them; its
times are therefore the wall clock's.  Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple, Protocol

from voipshift.errors import ProtocolViolation
from voipshift.node import Address
from voipshift.sip.grammar import NameAddr
from voipshift.sip.listeners import transport_of
from voipshift.sip.transaction import Hop
from voipshift.sip.uri import SipUri, TelUri, is_ip_address, scheme_of, unescape

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

#: Preference in thousandths of a Contact that names none (section 20.10).
DEFAULT_Q = 1000


class Binding(NamedTuple):
    """One Contact of an address of record.

    :ivar contact: its URI, as it was registered
    :ivar q: preference in thousandths, 1000 first
    :ivar expires: when it ends, on the wall clock
    :ivar call_id: of the REGISTER that made it, whose order its ``cseq`` is
    :ivar path: the Path values that requests to it travel along (RFC 3327)
    :ivar node: the name of the node that it was made at, which holds its flow
    :ivar listener: the port of that node by which it was made
    :ivar source: where that node saw it from
    :ivar transport: the transport that it came by, in lower case
    :ivar behind_nat: the Contact is not where it was seen from, so that it is reached there alone, from that port
    """

    contact: str
    q: int
    expires: float
    call_id: str
    cseq: int
    path: tuple[str, ...]
    node: str
    listener: int
    source: Address
    transport: str
    behind_nat: bool


#: All bindings of one address of record, in the order in which they were made.
Bindings = tuple[Binding, ...]


class Location(Protocol):
    """The store of bindings; voipshift.store has several."""

    def find(self, user: str) -> Deferred[Bindings]:
        """The bindings of an address of record, those that have expired perhaps among them."""

    def change(self, user: str, step: Callable[[Bindings], Bindings]) -> Deferred[Bindings]:
        """Change the bindings of an address of record, all at once or not at all (section 10.3).

        :param step: takes those that are there, returns those that are to be there, or raises what the Deferred fails
            with.  It is called in any thread, and again when another node was faster
        """

    def count(self, node: str, now: float) -> Deferred[int]:
        """How many bindings a node holds that have not expired."""


class Target(NamedTuple):
    """One place where a request can be tried (RFC 3261 section 16.5).

    :ivar address: the next hop
    :ivar uri: the Request-URI that it gets; None for the one that the request has
    :ivar route: Route values, the first of them first
    :ivar listener: the port that it must leave by; None for the one that the call came in by
    :ivar behind_nat: requests of the dialog go to that address too, whatever the Contact says
    :ivar flow: the flow that the node at that address holds, into which the request is to go there
    :ivar transport: the one that it is reached by; None for what the next URI says
    :ivar gateway: it is a gateway's: the next one is tried only when it does not take the call, not when the called
        user does not
    """

    address: Address
    uri: str | None = None
    route: tuple[str, ...] = ()
    listener: int | None = None
    behind_nat: bool = False
    flow: Hop | None = None
    transport: str | None = None
    gateway: bool = False


def live(bindings: Iterable[Binding], now: float) -> Bindings:
    """Those that have not expired."""
    return tuple(binding for binding in bindings if binding.expires > now)


def groups(
    bindings: Iterable[Binding],
    here: str,
    through: Callable[[Binding], Address | None],
    is_open: Callable[[Hop], bool],
) -> tuple[tuple[Target, ...], ...]:
    """The places of a user, those of equal preference together, the highest preference first (section 16.6).

    :param here: this node's name
    :param through: the address of another node that holds a flow; None where that node is not there
    :param is_open: whether a connection of this node's is still there
    """
    ordered = sorted(bindings, key=lambda binding: -binding.q)
    found = (
        tuple(filter(None, (_target(binding, here, through, is_open) for binding in equal)))
        for _, equal in groupby(ordered, key=lambda binding: binding.q)
    )
    return tuple(group for group in found if group)


def user_of(uri: str) -> tuple[str, str]:
    """The address of record that a URI names, and its host; a ``tel:`` URI has none.

    :raises ProtocolViolation: it is neither sip nor tel
    """
    if scheme_of(uri) == "tel":
        return TelUri.parse(uri).number, ""
    parsed = SipUri.parse(uri)
    return unescape(parsed.user or ""), parsed.host


def _target(
    binding: Binding,
    here: str,
    through: Callable[[Binding], Address | None],
    is_open: Callable[[Hop], bool],
) -> Target | None:
    try:
        contact = SipUri.parse(binding.contact)
    except ProtocolViolation:
        return None  # a tel or mailto Contact is registered like any other; nobody can be called there
    if transport_of(contact) not in ("udp", binding.transport):
        return None
    uri = str(contact)
    if binding.path:
        first = SipUri.parse(NameAddr.parse(binding.path[0]).uri)
        return Target(first.address(), uri, binding.path) if is_ip_address(first.host) else None
    direct = Target(contact.address(), uri) if is_ip_address(contact.address()[0]) else None
    if binding.transport == "udp" and not binding.behind_nat:
        return direct
    flow = Hop(*binding.source, binding.listener)
    if binding.node != here:
        holder = through(binding)
        return None if holder is None else Target(holder, uri, flow=flow)
    if binding.transport == "udp" or is_open(flow):
        return Target(binding.source, uri, (), binding.listener, behind_nat=True)
    return None if binding.behind_nat else direct
