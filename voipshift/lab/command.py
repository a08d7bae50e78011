"""``voipshift lab``: the options as text, one experiment, and its outcome as a table or as JSON."""

from __future__ import annotations

import json
import math
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from voipshift.errors import ConfigurationError
from voipshift.lab.holding import parse_shape
from voipshift.lab.processors import POLICIES as PROCESSOR_POLICIES
from voipshift.lab.processors import Processors, simulate
from voipshift.lab.run import POLICIES, Outcome, run
from voipshift.lab.scenario import Outage, Scenario


def main(arguments: Namespace) -> int:
    """Run one experiment and print its outcome."""
    try:
        scenario = scenario_of(arguments)
    except ValueError as error:
        raise ConfigurationError("", "voipshift lab", str(error)) from None
    if arguments.policy not in POLICIES:
        raise ConfigurationError("", "voipshift lab", f"--policy: must be one of {', '.join(POLICIES)}")
    with progress_bar() as bar:
        outcome = run(arguments.policy, scenario, bar(arguments.policy, scenario.calls))
    console = Console(soft_wrap=True, highlight=False)
    if arguments.json:
        console.out(json.dumps(outcome.json()), highlight=False)
    else:
        console.print(table_of(outcome))
    return 0


def report(arguments: Namespace) -> int:
    """Measure the table of figures and write the page."""
    from voipshift.lab.report import write

    with progress_bar() as bar:
        write(Path(arguments.directory), bar)
    return 0


def processors(arguments: Namespace) -> int:
    """Simulate a group whose processors are the narrow place, by several policies on the same trace."""
    try:
        scenario = Processors(
            servers=arguments.servers,
            ratio=ratio_of(arguments.ratio),
            service_s=arguments.service_ms / 1000,
            load=arguments.load,
            entry=entry_of(arguments.entry),
            seconds=arguments.seconds,
            seed=arguments.seed,
            loss=arguments.loss,
            delay_s=arguments.delay_ms / 1000,
            report_interval_s=arguments.report_interval,
            shift_cost=arguments.shift_cost,
            refuse_cost=arguments.refuse_cost,
        )
    except ValueError as error:
        raise ConfigurationError("", "voipshift lab cpu", str(error)) from None
    chosen = arguments.policy.split(",")
    if not set(chosen) <= set(PROCESSOR_POLICIES):
        known = ", ".join(PROCESSOR_POLICIES)
        raise ConfigurationError(
            "", "voipshift lab cpu", f"--policy: must be some of {known}, with commas between them"
        )
    outcomes = [simulate(policy, scenario) for policy in chosen]
    console = Console(soft_wrap=True, highlight=False)
    if arguments.json:
        console.out(json.dumps([asdict(outcome) for outcome in outcomes]), highlight=False)
        return 0
    title = f"{outcomes[0].offered} calls, goodput of {scenario.bound:.3f} possible; waits in ms"
    table = Table(title=title, box=None, padding=(0, 0, 0, 1), pad_edge=False)
    for heading in ("policy", "mean", "p99", "most", "shifted", "refused", "at", "goodput", "Jain"):
        table.add_column(heading, justify="left" if heading == "policy" else "right", no_wrap=True)
    for each in outcomes:
        waits = [f"{wait:.1f}" for wait in (each.wait_mean_ms, each.wait_p99_ms, each.wait_max_ms)]
        shares = [f"{each.shifted:.1%}", f"{each.refused:.1%}", f"{each.touched:.2f}", f"{each.goodput:.3f}"]
        table.add_row(each.policy, *waits, *shares, f"{each.jain:.4f}")
    console.print(table)
    return 0


def ratio_of(text: str) -> tuple[float, ...]:
    """The ratio of the servers.

    :raises ValueError: it is none
    """
    with _named("--ratio", "must be numbers above 0 with colons between them, such as 1:2:4"):
        ratio = tuple(float(share) for share in text.split(":"))
        if not 0.0 < min(ratio) <= max(ratio) < 1e6:
            raise ValueError
    return ratio


def entry_of(text: str) -> str:
    """Whom clients know.

    :raises ValueError: it is none of the words
    """
    with _named("--entry", "must be random, primary, weighted, or first:K with K from 1"):
        kind, _, known = text.partition(":")
        if text not in ("random", "primary", "weighted") and (kind != "first" or int(known) < 1):
            raise ValueError
    return text


def scenario_of(arguments: Namespace) -> Scenario:
    """The scenario that the options describe.

    :raises ValueError: one of them cannot be used; the sentence names it
    """
    ratio, entry = ratio_of(arguments.ratio), entry_of(arguments.entry)
    outages = []
    for text in arguments.fail:
        with _named("--fail", "must be NODE:FROM:TO, a node counted from 0 and simulated seconds, FROM before TO"):
            node, start, end = text.split(":")
            outages.append(Outage(int(node), float(start), float(end)))
            if not (outages[-1].server >= 0 and 0.0 <= outages[-1].start_s < outages[-1].end_s):
                raise ValueError
    try:
        holding = parse_shape(arguments.hold_shape, arguments.hold)
    except ValueError as error:
        raise ValueError(f"--hold-shape: {error}") from None
    return Scenario(
        servers=arguments.servers,
        slots=arguments.slots,
        ratio=ratio,
        load=arguments.load,
        holding=holding,
        calls=arguments.calls,
        seed=arguments.seed,
        loss=arguments.loss,
        delay_s=arguments.delay_ms / 1000,
        report_interval_s=arguments.report_interval,
        entry=entry,
        outages=tuple(outages),
        collect=arguments.collect,
        collect_from=math.inf if arguments.collect_from == "all" else arguments.collect_from,
    )


def table_of(outcome: Outcome) -> Table:
    """The outcome for a reader."""
    table = Table(title=f"{outcome.policy}: {outcome.offered} calls counted", show_header=False)
    ratio = f"{outcome.ratio:.3f}" if outcome.ratio is not None else "the pooled group refuses nothing"
    peak = f"{outcome.restart_peak:.2f} of its fair rate" if outcome.restart_peak is not None else "no server restarted"
    for name, value in [
        ("refused", f"{outcome.refused}"),
        ("blocking", f"{outcome.blocking:.3%}"),
        ("of the pooled group", f"{outcome.pooled_blocking:.3%}"),
        ("by Erlang B", f"{outcome.erlang_b:.3%}"),
        ("blocking / pooled", ratio),
        ("hops, mean", f"{outcome.hops_mean:.3f}, least possible {outcome.hops_least:.3f}"),
        ("hops, p99 and most", f"{outcome.hops_p99} and {outcome.hops_max}"),
        ("Jain's index, mean and lowest", f"{outcome.jain_mean:.4f} and {outcome.jain_min:.4f}"),
        ("fullest server / mean", f"{outcome.max_over_mean:.3f}"),
        ("messages per call", f"{outcome.messages_per_call:.2f}"),
        ("datagrams per node and second", f"{outcome.datagrams_per_node_s:.2f}"),
        ("busiest second after a restart", peak),
    ]:
        table.add_row(name, value)
    return table


#: Starts one bar: for what, and of how many calls.
Bar = Callable[[str, int], Callable[[int], None]]


@contextmanager
def progress_bar() -> Iterator[Bar]:
    """A progress bar on standard error, where that is a terminal; one experiment after the other."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=None)

        def start(name: str, calls: int) -> Callable[[int], None]:
            progress.reset(task, description=name, total=calls)
            return lambda done: progress.update(task, completed=done)

        yield start


@contextmanager
def _named(option: str, sentence: str) -> Iterator[None]:
    """Give a value that cannot be read the name of its option."""
    try:
        yield
    except ValueError:
        raise ValueError(f"{option}: {sentence}") from None
