"""The dialogs that one request has opened (RFC 3261 section 12): who sent it, and everybody who rings or has answered.

An INVITE, a SUBSCRIBE or a REFER opens as many dialogs as it has answers; they share the Call-ID and the tag of who
sent it, and each has the tag of its other end.  A call is that, and a subscription too.  Pure.
"""

from __future__ import annotations

from voipshift.errors import ProtocolViolation
from voipshift.node import Address
from voipshift.sip.message import Request
from voipshift.sip.transaction import Hop

#: Other ends remembered for one request: as many as one user has telephones, which may all answer (section 13.2.2.4).
MAX_BRANCHES = 20
#: Addresses that requests of one call may be sent to: both ends, the proxies that recorded their route, moved Contacts.
MAX_PARTIES = 64


class End:
    """One end of a dialog, as far as requests of the dialog need it.

    :ivar name: its From or To value, tag included
    :ivar target: its Contact, the Request-URI of requests to it (section 12.1, remote target)
    :ivar route: the Route values beyond this node on the way to it
    :ivar address: where requests to it are sent when neither Route nor target is an address that can be reached
    :ivar behind_nat: it was seen from an address that it does not know of, so that its Contact cannot be reached
    :ivar flow: the connection that it is at the far end of, which is its best address for as long as it is open
    :ivar listener: the port of this node by which it was seen: the only one by which a NAT lets requests through
    """

    __slots__ = ("address", "behind_nat", "flow", "listener", "name", "route", "target")

    def __init__(
        self,
        name: str,
        target: str,
        route: tuple[str, ...],
        address: Address,
        behind_nat: bool,
        flow: Hop | None = None,
        listener: int = 0,
    ) -> None:
        self.name = name
        self.target = target
        self.route = route
        self.address = address
        self.behind_nat = behind_nat
        self.flow = flow
        self.listener = listener


class Dialogs:
    """What one request has opened.

    :ivar identity: Call-ID and the tag of who sent it
    :ivar caller: who sent it
    :ivar callees: the other ends, by their tags
    :ivar parties: addresses that requests of these dialogs may go to
    """

    __slots__ = ("callees", "caller", "identity", "parties")

    def __init__(self, identity: tuple[str, str], caller: End) -> None:
        self.identity = identity
        self.caller = caller
        self.callees: dict[str, End] = {}
        self.parties: frozenset[Address] = frozenset((caller.address,))

    def copy(self) -> Dialogs:
        """The same dialogs, to be kept when what they were opened for is over."""
        copied = Dialogs(self.identity, self.caller)
        copied.callees = self.callees.copy()
        copied.parties = self.parties
        return copied

    def admit(self, *addresses: Address) -> None:
        """Let requests of these dialogs go to some more addresses, up to :data:`MAX_PARTIES`."""
        parties = self.parties
        if not parties.issuperset(addresses) and len(parties) + len(addresses) <= MAX_PARTIES:
            self.parties = parties.union(addresses)

    def meet(self, tag: str, end: End) -> None:
        """Remember another end, up to :data:`MAX_BRANCHES`; one that is known stays as it was."""
        if len(self.callees) < MAX_BRANCHES:
            self.callees.setdefault(tag, end)

    def other_end(self, tag: str) -> End | None:
        """The end with that tag."""
        return self.callees.get(tag)

    def far_end(self, request: Request) -> End:
        """The end that a request of one of the dialogs is for.

        :raises ProtocolViolation: 481, nobody with that tag has been heard of
        """
        if (request.from_tag or "") != self.identity[1]:
            return self.caller
        far = self.other_end(request.to_tag or "")
        if far is None:
            raise ProtocolViolation("Call/Transaction Does Not Exist", 481)
        return far

    def near_end(self, request: Request) -> End | None:
        """The end that sent it; None where it has not been heard of."""
        tag = request.from_tag or ""
        return self.caller if tag == self.identity[1] else self.other_end(tag)
