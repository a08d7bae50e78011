"""The queue of records that wait to be written, and the thread that writes them.

Whoever has a record puts it here and goes on; the disk, or the server, is waited for in a thread of its own.  Records
are written in batches, those of :data:`GATHER_S` together.  A batch that cannot be written stays at the head of the
queue and is tried again, at growing intervals; what comes beyond :data:`MOST_WAITING` meanwhile is counted and lost.
The log says once that it begins, and once that it is over.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from voipshift.calls.record import Record
from voipshift.store.recordrow import RecordStore

if TYPE_CHECKING:
    from voipshift.store.sqlite import WriteThread

#: Some 2 kB each: ten minutes of 80 calls a second for which the disk may be away.
MOST_WAITING = 50_000
#: How long the first record of a batch waits for others.
GATHER_S = 0.2
#: Written at once: a commit of some milliseconds, in which the interpreter is shared with the calls.
BATCH = 500
#: Between two tries to write, at first and at most.
RETRY_S = 1.0
LONGEST_RETRY_S = 30.0
#: How long a node that stops waits until all is written.
STOP_S = 5.0
#: How often what is too old is looked for, and how much of it is forgotten at once.
PRUNE_S = 3600.0
PRUNED = 1000
#: Between two steps while there is more.
PRUNE_ON_S = 1.0


class RecordQueue:
    """What one store is still to write.

    :param store: where to
    :param called: what that is called in the log
    :param in_thread: calls something in the thread of its own
    :param keep_s: how long records are kept; infinite for ever
    :ivar counts: ``written``, ``lost``
    """

    def __init__(
        self,
        store: RecordStore,
        called: str,
        *,
        clock: IReactorTime,
        wall: Callable[[], float],
        in_thread: WriteThread | Callable[..., Deferred[Any]],
        stop_thread: Callable[[], None] = lambda: None,
        keep_s: float = math.inf,
    ) -> None:
        self._store = store
        self._called = called
        self._clock = clock
        self._wall = wall
        self._in_thread = in_thread
        self._stop_thread = stop_thread
        self._keep_s = keep_s
        self._waiting: deque[Record] = deque()
        self._writing = False
        #: the next write, or the next try
        self._due: IDelayedCall | None = None
        self._prune_due: IDelayedCall | None = None
        self._retry_s = 0.0
        self._losing = False
        self._stopped: Deferred[None] | None = None
        self._deadline: IDelayedCall | None = None
        self._ended = False
        self._log = Logger(__name__)
        self.counts = {"written": 0, "lost": 0}

    def __len__(self) -> int:
        return len(self._waiting)

    def keep(self, record: Record) -> None:
        """Have a record written."""
        if self._ended:
            return
        if len(self._waiting) >= MOST_WAITING:
            self._lose()
            return
        self._waiting.append(record)
        if self._due is None and not self._writing:
            self._due = self._clock.callLater(GATHER_S, self._write)

    def start(self) -> None:
        """Begin to forget what is too old."""
        if self._keep_s < math.inf:
            self._prune()

    def stop(self) -> Deferred[None]:
        """Write what waits, for :data:`STOP_S` at most, and close the store."""
        if self._prune_due is not None and self._prune_due.active():
            self._prune_due.cancel()
        self._prune_due = None
        stopped: Deferred[None] = Deferred()
        self._stopped = stopped
        self._deadline = self._clock.callLater(STOP_S, self._give_up)
        if not self._writing:
            self._write()
        return stopped

    # Writing.

    def _write(self) -> None:
        due, self._due = self._due, None
        if due is not None and due.active():
            due.cancel()
        if not self._waiting:
            self._finish()
            return
        self._writing = True
        batch = list(islice(self._waiting, BATCH))
        written = self._in_thread(self._store.write, batch)
        written.addCallbacks(self._written, self._not_written, callbackArgs=(len(batch),))

    def _written(self, result: object, number: int) -> None:
        for _ in range(number):
            self._waiting.popleft()
        self.counts["written"] += number
        if self._retry_s:
            self._log.info("{called}: records are written again", called=self._called)
        if self._losing and len(self._waiting) <= MOST_WAITING // 2:
            self._log.warn("{called}: {lost} records were lost so far", called=self._called, lost=self.counts["lost"])
            self._losing = False
        self._retry_s = 0.0
        self._go_on(GATHER_S)

    def _not_written(self, failure: Failure) -> None:
        if not self._retry_s:
            self._log.error(
                "{called}: records cannot be written: {reason}; they wait, {most} at most",
                called=self._called,
                reason=_line(failure),
                most=MOST_WAITING,
            )
        self._retry_s = min(LONGEST_RETRY_S, 2 * self._retry_s or RETRY_S)
        self._go_on(self._retry_s)

    def _go_on(self, wait_s: float) -> None:
        self._writing = False
        if self._stopped is not None:
            wait_s = min(wait_s, RETRY_S) if self._retry_s else 0.0
        if self._ended:
            return
        if self._waiting and (not wait_s or (len(self._waiting) >= BATCH and not self._retry_s)):
            self._write()
        elif self._waiting:
            self._due = self._clock.callLater(wait_s, self._write)
        else:
            self._finish()

    def _lose(self) -> None:
        self.counts["lost"] += 1
        if not self._losing:
            self._losing = True
            self._log.error(
                "{called}: {most} records wait to be written: further ones are lost",
                called=self._called,
                most=MOST_WAITING,
            )

    # Forgetting.

    def _prune(self) -> None:
        self._prune_due = None
        pruned = self._in_thread(self._store.prune, self._wall() - self._keep_s, PRUNED)
        pruned.addCallbacks(self._pruned, self._not_pruned)

    def _pruned(self, number: int) -> None:
        self._prune_later(PRUNE_ON_S if number >= PRUNED else PRUNE_S)

    def _not_pruned(self, failure: Failure) -> None:
        """What cannot be forgotten cannot be written either, which is said there."""
        self._prune_later(PRUNE_S)

    def _prune_later(self, wait_s: float) -> None:
        if self._stopped is None and not self._ended:
            self._prune_due = self._clock.callLater(wait_s, self._prune)

    # The end.

    def _give_up(self) -> None:
        """Time is up: what waits is lost, and the store closes itself when its process ends."""
        self._log.error("{called}: {number} records were not written", called=self._called, number=len(self._waiting))
        self._end()

    def _finish(self) -> None:
        if self._stopped is not None:
            self._in_thread(self._store.close).addBoth(lambda result: self._end())

    def _end(self) -> None:
        stopped, self._stopped = self._stopped, None
        if stopped is None:
            return
        self._ended = True
        for due in (self._due, self._deadline):
            if due is not None and due.active():
                due.cancel()
        self._stop_thread()
        stopped.callback(None)


def _line(failure: Failure) -> str:
    """The first line of why."""
    return (str(failure.value).strip() or type(failure.value).__name__).splitlines()[0]
