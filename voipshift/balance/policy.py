"""What factors other than workload make of a call attempt: who may be a candidate, and what weight it has.

They enter in two places of the rule only: line 5, who is "allowed by policy", and the ``locality`` of line 8.  They
stay out of admission, which is by workload alone.  There is one exception that is none: a service is bound to the nodes
that host it, so that a node which does not host it is no place for such a call, however idle.

The weight is a formula of the operator's numbers, each in decibels::

    score  = same_region * (the member is in the client's region)
           + cost * its cost + answer_seizure_ratio * its ratio + post_dial_delay * its delay in s
    weight = 10 ** (score / 10)

so that +10 makes a member ten times as likely, -3 half as likely, and 0 does not look at the factor.  A product of
weights is a sum of scores: what one number means does not depend on the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from voipshift.balance.factors import Factors
from voipshift.balance.members import Member
from voipshift.balance.workload import Workload
from voipshift.node import CallAttempt

if TYPE_CHECKING:
    from voipshift.config import Settings

#: A score beyond this is as good as it: 10 ** 15 times as likely.
MOST_DECIBELS = 150.0
#: Addresses whose region is remembered; beyond that all are looked up anew.
MAX_MEMORY = 4096


@dataclass(frozen=True, slots=True)
class Formula:
    """The operator's numbers: the scores, then the limits of who may be a candidate.

    :param only_same_region: a client of a known region stays in it
    """

    same_region: float = 0.0
    cost: float = 0.0
    answer_seizure_ratio: float = 0.0
    post_dial_delay: float = 0.0
    only_same_region: bool = False
    highest_cost: float = inf
    lowest_answer_seizure_ratio: float = 0.0
    longest_post_dial_delay_s: float = inf

    def weight(self, factors: Factors, region: str) -> float:
        """The weight of a node for a client of that region."""
        score = (
            self.same_region * (region != "" and factors.region == region)
            + self.cost * factors.cost
            + self.answer_seizure_ratio * factors.answer_seizure_ratio
            + self.post_dial_delay * factors.post_dial_delay_s
        )
        return float(10.0 ** (max(-MOST_DECIBELS, min(score, MOST_DECIBELS)) / 10.0))

    def allows(self, factors: Factors, region: str) -> bool:
        """Whether that node may be a candidate for such a client."""
        return (
            factors.cost <= self.highest_cost
            and factors.answer_seizure_ratio >= self.lowest_answer_seizure_ratio
            and factors.post_dial_delay_s <= self.longest_post_dial_delay_s
            and (not self.only_same_region or region in ("", factors.region))
        )


class Selection:
    """The policy for one attempt.

    :ivar here: this node hosts what is called
    :ivar emergency: it may use what is reserved
    """

    __slots__ = ("_formula", "_region", "_service", "emergency", "here")

    def __init__(self, formula: Formula, region: str, service: str, here: bool, emergency: bool = False) -> None:
        self._formula = formula
        self._region = region
        self._service = service
        self.here = here
        self.emergency = emergency

    def room(self, workload: Workload, now: float) -> bool:
        """Whether this node can take the attempt, and is a place for it."""
        if not self.here:
            return False
        return workload.emergency_room(now) if self.emergency else workload.room(now)

    def allows(self, member: Member) -> bool:
        """Whether that member may be a candidate."""
        factors = member.factors
        if self._service and self._service not in factors.services:
            return False
        return self._formula.allows(factors, self._region)

    def weight(self, member: Member) -> float:
        """Its locality."""
        return self._formula.weight(member.factors, self._region)


class Region(NamedTuple):
    """A region, and the address blocks whose clients are in it."""

    name: str
    networks: tuple[IPv4Network | IPv6Network, ...]


class Service(NamedTuple):
    """A service, and the beginnings of the numbers or users that are called for it."""

    name: str
    prefixes: tuple[str, ...]


class Policy:
    """The factors, for all attempts.

    :param hosted: the names of the services that this node hosts
    :param emergency: the numbers whose calls may use what is reserved for them
    """

    def __init__(
        self,
        formula: Formula,
        *,
        regions: Iterable[Region],
        services: Sequence[Service],
        hosted: Iterable[str],
        emergency: Iterable[str] = (),
    ) -> None:
        self._formula = formula
        pairs = [(network, region.name) for region in regions for network in region.networks]
        self._networks = sorted(pairs, key=lambda pair: -pair[0].prefixlen)
        self._services = tuple(services)
        self._hosted = frozenset(hosted)
        self._known: dict[str, str] = {}
        self._emergency = frozenset(emergency)
        self._idle = formula == Formula() and not self._services and not self._emergency

    def select(self, attempt: CallAttempt) -> Selection | None:
        """What holds for an attempt; None where no factor is configured."""
        if self._idle and not attempt.emergency:
            return None
        service = self.service(attempt.callee)
        here = not service or service in self._hosted
        emergency = attempt.emergency or attempt.callee.partition(";")[0] in self._emergency
        return Selection(self._formula, self.region(attempt.client[0]), service, here, emergency)

    def region(self, host: str) -> str:
        """The region of a client: that of the smallest block that has its address; empty for none."""
        found = self._known.get(host)
        if found is None:
            found = self._look_up(host)
            if len(self._known) >= MAX_MEMORY:
                self._known.clear()
            self._known[host] = found
        return found

    def service(self, callee: str) -> str:
        """The service that a number or user belongs to, by its longest prefix; empty for none."""
        best, longest = "", -1
        for service in self._services:
            for prefix in service.prefixes:
                if len(prefix) > longest and callee.startswith(prefix):
                    best, longest = service.name, len(prefix)
        return best

    def _look_up(self, host: str) -> str:
        try:
            address = ip_address(host)
        except ValueError:
            return ""
        return next((name for network, name in self._networks if address in network), "")


def policy_of(settings: Settings) -> Policy:
    """The policy that a configuration says."""
    return Policy(
        Formula(**asdict(settings.policy)),
        regions=[Region(region.name, region.networks) for region in settings.regions],
        services=[Service(service.name, service.prefixes) for service in settings.services],
        hosted=settings.node.hosts,
        emergency=settings.emergency.numbers,
    )
