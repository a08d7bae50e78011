"""Members that are configured by a name: where it leads, as long as it leads there."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.group_nodes import ExchangeTestCase, Node
from tests.resolving import ResolvingClock
from voipshift.group.peers import HEARSAY_TRIES
from voipshift.node import Address
from voipshift.wiring.lookup import LOOK_UP_S, Lookup


class LookupTests(SynchronousTestCase):
    """One name, or two."""

    def setUp(self) -> None:
        self.clock = ResolvingClock()
        self.zone = self.clock.nameResolver.zone
        self.found: list[Address] = []

    def lookup(self, *names: str, version: int = 4) -> Lookup:
        """One that runs until the test is over."""
        lookup = Lookup(self.clock, [(name, 5065) for name in names], version, self.found.append)
        lookup.start()
        self.addCleanup(lambda: self.assertEqual(self.clock.getDelayedCalls(), []))
        self.addCleanup(lookup.stop)
        return lookup

    def test_all_addresses_of_a_name(self) -> None:
        """All members of a group may stand behind one name."""
        self.zone["nodes.example.org"] = ["192.0.2.1", "192.0.2.2", "192.0.2.3"]
        self.lookup("nodes.example.org")
        self.assertEqual(self.found, [(f"192.0.2.{number}", 5065) for number in (1, 2, 3)])

    def test_of_the_ip_version_that_the_group_speaks(self) -> None:
        """The port of the group cannot send to the other."""
        self.zone["node.example.org"] = ["192.0.2.1", "2001:db8::1"]
        for version, host in ((4, "192.0.2.1"), (6, "2001:db8::1")):
            self.lookup("node.example.org", version=version).stop()
            self.assertEqual(self.found.pop(), (host, 5065))
            self.assertEqual(self.found, [])

    def test_again_and_again(self) -> None:
        """A member may come up, or move, while the node runs."""
        self.lookup("node.example.org")
        self.zone["node.example.org"] = ["192.0.2.2"]
        self.clock.advance(LOOK_UP_S)
        self.zone["node.example.org"] = ["192.0.2.3"]
        self.clock.advance(LOOK_UP_S)
        self.assertEqual(self.found, [("192.0.2.2", 5065), ("192.0.2.3", 5065)])

    def test_a_name_that_leads_nowhere_is_said_once(self) -> None:
        """And once more when it has led somewhere in between."""
        said: list[str] = []
        lookup = self.lookup()
        self.patch(lookup._log, "warn", lambda text, host: said.append(host))
        lookup._names = (("gone.example.org", 5065),)
        lookup.start()
        for led in (False, False, True, False, False):
            self.zone["gone.example.org"] = ["192.0.2.2"] if led else []
            self.clock.advance(LOOK_UP_S)
        self.assertEqual(said, ["gone.example.org"] * 2)

    def test_what_comes_after_the_end(self) -> None:
        """Nothing is done with an answer of the resolver that comes when the node has stopped."""
        resolver = self.clock.nameResolver
        resolver.zone["node.example.org"] = ["192.0.2.2"]
        resolver.silent = True
        self.lookup("node.example.org").stop()
        resolver.waiting[0].resolutionComplete()
        self.assertEqual(self.found, [])


class PlacesTests(ExchangeTestCase):
    """What a group does with them."""

    def test_an_address_that_no_name_leads_to_is_greeted_no_more(self) -> None:
        """Members that come and go, each time at another address, leave nothing behind."""
        a = Node(self.network, "a", "10.0.0.1", [])
        for number in range(50):
            a.exchange.may_be_at((f"10.0.1.{number}", 7400))
        self.network.run(60)
        self.network.sent.clear()
        self.network.run(60)
        self.assertEqual(self.network.sent, [])
        a.exchange.may_be_at(("10.0.1.1", 7400))
        self.network.run(60)
        self.assertEqual(len(self.network.sent), HEARSAY_TRIES)

    def test_a_member_that_a_name_leads_to(self) -> None:
        """It is met, as one that was told of."""
        a = Node(self.network, "a", "10.0.0.1", [])
        Node(self.network, "b", "10.0.0.2", [])
        a.exchange.may_be_at(("10.0.0.2", 7400))
        self.network.run(0.1)
        self.assertEqual(a.names(), {"b"})
