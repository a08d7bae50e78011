"""Records and a real thread: what a file that cannot be written holds up, and what is lost by it.  Nothing."""

from __future__ import annotations

import os
import sqlite3
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import inlineCallbacks
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from tests.records import CALL
from voipshift.store.recordqueue import GATHER_S, RecordQueue
from voipshift.store.recordsqlite import SqliteRecords, prepare
from voipshift.store.sqlite import WriteThread


class ThreadTest(TestCase):
    """A queue as a node has it."""

    timeout = 20

    @inlineCallbacks
    def test_a_slow_store_blocks_nothing(self) -> Any:
        """While another process holds the file, the reactor turns as ever and every record is taken; later all are
        there.
        """
        file = os.path.abspath(self.mktemp())
        prepare(file, "records.store", "")
        thread = WriteThread(reactor)
        queue = RecordQueue(
            SqliteRecords(file), file, clock=reactor, wall=reactor.seconds, in_thread=thread, stop_thread=thread.stop
        )
        other = sqlite3.connect(file, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        queue.keep(CALL)
        yield deferLater(reactor, 1.5 * GATHER_S)
        longest = 0.0
        for number in range(1000):
            began = reactor.seconds()
            queue.keep(CALL._replace(attempt=f"{number:032x}"))
            yield deferLater(reactor, 0)
            longest = max(longest, reactor.seconds() - began)
        self.assertEqual(queue.counts, {"written": 0, "lost": 0})
        self.assertEqual(len(queue), 1001)
        self.assertLess(longest, 0.5)
        other.execute("ROLLBACK")
        yield queue.stop()
        self.assertEqual(queue.counts, {"written": 1001, "lost": 0})
        self.assertEqual(other.execute("SELECT count(*) FROM calls").fetchone(), (1001,))
        other.close()
