"""The node processes of the demo, and the folder with their configurations and the group's key.

A node is ``twistd -n --pidfile= voipshift --config ...``, run by the interpreter that runs the demo.  Nothing outlives
the demo, however that ends:

- A node asks the kernel for SIGKILL at the death of its parent (``prctl(PR_SET_PDEATHSIG)``) before it becomes twistd,
  so that it dies even when the demo is killed and can do nothing any more.
- The folder is removed by a process that waits for the end of a pipe whose other end only the demo holds.

Both are in sessions of their own: Ctrl-C at the terminal is for the demo, which then stops them in order.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.error import ProcessDone, ProcessExitedAlready
from twisted.internet.interfaces import IDelayedCall, IReactorProcess, IReactorTime
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

import voipshift
from voipshift.config import Settings
from voipshift.configfile import load
from voipshift.demo.plan import KEY_FILE, NodePlan
from voipshift.group import keys

#: From SIGTERM to SIGKILL.
PATIENCE_S = 3.0

#: Binds the process to its parent's life, then becomes the command that follows.  The parent may have died before the
#: kernel was asked, which is what the comparison finds out.
_LEASH = """
import ctypes, os, signal, sys
PR_SET_PDEATHSIG = 1
os.setsid()
if ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL) != 0 or os.getppid() != int(sys.argv[1]):
    sys.exit("the demo is gone")
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""
_BROOM = """
import os, shutil, sys
os.setsid()
sys.stdin.read()
shutil.rmtree(sys.argv[1], ignore_errors=True)
"""
#: ``python -m twisted`` is twist; this is twistd without knowing where its script lies.
_TWISTD = "from twisted.scripts.twistd import run; run()"
#: What twistd says after what matters.
_FAREWELLS = ("Server Shut Down.", "Main loop terminated.", "Received SIGTERM, shutting down.")


class Reactor(IReactorProcess, IReactorTime):
    """What is needed of a reactor here."""


class NodeProcess(ProcessProtocol):
    """One running node.

    :ivar pid: its process id
    :ivar ended: fires with how it ended, in words; it never fails
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.ended: Deferred[str] = Deferred()
        self.alive = True
        self.pid = 0

    @property
    def name(self) -> str:
        return self.settings.node.name

    @property
    def log(self) -> Path:
        """What it prints."""
        return Path(self.settings.file).with_suffix(".log")

    def kill(self, name: str) -> None:
        """Send the signal of that name (``TERM``) if the process still runs."""
        transport = self.transport
        if self.alive and transport is not None:
            with suppress(ProcessExitedAlready):
                transport.signalProcess(name)

    def last_words(self) -> str:
        """The last line of its log that says something."""
        lines = [line.strip() for line in self.log.read_text(errors="replace").splitlines()]
        telling = [line for line in lines if line and not line.endswith(_FAREWELLS)]
        return telling[-1] if telling else "it logged nothing"

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.pid = int(self.transport.pid)

    def processEnded(self, reason: Failure) -> None:
        self.alive = False
        self.ended.callback(_ending(reason))


class Processes:
    """Starts and stops node processes and owns the folder that they read from."""

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor
        self._running: list[NodeProcess] = []
        self.folder = Path(tempfile.mkdtemp(prefix="voipshift-demo-"))
        self._broom = _Broom()
        arguments = [sys.executable, "-I", "-S", "-c", _BROOM, str(self.folder)]
        reactor.spawnProcess(self._broom, sys.executable, arguments, env=os.environ, childFDs={0: "w", 1: 1, 2: 2})
        keys.make(str(self.folder / KEY_FILE))

    def configure(self, plan: NodePlan) -> Settings:
        """Write a node's configuration and read it back as the node will.

        :raises ConfigurationError: the node would not start with it
        """
        config = self.folder / f"{plan.name}.toml"
        config.write_text(plan.toml())
        return load(str(config))

    def start(self, settings: Settings) -> NodeProcess:
        """Start the node of a written configuration."""
        process = NodeProcess(settings)
        arguments = [sys.executable, "-I", "-S", "-c", _LEASH, str(os.getpid())]
        arguments += ["-c", _TWISTD, "-n", "--pidfile=", "voipshift", "--config", settings.file]
        with process.log.open("wb") as output, open(os.devnull, "rb") as nothing:
            descriptors = {0: nothing.fileno(), 1: output.fileno(), 2: output.fileno()}
            self._reactor.spawnProcess(
                process, sys.executable, arguments, env=_environment(), path=str(self.folder), childFDs=descriptors
            )
        self._running.append(process)
        return process

    def stop(self) -> Deferred[None]:
        """End the nodes, and fire when all are gone."""
        stopping, self._running = self._running, []
        for process in stopping:
            process.kill("TERM")
        late = self._reactor.callLater(PATIENCE_S, _kill_all, stopping)
        gone: Deferred[None] = DeferredList([process.ended for process in stopping]).addCallback(lambda _: None)
        return gone.addCallback(lambda _: _cancel(late))

    def close(self) -> Deferred[None]:
        """End the nodes, remove the folder, and fire when all is gone."""
        return self.stop().addCallback(lambda _: self._broom.sweep())


class _Broom(ProcessProtocol):
    """The process that removes the folder once the demo's end of the pipe is closed, by the demo or by its death."""

    def __init__(self) -> None:
        self._swept: Deferred[None] = Deferred()

    def sweep(self) -> Deferred[None]:
        assert self.transport is not None
        self.transport.closeStdin()
        return self._swept

    def processEnded(self, reason: Failure) -> None:
        self._swept.callback(None)


def _environment() -> dict[str, str]:
    """The environment of this process, with the voipshift that runs here found first, its twistd plugin included."""
    home = str(Path(voipshift.__file__).resolve().parent.parent)
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [home, os.environ.get("PYTHONPATH")]))}


def _ending(reason: Failure) -> str:
    if reason.check(ProcessDone):
        return "it ended by itself"
    number = getattr(reason.value, "signal", None)
    if number is not None:
        return f"it was ended by {signal.Signals(number).name}"
    return f"it ended with status {getattr(reason.value, 'exitCode', None)}"


def _kill_all(processes: list[NodeProcess]) -> None:
    for process in processes:
        process.kill("KILL")


def _cancel(call: IDelayedCall) -> None:
    if call.active():
        call.cancel()
