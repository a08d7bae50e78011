"""What every store of bindings and users promises, as one suite; and stores that work at once, for tests without a
reactor.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import DeferredList, inlineCallbacks, maybeDeferred
from twisted.trial.unittest import TestCase

from voipshift.calls.location import Binding, Bindings
from voipshift.errors import ProtocolViolation
from voipshift.sip.auth import Secrets
from voipshift.store.sqlite import SqliteStore, prepare

ALICE = Binding(
    contact="sip:alice@198.51.100.7:5060;x=\xe9",
    q=700,
    expires=2000000000.25,
    call_id='c"1@198.51.100.7',
    cseq=2**31 - 1,
    path=("<sip:192.0.2.9;lr>", '"E" <sip:192.0.2.8;lr>'),
    node="here",
    listener=1,
    source=("198.51.100.7", 40000),
    transport="udp",
    behind_nat=True,
)
DESK = ALICE._replace(contact="sip:alice@198.51.100.8", path=(), node="there", behind_nat=False)
SECRETS = Secrets("a" * 64, "b" * 32, "\xe9 :1")


def with_binding(binding: Binding) -> Callable[[Bindings], Bindings]:
    """A change that adds one."""
    return lambda bindings: (*bindings, binding)


def sqlite_at_once(file: str, realm: str = "voipshift") -> SqliteStore:
    """A SQLite store whose writes are made where they are asked for."""
    prepare(file, "registrar.location", "")
    return SqliteStore(file, realm, maybeDeferred)


class StoreTests:
    """The suite; a TestCase mixes it in and says how a store is opened.

    Two stores are two nodes that share what is kept.
    """

    def store(self, realm: str = "voipshift") -> Any:
        """Open one, to be closed when the test is over."""
        raise NotImplementedError

    @inlineCallbacks
    def test_nobody_is_registered_at_first(self: Any) -> Any:
        """No binding is an empty tuple, not an error."""
        self.assertEqual((yield self.store().find("alice")), ())

    @inlineCallbacks
    def test_what_is_put_comes_back(self: Any) -> Any:
        """Every value of a binding, in their order, at every node."""
        here, there = self.store(), self.store()
        yield here.change("alice", with_binding(ALICE))
        after = yield there.change("alice", with_binding(DESK))
        self.assertEqual(after, (ALICE, DESK))
        for each in (here, there):
            self.assertEqual((yield each.find("alice")), (ALICE, DESK))
            self.assertEqual((yield each.find("Alice")), ())

    @inlineCallbacks
    def test_what_is_taken_away_is_gone(self: Any) -> Any:
        """A change that leaves nothing leaves nothing."""
        store = self.store()
        yield store.change("alice", with_binding(ALICE))
        self.assertEqual((yield store.change("alice", lambda bindings: ())), ())
        self.assertEqual((yield store.find("alice")), ())

    @inlineCallbacks
    def test_a_change_that_fails_changes_nothing(self: Any) -> Any:
        """What the step raises is what the change fails with; RFC 3261 10.3: all or nothing."""

        def refuse(bindings: Bindings) -> Bindings:
            raise ProtocolViolation("too late", 500)

        store = self.store()
        yield store.change("alice", with_binding(ALICE))
        failure = yield self.assertFailure(store.change("alice", refuse), ProtocolViolation)
        self.assertEqual(failure.status, 500)
        self.assertEqual((yield store.find("alice")), (ALICE,))
        yield store.change("alice", with_binding(DESK))

    @inlineCallbacks
    def test_changes_at_the_same_time_are_all_made(self: Any) -> Any:
        """Two nodes that register the same user do not undo each other."""
        stores = [self.store(), self.store()]
        made = [ALICE._replace(contact=f"sip:alice@198.51.100.{number}") for number in range(8)]
        changes = [stores[number % 2].change("alice", with_binding(each)) for number, each in enumerate(made)]
        for success, result in (yield DeferredList(changes, consumeErrors=True)):
            self.assertTrue(success, result)
        self.assertEqual(set((yield stores[0].find("alice"))), set(made))

    @inlineCallbacks
    def test_a_node_counts_its_own(self: Any) -> Any:
        """Those that it holds and that have not expired."""
        store = self.store()
        yield store.change("alice", with_binding(ALICE))
        yield store.change("alice", with_binding(DESK))
        yield store.change("bob", with_binding(ALICE))
        before, after = ALICE.expires - 1, ALICE.expires + 1
        counted = []
        for node, now in (("here", before), ("there", before), ("elsewhere", before), ("here", after)):
            counted.append((yield store.count(node, now)))
        self.assertEqual(counted, [2, 1, 0, 0])
        yield store.change("bob", lambda bindings: ())
        self.assertEqual((yield store.count("there", before)), 1)

    @inlineCallbacks
    def test_users_are_kept_by_realm(self: Any) -> Any:
        """A secret is good for one realm; a user can be changed and removed."""
        store, other = self.store(), self.store("other")
        yield store.put("alice", SECRETS)
        self.assertEqual((yield store.secrets("alice")), SECRETS)
        self.assertEqual((yield other.secrets("alice")), None)
        changed = SECRETS._replace(md5="c" * 32, password="")
        yield store.put("alice", changed)
        self.assertEqual((yield store.secrets("alice")), changed)
        self.assertEqual((yield store.remove("alice")), True)
        self.assertEqual((yield store.remove("alice")), False)
        self.assertEqual((yield store.secrets("alice")), None)


class StoreTestCase(TestCase):
    """A test of a store waits for threads or a server, so it has a reactor and a bound."""

    timeout = 20
