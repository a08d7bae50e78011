"""The processes of a benchmark: started, clocked and stopped.

Their processor time is read from the kernel's own clock of each process (``clock_getcpuclockid(3)``), which counts what
``/proc/PID/stat`` counts, user and system time of all its threads, but in nanoseconds and not in hundredths of a
second.  Everything that is started is stopped, and dies with the benchmark however that ends.  Linux only.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
#: From SIGTERM to SIGKILL.
PATIENCE_S = 5.0
PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)


class Starter:
    """Starts processes, owns the folder that they work in, and stops and removes all at the end of its ``with``."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="voipshift-bench-")
        # Processes find this project's modules where they work, and voipshift where it is installed: as it stands here,
        # or compiled.
        for package in ("bench", "tests"):
            (self.folder / package).symlink_to(ROOT / package)
        self._running: list[subprocess.Popen[bytes]] = []

    @property
    def folder(self) -> Path:
        return Path(self._folder.name)

    def __enter__(self) -> Starter:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        return self

    def __exit__(self, *error: object) -> None:
        self.stop_all()
        self._folder.cleanup()

    def start(self, *words: str, talks: bool = False, log: str | None = None) -> subprocess.Popen[bytes]:
        """Start a program.

        :param talks: its standard input and output are pipes
        :param log: a file in the folder that takes what it prints
        """
        pipe = subprocess.PIPE if talks else subprocess.DEVNULL
        with open(self.folder / log if log else os.devnull, "ab") as output:
            process = subprocess.Popen(
                words,
                stdin=pipe,
                stdout=pipe if talks else output,
                stderr=None if talks else output,
                cwd=self.folder,
                preexec_fn=_die_with_parent,
            )
        self._running.append(process)
        return process

    def start_python(self, *words: str, talks: bool = False, log: str | None = None) -> subprocess.Popen[bytes]:
        """Start the interpreter that runs this, with bench and the voipshift that is installed."""
        return self.start(sys.executable, *words, talks=talks, log=log)

    def stop_all(self) -> None:
        """End every process; what they wrote into the folder is still there."""
        for process in reversed(self._running.copy()):
            self.stop(process)

    def stop(self, process: subprocess.Popen[bytes]) -> None:
        """End a process and wait until it is gone."""
        with suppress(ValueError):
            self._running.remove(process)
        process.terminate()
        try:
            process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def family(process: subprocess.Popen[bytes]) -> list[int]:
    """The process and all that it started."""
    own = psutil.Process(process.pid)
    return [own.pid, *(child.pid for child in own.children(recursive=True))]


def cpu_s(pids: Iterable[int]) -> float:
    """Processor time that these processes have used since they started, user and system."""
    return sum(time.clock_gettime(_clock_of(pid)) for pid in pids)


def rss(pid: int) -> int:
    """Octets of memory of a process that are resident."""
    return int(psutil.Process(pid).memory_info().rss)


def free_ports(count: int, kind: int = socket.SOCK_DGRAM) -> list[int]:
    """Ports of loopback that nobody has, of UDP or another kind."""
    held = [socket.socket(socket.AF_INET, kind) for _ in range(count)]
    try:
        for each in held:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in held]
    finally:
        for each in held:
            each.close()


def await_answer(address: tuple[str, int], ask: Callable[[], bytes], expected: bytes, patience_s: float) -> bool:
    """Ask until the answer begins as expected."""
    deadline = time.monotonic() + patience_s
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(0.2)
        asking.connect(address)
        while time.monotonic() < deadline:
            try:
                asking.send(ask())
                if asking.recv(65535).startswith(expected):
                    return True
            except OSError:
                pass  # nobody is there yet, or nothing was said
            time.sleep(0.05)
    return False


def _clock_of(pid: int) -> int:
    clock = ctypes.c_int()
    error = _libc.clock_getcpuclockid(ctypes.c_int(pid), ctypes.byref(clock))
    if error:
        raise ProcessLookupError(error, f"process {pid}: {os.strerror(error)}")
    return clock.value


def _die_with_parent() -> None:
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.setpgid(0, 0)
