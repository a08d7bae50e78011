"""Real exchanges in memory: a network that is a list, and nodes whose other rooms only remember."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from voipshift.batch import Batch
from voipshift.errors import Refused
from voipshift.group.envelope import TOO_LONG
from voipshift.group.exchange import Exchange
from voipshift.group.keys import Keys
from voipshift.group.messages import Counts, Statement
from voipshift.node import Acceptance, Address, CallAttempt, Load, NodeIdentity

SECRET = b"the secret of the group, 32 long"
GROUP = ("239.1.1.1", 7400)
ATTEMPT = CallAttempt(
    bytes(range(16)), "sip/udp", "sip:a@example.com", "+4930123", "sip:+4930123@example.com", ("192.0.2.9", 5060)
)


class Network:
    """Delivers each datagram a millisecond later, or what the test says."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.nodes: dict[Address, Node] = {}
        self.members_of_group: list[Node] = []
        self.on_bus: list[Node] = []
        self.bus_is_up = True
        self.published: list[bytes] = []
        self.sent: list[tuple[bytes, Address]] = []
        self.lost: Callable[[Address, Address], bool] = lambda source, destination: False

    def send(self, octets: bytes, source: Address, destination: Address) -> None:
        assert len(octets) < TOO_LONG
        self.sent.append((octets, destination))
        if not self.lost(source, destination):
            self.clock.callLater(0.001, self.deliver, octets, source, destination)

    def deliver_together(self, destination: Address) -> None:
        """Deliver all that is on its way there as one batch, now."""
        node = self.nodes[destination]
        with node.batch:
            for octets, where in self.sent:
                if where == destination:
                    node.exchange.received(octets, ("", 0))

    def deliver(self, octets: bytes, source: Address, destination: Address) -> None:
        listeners = self.members_of_group if destination == GROUP else [self.nodes.get(destination)]
        for node in listeners:
            if node is not None:
                node.exchange.received(octets, source)

    def publish(self, octets: bytes) -> bool:
        if self.bus_is_up:
            self.published.append(octets)
            for node in self.on_bus:
                self.clock.callLater(0.002, node.exchange.received, octets, ("", 0))
        return self.bus_is_up

    def run(self, seconds: float) -> None:
        """From deadline to deadline."""
        end = self.clock.seconds() + seconds
        while (due := self.next_deadline()) <= end:
            self.clock.advance(max(0.0, due - self.clock.seconds()))
        self.clock.advance(max(0.0, end - self.clock.seconds()))

    def next_deadline(self) -> float:
        return min((call.getTime() for call in self.clock.getDelayedCalls()), default=float("inf"))


class SkewedClock:
    """The network's clock, as a node sees it whose own is wrong."""

    def __init__(self, clock: Clock, skew_s: float) -> None:
        self._clock = clock
        self.skew_s = skew_s
        self.callLater = clock.callLater
        self.getDelayedCalls = clock.getDelayedCalls

    def seconds(self) -> float:
        return self._clock.seconds() + self.skew_s


class Node:
    """An exchange whose rest of the node remembers."""

    def __init__(
        self, network: Network, name: str, host: str, members: list[str], *, multicast: bool = False,
        skew_s: float = 0.0, secret: bytes = SECRET, wall: float = 1_700_000_000.0, doors: bool = True,
        interval_s: float = 1.0, bus: bool = False,
    ) -> None:  # fmt: skip
        self.network = network
        self.address = (host, 7400)
        self.identity = NodeIdentity(name, {"sip/udp": (host, 5060)} if doors else {})
        self.load_now = (0.5, 0)
        self.sequence = 0
        self.heard: list[tuple[float, str, Load]] = []
        self.stated: dict[str, Statement] = {}
        self.left: list[str] = []
        self.considered: list[tuple[CallAttempt, tuple[Load, ...], float, str]] = []
        self.withdrawn: list[str] = []
        self.lapsed: list[tuple[bytes, str]] = []
        self.cancelled: list[CallAttempt] = []
        self.consider: Callable[..., Deferred[Acceptance]] = self.accept
        self.leases = 0
        self.batch = Batch()
        clock = SkewedClock(network.clock, skew_s) if skew_s else network.clock
        seed = Random(f"{name} {host} {network.clock.seconds()}")
        self.exchange = Exchange(
            clock=clock,  # type: ignore[arg-type]
            send=lambda octets, address: network.send(octets, self.address, address),
            keys=Keys([secret]),
            identity=self.identity,
            address=self.address,
            members=[(member, 7400) for member in members],
            multicast=GROUP if multicast else None,
            report_interval_s=interval_s,
            random=seed.randbytes,
            statement=self.statement,
            heard=lambda identity, load: self.heard.append((network.clock.seconds(), identity.name, load)),
            left=self.left.append,
            consider=self._consider,
            withdraw=self.withdrawn.append,
            lapsed=lambda attempt, lease: self.lapsed.append((attempt, lease)),
            stated=self.stated.__setitem__,
            wall=lambda: wall,
            bus=network.publish if bus else None,
            at_end=self.batch.at_end,
        )
        network.nodes[self.address] = self
        if multicast:
            network.members_of_group.append(self)
        if bus:
            network.on_bus.append(self)
        self.exchange.start()

    def load(self) -> Load:
        self.sequence += 1
        occupancy, flags = self.load_now
        return Load(self.identity.name, self.exchange.incarnation, self.sequence, occupancy, 100.0, flags)

    def statement(self) -> Statement:
        return Statement(self.load(), self.identity.doors, Counts(calls=7, limit=None), (3, 1), 2)

    def accept(self, attempt: CallAttempt, path: tuple[Load, ...], pending: Callable[[], None]) -> Deferred[Acceptance]:
        self.leases += 1
        return succeed(Acceptance(self.identity, f"{self.leases:032x}", (*path, self.load()), len(path)))

    def refuse(self, attempt: CallAttempt, path: tuple[Load, ...], pending: Callable[[], None]) -> Deferred[Acceptance]:
        return fail(Refused((self.load(),)))

    def wait(self, attempt: CallAttempt, path: tuple[Load, ...], pending: Callable[[], None]) -> Deferred[Acceptance]:
        pending()
        self.waiting: Deferred[Acceptance] = Deferred(lambda _: self.cancelled.append(attempt))
        return self.waiting

    def ask_on(self, name: str) -> None:
        """Whatever is asked, ask that member."""

        def consider(attempt: CallAttempt, path: tuple[Load, ...], pending: Callable[[], None]) -> Deferred[Acceptance]:
            pending()
            return self.exchange.ask(name, attempt, (*path, self.load()), 1.0)

        self.consider = consider

    def _consider(
        self, attempt: CallAttempt, path: tuple[Load, ...], left_s: float, pending: Callable[[], None], entry: str
    ) -> Deferred[Acceptance]:
        self.considered.append((attempt, path, left_s, entry))
        return self.consider(attempt, path, pending)

    def ask(self, name: str, left_s: float = 1.5) -> Deferred[Acceptance]:
        return self.exchange.ask(name, ATTEMPT, (self.load(),), left_s)

    def names(self) -> set[str]:
        return {name for _, name, _ in self.heard}

    def die(self) -> None:
        """As SIGKILL does."""
        self.network.nodes.pop(self.address, None)
        if self in self.network.members_of_group:
            self.network.members_of_group.remove(self)
        self.exchange._running = False
        self.exchange._alarm.stop()


class ExchangeTestCase(SynchronousTestCase):
    """With a network, and nodes a, b and c of which a knows the others."""

    def setUp(self) -> None:
        self.network = Network()

    def pair(self, **settings: float) -> tuple[Node, Node]:
        a = Node(self.network, "a", "10.0.0.1", ["10.0.0.2"])
        b = Node(self.network, "b", "10.0.0.2", [], skew_s=settings.get("skew_s", 0.0))
        self.network.run(0.5)
        return a, b

    def trio(self) -> tuple[Node, Node, Node]:
        a = Node(self.network, "a", "10.0.0.1", [])
        b = Node(self.network, "b", "10.0.0.2", ["10.0.0.1"])
        c = Node(self.network, "c", "10.0.0.3", ["10.0.0.1"])
        self.network.run(3)
        return a, b, c

    def tearDown(self) -> None:
        for node in list(self.network.nodes.values()):
            node.exchange.stop()
        self.network.run(60)
        self.assertEqual(self.network.clock.getDelayedCalls(), [])
