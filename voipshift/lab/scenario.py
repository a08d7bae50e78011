"""What is simulated: the servers, the traffic, the network, and what goes wrong. All else follows from a seed."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from voipshift.group.reports import report_interval_s
from voipshift.lab.holding import Exponential, Holding

#: The group has to fill first: so many mean holding times are not counted.
WARM_HOLDING_TIMES = 5
#: A server accepts at most so many times the calls that end there per second when it is full.
ACCEPT_RATE = 2.0


@dataclass(frozen=True, slots=True)
class Outage:
    """A server is dead for a while and comes back empty; times are simulated seconds."""

    server: int
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Change:
    """A server's limit is another one from a moment on: the operator changed it while it was running."""

    server: int
    at_s: float
    slots: int


@dataclass(frozen=True, slots=True)
class Cut:
    """For a while nothing passes from one server to another, although it does the other way."""

    source: int
    destination: int
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Bursts:
    """Arrivals come in bursts: so many times the mean rate for so long, again and again, and fewer in between."""

    factor: float
    length_s: float
    every_s: float


@dataclass(frozen=True)
class Scenario:
    """One experiment.

    :param slots: the mean of the servers' limits
    :param ratio: of the servers' limits, repeated over the servers
    :param load: offered load as a fraction of all slots
    :param entry: whom clients know: ``random``, ``primary`` (the first server), ``weighted`` by capacity, ``first:K``
    :param collect: how a server knows the others, with ``collect_from``: the words of a node's ``[balance]``
    :param hop_limit: None for the rule's own
    :param liars: servers that claim to be idle and refuse everything; they count for no capacity
    """

    servers: int = 8
    slots: int = 100
    ratio: tuple[float, ...] = (1.0, 2.0, 4.0)
    load: float = 1.0
    holding: Holding = field(default_factory=lambda: Exponential(120.0))
    calls: int = 200_000
    seed: int = 1
    loss: float = 0.05
    delay_s: float = 0.001
    report_interval_s: float = 1.0
    entry: str = "random"
    outages: tuple[Outage, ...] = ()
    hop_limit: int | None = None
    collect: Literal["reports", "poll", "race"] = "reports"
    collect_from: float = 3.0
    changes: tuple[Change, ...] = ()
    cuts: tuple[Cut, ...] = ()
    liars: tuple[int, ...] = ()
    bursts: Bursts | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be simulated.

        :raises ValueError: the sentence says what
        """
        for outage in self.outages:
            if outage.server >= self.servers:
                raise ValueError(f"--fail: there is no server {outage.server}, the last one is {self.servers - 1}")
        if self.entry.startswith("first:") and int(self.entry[6:]) > self.servers:
            raise ValueError(f"--entry {self.entry}: there are only {self.servers} servers")
        if min(self.capacities) < 1:
            raise ValueError(f"--slots {self.slots} is too small: a server would have none")
        if self.calls / self.calls_per_s <= 1.2 * self.counted_from_s:
            least = int(1.2 * self.counted_from_s * self.calls_per_s) + 1
            raise ValueError(
                f"--calls {self.calls} is too few: {WARM_HOLDING_TIMES} holding times are not counted, "
                f"which takes {least} calls here"
            )

    @cached_property
    def capacities(self) -> list[int]:
        """The limit of each server: in that ratio, whole, and exactly so many slots in all."""
        shares = [self.ratio[index % len(self.ratio)] for index in range(self.servers)]
        exact = [self.servers * self.slots * share / sum(shares) for share in shares]
        capacities = [int(each) for each in exact]
        by_rest = sorted(range(self.servers), key=lambda index: capacities[index] - exact[index])
        for index in by_rest[: self.servers * self.slots - sum(capacities)]:
            capacities[index] += 1
        return capacities

    @cached_property
    def useful(self) -> list[int]:
        """The limit of each server that keeps its word."""
        return [0 if index in self.liars else slots for index, slots in enumerate(self.capacities)]

    @cached_property
    def calls_per_s(self) -> float:
        """The mean rate of arrivals."""
        return self.load * sum(self.useful) / self.holding.mean_s

    @cached_property
    def counted_from_s(self) -> float:
        """When the group is in its steady state."""
        return WARM_HOLDING_TIMES * self.holding.mean_s

    @cached_property
    def entry_shares(self) -> list[float]:
        """The share of the arrivals that comes to each server."""
        if self.entry == "weighted":
            return [slots / sum(self.capacities) for slots in self.capacities]
        known = {"primary": 1, "random": self.servers}.get(self.entry) or int(self.entry.removeprefix("first:"))
        return [1.0 / known if index < known else 0.0 for index in range(self.servers)]

    @cached_property
    def least_hops(self) -> float:
        """The least possible mean hops: what arrives at a server beyond its share has to go elsewhere."""
        pairs = zip(self.entry_shares, self.useful, strict=True)
        return sum(max(0.0, share - slots / sum(self.useful)) for share, slots in pairs)

    @cached_property
    def interval_s(self) -> float:
        """How often servers report: large groups do so more seldom."""
        return report_interval_s(self.report_interval_s, self.servers, multicast=False)

    def accept_rate(self, slots: int) -> float:
        """The calls per second that a server with that limit accepts."""
        return ACCEPT_RATE * slots / self.holding.mean_s
