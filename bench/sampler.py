"""Where a node's processor time goes: a sampling profiler in the node's own process.

A timer of the process's own processor time (``ITIMER_PROF``) interrupts it; the handler counts the function and the
line that run, and every function that they were called from.  Unlike cProfile it makes no function dearer than another,
so its shares are true; it knows no number of calls.  What is written in C counts for the line that called it.

Run as a program it is twistd: ``python -m bench.sampler FILE ARGUMENTS...``, which writes FILE at the end.
"""

from __future__ import annotations

import json
import signal
import sys
from collections import Counter
from pathlib import Path
from types import FrameType

from bench.processes import ROOT

#: Between two samples.  The kernel rounds it up to its own tick, 4 ms on most machines.
INTERVAL_S = 0.001


class Sampler:
    """Counts of functions and lines.

    :ivar own: by function, samples in which it ran itself
    :ivar within: by function, samples in which it or something that it called ran
    :ivar lines: by line
    """

    def __init__(self) -> None:
        self.samples = 0
        self.own: Counter[str] = Counter()
        self.within: Counter[str] = Counter()
        self.lines: Counter[str] = Counter()

    def start(self) -> None:
        signal.signal(signal.SIGPROF, self._sample)
        signal.setitimer(signal.ITIMER_PROF, INTERVAL_S, INTERVAL_S)

    def write(self, file: str) -> None:
        """Stop, and write the counts."""
        signal.setitimer(signal.ITIMER_PROF, 0)
        counts = {"samples": self.samples, "own": self.own, "within": self.within, "lines": self.lines}
        Path(file).write_text(json.dumps(counts))

    def _sample(self, number: int, frame: FrameType | None) -> None:
        if frame is None:
            return
        self.samples += 1
        self.own[_function(frame)] += 1
        self.lines[f"{_place(frame)}:{frame.f_lineno}"] += 1
        seen: set[str] = set()
        at: FrameType | None = frame
        while at is not None:
            seen.add(_function(at))
            at = at.f_back
        self.within.update(seen)


def report(file: Path, requests: int, cpu_s: float, top: int = 25) -> str:
    """The dearest functions and lines of a node, as text.

    :param cpu_s: the processor time that the node used for these requests
    """
    counts = json.loads(file.read_text())
    total = counts["samples"] or 1
    each_us = cpu_s / requests * 1e6

    def table(title: str, counted: dict[str, int]) -> list[str]:
        dearest = Counter(counted).most_common(top)
        return [title, *(f"{n / total:7.1%} {n / total * each_us:7.2f} us  {what}" for what, n in dearest), ""]

    head = f"{file.stem}: {total} samples, {each_us:.1f} us a request"
    tables = (("itself", "own"), ("with what it calls", "within"), ("line by line", "lines"))
    return "\n".join([head, *(line for title, key in tables for line in table(title, counts[key]))])


def _function(frame: FrameType) -> str:
    return f"{_place(frame)} {frame.f_code.co_qualname}"


def _place(frame: FrameType) -> str:
    file = frame.f_code.co_filename
    return file.removeprefix(f"{ROOT}/").rpartition("site-packages/")[2]


def main() -> int:
    """Be twistd, and say where the time went."""
    from twisted.internet import reactor
    from twisted.scripts.twistd import run

    file = sys.argv.pop(1)
    sampler = Sampler()
    # twistd ends by the signal that stopped it: nothing after run() is reached.
    reactor.addSystemEventTrigger("after", "shutdown", sampler.write, file)
    sampler.start()
    run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
