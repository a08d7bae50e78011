"""Gateways by the prefix of the number."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from voipshift.calls.dialplan import MAX_TRIES, DialPlan, Gateway, number_of

A, B, C, D = (("192.0.2.1", 5060), ("192.0.2.2", 5060), ("192.0.2.3", 5060), ("192.0.2.4", 5060))


class DialPlanTest(SynchronousTestCase):
    """Which gateways, in which order."""

    def test_the_longest_prefix_wins(self) -> None:
        """Those of a shorter prefix come after it, the default route last."""
        plan = DialPlan((Gateway(A, ("",)), Gateway(B, ("49",)), Gateway(C, ("4930", "1")), Gateway(D, ("49",))))
        for number, expected in {
            "493012": (C, B, D, A),
            "+49 30".replace(" ", "-"): (C, B, D, A),
            "49": (B, D, A),
            "4": (A,),
            "1": (C, A),
            "": (A,),
            "alice": (A,),
            "*49": (A,),
        }.items():
            self.assertEqual(plan.route(number), expected, number)

    def test_nobody_takes_it(self) -> None:
        """Without a default route a number may have no gateway, and without gateways none has."""
        self.assertEqual(DialPlan((Gateway(B, ("49",)),)).route("1"), ())
        self.assertEqual(DialPlan(()).route("1"), ())

    def test_a_gateway_is_tried_once(self) -> None:
        """However many of its prefixes fit."""
        self.assertEqual(DialPlan((Gateway(A, ("", "4", "49")), Gateway(B, ("4",)))).route("49"), (A, B))

    def test_a_prefix_may_be_written_with_plus(self) -> None:
        """The plus says that a number is global; it is no part of it."""
        self.assertEqual(DialPlan((Gateway(A, ("+49",)),)).route("4930"), (A,))
        self.assertEqual(DialPlan((Gateway(A, ("*1", "#2")),)).route("*12"), (A,))

    def test_tries_are_bounded(self) -> None:
        """More would outlast any caller's patience."""
        plan = DialPlan(Gateway(("192.0.2.1", port), ("",)) for port in range(5000, 5020))
        self.assertEqual(len(plan.route("1")), MAX_TRIES)
        self.assertEqual(len(plan.addresses), 20)

    def test_the_number_in_a_user_part(self) -> None:
        """RFC 3966: visual separators and parameters do not count; a name is left as it is."""
        for user, expected in {
            "+1-201-555-0123": "12015550123",
            "030-12.34": "0301234",
            "+49;phone-context=x": "49",
            "a.b-c": "a.b-c",
            "": "",
        }.items():
            self.assertEqual(number_of(user), expected)
