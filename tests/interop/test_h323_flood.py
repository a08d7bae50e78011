"""2000 connections of H.323 that say nothing, or nonsense, while sipp places its calls at the same node."""

from __future__ import annotations

import os
import resource
import signal
from pathlib import Path
from typing import Any

from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import ClientFactory, Protocol, connectionDone
from twisted.python.failure import Failure

from tests import h323_messages
from tests.h323_messages import CONFERENCE, SETUP_OCTETS, TERMINAL
from tests.interop.case import InteropTestCase
from tests.interop.group import CLIENT_OFFSET, free_ports, serve
from tests.interop.test_sipp import CALLS, LIMITS, RATE, SCENARIOS, Fates
from voipshift.demo.h323caller import Call
from voipshift.demo.h323gateway import Gateway
from voipshift.demo.plan import H323_OFFSETS, LOOPBACK, PORTS_PER_NODE
from voipshift.demo.summary import Outcome
from voipshift.h323 import q931, tpkt, uuie
from voipshift.h323.q931 import MessageType
from voipshift.h323.server import IDLE_S
from voipshift.h323.uuie import PROTOCOL

reactor: Any = global_reactor
CONNECTIONS = 2000
#: What they say, in turn; the first and the second are all there is to a connection that does nothing.
SAID = (
    b"",
    b"\x03\x00\xff\xff",
    b"\x03\x00\x00\x03",
    b"GET / HTTP/1.0\r\n\r\n",
    tpkt.wrap(SETUP_OCTETS)[:-9],
    tpkt.wrap(q931.parse(SETUP_OCTETS).with_user_user(b"\xff" * 40).octets()),
    tpkt.wrap(h323_messages.signal(MessageType.SETUP, uuie.Setup(PROTOCOL, TERMINAL, CONFERENCE))),
    tpkt.KEEP_ALIVE,
)


class Bad(Protocol):
    """One connection."""

    transport: Any

    def __init__(self, flood: Flood, said: bytes) -> None:
        self._flood = flood
        self._said = said

    def connectionMade(self) -> None:
        self._flood.opened += 1
        self.transport.write(self._said)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._flood.lost()


class Flood(ClientFactory):
    """All of them.

    :ivar opened: how many stood
    :ivar over: fires when none does any more
    """

    noisy = False

    def __init__(self) -> None:
        self._made = 0
        self._left = CONNECTIONS
        self.opened = 0
        self.over: Deferred[None] = Deferred()

    def buildProtocol(self, addr: IAddress | None) -> Bad:
        self._made += 1
        return Bad(self, SAID[self._made % len(SAID)])

    def clientConnectionFailed(self, connector: Any, reason: Failure) -> None:
        self.lost()

    def lost(self) -> None:
        """One less."""
        self._left -= 1
        if not self._left:
            self.over.callback(None)


class FloodTests(InteropTestCase):
    """One node, two protocols."""

    needs = ("sipp",)

    async def test_sip_goes_on_unharmed(self) -> None:
        """No call of SIP is lost, every bad connection is closed in ten seconds, and H.323 takes calls afterwards.

        The operator finds in the log how many there were, and what was wrong with them.
        """
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        base_port = free_ports()
        gateway = reactor.listenTCP(base_port + CLIENT_OFFSET + 1, Gateway(), interface=LOOPBACK)
        self.addCleanup(gateway.stopListening)
        own = f'{{ address = "{LOOPBACK}:{gateway.getHost().port}", protocol = "h323" }}'
        sip = f'{{ address = "{LOOPBACK}:{base_port + 900}" }}'
        h323 = [
            f"{name}.h323.{key}={LOOPBACK}:{base_port + PORTS_PER_NODE * k + offset}"
            for k, name in enumerate(LIMITS)
            for key, offset in H323_OFFSETS.items()
        ]
        group = await serve(self, base_port, LIMITS, f"gateways=[{sip}, {own}]", *h323)
        front = (LOOPBACK, base_port + H323_OFFSETS["listen"])
        flood = Flood()
        for _ in range(CONNECTIONS):
            reactor.connectTCP(*front, flood)
        host, port = group.client
        words = ["-sf", str(SCENARIOS / "caller.xml"), "-t", "u1", "-s", "1234", "-m", str(CALLS), "-r", str(RATE)]
        words += ["-i", host, "-p", str(port), "-nostdin", "-trace_logs", "-log_file", "caller.log"]
        await self.run_program("sipp", *words, group.primary.sip).succeeds(patience_s=40.0)
        self.assertEqual(Fates((self.folder / "caller.log").read_text()).lost, set())
        await flood.over.addTimeout(IDLE_S + 5.0, reactor)
        self.assertEqual(flood.opened, CONNECTIONS)
        call = Call(reactor, "1234", 0.1, lambda step: None)
        call.begin(front)
        ended = await call.ended
        self.assertEqual(ended.outcome, Outcome.COMPLETED)
        os.kill(group.primary.pid, signal.SIGTERM)
        log = Path(group.primary.config).with_suffix(".log")
        await self.until(lambda: "H.323 dropped or refused: " in log.read_text(), "the operator is told")
        self.assertRegex(log.read_text(), r"connections: .*\d no TPKT.*; messages: .*\d a SETUP without a destination")
