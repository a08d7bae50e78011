"""Lines over the offered load, as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from voipshift.errors import ConfigurationError

try:
    import matplotlib
except ImportError:
    raise ConfigurationError("", "voipshift lab report", "needs matplotlib: pip install voipshift[lab]") from None

matplotlib.use("svg")

from matplotlib import pyplot

#: The same lines give the same octets.
matplotlib.rcParams["svg.hashsalt"] = "voipshift"

STYLES = ("-", "--", "-.", ":")


class Line(NamedTuple):
    """One policy."""

    name: str
    loads: Sequence[float]
    values: Sequence[float]


def draw(file: Path, title: str, lines: Sequence[Line], *, logarithmic: bool) -> None:
    """One plot.

    :param logarithmic: the values span decades; what is 0 is left out
    """
    figure, axes = pyplot.subplots(figsize=(8, 4.5))
    for index, line in enumerate(lines):
        values = [value if value > 0 or not logarithmic else float("nan") for value in line.values]
        axes.plot(line.loads, values, STYLES[index % len(STYLES)], marker=".", label=line.name)
    if logarithmic:
        axes.set_yscale("log")
    axes.set_xlabel("offered load / slots")
    axes.set_title(title)
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small", ncols=2)
    figure.tight_layout()
    figure.savefig(file, metadata={"Date": None})
    pyplot.close(figure)
