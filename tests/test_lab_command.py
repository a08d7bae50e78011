"""``voipshift lab``: its options, what it prints, and what it says of options that cannot be used."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import asdict
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from voipshift.cli import main
from voipshift.lab import measurements
from voipshift.lab.figures import FIGURES, Finding, excess
from voipshift.lab.measurements import Measurements
from voipshift.lab.run import Outcome, run
from voipshift.lab.scenario import Scenario

SMALL = ("lab", "--servers", "3", "--slots", "20", "--hold", "20", "--calls", "2000")


def voipshift(*words: str) -> tuple[int, str, str]:
    """Run the command: its exit code, standard output and standard error."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(words)
        except SystemExit as ended:
            code = int(ended.code or 0)
    return code, out.getvalue(), err.getvalue()


class LabTests(SynchronousTestCase):
    """One experiment."""

    def test_json_is_one_object_and_nothing_else(self) -> None:
        """With every option there is."""
        code, out, err = voipshift(
            *SMALL, "--ratio", "1:3", "--load", "0.9", "--hold-shape", "lognormal:1", "--seed", "5", "--loss", "0.1",
            "--delay-ms", "5", "--report-interval", "2", "--entry", "first:2", "--policy", "seed",
            "--fail", "0:150:160", "--fail", "1:200:210", "--collect", "race", "--collect-from", "2", "--json",
        )  # fmt: skip
        self.assertEqual((code, err), (0, ""))
        shown = json.loads(out)
        self.assertEqual(shown["policy"], "seed")
        self.assertEqual(out.count("\n"), 1)

    def test_table(self) -> None:
        """Without --json it is for a reader."""
        code, out, _ = voipshift(*SMALL, "--load", "0.5")
        self.assertEqual(code, 0)
        self.assertIn("the pooled group refuses nothing", out)

    def test_options_that_cannot_be_used(self) -> None:
        """One line that names the option, exit code 1; or argparse's own, 2."""
        for words, option, expected in [
            (("--ratio", "1:x"), "--ratio", 1),
            (("--ratio", "1:0"), "--ratio", 1),
            (("--entry", "first:0"), "--entry", 1),
            (("--entry", "first:9"), "--entry", 1),
            (("--entry", "last"), "--entry", 1),
            (("--fail", "0:9"), "--fail", 1),
            (("--fail", "0:9:8"), "--fail", 1),
            (("--fail", "3:1:2"), "--fail", 1),
            (("--hold-shape", "normal"), "--hold-shape", 1),
            (("--policy", "best"), "--policy", 1),
            (("--calls", "10"), "--calls", 1),
            (("--loss", "1"), "--loss", 2),
            (("--servers", "0"), "--servers", 2),
            (("--collect", "guess"), "--collect", 2),
            (("--collect-from", "none"), "--collect-from", 2),
        ]:
            code, out, err = voipshift(*SMALL, *words)
            self.assertEqual((code, out), (expected, ""), words)
            self.assertIn(option, err)
            if expected == 1:
                self.assertEqual(err.count("\n"), 1)


def outcome(refused: int, pooled: int, offered: int = 10_000) -> Outcome:
    measured = run("random", Scenario(servers=1, slots=20, calls=500))
    return Outcome(**{**asdict(measured), "refused": refused, "pooled_refused": pooled, "offered": offered})


class FigureTests(SynchronousTestCase):
    """How the figures are judged."""

    def test_there_are_twelve(self) -> None:
        """Each by its number."""
        self.assertEqual([figure.number for figure in FIGURES], list(range(1, 13)))

    def test_a_ratio_is_judged_where_the_pooled_group_blocks(self) -> None:
        """Below 0.1 % the difference counts instead: within 0.05 points."""
        self.assertEqual(excess(outcome(110, 100), 1.02), 1.1)
        self.assertEqual(excess(outcome(8, 4), 1.02), 1.02)
        self.assertEqual(excess(outcome(10, 4), 1.02), float("inf"))
        self.assertEqual(excess(outcome(0, 0), 1.02), 1.02)

    def test_every_seed_has_to_meet_it(self) -> None:
        """At most, or at least."""
        self.assertTrue(Finding("", [1.0, 1.02], 1.02).met)
        self.assertFalse(Finding("", [1.0, 1.03], 1.02).met)
        self.assertTrue(Finding("", [0.998], 0.998, at_most=False).met)
        self.assertFalse(Finding("", [0.999, 0.99], 0.998, at_most=False).met)

    def test_outcomes_are_measured_once_and_kept(self) -> None:
        """With the same code; another one begins anew."""
        begun: list[str] = []

        def bar(name: str, calls: int) -> object:
            begun.append(name)
            return lambda done: None

        file = Path(self.mktemp())
        scenario = Scenario(servers=2, slots=10, calls=1000)
        first = Measurements(file, bar, (1, 2)).outcomes("random", scenario)  # type: ignore[arg-type]
        again = Measurements(file, bar, (1, 2)).outcomes("random", scenario)  # type: ignore[arg-type]
        self.assertEqual(first, again)
        self.assertEqual(len(begun), 2)
        self.patch(measurements, "code_digest", lambda: "another")
        Measurements(file, bar, (1,)).outcomes("random", scenario)  # type: ignore[arg-type]
        self.assertEqual(len(begun), 3)
