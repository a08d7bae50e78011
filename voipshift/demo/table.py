"""The live table: what each node says of itself, and how far the calls are.  Written to standard error.

On a terminal it is redrawn in place; elsewhere it is printed once, at the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import isinf
from typing import NamedTuple

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from voipshift.demo.summary import Summary, limit_of

#: Cells of a node's occupancy bar.
BAR = 10


class Row(NamedTuple):
    """One node as it was heard last; ``state`` is a word such as ``alive``."""

    name: str
    state: str
    occupancy: float
    calls: int
    leases: int
    limit: float
    accepted: int
    asked_on: int


class LiveTable:
    """Shows the group while calls run.

    :param total: how many calls there will be; None where none are placed, and then there is no progress bar
    """

    def __init__(self, console: Console, title: str, total: int | None) -> None:
        self._title = title
        self._progress = None if total is None else _progress(console, total)
        self._live = Live(
            console=console,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="visible",
        )
        self._shown = False

    def show(self, rows: Iterable[Row], summary: Summary) -> None:
        """Draw the present state."""
        parts: list[RenderableType] = [node_table(self._title, rows)]
        if self._progress is not None:
            outcome = f"{summary.completed} completed, {summary.refused} refused, {summary.failed} failed; "
            outcome += f"{summary.redirected} redirected"
            self._progress.update(self._progress.task_ids[0], completed=summary.attempted, outcome=outcome)
            parts.append(self._progress)
        if not self._shown:
            self._live.start()
            self._shown = True
        self._live.update(Group(*parts), refresh=self._live.console.is_terminal)

    def close(self) -> None:
        """Leave the last state standing."""
        if self._shown:
            self._live.stop()
            if not self._live.console.is_terminal:
                self._live.console.line()
            self._shown = False


def node_table(title: str, rows: Iterable[Row]) -> Table:
    """The nodes, one a row."""
    table = Table(title=title, title_justify="left")
    table.add_column("node")
    table.add_column("state")
    table.add_column("occupancy", no_wrap=True)
    for heading in ("calls", "leases", "accepted", "asked on"):
        table.add_column(heading, justify="right")
    for row in rows:
        calls = f"{row.calls}" if isinf(row.limit) else f"{row.calls} of {limit_of(row.limit)}"
        figures = (row.leases, row.accepted, row.asked_on)
        table.add_row(row.name, row.state, _bar(row.occupancy), calls, *map(str, figures))
    return table


def comparison(runs: Mapping[str, Summary]) -> Table:
    """The figures of several runs beside each other."""
    table = Table()
    table.add_column("")
    for heading in runs:
        table.add_column(heading, justify="right")
    summaries = list(runs.values())
    for label in ("attempted", "completed", "refused", "failed", "redirected"):
        table.add_row(label, *(str(getattr(summary, label)) for summary in summaries))
    for label, share in (("set-up p50", 0.50), ("set-up p99", 0.99)):
        table.add_row(label, *(_milliseconds(summary.setup_ms(share)) for summary in summaries))
    for hop in sorted({hop for summary in summaries for hop in summary.hops}):
        table.add_row(
            f"accepted after {hop} hop{'s' * (hop != 1)}", *(str(summary.hops.get(hop, 0)) for summary in summaries)
        )
    for name in dict.fromkeys(name for summary in summaries for name in summary.nodes):
        table.add_row(f"carried by {name}", *(_carried(summary, name) for summary in summaries))
    return table


def _progress(console: Console, total: int) -> Progress:
    columns = (TextColumn("calls"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[outcome]}"))
    progress = Progress(*columns, console=console)
    progress.add_task("calls", total=total, outcome="")
    return progress


def _bar(occupancy: float) -> Text:
    cells = min(BAR, max(0, round(occupancy * BAR)))
    style = "red" if occupancy >= 1 else "yellow" if occupancy >= 0.7 else "green"
    return Text.assemble(("█" * cells, style), ("·" * (BAR - cells), "dim"), f" {occupancy:5.0%}")


def _milliseconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} ms"


def _carried(summary: Summary, name: str) -> str:
    figures = summary.nodes.get(name)
    return "-" if figures is None else f"{figures.calls} (peak {figures.peak} of {limit_of(figures.limit)})"
