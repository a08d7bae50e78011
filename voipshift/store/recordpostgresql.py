"""Records of calls in a PostgreSQL server, through psycopg: for the nodes of many machines.

The table is made where it is not there yet.  A server that is away, or silent, fails a write in time; the next one
connects anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from voipshift.calls.record import Record
from voipshift.errors import ConfigurationError
from voipshift.store.recordrow import TABLES, Statements, record_of, row_of
from voipshift.store.recordsqlite import MOST_ATTEMPTS

#: Seconds after which the server counts as away; psycopg allows no less than 2.
CONNECT_S = 3
#: How long it may work at one statement, and may be silent at all.
PATIENCE_MS = 10_000
#: Two nodes that make the table at the same time would be in each other's way: one after the other, by this lock.
_MAKING = 0x766F6970

_ASKED = Statements.of("%s")


class PostgresqlRecords:
    """A server that keeps records.

    :param connect: connects to it; what it gives is a connection of psycopg
    """

    def __init__(self, connect: Callable[[], Any]) -> None:
        self._connect = connect
        self._connection: Any = None

    def write(self, records: Sequence[Record]) -> None:
        """See :class:`voipshift.store.recordrow.RecordStore`, as for all that follows."""
        with self._connected().transaction(), self._connection.cursor() as cursor:
            cursor.executemany(_ASKED.insert, [row_of(record) for record in records])

    def prune(self, before: float, most: int) -> int:
        """Forget old calls."""
        with self._connected().transaction():
            return int(self._connection.execute(_ASKED.prune, (before, most)).rowcount)

    def recent(self, since: float, most: int) -> list[Record]:
        """The last calls."""
        rows = self._connected().execute(_ASKED.recent, (since, most)).fetchall()
        return [record_of(row) for row in reversed(rows)]

    def of_call(self, call_id: str) -> list[Record]:
        """All of one call."""
        asked = (call_id, call_id, MOST_ATTEMPTS)
        return [record_of(row) for row in self._connected().execute(_ASKED.of_call, asked)]

    def close(self) -> None:
        """Disconnect."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _connected(self) -> Any:
        if self._connection is not None and (self._connection.closed or self._connection.broken):
            self._connection = None
        if self._connection is None:
            connection = self._connect()
            try:
                with connection.transaction():
                    connection.execute("SELECT pg_advisory_xact_lock(%s)", (_MAKING,))
                    for statement in TABLES:
                        connection.execute(statement)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return self._connection


def connector(url: str, key: str, config_file: str) -> Callable[[], Any]:
    """How the server of a URL is connected to.

    :param key: the setting that holds it
    :raises ConfigurationError: psycopg is not there, or the URL is none
    """
    try:
        import psycopg
    except ImportError:
        reason = "PostgreSQL needs psycopg: pip install 'voipshift[postgresql]'"
        raise ConfigurationError(config_file, key, reason) from None
    try:
        given = psycopg.conninfo.conninfo_to_dict(url)
    except psycopg.Error as error:
        raise ConfigurationError(config_file, key, f"is no URL of a database: {str(error).strip()}") from None
    options = f"{given.get('options') or ''} -c statement_timeout={PATIENCE_MS}".strip()

    def connect() -> Any:
        return psycopg.connect(
            url, autocommit=True, connect_timeout=CONNECT_S, options=options, tcp_user_timeout=PATIENCE_MS
        )

    return connect
