"""The configuration: what a good file becomes, and the one line that a bad one gets where its keys do not fit together.

What a single key may hold is tested in :mod:`tests.test_setting`.
"""

from __future__ import annotations

import dataclasses
import math
import os
from ipaddress import ip_network
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from voipshift.configfile import load
from voipshift.errors import ConfigurationError
from voipshift.group import keys

# Each test changes one line of this.
WHOLE = """\
[node]
name = "primary"
advertise = "192.0.2.7"

[[sip.listen]]
transport = "udp"
address = "0.0.0.0:5060"

[[sip.listen]]
transport = "udp"
address = "127.0.0.1:5067"

[sip]
force_rport = false
identify_self = true
lease_s = 5

[group]
listen = "127.0.0.1:5065"
key_file = "group.key"
members = ["127.0.0.1:5075", "Member2.example.net:5085"]
multicast = "239.255.50.60:5064"
bus = "redis://:secret@192.0.2.30:6379"
report_interval_s = 0.5

[balance]
rule = "even"
choose = "lowest"
shift_above = 0.4
delta = 0
hop_limit = 5
deadline_s = 2
collect = "poll"
collect_from = "all"
poll_s = 0.05

[workload]
ongoing_calls = 100
calls_per_second = 2.5

[calls]
probe_interval_s = 30

[[gateways]]
address = "192.0.2.20:5060"
prefixes = ["+49", "0"]

[[gateways]]
address = "192.0.2.21:5060"

[access]
trusted = ["127.0.0.0/8", "192.0.2.4", "2001:db8::/32"]
"""

LEAST = """\
[node]
name = "alone"
[[sip.listen]]
transport = "udp"
address = "127.0.0.1:5060"
[workload]
ongoing_calls = "unlimited"
"""


class ConfigurationTests(SynchronousTestCase):
    """A folder with a key, and a configuration file that each test writes."""

    def setUp(self) -> None:
        self.folder = self.mktemp()
        os.mkdir(self.folder)
        self.key = os.path.join(self.folder, "group.key")
        keys.make(self.key)
        self.file = os.path.join(self.folder, "node.toml")

    def write(self, text: str, *changes: tuple[str, str]) -> str:
        """The file, each change made once."""
        for before, after in changes:
            self.assertEqual(text.count(before), 1, before)
            text = text.replace(before, after)
        Path(self.file).write_text(text)
        return self.file

    def wrong(self, text: str, *changes: tuple[str, str]) -> tuple[str, str]:
        """The key and the reason of the error that such a file gets."""
        error = self.assertRaises(ConfigurationError, load, self.write(text, *changes))
        parts = [part for part in (self.file, error.key, error.reason) if part]
        self.assertEqual(str(error), ": ".join(parts))
        self.assertEqual(len(str(error).splitlines()), 1)
        return error.key, error.reason

    def refuses(self, before: str, cases: dict[str, str], key: str = "") -> None:
        """One value after the other in place of a line's own: the reason for each, and the key.

        :param before: the line, as ``key = value``
        """
        name = before.partition(" = ")[0]
        for after, reason in cases.items():
            self.assertEqual(self.wrong(WHOLE, (before, f"{name} = {after}")), (key, reason), after)


class GoodTests(ConfigurationTests):
    """What a node is handed."""

    def test_every_key(self) -> None:
        """Each key arrives in its room, numbers as numbers and addresses as pairs."""
        settings = load(self.write(WHOLE))
        self.assertEqual(settings.file, self.file)
        self.assertEqual(settings.node.name, "primary")
        self.assertEqual(settings.node.advertise, "192.0.2.7")
        self.assertEqual([each.transport for each in settings.sip.listen], ["udp", "udp"])
        self.assertEqual([each.address for each in settings.sip.listen], [("0.0.0.0", 5060), ("127.0.0.1", 5067)])
        self.assertEqual((settings.sip.force_rport, settings.sip.identify_self, settings.sip.lease_s), (False, True, 5))
        assert settings.group is not None
        self.assertEqual(settings.group.listen, ("127.0.0.1", 5065))
        self.assertEqual(settings.group.members, (("127.0.0.1", 5075), ("member2.example.net", 5085)))
        self.assertEqual(settings.group.multicast, ("239.255.50.60", 5064))
        self.assertEqual(settings.group.bus, "redis://:secret@192.0.2.30:6379")
        self.assertEqual(settings.group.report_interval_s, 0.5)
        balance = dataclasses.asdict(settings.balance)
        self.assertEqual(list(balance.values()), ["even", "lowest", 0.4, 0.0, 5, 2.0, "poll", math.inf, 0.05])
        self.assertEqual((settings.workload.ongoing_calls, settings.workload.calls_per_second), (100, 2.5))
        self.assertEqual(settings.calls.probe_interval_s, 30)
        self.assertEqual([each.address for each in settings.gateways], [("192.0.2.20", 5060), ("192.0.2.21", 5060)])
        self.assertEqual([each.prefixes for each in settings.gateways], [("+49", "0"), ("",)])
        trusted = ("127.0.0.0/8", "192.0.2.4/32", "2001:db8::/32")
        self.assertEqual(settings.access.trusted, tuple(ip_network(each) for each in trusted))

    def test_a_gateway_by_its_domain_name(self) -> None:
        """With a port, or without, which is 0; how it is reached is left to DNS."""
        gateway = load(self.write(WHOLE, ("192.0.2.20:5060", "Carrier.example.net"))).gateways[0]
        self.assertEqual((gateway.address, gateway.transport), (("carrier.example.net", 0), None))
        gateway = load(self.write(WHOLE, ("192.0.2.20:5060", "carrier.example.net:5070"))).gateways[0]
        self.assertEqual(gateway.address, ("carrier.example.net", 5070))

    def test_defaults(self) -> None:
        """What is not written is the design's default; without a group the node stands alone."""
        settings = load(self.write(LEAST))
        self.assertIsNone(settings.group)
        self.assertIsNone(settings.node.advertise)
        self.assertEqual(
            (settings.sip.force_rport, settings.sip.identify_self, settings.sip.lease_s), (True, False, 10)
        )
        balance = dataclasses.asdict(settings.balance)
        self.assertEqual(list(balance.values()), ["seed", "weighted", None, None, None, 1.5, "reports", 3.0, 0.1])
        self.assertEqual(settings.workload.ongoing_calls, math.inf)
        self.assertEqual(settings.workload.calls_per_second, math.inf)
        self.assertEqual(settings.calls.probe_interval_s, 60)
        self.assertEqual((settings.gateways, settings.access.trusted), ((), ()))

    def test_limit_of_zero(self) -> None:
        """0 accepts nothing and is no error: a pure portal."""
        self.assertEqual(load(self.write(LEAST, ('"unlimited"', "0"))).workload.ongoing_calls, 0)

    def test_ipv6(self) -> None:
        """Addresses are in brackets, and come without them, in their short form."""
        settings = load(self.write(LEAST, ('"127.0.0.1:5060"', '"[2001:DB8:0::7]:5060"')))
        self.assertEqual(settings.sip.listen[0].address, ("2001:db8::7", 5060))

    def test_key_file_starts_at_the_files_folder(self) -> None:
        """Wherever the node was started from, and however it changes its folder later."""
        settings = load(self.write(WHOLE))
        assert settings.group is not None
        self.assertEqual(settings.group.key_file, os.path.abspath(self.key))

    def test_own_address_in_members(self) -> None:
        """All members may have the same list: a node leaves itself out, as it listens and as it is advertised."""
        for own in ("127.0.0.1:5065", "192.0.2.7:5065"):
            settings = load(self.write(WHOLE, ("127.0.0.1:5075", own)))
            assert settings.group is not None
            self.assertEqual(settings.group.members, (("member2.example.net", 5085),))

    def test_settings_do_not_change(self) -> None:
        """They are frozen."""
        settings = load(self.write(LEAST))
        self.assertRaises(dataclasses.FrozenInstanceError, setattr, settings.sip, "lease_s", 1)


class DialPlanTests(ConfigurationTests):
    """How gateways, numbers and regions fit together."""

    def gateway(self, more: str, text: str = "") -> tuple[str, str]:
        """What is wrong with a gateway's further keys."""
        return self.wrong(WHOLE, ('prefixes = ["+49", "0"]\n', f'prefixes = ["+49", "0"]\n{more}\n{text}'))

    def test_a_region_that_is_not_there(self) -> None:
        """It would never be the nearest."""
        there = '[[regions]]\nname = "south"\nnumbers = ["+4989"]\n'
        reason = "names north, and there is no [[regions]] with that name"
        self.assertEqual(self.gateway('region = "north"', there), ("gateways[0].region", reason))
        file = self.write(WHOLE, ('prefixes = ["+49", "0"]\n', f'region = "south"\n{there}'))
        self.assertEqual(load(file).gateways[0].region, "south")
        self.assertEqual(self.wrong(WHOLE, ("[node]\n", '[node]\nregion = "north"\n')), ("node.region", reason))

    def test_a_region_of_nothing(self) -> None:
        """It has clients, or numbers, or both."""
        key, _ = self.gateway("", '[[regions]]\nname = "south"\n')
        self.assertEqual(key, "regions[0].networks")

    def test_an_area_without_its_country(self) -> None:
        """Its numbers would have no beginning."""
        self.assertEqual(self.gateway("", '[dialplan]\narea = "30"\n')[0], "dialplan.area")

    def test_a_name_needs_a_port_of_its_transport(self) -> None:
        """None of this node's is TCP."""
        changed = ("192.0.2.20:5060", 'carrier.example.net"\ntransport = "tcp"\nregion = "x')
        self.assertEqual(
            self.wrong(WHOLE, changed), ("gateways[0].transport", "needs a [[sip.listen]] over tcp, to call from")
        )

    def test_what_is_for_sip_alone(self) -> None:
        """Gateways of H.323 get numbers as they were dialled, at an address, and are not watched."""
        h323 = '[h323]\nlisten = "127.0.0.1:1720"\naccept = "127.0.0.1:1721"\n'
        for line in ('send = "e164"', "strip = 1", 'prepend = "0"', "watch_interval_s = 30", 'domain = "x.example"'):
            key, _ = self.gateway(f'protocol = "h323"\n{line}', h323)
            self.assertEqual(key, f"gateways[0].{line.partition(' ')[0]}")
        named = (("192.0.2.20:5060", "carrier.example.net"), ("[calls]\n", f"{h323}[calls]\n"))
        protocol = ('prefixes = ["+49", "0"]', 'protocol = "h323"')
        self.assertEqual(self.wrong(WHOLE, *named, protocol)[0], "gateways[0].address")


class FileTests(ConfigurationTests):
    """A file that is no configuration at all."""

    def test_not_there(self) -> None:
        """The system's own word for it."""
        error = self.assertRaises(ConfigurationError, load, self.file)
        self.assertEqual(str(error), f"{self.file}: cannot be read: No such file or directory")

    def test_a_folder(self) -> None:
        """The same."""
        error = self.assertRaises(ConfigurationError, load, self.folder)
        self.assertEqual(str(error), f"{self.folder}: cannot be read: Is a directory")

    def test_no_toml(self) -> None:
        """The line is named."""
        key, reason = self.wrong(LEAST, ('name = "alone"', "name = alone"))
        self.assertEqual((key, reason), ("", "is not TOML: Invalid value (at line 2, column 8)"))

    def test_no_utf8(self) -> None:
        """The line is named."""
        Path(self.file).write_bytes(b'[node]\nname = "caf\xe9"\n')
        error = self.assertRaises(ConfigurationError, load, self.file)
        self.assertEqual(error.reason, "is not TOML: line 2 is not UTF-8")

    def test_nested_without_end(self) -> None:
        """No depth of brackets is a traceback."""
        self.assertIn("is not TOML", self.wrong("a = " + "[" * 100_000)[1])

    def test_empty(self) -> None:
        """The first thing that is missing."""
        self.assertEqual(self.wrong(""), ("node", "missing: write a [node] with its name"))


class AddressTests(ConfigurationTests):
    """Addresses that cannot be listened at or sent to, and those that meet."""

    def test_form(self) -> None:
        """An IP address and a port; a mistyped one is no DNS name."""
        such = 'must be an address and a port such as "192.0.2.7:5060", not '
        self.refuses(
            'listen = "127.0.0.1:5065"',
            {
                '"127.0.0.1"': such + '"127.0.0.1"',
                '":5065"': 'must have an IP address, not ""',
                '"127.0.0.1:"': such + '"127.0.0.1:"',
                '"127.0.0.1:sip"': such + '"127.0.0.1:sip"',
                '"127.0.0.1:0"': "must have a port from 1 to 65535, not 0",
                '"127.0.0.1:65536"': "must have a port from 1 to 65535, not 65536",
                '"127.0.0.256:5065"': 'must have an IP address, not "127.0.0.256"',
                '"localhost:5065"': 'must have an IP address, not "localhost"',
                '"::1:5065"': 'must be an address and a port such as "[2001:db8::7]:5060", not "::1:5065"',
                '"[fe80::1%lo]:5065"': 'must have an IP address without a zone, not "fe80::1%lo"',
                "5065": "must be text in quotes, not 5065",
                '""': 'must be text in quotes, not ""',
                '"224.0.0.1:5065"': "must have the address of one machine, not 224.0.0.1",
            },
            "group.listen",
        )

    def test_members(self) -> None:
        """A DNS name will do, an address of everybody will not."""
        for good in ("sip1.example.net", "a", "xn--bcher-kva.example"):
            load(self.write(WHOLE, ("Member2.example.net", good)))
        for bad in ("1.2.3.456", "-a.net", "a_b.net", "a..b", "a.net.", "x" * 64):
            key, reason = self.wrong(WHOLE, ("Member2.example.net", bad))
            self.assertEqual(key, "group.members[1]")
            self.assertIn("must have an IP address", reason)
        everybody = "must have the address of one machine, not 0.0.0.0"
        self.assertEqual(self.wrong(WHOLE, ("127.0.0.1:5075", "0.0.0.0:5075")), ("group.members[0]", everybody))

    def test_advertise(self) -> None:
        """An address without a port, of one machine."""
        self.refuses(
            'advertise = "192.0.2.7"',
            {
                '"192.0.2.7:5060"': 'must have an IP address, not "192.0.2.7:5060"',
                '"0.0.0.0"': "must have the address of one machine, not 0.0.0.0",
            },
            "node.advertise",
        )

    def test_wildcard_without_advertise(self) -> None:
        """Nobody can be told to connect to 0.0.0.0."""
        wildcard = "listens on every address, so write the one that others reach this node at"
        self.assertEqual(
            self.wrong(WHOLE, ('advertise = "192.0.2.7"\n', "")),
            ("node.advertise", f"missing: sip.listen[0].address {wildcard}"),
        )
        changes = [('advertise = "192.0.2.7"\n', ""), ("0.0.0.0", "127.0.0.1"), ("127.0.0.1:5065", "0.0.0.0:5065")]
        self.assertEqual(self.wrong(WHOLE, *changes), ("node.advertise", f"missing: group.listen {wildcard}"))

    def test_families(self) -> None:
        """One socket cannot send to both."""
        both = "use one of them for both"
        self.assertEqual(
            self.wrong(WHOLE, ("127.0.0.1:5067", "[::1]:5067")),
            ("sip.listen[1].address", f"is IPv6 while node.advertise is IPv4: {both}"),
        )
        self.assertEqual(
            self.wrong(WHOLE, ("127.0.0.1:5075", "[::1]:5075")),
            ("group.members[0]", f"is IPv6 while group.listen is IPv4: {both}"),
        )
        self.assertEqual(
            self.wrong(WHOLE, ("239.255.50.60", "[ff05::1]")),
            ("group.multicast", f"is IPv6 while group.listen is IPv4: {both}"),
        )

    def test_multicast(self) -> None:
        """Not any address."""
        reason = "must be a multicast address such as 239.255.50.60, not 192.0.2.1"
        self.assertEqual(self.wrong(WHOLE, ("239.255.50.60", "192.0.2.1")), ("group.multicast", reason))

    def test_networks(self) -> None:
        """The network that was meant is named."""
        self.assertEqual(
            self.wrong(WHOLE, ('"127.0.0.0/8"', '"127.0.0.1/8"')),
            ("access.trusted[0]", 'must be a network such as "127.0.0.0/8", not "127.0.0.1/8"'),
        )
        self.assertEqual(
            self.wrong(WHOLE, ('"127.0.0.0/8"', '"localhost"')),
            ("access.trusted[0]", 'must be a network such as "192.0.2.0/24", not "localhost"'),
        )

    def test_listening_twice(self) -> None:
        """The same address, or one that a wildcard takes already."""
        self.assertEqual(
            self.wrong(WHOLE, ("127.0.0.1:5065", "127.0.0.1:5067")),
            ("group.listen", "meets 127.0.0.1:5067, which this node listens at too: use another port"),
        )
        self.assertEqual(
            self.wrong(WHOLE, ("127.0.0.1:5067", "127.0.0.1:5060")),
            ("sip.listen[1].address", "meets 0.0.0.0:5060, which this node listens at too: use another port"),
        )
        self.assertEqual(
            self.wrong(WHOLE, ("127.0.0.1:5067", "0.0.0.0:5060")),
            ("sip.listen[1]", "is there twice: leave one out"),
        )

    def test_gateway_that_is_the_node_itself(self) -> None:
        """A call would come back for ever; somebody else's port 5060 is no harm."""
        for own in ("192.0.2.7:5060", "127.0.0.1:5067", "127.0.0.1:5065"):
            key, reason = self.wrong(WHOLE, ("192.0.2.21:5060", own))
            self.assertEqual(key, "gateways[1].address")
            self.assertIn("is this node itself", reason)

    def test_identify_self_with_one_port(self) -> None:
        """The second port must be there."""
        key, reason = self.wrong(WHOLE, ('[[sip.listen]]\ntransport = "udp"\naddress = "127.0.0.1:5067"\n', ""))
        self.assertEqual(key, "sip.identify_self")
        self.assertIn("needs a second [[sip.listen]]", reason)

    def test_lease_shorter_than_the_deadline(self) -> None:
        """It would lapse before the client has heard of it."""
        key, reason = self.wrong(WHOLE, ("lease_s = 5", "lease_s = 2"))
        self.assertEqual(
            (key, reason), ("sip.lease_s", "must be more than balance.deadline_s (2), or it lapses on its way")
        )

    def test_a_service_that_is_not_there(self) -> None:
        """What a node hosts is described below."""
        key, reason = self.wrong(WHOLE, ('name = "primary"', 'name = "primary"\nhosts = ["voicemail"]'))
        self.assertEqual(key, "node.hosts[0]")
        self.assertEqual(reason, "names voicemail, and there is no [[services]] with that name")

    def test_watermarks_the_wrong_way_round(self) -> None:
        """A node cannot stop being full above where it begins to be."""
        key, reason = self.wrong(WHOLE, ("calls_per_second = 2.5", "high_watermark = 0.8\nlow_watermark = 0.9"))
        self.assertEqual((key, reason), ("workload.low_watermark", "must be at most workload.high_watermark (0.8)"))


class KeyFileTests(ConfigurationTests):
    """``voipshift check`` says what a start would say."""

    def test_not_there(self) -> None:
        """Its whole name is said, and how to make one."""
        key, reason = self.wrong(WHOLE, ("group.key", "other.key"))
        self.assertEqual(key, "group.key_file")
        self.assertTrue(
            reason.startswith(os.path.abspath(os.path.join(self.folder, "other.key")) + ": cannot be read: ")
        )
        self.assertIn("voipshift keygen", reason)

    def test_others_can_read_it(self) -> None:
        """A key that others can read is no key."""
        for mode in (0o640, 0o604, 0o620):
            os.chmod(self.key, mode)
            key, reason = self.wrong(WHOLE)
            self.assertEqual(key, "group.key_file")
            self.assertIn("chmod 600", reason)

    def test_no_key_file(self) -> None:
        """The line is named, not shown: it may be a key with a slip of the pen."""
        Path(self.key).write_text("# a key\nsecret\n")
        key, reason = self.wrong(WHOLE)
        self.assertEqual(key, "group.key_file")
        self.assertIn("line 2", reason)
        self.assertNotIn("secret", reason)
