"""Polls in a group of real exchanges: who is asked reports now, whatever the interval is."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred

from tests.group_nodes import ExchangeTestCase, Node


class PollTests(ExchangeTestCase):
    """Node a polls b and c, whose Reports are a minute apart."""

    def group(self) -> tuple[Node, Node, Node]:
        a = Node(self.network, "a", "10.0.0.1", ["10.0.0.2", "10.0.0.3"], interval_s=60.0)
        b = Node(self.network, "b", "10.0.0.2", [], interval_s=60.0)
        c = Node(self.network, "c", "10.0.0.3", [], interval_s=60.0)
        self.network.run(3)
        return a, b, c

    def poll(self, node: Node, names: list[str] | None, timeout_s: float = 0.1) -> list[frozenset[str]]:
        reported: list[frozenset[str]] = []
        node.exchange.poll(names, timeout_s).addCallback(reported.append)
        return reported

    def test_a_fresh_load_in_one_round_trip(self) -> None:
        """What changed since the last Report is heard before the poll is over."""
        a, b, _c = self.group()
        b.load_now = (0.6, 0)
        reported = self.poll(a, ["b", "c"])
        self.network.run(0.0021)
        self.assertEqual(reported, [{"b", "c"}])
        last = {name: load.occupancy for _, name, load in a.heard}
        self.assertEqual(last, {"b": 0.6, "c": 0.5})

    def test_everybody(self) -> None:
        """Without names everybody who is believed is asked, and said all."""
        a, _b, _c = self.group()
        a.stated.clear()
        reported = self.poll(a, None)
        self.network.run(0.01)
        self.assertEqual((reported, set(a.stated)), ([{"b", "c"}], {"b", "c"}))

    def test_a_silent_member_costs_the_timeout(self) -> None:
        """The poll ends in time with those that reported; the silent one was asked twice."""
        a, _b, c = self.group()
        self.network.nodes.pop(c.address)
        reported = self.poll(a, ["b", "c"])
        sent = len([1 for _, to in self.network.sent if to == c.address])
        self.network.run(0.09)
        self.assertEqual(reported, [])
        self.assertEqual(len([1 for _, to in self.network.sent if to == c.address]), sent + 1)
        self.network.run(0.02)
        self.assertEqual(reported, [{"b"}])
        self.network.nodes[c.address] = c

    def test_a_lost_datagram_is_sent_again(self) -> None:
        """Half of the time is kept for that."""
        a, b, _c = self.group()
        self.network.lost = lambda source, destination: destination == b.address
        reported = self.poll(a, ["b"])
        self.network.run(0.01)
        self.network.lost = lambda source, destination: False
        self.network.run(0.05)
        self.assertEqual(reported, [{"b"}])

    def test_nobody_to_ask(self) -> None:
        """An unknown name, or a door that was stopped, waits for nothing."""
        a, _b, _c = self.group()
        self.assertEqual(self.poll(a, ["nobody"]), [frozenset()])
        a.exchange.stop()
        self.assertEqual(self.poll(a, ["b"]), [frozenset()])

    def test_a_member_that_leaves_is_not_waited_for(self) -> None:
        """Its Leave is as good as a Report."""
        a, b, _c = self.group()
        self.network.lost = lambda source, destination: False
        reported = self.poll(a, ["b"], 10.0)
        b.exchange.stop()
        self.network.run(0.01)
        self.assertEqual(reported, [frozenset()])

    def test_stop_ends_it(self) -> None:
        """With what came so far."""
        a, _b, _c = self.group()
        reported = self.poll(a, ["b", "c"])
        a.exchange.stop()
        self.assertEqual(reported, [frozenset()])

    def test_cancelled(self) -> None:
        """Nothing is waited for any more, and what still comes is a Report like any."""
        a, _b, _c = self.group()
        polled: Deferred[frozenset[str]] = a.exchange.poll(["b"], 0.1)
        polled.cancel()
        self.failureResultOf(polled, CancelledError)
        self.network.run(1)
