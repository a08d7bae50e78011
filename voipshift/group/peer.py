"""One boot of one node, as far as this node knows it.

How boots come to be known, and which of them is believed, is :mod:`voipshift.group.peers`.  Pure.
"""

from __future__ import annotations

import math
from enum import Enum

from voipshift.group.envelope import Outgoing, Stream
from voipshift.node import Address, NodeIdentity

#: What is said expires after so many report intervals; who says nothing for as long is silent.
FRESH_INTERVALS = 3


class Standing(Enum):
    """What a boot is to us."""

    STRANGER = "has spoken"
    CLAIMANT = "has echoed, and its name is in dispute"
    NAMESAKE = "has echoed, and its name is another's"
    MEMBER = "is believed"
    GONE = "is no more"


class Peer:
    """One boot of one node."""

    __slots__ = (
        "address",
        "boot",
        "checked_at",
        "clock_offset_s",
        "greeted_at",
        "heard_at",
        "identity",
        "in_group",
        "incarnation",
        "name",
        "on_bus",
        "outgoing",
        "round_trip_s",
        "standing",
    )

    def __init__(self, name: str, boot: bytes, now: float) -> None:
        self.name = name
        self.boot = boot
        self.standing = Standing.STRANGER
        self.address: Address | None = None
        self.identity: NodeIdentity | None = None
        self.incarnation = 0
        self.heard_at = now
        self.greeted_at = -math.inf
        self.checked_at = -math.inf
        self.clock_offset_s = 0.0
        self.round_trip_s = 0.0
        self.in_group = False
        self.on_bus = False
        self.outgoing: Outgoing | None = None

    def __str__(self) -> str:
        host, port = self.address or ("nowhere", 0)
        return f"{self.name} at [{host}]:{port}" if ":" in host else f"{self.name} at {host}:{port}"

    def heard_by(self, stream: int, asked: bool) -> None:
        """It reported that way: so it hears that way, and need not be told by a datagram of its own.

        :param asked: it answered us, which is always by such a one
        """
        if stream == Stream.GROUP:
            self.in_group = True
        elif stream == Stream.BUS:
            self.on_bus = True
        elif not asked:
            self.on_bus = False  # it does not rely on the bus any more

    def age(self, clock_s: float, now: float) -> float:
        """How long ago it said something at that time of its clock."""
        return now + self.clock_offset_s - clock_s

    def measured(self, round_trip_s: float) -> None:
        """One more round trip, smoothed as RFC 6298 does."""
        self.round_trip_s += (round_trip_s - self.round_trip_s) / 8 if self.round_trip_s else round_trip_s
