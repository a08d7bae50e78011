"""What it costs to shift a call attempt: processor time of a portal and a member, beside a bare echo and Kamailio.

::

    python -m bench.redirect [--requests 20000] [--runs 5] [--json] [--profile]

Three servers on loopback get the same INVITE (700 octets, with an offer) from the same closed loop of eight outstanding
requests, one after the other, in interleaved runs; the figures are medians of the runs.

- **echo**: a bare Twisted ``DatagramProtocol`` that writes back what it got.  No ACK.
- **redirect**: two nodes.  The primary accepts nothing (``ongoing_calls = 0``), asks the member, which accepts, and
  answers 302; each 302 is acknowledged.  Both nodes count, and the primary's share is shown apart.  The processor is
  read again when the last lease has lapsed and the last transaction has ended, so that the whole life of an attempt
  counts, and what two nodes report to each other meanwhile.  The client does not follow the redirect: each lease
  lapses, and the primary is told so.  ``sip.redirect = "always"``, or it would be taken for one that cannot.
- **kamailio**, where it is installed: one child answers 302 from ``ds_select_dst``.  It is stateless and asks nobody:
  not the same work, but the pace that clients know.  Each 302 is acknowledged.

``cpu_us`` is user and system time of all processes of a server per request; loopback charges the delivery of a datagram
to its sender, so the kernel's share of receiving is the client's.  p50 and p99 are from the departure of the INVITE to
the arrival of its final response with eight in the queue of a server that is never idle: what eight wait for, and
not what one that comes alone waits for.  Not measured here: carrying the call, a group whose workload is at an edge, a
real network.

``--profile`` measures the nodes only, and prints where their time goes (:mod:`bench.sampler`).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from statistics import median
from typing import NamedTuple

from bench.load import Client, Tally
from bench.nodes import LEASE_S, build, portal, words_of
from bench.processes import Starter, cpu_s
from bench.rivals import Server, echo, kamailio
from bench.sampler import report

#: A transaction that was acknowledged absorbs what comes late for T4 (RFC 3261 timer I).
T4_S = 5.0
#: When everything that a redirect left behind has ended.
REDIRECT_OVER_S = max(LEASE_S, T4_S) + 1.0
#: For the last ACK to be worked off.
ACK_S = 0.1
#: To reach, in bare echoes.
NODES_TO_REACH = 10.0
PRIMARY_TO_REACH = 6.0


class Run(NamedTuple):
    """One run: what it cost, and what became of the requests."""

    cpu_us: float
    first_us: float
    tally: Tally


def measure(starter: Starter, server: Server, requests: int) -> Run:
    """Let a client make its requests, and read the processor before and after."""
    client = Client(starter, server.address, echo=server.name == "echo", requests=requests, warm_up=requests // 10)
    over_s = REDIRECT_OVER_S if server.first else ACK_S
    time.sleep(over_s)  # what the warm-up left behind
    first = server.first or []
    before, first_before = cpu_s(server.pids), cpu_s(first)
    tally = client.run()
    time.sleep(over_s)
    spent, first_spent = cpu_s(server.pids) - before, cpu_s(first) - first_before
    return Run(spent / requests * 1e6, first_spent / requests * 1e6, tally)


def figures(runs: list[Run]) -> dict[str, float]:
    """Medians of the runs, and sums of what must not be."""
    tallies = [run.tally for run in runs]
    return {
        "cpu_us": round(median(run.cpu_us for run in runs), 2),
        "p50_us": round(median(tally.p50_us for tally in tallies), 1),
        "p99_us": round(median(tally.p99_us for tally in tallies), 1),
        "per_second": round(median(tally.answered / tally.elapsed_s if tally.elapsed_s else 0 for tally in tallies)),
        "lost": sum(tally.lost for tally in tallies),
        "wrong": sum(tally.wrong for tally in tallies),
        "repeated": sum(tally.repeated for tally in tallies),
    }


def compare(requests: int, runs: int) -> dict[str, dict[str, float]]:
    """Measure all servers in turn."""
    with Starter() as starter:
        servers = [server for server in (echo(starter), portal(starter), kamailio(starter)) if server is not None]
        measured: dict[str, list[Run]] = {server.name: [] for server in servers}
        for number in range(runs):
            for server in servers:
                say(f"run {number + 1} of {runs}: {server.name}")
                measured[server.name].append(measure(starter, server, requests))
        say("")
    result = {name: figures(each) for name, each in measured.items()}
    result["redirect"]["primary_cpu_us"] = round(median(run.first_us for run in measured["redirect"]), 2)
    nodes, primary = result["redirect"]["cpu_us"], result["redirect"]["primary_cpu_us"]
    bare = result["echo"]["cpu_us"]
    result["ratios"] = {"redirect/echo": round(nodes / bare, 2), "primary/echo": round(primary / bare, 2)}
    if "kamailio" in result:
        result["ratios"]["redirect/kamailio"] = round(nodes / result["kamailio"]["cpu_us"], 2)
    return result


def say(progress: str) -> None:
    """One line on the terminal, over the one before."""
    if sys.stderr.isatty():
        print(f"{progress:40}", end="\r", file=sys.stderr, flush=True)


def tell(result: dict[str, dict[str, float]]) -> None:
    """Print the figures for people."""
    print(f"voipshift is {build()}")
    columns = ("cpu_us", "p50_us", "p99_us", "per_second", "lost", "wrong", "repeated")
    print(f"{'':24}" + "".join(f"{column:>12}" for column in columns))
    for name in ("echo", "redirect", "kamailio"):
        if name in result:
            print(f"{name:24}" + "".join(f"{result[name][column]:>12g}" for column in columns))
            if name == "redirect":
                print(f"{'  of it the primary':24}{result[name]['primary_cpu_us']:>12g}")
        else:
            print(f"{name:24}  not installed")
    ratios = result["ratios"]
    print(f"redirect/echo      {ratios['redirect/echo']:6.2f}   to reach: {NODES_TO_REACH:g}")
    print(f"primary/echo       {ratios['primary/echo']:6.2f}   to reach: {PRIMARY_TO_REACH:g}")
    if "redirect/kamailio" in ratios:
        print(f"redirect/kamailio  {ratios['redirect/kamailio']:6.2f}")


def profile(requests: int) -> None:
    """Print where the time of the primary and of the member goes."""
    with Starter() as starter:
        server = portal(starter, sampled=True)
        before = [cpu_s([pid]) for pid in server.pids]
        run = measure(starter, server, requests)
        spent = [cpu_s([pid]) - start for pid, start in zip(server.pids, before, strict=True)]
        starter.stop_all()
        made = requests + requests // 10
        for name, each in zip(("primary", "member"), spent, strict=True):
            file = starter.folder / f"{name}.json"
            print(report(file, made, each) if file.exists() else words_of(starter, name))
        print(run.tally)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="CPU of a redirect, beside a bare echo and Kamailio.")
    parser.add_argument("--requests", type=int, default=20_000, help="in each run (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=5, help="of each server, interleaved (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    parser.add_argument("--profile", action="store_true", help="print where the nodes' time goes instead")
    arguments = parser.parse_args()
    if arguments.profile:
        profile(arguments.requests)
        return 0
    result = compare(arguments.requests, arguments.runs)
    if arguments.json:
        print(json.dumps(result))
    else:
        tell(result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
