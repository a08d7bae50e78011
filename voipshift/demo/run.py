"""``voipshift demo``: a group comes up, calls are placed at its primary, and the figures of the run are printed.

The flow is :meth:`Demo.perform`.  It is cancelled by SIGINT and SIGTERM, and whatever it started is gone when it is
over: its ``finally`` does that, and :mod:`processes` does where no ``finally`` runs any more.
"""

from __future__ import annotations

import json
import signal
import sys
from argparse import Namespace
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from rich.console import Console
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IReactorCore, IReactorFDSet, IReactorTCP
from twisted.internet.task import LoopingCall, deferLater
from twisted.python.failure import Failure

from voipshift.demo import processes as node_processes
from voipshift.demo.caller import Caller, Ended
from voipshift.demo.gateway import Gateway
from voipshift.demo.observer import Observer
from voipshift.demo.plan import LOOPBACK, Plan, plan, text_of
from voipshift.demo.processes import NodeProcess, Processes
from voipshift.demo.summary import Summary
from voipshift.demo.table import LiveTable, Row, comparison
from voipshift.demo.traffic import Traffic
from voipshift.errors import ConfigurationError, VoipshiftError
from voipshift.group import keys
from voipshift.h323 import require
from voipshift.node import Address
from voipshift.sip.uri import SipUri
from voipshift.udp import DatagramPort, Received, open_port

#: How long a group of N may take until all serve and hear each other: so much, and so much more for each node.
START_S = 15.0
START_PER_NODE_S = 2.0
#: Between two looks at whether it is there.
LOOK_S = 0.05
#: Between two drawings of the live table.
DRAW_S = 0.2
#: The user part of the first call's Request-URI; each further call has the next number.
FIRST_NUMBER = 1000
#: The status of a shell for a command that Ctrl-C ended.
INTERRUPTED = 130


class Reactor(node_processes.Reactor, IReactorCore, IReactorFDSet, IReactorTCP):
    """What the demo needs of a reactor."""


class NotStarted(VoipshiftError):
    """Something that the demo needs did not come up: its text is the one line that the user reads."""


@dataclass(frozen=True, slots=True)
class Group:
    """The processes that run, and the observer that hears them."""

    nodes: tuple[NodeProcess, ...]
    observer: Observer


def main(arguments: Namespace) -> int:
    """Run the demo.

    :returns: the exit status: 1 when a call failed or something did not start
    """
    from twisted.internet import reactor as installed

    reactor = cast(Reactor, installed)
    demo = Demo(reactor, arguments)
    # A shell starts what runs in its background with SIGINT ignored, and the reactor would leave it so.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    reactor.callWhenRunning(demo.begin)
    reactor.run()
    return demo.status


class Demo:
    """One run of the command.

    :ivar status: the exit status
    """

    def __init__(self, reactor: Reactor, arguments: Namespace) -> None:
        self._reactor = reactor
        self._arguments = arguments
        self._errors = Console(stderr=True)
        self._interrupted = False
        self._stopping = False
        self.status = 0

    def begin(self) -> None:
        """Start the flow; the reactor stops when it is over, and it is cancelled when the reactor is to stop first."""
        flow = Deferred.fromCoroutine(self.perform())
        flow.addErrback(self._ended_badly)
        self._reactor.addSystemEventTrigger("before", "shutdown", self._interrupt, flow)
        flow.addCallback(self._finished)

    async def perform(self) -> None:
        """Bring the group up, place the calls, print what came of them; then the same against the primary alone."""
        arguments = self._arguments
        group_plan, alone_plan = self._plan(alone=False), self._plan(alone=True)
        processes = Processes(self._reactor)
        try:
            with ExitStack() as closing:
                gateway = Gateway(self._reactor)
                port = self._open(closing, "the gateway", group_plan.gateway, gateway.received)
                gateway.begin(port.send, port.address)
                closing.callback(gateway.stop)
                if arguments.h323_calls:
                    self._open_h323(closing, group_plan.h323_gateway)
                if arguments.serve:
                    await self._serve(processes, group_plan)
                runs = {f"group of {arguments.nodes}": await self._run(processes, group_plan, "The group")}
                if not arguments.json and arguments.nodes > 1:
                    runs["primary alone"] = await self._run(processes, alone_plan, "The same calls, the primary alone")
        finally:
            self._stopping = True
            await processes.close()
        if arguments.json:
            _print_object(next(iter(runs.values())).object())
        else:
            Console().print(comparison(runs))
        for title, run in runs.items():
            for reason, count in run.reasons.items():
                self._say(f"{title}: {count} failed: {reason}")
        self.status = int(any(run.failed for run in runs.values()))

    async def _serve(self, processes: Processes, group_plan: Plan) -> None:
        """Say what serves where, and let it serve until the flow is cancelled."""
        with ExitStack() as closing:
            group = await self._start(closing, processes, group_plan)
            for node in group.nodes:
                node.ended.addCallback(self._say_ended, node)
            doors = [_doors(node) for node in group.nodes]
            _print_object({"nodes": doors, "gateway": text_of(group_plan.gateway)})
            if self._errors.is_terminal:
                self._draw(closing, LiveTable(self._errors, "The group", None), group, Summary())
            await Deferred()

    async def _run(self, processes: Processes, group_plan: Plan, title: str) -> Summary:
        """Start a group, place the calls at its primary, and stop it."""
        arguments = self._arguments
        summary = Summary()
        with ExitStack() as closing:
            group = await self._start(closing, processes, group_plan)
            caller = Caller(self._reactor)
            port = self._open(closing, "the caller", (LOOPBACK, 0), caller.received)
            caller.begin(port.send, port.address)
            closing.callback(caller.stop)
            self._draw(closing, LiveTable(self._errors, title, arguments.calls + arguments.h323_calls), group, summary)
            primary = text_of(group.nodes[0].settings.sip.listen[0].address)

            calls = arguments.calls + arguments.h323_calls

            def place(number: int) -> Deferred[None]:
                if (number + 1) * arguments.h323_calls // calls > number * arguments.h323_calls // calls:
                    front = group.nodes[0].settings.h323.listen
                    return self._call_h323(FIRST_NUMBER + number, front).addCallback(_count, summary)
                uri = SipUri.parse(f"sip:{FIRST_NUMBER + number}@{primary}")
                return caller.call(uri, hold_s=arguments.hold).addCallback(_count, summary)

            await Traffic(self._reactor, calls=calls, rate=arguments.rate, place=place).run()
            await group.observer.last_word({node.name for node in group.nodes if node.alive})
            summary.nodes = group.observer.figures()
        await processes.stop()
        return summary

    async def _start(self, closing: ExitStack, processes: Processes, group_plan: Plan) -> Group:
        """Start the nodes and wait until all serve and hear each other."""
        try:
            settings = [processes.configure(node) for node in group_plan.nodes]
        except ConfigurationError as error:
            name = Path(error.file).stem
            raise NotStarted(f"{name} cannot be configured so: {error.key}: {error.reason}") from None
        groups = {each.node.name: each.group for each in settings if each.group is not None}
        addresses = {name: group.listen for name, group in groups.items()}
        first = next(iter(groups.values()))
        key = keys.load(first.key_file)
        observer = Observer(self._reactor, group_plan.observer, addresses, key, first.report_interval_s)
        port = self._open(closing, "the observer", group_plan.observer, observer.received)
        observer.begin(port.send)
        closing.callback(observer.stop)
        if self._errors.is_terminal:
            self._say(f"Starting {', '.join(each.node.name for each in settings)} ...")
        nodes = tuple(processes.start(each) for each in settings)
        deadline = self._reactor.seconds() + START_S + START_PER_NODE_S * len(nodes)
        while not observer.complete():
            for node in nodes:
                if not node.alive:
                    raise NotStarted(f"{node.name} did not start: {node.last_words()}")
            if self._reactor.seconds() > deadline:
                silent = next((node for node in nodes if not observer.hears(node.name)), nodes[0])
                raise NotStarted(f"{silent.name} is not heard in its group: {silent.last_words()}")
            await deferLater(self._reactor, LOOK_S)
        return Group(nodes, observer)

    def _draw(self, closing: ExitStack, table: LiveTable, group: Group, summary: Summary) -> None:
        drawing = LoopingCall(lambda: table.show(_rows(group), summary))
        drawing.clock = self._reactor
        drawing.start(DRAW_S).addErrback(lambda failure: failure.trap(OSError, SystemExit))  # nobody looks any more

        def finish() -> None:
            if drawing.running:
                drawing.stop()
                table.show(_rows(group), summary)
                table.close()

        closing.callback(finish)

    def _open(self, closing: ExitStack, whose: str, address: Address, received: Received) -> DatagramPort:
        try:
            port = open_port(address, received)
        except OSError as error:
            raise NotStarted(f"{whose}'s port {text_of(address)} cannot be opened: {error.strerror}") from None
        port.start(self._reactor)
        closing.callback(port.stop)
        return port

    def _plan(self, *, alone: bool) -> Plan:
        arguments = self._arguments
        return plan(
            nodes=arguments.nodes,
            offered=min(arguments.calls + arguments.h323_calls, arguments.rate * arguments.hold),
            base_port=arguments.base_port,
            settings=arguments.set or (),
            alone=alone,
            h323=bool(arguments.h323_calls),
        )

    def _open_h323(self, closing: ExitStack, address: Address) -> None:
        """The gateway of H.323."""
        require("", "--h323-calls")
        from voipshift.demo.h323gateway import Gateway as H323Gateway  # needs pycrate, as the caller does

        gateway = H323Gateway()
        try:
            port = self._reactor.listenTCP(address[1], gateway, interface=address[0])
        except CannotListenError as error:
            reason = f"{error.socketError.strerror}"
            raise NotStarted(f"the H.323 gateway's port {text_of(address)} cannot be opened: {reason}") from None
        closing.callback(gateway.stop)
        closing.callback(port.stopListening)

    def _call_h323(self, number: int, front: Address | None) -> Deferred[Ended]:
        """Place one call of H.323."""
        from voipshift.demo.h323caller import Call as H323Call

        assert front is not None
        call = H323Call(self._reactor, str(number), self._arguments.hold, lambda step: None)
        call.begin(front)
        return call.ended

    def _say_ended(self, how: str, node: NodeProcess) -> str:
        if not self._stopping:
            self._say(f"{node.name}: {how}")
        return how

    def _say(self, line: str) -> None:
        self._errors.print(line, markup=False, highlight=False, soft_wrap=True)

    def _ended_badly(self, failure: Failure) -> None:
        """Turn what the flow raised into the exit status, and an error that we know into its line."""
        if failure.check(CancelledError):
            self.status = 0 if self._arguments.serve else INTERRUPTED
            return
        self.status = 1
        if failure.check(VoipshiftError, OSError):
            self._say(f"voipshift demo: {failure.getErrorMessage()}")
        else:
            failure.printTraceback(sys.stderr)

    def _interrupt(self, flow: Deferred[None]) -> Deferred[None]:
        """Called when the reactor is to stop: by a signal, or because the flow is over."""
        self._interrupted = True
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # a second one changes nothing: it stops already
        flow.cancel()
        return flow

    def _finished(self, _: None) -> None:
        if not self._interrupted:
            self._reactor.stop()


def _count(ended: Ended, summary: Summary) -> None:
    summary.ended(ended.outcome, redirects=ended.redirects, setup_s=ended.setup_s, reason=ended.reason)


def _print_object(made: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(made) + "\n")  # at once, for whoever reads a line may stop reading then
    sys.stdout.flush()


def _rows(group: Group) -> list[Row]:
    return [group.observer.row(node.name, alive=node.alive) for node in group.nodes]


def _doors(node: NodeProcess) -> dict[str, Any]:
    """What ``--serve`` says of a node; a door that it has not is null."""
    settings = node.settings
    front = settings.h323.listen
    return {
        "name": node.name,
        "sip": text_of(settings.sip.listen[0].address),
        "h323": None if front is None else text_of(front),
        "http": None,
        "config": settings.file,
        "pid": node.pid,
    }
