"""A node's membership of its group: the exchange, the bus, and the look-up of members that have a DNS name.

A node that stands alone has :class:`Alone`, which asks nobody and tells nobody.  Which of them a configuration says is
:mod:`voipshift.wiring.joining`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from twisted.internet.defer import Deferred, succeed

from voipshift.balance.leases import Lease
from voipshift.errors import NoAnswer
from voipshift.group.bus import Bus
from voipshift.group.exchange import Exchange
from voipshift.node import Acceptance, CallAttempt, Load
from voipshift.wiring.lookup import Lookup


class Alone:
    """The membership of a node without ``[group]``."""

    incarnation = 0

    def start(self) -> None:
        """There is nobody to speak to."""

    def stop(self) -> None:
        """There is nobody to leave."""

    def ask(self, member: str, attempt: CallAttempt, path: tuple[Load, ...], left_s: float) -> Deferred[Acceptance]:
        """Nobody can be asked.

        :raises NoAnswer: always
        """
        raise NoAnswer(True)

    def poll(self, names: list[str], timeout_s: float) -> Deferred[frozenset[str]]:
        """Nobody answers."""
        return succeed(frozenset())

    def give_back(self, acceptance: Acceptance, attempt: bytes) -> None:
        """Nobody gave a lease."""

    def tell_lapsed(self, lapsed: Iterable[Lease]) -> None:
        """Nobody else asked for them."""

    def workload_changed(self, load: Load) -> None:
        """Nobody is told."""


class Grouped:
    """The membership of a node that has a group.

    :param exchange: what is said to the members
    :param bus: where else reports go; None where they go nowhere else
    :param lookup: of the members that are configured by a DNS name
    """

    def __init__(self, exchange: Exchange, bus: Bus | None, lookup: Lookup) -> None:
        self._exchange = exchange
        self._bus = bus
        self._lookup = lookup
        self.ask: Callable[[str, CallAttempt, tuple[Load, ...], float], Deferred[Acceptance]] = exchange.ask
        self.poll: Callable[[list[str], float], Deferred[frozenset[str]]] = exchange.poll
        self.give_back: Callable[[Acceptance, bytes], None] = exchange.give_back

    @property
    def incarnation(self) -> int:
        """Of this boot, as the group knows it."""
        return self._exchange.incarnation

    def start(self) -> None:
        """Speak to the group."""
        self._exchange.start()
        if self._bus is not None:
            self._bus.start()
        self._lookup.start()

    def stop(self) -> None:
        """Leave it."""
        self._lookup.stop()
        self._exchange.stop()
        if self._bus is not None:
            self._bus.stop()

    def tell_lapsed(self, lapsed: Iterable[Lease]) -> None:
        """Tell the entries of leases that their clients did not come."""
        self._exchange.tell_lapsed([(lease.entry, lease.attempt.id, lease.id) for lease in lapsed])

    def workload_changed(self, load: Load) -> None:
        """Tell the others where they should not wait for it."""
        self._exchange.workload_changed(load)


#: What the rooms of a node need of its group.
Membership = Alone | Grouped
