"""A SQLite file that holds the bindings and the users of all nodes of one machine.

It is in WAL mode: reads are short, see the last commit, wait for nobody, and are made in the reactor's thread; writes
are made in a thread of their own, for they wait for the disk and for other nodes' writes.  A change of bindings reads
and writes in one transaction, so that two nodes that register the same user do not undo each other.

What a power failure can take is the last moments' commits, never the file.
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from voipshift.calls.location import Binding, Bindings
from voipshift.errors import ConfigurationError
from voipshift.sip.auth import Secrets

#: Seconds that a read waits where another node is just making the file anew; it holds up the whole node.
READ_WAIT_S = 0.05
#: Seconds that a write waits for other nodes' writes.
WRITE_WAIT_S = 5.0
#: Writes that wait for the disk; a client whose REGISTER is one too many is told to come back.
MAX_WAITING = 1000
#: Grows with the tables below; a file of a later version is not touched.
VERSION = 2

_TABLES = """
CREATE TABLE IF NOT EXISTS bindings (
    user TEXT NOT NULL, place INTEGER NOT NULL, contact TEXT NOT NULL, q INTEGER NOT NULL, expires REAL NOT NULL,
    call_id TEXT NOT NULL, cseq INTEGER NOT NULL, path TEXT NOT NULL, node TEXT NOT NULL, listener INTEGER NOT NULL,
    host TEXT NOT NULL, port INTEGER NOT NULL, transport TEXT NOT NULL, behind_nat INTEGER NOT NULL,
    PRIMARY KEY (user, place)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS bindings_of_node ON bindings (node, expires);
CREATE TABLE IF NOT EXISTS users (
    name TEXT NOT NULL, realm TEXT NOT NULL, sha256 TEXT NOT NULL, md5 TEXT NOT NULL, PRIMARY KEY (name, realm)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS passwords (
    name TEXT NOT NULL, realm TEXT NOT NULL, password TEXT NOT NULL, PRIMARY KEY (name, realm)
) WITHOUT ROWID;
"""
_COLUMNS = "contact, q, expires, call_id, cseq, path, node, listener, host, port, transport, behind_nat"
_FIND = f"SELECT {_COLUMNS} FROM bindings WHERE user = ? ORDER BY place"
_INSERT = f"INSERT INTO bindings (user, place, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"

_SECRETS = """
SELECT sha256, md5, coalesce(password, '') FROM users LEFT JOIN passwords USING (name, realm)
WHERE name = ? AND realm = ?
"""


class Busy(Exception):
    """More writes wait than may."""


class WriteThread:
    """The one thread in which a store writes; it begins with the first call, after every fork, and ends with the store.

    :param reactor: to come back to
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._pool = ThreadPool(0, 1, "store")

    def __call__(self, called: Callable[..., Any], *parameters: object) -> Deferred[Any]:
        if not self._pool.started:
            self._pool.start()
        return deferToThreadPool(self._reactor, self._pool, called, *parameters)

    def stop(self) -> None:
        """Wait for what is being written, and end."""
        if self._pool.started:
            self._pool.stop()


class SqliteStore:
    """The location, and the users of one realm, in a file.

    :param in_thread: calls something in the one thread of the writes
    """

    def __init__(self, file: str, realm: str, in_thread: WriteThread | Callable[..., Deferred[Any]]) -> None:
        self._file = file
        self._realm = realm
        self._in_thread = in_thread
        self._waiting = 0
        self._reader: sqlite3.Connection | None = None
        self._writer: sqlite3.Connection | None = None

    def start(self) -> None:
        """Open the file; not before the process forks, over which a connection must not be taken."""
        self._reader = _open(self._file, READ_WAIT_S)
        self._reader.execute("PRAGMA query_only = ON")
        self._writer = _open(self._file, WRITE_WAIT_S)

    def stop(self) -> Deferred[None]:
        """Close the file, once the writes that wait are done."""
        reader, self._reader = self._reader, None
        writer, self._writer = self._writer, None
        if reader is not None:
            reader.close()
        if writer is None:
            return succeed(None)
        return self._in_thread(writer.close).addBoth(self._stopped)

    def _stopped(self, result: Any) -> Any:
        if isinstance(self._in_thread, WriteThread):
            self._in_thread.stop()
        return result

    # The location.

    def find(self, user: str) -> Deferred[Bindings]:
        """See :meth:`voipshift.calls.location.Location.find`."""
        assert self._reader is not None
        return maybeDeferred(self._find, self._reader, user)

    def change(self, user: str, step: Callable[[Bindings], Bindings]) -> Deferred[Bindings]:
        """See :meth:`voipshift.calls.location.Location.change`."""
        return self._write(self._change, user, step)

    def count(self, node: str, now: float) -> Deferred[int]:
        """See :meth:`voipshift.calls.location.Location.count`."""
        return maybeDeferred(self._count, node, now)

    # The users.

    def secrets(self, username: str) -> Deferred[Secrets | None]:
        """See :meth:`voipshift.sip.auth.Users.secrets`."""
        return maybeDeferred(self._secrets, username)

    def put(self, username: str, secrets: Secrets) -> Deferred[None]:
        """Add a user, or change its password."""
        return self._write(self._put, username, secrets)

    def remove(self, username: str) -> Deferred[bool]:
        """Remove a user; fires with False where there is no such user."""
        return self._write(self._remove, username)

    # In the thread of the writes.

    def _write(self, write: Callable[..., Any], *parameters: object) -> Deferred[Any]:
        if self._waiting >= MAX_WAITING:
            return fail(Busy())
        self._waiting += 1
        return self._in_thread(self._commit, self._writer, write, parameters).addBoth(self._written)

    def _written(self, result: Any) -> Any:
        self._waiting -= 1
        return result

    def _commit(self, writer: sqlite3.Connection, write: Callable[..., Any], parameters: tuple[object, ...]) -> Any:
        writer.execute("BEGIN IMMEDIATE")
        with writer:
            return write(writer, *parameters)

    def _change(self, writer: sqlite3.Connection, user: str, step: Callable[[Bindings], Bindings]) -> Bindings:
        before = self._find(writer, user)
        after = step(before)
        if after != before:
            writer.execute("DELETE FROM bindings WHERE user = ?", (user,))
            writer.executemany(_INSERT, [(user, place, *_row(binding)) for place, binding in enumerate(after)])
        return after

    def _put(self, writer: sqlite3.Connection, username: str, secrets: Secrets) -> None:
        row: tuple[str, ...] = (username, self._realm, secrets.sha256, secrets.md5)
        writer.execute("INSERT OR REPLACE INTO users (name, realm, sha256, md5) VALUES (?, ?, ?, ?)", row)
        writer.execute("DELETE FROM passwords WHERE name = ? AND realm = ?", row[:2])
        if secrets.password:
            row = (username, self._realm, secrets.password)
            writer.execute("INSERT INTO passwords (name, realm, password) VALUES (?, ?, ?)", row)

    def _remove(self, writer: sqlite3.Connection, username: str) -> bool:
        writer.execute("DELETE FROM passwords WHERE name = ? AND realm = ?", (username, self._realm))
        removed = writer.execute("DELETE FROM users WHERE name = ? AND realm = ?", (username, self._realm))
        return removed.rowcount > 0

    # Reads.

    def _find(self, connection: sqlite3.Connection, user: str) -> Bindings:
        return tuple(map(_binding, connection.execute(_FIND, (user,))))

    def _count(self, node: str, now: float) -> int:
        assert self._reader is not None
        counted = self._reader.execute("SELECT count(*) FROM bindings WHERE node = ? AND expires > ?", (node, now))
        return int(counted.fetchone()[0])

    def _secrets(self, username: str) -> Secrets | None:
        assert self._reader is not None
        found = self._reader.execute(_SECRETS, (username, self._realm)).fetchone()
        return None if found is None else Secrets(*found)


def prepare(file: str, key: str, config_file: str) -> None:
    """Make the file and its tables where they are not there yet.

    :param key: the setting that names the file
    :param config_file: where that setting stands
    :raises ConfigurationError: the file cannot be used
    """
    try:
        # Who may read the file may log in as anybody.
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            # Nodes that are started together: into WAL mode goes one alone, and SQLite does not let others wait for it.
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            with closing(_open(file, WRITE_WAIT_S)) as connection:
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
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript(_TABLES)
    connection.execute(f"PRAGMA user_version = {VERSION}")


def _open(file: str, wait_s: float) -> sqlite3.Connection:
    # Transactions are begun by hand; the writer is made in one thread and used in another.
    connection = sqlite3.connect(file, timeout=wait_s, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection


def _row(binding: Binding) -> tuple[Any, ...]:
    host, port = binding.source
    return (
        *binding[:5],
        json.dumps(binding.path),
        binding.node,
        binding.listener,
        host,
        port,
        binding.transport,
        binding.behind_nat,
    )


def _binding(row: tuple[Any, ...]) -> Binding:
    contact, q, expires, call_id, cseq, path, node, listener, host, port, transport, behind_nat = row
    ways = tuple(json.loads(path))
    return Binding(contact, q, expires, call_id, cseq, ways, node, listener, (host, port), transport, bool(behind_nat))
