"""What a request must satisfy before anything is done for it: RFC 3261 section 16.3, and 8.2 where the node answers
itself.

The grammar was checked when the message was parsed; this is about meaning: its scheme, its Max-Forwards, loops, and
extensions that are demanded.  Pure.
"""

from __future__ import annotations

from typing import NamedTuple

from voipshift.node import Address
from voipshift.sip.message import Request
from voipshift.sip.priority import Marks
from voipshift.sip.uri import scheme_of

#: Request-URIs that a node can route (RFC 3261 section 19.1, RFC 3966).
SCHEMES = frozenset(("sip", "sips", "tel"))
#: Methods that are understood at all; others are 501.
METHODS = frozenset(
    (
        "INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "REGISTER", "PRACK", "UPDATE", "INFO", "REFER", "SUBSCRIBE",
        "NOTIFY", "MESSAGE", "PUBLISH",
    )
)  # fmt: skip


#: A node for which nothing does.
NO_MARKS = Marks()


class Objection(NamedTuple):
    """Why a request is not served.

    :ivar status: the final response
    :ivar fields: header fields that the response must carry
    """

    status: int
    fields: tuple[tuple[str, str], ...] = ()


def objection(request: Request, ours: frozenset[Address], marks: Marks = NO_MARKS) -> Objection | None:
    """Look at a request as a proxy must (section 16.3); None when nothing is wrong.

    OPTIONS that may go no further is for this node to answer (item 3).

    :param ours: the addresses of this node as they stand in a Via
    :param marks: what marks a call as an emergency
    """
    if not request.uri.startswith(("sip:", "tel:")) and scheme_of(request.uri) not in SCHEMES:
        return Objection(416)
    if request.max_forwards == 0 and (request.method != "OPTIONS" or request.to_tag):
        return Objection(483)
    if request.has("Proxy-Require"):
        demanded = [tag for tag in request.values("Proxy-Require") if tag.lower() not in marks.extensions]
        if demanded:
            return _unsupported(demanded)
        unknown = marks.not_understood(request)
        if unknown is not None:
            return Objection(417, unknown)
    return Objection(482) if _looped(request, ours) else None


def objection_of_server(request: Request) -> Objection | None:
    """Look at a request that the node answers itself, as a user agent server must (section 8.2.2.3)."""
    return _unsupported(request.values("Require")) if request.has("Require") else None


def _unsupported(demanded: list[str]) -> Objection:
    return Objection(420, (("Unsupported", ", ".join(demanded)),))


def _looped(request: Request, ours: frozenset[Address]) -> bool:
    """Section 16.3 item 4: a Via of ours whose branch was computed from the very fields that it has now.

    A branch says how the request left and, outside a dialog, how it came before: what others have changed back is a
    loop, too, and one that forks each time round would fill the network (RFC 5393 section 4).
    """
    if request.has_one_via:
        return False
    now: str | None = None
    for via in request.vias[1:]:
        if via.address in ours:
            now = now or loop_digest(request)
            if now in via.branch:
                return True
    return False


def loop_digest(request: Request) -> str:
    """The part of a branch that is equal only for a request that came back unchanged (section 16.6 item 8).

    It sees what the routing sees; a request that spirals has another Request-URI or Route by then.
    """
    seen = (request.uri, request.identity, tuple(request.values("Route")) if request.has("Route") else ())
    return f".{hash(seen) & 0xFFFFFFFF:08x}"
