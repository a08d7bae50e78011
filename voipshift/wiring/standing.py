"""How a node stands: what it says of itself to the others in its reports.

Nothing is kept here: everything is read from the rooms that know it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from voipshift.balance.factors import Factors
from voipshift.group.messages import Counts, Statement
from voipshift.node import Load, NodeIdentity

if TYPE_CHECKING:
    from voipshift.balance.leases import Leases
    from voipshift.balance.members import Members
    from voipshift.balance.workload import Workload
    from voipshift.calls.quality import Quality
    from voipshift.calls.table import CallTable
    from voipshift.config import NodeSettings
    from voipshift.delegation.chain import Delegation


class Standing:
    """What a node says of itself.

    :param load: this node's load at this moment
    """

    def __init__(
        self,
        *,
        identity: NodeIdentity,
        workload: Workload,
        table: CallTable,
        leases: Leases,
        members: Members,
        delegation: Delegation,
        quality: Quality,
        settings: NodeSettings,
        load: Callable[[], Load],
        now: Callable[[], float],
    ) -> None:
        self._load = load
        self._identity = identity
        self._workload = workload
        self._table = table
        self._leases = leases
        self._members = members
        self._delegation = delegation
        self._quality = quality
        self._settings = settings
        self._now = now
        self._door = next(iter(identity.doors))

    def statement(self) -> Statement:
        """All that a report says."""
        now, counts, limit, hops = self._now(), self._delegation.counts, self._workload.ongoing_calls, self._table.hops
        return Statement(
            load=self._load(),
            doors=self._identity.doors,
            counts=Counts(
                calls=len(self._table),
                leases=len(self._leases),
                accepted=counts.accepted,
                asked_on=counts.asked_on,
                refused=counts.refused,
                carried=self._table.carried,
                peak=self._table.peak,
                limit=None if limit == math.inf else int(limit),
            ),
            hops=tuple(hops[number] for number in range(max(hops, default=-1) + 1)),
            members=len(self._members.live(self._door, now)),
            criteria=self._workload.readings(now),
            factors=self.factors(),
            offered=None if self._delegation.rates is None else self._delegation.rates.offered(now),
        )

    def is_group_full(self) -> bool:
        """Whether a monitor should look elsewhere: this node drains, or nobody in the group has room."""
        now, workload = self._now(), self._workload
        if workload.draining:
            return True
        return not workload.room(now) and all(member.full for member in self._members.live(self._door, now))

    def factors(self) -> Factors:
        """What speaks for this node besides its workload."""
        node, quality = self._settings, self._quality
        return Factors(
            node.region or "", node.cost, node.hosts, quality.answer_seizure_ratio, quality.post_dial_delay_s
        )
