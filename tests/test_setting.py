"""A setting by itself: keys that are unknown, missing or not what they should be, each with its one line."""

from __future__ import annotations

from tests.test_config import LEAST, WHOLE, ConfigurationTests
from voipshift.configfile import load


class SettingTests(ConfigurationTests):
    """One line of a whole file is changed."""

    def test_unknown(self) -> None:
        """What was meant, where it can be guessed; else what there is."""
        self.assertEqual(
            self.wrong(WHOLE, ("lease_s", "leases")),
            ("sip.leases", "unknown: did you mean lease_s?"),
        )
        self.assertEqual(
            self.wrong(WHOLE, ("[calls]", "[calling]")),
            ("calling", "unknown: did you mean calls?"),
        )
        self.assertEqual(
            self.wrong(WHOLE, ("[calls]\nprobe", "[calls]\nzzz = 1\nprobe")),
            ("calls.zzz", "unknown: use one of probe_interval_s, session_expires_s, watch_interval_s"),
        )
        self.assertEqual(self.wrong(WHOLE, ('prefixes = ["+49", "0"]', 'prefix = ""'))[0], "gateways[0].prefix")

    def test_unknown_of_any_characters(self) -> None:
        """The line stays one line."""
        self.assertEqual(self.wrong('"a\\nb" = 1\n' + LEAST)[0], '"a\\nb"')

    def test_missing(self) -> None:
        """What to write."""
        for line, key in [
            ('name = "primary"\n', "node.name"),
            ('listen = "127.0.0.1:5065"\n', "group.listen"),
            ("ongoing_calls = 100\n", "workload.ongoing_calls"),
            ('address = "0.0.0.0:5060"\n', "sip.listen[0].address"),
            ('address = "192.0.2.21:5060"\n', "gateways[1].address"),
            ('key_file = "group.key"\n', "group.key_file"),
        ]:
            found, reason = self.wrong(WHOLE, (line, ""))
            self.assertEqual(found, key)
            self.assertRegex(reason, "^missing: (write|give) ")

    def test_group_without_key_file(self) -> None:
        """The command that makes one is named."""
        self.assertIn("voipshift keygen FILE", self.wrong(WHOLE, ('key_file = "group.key"\n', ""))[1])

    def test_tables_and_arrays(self) -> None:
        """A table where an array of them belongs, and the other way round."""
        text = LEAST.replace("[[sip.listen]]", "[sip.listen]")
        reason = "can be there several times: write [[sip.listen]] with two brackets"
        self.assertEqual(self.wrong(text), ("sip.listen", reason))
        self.assertEqual(self.wrong(LEAST.replace("[node]", "[[node]]")), ("node", "must be a table: write [node]"))
        self.assertEqual(
            self.wrong('node = "a"\n' + LEAST.replace('[node]\nname = "alone"\n', "")),
            ("node", "must be a table: write [node]"),
        )
        self.assertEqual(
            self.wrong('sip = {listen = []}\n[node]\nname = "a"\n[workload]\nongoing_calls = 1\n'),
            ("sip.listen", "must have at least 1"),
        )
        self.refuses(
            'prefixes = ["+49", "0"]',
            {'"0"': 'must be an array in brackets, not "0"', "[]": "must have at least 1"},
            "gateways[0].prefixes",
        )

    def test_numbers(self) -> None:
        """A wrong type, a boolean where a number belongs, and what is out of range."""
        self.refuses(
            "lease_s = 5",
            {
                "true": "must be a number from 0.5 to 60, not true",
                '"5"': 'must be a number from 0.5 to 60, not "5"',
                "0.4": "must be a number from 0.5 to 60, not 0.4",
                "nan": "must be a number from 0.5 to 60, not nan",
                "inf": "must be a number from 0.5 to 60, not inf",
                "[5]": "must be a number from 0.5 to 60, not an array",
                "0x" + "f" * 5000: "must be a number from 0.5 to 60, not a number that large",
            },
            "sip.lease_s",
        )
        self.refuses(
            "hop_limit = 5",
            {
                "true": "must be a whole number from 1 to 7, not true",
                "3.0": "must be a whole number from 1 to 7, not 3.0",
                "0": "must be a whole number from 1 to 7, not 0",
                "8": "must be a whole number from 1 to 7, not 8",
            },
            "balance.hop_limit",
        )
        self.refuses(
            "ongoing_calls = 100",
            {
                "-1": "must be a whole number from 0 to 1000000, not -1",
                '"many"': 'must be a number or "unlimited", not "many"',
                "true": "must be a whole number from 0 to 1000000, not true",
            },
            "workload.ongoing_calls",
        )

    def test_every_bound(self) -> None:
        """The least and the most are allowed, a little less and a little more are not."""
        for line, key, low, high in [
            ("lease_s = 5", "sip.lease_s", 0.5, 60),
            ("report_interval_s = 0.5", "group.report_interval_s", 0.1, 60),
            ("shift_above = 0.4", "balance.shift_above", 0, 1),
            ("delta = 0", "balance.delta", 0, 1),
            ("hop_limit = 5", "balance.hop_limit", 1, 7),
            ("deadline_s = 2", "balance.deadline_s", 0.1, 10),
            ("ongoing_calls = 100", "workload.ongoing_calls", 0, 1_000_000),
            ("calls_per_second = 2.5", "workload.calls_per_second", 0, 1_000_000),
            ("probe_interval_s = 30", "calls.probe_interval_s", 1, 3600),
        ]:
            step = 1 if isinstance(low, int) and isinstance(high, int) else 0.01
            name = line.partition(" = ")[0]
            others = [("lease_s = 5", "lease_s = 60")] if name == "deadline_s" else []
            others += [("deadline_s = 2", "deadline_s = 0.1")] if name == "lease_s" else []
            for good in (low, high):
                load(self.write(WHOLE, (line, f"{name} = {good}"), *others))
            for bad in (low - step, high + step):
                self.assertEqual(self.wrong(WHOLE, (line, f"{name} = {bad}"), *others)[0], key)

    def test_words(self) -> None:
        """The words there are."""
        self.refuses(
            'rule = "even"',
            {
                '"evn"': 'must be "seed" or "even" or "rate", not "evn"',
                "1": 'must be "seed" or "even" or "rate", not 1',
            },
            "balance.rule",
        )
        self.refuses('choose = "lowest"', {"[]": 'must be "weighted" or "lowest", not an array'}, "balance.choose")
        self.refuses(
            "force_rport = false",
            {"0": "must be true or false, not 0", '"no"': 'must be true or false, not "no"'},
            "sip.force_rport",
        )
        transport = self.wrong(LEAST, ('"udp"', '"sctp"'))
        self.assertEqual(transport, ("sip.listen[0].transport", 'must be "udp" or "tcp" or "tls", not "sctp"'))

    def test_names(self) -> None:
        """A name goes into datagrams, logs and the demo's --set."""
        allowed = "must be 1 to 63 letters, digits, dots, hyphens or underscores, not "
        self.refuses(
            'name = "primary"',
            {
                '""': allowed + '""',
                '"a b"': allowed + '"a b"',
                '".a"': allowed + '".a"',
                '"a\\n"': allowed + '"a\\n"',
                "5": allowed + "5",
                f'"{"a" * 64}"': allowed + f'"{"a" * 37}..."',
            },
            "node.name",
        )
        load(self.write(WHOLE, ('"primary"', f'"{"a" * 63}"')))

    def test_prefixes(self) -> None:
        """Digits, with a plus only before them."""
        for prefix in ("", "+", "+49", "0049", "*", "#9"):
            load(self.write(WHOLE, ('"+49"', f'"{prefix}"')))
        for prefix in ("0 49", "a", "0+4"):
            key, reason = self.wrong(WHOLE, ('"+49"', f'"{prefix}"'))
            self.assertEqual(key, "gateways[0].prefixes[0]")
            self.assertIn('the first digits of a number, or "" for everything', reason)

    def test_twice(self) -> None:
        """An array's values are there once."""
        twice = "is there twice: leave one out"
        self.assertEqual(self.wrong(WHOLE, ('"0"]', '"+49"]')), ("gateways[0].prefixes[1]", twice))
        self.assertEqual(self.wrong(WHOLE, ('"192.0.2.4"', '"127.0.0.0/8"')), ("access.trusted[1]", twice))
