"""What is done once for a batch of datagrams."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IReactorFDSet
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from voipshift.batch import Batch
from voipshift.udp import MAX_OUTGOING, DatagramPort


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
        self.sent: list[bytes] = []

    def recvfrom(self, size: int) -> tuple[bytes, tuple[str, int]]:
        if not self.datagrams:
            raise BlockingIOError
        return self.datagrams.pop(0), ("192.0.2.7", 5060)

    def sendto(self, octets: bytes, address: tuple[str, int]) -> int:
        if not address[1]:
            raise OSError
        self.sent.append(octets)
        return len(octets)

    def close(self) -> None:
        self.sent.append(b"closed")


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

    def test_what_fails_spares_the_rest(self) -> None:
        """The first failure is told when all is done."""

        def fail() -> None:
            raise ZeroDivisionError(len(self.done))

        def end() -> None:
            with self.batch:
                self.batch.at_end(fail)
                self.batch.at_end(lambda: self.done.append("end"))
                self.batch.at_end(fail)

        self.assertEqual(self.assertRaises(ZeroDivisionError, end).args, (0,))
        self.assertEqual(self.done, ["end"])

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


class SendTests(SynchronousTestCase):
    """What a port sends while datagrams are read leaves together."""

    def setUp(self) -> None:
        self.batch = Batch()
        self.kernel = Kernel()
        self.port = DatagramPort(self.kernel, lambda octets, source: None, self.batch)  # type: ignore[arg-type]

    def send(self, *numbers: int, port: int = 5060) -> None:
        """Send some datagrams of one octet."""
        for number in numbers:
            self.port.send(bytes((number,)), ("192.0.2.7", port))

    def test_outside_of_a_batch_it_leaves_at_once(self) -> None:
        """There is nothing to wait for."""
        self.send(1)
        self.assertEqual(self.kernel.sent, [b"\1"])

    def test_within_a_batch_it_leaves_at_its_end(self) -> None:
        """In its order, and once."""
        with self.batch:
            self.send(1, 2)
            self.assertEqual(self.kernel.sent, [])
        with self.batch:
            self.send(3)
        self.assertEqual(self.kernel.sent, [b"\1", b"\2", b"\3"])
        self.assertEqual(self.port.octets, 3)

    def test_a_long_batch_holds_back_no_more_than_some(self) -> None:
        """Whoever is answered first does not wait for the last one."""
        with self.batch:
            self.send(*range(MAX_OUTGOING - 1))
            self.assertEqual(self.kernel.sent, [])
            self.send(MAX_OUTGOING - 1, MAX_OUTGOING)
            self.assertEqual(len(self.kernel.sent), MAX_OUTGOING)
        self.assertEqual(self.kernel.sent, [bytes((number,)) for number in range(MAX_OUTGOING + 1)])

    def test_what_the_kernel_does_not_take_is_counted(self) -> None:
        """It spares the others."""
        with self.batch:
            self.send(1)
            self.send(2, port=0)
            self.send(3)
        self.assertEqual((self.kernel.sent, self.port.unsent), ([b"\1", b"\3"], 1))

    def test_a_port_that_stops_sends_first(self) -> None:
        """A node's last words are heard."""
        with self.batch:
            self.send(1)
            self.port.stop()
        self.assertEqual(self.kernel.sent, [b"\1", b"closed"])
