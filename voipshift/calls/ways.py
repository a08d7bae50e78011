"""Which way a request goes from here: to which address, and by which port of this node (RFC 3261 section 16.6 items 6
and 7, RFC 3263).

Requests inside a dialog go to its far end, by the connection that it opened, by the name that it goes by, or by its
address; requests whose call a member carries go to that member, or from it into the flow of a client.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from voipshift.calls.dialogs import Dialogs
from voipshift.calls.location import Target
from voipshift.calls.route import Routing, named
from voipshift.calls.waiting import Lookup, Unknown
from voipshift.errors import ProtocolViolation
from voipshift.node import Address
from voipshift.sip.listeners import Listeners
from voipshift.sip.message import Request
from voipshift.sip.transaction import Hop

#: Where a request is tried: those of one group in parallel, one group after the other.
Groups = Sequence[Sequence[Target]]


class Ways:
    """The ways of one node's requests.

    :param listeners: this node's ports
    :param is_open: whether there is a connection to somebody
    :param routing: which addresses may be sent to
    :param names: who knows the host names that ends of dialogs go by
    """

    def __init__(self, listeners: Listeners, is_open: Callable[[Hop], bool], routing: Routing, names: Lookup) -> None:
        self._listeners = listeners
        self._is_open = is_open
        self._routing = routing
        self._names = names

    def hop(self, request: Request, target: Target, nearest: int) -> Hop:
        """Which way a request goes to a target: by the port that it must leave by, or as its next URI says."""
        if target.listener is not None:
            return Hop(target.address[0], target.address[1], target.listener)
        if target.transport is not None:
            return self._listeners.towards(target.address, target.transport, nearest)
        return self._listeners.way(request, target.address, nearest)

    def towards(self, request: Request, dialogs: Dialogs, waited: bool) -> Groups:
        """Where a request inside a dialog goes: by the connection to the far end, as long as it is open; else to an
        address, by the port where that end is known, for its NAT may know no other.  Where that end goes by a host
        name, to the addresses behind it, and only without any to where it was seen.

        :param waited: that name was looked up, as well as that could be done
        :raises Unknown: it must be looked up first
        """
        end = dialogs.far_end(request)
        to = self._routing.next_hop(request, dialogs, end)
        if end.flow is not None and self._is_open(end.flow):
            return _by(end.flow)
        place = named(request, end)
        if place is not None:
            tries = self._names.known(place)
            if tries is None and not waited:
                raise Unknown(place)
            if tries:
                ways = [self._listeners.towards(each.address, each.transport, end.listener) for each in tries]
                return [_by(way)[0] for way in ways]
        return _by(self._listeners.way(request, to, end.listener))

    def beside_the_call(self, request: Request, flow: Hop | None) -> tuple[tuple[Target]]:
        """Where a request goes whose call a member carries: to that member, or from it to a client of this node's.

        :param flow: that of the client, where its Route leads into one
        :raises ProtocolViolation: 481, it names neither; 430, the flow is gone
        """
        member = self._routing.member(request)
        if member is not None:
            return only(member)
        if flow is None:
            raise ProtocolViolation("Call/Transaction Does Not Exist", 481)
        return self.into(flow)

    def into(self, flow: Hop) -> tuple[tuple[Target]]:
        """A client of this node's, by the flow that it opened.

        :raises ProtocolViolation: 430, it is gone
        """
        reliable = self._listeners.reliable
        if flow.listener >= len(reliable) or (reliable[flow.listener] and not self._is_open(flow)):
            raise ProtocolViolation("Flow Failed", 430)
        return _by(flow)


def only(address: Address) -> tuple[tuple[Target]]:
    """One place to go to, as it is."""
    return ((Target(address),),)


def _by(hop: Hop) -> tuple[tuple[Target]]:
    """One place to go to, and the port to leave by."""
    return ((Target((hop.host, hop.port), listener=hop.listener),),)
