"""A PostgreSQL server of a test's own, in the test's folder, on loopback."""

from __future__ import annotations

import os
import pwd
import shutil
from collections.abc import Sequence
from pathlib import Path

from tests.interop.case import InteropTestCase
from tests.interop.program import Program
from voipshift.demo.plan import LOOPBACK

#: Debian keeps a server's programs beside those of other versions, and not in anybody's path.
PROGRAMS = Path("/usr/lib/postgresql")
#: The server does not run as root; the package has made this user.
SERVANT = "postgres"


class PostgresqlTestCase(InteropTestCase):
    """A test with a server.

    :ivar url: its database
    """

    async def setUp(self) -> None:  # type: ignore[override]
        super().setUp()
        found = sorted(PROGRAMS.glob("*/bin"), key=lambda path: int(path.parent.name))
        if not found:
            self.fail("not installed: postgresql")
        self._programs = found[-1]
        self._data = self.folder / "postgresql"
        self._data.mkdir(mode=0o700)
        if os.getuid() == 0:
            self.folder.chmod(0o755)
            shutil.chown(self._data, SERVANT)
        self.user = SERVANT if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
        words = ("--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C", "-D", str(self._data))
        await self.run_as_servant("initdb", *words).succeeds()

    def run_as_servant(self, program: str, *words: str) -> Program:
        """Start one of the server's programs."""
        servant: Sequence[str] = ()
        if os.getuid() == 0:
            # Who becomes somebody else is let off the leash of the tests, and is put on it again.
            servant = ("setpriv", "--reuid", SERVANT, "--regid", SERVANT, "--clear-groups", "--pdeathsig", "KILL", "--")
        return self.run_program(*servant, str(self._programs / program), *words, folder=self._data)

    async def serve(self, port: int) -> Program:
        """Start the server."""
        own = ("-c", f"unix_socket_directories={self._data}", "-c", "fsync=off")
        words = ("-D", str(self._data), "-h", LOOPBACK, "-p", str(port), *own)
        server = self.run_as_servant("postgres", *words)
        await server.says("database system is ready to accept connections")
        return server

    def url(self, port: int) -> str:
        """Its database."""
        return f"postgresql://{self.user}@{LOOPBACK}:{port}/postgres"
