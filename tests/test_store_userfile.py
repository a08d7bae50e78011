"""Users in a text file."""

from __future__ import annotations

import os

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from voipshift.errors import ConfigurationError
from voipshift.sip.auth import Secrets
from voipshift.store import userfile
from voipshift.store.userfile import UserFile

ALICE = Secrets("a" * 64, "b" * 32)
BOB = Secrets("c" * 64, "d" * 32, "\xe9 :1")


class UserFileTest(SynchronousTestCase):
    """A file with alice, in two realms."""

    def setUp(self) -> None:
        self.file = self.mktemp()
        self.clock = Clock()
        self.users = {("alice", "voipshift"): ALICE, ("alice", "other realm"): BOB}
        userfile.write(self.file, self.users)

    def opened(self) -> UserFile:
        users = UserFile(self.file, "voipshift", self.clock.seconds)
        users.load()
        return users

    def test_what_is_written_is_read(self) -> None:
        """Users by name and realm; those of other realms are not ours."""
        self.assertEqual(userfile.read(self.file), self.users)
        users = self.opened()
        self.assertEqual(self.successResultOf(users.secrets("alice")), ALICE)
        self.assertIsNone(self.successResultOf(users.secrets("bob")))

    def test_comments_and_empty_lines(self) -> None:
        """An operator may write some."""
        with open(self.file, "a") as appended:
            appended.write("\n# night shift\n\n")
        self.assertEqual(userfile.read(self.file), self.users)

    def test_a_change_is_seen(self) -> None:
        """Within a second, without a restart."""
        users = self.opened()
        userfile.write(self.file, {("bob", "voipshift"): BOB})
        self.clock.advance(0.5)
        self.assertIsNone(self.successResultOf(users.secrets("bob")))
        self.clock.advance(0.5)
        self.assertEqual(self.successResultOf(users.secrets("bob")), BOB)
        self.assertIsNone(self.successResultOf(users.secrets("alice")))

    def test_a_change_that_cannot_be_read_changes_nothing(self) -> None:
        """It is logged, and the users stay as they were."""
        users = self.opened()
        with open(self.file, "a") as appended:
            appended.write("bob\n")
        self.clock.advance(1)
        self.assertEqual(self.successResultOf(users.secrets("alice")), ALICE)
        os.unlink(self.file)
        self.clock.advance(1)
        self.assertEqual(self.successResultOf(users.secrets("alice")), ALICE)

    def test_what_is_no_such_file(self) -> None:
        """One line each that says what is wrong."""
        with self.assertRaisesRegex(ConfigurationError, "voipshift user add"):
            userfile.read(self.mktemp())
        os.chmod(self.file, 0o640)
        with self.assertRaisesRegex(ConfigurationError, "chmod 600"):
            userfile.read(self.file)
        os.chmod(self.file, 0o600)
        for line in (
            "alice:secret",
            f"al ice:voipshift:{'a' * 64}:{'b' * 32}",
            f"alice:voipshift:{'a' * 63}:{'b' * 32}",
            f"alice:voipshift:{'a' * 64}:{'b' * 32}:ff",
        ):
            with open(self.file, "w") as writer:
                writer.write(f"{line}\n")
            with self.assertRaisesRegex(ConfigurationError, "line 1 is not"):
                userfile.read(self.file)
        with self.assertRaisesRegex(ConfigurationError, "cannot be written"):
            userfile.write(os.path.join(self.file, "nowhere"), {})
