"""The queue of records: whoever has one never waits, and a slow store loses nothing until the queue is full."""

from __future__ import annotations

import math
from typing import Any

from twisted.internet.task import Clock
from twisted.logger import LogLevel, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from tests.records import CALL, NOON, Remembering, Worker
from voipshift.calls.record import Record
from voipshift.store import recordqueue
from voipshift.store.recordqueue import BATCH, GATHER_S, LONGEST_RETRY_S, PRUNE_S, PRUNED, RETRY_S, STOP_S, RecordQueue


def numbered(number: int) -> Record:
    return CALL._replace(attempt=f"{number:032x}")


class RecordQueueTestCase(SynchronousTestCase):
    """A queue, a store that remembers, and a thread that works when the test says so."""

    keep_s = math.inf

    def setUp(self) -> None:
        """Nothing waits."""
        self.clock = Clock()
        self.worker = Worker()
        self.store = Remembering()
        self.queue = RecordQueue(
            self.store,
            "the store",
            clock=self.clock,
            wall=lambda: NOON,
            in_thread=self.worker,
            stop_thread=self.worker.stop,
            keep_s=self.keep_s,
        )
        self.logged: list[str] = []
        observe: Any = self.observe
        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)

    def observe(self, event: dict[str, object]) -> None:
        if event.get("log_level") in (LogLevel.error, LogLevel.warn, LogLevel.info) and "called" in event:
            self.logged.append(str(event["log_format"]).format(**event))


class WriteTests(RecordQueueTestCase):
    """From the queue to the store."""

    def test_records_of_one_moment_are_one_batch(self) -> None:
        """A commit each would cost the calls more than the records are worth."""
        for number in range(3):
            self.queue.keep(numbered(number))
        self.assertEqual(self.worker.work, [])
        self.clock.advance(GATHER_S)
        self.worker.turn()
        self.assertEqual(self.store.batches, [[numbered(0), numbered(1), numbered(2)]])
        self.assertEqual(len(self.queue), 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_nothing_waits_for_a_slow_store(self) -> None:
        """While it writes, records are taken at once; they are written after it, all of them, in their order."""
        self.queue.keep(numbered(0))
        self.clock.advance(GATHER_S)
        for number in range(1, 2 * BATCH):
            self.queue.keep(numbered(number))
            self.clock.advance(0.01)
        self.assertEqual(len(self.worker.work), 1)
        self.assertEqual(len(self.queue), 2 * BATCH)
        while len(self.queue):
            if not self.worker.work:
                self.clock.advance(GATHER_S)
            self.worker.turn()
        self.assertEqual([each for batch in self.store.batches for each in batch], [*map(numbered, range(2 * BATCH))])
        self.assertEqual([len(batch) for batch in self.store.batches], [1, BATCH, BATCH - 1])
        self.assertEqual(self.queue.counts, {"written": 2 * BATCH, "lost": 0})

    def test_what_could_not_be_written_is_written_later(self) -> None:
        """At growing intervals; the log says once that it began, and once that it is over."""
        self.store.fault = OSError("the disk is full")
        self.queue.keep(numbered(0))
        self.clock.advance(GATHER_S)
        wait_s = RETRY_S
        for _ in range(8):
            self.worker.turn()
            self.assertEqual(self.worker.work, [])
            self.clock.advance(wait_s)
            wait_s = min(2 * wait_s, LONGEST_RETRY_S)
        self.assertEqual(len(self.logged), 1)
        self.assertIn("the store: records cannot be written: the disk is full", self.logged[0])
        self.queue.keep(numbered(1))
        self.store.fault = None
        self.worker.turn()
        self.clock.advance(GATHER_S)
        self.worker.turn()
        self.assertEqual(self.store.batches, [[numbered(0)], [numbered(1)]])
        self.assertEqual(self.logged[1:], ["the store: records are written again"])

    def test_beyond_its_limit_records_are_lost_counted_and_told_once(self) -> None:
        """The queue is bounded, whatever the disk does."""
        self.patch(recordqueue, "MOST_WAITING", 10)
        for number in range(25):
            self.queue.keep(numbered(number))
        self.assertEqual((len(self.queue), self.queue.counts["lost"]), (10, 15))
        self.assertEqual(self.logged, ["the store: 10 records wait to be written: further ones are lost"])
        self.clock.advance(GATHER_S)
        self.worker.turn()
        self.assertEqual(self.store.batches, [[*map(numbered, range(10))]])
        self.assertEqual(self.logged[1:], ["the store: 15 records were lost so far"])


class StopTests(RecordQueueTestCase):
    """The end of a node."""

    def test_all_that_waits_is_written(self) -> None:
        """Then the store is closed and its thread ends."""
        for number in range(BATCH + 1):
            self.queue.keep(numbered(number))
        stopped = self.queue.stop()
        for _ in range(3):
            self.assertNoResult(stopped)
            self.worker.turn()
        self.successResultOf(stopped)
        self.assertEqual(self.queue.counts["written"], BATCH + 1)
        self.assertTrue(self.store.closed and self.worker.stopped)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_with_nothing_to_write_it_is_over_at_once(self) -> None:
        """The store is closed."""
        stopped = self.queue.stop()
        self.worker.turn()
        self.successResultOf(stopped)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_write_under_way_is_waited_for(self) -> None:
        """It is not begun twice."""
        self.queue.keep(numbered(0))
        self.clock.advance(GATHER_S)
        self.queue.keep(numbered(1))
        stopped = self.queue.stop()
        for _ in range(3):
            self.worker.turn()
        self.successResultOf(stopped)
        self.assertEqual(self.store.batches, [[numbered(0)], [numbered(1)]])

    def test_a_store_that_fails_is_tried_until_time_is_up(self) -> None:
        """A stopping node waits so long and no longer, and says how much is lost."""
        self.store.fault = OSError("gone")
        self.queue.keep(numbered(0))
        stopped = self.queue.stop()
        tries = 0
        while not stopped.called:
            while self.worker.work:
                self.worker.turn()
                tries += 1
            self.clock.advance(0.5)
        self.assertEqual(tries, 5)
        self.assertEqual(self.clock.seconds(), STOP_S)
        self.assertIn("the store: 1 records were not written", self.logged)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertTrue(self.worker.stopped)

    def test_a_store_that_hangs_does_not_hold_the_node(self) -> None:
        """What it does after that is nobody's business."""
        self.queue.keep(numbered(0))
        stopped = self.queue.stop()
        self.clock.advance(STOP_S)
        self.successResultOf(stopped)
        self.worker.turn()
        self.queue.keep(numbered(1))
        self.assertEqual(self.clock.getDelayedCalls(), [])


class PruneTests(RecordQueueTestCase):
    """Records are kept for so long."""

    keep_s = 86_400.0

    def test_old_records_go_in_steps(self) -> None:
        """At the start and every hour, a bounded number at once, with the writes in between."""
        self.store.old = PRUNED + 1
        self.queue.start()
        self.worker.turn()
        self.clock.advance(1.0)
        self.worker.turn()
        self.assertEqual(self.store.pruned, [(NOON - 86_400.0, PRUNED)] * 2)
        self.assertEqual(self.store.old, 0)
        self.clock.advance(PRUNE_S - 1.0)
        self.assertEqual(self.worker.work, [])
        self.clock.advance(1.0)
        self.worker.turn()
        self.assertEqual(len(self.store.pruned), 3)
        self.queue.stop()
        self.worker.turn()
        self.assertEqual(self.clock.getDelayedCalls(), [])
