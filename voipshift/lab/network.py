"""The simulated network between the servers: it delays, loses, and is cut in one direction or both.

A report is one message whatever its fan-out, as it is with multicast, and each receiver loses it by itself.  All
datagrams take equally long: with events of a call seconds apart, their order says little about the balance; storms of
reordered ones are the business of the group's own tests.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import TYPE_CHECKING, Any

from voipshift.lab.eventqueue import EventQueue
from voipshift.node import Load

if TYPE_CHECKING:
    from voipshift.lab.server import Server

#: As a Withdraw is resent: after 0.1 s, then after twice as long each time, so often at most.
FIRST_RESEND_S = 0.1
TRIES = 7


class Network:
    """Carries messages between servers.

    :ivar servers: everybody
    :ivar cut: pairs of server numbers (from, to) between which nothing passes
    :ivar reports: how many were sent
    :ivar messages: how many others were sent
    """

    __slots__ = ("_random", "cut", "delay_s", "loss", "messages", "queue", "reports", "servers")

    def __init__(self, queue: EventQueue, *, loss: float, delay_s: float, random: Random) -> None:
        self.queue = queue
        self.loss = loss
        self.delay_s = delay_s
        self.servers: Sequence[Server] = ()
        self.cut: set[tuple[int, int]] = set()
        self.reports = 0
        self.messages = 0
        self._random = random

    def report(self, source: Server, load: Load) -> None:
        """Tell everybody."""
        self.reports += 1
        self.queue.at(self.queue.now + self.delay_s, self._reported, source, load)

    def send(self, source: Server, destination: Server, act: Callable[..., None], *arguments: Any) -> None:
        """Have something happen at another server, unless the message is lost or the server is another one by then."""
        self.messages += 1
        if (self.loss and self._random.random() < self.loss) or (source.index, destination.index) in self.cut:
            return
        incarnation = destination.incarnation
        self.queue.at(self.queue.now + self.delay_s, self._arrived, destination, incarnation, act, arguments)

    def insist(self, source: Server, destination: Server, act: Callable[[], None]) -> None:
        """Send it again until it was acknowledged; what happens has to be harmless the second time."""
        _Insistence(self, source, destination, act).send()

    def _reported(self, source: Server, load: Load) -> None:
        now, loss, draw, identity, index = self.queue.now, self.loss, self._random.random, source.identity, source.index
        cut = self.cut
        for server in self.servers:
            if server is source or not server.up or draw() < loss or (cut and (index, server.index) in cut):
                continue
            server.members.heard(identity, load, now)

    @staticmethod
    def _arrived(destination: Server, incarnation: int, act: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        if destination.up and destination.incarnation == incarnation:
            act(*arguments)


class _Insistence:
    """One message and its acknowledgement."""

    __slots__ = ("_act", "_acknowledged", "_destination", "_network", "_source", "_tries")

    def __init__(self, network: Network, source: Server, destination: Server, act: Callable[[], None]) -> None:
        self._network = network
        self._source = source
        self._destination = destination
        self._act = act
        self._tries = 0
        self._acknowledged = False

    def send(self) -> None:
        """Once more, unless that is done with."""
        if self._acknowledged or self._tries >= TRIES or not self._source.up:
            return
        self._network.send(self._source, self._destination, self._arrive)
        queue = self._network.queue
        queue.at(queue.now + FIRST_RESEND_S * 2**self._tries, self.send)
        self._tries += 1

    def _arrive(self) -> None:
        self._act()
        self._network.send(self._destination, self._source, self._acknowledge)

    def _acknowledge(self) -> None:
        self._acknowledged = True
