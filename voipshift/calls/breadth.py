"""Max-Breadth (RFC 5393 section 5): the branches that a request, and all that comes of it, may have at once.

Max-Forwards bounds how deep a request goes, and loop detection what comes back unchanged; neither keeps two users whose
calls are forwarded to each other by many ways from filling the network.  Each proxy divides what it was given among its
branches.  Pure.
"""

from __future__ import annotations

from voipshift.errors import ProtocolViolation
from voipshift.sip.grammar import number_of
from voipshift.sip.message import Request

#: What a request has that says nothing, and the most that any is believed to have (section 5.3.3).
MAX_BREADTH = 60


def breadth_of(request: Request, branches: int = 1) -> int:
    """How many branches a request may have.

    :param branches: how many it shall have here
    :raises ProtocolViolation: 440, those are too many; 400, what it says is no number
    """
    said = request.get("Max-Breadth")
    breadth = MAX_BREADTH if said is None else min(number_of(said, 10**10), MAX_BREADTH)
    if breadth < branches:
        raise ProtocolViolation("Max-Breadth Exceeded", 440)
    return breadth


def write_breadth(request: Request, breadth: int) -> None:
    """Give a branch its share."""
    if request.has("Max-Breadth"):
        request.set("Max-Breadth", str(breadth))
    else:
        request.add("Max-Breadth", str(breadth))
