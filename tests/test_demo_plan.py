"""What the demo starts, as the configuration files say it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from voipshift.configfile import load
from voipshift.demo.plan import KEY_FILE, Plan, plan, toml_of
from voipshift.errors import ConfigurationError
from voipshift.group import keys


def laid_out(*settings: str, nodes: int = 3, alone: bool = False) -> Plan:
    """A plan for 100 calls at once."""
    return plan(nodes=nodes, offered=100, base_port=15060, settings=settings, alone=alone)


def tables(made: Plan) -> dict[str, dict[str, Any]]:
    """Each node's tables by its name."""
    return {node.name: node.tables for node in made.nodes}


class PortsTest(SynchronousTestCase):
    """Node k has base-port + 10 k, and each knows the others."""

    def test_each_node_has_its_own_ports(self) -> None:
        nodes = tables(laid_out())
        self.assertEqual(list(nodes), ["primary", "member1", "member2"])
        self.assertEqual(
            [listen["address"] for listen in nodes["member2"]["sip"]["listen"]], ["127.0.0.1:15080", "127.0.0.1:15087"]
        )
        self.assertEqual(nodes["member1"]["group"]["listen"], "127.0.0.1:15075")
        self.assertEqual(nodes["member1"]["group"]["members"], ["127.0.0.1:15065", "127.0.0.1:15085"])

    def test_h323(self) -> None:
        """Three more ports of each node, and a gateway of its own; without H.323 nothing of it is there."""
        made = plan(nodes=2, offered=100, base_port=15060, h323=True)
        nodes = tables(made)
        self.assertEqual(
            nodes["member1"]["h323"],
            {"listen": "127.0.0.1:15072", "accept": "127.0.0.1:15073", "ras": "127.0.0.1:15074"},
        )
        self.assertEqual(nodes["primary"]["gateways"][1]["address"], "127.0.0.1:15962")
        self.assertEqual(nodes["primary"]["gateways"][1]["protocol"], "h323")
        self.assertNotIn("h323", tables(laid_out())["primary"])

    def test_the_gateway_is_beyond_all_nodes(self) -> None:
        made = laid_out(nodes=90)
        self.assertEqual(made.gateway, ("127.0.0.1", 15960))
        self.assertLess(15060 + 10 * 89 + 7, made.gateway[1])

    def test_too_many_nodes_or_a_port_too_high_is_an_error(self) -> None:
        self.assertRaises(ConfigurationError, laid_out, nodes=91)
        self.assertRaises(ConfigurationError, laid_out, nodes=0)
        self.assertRaises(ConfigurationError, plan, nodes=3, offered=100, base_port=65000)


class LimitsTest(SynchronousTestCase):
    """The primary alone must shift; all together refuse nobody."""

    def test_the_primary_is_small_and_the_members_hold_everything(self) -> None:
        limits = [node["workload"]["ongoing_calls"] for node in tables(laid_out()).values()]
        self.assertEqual(limits, [20, 60, 60])

    def test_limits_follow_what_is_offered(self) -> None:
        for nodes in (2, 5, 40):
            made = plan(nodes=nodes, offered=600, base_port=15060)
            primary, *members = [node["workload"]["ongoing_calls"] for node in tables(made).values()]
            self.assertLess(primary, 600 / 2)
            self.assertGreaterEqual(sum(members), 600)

    def test_the_primary_alone_keeps_its_limit_and_has_no_members(self) -> None:
        made = laid_out(alone=True)
        self.assertEqual([node.name for node in made.nodes], ["primary"])
        self.assertEqual(made.nodes[0].tables["workload"]["ongoing_calls"], 20)
        self.assertEqual(made.nodes[0].tables["group"]["members"], [])


class SettingsTest(SynchronousTestCase):
    """``--set`` reaches every key, of one node or of all."""

    def test_without_a_name_it_is_for_all(self) -> None:
        made = tables(laid_out("workload.calls_per_second=1000"))
        self.assertEqual([node["workload"]["calls_per_second"] for node in made.values()], [1000] * 3)

    def test_with_a_name_it_is_for_that_node(self) -> None:
        made = tables(laid_out("primary.workload.ongoing_calls=5"))
        self.assertEqual([node["workload"]["ongoing_calls"] for node in made.values()], [5, 60, 60])

    def test_a_later_one_wins(self) -> None:
        made = tables(laid_out("workload.ongoing_calls=7", "member1.workload.ongoing_calls=8"))
        self.assertEqual([node["workload"]["ongoing_calls"] for node in made.values()], [7, 8, 7])

    def test_values_are_toml_and_else_words(self) -> None:
        for text, value in (
            ("sip.identify_self=true", True),
            ("sip.identify_self=false", False),
            ("sip.identify_self=0.25", 0.25),
            ('sip.identify_self="even"', "even"),
            ("sip.identify_self=even", "even"),
            ("sip.identify_self=unlimited", "unlimited"),
            ('sip.identify_self=["a", "b"]', ["a", "b"]),
            ("sip.identify_self=127.0.0.1:5", "127.0.0.1:5"),
            ("sip.identify_self=", ""),
            ("sip.identify_self=a=b", "a=b"),
        ):
            self.assertEqual(tables(laid_out(text))["primary"]["sip"]["identify_self"], value, text)

    def test_what_is_no_setting_is_one_line(self) -> None:
        for text in (
            "",
            "=",
            "workload.ongoing_calls",
            "=5",
            "primary=5",
            ".a=1",
            "a b.c=1",
            "member9.workload.x=1",
            "node.name.x=1",
        ):
            with self.assertRaises(ConfigurationError) as caught:
                laid_out(text)
            self.assertNotIn("\n", str(caught.exception))

    def test_a_setting_of_a_member_does_not_disturb_the_primary_alone(self) -> None:
        made = laid_out("member2.workload.ongoing_calls=5", alone=True)
        self.assertEqual(made.nodes[0].tables["workload"]["ongoing_calls"], 20)


class FilesTest(SynchronousTestCase):
    """What is written is what was meant, and a node takes it."""

    def test_toml_reads_back(self) -> None:
        written = {
            "alone": 'a "quoted" \\ line\nand a second, ä ☎',
            "array": [1, 2.5, True, "x", [1], {"a": 1}],
            "section": {"number": 5, "inner": {"deep": {"er": "x"}}},
            "other": {},
        }
        self.assertEqual(tomllib.loads(toml_of(written)), written)

    def test_a_node_takes_its_configuration(self) -> None:
        with TemporaryDirectory() as folder:
            keys.make(str(Path(folder, KEY_FILE)))
            for node in laid_out("balance.rule=even", "sip.identify_self=true").nodes:
                file = Path(folder, f"{node.name}.toml")
                file.write_text(node.toml())
                settings = load(str(file))
                self.assertEqual(settings.node.name, node.name)
                self.assertEqual(settings.balance.rule, "even")
                self.assertTrue(settings.sip.identify_self)
