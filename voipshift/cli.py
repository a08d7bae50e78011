"""The ``voipshift`` command: check a configuration, make a group's key, see a group shift calls, place a call by hand,
list calls and explain them, measure how well they are balanced.

A node itself is started with ``twistd voipshift``.  What a subcommand needs is imported when it is called, for only
some of them need a reactor.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from voipshift import __version__
from voipshift.errors import ConfigurationError

#: The status of a shell for a command that Ctrl-C ended.
INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand.

    :param argv: the words after ``voipshift``
    :return: the exit code: 0, or 1 when what was asked for did not come about, or 130 when it was interrupted before it
        began (argparse itself exits with 2)
    """
    arguments = _parser().parse_args(argv)
    run: Callable[[argparse.Namespace], int] = arguments.run
    try:
        return run(arguments)
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED


def check(arguments: argparse.Namespace) -> int:
    """Read a configuration as a node would, ports apart."""
    from voipshift import configfile
    from voipshift.wiring import reception

    reception.look_at(configfile.load(arguments.file))
    print(f"{arguments.file}: ok")
    return 0


def keygen(arguments: argparse.Namespace) -> int:
    """Make a key file for a group."""
    from voipshift.group import keys

    keys.make(arguments.file)
    return 0


def user(arguments: argparse.Namespace) -> int:
    """Add, change or remove a user."""
    from voipshift import useradd

    change = partial(useradd.add, h323=arguments.h323) if arguments.action == "add" else useradd.remove
    print(change(arguments.file, arguments.name))
    return 0


def demo(arguments: argparse.Namespace) -> int:
    """Start a group on loopback and place calls."""
    from voipshift.demo import run

    return run.main(arguments)


def call(arguments: argparse.Namespace) -> int:
    """Place one call."""
    from voipshift.demo import callbyhand

    return callbyhand.main(arguments)


def calls(arguments: argparse.Namespace) -> int:
    """List the last calls."""
    from voipshift import callrecords

    return _told(callrecords.calls(arguments.config, arguments.since, arguments.limit, arguments.json))


def explain(arguments: argparse.Namespace) -> int:
    """Tell how a call was decided."""
    from voipshift import callrecords

    return _told(callrecords.explain(arguments.config, arguments.call_id))


def lab(arguments: argparse.Namespace) -> int:
    """Simulate a group under traffic."""
    from voipshift.lab import command

    return command.main(arguments)


def lab_report(arguments: argparse.Namespace) -> int:
    """Measure the figures of the lab."""
    from voipshift.lab import command

    return command.report(arguments)


def lab_cpu(arguments: argparse.Namespace) -> int:
    """Simulate a group whose processors are the narrow place."""
    from voipshift.lab import command

    return command.processors(arguments)


def _told(lines: Iterable[str]) -> int:
    """Print lines, as many as are wanted."""
    try:
        for line in lines:
            print(line)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads has seen enough: head, less
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="voipshift",
        description="A group of VoIP proxy servers that shift calls among themselves. "
        "A node is started with: twistd -n voipshift --config FILE",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(run: Callable[[argparse.Namespace], int], summary: str) -> argparse.ArgumentParser:
        added = commands.add_parser(run.__name__, help=summary, description=summary)
        added.set_defaults(run=run)
        return added

    add = command(check, "Check a configuration file, all but whether its ports are free.").add_argument
    add("file", metavar="FILE", help="the configuration file")

    add = command(keygen, "Make a group's key file, which all its members have and nobody else can read.").add_argument
    add("file", metavar="FILE", help="the key file; one that exists is left alone")

    add = command(user, "Add a user, change a password, or remove a user.").add_argument
    add("action", choices=("add", "remove"), help="add also changes a password")
    add("file", metavar="FILE", help="the configuration of a node; its access.users says where users are kept")
    add("name", metavar="NAME", help="the user part of the telephone's address")
    add("--h323", action="store_true", help="add: keep the password itself too, which H.235 of H.323 needs")

    add = command(demo, "Start a group on loopback, place calls at its primary and show how they shift.").add_argument
    add("--nodes", type=_whole(1, 90), default=3, metavar="N", help="how many nodes (default: %(default)s)")
    add("--calls", type=_whole(1, 1_000_000), default=200, metavar="N", help="how many calls (default: %(default)s)")
    add("--h323-calls", type=_whole(0, 1_000_000), default=0, metavar="N", help="how many more by H.323 (default: 0)")
    add("--rate", type=_above_zero, default=50.0, metavar="N", help="calls a second (default: 50)")
    add("--hold", type=_above_zero, default=2.0, metavar="SECONDS", help="how long each call lasts (default: 2)")
    add(
        "--base-port",
        type=_whole(1, 65535),
        default=15060,
        metavar="PORT",
        help="the first port (default: %(default)s)",
    )
    add(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a setting: workload.calls_per_second=1000 for all "
        "nodes, primary.workload.ongoing_calls=5 for one; can be there several times",
    )
    add("--serve", action="store_true", help="place no calls, run until interrupted")
    add("--json", action="store_true", help="print one JSON object at the end and nothing else")

    add = command(call, "Place one call, follow its redirections, print each step and hang up.").add_argument
    add("uri", metavar="URI", help="whom to call where: sip:100@127.0.0.1:5060, h323:100@127.0.0.1")
    add("--hold", type=_above_zero, default=2.0, metavar="SECONDS", help="how long the call lasts (default: 2)")

    named = "the configuration of a node with [records] (default: the file records.sqlite of this folder)"
    add = command(calls, "List the last calls of a node's records, one a line.").add_argument
    add("--config", "-c", metavar="FILE", help=named)
    add("--since", metavar="TIME", help="those that ended since: 2026-11-22, 2026-11-22T18:30, or 30m, 12h, 7d ago")
    add("--limit", type=_whole(1, 10_000_000), default=1000, metavar="N", help="the last N (default: %(default)s)")
    add("--json", action="store_true", help="print a JSON object a line")

    add = command(explain, "Tell how a call was decided, hop by hop.").add_argument
    add("--config", "-c", metavar="FILE", help=named)
    add("call_id", metavar="CALL-ID", help="its Call-ID or H.323 callIdentifier, as voipshift calls shows it")

    _lab_options(command(lab, "Simulate a group under traffic, beside a rival or itself, and judge it by the bound."))
    return parser


def _lab_options(parser: argparse.ArgumentParser) -> None:
    def add(name: str, kind: Callable[[str], object], default: object, metavar: str, text: str) -> None:
        parser.add_argument(name, type=kind, default=default, metavar=metavar, help=f"{text} (default: %(default)s)")

    add("--servers", _whole(1, 1000), 8, "N", "how many servers")
    add("--slots", _whole(1, 100_000), 100, "N", "how many calls each takes, on average")
    add("--ratio", str, "1:2:4", "A:B:...", "of their slots, repeated over the servers")
    add("--load", _above_zero, 1.0, "N", "offered load as a fraction of all slots")
    add("--hold", _above_zero, 120.0, "SECONDS", "the mean holding time")
    add("--hold-shape", str, "exponential", "SHAPE", "exponential, lognormal:S, or mix:W,H1,H2 with means of its own")
    add("--calls", _whole(1, 100_000_000), 200_000, "N", "how many calls; the first five holding times do not count")
    add("--seed", _whole(0, 10**9), 1, "N", "of everything that is drawn")
    add("--loss", _share, 0.05, "SHARE", "of the datagrams between servers that are lost")
    add("--delay-ms", _above_zero, 1.0, "MS", "from one server to another")
    add("--report-interval", _above_zero, 1.0, "SECONDS", "how often each server reports")
    add("--entry", str, "random", "WHOM", "whom clients know: random, primary, weighted, or first:K")
    add(
        "--policy",
        str,
        "voipshift",
        "POLICY",
        "voipshift (rule even), seed, balance-always, round-robin, random, srv, srv-retry or dispatcher",
    )
    parser.add_argument(
        "--collect",
        choices=("reports", "poll", "race"),
        default="reports",
        help="how a server knows the others, as balance.collect (default: reports)",
    )
    add("--collect-from", _some, 3, "N", "how many are polled, or asked at once; all for everybody")
    parser.add_argument(
        "--fail",
        action="append",
        default=[],
        metavar="NODE:FROM:TO",
        help="a server, counted from 0, is dead between these seconds; can be there several times",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    made = "Measure the table of figures, three seeds each, and write the page with its plots."
    others = parser.add_subparsers(metavar="report DIR | cpu")
    report = others.add_parser("report", help=made, description=made)
    report.set_defaults(run=lab_report)
    report.add_argument("directory", metavar="DIR", help="where the page is written")
    queues = "Simulate a group whose processors are the narrow place, by several policies on the same trace."
    _processor_options(others.add_parser("cpu", help=queues, description=queues))


def _processor_options(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=lab_cpu)
    for name, kind, default, metavar, text in (
        ("--servers", _whole(2, 1000), 8, "N", "how many servers, of one processor each"),
        ("--ratio", str, "1", "A:B:...", "of their speeds, repeated over the servers"),
        ("--service-ms", _above_zero, 2.0, "MS", "what a call takes on average"),
        ("--load", _above_zero, 0.7, "N", "offered load as a fraction of all processors"),
        ("--entry", str, "random", "WHOM", "whom clients know: random, primary, weighted, or first:K"),
        ("--seconds", _above_zero, 60.0, "SECONDS", "how long, after ten that do not count"),
        ("--seed", _whole(0, 10**9), 1, "N", "of everything that is drawn"),
        ("--loss", _share, 0.05, "SHARE", "of the reports that are lost"),
        ("--delay-ms", _above_zero, 1.0, "MS", "from one server to another"),
        ("--report-interval", _above_zero, 1.0, "SECONDS", "how often each server reports"),
        ("--shift-cost", _share, 0.1, "SHARE", "of a call's time that it takes its entry to shift it"),
        ("--refuse-cost", _share, 0.05, "SHARE", "of a call's time that it takes to refuse it"),
        ("--policy", str, "rate,seed,round-robin,random,idlest,blind", "POLICIES", "with commas between them"),
    ):
        parser.add_argument(name, type=kind, default=default, metavar=metavar, help=f"{text} (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print one JSON array and nothing else")


def _whole(low: int, high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not (text.isdecimal() and low <= int(text) <= high):
            raise argparse.ArgumentTypeError(f"must be a whole number from {low} to {high}, not {text!r}")
        return int(text)

    return read


def _some(text: str) -> int | str:
    return text if text == "all" else _whole(1, 1000)(text)


def _above_zero(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 1_000_000:
        raise argparse.ArgumentTypeError(f"must be a number above 0, not {text!r}")
    return value


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"must be a number from 0 to below 1, not {text!r}")
    return value


if __name__ == "__main__":
    sys.exit(main())
