"""A called user is looked for among telephones, and then behind gateways whose names are looked up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from voipshift.calls.whereabouts import Whereabouts

TARGET = "sip:100@example.org"


class WhereaboutsTest(SynchronousTestCase):
    """Who is asked, and what comes of it."""

    def setUp(self) -> None:
        """Both can be asked, and have not answered."""
        self.registered: Deferred[Any] | None = Deferred()
        self.names: Deferred[Any] | None = Deferred()
        self.looked_up = 0
        self.route: Deferred[Any] = Deferred()
        self.whereabouts = Whereabouts(lambda target: self.registered, self)

    def look_up(self, target: str) -> Deferred[Any] | None:
        """In place of DNS."""
        self.looked_up += 1
        return self.names

    def look_up_route(self, routes: Sequence[str]) -> Deferred[Any] | None:
        """In place of DNS, for what is on the way."""
        return self.route if "carrier" in routes else None

    def find(self) -> Deferred[Any]:
        """Ask."""
        found = self.whereabouts.find(TARGET)
        assert found is not None
        return found

    def test_at_his_telephones(self) -> None:
        """DNS is not asked."""
        found = self.find()
        assert self.registered is not None
        self.registered.callback(("a telephone",))
        self.assertEqual((self.successResultOf(found), self.looked_up), (("a telephone",), 0))

    def test_at_none(self) -> None:
        """The gateways' names, and no telephone."""
        found = self.find()
        assert self.registered is not None and self.names is not None
        self.registered.callback(())
        self.assertNoResult(found)
        self.names.callback(None)
        self.assertEqual(self.successResultOf(found), ())

    def test_at_none_and_no_name_is_unknown(self) -> None:
        """At once."""
        found = self.find()
        assert self.registered is not None
        self.names = None
        self.registered.callback(())
        self.assertEqual(self.successResultOf(found), ())

    def test_nobody_is_registered_at_all(self) -> None:
        """The names alone, and nothing where they are known."""
        self.registered = None
        found = self.find()
        found.cancel()
        self.failureResultOf(found, CancelledError)
        self.names = None
        self.assertIsNone(self.whereabouts.find(TARGET))
        self.assertIsNone(Whereabouts(None, self).find(TARGET))

    def test_on_the_way(self) -> None:
        """A Route that names a gateway comes before whoever is called; another one changes nothing."""
        found = self.whereabouts.find(TARGET, ("carrier",))
        assert found is not None
        self.route.callback(None)
        self.assertEqual((self.successResultOf(found), self.looked_up), ((), 0))
        found = self.whereabouts.find(TARGET, ("somebody",))
        assert self.registered is not None and found is not None
        self.registered.callback(("a telephone",))
        self.assertEqual(self.successResultOf(found), ("a telephone",))
