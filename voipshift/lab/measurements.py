"""Outcomes of experiments, each measured once and kept in a file: a report that is interrupted goes on where it was.

The file belongs to the code that was measured: with another core or another lab it is begun anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import voipshift
from voipshift.lab.run import Outcome, run
from voipshift.lab.scenario import Scenario

#: Three traces, so that a figure is not met by luck.
SEEDS = (1, 2, 3)

#: What an outcome depends on, within the package.
MEASURED = (
    "balance/*.py",
    "delegation/*.py",
    "group/polls.py",
    "group/reports.py",
    *(
        f"lab/{noun}.py"
        for noun in (
            "asking", "eventqueue", "holding", "measures", "network", "pooled", "rivals", "run", "scenario", "server",
            "shifting", "trace",
        )
    ),
)  # fmt: skip

#: Starts a progress bar: for what, and of how many calls.
Bar = Callable[[str, int], Callable[[int], None]]


class Measurements:
    """Experiments and their outcomes.

    :param file: where outcomes are kept; None to keep none
    :param seeds: of the traces of each scenario
    """

    def __init__(self, file: Path | None, bar: Bar, seeds: tuple[int, ...] = SEEDS) -> None:
        self.seeds = seeds
        self._file = file
        self._bar = bar
        self._outcomes: dict[str, dict[str, Any]] = {}
        self._code = code_digest()
        if file is not None and file.exists():
            kept = json.loads(file.read_text())
            if kept["code"] == self._code:
                self._outcomes = kept["outcomes"]

    def outcomes(self, policy: str, scenario: Scenario) -> list[Outcome]:
        """One for each seed."""
        return [self.outcome(policy, replace(scenario, seed=seed)) for seed in self.seeds]

    def outcome(self, policy: str, scenario: Scenario) -> Outcome:
        """That of one trace."""
        key = f"{policy} {scenario}"
        if key not in self._outcomes:
            bar = self._bar(f"{policy}, {scenario.servers} servers, load {scenario.load:g}", scenario.calls)
            self._outcomes[key] = asdict(run(policy, scenario, bar))
            if self._file is not None:
                kept = {"code": self._code, "outcomes": self._outcomes}
                self._file.write_text(json.dumps(kept, indent=1) + "\n")
        return Outcome(**self._outcomes[key])


def code_digest() -> str:
    """Of everything that an outcome depends on."""
    package = Path(voipshift.__file__).parent
    digest = hashlib.sha256()
    for pattern in MEASURED:
        for file in sorted(package.glob(pattern)):
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
