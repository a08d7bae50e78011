"""What it costs to carry a whole call, beside Kamailio's proxy and Sippy's back-to-back user agent.

::

    python -m bench.carry [--calls 2000] [--runs 5] [--json] [--profile]

Three servers on loopback carry the same calls, between the same two sipp scenarios in a closed loop of eight
outstanding calls, one server after the other, in interleaved runs; the figures are medians of the runs.  A call is
INVITE, 100, 180, 200, ACK, BYE and 200, with an offer and an answer; it ends as soon as it is answered.

- **node**: one node that stands alone, accepts every call and sends it to a gateway.  No call records.
- **kamailio**: tm, rr and dialog, one child (:mod:`bench.proxies`).
- **sippy**: ``b2bua_simple`` (``pip install sippy``).

``cpu_us`` is user and system time of all processes of a server per call.  What a transaction leaves behind for 32 s
(RFC 6026 timers L and M) falls into the runs that follow, of each server alike; a first run of each is not counted.
Not measured here: the decision and the shift (:mod:`bench.redirect`), long calls (:mod:`bench.memory`), records.

``--profile`` measures the node only, and prints where its time goes (:mod:`bench.sampler`).
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from bench.nodes import build, carrier, words_of
from bench.processes import Starter, cpu_s, free_ports
from bench.proxies import kamailio, sippy
from bench.rivals import Server
from bench.sampler import report

SCENARIOS = Path(__file__).resolve().parent / "scenarios"
#: Calls under way at once.
OUTSTANDING = 8
#: New calls a second, if there were no such limit: more than anybody can carry.
RATE = 100_000
#: For the last message to be worked off.
SETTLE_S = 0.5
#: For a run to end: the slowest server carries some hundred calls a second.
PATIENCE_S = 300.0
#: To reach: times Kamailio, and the part of Sippy.
KAMAILIO_TO_REACH = 4.0
SIPPY_TO_REACH = 1 / 8


class Ends:
    """Both ends of the calls: two sipp, the gateway's started once.

    :ivar port: the gateway's
    """

    def __init__(self, starter: Starter) -> None:
        self._starter = starter
        self.port, self._caller_port = free_ports(2)
        words = ["-sf", str(SCENARIOS / "gateway.xml"), "-i", "127.0.0.1", "-p", str(self.port), "-nostdin"]
        starter.start("sipp", *words, log="gateway.log")

    def call(self, server: Server, calls: int) -> int:
        """Place calls through a server; returns how many were answered and ended."""
        words = ["-sf", str(SCENARIOS / "caller.xml"), "-s", "1234", "-i", "127.0.0.1", "-p", str(self._caller_port)]
        words += ["-m", str(calls), "-r", str(RATE), "-l", str(OUTSTANDING), "-nostdin", "-recv_timeout", "10000"]
        process = self._starter.start("sipp", *words, "{}:{}".format(*server.address), log=f"{server.name}-calls.log")
        process.wait(PATIENCE_S)
        said = (self._starter.folder / f"{server.name}-calls.log").read_text(errors="replace")
        return int(re.findall(r"Successful call\s*\|\s*\d+\s*\|\s*(\d+)", said)[-1])


def measure(ends: Ends, server: Server, calls: int) -> tuple[float, int]:
    """Microseconds of processor per call, and how many calls failed."""
    before = cpu_s(server.pids)
    completed = ends.call(server, calls)
    time.sleep(SETTLE_S)
    return (cpu_s(server.pids) - before) / calls * 1e6, calls - completed


def compare(calls: int, runs: int) -> dict[str, dict[str, float]]:
    """Measure all servers in turn."""
    with Starter() as starter:
        ends = Ends(starter)
        found = (carrier(starter, ends.port, "node"), kamailio(starter, ends.port), sippy(starter, ends.port))
        servers = [server for server in found if server is not None]
        measured: dict[str, list[tuple[float, int]]] = {server.name: [] for server in servers}
        for number in range(runs + 1):
            for server in servers:
                say(f"run {number} of {runs}: {server.name}")
                run = measure(ends, server, calls)
                if number:  # the first one warms up
                    measured[server.name].append(run)
        say("")
    result = {
        name: {"cpu_us": round(median(cpu for cpu, _ in each), 1), "failed": sum(failed for _, failed in each)}
        for name, each in measured.items()
    }
    node = result["node"]["cpu_us"]
    result["ratios"] = {f"node/{name}": round(node / result[name]["cpu_us"], 3) for name in result if name != "node"}
    return result


def say(progress: str) -> None:
    """One line on the terminal, over the one before."""
    if sys.stderr.isatty():
        print(f"{progress:40}", end="\r", file=sys.stderr, flush=True)


def tell(result: dict[str, dict[str, float]]) -> None:
    """Print the figures for people."""
    print(f"voipshift is {build()}")
    print(f"{'':12}{'cpu_us':>12}{'failed':>12}")
    for name in ("node", "kamailio", "sippy"):
        if name in result:
            print(f"{name:12}{result[name]['cpu_us']:>12g}{result[name]['failed']:>12g}")
        else:
            print(f"{name:12}  not installed")
    for name, to_reach in (("node/kamailio", KAMAILIO_TO_REACH), ("node/sippy", SIPPY_TO_REACH)):
        if name in result["ratios"]:
            print(f"{name:14}{result['ratios'][name]:8.3f}   to reach: {to_reach:g}")


def profile(calls: int) -> None:
    """Print where the time of the node goes."""
    with Starter() as starter:
        ends = Ends(starter)
        server = carrier(starter, ends.port, "node", sampled=True)
        before = cpu_s(server.pids)
        ends.call(server, calls)
        spent = cpu_s(server.pids) - before
        starter.stop_all()
        file = starter.folder / "node.json"
        print(report(file, calls, spent) if file.exists() else words_of(starter, "node"))


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="CPU of a carried call, beside Kamailio and Sippy.")
    parser.add_argument("--calls", type=int, default=2000, help="in each run (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=5, help="of each server, interleaved (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    parser.add_argument("--profile", action="store_true", help="print where the node's time goes instead")
    arguments = parser.parse_args()
    if shutil.which("sipp") is None:
        raise SystemExit("sipp is not installed: apt-get install sip-tester")
    try:
        if arguments.profile:
            profile(arguments.calls)
            return 0
        result = compare(arguments.calls, arguments.runs)
    except subprocess.TimeoutExpired:
        raise SystemExit(f"a run did not end within {PATIENCE_S:g} s") from None
    print(json.dumps(result)) if arguments.json else tell(result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
