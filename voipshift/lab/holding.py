"""How long calls last: three shapes of the distribution, each with its mean.

Erlang's formula only knows the mean.  Rules that learn from calls that end may know more, so the lab offers shapes with
a variance far from the exponential one's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Exponential:
    """Memoryless, as in the classic theory."""

    mean_s: float

    def draw(self, random: Random) -> float:
        """How long one call lasts."""
        return random.expovariate(1.0 / self.mean_s)

    def __str__(self) -> str:
        return "exponential"


@dataclass(frozen=True, slots=True)
class Lognormal:
    """What telephone calls were measured to be: many short ones and a long tail.

    :param sigma: of the logarithm; 0 makes all calls equally long
    """

    mean_s: float
    sigma: float

    def draw(self, random: Random) -> float:
        """How long one call lasts."""
        return random.lognormvariate(math.log(self.mean_s) - self.sigma**2 / 2, self.sigma)

    def __str__(self) -> str:
        return f"lognormal:{self.sigma:g}"


@dataclass(frozen=True, slots=True)
class Mix:
    """Two kinds of calls, each exponential: a share of short announcements among conferences.

    :param share: of the first kind
    """

    share: float
    first_s: float
    second_s: float

    @property
    def mean_s(self) -> float:
        """The mean of all calls."""
        return self.share * self.first_s + (1.0 - self.share) * self.second_s

    def draw(self, random: Random) -> float:
        """How long one call lasts."""
        mean_s = self.first_s if random.random() < self.share else self.second_s
        return random.expovariate(1.0 / mean_s)

    def __str__(self) -> str:
        return f"mix:{self.share:g},{self.first_s:g},{self.second_s:g}"


Holding = Exponential | Lognormal | Mix


def parse_shape(text: str, mean_s: float) -> Holding:
    """Read ``exponential``, ``lognormal:S`` or ``mix:W,H1,H2``.

    :param mean_s: the mean of the first two; a mix says its means itself
    :raises ValueError: it is none of these
    """
    kind, _, numbers = text.partition(":")
    if text == "exponential":
        return Exponential(mean_s)
    try:
        values = [float(number) for number in numbers.split(",")]
    except ValueError:
        values = []
    if kind == "lognormal" and len(values) == 1 and 0.0 <= values[0] <= 4.0:
        return Lognormal(mean_s, values[0])
    if kind == "mix" and len(values) == 3 and 0.0 <= values[0] <= 1.0 and 0.0 < min(values[1:]) <= max(values) <= 1e6:
        return Mix(*values)
    raise ValueError("must be exponential, lognormal:S with S from 0 to 4, or mix:W,H1,H2 with W from 0 to 1")
