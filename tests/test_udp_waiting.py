"""How long a datagram has waited before it is read, as the kernel notes it."""

from __future__ import annotations

import socket
import time
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from voipshift.udp import SO_TIMESTAMPNS, TIMESPEC, DatagramPort


class Kernel:
    """A socket with one datagram that came so long ago, or with none."""

    def __init__(self, age_s: float | None, level: int = socket.SOL_SOCKET) -> None:
        self.age_s = age_s
        self.level = level
        self.flags: list[int] = []

    def recvmsg(self, octets: int, notes: int, flags: int) -> tuple[bytes, list[tuple[int, int, bytes]], int, Any]:
        """Give what the system call gives."""
        self.flags.append(flags)
        if self.age_s is None:
            raise BlockingIOError
        came = time.time() - self.age_s
        note = TIMESPEC.pack(int(came), int(came % 1 * 1e9))
        return b"I", [(self.level, SO_TIMESTAMPNS, note)], 0, ("192.0.2.7", 5060)


class WaitingTests(SynchronousTestCase):
    """A port, and what the kernel says."""

    def waited(self, kernel: Kernel) -> float:
        """How long the next datagram has waited."""
        return DatagramPort(kernel, lambda octets, source: None).waited_s()  # type: ignore[arg-type]

    def test_the_oldest_datagram(self) -> None:
        """It stays where it is: it is only looked at."""
        kernel = Kernel(0.3)
        self.assertApproximates(self.waited(kernel), 0.3, 0.05)
        self.assertEqual(kernel.flags, [socket.MSG_PEEK])

    def test_nothing_is_known(self) -> None:
        """No datagram, no note of the kernel's, or a clock that was set back."""
        for kernel in (Kernel(None), Kernel(0.3, level=socket.IPPROTO_IP), Kernel(-5.0)):
            self.assertEqual(self.waited(kernel), 0.0)
