"""Bindings and users in a SQLite file, with a real thread for its writes."""

from __future__ import annotations

import os
import sqlite3
import stat
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import DeferredList, inlineCallbacks

from tests.locations import ALICE, StoreTestCase, StoreTests, with_binding
from voipshift.errors import ConfigurationError
from voipshift.store.sqlite import MAX_WAITING, Busy, SqliteStore, WriteThread, prepare


class SqliteStoreTest(StoreTests, StoreTestCase):
    """The suite on SQLite; each store has its own thread, as each node has."""

    def setUp(self) -> None:
        self.file = os.path.join(self.mktemp(), "location.sqlite")
        os.mkdir(os.path.dirname(self.file))
        prepare(self.file, "registrar.location", "")

    def store(self, realm: str = "voipshift") -> Any:
        store = SqliteStore(self.file, realm, WriteThread(reactor))
        store.start()
        self.addCleanup(store.stop)
        return store

    @inlineCallbacks
    def test_bindings_survive_a_restart(self) -> Any:
        """They are in the file, whoever opens it."""
        store = self.store()
        yield store.change("alice", with_binding(ALICE))
        yield store.stop()
        again = self.store()
        self.assertEqual((yield again.find("alice")), (ALICE,))

    @inlineCallbacks
    def test_a_read_does_not_wait_for_a_write(self) -> Any:
        """Another node holds the file in the middle of a write; the last commit is seen at once."""
        store = self.store()
        yield store.change("alice", with_binding(ALICE))
        other = sqlite3.connect(self.file, isolation_level=None)
        self.addCleanup(other.close)
        other.execute("BEGIN IMMEDIATE")
        other.execute("DELETE FROM bindings")
        found: list[Any] = []
        store.find("alice").addCallback(found.append)
        self.assertEqual(found, [(ALICE,)])
        other.execute("ROLLBACK")

    @inlineCallbacks
    def test_too_many_writes_fail_at_once(self) -> Any:
        """What waits for a slow disk is bounded."""
        store = self.store()
        other = sqlite3.connect(self.file, isolation_level=None)
        self.addCleanup(other.close)
        other.execute("BEGIN IMMEDIATE")
        waiting = [store.change(f"user{number}", lambda bindings: bindings) for number in range(MAX_WAITING)]
        yield self.assertFailure(store.change("alice", with_binding(ALICE)), Busy)
        other.execute("ROLLBACK")
        yield DeferredList(waiting)
        yield store.change("alice", with_binding(ALICE))

    def test_the_file_is_for_its_owner_alone(self) -> None:
        """It holds what users log in with."""
        self.assertEqual(stat.S_IMODE(os.stat(self.file).st_mode), 0o600)

    def test_a_file_that_cannot_be_used(self) -> None:
        """One line that names file and key."""
        garbage = f"{self.file}.garbage"
        with open(garbage, "w") as writer:
            writer.write("garbage" * 1000)
        later = f"{self.file}.later"
        connection = sqlite3.connect(later)
        connection.execute("PRAGMA user_version = 9")
        connection.close()
        for file in (garbage, later, f"{self.file}/nowhere"):
            with self.assertRaises(ConfigurationError) as caught:
                prepare(file, "registrar.location", "node.toml")
            self.assertIn(f"node.toml: registrar.location: {file}", str(caught.exception))
