"""The rules of the house: which room may import what, how long a file is, what it may not be called.

What is imported is read from the source, so that an import inside a function counts too.  One for type checking only
is no dependency and does not.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "voipshift"

#: The doors, and the rooms that are nothing but doors: only they touch the network or the disk.
DOORS = (
    "udp",
    "sip.server",
    "sip.streams",
    "sip.connection",
    "sip.tls",
    "sip.dns",
    "group.exchange",
    "group.bus",
    "h323.server",
    "store",
    "operations",
)
#: Who may know everybody: it starts the doors and hands each the callables that it needs.
WIRING = ("tap", "wiring", "cli", "useradd", "callrecords", "demo")
#: Who chains Deferreds without being a door.
CHAINS = (
    "delegation",
    "calls.terminals",
    "sip.placement",
    "sip.gate",
    "sip.names",
    "calls.gateways",
    "calls.whereabouts",
    "calls.waiting",
    "lab.asking",
    "lab.server",
)

#: A beautiful file of one noun has no more.
MOST_LINES = 450
#: Names that name no noun of ours.
NO_NAMES = {"util", "utils", "common", "base", "manager", "managers", "helper", "helpers", "handler", "engine", "misc"}


def module_of(file: Path) -> str:
    """A file's name within the package: ``sip.server``, and ``sip`` for the room itself."""
    parts = list(file.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def belongs(module: str, rooms: tuple[str, ...]) -> bool:
    """Whether a module is one of those, or in one of those."""
    return any(module == room or module.startswith(room + ".") for room in rooms)


def imported(source: str, *, annotations: bool = False) -> Iterator[str]:
    """Every name that a source imports, dotted: ``from a import b`` is ``a.b``.

    :param annotations: what is imported for type checking alone, too
    """
    waiting: list[ast.AST] = [ast.parse(source)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise AssertionError(f"line {node.lineno}: a relative import")
            yield from (f"{node.module}.{each.name}" for each in node.names)
        elif isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            waiting.extend([*node.body, *node.orelse] if annotations else node.orelse)
        else:
            waiting.extend(ast.iter_child_nodes(node))


def violations(module: str, source: str) -> list[str]:
    """Each import of a module that breaks a rule, with the rule."""
    found = []
    for name in imported(source):
        chained = belongs(name, ("twisted.internet.defer",)) and belongs(module, CHAINS)
        if belongs(name, ("twisted.internet",)) and not chained and not belongs(module, DOORS + WIRING):
            found.append(f"{module} imports {name}: only a door imports twisted.internet")
        if belongs(name, ("twisted.internet.reactor",)) and not belongs(module, WIRING):
            found.append(f"{module} imports {name}: only wiring takes the global reactor, all others are handed one")
        if belongs(name, ("twisted",)) and belongs(module, ("balance",)):
            found.append(f"{module} imports {name}: balance imports no Twisted at all")
        if belongs(name, ("voipshift",)) and name != "voipshift":
            other = name.removeprefix("voipshift.")
            own_room = module.partition(".")[0]
            if belongs(module, DOORS) and belongs(other, DOORS) and not belongs(other, (own_room,)):
                found.append(f"{module} imports {name}: doors never import each other, tap.py hands over callables")
            if belongs(other, WIRING) and not belongs(module, WIRING):
                found.append(f"{module} imports {name}: nobody imports the wiring")
    return found


class ImportTests(SynchronousTestCase):
    """Every file of voipshift keeps the rules."""

    def test_every_import_is_allowed(self) -> None:
        """Only doors import twisted.internet, doors never import each other, balance is pure, wiring is on top."""
        found = [
            broken for file in sorted(PACKAGE.rglob("*.py")) for broken in violations(module_of(file), file.read_text())
        ]
        self.assertEqual(found, [], "\n".join(["", *found]))


def needs(sources: dict[str, str]) -> dict[str, set[str]]:
    """The modules that each module names, in its annotations too."""
    graph: dict[str, set[str]] = {}
    for module, source in sources.items():
        names = [name.removeprefix("voipshift.") for name in imported(source, annotations=True)]
        named = {name if name in sources else name.rpartition(".")[0] for name in names}
        graph[module] = named.intersection(sources) - {module}
    return graph


class CircleTests(SynchronousTestCase):
    """Each file can be read without those that use it."""

    def test_no_file_needs_one_that_needs_it(self) -> None:
        """By whatever way round, and be it for an annotation."""
        sources = {module_of(file): file.read_text() for file in sorted(PACKAGE.rglob("*.py"))}
        # The servers of the lab, their asking and the network between them are one simulation in three files.
        graph = needs({module: source for module, source in sources.items() if not belongs(module, ("lab",))})
        self.assertGreater(len(graph), 100)
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as circle:
            self.fail(" -> ".join(circle.args[1]))

    def test_a_circle_is_seen(self) -> None:
        """One over a third file, the last step for an annotation alone."""
        sources = {
            "a": "from voipshift import b",
            "b": "from voipshift.c.d import Something",
            "c.d": "if TYPE_CHECKING:\n    from voipshift.a import Other",
        }
        self.assertEqual(needs(sources), {"a": {"b"}, "b": {"c.d"}, "c.d": {"a"}})
        self.assertRaises(CycleError, TopologicalSorter(needs(sources)).prepare)


class RuleTests(SynchronousTestCase):
    """The rules themselves: each is seen to be broken, and seen to be kept."""

    def test_broken(self) -> None:
        """One source for each way to break a rule."""
        for module, source in [
            ("sip.layer", "from twisted.internet import defer"),
            ("sip.layer", "from twisted.internet.defer import Deferred"),
            ("sip.layer", "import twisted.internet"),
            ("sip.layer", "def late():\n    from twisted.internet.task import Clock"),
            ("sip.layer", "if TYPE_CHECKING:\n    pass\nelse:\n    import twisted.internet.defer"),
            ("delegation", "from twisted.internet.task import LoopingCall"),
            ("calls.table", "from twisted.internet.defer import Deferred"),
            ("udp", "from twisted.internet import reactor"),
            ("balance.rule", "from twisted.python import log"),
            ("sip.server", "from voipshift.group.exchange import Exchange"),
            ("sip.server", "from voipshift import udp"),
            ("group.exchange", "from voipshift.sip import server"),
            ("operations.metrics", "from voipshift.store.sqlite import Store"),
            ("delegation", "from voipshift.tap import Options"),
            ("sip.layer", "import voipshift.demo.run"),
        ]:
            self.assertEqual(len(violations(module, source)), 1, f"{module}: {source}")

    def test_kept(self) -> None:
        """What the rules allow."""
        for module, source in [
            ("sip.server", "from twisted.internet.interfaces import IReactorTime"),
            ("operations.metrics", "from voipshift.operations.control import Control"),
            ("tap", "from twisted.internet import reactor\nfrom voipshift.sip.server import SipServer"),
            ("demo.run", "from voipshift.udp import open_port\nfrom voipshift.demo.caller import Caller"),
            ("delegation", "from twisted.internet.defer import Deferred"),
            ("sip.placement", "from twisted.internet import defer"),
            ("sip.layer", "if TYPE_CHECKING:\n    from twisted.internet.interfaces import IReactorTime"),
            ("sip.layer", "from twisted.logger import Logger\nfrom voipshift.sip import message"),
        ]:
            self.assertEqual(violations(module, source), [], f"{module}: {source}")


class FileTests(SynchronousTestCase):
    """Every file is one noun, and not a long one."""

    def setUp(self) -> None:
        folders = [PACKAGE, ROOT / "tests", ROOT / "bench", ROOT / "twisted"]
        self.files = [file for folder in folders for file in sorted(folder.rglob("*.py"))]

    def test_length(self) -> None:
        """A file past that is two nouns."""
        long = [
            f"{file.relative_to(ROOT)} has {lines} lines"
            for file in self.files
            if (lines := len(file.read_text().splitlines())) > MOST_LINES
        ]
        self.assertEqual(long, [], f"more than {MOST_LINES} lines")

    def test_name(self) -> None:
        """A file is called what it is."""
        nameless = [
            str(each.relative_to(ROOT))
            for file in self.files
            for each in (file, file.parent)
            if NO_NAMES.intersection(each.stem.lower().split("_"))
        ]
        self.assertEqual(nameless, [])

    def test_opening_docstring(self) -> None:
        """A file opens with what it is."""
        silent = [
            str(file.relative_to(ROOT)) for file in self.files if not ast.get_docstring(ast.parse(file.read_text()))
        ]
        self.assertEqual(silent, [])

    def test_plugin_folder_is_no_package(self) -> None:
        """A file ``__init__.py`` there would hide the plugins of everybody else."""
        self.assertFalse((ROOT / "twisted" / "plugins" / "__init__.py").exists())
        self.assertFalse((ROOT / "twisted" / "__init__.py").exists())
