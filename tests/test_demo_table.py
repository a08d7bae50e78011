"""The live table and the comparison, as text."""

from __future__ import annotations

import math
from io import StringIO

from rich.console import Console
from twisted.trial.unittest import SynchronousTestCase

from voipshift.demo.summary import NodeFigures, Outcome, Summary
from voipshift.demo.table import LiveTable, Row, comparison

ROWS = [Row("primary", "full", 1.0, 18, 2, 20, 60, 140), Row("member1", "free", 0.5, 30, 0, math.inf, 70, 0)]


def some_calls() -> Summary:
    """Three completed, one refused."""
    summary = Summary()
    for _ in range(3):
        summary.ended(Outcome.COMPLETED, redirects=1, setup_s=0.004)
    summary.ended(Outcome.REFUSED, redirects=0, setup_s=None)
    summary.nodes = {"primary": NodeFigures(1, 1, 20, (1,)), "member1": NodeFigures(2, 2, math.inf, (0, 2))}
    return summary


def row_of(text: str, label: str) -> list[str]:
    """The cells of the line that begins so."""
    line = next(line for line in text.splitlines() if label in line)
    return [cell.strip() for cell in line.replace("┃", "│").split("│") if cell.strip()]


class LiveTableTest(SynchronousTestCase):
    """Drawn in place on a terminal, printed once elsewhere."""

    def test_off_a_terminal_the_last_state_is_printed_once(self) -> None:
        text = StringIO()
        table = LiveTable(Console(file=text, width=120), "The group", 10)
        table.show(ROWS, Summary())
        self.assertEqual(text.getvalue(), "")
        table.show(ROWS, some_calls())
        table.close()
        shown = text.getvalue()
        self.assertEqual(shown.count("The group"), 1)
        self.assertEqual(row_of(shown, "primary")[-4:], ["18 of 20", "2", "60", "140"])
        self.assertEqual(row_of(shown, "member1")[-4:], ["30", "0", "70", "0"])
        self.assertIn("4/10", shown)
        self.assertIn("3 completed", shown)

    def test_it_fits_into_eighty_columns(self) -> None:
        """Whatever the limits are, nothing is cut short."""
        text = StringIO()
        table = LiveTable(Console(file=text, width=80), "The group", None)
        table.show(ROWS, Summary())
        table.close()
        self.assertNotIn("…", text.getvalue())

    def test_on_a_terminal_it_is_redrawn(self) -> None:
        text = StringIO()
        table = LiveTable(Console(file=text, width=120, force_terminal=True), "The group", 10)
        table.show(ROWS, Summary())
        table.show(ROWS, some_calls())
        table.close()
        self.assertGreaterEqual(text.getvalue().count("The group"), 2)

    def test_closing_what_was_never_shown_prints_nothing(self) -> None:
        text = StringIO()
        LiveTable(Console(file=text), "The group", None).close()
        self.assertEqual(text.getvalue(), "")

    def test_an_occupancy_beyond_the_threshold_does_not_break_the_bar(self) -> None:
        text = StringIO()
        table = LiveTable(Console(file=text, width=120), "The group", None)
        table.show(
            [row._replace(occupancy=occupancy) for row, occupancy in zip(ROWS, (3.0, -1.0), strict=True)], Summary()
        )
        table.close()
        self.assertIn("300%", text.getvalue())


class ComparisonTest(SynchronousTestCase):
    """Runs beside each other."""

    def test_every_figure_of_each_run_is_there(self) -> None:
        text = StringIO()
        Console(file=text, width=120).print(comparison({"group of 2": some_calls(), "primary alone": Summary()}))
        shown = text.getvalue()
        self.assertEqual(row_of(shown, "attempted"), ["attempted", "4", "0"])
        self.assertEqual(row_of(shown, "set-up p99"), ["set-up p99", "4.0 ms", "-"])
        self.assertEqual(row_of(shown, "after 1 hop"), ["accepted after 1 hop", "2", "0"])
        self.assertEqual(row_of(shown, "carried by member1"), ["carried by member1", "2 (peak 2 of unlimited)", "-"])
