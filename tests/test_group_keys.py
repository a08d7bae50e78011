"""The key file."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from voipshift.errors import ConfigurationError
from voipshift.group import keys


class KeyFileTests(SynchronousTestCase):
    """One file, as an operator may leave it."""

    def setUp(self) -> None:
        self.file = self.mktemp()

    def write(self, text: str, mode: int = 0o600) -> None:
        Path(self.file).write_text(text, encoding="utf-8")
        os.chmod(self.file, mode)

    def reason(self) -> str:
        error = self.assertRaises(ConfigurationError, keys.load, self.file)
        self.assertEqual(error.file, self.file)
        self.assertNotIn("\n", str(error))
        return str(error.reason)

    def test_made(self) -> None:
        """A new file holds one random key and is for its owner alone, whatever the umask."""
        self.addCleanup(os.umask, os.umask(0))
        keys.make(self.file)
        self.assertEqual(stat.S_IMODE(os.stat(self.file).st_mode), 0o600)
        first = keys.load(self.file).first
        os.remove(self.file)
        keys.make(self.file)
        self.assertNotEqual(keys.load(self.file).first.secret, first.secret)

    def test_never_overwritten(self) -> None:
        """A file that exists is left alone."""
        keys.make(self.file)
        self.assertIn("exists", self.assertRaises(ConfigurationError, keys.make, self.file).reason)

    def test_not_writable(self) -> None:
        """A folder that is not there is one line."""
        self.file += "/no/such"
        self.assertIn("cannot be written", self.assertRaises(ConfigurationError, keys.make, self.file).reason)

    def test_several(self) -> None:
        """The first seals, all open; comments and empty lines are skipped."""
        self.write(f"# ours\n{'01' * 32}  # new\n\n{'AB' * 32}\n")
        loaded = keys.load(self.file)
        self.assertEqual(loaded.first.secret, b"\x01" * 32)
        old = keys.Key(b"\xab" * 32)
        found = loaded.get(old.id)
        assert found is not None
        self.assertEqual(found.secret, old.secret)
        self.assertIsNone(loaded.get(b"none"))

    def test_others_can_read(self) -> None:
        """Any bit for the group or for others is one too many."""
        for mode in (0o640, 0o604, 0o620, 0o601):
            self.write("01" * 32, mode)
            self.assertIn(f"{mode:04o}", self.reason())

    def test_wrong(self) -> None:
        """Whatever is no key file is one clear line."""
        self.assertIn("cannot be read", self.reason())
        for text, word in (
            ("", "no key"),
            ("# nothing", "no key"),
            ("01" * 31, "line 1"),
            ("01" * 32 + "\nxyz", "line 2"),
            ("01" * 32 + "\n" + "01" * 32, "twice"),
            ("\n".join(f"{k:02x}" * 32 for k in range(9)), "at most 8"),
            ("# " + "x" * 20_000, "too long"),
            ("schlüssel", "line 1"),
        ):
            self.write(text)
            self.assertIn(word, self.reason())
        os.remove(self.file)
        os.mkdir(self.file, 0o700)
        self.assertIn("is not a file", self.reason())

    def test_reload(self) -> None:
        """A file that has become wrong leaves the keys as they are; a right one replaces them."""
        self.write("01" * 32)
        loaded = keys.load(self.file)
        self.write("02" * 32, 0o644)
        self.assertRaises(ConfigurationError, loaded.reload)
        self.assertEqual((loaded.first.secret, loaded.generation), (b"\x01" * 32, 0))
        os.chmod(self.file, 0o600)
        loaded.reload()
        self.assertEqual((loaded.first.secret, loaded.generation), (b"\x02" * 32, 1))

    def test_secret_is_not_shown(self) -> None:
        """A key that is logged by mistake shows only its id."""
        self.assertNotIn("0101", repr(keys.Key(b"\x01" * 32)))
