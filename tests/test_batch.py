"""What is done once for a batch of datagrams."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IReactorFDSet
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from voipshift.batch import Batch
from voipshift.udp import DatagramPort


@implementer(IReactorFDSet)
class NoReactor:
    """Reads nothing by itself."""

    def addReader(self, reader: object) -> None:
        """It would be read now."""

    def removeReader(self, reader: object) -> None:
        """And no more."""

    addWriter = removeWriter = addReader

    def removeAll(self) -> list[Any]:
        return []

    getReaders = getWriters = removeAll


class Kernel:
    """A socket in which some datagrams have come."""

    def __init__(self, *datagrams: bytes) -> None:
        self.datagrams = list(datagrams)

    def recvfrom(self, size: int) -> tuple[bytes, tuple[str, int]]:
        if not self.datagrams:
            raise BlockingIOError
        return self.datagrams.pop(0), ("192.0.2.7", 5060)

    def close(self) -> None:
        """Nothing is left."""


class BatchTests(SynchronousTestCase):
    """A batch, and what is done at its end."""

    def setUp(self) -> None:
        self.batch = Batch()
        self.done: list[str] = []

    def test_outside_of_a_batch_it_is_done_at_once(self) -> None:
        """Nothing waits for a batch that may never come."""
        self.batch.at_end(lambda: self.done.append("end"))
        self.assertEqual(self.done, ["end"])

    def test_within_a_batch_it_is_done_at_its_end_and_once(self) -> None:
        """In the order in which it was said, and not again at the end of the next one."""
        with self.batch:
            self.batch.at_end(lambda: self.done.append("one"))
            self.batch.at_end(lambda: self.done.append("two"))
            self.done.append("read")
        with self.batch:
            pass
        self.assertEqual(self.done, ["read", "one", "two"])

    def test_what_comes_up_at_the_end_is_done_then(self) -> None:
        """Not at the end of the next batch."""
        with self.batch:
            self.batch.at_end(lambda: self.batch.at_end(lambda: self.done.append("late")))
        self.assertEqual(self.done, ["late"])

    def test_it_is_open_while_a_port_reads(self) -> None:
        """All that has come, then what is to be done for all of it; one datagram is a batch too."""
        for datagrams in ([b"a", b"b", b"c"], [b"d"]):
            self.done.clear()

            def received(octets: bytes, source: tuple[str, int]) -> None:
                self.batch.at_end(lambda: self.done.append(f"end of {octets.decode()}"))
                self.done.append(octets.decode())

            port = DatagramPort(Kernel(*datagrams), received, self.batch)  # type: ignore[arg-type]
            port.start(NoReactor())
            port.doRead()
            words = [octets.decode() for octets in datagrams]
            self.assertEqual(self.done, [*words, *(f"end of {word}" for word in words)])

    def test_a_failure_at_the_end_does_not_stop_the_port(self) -> None:
        """It is logged, and the port reads on: an exception would have the reactor drop it."""

        def fail() -> None:
            raise ZeroDivisionError

        port = DatagramPort(Kernel(b"a"), lambda octets, source: self.batch.at_end(fail), self.batch)  # type: ignore[arg-type]
        port.start(NoReactor())
        port.doRead()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
