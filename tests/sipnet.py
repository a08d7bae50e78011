"""Real nodes on a network in memory, and peers that say what a test lets them say.

A node is the whole of ``tap.Node``, its wiring included; only the opening of its sockets is replaced.  Datagrams arrive
in the order in which they were sent, without delay; time is a clock's, stepped from deadline to deadline.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.dnsnet import Zone
from voipshift import config, tap
from voipshift.errors import ProtocolViolation
from voipshift.group import keys
from voipshift.node import FULL, Acceptance, Address, CallAttempt, Load, NodeIdentity
from voipshift.sip.message import Request, Response, parse, request
from voipshift.sip.seals import Seals
from voipshift.sip.uri import SipUri, host_port
from voipshift.wiring import gateways, ports

HERE = ("192.0.2.1", 5060)
HERE_TOO = ("192.0.2.1", 5067)
MEMBER = ("192.0.2.2", 5060)
GATEWAY = ("192.0.2.20", 5060)
SPARE = ("192.0.2.21", 5060)
PHONE = ("198.51.100.7", 5060)
STRANGER = ("203.0.113.9", 5060)

#: ``Peer.request(..., contact=NO_CONTACT)``: a request without one.
NO_CONTACT = ""


def word(message: Request | Response) -> str:
    """A message in short."""
    return message.method if isinstance(message, Request) else f"{message.status} {message.cseq[1]}"


class Port:
    """What a node has in place of a socket."""

    def __init__(self, network: Network, address: Address) -> None:
        self._network = network
        self.address = address
        self.octets = 0

    def start(self, reactor: object) -> None:
        """Datagrams are handed over at once."""

    def waited_s(self) -> float:
        """Nothing ever waits."""
        return 0.0

    def stop(self) -> None:
        """Hear no more."""
        self._network.close(self.address)

    def send(self, octets: bytes, address: Address) -> None:
        """Send one datagram."""
        self.octets += len(octets)
        self._network.send(octets, self.address, address)


class Network:
    """Datagrams in memory.

    :ivar sent: every datagram: from where, to where, octets
    :ivar cut: addresses that nothing reaches
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.sent: list[tuple[Address, Address, bytes]] = []
        self.cut: set[Address] = set()
        self._ports: dict[Address, Callable[[bytes, Address], None]] = {}
        self._under_way: deque[tuple[Address, Address, bytes]] = deque()

    def open_port(self, address: Address, received: Callable[[bytes, Address], None], batch: object = None) -> Port:
        """In place of :func:`voipshift.udp.open_port`."""
        port = Port(self, address)

        def count(octets: bytes, source: Address) -> None:
            port.octets += len(octets)
            received(octets, source)

        self._ports[address] = count
        return port

    def close(self, address: Address) -> None:
        self._ports.pop(address, None)

    def send(self, octets: bytes, source: Address, to: Address) -> None:
        self.sent.append((source, to, octets))
        self._under_way.append((source, to, octets))

    def settle(self) -> None:
        """Let everything arrive that is under way."""
        while self._under_way:
            source, to, octets = self._under_way.popleft()
            received = self._ports.get(to)
            if received is not None and to not in self.cut:
                received(octets, source)

    def advance(self, duration_s: float) -> None:
        """Let time pass, from deadline to deadline."""
        clock = self.clock
        until = clock.seconds() + duration_s
        self.settle()
        while due := [call.getTime() for call in clock.getDelayedCalls() if call.getTime() <= until]:
            clock.advance(max(0.0, min(due) - clock.seconds()))
            self.settle()
        clock.advance(until - clock.seconds())


class Peer:
    """A phone, a gateway or a neighbour's proxy, as far as a test needs one.

    :ivar heard: the messages that came and were not yet looked at
    :ivar malformed: datagrams that are no messages: what comes back to one that was none
    """

    def __init__(self, network: Network, address: Address, user: str = "alice") -> None:
        self.network = network
        self.address = address
        self.user = user
        self.heard: list[Request | Response] = []
        self.malformed: list[bytes] = []
        self._port = network.open_port(address, self._received)
        self._branches = 0

    def _received(self, octets: bytes, source: Address) -> None:
        try:
            self.heard.append(parse(octets))
        except ProtocolViolation:
            self.malformed.append(octets)

    def say(self, message: Request | Response | bytes, to: Address) -> None:
        """Send a message, and let everything happen that comes of it."""
        self._port.send(message if isinstance(message, bytes) else message.octets(), to)
        self.network.settle()

    def told(self, status: int, method: str = "INVITE") -> Response:
        """The oldest message that was not yet looked at, which is this response."""
        message = self._next(f"{status} {method}")
        assert isinstance(message, Response)
        return message

    def asked(self, method: str) -> Request:
        """The oldest message that was not yet looked at, which is this request."""
        message = self._next(method)
        assert isinstance(message, Request)
        return message

    def _next(self, expected: str) -> Request | Response:
        words = [word(message) for message in self.heard]
        assert words[:1] == [expected], f"{self.user} expects {expected} and has {words}"
        return self.heard.pop(0)

    def words(self) -> list[str]:
        """What came and was not yet looked at, in short; it counts as looked at now."""
        words = [word(message) for message in self.heard]
        self.heard.clear()
        return words

    @property
    def contact(self) -> str:
        return f"<sip:{self.user}@{host_port(self.address)}>"

    def request(
        self,
        method: str,
        uri: str,
        *,
        number: int = 1,
        call_id: str = "call-1",
        sender: str | None = None,
        to: str | None = None,
        contact: str | None = None,
        fields: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> Request:
        """Make a request of this peer."""
        self._branches += 1
        contact = self.contact if contact is None else contact
        lines = [
            ("Via", f"SIP/2.0/UDP {host_port(self.address)};branch=z9hG4bK{self.user}{self._branches};rport"),
            ("Max-Forwards", "70"),
            ("From", sender or f"<sip:{self.user}@example.org>;tag={self.user}"),
            ("To", to or f"<{uri}>"),
            ("Call-ID", call_id),
            ("CSeq", f"{number} {method}"),
            *([("Contact", contact)] if contact else []),
            *fields,
        ]
        return request(method, uri, lines, body)

    def answer(
        self, asked: Request, status: int, *, tag: str = "there", fields: Sequence[tuple[str, str]] = ()
    ) -> None:
        """Answer a request; a Contact goes with what makes a dialog."""
        with_contact = [("Contact", self.contact)] if asked.method == "INVITE" and 100 < status < 300 else []
        if any(name == "Contact" for name, _ in fields):
            with_contact = []
        answer = asked.response(status, to_tag=None if status == 100 else tag, fields=[*with_contact, *fields])
        self.say(answer, asked.via.address)

    def acknowledge(self, invite: Request, response: Response, to: Address) -> None:
        """Send the ACK of a final response that is no 2xx."""
        fields = [("Max-Forwards", "70"), ("From", invite.get("From") or ""), ("To", response.get("To") or "")]
        fields += [("Call-ID", invite.call_id), ("CSeq", f"{invite.cseq[0]} ACK")]
        self.say(request("ACK", invite.uri, [("Via", str(response.via)), *fields]), to)

    def within(self, method: str, answer: Response, number: int = 2, **more: Any) -> Request:
        """Make a request of the dialog that this peer's INVITE and its answer have made."""
        target = SipUri.parse((answer.values("Contact") or ["<>"])[0].strip("<>").partition(">")[0])
        routes = [("Route", value) for value in reversed(answer.values("Record-Route"))]
        more.setdefault("sender", answer.get("From"))
        more.setdefault("fields", routes)
        return self.request(method, str(target), number=number, call_id=answer.call_id, to=answer.get("To"), **more)

    def back(self, method: str, invite: Request, number: int = 1, tag: str = "there", **more: Any) -> Request:
        """Make a request of the dialog that somebody's INVITE has made, in which this peer answers with that tag."""
        contacts = invite.values("Contact")
        target = contacts[0].strip("<>").partition(">")[0] if contacts else invite.from_.uri
        routes = [("Route", value) for value in invite.values("Record-Route")]
        more.setdefault("fields", routes)
        sender = (invite.get("To") or "") + ("" if invite.to_tag else f";tag={tag}")
        to = invite.get("From")
        return self.request(method, target, number=number, call_id=invite.call_id, sender=sender, to=to, **more)


class Asked(NamedTuple):
    """One ask of a node, and where its answer goes."""

    name: str
    attempt: CallAttempt
    answer: Deferred[Acceptance]


class Asks:
    """Members that remember what they were asked, and answer when the test says so."""

    def __init__(self) -> None:
        self.sent: list[Asked] = []
        self.cancelled: list[str] = []

    def __call__(self, name: str, attempt: CallAttempt, path: tuple[Load, ...], left_s: float) -> Deferred[Acceptance]:
        answer: Deferred[Acceptance] = Deferred(lambda answer: self.cancelled.append(name))
        self.sent.append(Asked(name, attempt, answer))
        return answer


def settings(
    name: str,
    places: Sequence[Address],
    *,
    limit: float = math.inf,
    gateways: Iterable[tuple[Address, tuple[str, ...]]] = ((GATEWAY, ("",)),),
    identify_self: bool = False,
    force_rport: bool = True,
    trusted: tuple[Any, ...] = (),
    access: config.AccessSettings | None = None,
    registrar: config.RegistrarSettings | None = None,
    probe_interval_s: float = 60.0,
    session_expires_s: float = 1800.0,
    watch_interval_s: float = 0.0,
    group: config.GroupSettings | None = None,
) -> config.Settings:
    """The settings of a node."""
    return config.Settings(
        file="",
        node=config.NodeSettings(name=name),
        sip=config.SipSettings(
            listen=tuple(config.SipListen(transport="udp", address=place) for place in places),
            identify_self=identify_self,
            force_rport=force_rport,
        ),
        group=group,
        balance=config.BalanceSettings(),
        workload=config.WorkloadSettings(ongoing_calls=limit),
        calls=config.CallSettings(
            probe_interval_s=probe_interval_s,
            session_expires_s=session_expires_s,
            watch_interval_s=watch_interval_s,
        ),
        gateways=tuple(config.GatewaySettings(address=address, prefixes=prefixes) for address, prefixes in gateways),
        access=access or config.AccessSettings(trusted=trusted, open=True),
        registrar=registrar,
    )


class SipNetTestCase(SynchronousTestCase):
    """A network with a phone and a gateway; after the test nothing is scheduled."""

    def setUp(self) -> None:
        """An empty network and a DNS without any name, at time 0."""
        self.clock = Clock()
        self.network = Network(self.clock)
        self.patch(ports, "open_port", self.network.open_port)
        self.zone = Zone({})
        self.patch(gateways, "Dns", lambda reactor, servers, open_port: self.zone)
        group_keys = keys.Keys([b"k" * 32])
        self.patch(keys, "Keys", lambda secrets: group_keys)
        self.seals = Seals(keys=group_keys, now=self.clock.seconds)
        self.phone = Peer(self.network, PHONE)
        self.gateway = Peer(self.network, GATEWAY, "100")
        self.nodes: list[tap.Node] = []

    def tearDown(self) -> None:
        """Nothing is left behind."""
        for node in self.nodes:
            node.stopService()
        self.assertEqual((self.phone.malformed, self.gateway.malformed), ([], []))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def node(self, *places: Address, name: str = "here", **how: Any) -> tap.Node:
        """Start a node."""
        node = tap.Node(settings(name, places or (HERE,), **how), self.clock)
        node.startService()
        self.nodes.append(node)
        return node

    def introduce(
        self, node: tap.Node, name: str = "member", address: Address = MEMBER, occupancy: float = 0.0
    ) -> Asks:
        """Let a node know a member, and remember what it asks of any."""
        load = Load(name, 1, 1, occupancy, 100.0, FULL if occupancy >= 1.0 else 0)
        node.members.heard(NodeIdentity(name, {"sip/udp": address}), load, self.clock.seconds())
        if not isinstance(node.delegation.ask, Asks):
            node.delegation.ask = Asks()
        return node.delegation.ask

    def passed_on(self, request: Request) -> Request:
        """Mark a request as a member does that passes it on."""
        request.set("Via", f"{request.get('Via')};{self.seals.mark(request, request.via.branch)}")
        return request

    def lease(self, node: tap.Node, target: str, *, callee: str = "100", client: Address = PHONE, hops: int = 1) -> str:
        """Let a node promise a slot, as it does when a member asks."""
        attempt = CallAttempt(bytes(16), "sip/udp", "alice", callee, target, client)
        return node.delegation.accept(attempt, (), "entry", hops).lease

    def call(self, uri: str = "sip:100@192.0.2.1", to: Address = HERE, **more: Any) -> tuple[Request, Response]:
        """A call of the phone that was answered and acknowledged: the INVITE as it reached the gateway, and the 200."""
        self.phone.say(self.phone.request("INVITE", uri, **more), to)
        invite = self.gateway.asked("INVITE")
        self.gateway.answer(invite, 200)
        answer = self.phone.told(200)
        self.phone.say(self.phone.within("ACK", answer, invite.cseq[0]), to)
        self.gateway.asked("ACK")
        return invite, answer
