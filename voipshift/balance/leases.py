"""Leases: slots promised to clients that were told to connect here and have not arrived yet.

Without them a node that accepted a burst would take it twice, once when asked and once when the clients come.
A lease counts as load at once and is closed exactly once: it **arrived** (the client came with it), was
**withdrawn** (whoever asked does not need it), or **lapsed** (the client did not come in time).  It grants one
slot and nothing else.

All leases last equally long, so the order in which they were granted is the order in which they lapse: the
table is its own queue, and granting, closing and looking for the next deadline cost the same whatever it holds.
(An ``OrderedDict``, for the first entry of a plain ``dict`` is found by walking over the places of all that
were deleted before it.)
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from voipshift.errors import Refused
from voipshift.node import CallAttempt, Load

#: 128 bits: nobody guesses one while it is open.
LEASE_OCTETS: Final = 16


class Lease:
    """One promised slot.

    :ivar id: 32 lower-case hex digits
    :ivar attempt: for which call attempt, with its original target
    :ivar entry: the name of the node that the client asked first, which is told when the lease lapses
    :ivar hops: how often the attempt had been forwarded when it was accepted
    :ivar granted: when
    :ivar visited: the load of each node on the attempt's way, this one last
    """

    __slots__ = ("attempt", "entry", "granted", "hops", "id", "visited")

    def __init__(self, id: str, attempt: CallAttempt, entry: str, hops: int, granted: float) -> None:
        self.id = id
        self.attempt = attempt
        self.entry = entry
        self.hops = hops
        self.granted = granted
        self.visited: tuple[Load, ...] = ()


class Leases:
    """The open leases of this node.

    :param lease_s: how long a client has to arrive
    :param held_per_client: how many open leases one address may hold that is neither trusted nor authenticated
    :param random: gives so many random octets
    :ivar counts: how many were ``granted``, and how many of them ``arrived``, were ``withdrawn``, ``lapsed``
    """

    def __init__(self, *, lease_s: float, held_per_client: int, random: Callable[[int], bytes]) -> None:
        self.lease_s = lease_s
        self.held_per_client = held_per_client
        self.counts = {"granted": 0, "arrived": 0, "withdrawn": 0, "lapsed": 0}
        self._random = random
        self._open: OrderedDict[str, Lease] = OrderedDict()
        self._of_pair: dict[tuple[str, str], dict[str, Lease]] = {}
        self._of_attempt: dict[bytes, Lease] = {}
        self._held: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._open)

    def grant(self, attempt: CallAttempt, entry: str, hops: int, now: float) -> Lease:
        """Promise a slot.

        :raises Refused: when the client is not trusted and holds as many as it may
        """
        host = attempt.client[0]
        if not attempt.trusted:
            held = self._held.get(host, 0)
            if held >= self.held_per_client:
                raise Refused()
            self._held[host] = held + 1
        lease = Lease(self._random(LEASE_OCTETS).hex(), attempt, entry, hops, now)
        self._open[lease.id] = lease
        pair = (host, attempt.callee)
        of_pair = self._of_pair.get(pair)
        if of_pair is None:
            self._of_pair[pair] = {lease.id: lease}
        else:
            of_pair[lease.id] = lease
        self._of_attempt[attempt.id] = lease
        self.counts["granted"] += 1
        return lease

    def get(self, id: str) -> Lease | None:
        """The open lease of that id."""
        return self._open.get(id)

    def of(self, attempt: bytes, now: float) -> Lease | None:
        """The open lease of an attempt, the last one where a client has used its name twice."""
        lease = self._of_attempt.get(attempt)
        return lease if lease is not None and now < lease.granted + self.lease_s else None

    def find(self, client_host: str, callee: str, now: float) -> Lease | None:
        """The oldest open lease of a client that dropped the parameter, known by its address and whom it calls."""
        for lease in self._of_pair.get((client_host, callee), {}).values():
            if now < lease.granted + self.lease_s:
                return lease
        return None

    def arrive(self, id: str) -> Lease | None:
        """The client came: close the lease. None when it is not open: unknown, used before, or lapsed."""
        return self._close(id, "arrived")

    def withdraw(self, id: str) -> Lease | None:
        """Nobody will come: close the lease. None when it is not open."""
        return self._close(id, "withdrawn")

    def lapse(self, now: float) -> list[Lease]:
        """Close all leases whose client did not come in time, and say which."""
        overdue = []
        for lease in self._open.values():
            if now < lease.granted + self.lease_s:
                break
            overdue.append(lease)
        for lease in overdue:
            self._close(lease.id, "lapsed")
        return overdue

    def next_deadline(self) -> float | None:
        """When the next lease lapses; None when none is open."""
        for lease in self._open.values():
            return lease.granted + self.lease_s
        return None

    def _close(self, id: str, how: str) -> Lease | None:
        lease = self._open.pop(id, None)
        if lease is None:
            return None
        self.counts[how] += 1
        attempt = lease.attempt
        host = attempt.client[0]
        pair = (host, attempt.callee)
        of_pair = self._of_pair[pair]
        del of_pair[id]
        if not of_pair:
            del self._of_pair[pair]
        if self._of_attempt.get(attempt.id) is lease:
            del self._of_attempt[attempt.id]
        if not attempt.trusted:
            held = self._held[host] - 1
            if held:
                self._held[host] = held
            else:
                del self._held[host]
        return lease
