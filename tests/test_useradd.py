"""``voipshift user add`` and ``remove``."""

from __future__ import annotations

import io
import os
import stat
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.locations import sqlite_at_once
from voipshift.cli import main
from voipshift.sip.auth import Secrets
from voipshift.store import userfile

NODE = """
[node]
name = "here"
[[sip.listen]]
transport = "udp"
address = "192.0.2.1:5060"
[workload]
ongoing_calls = 2
[registrar]
[access]
"""


class UserAddTest(SynchronousTestCase):
    """A configuration, a terminal that is none, and what is printed."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.config = str(self.folder / "node.toml")
        self.written('users = "users"')
        self.out, self.err = io.StringIO(), io.StringIO()
        self.patch(sys, "stdout", self.out)
        self.patch(sys, "stderr", self.err)

    def written(self, more: str) -> None:
        (self.folder / "node.toml").write_text(NODE + more)

    def run_user(self, *words: str, password: str = "wonder land\n") -> int:
        """Run the command, with a password on its standard input."""
        self.patch(sys, "stdin", io.StringIO(password))
        return main(["user", words[0], self.config, *words[1:]])

    def test_a_user_of_a_file(self) -> None:
        """The file is made beside the configuration, for its owner alone; a second user joins the first."""
        self.assertEqual(self.run_user("add", "alice"), 0)
        self.assertEqual(self.run_user("add", "bob", password="b"), 0)
        self.assertEqual(self.run_user("add", "bob", password="c"), 0)
        file = str(self.folder / "users")
        self.assertIn(f"alice: kept in {os.path.abspath(file)}", self.out.getvalue())
        self.assertEqual(stat.S_IMODE(os.stat(file).st_mode), 0o600)
        alice, bob = Secrets.of("alice", "voipshift", "wonder land"), Secrets.of("bob", "voipshift", "c")
        self.assertEqual(userfile.read(file), {("alice", "voipshift"): alice, ("bob", "voipshift"): bob})
        self.assertEqual(self.run_user("remove", "alice"), 0)
        self.assertEqual(userfile.read(file), {("bob", "voipshift"): bob})

    def test_a_user_of_h323(self) -> None:
        """The password itself is kept too, where that is asked for and no longer."""
        file = str(self.folder / "users")
        for words, kept in (("--h323",), "wonder land"), ((), ""):
            self.assertEqual(self.run_user("add", "alice", *words), 0)
            self.assertEqual(userfile.read(file)["alice", "voipshift"].password, kept)

    def test_a_user_of_the_store(self) -> None:
        """The default store is a file beside the configuration; its realm is the configuration's."""
        self.written('users = "store"\nrealm = "other"')
        self.assertEqual(self.run_user("add", "alice"), 0)
        store = sqlite_at_once(str(self.folder / "location.sqlite"), "other")
        store.start()
        self.assertEqual(self.successResultOf(store.secrets("alice")), Secrets.of("alice", "other", "wonder land"))
        store.stop()
        self.assertEqual(self.run_user("remove", "alice"), 0)
        self.assertEqual(self.run_user("remove", "alice"), 1)

    def test_what_cannot_be_done_is_one_line(self) -> None:
        """Status 1, and what to do."""
        for words, password, said in [
            (("add", "al ice"), "x", "al ice: a user's name is"),
            (("add", "al:ice"), "x", "al:ice: a user's name is"),
            (("add", "alice"), "\n", "alice: an empty password"),
            (("remove", "alice"), "", "alice: is no user of realm voipshift"),
        ]:
            self.err.truncate(0)
            self.assertEqual(self.run_user(*words, password=password), 1)
            self.assertIn(said, self.err.getvalue())
        self.written("")
        self.assertEqual(self.run_user("add", "alice"), 1)
        self.assertIn("access.users: missing", self.err.getvalue())
