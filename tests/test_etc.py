"""The files in etc/: they work as they stand, and primary.toml tells the operator about every key there is."""

from __future__ import annotations

import dataclasses
import re
import shutil
import tomllib
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from voipshift import config, configfile
from voipshift.cli import main
from voipshift.setting import Place

ETC = Path(__file__).parent.parent / "etc"


def settings(room: Any, prefix: str = "") -> Iterator[tuple[str, dataclasses.Field[Any]]]:
    """Every key that the configuration knows, dotted, with its declaration."""
    types = typing.get_type_hints(room)
    for each in dataclasses.fields(room):
        if "read" not in each.metadata:
            continue
        inner = [
            kind for kind in (types[each.name], *typing.get_args(types[each.name])) if dataclasses.is_dataclass(kind)
        ]
        if inner:
            yield from settings(inner[0], f"{prefix}{each.name}.")
        else:
            yield prefix + each.name, each


def written(tables: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Every key of a TOML document, dotted."""
    found: dict[str, Any] = {}
    for name, value in tables.items():
        if isinstance(value, dict):
            found |= written(value, f"{prefix}{name}.")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for one in value:
                found |= written(one, f"{prefix}{name}.")
        else:
            found[prefix + name] = value
    return found


class EtcTests(SynchronousTestCase):
    """The two files beside a key that was made for them."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        shutil.copytree(ETC, self.folder, ignore=shutil.ignore_patterns("*.key"))
        self.assertEqual(main(["keygen", str(self.folder / "group.key")]), 0)
        self.primary = configfile.load(str(self.folder / "primary.toml"))
        self.member = configfile.load(str(self.folder / "member.toml"))

    def test_every_file_is_one_of_the_two(self) -> None:
        """A file that no test loads would not be kept working."""
        self.assertEqual({each.name for each in ETC.glob("*.toml")}, {"primary.toml", "member.toml"})

    def test_together_they_form_a_group(self) -> None:
        """Each names the other's group address, with one key and different names."""
        assert self.primary.group is not None
        assert self.member.group is not None
        self.assertEqual(self.primary.group.members, (self.member.group.listen,))
        self.assertEqual(self.member.group.members, (self.primary.group.listen,))
        self.assertEqual(self.primary.group.key_file, self.member.group.key_file)
        self.assertNotEqual(self.primary.node.name, self.member.node.name)

    def test_no_port_is_used_twice(self) -> None:
        """Both nodes and their gateway run on one machine."""
        ports = [
            (listen.transport, listen.address) for each in (self.primary, self.member) for listen in each.sip.listen
        ]
        ports += [("udp", each.group.listen) for each in (self.primary, self.member) if each.group is not None]
        ports += [(gateway.transport or "udp", gateway.address) for gateway in self.primary.gateways]
        self.assertEqual(len(ports), len(set(ports)))

    def test_shifting_can_be_tried(self) -> None:
        """The primary is soon full, the member is not, both reach the same gateway, and loopback is trusted."""
        self.assertLessEqual(self.primary.workload.ongoing_calls, 5)
        self.assertGreater(self.member.workload.ongoing_calls, self.primary.workload.ongoing_calls)
        self.assertEqual(self.primary.gateways, self.member.gateways)
        for each in (self.primary, self.member):
            self.assertEqual([str(trusted) for trusted in each.access.trusted], ["127.0.0.0/8"])

    def test_primary_names_every_key_with_its_default(self) -> None:
        """Each key is there, and one that is commented out shows the default or an example that is accepted."""
        text = (self.folder / "primary.toml").read_text()
        plain = written(tomllib.loads(text))
        everything = re.sub(r"(?m)^#(?=[a-z0-9_]+ = |\[)", "", text)
        shown = written(tomllib.loads(everything))
        known = dict(settings(config.Settings))
        self.assertEqual(set(shown), set(known))
        for name in set(shown) - set(plain):
            declared = known[name]
            here = Place("", name)
            value = declared.metadata["read"](shown[name], here)
            room = name.rpartition(".")[0]
            if any(each.startswith(f"{room}.") and each.count(".") == name.count(".") for each in plain):
                reason = f"{name} is needed and cannot be commented out"
                self.assertIsNot(declared.default, dataclasses.MISSING, reason)
            if declared.default not in (None, dataclasses.MISSING):
                self.assertEqual(value, declared.default, name)

    def test_each_key_has_a_comment(self) -> None:
        """The line above a key's first appearance says what it is."""
        lines = (self.folder / "primary.toml").read_text().splitlines()
        for name in dict(settings(config.Settings)):
            key = name.rpartition(".")[2]
            at = next(index for index, line in enumerate(lines) if re.match(rf"#?{key} = ", line))
            self.assertRegex(lines[at - 1], "^# |^transport", f"{name} has no comment")
