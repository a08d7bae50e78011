"""``voipshift calls`` and ``voipshift explain``."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.records import CALL, NOON, REFUSED, SHIFTED
from voipshift.balance.reason import Reason
from voipshift.callrecords import since_of
from voipshift.cli import main
from voipshift.errors import ConfigurationError
from voipshift.node import Load
from voipshift.store.recordsqlite import SqliteRecords, prepare

NODE = """
[node]
name = "here"
[[sip.listen]]
transport = "udp"
address = "192.0.2.1:5060"
[workload]
ongoing_calls = 2
"""


class CallRecordsTestCase(SynchronousTestCase):
    """A configuration, a file of records, and what is printed."""

    def setUp(self) -> None:
        """Three calls: one shifted, one refused, and one whose client did not come."""
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.config = str(self.folder / "node.toml")
        self.written("[records]")
        self.out, self.err = io.StringIO(), io.StringIO()
        self.patch(sys, "stdout", self.out)
        self.patch(sys, "stderr", self.err)
        file = str(self.folder / "records.sqlite")
        prepare(file, "records.store", "")
        store = SqliteRecords(file)
        silent = Load("mute", 0, 0, 0.0, 1e9, reason=Reason.SILENT)
        lost = SHIFTED._replace(attempt="09" * 16, call_id="lost", path=(SHIFTED.path[0], silent, SHIFTED.path[1]))
        lapsed = lost._replace(node="member", call_id="", code=408)
        store.write([SHIFTED, CALL, REFUSED, lost, lapsed])
        store.close()

    def written(self, more: str) -> None:
        (self.folder / "node.toml").write_text(NODE + more)

    def run_with(self, *words: str) -> int:
        """Run a command; what it says is read afterwards."""
        for stream in (self.out, self.err):
            stream.seek(0)
            stream.truncate()
        return main(words)


class CallsTests(CallRecordsTestCase):
    """The list."""

    def test_one_line_per_call(self) -> None:
        """When, who, whom, where, how often shifted, how it ended, how long, and its name to copy."""
        self.assertEqual(self.run_with("calls", "--config", self.config), 0)
        headings, *lines = [" ".join(line.split()) for line in self.out.getvalue().splitlines()]
        self.assertEqual(headings, "ENDED FROM TO NODE HOPS CODE SECONDS CALL-ID")
        self.assertIn(
            "2023-11-14 22:14:22 sip:alice@example.com 1234 member 1 200 60.0 a84b4c76e66710@pc33.example.com", lines
        )
        self.assertIn("2023-11-14 22:13:30 sip:alice@example.com 1234 - 0 503 - other", lines)
        self.assertEqual(len(lines), 3)

    def test_since_and_limit(self) -> None:
        """Those that ended since, and the last ones of them."""
        self.assertEqual(self.run_with("calls", "-c", self.config, "--since", "2023-11-14T22:14:00+00:00"), 0)
        self.assertEqual(len(self.out.getvalue().splitlines()), 2)
        self.assertEqual(self.run_with("calls", "-c", self.config, "--limit", "1"), 0)
        self.assertEqual(len(self.out.getvalue().splitlines()), 2)

    def test_as_json(self) -> None:
        """An object a line, for other programs."""
        self.assertEqual(self.run_with("calls", "--config", self.config, "--json"), 0)
        found = [json.loads(line) for line in self.out.getvalue().splitlines()]
        self.assertEqual({each["code"] for each in found}, {408, 503, 200})
        self.assertEqual(found[-1]["path"][0]["reason"], "full")

    def test_without_a_configuration_it_is_the_file_of_this_folder(self) -> None:
        """A word less to type; where there is none, it is said which to name."""
        here = os.getcwd()
        self.addCleanup(os.chdir, here)
        os.chdir(self.folder)
        self.assertEqual(self.run_with("calls"), 0)
        self.assertEqual(len(self.out.getvalue().splitlines()), 4)
        os.chdir(here)
        self.assertEqual(self.run_with("calls"), 1)
        self.assertRegex(self.err.getvalue(), r"^\S+records\.sqlite: is not there: --config FILE names a node")

    def test_what_cannot_be_read_is_one_line(self) -> None:
        """Which setting, and what to do."""
        for more, said in [
            ("", "records: missing: this node keeps no records"),
            ('[records]\nstore = "none"\njson_lines = "calls.jsonl"', "records.store: nothing can be asked of /"),
            ('[records]\nstore = "none"', "records.store: keeps nothing: name a file as json_lines"),
            ('[records]\nstore = "elsewhere.sqlite"', "elsewhere.sqlite: is not there"),
            ('[records]\nstore = "node.toml"', "node.toml: cannot be read: file is not a database"),
            ("[records]\nkeep_days = 0", "records.keep_days: must be a number from 0.1 to 36500"),
        ]:
            self.written(more)
            self.assertEqual(self.run_with("calls", "--config", self.config), 1, more)
            self.assertIn(said, self.err.getvalue())
            self.assertEqual(self.err.getvalue().count("\n"), 1)

    def test_postgresql_without_its_extra(self) -> None:
        """What to install, before anything is started."""
        self.patch(sys, "modules", {**sys.modules, "psycopg": None})
        self.written('[records]\nstore = "postgresql://192.0.2.30/voipshift"')
        self.assertEqual(self.run_with("check", self.config), 1)
        self.assertIn("records.store: PostgreSQL needs psycopg: pip install", self.err.getvalue())

    def test_points_in_time(self) -> None:
        """So long ago, or a date and time, here or with an offset."""
        self.assertEqual(since_of("90m", NOON), NOON - 5400)
        self.assertEqual(since_of("7d", NOON), NOON - 7 * 86_400)
        self.assertEqual(since_of("2023-11-14T22:13:20Z", 0.0), NOON)
        self.assertEqual(since_of("2023-11-15T00:13:20+02:00", 0.0), NOON)
        for wrong in ("", "yesterday", "5", "9999999d", "-3h", "2023-13-01"):
            self.assertRaises(ConfigurationError, since_of, wrong, NOON)


class ExplainTests(CallRecordsTestCase):
    """One call, hop by hop."""

    def explained(self, name: str) -> list[str]:
        self.assertEqual(self.run_with("explain", "--config", self.config, name), 0)
        return self.out.getvalue().splitlines()

    def test_a_call_that_was_shifted(self) -> None:
        """Each node with its load and its reason, then what became of it at each."""
        expected = [
            "call a84b4c76e66710@pc33.example.com",
            "  from     sip:alice@example.com",
            "  to       1234",
            "  client   [2001:db8::1]:5060 by sip/udp",
            "  attempt  07070707070707070707070707070707, at primary, 2023-11-14T22:13:19.750Z",
            "decided",
            "  1. primary (100 % of 5 calls) had no room, and asked a member believed to have some",
            "  2. member (25 % of 100 calls) accepted: it was below its threshold",
            "ended",
            "  primary: 302, shifted to member after 250 ms",
            "  member: 200, sent to 192.0.2.20:5060, rang after 500 ms, answered after 2250 ms, lasted 60.0 s, "
            "960000 octets of media",
        ]
        self.assertEqual(self.explained(CALL.call_id), expected)
        self.assertEqual(self.explained(CALL.attempt), expected)

    def test_a_call_that_was_refused(self) -> None:
        """By whom, and why."""
        self.assertIn("  primary: 503, nobody took it; refused after 0 ms", self.explained("other"))

    def test_a_client_that_did_not_come(self) -> None:
        """Told by both nodes, though the second one never heard its Call-ID."""
        told = self.explained("lost")
        self.assertEqual(told[0], "call lost")
        self.assertIn("  2. mute (0 %) was asked, and nothing was heard of it", told)
        self.assertIn("  member: 408, a slot was held for the client, which did not come", told)

    def test_a_call_that_nobody_knows(self) -> None:
        """One line, and where to look."""
        self.assertEqual(self.run_with("explain", "--config", self.config, "nobody"), 1)
        self.assertEqual(self.out.getvalue(), "")
        self.assertIn("nobody: no call is recorded by that id", self.err.getvalue())

    def test_what_a_terminal_would_obey_is_not_printed(self) -> None:
        """A caller chooses its name and its Call-ID."""
        store = SqliteRecords(str(self.folder / "records.sqlite"))
        store.write([CALL._replace(attempt="0a" * 16, caller="\x1b[2Jnobody", call_id="\x1b]0;x\x07")])
        store.close()
        for words in (("calls", "--config", self.config), ("explain", "--config", self.config, "0a" * 16)):
            self.assertEqual(self.run_with(*words), 0)
            self.assertNotIn("\x1b", self.out.getvalue())
