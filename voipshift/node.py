"""The values that cross rooms: who a node is, how loaded it is, what a client asks for, and who took it.

They carry no behaviour and know neither SIP, nor H.225, nor the group's datagrams.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from voipshift.value import Value

#: An IP address (or, before it was looked up, a host name) and a port.
Address = tuple[str, int]

#: Flags of a :class:`Load`; append-only, for they are sent.
FULL: Final = 1
DRAINING: Final = 2


@dataclass(frozen=True, slots=True)
class NodeIdentity:
    """A node as clients can reach it.

    :param name: unique in the group
    :param doors: the advertised address of each door it has: ``{"sip/udp": ("192.0.2.7", 5060)}``
    """

    name: str
    doors: Mapping[str, Address]


class Load(Value):
    """What a node said of its own workload at one moment.

    ``(incarnation, sequence)`` grows with each statement of a node; only a newer one replaces an older one.
    ``occupancy`` is 1.0 at the threshold; ``capacity`` is in calls; ``flags`` are FULL and DRAINING.
    On an attempt's way ``reason`` is the :class:`~voipshift.balance.reason.Reason` of what it decided then.
    """

    __slots__ = ("capacity", "flags", "incarnation", "node", "occupancy", "reason", "sequence")

    def __init__(
        self,
        node: str,
        incarnation: int,
        sequence: int,
        occupancy: float,
        capacity: float,
        flags: int = 0,
        reason: int = 0,
    ) -> None:
        self.node: Final = node
        self.incarnation: Final = incarnation
        self.sequence: Final = sequence
        self.occupancy: Final = occupancy
        self.capacity: Final = capacity
        self.flags: Final = flags
        self.reason: Final = reason

    def is_newer_than(self, other: Load) -> bool:
        """Whether that node said it after the other one."""
        if self.incarnation == other.incarnation:
            return self.sequence > other.sequence
        return self.incarnation > other.incarnation

    def fields(self) -> list[str | int | float]:
        """What it consists of, in the order in which it is sent."""
        return [self.node, self.incarnation, self.sequence, self.occupancy, self.capacity, self.flags, self.reason]

    def because(self, reason: int) -> Load:
        """The same, and why the node decided so."""
        return Load(self.node, self.incarnation, self.sequence, self.occupancy, self.capacity, self.flags, reason)


class CallAttempt(Value):
    """A client's request to connect.

    :param id: 16 octets, the attempt's name in the whole group: drawn by the entry node, or the callIdentifier of
        H.323 where the client comes back with it
    :param door: the door that the client used (``sip/udp``): a node that accepts must have it too
    :param caller: the calling address of record or alias
    :param callee: the called user or number
    :param target: the original Request-URI, restored by the accepting node before it routes the call
    :param client: where the request came from
    :param trusted: the client is trusted or authenticated, so that the limit of leases per address is not for it
    :param emergency: somebody whom the entry believes has marked it as an emergency
    :param reply: what the node that accepts needs to tell the client itself; empty where the chain alone answers
    :param call_id: what the call is known by to its ends; known at the entry alone
    """

    __slots__ = (
        "call_id",
        "callee",
        "caller",
        "client",
        "door",
        "emergency",
        "id",
        "reply",
        "target",
        "trusted",
    )

    def __init__(
        self,
        id: bytes,
        door: str,
        caller: str,
        callee: str,
        target: str,
        client: Address,
        trusted: bool = False,
        emergency: bool = False,
        reply: bytes = b"",
        call_id: str = "",
    ) -> None:
        self.id: Final = id
        self.door: Final = door
        self.caller: Final = caller
        self.callee: Final = callee
        self.target: Final = target
        self.client: Final = client
        self.trusted: Final = trusted
        self.emergency: Final = emergency
        self.reply: Final = reply
        self.call_id: Final = call_id


class Acceptance(Value):
    """A node took the attempt and holds a lease for it.

    :param node: who
    :param lease: 32 lower-case hex digits
    :param visited: the load of each node on the way, the accepting one last
    :param hops: how often the attempt was forwarded, 0 when the entry itself accepted
    :param told: the node has told the client itself
    """

    __slots__ = ("hops", "lease", "node", "told", "visited")

    def __init__(
        self, node: NodeIdentity, lease: str, visited: tuple[Load, ...], hops: int, told: bool = False
    ) -> None:
        self.node: Final = node
        self.lease: Final = lease
        self.visited: Final = visited
        self.hops: Final = hops
        self.told: Final = told
