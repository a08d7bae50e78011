"""The parts of a node's H.323 side as the wiring handles them, and the rooms that they share with SIP."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from voipshift.balance.leases import Leases
from voipshift.balance.members import Members
from voipshift.balance.workload import Workload
from voipshift.calls.table import CallTable
from voipshift.delegation.chain import Delegation
from voipshift.wiring.reception import Reception
from voipshift.wiring.records import Records
from voipshift.wiring.tally import Tally

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred


class Rooms(NamedTuple):
    """The rooms of the node that it shares with SIP."""

    table: CallTable
    delegation: Delegation
    leases: Leases
    members: Members
    reception: Reception
    workload: Workload
    records: Records


class Part(Protocol):
    """What the wiring does with it."""

    @property
    def octets(self) -> int: ...
    def start(self) -> None: ...
    def stop(self) -> Deferred[None] | None: ...


class Side(Part, Protocol):
    """A part that others open connections to."""

    @property
    def accepted(self) -> int: ...


class Absent:
    """The H.323 side of a node that has none."""

    octets = 0
    accepted = 0

    def start(self) -> None:
        """There is nothing to start."""

    def stop(self) -> None:
        """There is nothing to stop."""


class Present:
    """The H.323 side of a node that has one.

    :param server: the connections
    :param ras: the gatekeeper at its port, if there is one
    :param tally: tells the operator what they dropped
    """

    def __init__(self, server: Side, ras: Part | None, tally: Tally) -> None:
        self._server = server
        self._ras = ras
        self._tally = tally

    @property
    def octets(self) -> int:
        """In and out."""
        return self._server.octets + (self._ras.octets if self._ras is not None else 0)

    @property
    def accepted(self) -> int:
        """How many connections others have opened."""
        return self._server.accepted

    def start(self) -> None:
        """Begin to listen."""
        self._server.start()
        if self._ras is not None:
            self._ras.start()
        self._tally.start()

    def stop(self) -> Deferred[None] | None:
        """Close everything; the Deferred is there while calls are being released."""
        if self._ras is not None:
            self._ras.stop()
        stopped = self._server.stop()
        self._tally.stop()
        return stopped
