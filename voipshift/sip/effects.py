"""What the transaction layer asks its door to do, and what it tells the transaction user (RFC 3261 section 17).

:class:`Send` is for the door; all others are events for the user, each said once.
"""

from __future__ import annotations

from typing import Final

from voipshift.sip.message import Request, Response
from voipshift.sip.transaction import ClientTransaction, Hop, ServerTransaction, Transaction
from voipshift.value import Value


class Send(Value):
    """Octets for the door."""

    __slots__ = ("address", "octets")

    def __init__(self, octets: bytes, address: Hop) -> None:
        self.octets: Final = octets
        self.address: Final = address


class Requested(Value):
    """A new request, which is to be responded to."""

    __slots__ = ("transaction",)

    def __init__(self, transaction: ServerTransaction) -> None:
        self.transaction: Final = transaction


class Cancelled(Value):
    """An INVITE without a final response was cancelled; the CANCEL is answered, the INVITE is to be (487)."""

    __slots__ = ("transaction",)

    def __init__(self, transaction: ServerTransaction) -> None:
        self.transaction: Final = transaction


class Acknowledged(Value):
    """An ACK that ends no retransmission of ours: that of a 2xx, which goes on along its route."""

    __slots__ = ("request", "source")

    def __init__(self, request: Request, source: Hop) -> None:
        self.request: Final = request
        self.source: Final = source


class Responded(Value):
    """A response to a request of ours; of the final ones only a 2xx to INVITE comes more than once."""

    __slots__ = ("response", "transaction")

    def __init__(self, transaction: ClientTransaction, response: Response) -> None:
        self.transaction: Final = transaction
        self.response: Final = response


class TimedOut(Value):
    """A request of ours got no final response in time."""

    __slots__ = ("transaction",)

    def __init__(self, transaction: ClientTransaction) -> None:
        self.transaction: Final = transaction


class StrayResponse(Value):
    """A response that belongs to no transaction; whether its top Via is ours at all is for the user to see (18.1.2)."""

    __slots__ = ("response", "source")

    def __init__(self, response: Response, source: Hop) -> None:
        self.response: Final = response
        self.source: Final = source


class Ended(Value):
    """A transaction is over, or nothing happens in it any more, and was forgotten."""

    __slots__ = ("transaction",)

    def __init__(self, transaction: Transaction) -> None:
        self.transaction: Final = transaction


Effect = Send | Requested | Cancelled | Acknowledged | Responded | TimedOut | StrayResponse | Ended
