"""The H.323 door on connections in memory, and terminals and gateways that say what a test lets them say.

Octets arrive in the order in which they were sent, without delay; time is a clock's, stepped from deadline to deadline.
"""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionDone, ConnectionRefusedError
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from voipshift.balance.leases import Leases
from voipshift.calls.dialplan import DialPlan, Gateway
from voipshift.calls.recorder import Recorder
from voipshift.calls.relay import Relay
from voipshift.calls.table import Call, CallTable
from voipshift.calls.terminals import Terminals, Unshared
from voipshift.errors import Refused
from voipshift.h323 import signalling, tpkt
from voipshift.h323.gate import Gate
from voipshift.h323.portal import ACCEPT, DOOR, Portal
from voipshift.h323.server import Server
from voipshift.node import Acceptance, Address, CallAttempt, NodeIdentity
from voipshift.sip.auth import Secrets

HERE = "192.0.2.7"
PHONE = ("198.51.100.7", 40000)
STRANGER = ("203.0.113.9", 40001)
GATEWAY = ("192.0.2.20", 1720)
SPARE = ("192.0.2.21", 1720)
MEMBER = NodeIdentity("member", {DOOR: ("192.0.2.8", 1720), ACCEPT: ("192.0.2.8", 1721)})


#: When a test begins, on the wall's clock: the time of the tokens in :mod:`tests.h323_messages`.
WALL = 1700000000.0


class Place(NamedTuple):
    """An address as Twisted has it."""

    host: str
    port: int


class Wire:
    """One end of a connection: what was written to it, and whether it is closed."""

    def __init__(self, network: Network, near: Address, far: Address) -> None:
        self._network = network
        self._near = near
        self._far = far
        self.other: Wire | None = None
        self.received: Callable[[bytes], None] = lambda octets: None
        self.lost: Callable[[Failure], None] = lambda reason: None
        self.open = True

    def getHost(self) -> Place:
        return Place(*self._near)

    def getPeer(self) -> Place:
        return Place(*self._far)

    def setTcpNoDelay(self, on: bool) -> None:
        """Nothing is delayed."""

    def setTcpKeepAlive(self, on: bool) -> None:
        """Nothing vanishes."""

    def getHandle(self) -> Wire:
        """The socket."""
        return self

    def setsockopt(self, level: int, option: int, value: int) -> None:
        """Nothing vanishes."""

    def registerProducer(self, producer: object, streaming: bool) -> None:
        """Everybody reads at once."""

    def write(self, octets: bytes) -> None:
        """Send."""
        assert self.other is not None
        if self.open:
            self._network.under_way.append((self.other, octets))

    def loseConnection(self) -> None:
        """Close this end, and the other when it has read everything."""
        assert self.other is not None
        if self.open:
            self.open = False
            self._network.under_way.append((self.other, None))
            self._network.under_way.append((self, None))

    abortConnection = loseConnection


class Network(Clock):
    """A clock and the connections of a node: all of a reactor that the door needs.

    :ivar there: who takes connections
    """

    def __init__(self) -> None:
        super().__init__()
        self.under_way: deque[tuple[Wire, bytes | None]] = deque()
        self.there: dict[Address, Callable[[Wire], None]] = {}
        self.silent: set[Address] = set()
        self._ports = 50000

    def pair(self, one: Address, other: Address) -> tuple[Wire, Wire]:
        """A connection."""
        wires = Wire(self, one, other), Wire(self, other, one)
        wires[0].other, wires[1].other = wires[1], wires[0]
        return wires

    def connectTCP(self, host: str, port: int, factory: Any, timeout: float, bindAddress: Any) -> Any:
        """The node opens a connection."""
        self._ports += 1
        near, far = (bindAddress[0] if bindAddress else HERE, self._ports), (host, port)
        connector = Connector(factory)
        if far not in self.silent:
            self.callLater(0, self._connect, connector, near, far)
        return connector

    def _connect(self, connector: Connector, near: Address, far: Address) -> None:
        if not connector.wanted:
            return
        if far not in self.there:
            connector.factory.clientConnectionFailed(connector, Failure(ConnectionRefusedError()))
            return
        ours, theirs = self.pair(near, far)
        attach(ours, connector.factory.buildProtocol(None))
        self.there[far](theirs)

    def settle(self) -> None:
        """Let everything arrive that is under way."""
        while self.under_way:
            wire, octets = self.under_way.popleft()
            if octets is None:
                wire.open = False
                lost, wire.lost = wire.lost, lambda reason: None
                lost(Failure(ConnectionDone()))
            elif wire.open:
                wire.received(octets)

    def pass_time(self, duration_s: float) -> None:
        """Let time pass, from deadline to deadline."""
        until = self.seconds() + duration_s
        self.settle()
        while due := [call.getTime() for call in self.getDelayedCalls() if call.getTime() <= until]:
            self.advance(max(0.0, min(due) - self.seconds()))
            self.settle()
        self.advance(until - self.seconds())


class Connector:
    """A connection that is being made."""

    def __init__(self, factory: Any) -> None:
        self.factory = factory
        self.wanted = True

    def disconnect(self) -> None:
        """It is not wanted any more."""
        self.wanted = False
        self.factory.clientConnectionFailed(self, Failure(ConnectionRefusedError()))


def attach(wire: Wire, line: Any) -> None:
    """Let a line have its end of a connection."""
    wire.received, wire.lost = line.dataReceived, line.connectionLost
    line.makeConnection(wire)


class Peer:
    """A terminal or a gateway at its end of one connection.

    :ivar heard: the messages that came, as they are on the wire
    """

    def __init__(self, network: Network, wire: Wire) -> None:
        self.network = network
        self.wire = wire
        self.heard: list[bytes] = []
        self._reader = tpkt.Reader()
        wire.received = lambda octets: self.heard.extend(self._reader.receive(octets))

    @property
    def is_open(self) -> bool:
        return self.wire.open

    def say(self, *messages: bytes) -> None:
        """Send messages, and let everything happen that comes of it."""
        self.say_octets(b"".join(map(tpkt.wrap, messages)))

    def say_octets(self, octets: bytes) -> None:
        """Send octets as they are."""
        self.wire.write(octets)
        self.network.pass_time(0)

    def hang_up(self) -> None:
        """Close the connection."""
        self.wire.loseConnection()
        self.network.pass_time(0)

    def told(self) -> list[signalling.Signal]:
        """What came since."""
        heard, self.heard = self.heard, []
        return [signalling.parse(octets) for octets in heard]


class Passwords:
    """Users whose passwords are kept.

    :ivar waiting: what the store answers later; None where it answers at once
    """

    def __init__(self) -> None:
        self.passwords = {"alice": "secret"}
        self.waiting: Deferred[Secrets | None] | None = None

    def secrets(self, username: str) -> Deferred[Secrets | None]:
        if self.waiting is not None:
            return self.waiting
        password = self.passwords.get(username)
        return succeed(None if password is None else Secrets("", "", password))


class Decisions:
    """A delegation that remembers what it was asked, and says what a test lets it say.

    :ivar answer: what comes of the next attempt: an acceptance, None for a refusal, or a Deferred
    """

    def __init__(self, here: NodeIdentity, leases: Leases, now: Callable[[], float]) -> None:
        self.here = here
        self._leases = leases
        self._now = now
        self.asked: list[CallAttempt] = []
        self.asked_alone: list[CallAttempt] = []
        self.answer: Deferred[Acceptance] | NodeIdentity | None = here

    def place(self, attempt: CallAttempt) -> Deferred[Acceptance]:
        self.asked.append(attempt)
        if isinstance(self.answer, Deferred):
            return self.answer
        if self.answer is None:
            return fail(Refused())
        return succeed(self._accept(attempt, self.answer))

    def here_alone(self, attempt: CallAttempt) -> Acceptance:
        self.asked_alone.append(attempt)
        if self.answer is not self.here:
            raise Refused()
        return self._accept(attempt, self.here)

    def _accept(self, attempt: CallAttempt, node: NodeIdentity) -> Acceptance:
        if node is not self.here:
            return Acceptance(node, "00" * 16, (), 1)
        return Acceptance(node, self._leases.grant(attempt, node.name, 0, self._now()).id, (), 0)


class DoorTestCase(SynchronousTestCase):
    """The door, the portal, the relay, the call table and the leases of one node; two gateways."""

    anybody = True
    recorder: Recorder | None = None

    def setUp(self) -> None:
        self.network = Network()
        now = self.network.seconds
        here = NodeIdentity("here", {DOOR: (HERE, 1720), ACCEPT: (HERE, 1721)})
        self.table = CallTable()
        self.leases = Leases(lease_s=10, held_per_client=50, random=os.urandom)
        self.decisions = Decisions(here, self.leases, now)
        self.answered: list[Call] = []
        self.ended: list[Call] = []
        self.server = Server(reactor=self.network, trusted=lambda host: host == PHONE[0])
        self.users = Passwords()
        self.charged: list[str] = []
        self.admits = True
        self.gate = Gate(
            trusts=lambda host: host == PHONE[0],
            anybody_calls=self.anybody,
            anybody_registers=self.anybody,
            users=self.users,
            charge=self.charged.append,
            wall=lambda: WALL + now(),
        )
        self.terminals = Terminals(Unshared(), "here", lambda: WALL + now())
        self.portal = Portal(
            name="here",
            delegation=self.decisions,
            leases=self.leases,
            gate=self.gate,
            admits=lambda host: self.admits,
            now=now,
            octets=os.urandom,
            recorder=self.recorder,
        )
        self.relay = Relay(
            table=self.table,
            plan=DialPlan([Gateway(GATEWAY, ("",)), Gateway(SPARE, ("",))]),
            find=self.terminals.find,
            connect=lambda far: self.server.connect(HERE, far),
            requested=self.portal.requested,
            answered=self.answered.append,
            closed=self.ended.append,
            now=now,
            octets=os.urandom,
        )
        self.server.serve(self.relay)
        self.gateways: list[Peer] = []
        for address in (GATEWAY, SPARE):
            self.network.there[address] = self._taken

    def tearDown(self) -> None:
        """Nothing is scheduled once the door has stopped, and no call is left without its connections."""
        self.network.pass_time(400)
        self.assertEqual(len(self.table), 0)
        self.assertEqual(len(self.server), 0)
        self.assertEqual(self.relay.next, math.inf)
        self.server.stop()
        self.network.settle()
        self.assertEqual(self.network.getDelayedCalls(), [])

    def _taken(self, wire: Wire) -> None:
        self.gateways.append(Peer(self.network, wire))

    def phone(self, far: Address = PHONE, *, front: bool = True) -> Peer:
        """A terminal that has connected."""
        ours, theirs = self.network.pair((HERE, 1720 if front else 1721), far)
        line = self.server.accept(front, Place(*far))
        peer = Peer(self.network, theirs)
        if line is None:
            theirs.open = False
        else:
            attach(ours, line)
        return peer
