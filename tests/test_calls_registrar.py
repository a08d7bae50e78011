"""What a REGISTER does to the bindings of its address of record: RFC 3261 section 10.3, RFC 3327."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.trial.unittest import SynchronousTestCase

from voipshift.calls.location import Binding, Bindings, Target, groups, user_of
from voipshift.calls.registrar import (
    MAX_CONTACTS,
    IntervalTooBrief,
    Limits,
    Origin,
    answer,
    not_understood,
    read,
    same_contact,
    step,
)
from voipshift.errors import ProtocolViolation
from voipshift.node import Address
from voipshift.sip.message import Request, request
from voipshift.sip.transaction import Hop

NOW = 784111777.0 - 10.4
HOUR = 3600
SOURCE = ("198.51.100.7", 5060)
ORIGIN = Origin("here", 0, SOURCE)
LIMITS = Limits(60, 7200)
BOB = "<sip:bob@198.51.100.7>"
DESK = "<sip:bob@198.51.100.8>"


def register(
    *contacts: str,
    number: int = 1,
    call_id: str = "c1",
    to: str = "<sip:bob@example.org>",
    via: str = "198.51.100.7",
    fields: Sequence[tuple[str, str]] = (),
) -> Request:
    """A REGISTER of bob's."""
    lines = [
        ("Via", f"SIP/2.0/UDP {via};branch=z9hG4bK1"),
        ("From", f"{to};tag=1"),
        ("To", to),
        ("Call-ID", call_id),
        ("CSeq", f"{number} REGISTER"),
        *(("Contact", contact) for contact in contacts),
        *fields,
    ]
    return request("REGISTER", "sip:example.org", lines)


def applied(
    asked: Request, bindings: Bindings = (), *, now: float = NOW, limits: Limits = LIMITS, origin: Origin = ORIGIN
) -> Bindings:
    """What it makes of some bindings."""
    return step(read(asked, limits, origin.source), origin, bindings, now)


def left(bindings: Bindings, now: float = NOW) -> dict[str, float]:
    """Contact and seconds left."""
    return {binding.contact: binding.expires - now for binding in bindings}


class RegistrarTestCase(SynchronousTestCase):
    """With what a violation says."""

    def assert_refused(self, status: int, asked: Request, bindings: Bindings = ()) -> None:
        """It is refused with that status."""
        with self.assertRaises(ProtocolViolation) as caught:
            applied(asked, bindings)
        self.assertEqual(caught.exception.status, status, caught.exception.reason)


class BindingTest(RegistrarTestCase):
    """Section 10.3 items 6 to 8."""

    def test_how_long_a_binding_lasts(self) -> None:
        """Expires of the Contact, else that of the request, else an hour; never longer than the registrar allows."""
        expires = ("Expires", "600")
        for contact, fields, seconds in [
            (BOB, [], HOUR),
            (BOB, [expires], 600),
            (f"{BOB};expires=120", [expires], 120),
            (f"{BOB};expires=999999", [], 7200),
            (f"{BOB};expires={'9' * 5000}", [], 7200),
            (f"{BOB};expires=soon", [expires], HOUR),
            (BOB, [("Expires", "-1")], HOUR),
            (f"{BOB};expires=60", [], 60),
        ]:
            made = applied(register(contact, fields=fields))
            self.assertEqual(left(made), {"sip:bob@198.51.100.7": seconds}, f"{contact[:60]} {fields}")

    def test_what_is_remembered_of_a_binding(self) -> None:
        """Who made it, when, in which order, from where, and by which node."""
        origin = Origin("there", 1, ("198.51.100.7", 1234), "udp")
        (made,) = applied(register(f"{BOB};q=0.25", number=7), origin=origin)
        expected = Binding(
            "sip:bob@198.51.100.7", 250, NOW + HOUR, "c1", 7, (), "there", 1, ("198.51.100.7", 1234), "udp", False
        )
        self.assertEqual(made, expected)

    def test_several_contacts_at_once(self) -> None:
        """In one field or in several; each with its own interval."""
        made = applied(register(f"{BOB};expires=100, {DESK};expires=200", "<tel:+49301234>"))
        self.assertEqual(left(made), {"sip:bob@198.51.100.7": 100, "sip:bob@198.51.100.8": 200, "tel:+49301234": HOUR})

    def test_no_contact_asks_for_the_list(self) -> None:
        """Nothing is changed, but what has expired is not there any more."""
        bindings = applied(register(BOB)) + applied(register(f"{DESK};expires=60"), now=NOW - 100)
        self.assertEqual(applied(register(), bindings), bindings[:1])

    def test_a_later_request_replaces(self) -> None:
        """The same Contact by the rules of URIs: escapes and the case of the host are the same."""
        bindings = applied(register("<sip:bob@PHONE.example.org>"))
        again = applied(register("<sip:%62ob@phone.example.org>;expires=100", number=2), bindings)
        self.assertEqual(left(again), {"sip:%62ob@phone.example.org": 100})

    def test_zero_seconds_remove(self) -> None:
        """One of two; what is not there is not missed."""
        bindings = applied(register(BOB, DESK))
        for fields, contact in (([], f"{BOB};expires=0"), ([("Expires", "0")], BOB)):
            rest = applied(register(contact, number=2, fields=fields), bindings)
            self.assertEqual(left(rest), {"sip:bob@198.51.100.8": HOUR})
            self.assertEqual(applied(register(contact, number=3, fields=fields), rest), rest)

    def test_star_removes_everything(self) -> None:
        """Item 6: of other Call-IDs too."""
        bindings = applied(register(BOB)) + applied(register(DESK, call_id="c2", number=9))
        self.assertEqual(applied(register("*", number=2, fields=[("Expires", "0")]), bindings), ())

    def test_star_stands_alone(self) -> None:
        """Item 6: 400 with another Contact, or without Expires 0."""
        zero = ("Expires", "0")
        self.assert_refused(400, register("*", BOB, fields=[zero]))
        self.assert_refused(400, register("*, *", fields=[zero]))
        self.assert_refused(400, register("*"))
        self.assert_refused(400, register("*", fields=[("Expires", "1")]))

    def test_an_earlier_request_changes_nothing(self) -> None:
        """Item 7: the same Call-ID with a CSeq that is not higher fails as a whole, whatever else it has."""
        bindings = applied(register(BOB, number=5))
        for number in (5, 4):
            self.assert_refused(500, register(DESK, BOB, number=number), bindings)
            self.assert_refused(500, register(f"{BOB};expires=0", number=number), bindings)
            self.assert_refused(500, register("*", number=number, fields=[("Expires", "0")]), bindings)

    def test_a_telephone_that_began_anew_is_believed(self) -> None:
        """Item 7: another Call-ID, and the order says nothing."""
        bindings = applied(register(BOB, number=5))
        self.assertEqual(
            left(applied(register(f"{BOB};expires=100", number=1, call_id="c2"), bindings)),
            {"sip:bob@198.51.100.7": 100},
        )

    def test_an_order_that_is_over_is_forgotten(self) -> None:
        """A binding that expired stands in nobody's way."""
        bindings = applied(register(BOB, number=5), now=NOW - 2 * HOUR)
        self.assertEqual(left(applied(register(BOB, number=4), bindings)), {"sip:bob@198.51.100.7": HOUR})

    def test_too_brief_an_interval(self) -> None:
        """Item 7: 423 below the minimum, but never for an hour."""
        self.assertRaises(IntervalTooBrief, applied, register(f"{BOB};expires=59"))
        self.assertRaises(IntervalTooBrief, applied, register(BOB, fields=[("Expires", "1")]))
        self.assertEqual(len(applied(register(BOB), limits=Limits(5000, 7200))), 1)

    def test_too_many_contacts(self) -> None:
        """Twenty, and then no more; those that are there can be renewed."""
        contacts = [f"<sip:bob@198.51.100.{number}>" for number in range(MAX_CONTACTS)]
        bindings = applied(register(*contacts))
        self.assertEqual(len(bindings), MAX_CONTACTS)
        self.assert_refused(403, register("<sip:bob@198.51.100.99>", number=2), bindings)
        self.assertEqual(len(applied(register(contacts[3], number=2), bindings)), MAX_CONTACTS)
        moved = register(f"{contacts[3]};expires=0", "<sip:bob@198.51.100.99>", number=2)
        self.assertEqual(len(applied(moved, bindings)), MAX_CONTACTS)


class RequestTest(RegistrarTestCase):
    """What is wrong with a REGISTER before any binding is looked at."""

    def test_the_address_of_record(self) -> None:
        """Item 5: unescaped and without parameters; a number too."""
        for to, user in [
            ("<sip:bob@example.org>", "bob"),
            ("<sip:%62ob:secret@example.org;user=phone>", "bob"),
            ("sips:bob@example.org:5061", "bob"),
            ("<tel:+49-30-1234>", "+49301234"),
        ]:
            self.assertEqual(read(register(to=to), LIMITS, SOURCE).user, user)

    def test_no_address_of_record(self) -> None:
        """404: a To that names nobody whom this registrar could know."""
        for to in ("<sip:example.org>", f"<sip:{'b' * 129}@example.org>"):
            self.assert_refused(404, register(to=to))
        self.assert_refused(400, register(to="<isbn:2983792873>"))

    def test_contacts_that_cannot_be(self) -> None:
        """400, and nothing is registered that is everybody, or nobody."""
        for contact in (
            "<sip:bob@224.0.0.1>",
            "<sip:bob@255.255.255.255>",
            "<sip:bob@0.0.0.0>",
            "<sip:bob@[ff02::1]>",
            "<sip:bob@example.org;maddr=239.1.1.1>",
            "<sip:bob@198.51.100.7:0>",
            "<sip:@>",
            "bob",
            f"{BOB};q=1.1",
            f"{BOB};q=0.1234",
            f"{BOB};q=",
            f"<sip:bob@198.51.100.7;x={'y' * 512}>",
        ):
            self.assert_refused(400, register(contact))

    def test_what_may_be_required(self) -> None:
        """Section 8.2.2.3: path is known here, others are not."""
        required = register(fields=[("Require", "path, gruu"), ("Require", "outbound")])
        self.assertEqual(not_understood(required), ["gruu", "outbound"])


class PathTest(RegistrarTestCase):
    """RFC 3327."""

    PATH = [("Path", "<sip:192.0.2.9;lr>, <sip:192.0.2.8;lr>"), ("Path", "<sip:192.0.2.7;lr>")]

    def test_the_path_is_kept_in_order(self) -> None:
        """Section 5.3: with the binding."""
        (made,) = applied(register(BOB, fields=self.PATH))
        self.assertEqual(made.path, ("<sip:192.0.2.9;lr>", "<sip:192.0.2.8;lr>", "<sip:192.0.2.7;lr>"))

    def test_the_path_is_told_to_who_knows_it(self) -> None:
        """Section 5.3: the 200 has it when the client supports it."""
        for supported, told in (([("Supported", "gruu, PATH")], 3), ([], 0)):
            asked = read(register(BOB, fields=[*self.PATH, *supported]), LIMITS, SOURCE)
            fields = answer(asked, (), NOW)
            self.assertEqual(len([value for name, value in fields if name == "Path"]), told)

    def test_a_path_that_cannot_be(self) -> None:
        """400: not a way, or too long a one."""
        self.assert_refused(400, register(BOB, fields=[("Path", "sip:192.0.2.9")]))
        self.assert_refused(400, register(BOB, fields=[("Path", "<tel:1>")]))
        self.assert_refused(400, register(BOB, fields=[("Path", f"<sip:192.0.2.9;x={'y' * 1020}>")]))


class AnswerTest(SynchronousTestCase):
    """Item 8: the 200."""

    def test_every_binding_is_listed(self) -> None:
        """With what is left of it, its preference, and the registrar's clock."""
        asked = register(f"{BOB};q=0.5;expires=100", f"{DESK};expires=200")
        bindings = applied(asked)
        fields = answer(read(asked, LIMITS, SOURCE), bindings, NOW + 10.4)
        self.assertEqual(
            fields,
            (
                ("Contact", "<sip:bob@198.51.100.7>;q=0.5;expires=90"),
                ("Contact", "<sip:bob@198.51.100.8>;expires=190"),
                ("Date", "Sun, 06 Nov 1994 08:49:37 GMT"),
            ),
        )

    def test_what_is_over_is_not(self) -> None:
        """A binding is listed as long as it lasts, and never with 0 seconds."""
        asked = register(f"{BOB};expires=100")
        for later, told in ((99.9, 1), (100, 0)):
            fields = answer(read(asked, LIMITS, SOURCE), applied(asked), NOW + later)
            self.assertEqual(
                [value for name, value in fields if name == "Contact"], ["<sip:bob@198.51.100.7>;expires=1"][:told]
            )


class ComparisonTest(SynchronousTestCase):
    """Which Contacts are the same: section 19.1.4's own examples, and other schemes."""

    def test_table(self) -> None:
        for one, other, same in [
            ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp", True),
            ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5", True),
            ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP", False),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060", False),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp", False),
            ("tel:+1", "tel:+1", True),
            ("tel:+1", "tel:+2", False),
            ("tel:+1", "sip:+1@biloxi.com", False),
        ]:
            self.assertEqual(same_contact(one, other), same, f"{one} {other}")


class NatTest(SynchronousTestCase):
    """Whether a Contact can be reached at what it says."""

    def test_table(self) -> None:
        """A client that names another address than it was seen from is reached where it was seen."""
        proxied = [("Via", "SIP/2.0/UDP 10.0.0.5;branch=z9hG4bK2")]
        for via, contact, fields, behind in [
            ("198.51.100.7", BOB, [], False),
            ("198.51.100.7:5093", "<sip:bob@198.51.100.7:9999>", [], False),
            ("10.0.0.5", "<sip:bob@10.0.0.5>", [], True),
            ("phone.local", "<sip:bob@phone.local>", [], True),
            ("198.51.100.7", "<sip:bob@phone.local>", [], True),
            ("192.0.2.99", "<sip:bob@10.0.0.5>", proxied, False),
            ("198.51.100.7", "<tel:+1>", [], False),
        ]:
            (made,) = applied(register(contact, via=via, fields=fields))
            self.assertEqual(made.behind_nat, behind, f"{via} {contact}")


class TargetTest(SynchronousTestCase):
    """Where a call to a registered user goes, in which order (section 16.6)."""

    THERE = ("192.0.2.2", 5060)

    def through(self, binding: Binding) -> Address | None:
        return self.THERE if binding.node == "there" else None

    def targets(self, *contacts: str, **how: object) -> tuple[tuple[Target, ...], ...]:
        """Register and look."""
        made = applied(register(*contacts, **how))  # type: ignore[arg-type]
        return groups(made, "here", self.through, lambda hop: False)

    def test_equal_preference_is_one_group(self) -> None:
        """Highest first; none named is the highest."""
        found = self.targets(f"{BOB};q=0.5", DESK, "<sip:bob@198.51.100.9>;q=0.5", "<sip:bob@198.51.100.10>;q=0.1")
        hosts = [[target.address[0] for target in group] for group in found]
        self.assertEqual(hosts, [["198.51.100.8"], ["198.51.100.7", "198.51.100.9"], ["198.51.100.10"]])

    def test_the_contact_is_the_request_uri(self) -> None:
        """Section 16.5, with all its parameters."""
        ((target,),) = self.targets("<sip:bob@198.51.100.7:5062;line=a>")
        self.assertEqual(target, Target(("198.51.100.7", 5062), "sip:bob@198.51.100.7:5062;line=a"))

    def test_what_cannot_be_reached_is_left_out(self) -> None:
        """Other schemes and other transports; a name behind a proxy that left no Path."""
        self.assertEqual(
            self.targets("<tel:+1>", "<sips:bob@198.51.100.7>", "<sip:bob@198.51.100.7;transport=tcp>"), ()
        )
        proxied = [("Via", "SIP/2.0/UDP 10.0.0.5;branch=z9hG4bK2")]
        self.assertEqual(self.targets("<sip:bob@phone.local>", fields=proxied), ())

    def test_along_the_path(self) -> None:
        """RFC 3327 section 5.1: the Path is the Route, its first value the next hop."""
        path = ("<sip:192.0.2.9:5070;lr>", "<sip:192.0.2.8;lr>")
        ((target,),) = self.targets("<sip:bob@phone.local>", fields=[("Path", value) for value in path])
        self.assertEqual(target, Target(("192.0.2.9", 5070), "sip:bob@phone.local", path))

    def test_behind_a_nat(self) -> None:
        """By the port that it came by, where it was seen; at another node through the one that holds the flow."""
        natted = register("<sip:bob@10.0.0.5>", via="10.0.0.5")
        seen = ("198.51.100.7", 40000)
        for node, expected in [
            ("here", ((Target(seen, "sip:bob@10.0.0.5", (), 1, True),),)),
            ("there", ((Target(self.THERE, "sip:bob@10.0.0.5", flow=Hop(*seen, 1)),),)),
            ("gone", ()),
        ]:
            made = applied(natted, origin=Origin(node, 1, seen))
            self.assertEqual(groups(made, "here", self.through, lambda hop: False), expected)

    def test_by_its_connection(self) -> None:
        """A client that came by TCP is reached by that connection while it is open, else where it says; at another node
        through the one that holds it.
        """
        asked = register("<sip:bob@198.51.100.7:5062;transport=tcp>")
        seen, uri = ("198.51.100.7", 40000), "sip:bob@198.51.100.7:5062;transport=tcp"
        for node, open_flows, expected in [
            ("here", [Hop(*seen, 1)], Target(seen, uri, (), 1, True)),
            ("here", [Hop(*seen, 0)], Target(("198.51.100.7", 5062), uri)),
            ("there", [], Target(self.THERE, uri, flow=Hop(*seen, 1))),
        ]:
            made = applied(asked, origin=Origin(node, 1, seen, "tcp"))
            self.assertEqual(groups(made, "here", self.through, open_flows.__contains__), ((expected,),))

    def test_whom_a_uri_names(self) -> None:
        """The user, unescaped, and the host."""
        for uri, named in [
            ("sip:%62ob@Example.org:5060;user=phone", ("bob", "example.org")),
            ("sip:example.org", ("", "example.org")),
            ("tel:+49-30-1", ("+49301", "")),
        ]:
            self.assertEqual(user_of(uri), named)
