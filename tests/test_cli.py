"""The ``voipshift`` command: what it prints, where, and its exit code."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import stat
from pathlib import Path
from types import ModuleType
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

import voipshift.demo
from voipshift.cli import main

ALONE = """
[node]
name = "alone"
[[sip.listen]]
transport = "udp"
address = "127.0.0.1:5060"
[workload]
ongoing_calls = 10
"""


def run(*words: str) -> tuple[int, str, str]:
    """Run the command: its exit code, standard output and standard error."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(words)
        except SystemExit as ended:
            code = int(ended.code or 0)
    return code, out.getvalue(), err.getvalue()


class CheckTests(SynchronousTestCase):
    """``voipshift check FILE``."""

    def write(self, text: str) -> str:
        """A configuration file with that text."""
        file = self.mktemp()
        Path(file).write_text(text)
        return str(file)

    def test_good_file_is_ok(self) -> None:
        """A file that a node would start with is called ok, exit code 0."""
        file = self.write(ALONE)
        self.assertEqual(run("check", file), (0, f"{file}: ok\n", ""))

    def test_wrong_file_is_one_line_on_standard_error(self) -> None:
        """The line names file, key and reason; the exit code is 1."""
        file = self.write(ALONE.replace("= 10", "= -1"))
        reason = "workload.ongoing_calls: must be a whole number from 0 to 1000000, not -1"
        self.assertEqual(run("check", file), (1, "", f"{file}: {reason}\n"))

    def test_what_it_names_cannot_be_used(self) -> None:
        """Users that are not there, and no URL of a server, are said before a node is started with it."""
        for more, key in (
            ('[access]\nusers = "nobody"\n', "access.users"),
            ('[registrar]\nlocation = "redis://192.0.2.30:port"\n', "registrar.location"),
        ):
            file = self.write(f"{ALONE}\n{more}")
            code, out, err = run("check", file)
            self.assertEqual((code, out), (1, ""))
            self.assertRegex(err, rf"\A{file}: {key}: [^\n]+\n\Z")

    def test_file_that_is_not_there(self) -> None:
        """Said in one line, as everything is."""
        code, out, err = run("check", "/nowhere/at.toml")
        self.assertEqual((code, out, err), (1, "", "/nowhere/at.toml: cannot be read: No such file or directory\n"))


class KeygenTests(SynchronousTestCase):
    """``voipshift keygen FILE``."""

    def test_key_is_its_owners_alone(self) -> None:
        """The mode is 0600 whatever the umask."""
        file = self.mktemp()
        self.addCleanup(os.umask, os.umask(0))
        code, _, err = run("keygen", file)
        self.assertEqual((code, err), (0, ""))
        self.assertEqual(stat.S_IMODE(os.stat(file).st_mode), 0o600)

    def test_existing_file_is_left_alone(self) -> None:
        """A second keygen would cut the group in two: it refuses."""
        file = self.mktemp()
        run("keygen", file)
        before = Path(file).read_bytes()
        code, _, err = run("keygen", file)
        self.assertEqual(code, 1)
        self.assertEqual(err.count("\n"), 1)
        self.assertIn(str(file), err)
        self.assertEqual(Path(file).read_bytes(), before)

    def test_two_keys_differ(self) -> None:
        """Each is drawn afresh."""
        one, other = self.mktemp(), self.mktemp()
        run("keygen", one)
        run("keygen", other)
        self.assertNotEqual(Path(one).read_bytes(), Path(other).read_bytes())


class Remembered(ModuleType):
    """A stand-in for a module of the demo: its ``main`` remembers what it was called with."""

    def main(self, arguments: argparse.Namespace) -> int:
        self.arguments = arguments
        return 7


class DemoArgumentTests(SynchronousTestCase):
    """``voipshift demo`` and ``voipshift call``: what the demo is handed."""

    def handed(self, module: str, *words: str) -> argparse.Namespace:
        """The parsed arguments that a module's main gets; its exit code is ours."""
        remembered = Remembered(module)
        with mock.patch.object(voipshift.demo, module, remembered, create=True):
            self.assertEqual(run(*words), (7, "", ""))
        return remembered.arguments

    def test_demo_defaults(self) -> None:
        """Three nodes, 200 calls, 50 a second, two seconds each, from port 15060."""
        given = vars(self.handed("run", "demo"))
        del given["run"]
        expected = {"nodes": 3, "calls": 200, "rate": 50.0, "hold": 2.0, "base_port": 15060, "h323_calls": 0}
        self.assertEqual(given, {**expected, "set": [], "serve": False, "json": False})

    def test_demo_settings_add_up(self) -> None:
        """--set can be there several times, in that order."""
        words = ["demo", "--set", "a.b=1", "--nodes", "4", "--set", "primary.a.b=2", "--serve", "--base-port", "20000"]
        given = self.handed("run", *words)
        self.assertEqual((given.set, given.nodes, given.serve), (["a.b=1", "primary.a.b=2"], 4, True))
        self.assertEqual(given.base_port, 20000)

    def test_call(self) -> None:
        """A URI, and how long to hold the call."""
        given = self.handed("callbyhand", "call", "sip:100@127.0.0.1:5060", "--hold", "0.5")
        self.assertEqual((given.uri, given.hold), ("sip:100@127.0.0.1:5060", 0.5))

    def test_numbers_out_of_range(self) -> None:
        """They are argparse's errors, exit code 2."""
        for words in (["--nodes", "0"], ["--nodes", "2.5"], ["--calls", "-1"], ["--rate", "nan"], ["--hold", "x"]):
            code, out, err = run("demo", *words)
            self.assertEqual((code, out), (2, ""))
            self.assertIn(f"argument {words[0]}: must be a", err)


class UsageTests(SynchronousTestCase):
    """The command by itself."""

    def test_an_interrupt_is_no_traceback(self) -> None:
        """Ctrl-C while a command is still being made ready, or one that has no end of its own for that."""
        interrupted = mock.Mock(side_effect=KeyboardInterrupt)
        with mock.patch.object(voipshift.demo, "run", mock.Mock(main=interrupted), create=True):
            self.assertEqual(run("demo"), (130, "", ""))

    def test_command_is_needed(self) -> None:
        """Without one the usage is shown, exit code 2."""
        code, _, err = run()
        self.assertEqual(code, 2)
        self.assertIn("usage: voipshift", err)

    def test_help_names_every_command(self) -> None:
        """A newcomer finds them, and how a node is started."""
        code, out, _ = run("--help")
        self.assertEqual(code, 0)
        for word in ("check", "keygen", "demo", "call", "twistd -n voipshift --config FILE"):
            self.assertIn(word, " ".join(out.split()))
