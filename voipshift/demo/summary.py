"""The figures of a run: one outcome for each call, and what the nodes said of themselves.

Pure.  ``attempted = completed + refused + failed`` holds once every call has ended.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class Outcome(Enum):
    """How a call ended."""

    COMPLETED = "completed"  #: answered, and hung up by the caller
    REFUSED = "refused"  #: 503: nobody had room
    FAILED = "failed"  #: anything else, no answer included


@dataclass(frozen=True, slots=True)
class NodeFigures:
    """What a node said of itself last.

    :param calls: the calls that it carried
    :param peak: most calls at once
    :param limit: its threshold, infinite where there is none
    :param hops: how many of its calls had been forwarded 0, 1, 2 ... times
    """

    calls: int = 0
    peak: int = 0
    limit: float = math.inf
    hops: tuple[int, ...] = ()


@dataclass(slots=True)
class Summary:
    """Counts of one run of the caller.

    :ivar setups_s: the set-up time of each call that was answered
    :ivar reasons: why calls failed, and how many
    """

    completed: int = 0
    refused: int = 0
    failed: int = 0
    redirected: int = 0
    setups_s: list[float] = field(default_factory=list)
    nodes: Mapping[str, NodeFigures] = field(default_factory=dict)
    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def attempted(self) -> int:
        return self.completed + self.refused + self.failed

    def ended(self, outcome: Outcome, *, redirects: int, setup_s: float | None, reason: str = "") -> None:
        """Count one call.

        :param redirects: how many 302 it followed
        :param setup_s: from the first INVITE to the final 200; None when there was none
        :param reason: why it failed, if it did
        """
        if outcome is Outcome.COMPLETED:
            self.completed += 1
        elif outcome is Outcome.REFUSED:
            self.refused += 1
        else:
            self.failed += 1
            self.reasons[reason] += 1
        self.redirected += redirects > 0
        if setup_s is not None:
            self.setups_s.append(setup_s)

    @property
    def hops(self) -> dict[int, int]:
        """Accepted calls by the number of times that they were forwarded."""
        width = max((len(figures.hops) for figures in self.nodes.values()), default=0)
        counts = [
            sum(figures.hops[hop] for figures in self.nodes.values() if hop < len(figures.hops)) for hop in range(width)
        ]
        while counts and not counts[-1]:
            counts.pop()
        return dict(enumerate(counts))

    def setup_ms(self, share: float) -> float | None:
        """The set-up time that this share of the answered calls did not exceed; None when none was answered."""
        quantile = percentile(self.setups_s, share)
        return None if quantile is None else round(quantile * 1000, 2)

    def object(self) -> dict[str, Any]:
        """What ``--json`` prints."""
        return {
            "attempted": self.attempted,
            "completed": self.completed,
            "refused": self.refused,
            "failed": self.failed,
            "redirected": self.redirected,
            "setup_ms": {"p50": self.setup_ms(0.50), "p99": self.setup_ms(0.99)},
            "hops": {str(hop): count for hop, count in self.hops.items()},
            "nodes": {
                name: {"calls": figures.calls, "peak": figures.peak, "limit": limit_of(figures.limit)}
                for name, figures in self.nodes.items()
            },
        }


def percentile(values: Sequence[float], share: float) -> float | None:
    """The smallest of the values that at least this share of them does not exceed."""
    if not values:
        return None
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def limit_of(limit: float) -> int | str:
    """A limit as people write it."""
    return "unlimited" if math.isinf(limit) else int(limit)
