"""Whole nodes from their configuration files: what twistd starts, and how it ends."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from twisted.internet.task import Clock
from twisted.python import usage
from twisted.trial.unittest import SynchronousTestCase

from tests.resolving import ResolvingClock
from tests.sipnet import GATEWAY, PHONE, Network, Peer
from voipshift.node import CallAttempt
from voipshift.tap import Node, Options, makeService
from voipshift.wiring import ports

NODE = """
[node]
name = "{name}"
[[sip.listen]]
transport = "udp"
address = "192.0.2.{number}:5060"
[[sip.listen]]
transport = "udp"
address = "192.0.2.{number}:5067"
[group]
listen = "192.0.2.{number}:5065"
key_file = "group.key"
members = {members}
[workload]
ongoing_calls = {limit}
[calls]
watch_interval_s = 0
[[gateways]]
address = "192.0.2.20:5060"
[access]
open = true
"""


class OptionsTest(SynchronousTestCase):
    """``twistd voipshift``."""

    def test_which_node_must_be_said(self) -> None:
        """A usage error, which twistd prints with its help."""
        self.assertRaises(usage.UsageError, Options().parseOptions, [])

    def test_a_wrong_configuration_is_one_line(self) -> None:
        """It names the file, and ends the process with 1 before anything listens or forks."""
        options = Options()
        options.parseOptions(["--config", "/nowhere/node.toml"])
        exit = self.assertRaises(SystemExit, makeService, options, Clock())
        assert isinstance(exit, SystemExit)
        self.assertIsInstance(exit.code, str)
        self.assertNotIn("\n", str(exit.code))
        self.assertIn("/nowhere/node.toml", str(exit.code))


class NodeTestCase(SynchronousTestCase):
    """A folder for configuration files, a network, and a clock."""

    def setUp(self) -> None:
        """A key file, a phone and a gateway."""
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        key_file = self.folder / "group.key"
        key_file.touch(0o600)
        key_file.write_text("00" * 32 + "\n")
        self.clock = ResolvingClock()
        self.clock.nameResolver.zone["member.example.org"] = ["192.0.2.2"]
        self.network = Network(self.clock)
        self.patch(ports, "open_port", self.network.open_port)
        self.phone = Peer(self.network, PHONE)
        self.gateway = Peer(self.network, GATEWAY, "100")
        self.running: list[Node] = []

    def tearDown(self) -> None:
        """Nothing is scheduled after the nodes have stopped."""
        for node in self.running:
            node.stopService()
        self.network.settle()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def made(self, number: int, name: str, limit: int, members: list[str], more: str = "") -> Node:
        """A node as twistd makes it: bound, and not started."""
        file = self.folder / f"{name}.toml"
        text = NODE.format(number=number, name=name, limit=limit, members=str(members).replace("'", '"'))
        file.write_text(text + more)
        options = Options()
        options.parseOptions(["--config", os.fspath(file)])
        node = makeService(options, self.clock)
        assert isinstance(node, Node)
        return node

    def start(self, number: int, name: str, limit: int = 2, members: tuple[str, ...] = (), **how: Any) -> Node:
        """A node that runs."""
        node = self.made(number, name, limit, list(members), **how)
        node.startService()
        self.running.append(node)
        return node

    def stop(self, node: Node) -> None:
        """Stop a node."""
        self.running.remove(node)
        node.stopService()
        self.network.settle()


class StartTest(NodeTestCase):
    """Before it runs."""

    def test_a_port_that_is_taken_is_one_line(self) -> None:
        """It names the key and the port; what was bound before is closed again."""
        bound: list[tuple[str, int]] = []

        def open_port(address: tuple[str, int], received: Any, batch: Any) -> Any:
            if address[1] == 5065:
                raise OSError(98, "Address already in use")
            bound.append(address)
            port = self.network.open_port(address, received)
            self.patch(port, "stop", lambda: bound.remove(address))
            return port

        self.patch(ports, "open_port", open_port)
        exit = self.assertRaises(SystemExit, self.made, 1, "primary", 2, [])
        self.assertRegex(str(exit), r"primary\.toml: group\.listen: 192\.0\.2\.1:5065/udp: Address already in use")
        self.assertEqual(bound, [])

    def test_nothing_happens_before_it_is_started(self) -> None:
        """A daemon forks between the two."""
        node = self.made(1, "primary", 2, ["192.0.2.2:5065"])
        self.assertEqual((self.clock.getDelayedCalls(), self.network.sent), ([], []))
        node.startService()
        self.running.append(node)
        self.assertNotEqual(self.network.sent, [])

    def test_members_are_looked_up_by_name(self) -> None:
        """Now and again: one may come up or move while the node runs."""
        member = self.start(2, "member")
        self.start(1, "primary", members=("member.example.org:5065",))
        self.network.advance(5)
        self.assertEqual([each.name for each in member.members], ["primary"])
        self.network.advance(60)
        self.assertGreaterEqual(self.clock.nameResolver.asked.count("member.example.org"), 3)


class GroupTest(NodeTestCase):
    """Two nodes, their sealed datagrams between them."""

    def setUp(self) -> None:
        """A pure portal and a member with two slots, which hear each other."""
        super().setUp()
        self.primary = self.start(1, "primary", 0, ("192.0.2.2:5065",))
        self.member = self.start(2, "member", 2)
        self.network.advance(3)

    def invite(self, call_id: str) -> str:
        """Call the primary; the Contact of its 302."""
        invite = self.phone.request("INVITE", "sip:100@192.0.2.1", call_id=call_id)
        self.phone.say(invite, ("192.0.2.1", 5060))
        answer = self.phone.told(302)
        self.phone.acknowledge(invite, answer, ("192.0.2.1", 5060))
        return (answer.get("Contact") or "").strip("<>")

    def test_they_know_each_other(self) -> None:
        """By reports, though only one of them was told of the other."""
        self.assertEqual([each.name for each in self.primary.members], ["member"])
        self.assertEqual([each.name for each in self.member.members], ["primary"])

    def test_what_speaks_for_a_member_is_known(self) -> None:
        """By its reports, besides its load."""
        self.member.quality.answer_seizure_ratio = 0.9
        self.network.advance(3)
        known = self.primary.members.get("member")
        assert known is not None
        self.assertEqual(known.factors, self.member.standing.factors())
        self.assertEqual(known.factors.answer_seizure_ratio, 0.9)

    def test_a_call_is_shifted_and_carried(self) -> None:
        """From INVITE to BYE: one lease, closed once; one call in the member's table, none in the primary's."""
        contact = self.invite("1")
        self.assertRegex(contact, r"^sip:100@192\.0\.2\.2:5060;lease=[0-9a-f]{32}$")
        self.assertEqual((len(self.member.leases), len(self.member.table)), (1, 0))
        self.phone.say(self.phone.request("INVITE", contact, number=2), ("192.0.2.2", 5060))
        self.gateway.answer(self.gateway.asked("INVITE"), 200)
        answer = self.phone.told(200)
        self.phone.say(self.phone.within("ACK", answer), ("192.0.2.2", 5060))
        self.gateway.asked("ACK")
        self.assertEqual((len(self.member.leases), len(self.member.table), len(self.primary.table)), (0, 1, 0))
        self.phone.say(self.phone.within("BYE", answer, 3), ("192.0.2.2", 5060))
        self.gateway.answer(self.gateway.asked("BYE"), 200)
        self.phone.told(200, "BYE")
        self.assertEqual(len(self.member.table), 0)
        self.assertEqual(dict(self.member.table.hops), {1: 1})

    def test_a_client_with_the_primary_for_an_outbound_proxy(self) -> None:
        """It sends the redirected INVITE back to the primary, which passes it on: no second 302, and no loop."""
        contact = self.invite("1")
        route = [("Route", "<sip:192.0.2.1;lr>")]
        self.phone.say(self.phone.request("INVITE", contact, number=2, fields=route), ("192.0.2.1", 5060))
        invite = self.gateway.asked("INVITE")
        self.assertEqual(len(invite.vias), 3)
        self.gateway.answer(invite, 200)
        answer = self.phone.told(200)
        routes = [("Route", "<sip:192.0.2.1;lr>"), ("Route", "<sip:192.0.2.2:5060;lr>")]
        for method in ("ACK", "BYE"):
            self.phone.say(self.phone.within(method, answer, 2, fields=routes), ("192.0.2.1", 5060))
        self.gateway.asked("ACK")
        self.gateway.answer(self.gateway.asked("BYE"), 200)
        self.phone.told(200, "BYE")
        self.assertEqual((len(self.member.table), self.member.table.carried), (0, 1))

    def test_without_the_lease_it_is_passed_on_and_decided_there_alone(self) -> None:
        """The member believes the primary's mark: full, it says no, and asks nobody. The refusal stays what it is."""
        for number in range(2):
            self.member.delegation.accept(_attempt(number), (), "primary", 1)
        self.phone.say(self.phone.request("INVITE", "sip:100@192.0.2.2"), ("192.0.2.1", 5060))
        self.assertFalse(self.phone.told(503).has("Retry-After"))
        self.assertEqual(self.member.delegation.counts.asked_on, 0)

    def test_a_full_group_is_503_until_somebody_has_room_again(self) -> None:
        """The primary hears at once that its member is full, and at once that it is not."""
        contacts = [self.invite("1"), self.invite("2")]
        self.network.advance(0.5)
        asked = self.primary.delegation.counts.asked_on
        self.phone.say(self.phone.request("INVITE", "sip:100@192.0.2.1", call_id="3"), ("192.0.2.1", 5060))
        self.assertIsNotNone(self.phone.told(503).get("Retry-After"))
        self.assertEqual(self.primary.delegation.counts.asked_on, asked)
        self.network.advance(10)
        self.assertEqual((len(self.member.leases), self.member.leases.counts["lapsed"]), (0, len(contacts)))
        other = Peer(self.network, ("198.51.100.8", 5060), "bob")
        other.say(other.request("INVITE", "sip:100@192.0.2.1", call_id="4"), ("192.0.2.1", 5060))
        self.assertIn("sip:100@192.0.2.2", other.told(302).get("Contact") or "")

    def test_cancel_follows_the_chain(self) -> None:
        """The member is silent; the client gives up, and 487 does not wait for it."""
        self.network.cut.add(("192.0.2.2", 5065))
        invite = self.phone.request("INVITE", "sip:100@192.0.2.1")
        self.phone.say(invite, ("192.0.2.1", 5060))
        cancel = self.phone.request("CANCEL", invite.uri)
        cancel.set("Via", str(invite.via))
        self.phone.say(cancel, ("192.0.2.1", 5060))
        self.assertEqual(self.phone.words(), ["200 CANCEL", "487 INVITE"])
        self.network.cut.clear()
        self.network.advance(15)
        self.assertEqual((len(self.member.leases), len(self.primary.leases)), (0, 0))

    def test_a_member_that_stops_is_asked_no_more(self) -> None:
        """It says Leave: the next attempt is refused at once."""
        self.stop(self.member)
        self.phone.say(self.phone.request("INVITE", "sip:100@192.0.2.1", call_id="1"), ("192.0.2.1", 5060))
        self.phone.told(503)

    def test_a_node_that_stops_while_it_asks(self) -> None:
        """Nothing is scheduled afterwards: the base class looks."""
        self.network.cut.add(("192.0.2.2", 5065))
        self.phone.say(self.phone.request("INVITE", "sip:100@192.0.2.1", call_id="1"), ("192.0.2.1", 5060))
        self.stop(self.primary)
        self.network.cut.clear()
        self.network.advance(2)


def _attempt(number: int) -> CallAttempt:
    return CallAttempt(bytes([number]) * 16, "sip/udp", "a", "b", "sip:b@x", ("203.0.113.9", 5060))
