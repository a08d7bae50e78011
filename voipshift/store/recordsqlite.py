"""Records of calls in a SQLite file, which all nodes of one machine can share.

It is in WAL mode: who reads waits for nobody.  What a power failure can take is the last moments' commits.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from voipshift.calls.record import Record
from voipshift.errors import ConfigurationError
from voipshift.store.recordrow import TABLES, Statements, record_of, row_of

#: Seconds that a write waits for other nodes' writes, before it is tried again later.
WAIT_S = 5.0
#: Grows with the table; a file of a later version is not touched.
VERSION = 1
#: Attempts by one Call-ID that are looked at: clients may use one for several.
MOST_ATTEMPTS = 20

_ASKED = Statements.of("?")


class SqliteRecords:
    """A file of records.

    :param read_only: nothing is to be written, and a file that is not there is not made
    """

    def __init__(self, file: str, *, read_only: bool = False) -> None:
        self._file = file
        self._read_only = read_only
        self._connection: sqlite3.Connection | None = None

    def write(self, records: Sequence[Record]) -> None:
        """See :class:`voipshift.store.recordrow.RecordStore`, as for all that follows."""
        connection = self._connected()
        with connection:
            connection.executemany(_ASKED.insert, map(row_of, records))

    def prune(self, before: float, most: int) -> int:
        """Forget old calls."""
        connection = self._connected()
        with connection:
            return connection.execute(_ASKED.prune, (before, most)).rowcount

    def recent(self, since: float, most: int) -> list[Record]:
        """The last calls."""
        rows = self._connected().execute(_ASKED.recent, (since, most)).fetchall()
        return [record_of(row) for row in reversed(rows)]

    def of_call(self, call_id: str) -> list[Record]:
        """All of one call."""
        asked = (call_id, call_id, MOST_ATTEMPTS)
        return [record_of(row) for row in self._connected().execute(_ASKED.of_call, asked)]

    def close(self) -> None:
        """Close the file."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _connected(self) -> sqlite3.Connection:
        """Opened by whoever needs it first: the thread of the writes, after the process has forked."""
        if self._connection is None:
            if self._read_only:
                uri = Path(self._file).as_uri()
                self._connection = sqlite3.connect(f"{uri}?mode=ro", uri=True, timeout=WAIT_S)
            else:
                self._connection = sqlite3.connect(self._file, timeout=WAIT_S, check_same_thread=False)
                self._connection.execute("PRAGMA synchronous = NORMAL")
        return self._connection


def prepare(file: str, key: str, config_file: str) -> None:
    """Make the file and its table where they are not there yet.

    :param key: the setting that names the file
    :param config_file: where that setting stands
    :raises ConfigurationError: the file cannot be used
    """
    try:
        # Who calls whom is nobody else's business.
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            # Nodes that are started together: into WAL mode goes one alone, and SQLite does not let others wait for it.
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            with closing(sqlite3.connect(file, timeout=WAIT_S)) as connection:
                _make(connection, file, key, config_file)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise ConfigurationError(config_file, key, f"{file} cannot be opened: {error.strerror}") from None
    except sqlite3.Error as error:
        raise ConfigurationError(config_file, key, f"{file} cannot be used: {error}") from None


def _make(connection: sqlite3.Connection, file: str, key: str, config_file: str) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > VERSION:
        raise ConfigurationError(config_file, key, f"{file} was made by a later voipshift: use that one")
    if version == VERSION:
        return  # without a wait for somebody who writes
    connection.execute("PRAGMA journal_mode = WAL")
    with connection:
        for statement in TABLES:
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {VERSION}")
