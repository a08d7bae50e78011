"""The records of a node: who makes them, and where they are written; made of what the settings say."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from typing import Any, Protocol

from twisted.internet.defer import Deferred, DeferredList

from voipshift import config
from voipshift.calls.record import Origin, Record, Slot
from voipshift.calls.recorder import Recorder
from voipshift.calls.table import Call, CallTable
from voipshift.delegation.chain import Delegation
from voipshift.delegation.recorded import Placing, Recorded
from voipshift.store import recordpostgresql, recordsqlite, sqlite
from voipshift.store.jsonlines import JsonLines
from voipshift.store.recordqueue import RecordQueue
from voipshift.store.recordrow import RecordArchive, RecordStore

#: The file of records where none is configured, beside the configuration.
RECORDS = "records.sqlite"
DAY_S = 86_400.0
_KEY = "records.store"


class Records(Protocol):
    """What the wiring does with them."""

    @property
    def recorder(self) -> Recorder | None: ...
    def over(self, delegation: Delegation) -> Placing: ...
    def closed(self, call: Call) -> None: ...
    def unserved(self, origin: Origin | None, status: int) -> None: ...
    def lapsed(self, slots: Iterable[Slot]) -> None: ...
    def start(self) -> None: ...
    def stop(self) -> Deferred[Any] | None: ...


class Unrecorded:
    """A node that keeps none."""

    recorder: Recorder | None = None

    def over(self, delegation: Delegation) -> Placing:
        """The delegation itself."""
        return delegation

    def closed(self, call: Call) -> None:
        """Nobody is told."""

    def unserved(self, origin: Origin | None, status: int) -> None:
        """Nobody is told."""

    def lapsed(self, slots: Iterable[Slot]) -> None:
        """Nobody is told."""

    def start(self) -> None:
        """There is nothing to start."""

    def stop(self) -> Deferred[Any] | None:
        """There is nothing to stop."""
        return None


class Recording:
    """A node that keeps records.

    :param table: the calls that are under way; they are recorded when the node stops
    :param queues: where each record is written
    """

    def __init__(self, name: str, table: CallTable, queues: list[RecordQueue], reactor: Any) -> None:
        self._table = table
        self._queues = queues
        self.recorder: Recorder | None = Recorder(
            name=name, keep=self._keep, now=reactor.seconds, wall=time.time, octets=os.urandom
        )
        self.closed = self.recorder.closed
        self.unserved = self.recorder.unserved
        self.lapsed = self.recorder.lapsed

    def over(self, delegation: Delegation) -> Placing:
        """Attempts that are not carried here leave a record too."""
        assert self.recorder is not None
        return Recorded(delegation, self.recorder)

    def start(self) -> None:
        """Begin to write."""
        for queue in self._queues:
            queue.start()

    def stop(self) -> Deferred[Any]:
        """Write all that there is."""
        for call in self._table:
            self.closed(call)
        return DeferredList([queue.stop() for queue in self._queues])

    def _keep(self, record: Record) -> None:
        for queue in self._queues:
            queue.keep(record)


def records_of(settings: config.Settings, reactor: Any, table: CallTable) -> Records:
    """The records of a node, not started yet.

    :raises ConfigurationError: a file cannot be used
    """
    records = settings.records
    if records is None:
        return Unrecorded()
    stores: list[tuple[RecordStore, str]] = []
    where = place_of(settings)
    if is_postgresql(where):
        connect = recordpostgresql.connector(where, _KEY, settings.file)
        stores.append((recordpostgresql.PostgresqlRecords(connect), "PostgreSQL"))
    elif where != "none":
        recordsqlite.prepare(where, _KEY, settings.file)
        stores.append((recordsqlite.SqliteRecords(where), where))
    if records.json_lines is not None:
        stores.append((JsonLines(records.json_lines), records.json_lines))
    keep_s = records.keep_days * DAY_S
    queues = [_queue(store, called, keep_s, reactor) for store, called in stores]
    return Recording(settings.node.name, table, queues, reactor)


def _queue(store: RecordStore, called: str, keep_s: float, reactor: Any) -> RecordQueue:
    thread = sqlite.WriteThread(reactor)
    return RecordQueue(
        store, called, clock=reactor, wall=time.time, in_thread=thread, stop_thread=thread.stop, keep_s=keep_s
    )


def place_of(settings: config.Settings) -> str:
    """The file or the URL of the records; ``"none"`` where they are only written as lines."""
    where = settings.records.store if settings.records is not None else None
    return where or os.path.join(os.path.dirname(os.path.abspath(settings.file)), RECORDS)


def is_postgresql(where: str) -> bool:
    """Whether it is a URL of a PostgreSQL server."""
    return where.startswith(("postgresql:", "postgres:"))


def archive_of(where: str, file: str) -> RecordArchive:
    """What can be asked of records, to be closed afterwards.

    :param file: the configuration that names them
    """
    if is_postgresql(where):
        return recordpostgresql.PostgresqlRecords(recordpostgresql.connector(where, _KEY, file))
    return recordsqlite.SqliteRecords(where, read_only=True)
