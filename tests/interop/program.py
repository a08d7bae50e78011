"""A real program under test: its output as it comes, and its end.

Each is bound to the life of the process that runs the tests, so that nothing is left running however they end.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

import voipshift

#: How long a program may take to say or do what it is waited for, unless the wait says otherwise.
PATIENCE_S = 20.0
#: From SIGTERM to SIGKILL.
FAREWELL_S = 5.0
#: The kernel kills what follows when the tests die.
_LEASH = ("setpriv", "--pdeathsig", "KILL", "--")


class Unexpected(AssertionError):
    """A program did not do what was waited for; the message holds its output."""


class Program(ProcessProtocol):
    """A running program.

    :param words: its command line
    :param folder: its working directory
    :ivar output: all that it printed, standard error included
    :ivar status: its exit status, or minus the signal that ended it; None while it runs
    """

    def __init__(self, reactor: Any, words: Sequence[str], folder: Path) -> None:
        self._reactor = reactor
        self._name = Path(words[0]).name
        self._searches: list[tuple[re.Pattern[str], Deferred[re.Match[str]]]] = []
        self._enders: list[Deferred[int]] = []
        self.output = ""
        self.status: int | None = None
        arguments = [*_LEASH, *words]
        reactor.spawnProcess(self, arguments[0], arguments, env=environment(), path=str(folder))

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self.transport is not None
        return int(self.transport.pid)

    def says(self, pattern: str, patience_s: float = PATIENCE_S) -> Deferred[re.Match[str]]:
        """Wait until its output has a match; within a line, ``^`` and ``$`` are the line's.

        :raises Unexpected: it ended without, or the patience did
        """
        compiled = re.compile(pattern, re.MULTILINE)
        match = compiled.search(self.output)
        if match:
            return succeed(match)
        said: Deferred[re.Match[str]] = Deferred()
        if self.status is not None:
            said.errback(self._unexpected(f"ended with {self.status} and never said {pattern!r}"))
            return said
        self._searches.append((compiled, said))
        return self._bounded(said, patience_s, f"did not say {pattern!r}")

    def ends(self, patience_s: float = PATIENCE_S) -> Deferred[int]:
        """Wait for its end; fires with its status."""
        if self.status is not None:
            return succeed(self.status)
        ended: Deferred[int] = Deferred()
        self._enders.append(ended)
        return self._bounded(ended, patience_s, "did not end")

    async def succeeds(self, patience_s: float = PATIENCE_S) -> str:
        """Wait for its end with status 0.

        :returns: all that it printed
        :raises Unexpected: it ended in another way
        """
        status = await self.ends(patience_s)
        if status != 0:
            raise self._unexpected(f"ended with {status}")
        return self.output

    def type(self, line: str) -> None:
        """Give it a line of standard input."""
        assert self.transport is not None
        self.transport.write(f"{line}\n".encode())

    def kill(self, signal: str) -> None:
        """Send a signal by its name (``TERM``) if it still runs."""
        if self.status is None and self.transport is not None:
            with suppress(ProcessExitedAlready):
                self.transport.signalProcess(signal)

    async def close(self) -> None:
        """End it."""
        if self.status is None:
            late = self._reactor.callLater(FAREWELL_S, self.kill, "KILL")
            self.kill("TERM")
            await self.ends(2 * FAREWELL_S)
            if late.active():
                late.cancel()

    def outReceived(self, data: bytes) -> None:
        self.output += data.decode(errors="replace")
        for search in list(self._searches):
            pattern, said = search
            match = pattern.search(self.output)
            if match:
                self._searches.remove(search)
                if not said.called:
                    said.callback(match)

    errReceived = outReceived

    def processEnded(self, reason: Failure) -> None:
        ended: Any = reason.value
        self.status = int(ended.exitCode) if ended.signal is None else -int(ended.signal)
        searches, self._searches = self._searches, []
        for pattern, said in searches:
            if not said.called:
                said.errback(self._unexpected(f"ended with {self.status} and never said {pattern.pattern!r}"))
        enders, self._enders = self._enders, []
        for ender in enders:
            if not ender.called:
                ender.callback(self.status)

    def _bounded(self, awaited: Deferred[Any], patience_s: float, complaint: str) -> Deferred[Any]:
        def late(result: object, timeout: float) -> object:
            raise self._unexpected(f"{complaint} within {timeout:g} s")

        return awaited.addTimeout(patience_s, self._reactor, onTimeoutCancel=late)

    def _unexpected(self, complaint: str) -> Unexpected:
        return Unexpected(f"{self._name} {complaint}; it printed:\n{self.output}")


def environment() -> dict[str, str]:
    """The environment of the tests, with the voipshift that they test found first, its twistd plugin included."""
    home = str(Path(voipshift.__file__).resolve().parent.parent)
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [home, os.environ.get("PYTHONPATH")]))}
