"""The load of this node, as it is told to the others: at a decision, and at once where they should not wait for it."""

from __future__ import annotations

from collections.abc import Callable

from voipshift.balance.workload import Workload
from voipshift.node import Load
from voipshift.wiring.lapsing import Lapsing
from voipshift.wiring.membership import Alone, Membership


class Announcing:
    """Says how loaded a node is.

    :param name: the node's
    :ivar membership: who hears of an edge, and has the incarnation of this boot
    """

    def __init__(self, *, name: str, workload: Workload, lapsing: Lapsing, now: Callable[[], float]) -> None:
        self._name = name
        self._workload = workload
        self._lapsing = lapsing
        self._now = now
        self._sequence = 0
        self.membership: Membership = Alone()

    def load(self) -> Load:
        """The load at this moment, with a number of its own."""
        self._sequence += 1
        occupancy, capacity, flags = self._workload.told(self._now())
        return Load(self._name, self.membership.incarnation, self._sequence, occupancy, capacity, flags)

    def decided(self) -> Load:
        """The load of a decision; the others hear of it when it is an edge, and leases that were given will lapse."""
        load = self.load()
        self.membership.workload_changed(load)
        self._lapsing.watch()
        return load
