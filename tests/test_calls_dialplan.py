"""Gateways by the prefix of the number, the nearest to the destination first."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from voipshift.calls.dialplan import MAX_TRIES, DialPlan, Gateway
from voipshift.calls.numbering import Numbering, NumberRegions

A, B, C, D = (("192.0.2.1", 5060), ("192.0.2.2", 5060), ("192.0.2.3", 5060), ("192.0.2.4", 5060))
BERLIN = Numbering(country="49", international_prefix="00", national_prefix="0", area="30")


class PrefixTest(SynchronousTestCase):
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
            self.assertEqual(plan.addresses(number), expected, number)

    def test_nobody_takes_it(self) -> None:
        """Without a default route a number may have no gateway, and without gateways none has."""
        self.assertEqual(DialPlan((Gateway(B, ("49",)),)).addresses("1"), ())
        self.assertEqual(DialPlan(()).addresses("1"), ())

    def test_a_gateway_is_tried_once(self) -> None:
        """However many of its prefixes fit."""
        self.assertEqual(DialPlan((Gateway(A, ("", "4", "49")), Gateway(B, ("4",)))).addresses("49"), (A, B))

    def test_a_prefix_may_be_written_with_plus(self) -> None:
        """The plus says that a number is global; it is no part of it."""
        self.assertEqual(DialPlan((Gateway(A, ("+49",)),)).addresses("4930"), (A,))
        self.assertEqual(DialPlan((Gateway(A, ("*1", "#2")),)).addresses("*12"), (A,))

    def test_tries_are_bounded(self) -> None:
        """More would outlast any caller's patience."""
        plan = DialPlan(Gateway(("192.0.2.1", port), ("",)) for port in range(5000, 5020))
        self.assertEqual(len(plan.addresses("1")), MAX_TRIES)
        self.assertEqual(len(plan.gateways), 20)

    def test_a_number_is_looked_for_in_its_international_form(self) -> None:
        """However it was dialled; one with the plus is no prefix of a short number."""
        plan = DialPlan((Gateway(A, ("+49",)), Gateway(B, ("11", "49"))), BERLIN)
        for user in ("+49301234", "0049301234", "0301234", "1234567"):
            self.assertEqual(plan.addresses(user), (A, B), user)
        self.assertEqual(plan.addresses("110"), (B,))
        self.assertEqual(plan.addresses("4950"), (B,))


class NearestTest(SynchronousTestCase):
    """The terminating gateway nearest to the destination number."""

    REGIONS = NumberRegions({"berlin": ("4930",), "rome": ("3906",), "germany": ("49",)})

    def test_the_region_of_the_called_number_comes_first(self) -> None:
        """Then the cost, then the order of the configuration."""
        plan = DialPlan(
            (
                Gateway(A, cost=2.0),
                Gateway(B, region="rome", cost=9.0),
                Gateway(C, region="berlin", cost=9.0),
                Gateway(D, cost=1.0),
            ),
            BERLIN,
            self.REGIONS,
        )
        self.assertEqual(plan.addresses("0301234"), (C, D, A, B))
        self.assertEqual(plan.addresses("+39061234"), (B, D, A, C))
        self.assertEqual(plan.addresses("+1201"), (D, A, B, C))
        self.assertEqual(plan.addresses("alice"), (D, A, B, C))

    def test_the_longest_prefix_comes_before_the_region(self) -> None:
        """A rule of the operator's own for the number says more than where its gateway is."""
        plan = DialPlan((Gateway(A, region="berlin"), Gateway(B, ("4930",), region="rome")), BERLIN, self.REGIONS)
        self.assertEqual(plan.addresses("0301234"), (B, A))


class TranslationTest(SynchronousTestCase):
    """The form in which a gateway gets a number."""

    def written(self, gateway: Gateway, cases: dict[str, str | None]) -> None:
        """What each number becomes; None for what was dialled."""
        for user, expected in cases.items():
            self.assertEqual(gateway.written(BERLIN.number(user)), expected, user)

    def test_as_it_was_dialled(self) -> None:
        """Nothing is changed."""
        self.written(Gateway(A), {"030-1234": None, "+49301234": None, "alice": None})

    def test_international(self) -> None:
        """With the plus or without; what is not international stays."""
        self.written(Gateway(A, send="e164"), {"030-1234": "+49301234", "110": None, "alice": None, "*86": None})
        self.written(Gateway(A, send="digits"), {"030-1234": "49301234", "+39061": "39061", "110": None})

    def test_strip_and_prepend(self) -> None:
        """An exchange that wants national numbers, one behind a prefix, one that takes the prefix off."""
        self.written(Gateway(A, send="e164", strip=2, prepend="0"), {"1234567": "0301234567", "110": None})
        self.written(Gateway(A, send="digits", prepend="9999#"), {"0301234": "9999#49301234"})
        self.written(Gateway(A, strip=1), {"90301234": "0301234", "alice": None, "*86": None})
        self.written(Gateway(A, prepend="+"), {"49301234": "+49301234"})
