"""A group whose Reports go by a bus, in memory; ``tests/interop/test_bus.py`` has the real one."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.group_nodes import ExchangeTestCase, Node
from voipshift.errors import ConfigurationError
from voipshift.group.bus import Bus
from voipshift.group.envelope import Stream


class BusTests(ExchangeTestCase):
    """Three nodes that have no address of each other, and one bus."""

    def group(self) -> list[Node]:
        nodes = [Node(self.network, name, f"10.0.{name}.1", [], bus=True) for name in "123"]
        self.network.run(4)
        return nodes

    def unicast(self, seconds: float) -> int:
        """How many datagrams go to single nodes."""
        before = len(self.network.sent)
        self.network.run(seconds)
        return len(self.network.sent) - before

    def test_found_by_the_bus_alone(self) -> None:
        """Who is heard there is greeted where it says that it is, and believed by its echo as ever."""
        for node in self.group():
            self.assertEqual(node.names(), {"1", "2", "3"} - {node.identity.name})

    def test_reports_go_nowhere_else(self) -> None:
        """Ten seconds are ten Reports of each, each published once."""
        self.group()
        before = len(self.network.published)
        self.assertEqual(self.unicast(10.0), 0)
        self.assertAlmostEqual(len(self.network.published) - before, 30, delta=3)

    def test_without_the_bus_each_is_told(self) -> None:
        """Nobody is dead because a server is away; when it is back, it is used again."""
        nodes = self.group()
        self.network.bus_is_up = False
        self.network.run(2)
        for node in nodes:
            node.heard.clear()
        self.assertGreaterEqual(self.unicast(10.0), 50)
        for node in nodes:
            for name in {"1", "2", "3"} - {node.identity.name}:
                times = [when for when, who, _ in node.heard if who == name]
                self.assertGreaterEqual(len(times), 9)
        self.network.bus_is_up = True
        self.network.run(5)
        self.assertEqual(self.unicast(5.0), 0)

    def test_an_ask_goes_straight(self) -> None:
        """The bus carries Reports and nothing else."""
        a, b, _ = self.group()
        published = len(self.network.published)
        self.assertEqual(self.successResultOf(self.answered(a)).node.name, b.identity.name)
        self.assertTrue(all(octets[2] == Stream.BUS for octets in self.network.published[published:]))

    def answered(self, a: Node):  # type: ignore[no-untyped-def]
        asked = a.ask("2")
        self.network.run(0.1)
        return asked

    def test_a_report_twice_and_from_another_group(self) -> None:
        """Dropped and counted, as on any stream."""
        a, _, _ = self.group()
        other = next(octets for octets in reversed(self.network.published) if octets[8:24] != a.exchange.boot)
        a.exchange.received(other, ("", 0))
        self.assertEqual(a.exchange.counts["replayed"], 1)
        stranger = Node(self.network, "x", "10.9.9.9", [], bus=True, secret=b"x" * 32)
        self.network.run(1)
        self.assertGreater(a.exchange.counts["unknown_key"], 0)
        self.assertEqual(stranger.names(), set())


class UrlTests(SynchronousTestCase):
    """What the setting may be."""

    def test_wrong(self) -> None:
        """One line for the operator."""
        for url in ("http://192.0.2.1", "redis://", "redis://192.0.2.1:99999", "redis://192.0.2.1/channel"):
            error = self.assertRaises(ConfigurationError, Bus, url, lambda octets: None, None, "node.toml")
            self.assertEqual(error.key, "group.bus")
