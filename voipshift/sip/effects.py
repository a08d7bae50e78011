"""What the transaction layer asks its door to do, and what it tells the transaction user (RFC 3261 section 17).

:class:`Send` is for the door; all others are events for the user, each said once.
"""

from __future__ import annotations

from dataclasses import dataclass

from voipshift.sip.message import Request, Response
from voipshift.sip.transaction import ClientTransaction, Hop, ServerTransaction, Transaction


@dataclass(slots=True)
class Send:
    """Octets for the door."""

    octets: bytes
    address: Hop


@dataclass(slots=True)
class Requested:
    """A new request, which is to be responded to."""

    transaction: ServerTransaction


@dataclass(slots=True)
class Cancelled:
    """An INVITE without a final response was cancelled; the CANCEL is answered, the INVITE is to be (487)."""

    transaction: ServerTransaction


@dataclass(slots=True)
class Acknowledged:
    """An ACK that ends no retransmission of ours: that of a 2xx, which goes on along its route."""

    request: Request
    source: Hop


@dataclass(slots=True)
class Responded:
    """A response to a request of ours; of the final ones only a 2xx to INVITE comes more than once."""

    transaction: ClientTransaction
    response: Response


@dataclass(slots=True)
class TimedOut:
    """A request of ours got no final response in time."""

    transaction: ClientTransaction


@dataclass(slots=True)
class StrayResponse:
    """A response that belongs to no transaction; whether its top Via is ours at all is for the user to see (18.1.2)."""

    response: Response
    source: Hop


@dataclass(slots=True)
class Ended:
    """A transaction is over, and was forgotten."""

    transaction: Transaction


Effect = Send | Requested | Cancelled | Acknowledged | Responded | TimedOut | StrayResponse | Ended
