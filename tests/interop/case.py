"""What the interop tests have in common: when they run, which programs they need, and what they start."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from tests.interop.program import PATIENCE_S, Program

#: Between two looks at something that nobody tells of.
LOOK_S = 0.05


class InteropTestCase(TestCase):
    """A test with real programs.

    :cvar needs: the programs that must be there, by the names that a shell would find them under
    """

    #: One whole test; each wait within it has a bound of its own, and tells more when it is reached.
    timeout = 90
    needs: Sequence[str] = ()

    if os.environ.get("VOIPSHIFT_INTEROP") != "1":
        skip = "VOIPSHIFT_INTEROP=1 runs it"

    def setUp(self) -> None:
        """A program that is missing is a failure: a skipped test would promise what nobody has seen."""
        missing = [program for program in ("setpriv", *self.needs) if shutil.which(program) is None]
        if missing:
            self.fail(f"not installed: {', '.join(missing)}")
        # Not trial's own, whose path has the test's name in it: baresip cuts a path at 127 characters.
        folder = tempfile.TemporaryDirectory(prefix="voipshift-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name).resolve()

    def run_program(self, *words: str, folder: Path | None = None) -> Program:
        """Start a program; what is left of it when the test is over is ended.

        :param folder: the working directory, this test's own where none is given
        """
        program = Program(reactor, words, folder or self.folder)
        self.addCleanup(program.close)
        return program

    async def until(self, so: Callable[[], bool | Awaitable[bool]], what: str) -> None:
        """Wait until something is so that nobody tells of."""
        deadline = reactor.seconds() + PATIENCE_S
        while True:
            is_so = so()
            if is_so if isinstance(is_so, bool) else await is_so:
                return
            if reactor.seconds() > deadline:
                self.fail(f"waited {PATIENCE_S:g} s in vain until {what}")
            await deferLater(reactor, LOOK_S)
