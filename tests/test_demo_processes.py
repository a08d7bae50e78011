"""How the demo starts and ends its nodes, on a reactor that starts nothing and remembers."""

from __future__ import annotations

import os
import shutil
import sys
from typing import Any

from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from voipshift.demo.plan import plan
from voipshift.demo.processes import PATIENCE_S, NodeProcess, Processes


class Transport:
    """A process that runs until the test ends it."""

    def __init__(self, protocol: ProcessProtocol, arguments: list[str], pid: int) -> None:
        self._protocol = protocol
        self.arguments = arguments
        self.pid = pid
        self.signals: list[str] = []
        self.closed = False

    def signalProcess(self, name: str) -> None:
        if self.closed:
            raise ProcessExitedAlready
        self.signals.append(name)

    def closeStdin(self) -> None:
        self.end(ProcessDone(0))

    def end(self, reason: Exception) -> None:
        """It ended."""
        self.closed = True
        self._protocol.processEnded(Failure(reason))


class SpawningClock(Clock):
    """A clock that remembers what it should start."""

    def __init__(self) -> None:
        super().__init__()
        self.spawned: list[Transport] = []

    def spawnProcess(self, protocol: Any, executable: str, args: list[str], **further: Any) -> None:
        """Start nothing."""
        transport = Transport(protocol, args, 100 + len(self.spawned))
        self.spawned.append(transport)
        protocol.makeConnection(transport)


class ProcessesTest(SynchronousTestCase):
    """Started bound to this process's life, ended in order."""

    def setUp(self) -> None:
        self.clock = SpawningClock()
        self.processes = Processes(self.clock)  # type: ignore[arg-type]
        self.addCleanup(shutil.rmtree, self.processes.folder)
        self.broom = self.clock.spawned[0]
        group = plan(nodes=2, offered=10, base_port=15060)
        self.nodes: list[NodeProcess] = [self.processes.start(self.processes.configure(node)) for node in group.nodes]
        self.transports = self.clock.spawned[1:]

    def test_a_node_is_twistd_by_the_same_interpreter_on_a_leash(self) -> None:
        arguments = self.transports[1].arguments
        self.assertEqual(arguments[0], sys.executable)
        self.assertIn("PR_SET_PDEATHSIG", arguments[4])
        self.assertEqual(arguments[5], str(os.getpid()))
        self.assertEqual(
            arguments[-5:],
            ["-n", "--pidfile=", "voipshift", "--config", str(self.processes.folder / "member1.toml")],
        )
        self.assertEqual(self.nodes[1].pid, 102)

    def test_the_key_is_its_owners_alone(self) -> None:
        self.assertEqual(os.stat(self.processes.folder / "group.key").st_mode & 0o777, 0o600)
        self.assertEqual(os.stat(self.processes.folder).st_mode & 0o777, 0o700)

    def test_stopping_waits_until_all_are_gone(self) -> None:
        gone = self.processes.stop()
        self.assertEqual([transport.signals for transport in self.transports], [["TERM"], ["TERM"]])
        self.transports[0].end(ProcessDone(0))
        self.assertNoResult(gone)
        self.transports[1].end(ProcessTerminated(signal=15))
        self.successResultOf(gone)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_who_does_not_end_is_killed(self) -> None:
        gone = self.processes.stop()
        self.transports[0].end(ProcessDone(0))
        self.clock.advance(PATIENCE_S)
        self.assertEqual([transport.signals for transport in self.transports], [["TERM"], ["TERM", "KILL"]])
        self.transports[1].end(ProcessTerminated(signal=9))
        self.successResultOf(gone)

    def test_closing_ends_the_nodes_and_then_the_folder(self) -> None:
        closed = self.processes.close()
        self.assertFalse(self.broom.closed)
        for transport in self.transports:
            transport.end(ProcessDone(0))
        self.assertTrue(self.broom.closed)
        self.successResultOf(closed)

    def test_how_a_node_ended_in_words(self) -> None:
        self.transports[0].end(ProcessTerminated(signal=9))
        self.transports[1].end(ProcessTerminated(exitCode=1))
        self.assertEqual(self.successResultOf(self.nodes[0].ended), "it was ended by SIGKILL")
        self.assertEqual(self.successResultOf(self.nodes[1].ended), "it ended with status 1")
        self.assertFalse(self.nodes[0].alive)

    def test_its_last_words_are_the_last_line_that_says_something(self) -> None:
        node = self.nodes[0]
        self.assertEqual(node.last_words(), "it logged nothing")
        node.log.write_text("[-] starting\n[-] the port is taken\n\n[-] Main loop terminated.\n[-] Server Shut Down.\n")
        self.assertEqual(node.last_words(), "[-] the port is taken")
