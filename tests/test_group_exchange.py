"""How the nodes of a group meet, lose and report to each other: real exchanges back to back."""

from __future__ import annotations

from itertools import pairwise
from random import Random

from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs, formatEvent

from tests.group_nodes import GROUP, ExchangeTestCase, Node, SkewedClock
from voipshift.errors import NoAnswer
from voipshift.group.messages import Counts
from voipshift.group.reports import report_interval_s
from voipshift.node import FULL, Acceptance


class Meeting(ExchangeTestCase):
    """How members find each other."""

    def test_found_by_address_alone(self) -> None:
        """One configured address is enough for both to hear each other within some round trips."""
        a, b = self.pair()
        self.assertEqual((a.names(), b.names()), ({"b"}, {"a"}))
        self.assertLess(max(a.heard[0][0], b.heard[0][0]), 0.05)
        self.assertEqual(a.stated["b"].counts, Counts(calls=7, limit=None))
        self.assertEqual((a.stated["b"].hops, a.stated["b"].members), ((3, 1), 2))

    def test_learnt_from_another(self) -> None:
        """Who reports to one member is learnt by all that it reports to."""
        a, b, c = self.trio()
        self.assertEqual((a.names(), b.names(), c.names()), ({"b", "c"}, {"a", "c"}, {"a", "b"}))

    def test_multicast(self) -> None:
        """In a multicast group nobody needs an address."""
        nodes = [Node(self.network, name, f"10.0.0.{k}", [], multicast=True) for k, name in enumerate("abc", 1)]
        self.network.run(5)
        for node in nodes:
            self.assertEqual(node.names(), {"a", "b", "c"} - {node.identity.name})
        self.network.sent.clear()
        self.network.run(2.5)
        self.assertEqual({destination for _, destination in self.network.sent}, {GROUP})

    def test_observer(self) -> None:
        """A node without doors hears everybody and is heard."""
        _, b, _ = self.trio()
        watcher = Node(self.network, "watcher", "10.0.0.9", ["10.0.0.2"], doors=False)
        self.network.run(3)
        self.assertEqual(watcher.names(), {"a", "b", "c"})
        self.assertEqual(b.stated["watcher"].doors, {})

    def test_skewed_clock(self) -> None:
        """A clock that is hours off mutes nobody, and an ask loses none of its time."""
        a, b = self.pair(skew_s=-7200.0)
        answer = self.successResultOf_after(a.ask("b"), 0.1)
        self.assertEqual(answer.node, b.identity)
        self.assertAlmostEqual(b.considered[0][2], 1.5, delta=0.01)
        self.assertEqual(a.exchange.counts + b.exchange.counts, {})

    def test_clock_set_while_running(self) -> None:
        """A clock that jumps by an hour costs its node no more than a few reports."""
        a, b = self.pair(skew_s=7200.0)
        clock = b.exchange._clock
        assert isinstance(clock, SkewedClock)
        clock.skew_s += 3600
        self.network.run(4)
        a.heard.clear()
        b.heard.clear()
        self.network.run(2)
        self.assertEqual((a.names(), b.names()), ({"b"}, {"a"}))

    def test_member_that_starts_late(self) -> None:
        """An address where nobody was is used within T of somebody starting there."""
        a = Node(self.network, "a", "10.0.0.1", ["10.0.0.2"])
        self.network.run(60)
        Node(self.network, "b", "10.0.0.2", ["10.0.0.1"])
        self.network.run(0.1)
        self.assertEqual(a.names(), {"b"})

    def test_nobody_there_is_greeted_seldom(self) -> None:
        """The Polls to an address where nobody answers become one in five seconds."""
        Node(self.network, "a", "10.0.0.1", ["10.0.0.2"])
        self.network.run(60)
        self.network.sent.clear()
        self.network.run(50)
        self.assertEqual(len(self.network.sent), 10)

    def test_other_group(self) -> None:
        """Another key is another group."""
        a = Node(self.network, "a", "10.0.0.1", ["10.0.0.2"])
        b = Node(self.network, "b", "10.0.0.2", ["10.0.0.1"], secret=bytes(32))
        self.network.run(3)
        self.assertEqual((a.names(), b.names()), (set(), set()))
        self.assertEqual(set(a.exchange.counts), {"unknown_key"})

    def test_lossy_network(self) -> None:
        """With a third of all datagrams lost everybody is found within some seconds."""
        random = Random(5)
        self.network.lost = lambda source, destination: random.random() < 0.3
        a, b, c = self.trio()
        self.network.run(10)
        self.assertEqual((a.names(), b.names(), c.names()), ({"b", "c"}, {"a", "c"}, {"a", "b"}))

    def successResultOf_after(self, answer: Deferred[Acceptance], seconds: float) -> Acceptance:
        self.network.run(seconds)
        return self.successResultOf(answer)


class Restarting(ExchangeTestCase):
    """Boots, incarnations, and names."""

    def test_same_address(self) -> None:
        """A node restarted with its clock set back is used at once, and its loads are newer than before."""
        a, b = self.pair()
        old = b.exchange.incarnation
        b.die()
        again = Node(self.network, "b", "10.0.0.2", ["10.0.0.1"], wall=1_600_000_000.0)
        a.heard.clear()
        self.network.run(0.2)
        self.assertGreater(again.exchange.incarnation, old)
        self.assertGreater(a.heard[-1][2].incarnation, old)
        answer = a.ask("b")
        self.network.run(0.1)
        self.assertEqual(self.successResultOf(answer).node.name, "b")

    def test_new_address(self) -> None:
        """A node restarted at another address is used again within T."""
        a, b = self.pair()
        b.die()
        again = Node(self.network, "b", "10.0.0.77", ["10.0.0.1"])
        self.network.run(0.6)
        answer = a.ask("b")
        self.network.run(0.1)
        self.successResultOf(answer)
        self.assertEqual(len(again.considered), 1)

    def test_unconfigured_restart(self) -> None:
        """A node that was configured at its asker only, and restarts knowing nobody, is found again."""
        _, b = self.pair()
        b.die()
        self.network.run(8)
        again = Node(self.network, "b", "10.0.0.2", [])
        self.network.run(5)
        self.assertEqual(again.names(), {"a"})

    def test_two_nodes_with_one_name(self) -> None:
        """The later one is ignored, and said so once."""
        a, b = self.pair()
        with capturedLogs() as events:
            other = Node(self.network, "b", "10.0.0.88", ["10.0.0.1"])
            self.network.run(30)
        lines = [formatEvent(event) for event in events]
        expected = "two nodes have one name: b at 10.0.0.88:7400 is ignored, b at 10.0.0.2:7400 is used; rename one"
        self.assertEqual(lines.count(expected), 1)
        answer = a.ask("b")
        self.network.run(0.1)
        self.successResultOf(answer)
        self.assertEqual((len(b.considered), len(other.considered)), (1, 0))
        self.assertGreater(a.exchange.counts["namesake"], 0)

    def test_namesake_follows(self) -> None:
        """When the first of the two is gone the other one is used."""
        a, b = self.pair()
        other = Node(self.network, "b", "10.0.0.88", ["10.0.0.1"])
        self.network.run(10)
        b.die()
        self.network.run(12)
        answer = a.ask("b")
        self.network.run(0.1)
        self.successResultOf(answer)
        self.assertEqual(len(other.considered), 1)

    def test_leave(self) -> None:
        """A node that stops says so."""
        a, b = self.pair()
        waiting = a.ask("b")
        b.consider = b.wait
        b.exchange.stop()
        self.network.run(0.01)
        self.assertEqual(a.left, ["b"])
        self.failureResultOf(waiting, NoAnswer)
        self.failureResultOf(a.ask("b"), NoAnswer)

    def test_learnt_member_is_forgotten(self) -> None:
        """A member that no configuration names is forgotten after a minute of silence, and polled no more."""
        a, b = self.pair()
        b.exchange._running = True
        a.die()
        self.network.run(120)
        self.assertEqual(b.left, ["a"])
        self.network.sent.clear()
        self.network.run(60)
        self.assertEqual(self.network.sent, [])


class Reporting(ExchangeTestCase):
    """When reports are sent."""

    def test_interval(self) -> None:
        """A Report each T, a tenth earlier or later, from 5 s above 100 members unless by multicast."""
        a, _ = self.pair()
        a.heard.clear()
        self.network.run(100)
        times = [at for at, _, _ in a.heard]
        waits = [later - earlier for earlier, later in pairwise(times)]
        self.assertTrue(90 <= len(times) <= 112, len(times))
        self.assertLessEqual(max(waits), 1.11)
        self.assertGreater(len({round(wait, 3) for wait in waits}), 20)
        self.assertEqual(report_interval_s(1.0, 100, False), 1.0)
        self.assertEqual(report_interval_s(1.0, 101, False), 5.0)
        self.assertEqual(report_interval_s(1.0, 101, True), 1.0)

    def test_edge(self) -> None:
        """Full is reported at once, not full again at least 0.1 s later."""
        a, b = self.pair()
        now = self.network.clock.seconds()
        self.network.run(0.2 - now % 0.1)
        a.heard.clear()
        b.load_now = (1.0, FULL)
        changed = self.network.clock.seconds()
        b.exchange.workload_changed()
        self.network.run(0.01)
        b.load_now = (0.99, 0)
        b.exchange.workload_changed()
        b.exchange.workload_changed()
        self.network.run(0.15)
        self.assertEqual([round(at - changed, 3) for at, _, _ in a.heard], [0.001, 0.101])
        self.assertEqual([load.flags for _, _, load in a.heard], [FULL, 0])

    def test_full_does_not_wait(self) -> None:
        """Not even for the gap after another edge, and the check that waited for that finds none any more."""
        a, b = self.pair()
        now = self.network.clock.seconds()
        self.network.run(0.2 - now % 0.1)
        a.heard.clear()
        changed = self.network.clock.seconds()
        for after_s, load in [
            (0.0, (0.6, 0)),
            (0.02, (0.7, 0)),
            (0.01, (1.0, FULL)),
            (0.02, (0.99, 0)),
            (0.01, (1.0, FULL)),
        ]:
            self.network.run(after_s)
            b.load_now = load
            b.exchange.workload_changed()
        self.network.run(0.2)
        self.assertEqual([round(at - changed, 3) for at, _, _ in a.heard], [0.001, 0.031])
        self.assertEqual([load.flags for _, _, load in a.heard], [0, FULL])

    def test_no_edge(self) -> None:
        """Less than 5 % is none, whether the load is given or not."""
        a, b = self.pair()
        self.network.run(0.2)
        sent = len(self.network.sent)
        b.load_now = (0.54, 0)
        b.exchange.workload_changed()
        b.exchange.workload_changed(b.load())
        self.assertEqual(len(self.network.sent), sent)
        b.load_now = (0.55, 0)
        b.exchange.workload_changed(b.load())
        self.assertEqual(len(self.network.sent), sent + 1)
        self.assertIsNotNone(a)
