"""A process that is not a child of the tests."""

from __future__ import annotations

import contextlib  # trial would take a "suppress" in here for its own
import os
import select
import signal


class Daemon:
    """One that runs.

    :param pid: its process id
    """

    def __init__(self, pid: int) -> None:
        self._handle = os.pidfd_open(pid)

    def terminate(self) -> None:
        """Ask it to stop."""
        signal.pidfd_send_signal(self._handle, signal.SIGTERM)

    def ended(self) -> bool:
        """Whether it has ended: the kernel makes the handle readable then."""
        return bool(select.select([self._handle], [], [], 0)[0])

    def kill(self) -> None:
        """Make sure that it is gone."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._handle, signal.SIGKILL)
        os.close(self._handle)
