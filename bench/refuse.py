"""What it costs to refuse a call, beside what it costs to carry one: processor time of a node, in one run.

::

    python -m bench.refuse [--calls 5000] [--refusals 20000] [--runs 3] [--json]

- **refuse**: a node that has no room, in a group whose other member is flagged full, answers INVITEs (700 octets, with
  an offer) from a closed loop of eight with 503 and Retry-After, and takes in the ACK of each.
- **repeat**: the same, each INVITE sent twice, as by a client whose first one was lost: two responses, two ACKs.
- **carry**: a node carries whole calls from a caller to a gateway: INVITE, 100, 180, 200, ACK, BYE, 200, each of them
  in and out; two transactions, a call record and what is kept to absorb what comes late.

``cpu_us`` is user and system time of the node's process per call, in interleaved runs, their median.  What a carried
call leaves behind (timers of up to 32 s) is left out, which makes carrying look cheaper, and the ratio worse.  The
ratio to be reached follows from the goodput of an overloaded server, which cannot be more than ``(1 - r a) / (1 - r)``
of its capacity, a times of which is offered: with r = 1/20 and twice the capacity offered, 95 %.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from statistics import median

from bench.ends import Ends
from bench.load import Loop
from bench.nodes import carrier, full
from bench.processes import Starter, cpu_s, free_ports

#: For the last ACKs and timers of a batch.
SETTLE_S = 0.3
#: The largest share of carrying that refusing may cost.
TO_REACH = 1 / 20
OUTSTANDING = 8


class Repeating(Loop):
    """A closed loop that sends each INVITE twice, one right after the other."""

    def __init__(self, address: tuple[str, int]) -> None:
        super().__init__(address, b"SIP/2.0 503 ", True, OUTSTANDING)
        self._socket = _Twice(self._socket)  # type: ignore[assignment]  # the part of a socket that the loop uses


class _Twice:
    """A socket that sends INVITEs twice."""

    def __init__(self, plain: object) -> None:
        self.recv, self.close, self._send = plain.recv, plain.close, plain.send  # type: ignore[attr-defined]

    def send(self, octets: bytes) -> None:
        self._send(octets)
        if octets.startswith(b"INVITE "):
            self._send(octets)


def refused(loop: Loop, pids: list[int], number: int) -> float:
    """Microseconds of processor time for each refused call."""
    before = cpu_s(pids)
    tally = loop.run(number)
    time.sleep(SETTLE_S)
    if tally.lost or tally.wrong:
        raise SystemExit(f"{tally.lost} lost, {tally.wrong} not refused")
    return (cpu_s(pids) - before) / number * 1e6


def carried(ends: Ends, pids: list[int], numbers: range) -> float:
    """Microseconds of processor time for each carried call."""
    before = cpu_s(pids)
    ends.call(numbers)
    ends.hang_up(numbers)
    time.sleep(SETTLE_S)
    if ends.failed:
        raise SystemExit(f"{ends.failed} calls failed")
    return (cpu_s(pids) - before) / len(numbers) * 1e6


def measure(calls: int, refusals: int, runs: int) -> dict[str, float]:
    """All three in turn."""
    with Starter() as starter:
        gateway = free_ports(1)[0]
        ends = Ends(gateway, rings=True)
        carrying, refusing = carrier(starter, gateway), full(starter)
        ends.node = carrying.address
        once, twice = Loop(refusing.address, b"SIP/2.0 503 ", True, OUTSTANDING), Repeating(refusing.address)
        spent: dict[str, list[float]] = {"refuse": [], "repeat": [], "carry": []}
        try:
            number = 0
            for run in range(runs + 1):  # the first one warms up
                each = {
                    "refuse": refused(once, refusing.pids, refusals),
                    "repeat": refused(twice, refusing.pids, refusals),
                    "carry": carried(ends, carrying.pids, range(number, number + calls)),
                }
                number += calls
                if run:
                    for name, cost in each.items():
                        spent[name].append(cost)
        finally:
            for opened in (once, twice, ends):
                opened.close()
    figures = {f"{name}_cpu_us": round(median(costs), 2) for name, costs in spent.items()}
    figures["ratio"] = round(figures["carry_cpu_us"] / figures["refuse_cpu_us"], 1)
    return figures


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="CPU of refusing a call, beside that of carrying one.")
    parser.add_argument("--calls", type=int, default=5_000, help="carried in each run (default: %(default)s)")
    parser.add_argument("--refusals", type=int, default=20_000, help="in each run (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=3, help="interleaved (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    arguments = parser.parse_args()
    figures = measure(arguments.calls, arguments.refusals, arguments.runs)
    if arguments.json:
        print(json.dumps(figures))
        return 0
    for name in ("refuse", "repeat", "carry"):
        print(f"{name:8}{figures[f'{name}_cpu_us']:10.2f} us")
    print(f"carry/refuse {figures['ratio']:6.1f}   to reach: {1 / TO_REACH:g}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
