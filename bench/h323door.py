"""What a call shifted by the real front door costs: a node without room, the member that it asks, and 32 callers.

Run as a program this is the callers: so many at once, each connects, sends SETUP, reads FACILITY and RELEASE COMPLETE,
closes, and begins anew.  It prints ``warm`` after its warm-up, waits for a line, makes its calls, and prints one line
of JSON, a :class:`Tally`.  A caller does not follow its redirect: each lease lapses, as in :mod:`bench.redirect`.
"""

from __future__ import annotations

import argparse
import json
import select
import socket
import sys
import time
from statistics import median
from typing import NamedTuple

from bench.load import read_line
from bench.nodes import LEASE_S, h323_portal
from bench.processes import Starter, cpu_s
from tests.test_h323_uuie import ASTERISK
from voipshift.h323 import q931, tpkt
from voipshift.h323.q931 import MessageType
from voipshift.node import Address

CALLERS = 32
#: A caller without an answer for so long is lost.
PATIENCE_S = 5.0
#: For a process of callers, its warm-up included.
MAX_PROCESS_S = 180.0
#: When everything that a call left behind has ended.
OVER_S = LEASE_S + 1.0
#: A SETUP as Asterisk sends it.
SETUP = tpkt.wrap(q931.Message(5, 1, False, (q931.called_number("1234"), q931.user_user(ASTERISK))).octets())


class Tally(NamedTuple):
    """What became of a run's calls.

    :ivar wrong: were not shifted, or lost
    """

    shifted: int
    wrong: int
    elapsed_s: float
    p50_us: float
    p99_us: float


class Caller:
    """One call at a time."""

    def __init__(self, address: Address) -> None:
        self.began = time.perf_counter()
        self.types: list[int] = []
        self.socket = socket.socket()
        self._reader = tpkt.Reader()
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.connect_ex(address)

    def read(self) -> bool:
        """Whether its call is over."""
        octets = self.socket.recv(65536)
        self.types += [q931.parse(each).type for each in self._reader.receive(octets)]
        return not octets or MessageType.RELEASE_COMPLETE in self.types


def run(address: Address, calls: int, callers: int) -> Tally:
    """Make so many calls."""
    poll = select.epoll()
    under_way: dict[int, Caller] = {}
    latencies: list[float] = []
    left, wrong, began = calls, 0, time.perf_counter()
    while left or under_way:
        while left and len(under_way) < callers:
            left -= 1
            caller = Caller(address)
            under_way[caller.socket.fileno()] = caller
            poll.register(caller.socket, select.EPOLLOUT)
        ready = poll.poll(PATIENCE_S)
        if not ready:
            return Tally(len(latencies), wrong + left + len(under_way), time.perf_counter() - began, 0.0, 0.0)
        for descriptor, event in ready:
            caller = under_way[descriptor]
            if event & select.EPOLLOUT:
                caller.socket.send(SETUP)
                poll.modify(descriptor, select.EPOLLIN)
            elif caller.read():
                if caller.types == [MessageType.FACILITY, MessageType.RELEASE_COMPLETE]:
                    latencies.append(time.perf_counter() - caller.began)
                else:
                    wrong += 1
                poll.unregister(descriptor)
                caller.socket.close()
                del under_way[descriptor]
    elapsed_s = time.perf_counter() - began
    latencies.sort()
    p50, p99 = (latencies[int(len(latencies) * share)] * 1e6 if latencies else 0.0 for share in (0.5, 0.99))
    return Tally(len(latencies), wrong, elapsed_s, p50, p99)


def shifted(calls: int, runs: int) -> dict[str, float]:
    """Medians of runs, and sums of what must not be."""
    figures = []
    with Starter() as starter:
        server, front = h323_portal(starter)
        primary, both = server.pids[:1], server.pids
        for _ in range(runs):
            words = ["-m", "bench.h323door", *map(str, front), str(calls)]
            process = starter.start_python(*words, talks=True)
            read_line(process, MAX_PROCESS_S)
            time.sleep(OVER_S)
            before = cpu_s(primary), cpu_s(both)
            assert process.stdin is not None
            process.stdin.write(b"go\n")
            process.stdin.flush()
            tally = Tally(**json.loads(read_line(process, MAX_PROCESS_S)))
            at_once = cpu_s(primary)
            time.sleep(OVER_S)
            figures.append((cpu_s(primary) - before[0], cpu_s(both) - before[1], at_once - before[0], tally))
            starter.stop(process)
    tallies = [tally for *_, tally in figures]
    made = tallies[0].shifted + tallies[0].wrong
    return {
        "primary_cpu_us": median(each[0] for each in figures) / made * 1e6,
        "cpu_us": median(each[1] for each in figures) / made * 1e6,
        "per_cpu_s": made / median(each[2] for each in figures),
        "p50_us": median(tally.p50_us for tally in tallies),
        "p99_us": median(tally.p99_us for tally in tallies),
        "per_second": median(tally.shifted / tally.elapsed_s for tally in tallies),
        "wrong": sum(tally.wrong for tally in tallies),
    }


def main() -> int:
    """Be the callers."""
    parser = argparse.ArgumentParser(prog="python -m bench.h323door", description="Callers of H.323.")
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("calls", type=int)
    parser.add_argument("--callers", type=int, default=CALLERS)
    options = parser.parse_args()
    address = (options.host, options.port)
    run(address, options.calls // 10, options.callers)
    print("warm", flush=True)
    sys.stdin.readline()
    print(json.dumps(run(address, options.calls, options.callers)._asdict()), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
