"""Outcomes of experiments, each measured once and kept in a file: a report that is interrupted goes on where it was.

The file belongs to the code that was measured: with another core or another lab it is begun anew.  Experiments do not
depend on each other, so those that somebody will want are measured ahead, on all processors.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
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

#: What is asked for and not measured yet; its value is nobody's.
STAND_IN = Outcome(
    policy="", offered=1, refused=1, lost=0, pooled_refused=1, erlang_b=1.0, hops_mean=1.0, hops_p99=1, hops_max=1,
    hops_least=1.0, jain_mean=1.0, jain_min=1.0, max_over_mean=1.0, messages_per_call=1.0, datagrams_per_node_s=1.0,
    reports_per_node_s=1.0, restart_peak=None, needless=0, asks_of_refused=0,
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
        #: what a look ahead asked for; None while nobody does that
        self._wanted: dict[str, tuple[str, Scenario]] | None = None
        self._code = code_digest()
        if file is not None and file.exists():
            kept = json.loads(file.read_text())
            if kept["code"] == self._code:
                self._outcomes = kept["outcomes"]

    def ahead(self, look: Callable[[], object]) -> None:
        """Measure all that a look at the outcomes wants, on all processors.

        :param look: asks for outcomes; what it gets the first time are stand-ins
        """
        self._wanted = {}
        look()
        wanted, self._wanted = self._wanted, None
        if not wanted:
            return
        longest_first = sorted(wanted, key=lambda key: -wanted[key][1].servers * wanted[key][1].calls)
        progress = self._bar(f"{len(wanted)} experiments", len(wanted))
        with ProcessPoolExecutor(os.cpu_count()) as pool:
            running = {pool.submit(run, *wanted[key]): key for key in longest_first}
            for done, future in enumerate(as_completed(running), 1):
                self._keep(running[future], future.result())
                progress(done)

    def outcomes(self, policy: str, scenario: Scenario) -> list[Outcome]:
        """One for each seed."""
        return [self.outcome(policy, replace(scenario, seed=seed)) for seed in self.seeds]

    def outcome(self, policy: str, scenario: Scenario) -> Outcome:
        """That of one trace."""
        key = f"{policy} {scenario}"
        if key not in self._outcomes:
            if self._wanted is not None:
                self._wanted[key] = (policy, scenario)
                return STAND_IN
            bar = self._bar(f"{policy}, {scenario.servers} servers, load {scenario.load:g}", scenario.calls)
            self._keep(key, run(policy, scenario, bar))
        return Outcome(**self._outcomes[key])

    def _keep(self, key: str, outcome: Outcome) -> None:
        self._outcomes[key] = asdict(outcome)
        if self._file is not None:
            kept = {"code": self._code, "outcomes": self._outcomes}
            self._file.write_text(json.dumps(kept, indent=1) + "\n")


def code_digest() -> str:
    """Of everything that an outcome depends on."""
    package = Path(voipshift.__file__).parent
    digest = hashlib.sha256()
    for pattern in MEASURED:
        for file in sorted(package.glob(pattern)):
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
