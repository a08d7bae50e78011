"""A network of a test's own: a namespace that is empty but for its loopback.  Only root can make one."""

from __future__ import annotations

import os

from tests.interop.case import InteropTestCase
from tests.interop.program import Program


class NetworkTestCase(InteropTestCase):
    """A test that has one."""

    async def make_network(self, *commands: str) -> None:
        """Make it; it is gone with the last process in it.

        :param commands: what is done in it first, of the shell
        """
        if os.geteuid() != 0:
            self.fail("only root can make a network namespace")
        script = " && ".join(("ip link set lo up", *commands, "echo there", "exec sleep infinity"))
        self.network = self.run_program("unshare", "--net", "sh", "-c", script)
        await self.network.says("^there$")

    def run_inside(self, *words: str) -> Program:
        """Start a program in that network."""
        return self.run_program("nsenter", f"--net=/proc/{self.network.pid}/ns/net", "--", *words)
