"""Records of calls in files: the suite on SQLite, and lines of JSON."""

from __future__ import annotations

import json
import os
import sqlite3
import stat

from twisted.trial.unittest import SynchronousTestCase

from tests.records import CALL, REFUSED, SHIFTED, RecordStoreTests
from voipshift.errors import ConfigurationError
from voipshift.store import recordsqlite
from voipshift.store.jsonlines import JsonLines
from voipshift.store.recordrow import RecordArchive
from voipshift.store.recordsqlite import SqliteRecords, prepare


class SqliteRecordsTests(RecordStoreTests, SynchronousTestCase):
    """The suite on SQLite."""

    def setUp(self) -> None:
        """A folder of its own."""
        self.file = os.path.abspath(os.path.join(self.mktemp(), "records.sqlite"))
        os.mkdir(os.path.dirname(self.file))
        prepare(self.file, "records.store", "")

    def store(self) -> RecordArchive:
        store = SqliteRecords(self.file)
        self.addCleanup(store.close)
        return store

    def test_a_read_does_not_wait_for_a_write(self) -> None:
        """Who lists calls sees the last commit, whatever a node is writing."""
        self.store().write([CALL])
        other = sqlite3.connect(self.file, isolation_level=None)
        self.addCleanup(other.close)
        other.execute("BEGIN IMMEDIATE")
        other.execute("DELETE FROM calls")
        reader = SqliteRecords(self.file, read_only=True)
        self.addCleanup(reader.close)
        self.assertEqual(reader.recent(0.0, 10), [CALL])
        other.execute("ROLLBACK")
        self.assertRaises(sqlite3.Error, reader.write, [REFUSED])

    def test_a_node_starts_while_another_one_writes(self) -> None:
        """A file that is there is not made anew."""
        other = sqlite3.connect(self.file, isolation_level=None)
        self.addCleanup(other.close)
        other.execute("BEGIN IMMEDIATE")
        self.patch(recordsqlite, "WAIT_S", 0.0)
        prepare(self.file, "records.store", "")

    def test_the_file_is_for_its_owner_alone(self) -> None:
        """Who calls whom is nobody else's business."""
        self.assertEqual(stat.S_IMODE(os.stat(self.file).st_mode), 0o600)

    def test_a_file_that_cannot_be_used(self) -> None:
        """One line that names file and key."""
        garbage, later = f"{self.file}.garbage", f"{self.file}.later"
        with open(garbage, "w") as writer:
            writer.write("garbage" * 1000)
        connection = sqlite3.connect(later)
        connection.execute("PRAGMA user_version = 9")
        connection.close()
        for file in (garbage, later, f"{self.file}/nowhere"):
            with self.assertRaises(ConfigurationError) as caught:
                prepare(file, "records.store", "node.toml")
            self.assertIn(f"node.toml: records.store: {file}", str(caught.exception))


class JsonLinesTests(SynchronousTestCase):
    """One object a line."""

    def setUp(self) -> None:
        """A file that is not there yet."""
        self.file = self.mktemp()
        self.lines = JsonLines(self.file)

    def test_each_record_is_a_line(self) -> None:
        """At the end of the file, for its owner alone; names and times as others read them."""
        self.lines.write([SHIFTED])
        self.lines.write([CALL, REFUSED])
        self.lines.close()
        with open(self.file) as reader:
            shifted, call, refused = map(json.loads, reader)
        self.assertEqual((shifted["code"], shifted["accepted"], shifted["node"]), (302, "member", "primary"))
        self.assertEqual((refused["code"], refused["accepted"], refused["gateway"]), (503, "", ""))
        self.assertEqual(
            call,
            {
                "attempt": "07" * 16,
                "node": "member",
                "call_id": "a84b4c76e66710@pc33.example.com",
                "door": "sip/udp",
                "caller": "sip:alice@example.com",
                "callee": "1234",
                "client": "[2001:db8::1]:5060",
                "entry": "primary",
                "path": [
                    {"node": "primary", "occupancy": 1.0, "capacity": 5.0, "reason": "full"},
                    {"node": "member", "occupancy": 0.25, "capacity": 100.0, "reason": "below_threshold"},
                ],
                "accepted": "member",
                "gateway": "192.0.2.20:5060",
                "began": "2023-11-14T22:13:20.000Z",
                "alerted": "2023-11-14T22:13:20.500Z",
                "answered": "2023-11-14T22:13:22.250Z",
                "ended": "2023-11-14T22:14:22.250Z",
                "duration_s": 60.0,
                "code": 200,
                "octets": 960_000,
            },
        )
        self.assertEqual(stat.S_IMODE(os.stat(self.file).st_mode), 0o600)

    def test_a_file_that_was_moved_away_begins_anew(self) -> None:
        """As log files are."""
        self.lines.write([CALL])
        os.rename(self.file, f"{self.file}.1")
        self.lines.write([REFUSED])
        with open(self.file) as reader:
            self.assertEqual(len(reader.readlines()), 1)

    def test_half_a_batch_is_taken_back(self) -> None:
        """So that the next try writes no line twice and none is cut."""
        self.lines.write([CALL])
        size = os.path.getsize(self.file)
        real = os.write
        self.patch(os, "write", lambda descriptor, octets: real(descriptor, octets[:100]))
        self.assertRaises(OSError, self.lines.write, [CALL, REFUSED])
        self.assertEqual(os.path.getsize(self.file), size)

    def test_nothing_is_forgotten(self) -> None:
        """Whoever takes the lines decides how long he keeps them."""
        self.lines.write([CALL])
        self.assertEqual(self.lines.prune(CALL.ended + 1, 10), 0)
