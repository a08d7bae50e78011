"""A call's record as a row of the table ``calls``, which is the same in every database; and what is asked of it.

``attempt`` and ``node`` are the key, and a row that is there already is left alone: a batch whose commit was in doubt
is written once more without harm.  Only a call that was shifted may end otherwise after all, where the member was not
there when the client was brought to it: the later record takes the place of the earlier one.  Times are seconds since
1970, ``path`` is JSON.  Every statement is understood by SQLite and by PostgreSQL; what differs is how a parameter is
marked.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from voipshift.calls.record import SHIFTED, Record, address_of, path_of, plain, steps, written

_COLUMNS = (
    "attempt, node, call_id, door, caller, callee, client, entry, path, accepted, gateway, began, alerted, answered, "
    "ended, duration_s, code, octets"
)
_WIDTH = _COLUMNS.count(",") + 1
_REPLACED = ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS.split(", ")[2:])

TABLES = (
    """CREATE TABLE IF NOT EXISTS calls (
    attempt TEXT NOT NULL, node TEXT NOT NULL, call_id TEXT NOT NULL, door TEXT NOT NULL, caller TEXT NOT NULL,
    callee TEXT NOT NULL, client TEXT NOT NULL, entry TEXT NOT NULL, path TEXT NOT NULL, accepted TEXT NOT NULL,
    gateway TEXT NOT NULL, began DOUBLE PRECISION NOT NULL, alerted DOUBLE PRECISION, answered DOUBLE PRECISION,
    ended DOUBLE PRECISION NOT NULL, duration_s DOUBLE PRECISION NOT NULL, code INTEGER NOT NULL, octets BIGINT,
    PRIMARY KEY (attempt, node)
)""",
    "CREATE INDEX IF NOT EXISTS calls_ended ON calls (ended)",
    "CREATE INDEX IF NOT EXISTS calls_call_id ON calls (call_id)",
)


class RecordStore(Protocol):
    """Where records are kept.  Each method may wait for the disk, and raises whatever the database does."""

    def write(self, records: Sequence[Record]) -> None:
        """Keep all of them, or none; those that are there already stay as they are, but for calls that were shifted."""
        ...

    def prune(self, before: float, most: int) -> int:
        """Forget calls that ended before, the oldest first; so many at most.

        :returns: how many it were
        """
        ...

    def close(self) -> None:
        """What is written later opens it again."""
        ...


class RecordArchive(RecordStore, Protocol):
    """A store that can be asked."""

    def recent(self, since: float, most: int) -> list[Record]:
        """The last calls that ended since then, one record each, the oldest first.

        Of a call that was shifted it is that of the node that took it, where the store has both.
        """
        ...

    def of_call(self, call_id: str) -> list[Record]:
        """All that is known of a call by what its ends or the group know it by, the oldest record first."""
        ...


class Statements(NamedTuple):
    """What is asked of the table."""

    insert: str
    prune: str
    recent: str
    of_call: str

    @classmethod
    def of(cls, mark: str) -> Statements:
        """As a database has them whose parameters are marked so."""
        marks = ", ".join([mark] * _WIDTH)
        carried = "SELECT 1 FROM calls AS other WHERE other.attempt = calls.attempt AND other.node = calls.accepted"
        return cls(
            insert=f"INSERT INTO calls ({_COLUMNS}) VALUES ({marks}) ON CONFLICT (attempt, node) DO UPDATE SET "
            f"{_REPLACED} WHERE calls.code = {SHIFTED}",
            prune="DELETE FROM calls WHERE (attempt, node) IN "
            f"(SELECT attempt, node FROM calls WHERE ended < {mark} ORDER BY ended LIMIT {mark})",
            recent=f"SELECT {_COLUMNS} FROM calls WHERE ended >= {mark} "
            f"AND NOT (code = {SHIFTED} AND accepted <> node AND EXISTS ({carried})) ORDER BY ended DESC LIMIT {mark}",
            of_call=f"SELECT {_COLUMNS} FROM calls WHERE attempt IN (SELECT attempt FROM calls WHERE call_id = {mark} "
            f"OR attempt = {mark} ORDER BY ended DESC LIMIT {mark}) ORDER BY began",
        )


def row_of(record: Record) -> tuple[Any, ...]:
    """A record as a row."""
    return (
        record.attempt,
        plain(record.node),
        plain(record.call_id),
        plain(record.door),
        plain(record.caller),
        plain(record.callee),
        written(record.client),
        plain(record.entry),
        json.dumps(steps(record.path)),
        plain(record.accepted),
        written(record.gateway),
        record.began,
        record.alerted,
        record.answered,
        record.ended,
        record.duration_s,
        record.code,
        record.octets,
    )


def record_of(row: Sequence[Any]) -> Record:
    """The other way."""
    attempt, node, call_id, door, caller, callee, client, entry, path, accepted, gateway, *rest = row
    began, alerted, answered, ended, _, code, octets = rest
    return Record(
        attempt,
        node,
        call_id,
        door,
        caller,
        callee,
        address_of(client) or ("", 0),
        entry,
        path_of(path),
        accepted,
        address_of(gateway),
        began,
        alerted,
        answered,
        ended,
        code,
        octets,
    )
