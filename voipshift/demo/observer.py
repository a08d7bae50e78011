"""The demo listens in the group: a member without doors, which hears every report and never gets a call.

It knows of the nodes what they say of themselves, and nothing else.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorTime

from voipshift.demo.summary import NodeFigures
from voipshift.demo.table import Row
from voipshift.errors import Refused
from voipshift.group.exchange import Exchange
from voipshift.group.keys import Keys
from voipshift.group.messages import Statement
from voipshift.node import FULL, Acceptance, Address, CallAttempt, Load, NodeIdentity

NAME = "demo"

#: How long the last figures are waited for: a poll is answered at once, and some datagrams are lost.
LAST_WORD_S = 1.0


class Observer:
    """What is heard of the nodes.

    :param address: where it hears the group
    :param nodes: each node's name and group address
    :param keys: the group's
    """

    def __init__(
        self, clock: IReactorTime, address: Address, nodes: Mapping[str, Address], keys: Keys, report_interval_s: float
    ) -> None:
        self._nodes = nodes
        self._sequence = 0
        self._stated: dict[str, Statement] = {}
        self._send: Callable[[bytes, Address], None] | None = None
        self._exchange = Exchange(
            clock=clock,
            send=self._transmit,
            keys=keys,
            identity=NodeIdentity(NAME, {}),
            address=address,
            members=list(nodes.values()),
            multicast=None,
            report_interval_s=report_interval_s,
            random=os.urandom,
            statement=self._statement,
            heard=lambda identity, load: None,
            left=lambda name: None,
            consider=_refuse,
            withdraw=lambda lease: None,
            lapsed=lambda attempt, lease: None,
            stated=self._heard,
        )

    def begin(self, send: Callable[[bytes, Address], None]) -> None:
        """Join the group."""
        self._send = send
        self._exchange.start()

    def received(self, octets: bytes, source: Address) -> None:
        """Take a datagram of the group."""
        self._exchange.received(octets, source)

    def stop(self) -> None:
        """Leave the group."""
        self._exchange.stop()
        self._send = None

    def hears(self, name: str) -> bool:
        """Whether that node has reported and says that it hears all others."""
        stated = self._stated.get(name)
        return stated is not None and stated.members >= len(self._nodes) - 1

    def complete(self) -> bool:
        """Whether all nodes serve and hear each other."""
        return all(map(self.hears, self._nodes))

    def row(self, name: str, *, alive: bool) -> Row:
        """One row of the live table."""
        stated = self._stated.get(name)
        if stated is None:
            return Row(name, "starting" if alive else "gone", 0.0, 0, 0, math.inf, 0, 0)
        counts = stated.counts
        occupancy, calls, leases = (stated.load.occupancy, counts.calls, counts.leases) if alive else (0.0, 0, 0)
        state = "gone" if not alive else "full" if stated.load.flags & FULL else "free"
        return Row(name, state, occupancy, calls, leases, _limit(counts.limit), counts.accepted, counts.asked_on)

    def figures(self) -> dict[str, NodeFigures]:
        """What each node said last."""
        return {name: _figures(self._stated.get(name)) for name in self._nodes}

    def last_word(self, names: set[str]) -> Deferred[None]:
        """Have each of these nodes say what its figures are now."""
        if not names:
            return succeed(None)
        return self._exchange.poll(names, LAST_WORD_S).addCallback(lambda reported: None)

    def _heard(self, name: str, stated: Statement) -> None:
        self._stated[name] = stated

    def _statement(self) -> Statement:
        self._sequence += 1
        load = Load(NAME, self._exchange.incarnation, self._sequence, occupancy=1.0, capacity=0.0, flags=FULL)
        return Statement(load, doors={})

    def _transmit(self, octets: bytes, address: Address) -> None:
        if self._send is not None:
            self._send(octets, address)


def _refuse(
    attempt: CallAttempt, path: tuple[Load, ...], left_s: float, pending: Callable[[], None], entry: str
) -> Deferred[Acceptance]:
    return fail(Refused())


def _limit(limit: int | None) -> float:
    return math.inf if limit is None else limit


def _figures(stated: Statement | None) -> NodeFigures:
    if stated is None:
        return NodeFigures()
    counts = stated.counts
    return NodeFigures(counts.carried, counts.peak, _limit(counts.limit), stated.hops)
