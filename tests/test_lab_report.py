"""The page that the lab's report writes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from voipshift.lab import figures
from voipshift.lab.cases import CASES, Case
from voipshift.lab.figures import Figure, Finding
from voipshift.lab.measurements import Measurements
from voipshift.lab.run import run
from voipshift.lab.scenario import Scenario

SMALL = Scenario(servers=2, slots=10, calls=1000)


class PageTests(SynchronousTestCase):
    """Written into a folder, with its plots."""

    if find_spec("matplotlib") is None:
        skip = "the plots need matplotlib: pip install voipshift[lab]"

    def test_page(self) -> None:
        """Each figure with its verdict, the remarks, the plots, the rivals and the cases."""
        from voipshift.lab import report

        def measure(measured: Measurements) -> Iterator[Finding]:
            yield Finding(
                "good", [each.jain_mean for each in measured.outcomes("voipshift", SMALL)], 0.0, at_most=False
            )
            yield Finding("bad", [1.0], 0.5)

        self.patch(report, "FIGURES", (Figure(1, "figure one", "≥ 0", "0", measure),))
        for room in (report, figures):
            self.patch(room, "CASES", (Case("case one", SMALL),))
        self.patch(report, "WAYS", (Case("way one", SMALL),))
        self.patch(report, "LOADS", (0.8, 1.0))
        self.patch(report, "EIGHT", SMALL)
        self.patch(report, "PLOTTED_CALLS", SMALL.calls)
        directory = Path(self.mktemp())
        directory.mkdir()
        (directory / report.REMARKS).write_text("Why figure one is not met\n")
        report.write(directory, lambda name, calls: lambda done: None)
        page = (directory / report.PAGE).read_text()
        for words in (
            "1 of 2 cases not met",
            "Why figure one",
            "case one",
            "way one",
            "round-robin",
            "image:: blocking.svg",
        ):
            self.assertIn(words, page)
        for name in ("blocking", "jain", "hops"):
            self.assertIn("<svg", (directory / f"{name}.svg").read_text())


class CaseTests(SynchronousTestCase):
    """The cases that nobody tuned for."""

    def test_each_can_be_simulated(self) -> None:
        """With fewer calls than the report takes; all calls end, and most are carried."""
        for case in CASES:
            scenario = case.scenario
            least = int(1.3 * scenario.counted_from_s * scenario.calls_per_s)
            outcome = run("voipshift", replace(scenario, calls=least))
            self.assertTrue(outcome.blocking < 0.3, f"{case.text}: {outcome.blocking}")
