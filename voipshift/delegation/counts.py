"""How many call attempts came to a node, and what became of them."""

from __future__ import annotations


class Counts:
    """Since the node started.

    :ivar attempts: that came here, of clients and of members
    :ivar accepted: taken here
    :ivar shifted: taken by a member that this node asked
    :ivar refused: taken by nobody that could be asked
    :ivar cancelled: that whoever asked did not want any more
    :ivar asked_on: asks that were sent for them
    """

    __slots__ = ("accepted", "asked_on", "attempts", "cancelled", "refused", "shifted")

    def __init__(self) -> None:
        self.attempts = 0
        self.accepted = 0
        self.shifted = 0
        self.refused = 0
        self.cancelled = 0
        self.asked_on = 0
