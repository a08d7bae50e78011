"""The demo listens in a group of real exchanges on a simulated network."""

from __future__ import annotations

import math
import os
from collections.abc import Callable

from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from voipshift.demo.observer import Observer
from voipshift.demo.summary import NodeFigures
from voipshift.errors import Refused
from voipshift.group.exchange import Exchange
from voipshift.group.keys import Keys
from voipshift.group.messages import Counts, Statement
from voipshift.node import FULL, Acceptance, Address, CallAttempt, Load, NodeIdentity

KEYS = Keys((bytes(32),))
OBSERVER = ("127.0.0.1", 7000)


class Network:
    """Delivers after a millisecond to whoever has the address."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.ports: dict[Address, Callable[[bytes, Address], None]] = {}

    def sender(self, source: Address) -> Callable[[bytes, Address], None]:
        """The way out of an address."""

        def send(octets: bytes, to: Address) -> None:
            self._clock.callLater(0.001, lambda: self.ports.get(to, lambda octets, source: None)(octets, source))

        return send


class Node:
    """A node as the group sees it, with figures that the test sets."""

    def __init__(self, clock: Clock, network: Network, number: int, addresses: list[Address]) -> None:
        self.name = f"node{number}"
        self.counts = Counts()
        self.hops: tuple[int, ...] = ()
        self.heard: set[str] = set()
        self._sequence = 0
        doors = {"sip/udp": ("127.0.0.1", 5000 + number)}
        address = addresses[number]
        self._doors = doors
        self.exchange = Exchange(
            clock=clock,
            send=network.sender(address),
            keys=KEYS,
            identity=NodeIdentity(self.name, doors),
            address=address,
            members=[each for each in addresses if each != address],
            multicast=None,
            report_interval_s=1.0,
            random=os.urandom,
            statement=self._statement,
            heard=self._heard,
            left=self.heard.discard,
            consider=self._consider,
            withdraw=lambda lease: None,
            lapsed=lambda attempt, lease: None,
        )
        network.ports[address] = self.exchange.received
        self.considered = 0

    def _heard(self, identity: NodeIdentity, load: Load) -> None:
        if identity.doors:
            self.heard.add(identity.name)

    def _statement(self) -> Statement:
        self._sequence += 1
        load = Load(self.name, self.exchange.incarnation, self._sequence, 0.25, 20.0, FULL)
        return Statement(load, self._doors, self.counts, self.hops, len(self.heard))

    def _consider(
        self, attempt: CallAttempt, path: tuple[Load, ...], left_s: float, pending: Callable[[], None], entry: str
    ) -> Deferred[Acceptance]:
        self.considered += 1
        return fail(Refused())


class ObserverTest(SynchronousTestCase):
    """It hears every node and is heard by none as somebody to ask."""

    def setUp(self) -> None:
        self.clock = Clock()
        network = Network(self.clock)
        addresses = [("127.0.0.1", 7001 + number) for number in range(3)]
        self.nodes = [Node(self.clock, network, number, addresses) for number in range(3)]
        groups = {node.name: address for node, address in zip(self.nodes, addresses, strict=True)}
        self.observer = Observer(self.clock, OBSERVER, groups, KEYS, 1.0)
        network.ports[OBSERVER] = self.observer.received
        self.observer.begin(network.sender(OBSERVER))

    def tearDown(self) -> None:
        self.observer.stop()
        for node in self.nodes:
            node.exchange.stop()
        self.clock.advance(1.0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def run_for(self, duration_s: float) -> None:
        """Let the group talk."""
        self.clock.pump([0.005] * round(duration_s / 0.005))

    def test_the_group_is_complete_when_each_node_hears_all_others(self) -> None:
        self.run_for(0.5)
        self.assertFalse(self.observer.complete())
        for node in self.nodes[:2]:
            node.exchange.start()
        self.run_for(4.0)
        self.assertFalse(self.observer.complete())
        self.nodes[2].exchange.start()
        self.run_for(4.0)
        self.assertTrue(self.observer.complete())
        self.assertEqual([len(node.heard) for node in self.nodes], [2, 2, 2])

    def test_the_figures_are_what_the_nodes_said_last(self) -> None:
        for node in self.nodes:
            node.exchange.start()
        self.run_for(4.0)
        for number, node in enumerate(self.nodes):
            node.counts = Counts(calls=3, leases=1, accepted=9, asked_on=4, carried=10 * number, peak=5, limit=20)
            node.hops = (number, 10 * number)
        self.nodes[2].counts = Counts(carried=7)
        over = self.observer.last_word({node.name for node in self.nodes})
        self.assertNoResult(over)
        self.run_for(2.0)
        self.successResultOf(over)
        figures = self.observer.figures()
        self.assertEqual(figures["node1"], NodeFigures(10, 5, 20, (1, 10)))
        self.assertEqual(figures["node2"].limit, math.inf)
        row = self.observer.row("node0", alive=True)
        self.assertEqual((row.state, row.calls, row.leases, row.accepted, row.asked_on), ("full", 3, 1, 9, 4))
        self.assertEqual(self.observer.row("node0", alive=False).state, "gone")

    def test_a_node_that_says_nothing_more_is_not_waited_for_for_ever(self) -> None:
        self.nodes[0].exchange.start()
        self.run_for(4.0)
        over = self.observer.last_word({"node0", "node1"})
        self.run_for(3.5)
        self.successResultOf(over)
        self.assertEqual(self.observer.figures()["node1"], NodeFigures())

    def test_nobody_to_wait_for_is_no_wait(self) -> None:
        self.successResultOf(self.observer.last_word(set()))
