"""The call table: every call that this node carries, from the accepted INVITE to its end.

The number of ongoing calls *is* the length of this table; nobody counts beside it.  A call is found by its dialogs
(RFC 3261 section 12): the Call-ID with the tag of the caller, and the tag of whichever end sent the request.  Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from voipshift.calls.dialogs import MAX_BRANCHES, MAX_PARTIES, Dialogs, End
from voipshift.node import Address

if TYPE_CHECKING:
    from voipshift.calls.record import Origin

__all__ = ("MAX_BRANCHES", "MAX_PARTIES", "Call", "CallTable", "End")


class Call(Dialogs):
    """One call under way.

    :ivar identity: Call-ID and the caller's tag
    :ivar caller: the end that called
    :ivar callee: the end that answered first and is still there, before that the one that rang last, None before either
    :ivar callees: who rings, by their tags; after the first answer those who have answered
    :ivar callee_tags: the tags of every callee that ever answered; more than one where the call was forked
    :ivar parties: addresses that requests of this call may go to
    :ivar hops: how often the attempt was shifted before this node took it
    :ivar listener: the port of this node that the call came in by
    :ivar forked: more than one telephone was called at once, so that it is not over when one of them is out of it
    :ivar began: when the call was accepted
    :ivar alerted: when the called user was first heard of (ringing, early media), None before
    :ivar answered: when it was answered, None before
    :ivar session_until: when its session expires unless it is refreshed (RFC 4028); None where nothing was agreed upon
    :ivar gateway: where its INVITE or SETUP was sent last, or who answered it; None before
    :ivar status: the final response to it, 0 before
    :ivar octets: of media, where an end has said so
    :ivar origin: what a record of it begins with; None where none is kept
    """

    __slots__ = (
        "alerted",
        "answered",
        "began",
        "callee",
        "callee_tags",
        "forked",
        "gateway",
        "hops",
        "listener",
        "octets",
        "origin",
        "session_until",
        "status",
    )

    def __init__(self, identity: tuple[str, str], caller: End, hops: int, listener: int, began: float) -> None:
        super().__init__(identity, caller)
        self.callee: End | None = None
        self.callee_tags: tuple[str, ...] = ()
        self.hops = hops
        self.listener = listener
        self.forked = False
        self.began = began
        self.alerted: float | None = None
        self.answered: float | None = None
        self.session_until: float | None = None
        self.gateway: Address | None = None
        self.status = 0
        self.octets: int | None = None
        self.origin: Origin | None = None

    def ring(self, callee: End, tag: str) -> None:
        """Note an early dialog."""
        self.meet(tag, callee)
        self.callee = self.callees.get(tag, callee)

    def answer(self, callee: End, tag: str, now: float) -> bool:
        """Note a 2xx; the first one sets the far end, and further ones of a fork add dialogs.

        :returns: False for one that was noted before
        """
        if tag in self.callee_tags or len(self.callee_tags) >= MAX_BRANCHES:
            return False
        if self.answered is None:
            self.answered = now
            self.callee = None
            self.callees = {}
        self.callee_tags += (tag,)
        self.callees[tag] = callee
        if self.callee is None:
            self.callee = callee
        return True

    def leave(self, tag: str) -> bool:
        """Note that a dialog is over.

        :returns: whether the call is over with it
        """
        gone = self.callees.pop(tag, None)
        if self.callee is gone:
            self.callee = next(iter(self.callees.values()), None)
        return not self.callees and not (self.forked and self.answered is None)

    def other_end(self, tag: str) -> End | None:
        """The end with that tag; before the answer it may be one that was not remembered."""
        found = self.callees.get(tag)
        return self.callee if found is None and self.answered is None else found


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
