"""What a dialled number means."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from voipshift.calls.numbering import Number, Numbering, NumberRegions

BERLIN = Numbering(country="49", international_prefix="00", national_prefix="0", area="30")
GERMANY = BERLIN._replace(area="")
AMERICA = Numbering(country="1", international_prefix="011", national_prefix="1")
SPAIN = Numbering(country="34", international_prefix="00", national_prefix="")


class NumberingTest(SynchronousTestCase):
    """The international form."""

    def means(self, rules: Numbering, cases: dict[str, str]) -> None:
        """What each number means; one without ``+`` stays as it was dialled."""
        for user, expected in cases.items():
            number = rules.number(user)
            self.assertEqual(("+" if number.is_international else "") + number.digits, expected, user)

    def test_prefixes(self) -> None:
        """International, national, local; short numbers and codes are no such thing."""
        self.means(
            BERLIN,
            {
                "+49301234": "+49301234",
                "0049301234": "+49301234",
                "0301234": "+49301234",
                "012": "012",
                "12345": "+493012345",
                "110": "110",
                "*86": "*86",
                "alice": "alice",
                "0044201234567": "+44201234567",
                "00491234567890123456": "00491234567890123456",
                "": "",
            },
        )
        self.means(GERMANY, {"12345": "12345", "0301234": "+49301234"})
        self.means(AMERICA, {"12015550123": "+12015550123", "01149301234": "+49301234"})
        self.means(SPAIN, {"912345678": "+34912345678", "0049301234": "+49301234", "112": "112"})

    def test_visual_separators(self) -> None:
        """RFC 3966 section 5.1.1: they do not count."""
        self.means(BERLIN, {"+1-201-555-0123": "+12015550123", "(0)30.12-34": "+49301234", "a.b-c": "a.b-c"})

    def test_phone_context(self) -> None:
        """RFC 3966 section 5.1.5: a local number belongs where its context says; a domain says nothing."""
        for rules in (BERLIN, Numbering()):
            self.assertEqual(rules.number("7042;phone-context=+1-914-555"), Number("19145557042", True, "7042"))
        self.means(BERLIN, {"7042;phone-context=example.com": "7042", "7042;a;a": "7042", "7042;x=1": "7042"})

    def test_without_rules(self) -> None:
        """Every number is international, with the plus or without."""
        self.means(Numbering(), {"+49301234": "+49301234", "49301234": "+49301234", "100": "+100", "*1": "*1"})

    def test_what_was_dialled_is_kept(self) -> None:
        """Without separators."""
        self.assertEqual(BERLIN.number("030-12 34"), Number("49301234", True, "0301234"))
        self.assertEqual(BERLIN.number("+49;phone-context=x"), Number("49", True, "+49"))


class RegionTest(SynchronousTestCase):
    """Where a number is."""

    def test_the_longest_beginning_counts(self) -> None:
        """Of an international number; a short one is nowhere."""
        regions = NumberRegions({"germany": ("+49",), "berlin": ("4930", "4933")})
        for user, expected in {"+49301": "berlin", "+4940": "germany", "+1": "", "+4": "", "*49": ""}.items():
            self.assertEqual(regions.region(BERLIN.number(user)), expected, user)
        self.assertEqual(NumberRegions({}).region(BERLIN.number("+49301")), "")
