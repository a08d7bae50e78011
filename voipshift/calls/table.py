"""The call table: every call that this node carries, from the accepted INVITE to its end.

The number of ongoing calls *is* the length of this table; nobody counts beside it.  A call is found by its dialogs
(RFC 3261 section 12): the Call-ID with the tag of the caller, and the tag of whichever end sent the request.  Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from voipshift.node import Address
from voipshift.sip.transaction import Hop

#: Callee's tags remembered for one call: a fork further on may answer more than once (RFC 3261 section 13.2.2.4).
MAX_BRANCHES = 16
#: Addresses that requests of one call may be sent to: both ends, the proxies that recorded their route, moved Contacts.
MAX_PARTIES = 64


class End:
    """One end of a call, as far as requests of its dialogs need it.

    :ivar name: its From or To value, tag included
    :ivar target: its Contact, the Request-URI of requests to it (RFC 3261 section 12.1, remote target)
    :ivar route: the Route values beyond this node on the way to it
    :ivar address: where requests to it are sent when neither Route nor target is an address that can be reached
    :ivar behind_nat: it was seen from an address that it does not know of, so that its Contact cannot be reached
    :ivar flow: the connection that it is at the far end of, which is its best address for as long as it is open
    """

    __slots__ = ("address", "behind_nat", "flow", "name", "route", "target")

    def __init__(
        self,
        name: str,
        target: str,
        route: tuple[str, ...],
        address: Address,
        behind_nat: bool,
        flow: Hop | None = None,
    ) -> None:
        self.name = name
        self.target = target
        self.route = route
        self.address = address
        self.behind_nat = behind_nat
        self.flow = flow


class Call:
    """One call under way.

    :ivar identity: Call-ID and the caller's tag
    :ivar caller: the end that called
    :ivar callee: the end that answered, before that the one that rings, None before either
    :ivar callee_tags: the tags of every callee that answered; more than one where the call was forked further on
    :ivar parties: addresses that requests of this call may go to
    :ivar hops: how often the attempt was shifted before this node took it
    :ivar listener: the port of this node that the call came in by, and goes out by
    :ivar began: when the call was accepted
    :ivar alerted: when the called user was first heard of (ringing, early media), None before
    :ivar answered: when it was answered, None before
    """

    __slots__ = (
        "alerted",
        "answered",
        "began",
        "callee",
        "callee_tags",
        "caller",
        "hops",
        "identity",
        "listener",
        "parties",
    )

    def __init__(self, identity: tuple[str, str], caller: End, hops: int, listener: int, began: float) -> None:
        self.identity = identity
        self.caller = caller
        self.callee: End | None = None
        self.callee_tags: tuple[str, ...] = ()
        self.parties: frozenset[Address] = frozenset((caller.address,))
        self.hops = hops
        self.listener = listener
        self.began = began
        self.alerted: float | None = None
        self.answered: float | None = None

    def admit(self, *addresses: Address) -> None:
        """Let requests of this call go to some more addresses, up to :data:`MAX_PARTIES`."""
        if len(self.parties) + len(addresses) <= MAX_PARTIES:
            self.parties = self.parties.union(addresses)

    def answer(self, callee: End, tag: str, now: float) -> bool:
        """Note a 2xx; the first one sets the far end, further ones of a fork only add their tag.

        :returns: True for the first one
        """
        first = self.answered is None
        if first:
            self.answered = now
            self.callee = callee
        if tag not in self.callee_tags and len(self.callee_tags) < MAX_BRANCHES:
            self.callee_tags += (tag,)
        return first


class CallTable:
    """Calls by Call-ID and caller's tag.

    :ivar carried: calls opened since the node started
    :ivar peak: the most that were open at one moment
    :ivar hops: calls opened, by the number of times that each was shifted
    """

    def __init__(self) -> None:
        self._calls: dict[tuple[str, str], Call] = {}
        self.carried = 0
        self.peak = 0
        self.hops: Counter[int] = Counter()

    def __len__(self) -> int:
        return len(self._calls)

    def __iter__(self) -> Iterator[Call]:
        return iter(self._calls.values())

    def get(self, identity: tuple[str, str]) -> Call | None:
        """The call of that Call-ID and caller's tag."""
        return self._calls.get(identity)

    def __contains__(self, identity: tuple[str, str]) -> bool:
        return identity in self._calls

    def open(self, call: Call) -> None:
        """Add a call; its identity must not be in the table."""
        assert call.identity not in self._calls
        self._calls[call.identity] = call
        self.carried += 1
        self.hops[call.hops] += 1
        self.peak = max(self.peak, len(self._calls))

    def find(self, call_id: str, from_tag: str, to_tag: str) -> Call | None:
        """The call of a request inside a dialog, whichever end sent it; an early dialog has the caller's tag alone."""
        call = self._calls.get((call_id, from_tag))
        if call is not None:
            return call if to_tag in call.callee_tags or call.answered is None else None
        call = self._calls.get((call_id, to_tag))
        if call is not None:
            return call if from_tag in call.callee_tags or call.answered is None else None
        return None

    def close(self, call: Call) -> bool:
        """Remove a call.

        :returns: False when it was closed before
        """
        if self._calls.get(call.identity) is not call:
            return False
        del self._calls[call.identity]
        return True
