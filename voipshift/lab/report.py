"""The lab's report: a page that says of each figure whether it is met, with tables and plots beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from voipshift.lab.cases import CASES, WAYS
from voipshift.lab.figures import EIGHT, FIGURES, UNTUNED, Figure, Finding
from voipshift.lab.measurements import Bar, Measurements
from voipshift.lab.plots import Line, draw
from voipshift.lab.run import POLICIES, Outcome

PAGE = "README.rst"
OUTCOMES = "outcomes.json"
#: What the author of the page has to say about the figures that are not met; kept when the page is made anew.
REMARKS = "remarks.rst"

#: What the plots show.
PLOTTED_CALLS = 100_000
LOADS = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2)

HEAD = """\
How well the group is balanced
==============================

Made by ``voipshift lab report docs/balancing``; every number can be had alone with ``voipshift lab``.  The servers
of the lab are the program's own core (delegation, rule, members, workload, leases, the schedule of reports) in
simulated time.  *Pooled* is one server with all the slots on the same trace: no scheme can refuse fewer calls.
{seeds} seeds each.
"""


def write(directory: Path, bar: Bar) -> None:
    """Measure what is not yet measured and write the page.

    :param directory: made if there is none; what was measured before is kept there
    """
    directory.mkdir(parents=True, exist_ok=True)
    measured = Measurements(directory / OUTCOMES, bar)
    measured.ahead(lambda: _look(measured))
    found = [(figure, list(figure.measure(measured))) for figure in FIGURES]
    parts = [HEAD.format(seeds=len(measured.seeds)), *_summary(found)]
    untuned = (UNTUNED, list(UNTUNED.measure(measured)))
    remarks = directory / REMARKS
    if remarks.exists():
        parts.append(remarks.read_text())
    parts += _plots(directory, measured)
    parts += _rivals(measured)
    parts += _collected(measured)
    parts += _untuned(measured, untuned)
    parts += _details(found)
    (directory / PAGE).write_text("\n".join(parts))


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A simple table of reStructuredText."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    rule = "  ".join("=" * width for width in widths)
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    first = "  ".join(cell.ljust(width) for cell, width in zip(head, widths, strict=True)).rstrip()
    return "\n".join([rule, first, rule, *lines, rule, ""])


def _look(measured: Measurements) -> None:
    """Ask for every outcome that the page shows."""
    for figure in (*FIGURES, UNTUNED):
        list(figure.measure(measured))
    for policy in POLICIES:
        _plotted(measured, policy)
    list(_rivals(measured))
    list(_collected(measured))


def _summary(found: Sequence[tuple[Figure, list[Finding]]]) -> Iterator[str]:
    yield _title("The twelve figures")
    rows = []
    for figure, findings in found:
        missed = sum(not finding.met for finding in findings)
        verdict = "met" if not missed else f"{missed} of {len(findings)} cases not met"
        rows.append((str(figure.number), figure.text, figure.reach, figure.study, verdict))
    yield table(("#", "figure", "reach", "the study had", "here"), rows)


def _details(found: Sequence[tuple[Figure, list[Finding]]]) -> Iterator[str]:
    yield _title("Every case")
    for figure, findings in found:
        yield f"{figure.number}. {figure.text}\n"
        rows = []
        for finding in findings:
            bound = f"{'≤' if finding.at_most else '≥'} {finding.bound:g}"
            values, verdict = _judged(finding)
            rows.append((finding.case, values, bound, verdict))
        yield table(("case", "each seed", "reach", "verdict"), rows)


def _rivals(measured: Measurements) -> Iterator[str]:
    yield _title("Beside its rivals")
    yield "8 servers of 100 slots on average, 1:2:4, everybody an entry, seed 1.\n"
    for at in (0.8, 1.0, 1.2):
        yield f"Load {at}:\n"
        yield table(_HEAD, [_row(policy, measured.outcome(policy, replace(EIGHT, load=at))) for policy in POLICIES])


def _collected(measured: Measurements) -> Iterator[str]:
    yield _title("Ways to know the others")
    yield "Rule ``even``, 8 servers; ``collect`` and ``collect_from`` as in a node's ``[balance]``, seed 1.\n"
    yield table(_HEAD, [_row(case.text, measured.outcome("voipshift", case.scenario)) for case in WAYS])


def _untuned(measured: Measurements, found: tuple[Figure, list[Finding]]) -> Iterator[str]:
    figure, findings = found
    yield _title("Cases that nobody tuned for")
    yield f"Rule ``even``, 8 servers, load 1.0 unless it says otherwise, seed 1; {figure.text}: {figure.reach}.\n"
    yield table(
        (*_HEAD, "over pooled", "verdict"),
        [
            (*_row(case.text, measured.outcome("voipshift", case.scenario)), *_judged(finding))
            for case, finding in zip(CASES, findings, strict=True)
        ],
    )


def _judged(finding: Finding) -> tuple[str, str]:
    return ", ".join(f"{value:.4g}" for value in finding.values), "met" if finding.met else "not met"


_HEAD = ("", "blocking", "pooled", "hops", "least", "most", "Jain", "lowest", "messages a call", "datagrams", "reports")


def _row(name: str, outcome: Outcome) -> tuple[str, ...]:
    return (
        name,
        f"{outcome.blocking:.3%}",
        f"{outcome.pooled_blocking:.3%}",
        f"{outcome.hops_mean:.3f}",
        f"{outcome.hops_least:.3f}",
        str(outcome.hops_max),
        f"{outcome.jain_mean:.4f}",
        f"{outcome.jain_min:.4f}",
        f"{outcome.messages_per_call:.2f}",
        f"{outcome.datagrams_per_node_s:.2f}",
        f"{outcome.reports_per_node_s:.2f}",
    )


def _plots(directory: Path, measured: Measurements) -> Iterator[str]:
    yield _title("Plots")

    shown = {policy: _plotted(measured, policy) for policy in POLICIES}
    pooled = Line("pooled", LOADS, [outcome.pooled_blocking for outcome in shown["seed"]])
    for name, title, lines in [
        ("blocking", "share of calls refused",
         [pooled, *(Line(policy, LOADS, [each.blocking for each in of]) for policy, of in shown.items())]),
        ("jain", "Jain's index of utilisation",
         [Line(policy, LOADS, [each.jain_mean for each in of]) for policy, of in shown.items()]),
        ("hops", "mean hops of a carried call",
         [Line(policy, LOADS, [each.hops_mean for each in of]) for policy, of in shown.items()]),
    ]:  # fmt: skip
        draw(directory / f"{name}.svg", title, lines, logarithmic=name == "blocking")
        yield f".. image:: {name}.svg\n   :alt: {title} over the offered load\n"


def _plotted(measured: Measurements, policy: str) -> list[Outcome]:
    return [measured.outcome(policy, replace(EIGHT, load=at, calls=PLOTTED_CALLS)) for at in LOADS]


def _title(text: str) -> str:
    return f"{text}\n{'-' * len(text)}\n"
