"""A clock for each node, and a network in memory that loses, delays, doubles, reorders and parts."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import Clock
from zope.interface import implementer

from voipshift.batch import Batch
from voipshift.node import Address

if TYPE_CHECKING:
    from tests.simulated_node import Node

#: The captured datagrams that the adversary keeps.
MOST_CAPTURED = 2000


@implementer(IDelayedCall)
class NodeCall:
    """A delayed call in a node's own time."""

    def __init__(self, call: Any, ahead_s: float) -> None:
        self._call = call
        self._ahead_s = ahead_s

    def getTime(self) -> float:
        return float(self._call.getTime() + self._ahead_s)

    def cancel(self) -> None:
        self._call.cancel()

    def delay(self, seconds: float) -> None:
        self._call.delay(seconds)

    def reset(self, seconds: float) -> None:
        self._call.reset(seconds)

    def active(self) -> bool:
        return bool(self._call.active())


@implementer(IReactorTime)
class NodeClock:
    """The time as one boot of a node sees it: as fast as everybody's, but set differently."""

    def __init__(self, clock: Clock, ahead_s: float) -> None:
        self._clock = clock
        self._ahead_s = ahead_s
        self._calls: list[NodeCall] = []

    def seconds(self) -> float:
        return float(self._clock.seconds() + self._ahead_s)

    def callLater(self, delay: float, callable: Callable[..., Any], *args: object, **kw: object) -> NodeCall:
        call = NodeCall(self._clock.callLater(delay, callable, *args, **kw), self._ahead_s)
        self._calls = [*self.getDelayedCalls(), call]
        return call

    def getDelayedCalls(self) -> list[NodeCall]:
        return [call for call in self._calls if call.active()]


class Agenda:
    """What the world around the nodes does and when: the clock itself sorts too slowly for thousands of clients.

    What happens at one time is one batch: the nodes say what follows from it when all of it has happened.

    :param tick_s: everything happens at a whole multiple of it, so that much does at one time; 0 for any time
    """

    def __init__(self, clock: Clock, tick_s: float = 0.0) -> None:
        self._clock = clock
        self._tick_s = tick_s
        self.batch = Batch()
        self._entries: list[tuple[float, int, Callable[..., object], tuple[object, ...]]] = []
        self._number = 0

    def later(self, seconds: float, act: Callable[..., object], *arguments: object) -> None:
        self._number += 1
        when = self._clock.seconds() + seconds
        if self._tick_s:
            when = math.ceil(when / self._tick_s) * self._tick_s
        heapq.heappush(self._entries, (when, self._number, act, arguments))

    def next(self) -> float:
        """When something is to be done next, here or by a node."""
        timers = min((call.getTime() for call in self._clock.calls), default=math.inf)
        return min(timers, self._entries[0][0] if self._entries else math.inf)

    def step(self) -> None:
        """Do what happens next, or what the nodes' timers are due for."""
        when = self.next()
        self._clock.rightNow = max(self._clock.rightNow, when)
        if self._entries and self._entries[0][0] <= when:
            with self.batch:
                while self._entries and self._entries[0][0] <= when:
                    _, _, act, arguments = heapq.heappop(self._entries)
                    act(*arguments)
        else:
            self._clock.advance(0)


@dataclass
class Network:
    """Carries datagrams, badly.

    :ivar cut: pairs (from, to) of addresses between which nothing passes
    :ivar captured: what was sent
    """

    clock: Clock
    agenda: Agenda
    random: Random
    loss: float = 0.0
    duplication: float = 0.0
    delay_s: tuple[float, float] = (0.001, 0.001)
    cut: set[tuple[Address, Address]] = field(default_factory=set)
    receivers: dict[Address, Node] = field(default_factory=dict)
    multicast: Address | None = None
    captured: list[Captured] = field(default_factory=list)
    sent: int = 0

    def send(self, octets: bytes, source: Address, destination: Address) -> None:
        """Deliver once, more than once, late, or never."""
        self.sent += 1
        if destination == self.multicast:
            for receiver in list(self.receivers):
                if receiver != source:
                    self._carry(Captured(octets, source, receiver, self.clock.seconds(), to_all=True))
        else:
            self._carry(Captured(octets, source, destination, self.clock.seconds()))

    def _carry(self, captured: Captured) -> None:
        if len(self.captured) < MOST_CAPTURED:
            self.captured.append(captured)
        else:
            self.captured[self.random.randrange(MOST_CAPTURED)] = captured
        if (captured.source, captured.destination) in self.cut or self.random.random() < self.loss:
            return
        copies = 2 if self.random.random() < self.duplication else 1
        for _ in range(copies):
            self.agenda.later(self.random.uniform(*self.delay_s), self._deliver, captured)

    def _deliver(self, captured: Captured) -> None:
        receiver = self.receivers.get(captured.destination)
        if receiver is not None:
            captured.delivered = receiver
            receiver.exchange.received(captured.octets, captured.source)


@dataclass
class Captured:
    """One datagram as the adversary saw it, and which boot of a node received it."""

    octets: bytes
    source: Address
    destination: Address
    sent: float
    to_all: bool = False
    delivered: Node | None = None
