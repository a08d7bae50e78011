"""Where a call is tried: the addresses of its gateways, and the Request-URI that each gets."""

from __future__ import annotations

from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from voipshift.calls.dialplan import MAX_TRIES, DialPlan, Gateway
from voipshift.calls.gateways import MAX_PER_GATEWAY, Gateways
from voipshift.calls.numbering import Numbering
from voipshift.errors import ProtocolViolation
from voipshift.sip.locate import Place, Try
from voipshift.sip.message import Response, request

A, B = (("192.0.2.1", 5060), ("192.0.2.2", 5060))
CARRIER = ("carrier.test", 0)
BERLIN = Numbering(country="49", international_prefix="00", national_prefix="0", area="30")


class KnownNames:
    """Names that lead where the test says, and remember what was asked."""

    def __init__(self) -> None:
        self.tries: dict[Place, tuple[Try, ...]] = {}
        self.looked_up: list[Place] = []

    def known(self, place: Place) -> tuple[Try, ...] | None:
        return self.tries.get(place)

    def look_up(self, place: Place) -> Deferred[tuple[Try, ...]]:
        self.looked_up.append(place)
        return succeed(self.tries.setdefault(place, ()))


class MarkedDown:
    """What is down, as the test says."""

    def __init__(self) -> None:
        self.down: set[Try] = set()

    def is_down(self, there: Try) -> bool:
        return there in self.down

    def silent(self, there: Try) -> None:
        """Nobody is called here."""

    def doubt(self, there: Try, response: Response) -> None:
        """Nobody answers here."""


class GatewaysTestCase(SynchronousTestCase):
    """Gateways whose names lead where the test says."""

    def setUp(self) -> None:
        """No name is known, and nobody is down."""
        self.names = KnownNames()
        self.watch = MarkedDown()

    def gateways(self, *gateways: Gateway) -> Gateways:
        """Those of a node in Berlin."""
        return Gateways(DialPlan(gateways, BERLIN), self.names, self.watch)

    def uris(self, gateways: Gateways, uri: str) -> list[str | None]:
        """The Request-URIs of the tries of a call."""
        return [group[0].uri for group in gateways.targets(request("INVITE", uri, ()))]

    def refused(self, gateways: Gateways, uri: str) -> int:
        """The status that refuses a call."""
        error = self.assertRaises(ProtocolViolation, gateways.targets, request("INVITE", uri, ()))
        assert isinstance(error, ProtocolViolation)
        return error.status


class UriTest(GatewaysTestCase):
    """Section 16.5: the user that was dialled, or the number as the gateway reads it, at the gateway."""

    def test_at_an_address(self) -> None:
        """Its parameters are the gateway's, but for user=phone."""
        here = self.gateways(Gateway(A))
        for uri, expected in {
            "sip:1234@x;transport=tcp;a=b": "sip:1234@192.0.2.1:5060",
            "sip:%41lice@x": "sip:%41lice@192.0.2.1:5060",
            "sip:+4930-1@x;user=phone": "sip:+4930-1@192.0.2.1:5060;user=phone",
            "sip:x": "sip:192.0.2.1:5060",
            "tel:+49-30-1;phone-context=y": "sip:+49-30-1@192.0.2.1:5060;user=phone",
        }.items():
            self.assertEqual(self.uris(here, uri), [expected], uri)

    def test_by_a_transport(self) -> None:
        """It stands in the Request-URI where it is no UDP."""
        self.assertEqual(
            self.uris(self.gateways(Gateway(A, transport="tcp")), "sip:1@x"), ["sip:1@192.0.2.1:5060;transport=tcp"]
        )

    def test_a_number_in_the_form_of_each_gateway(self) -> None:
        """International for one, national for the other."""
        here = self.gateways(Gateway(A, send="e164"), Gateway(B, send="digits", strip=2, prepend="0"))
        self.assertEqual(
            self.uris(here, "sip:1234567@x"), ["sip:+49301234567@192.0.2.1:5060", "sip:0301234567@192.0.2.2:5060"]
        )

    def test_what_was_dialled(self) -> None:
        """The user, unescaped, or the number with its context."""
        here = self.gateways(Gateway(A, send="e164"))
        for uri in ("sip:%2B49301234@x", "tel:1234;phone-context=+4930", "sip:1234;phone-context=+49-30@x;user=phone"):
            self.assertIn("sip:+49301234@192.0.2.1:5060", self.uris(here, uri)[0] or "", uri)

    def test_sips(self) -> None:
        """RFC 5630 section 3: over TLS or not at all."""
        self.assertEqual(self.refused(self.gateways(Gateway(A)), "sips:1@x"), 480)
        here = self.gateways(Gateway(A), Gateway(B, transport="tls"), Gateway(CARRIER))
        self.names.tries[Place("carrier.test", secure=True)] = (Try("tls", ("192.0.2.3", 5061)),)
        self.assertEqual(self.uris(here, "sips:1@x"), ["sips:1@192.0.2.2:5060", "sips:1@carrier.test"])

    def test_nobody(self) -> None:
        """404 where no gateway takes it."""
        self.assertEqual(self.refused(self.gateways(Gateway(A, ("1",))), "sip:2@x"), 404)


class NameTest(GatewaysTestCase):
    """A gateway by its domain name."""

    PLACE = Place("carrier.test")

    def setUp(self) -> None:
        """It has six addresses."""
        super().setUp()
        self.found = tuple(Try("udp", (f"192.0.2.{number}", 5060)) for number in range(10, 16))

    def test_it_is_looked_up_where_it_is_not_known(self) -> None:
        """And where it takes the number."""
        here = self.gateways(Gateway(CARRIER, ("49",)), Gateway(A))
        self.assertIsNone(here.look_up("sip:110@x"))
        self.assertIsNone(here.look_up("mailto:a@x"))
        waiting = here.look_up("sip:0301234@x")
        assert waiting is not None
        self.successResultOf(waiting)
        self.assertEqual(self.names.looked_up, [self.PLACE])
        self.assertIsNone(here.look_up("sip:0301234@x"))

    def test_a_call_does_not_wait_for_the_second_gateway(self) -> None:
        """Its name is looked up all the same."""
        here = self.gateways(Gateway(A), Gateway(CARRIER))
        self.assertIsNone(here.look_up("sip:1@x"))
        self.assertEqual(self.names.looked_up, [self.PLACE])
        self.assertIsNotNone(here.look_up("sips:1@x"), "the first one has no TLS")

    def test_the_next_gateway_has_its_chance(self) -> None:
        """Of one with many addresses a few are tried."""
        self.names.tries[self.PLACE] = self.found
        here = self.gateways(Gateway(CARRIER), Gateway(A), *(Gateway(("192.0.2.9", port)) for port in range(1, 9)))
        hosts = [group[0].address[0] for group in here.targets(request("INVITE", "sip:1@x", ()))]
        self.assertEqual(hosts[: MAX_PER_GATEWAY + 1], [*(f"192.0.2.{number}" for number in range(10, 14)), A[0]])
        self.assertEqual(len(hosts), MAX_TRIES)

    def test_those_that_are_down_are_skipped(self) -> None:
        """Whichever gateway they belong to, as long as there are others."""
        self.names.tries[self.PLACE] = self.found[:2]
        self.watch.down = {self.found[0]}
        here = self.gateways(Gateway(CARRIER), Gateway(A))
        hosts = [group[0].address[0] for group in here.targets(request("INVITE", "sip:1@x", ()))]
        self.assertEqual(hosts, ["192.0.2.11", A[0]])
        self.watch.down = {*self.found[:2], Try("udp", A)}
        hosts = [group[0].address[0] for group in here.targets(request("INVITE", "sip:1@x", ()))]
        self.assertEqual(hosts, ["192.0.2.10", "192.0.2.11", A[0]])

    def test_a_name_that_leads_nowhere(self) -> None:
        """500 where there is nobody else."""
        self.names.tries[self.PLACE] = ()
        self.assertEqual(self.refused(self.gateways(Gateway(CARRIER)), "sip:1@x"), 500)
        self.assertEqual(len(self.gateways(Gateway(CARRIER), Gateway(A)).targets(request("INVITE", "sip:1@x", ()))), 1)

    def test_where_it_is_now(self) -> None:
        """Requests of dialogs may go to the addresses that it had last, and to those by configuration."""
        here = self.gateways(Gateway(CARRIER, overload_control=False), Gateway(A))
        self.names.tries[self.PLACE] = self.found[:1]
        self.assertNotIn(("192.0.2.10", 5060), here)
        here.targets(request("INVITE", "sip:1@x", ()))
        self.assertIn(("192.0.2.10", 5060), here)
        self.assertIn(A, here)
        self.assertNotIn(B, here)
        self.assertEqual(here.hosts, {"192.0.2.10", A[0]})
        self.assertEqual([here.is_controlled(each) for each in (A, ("192.0.2.10", 5060))], [True, False])
        self.names.tries[self.PLACE] = self.found[1:2]
        here.targets(request("INVITE", "sip:1@x", ()))
        self.assertEqual(here.hosts, {"192.0.2.11", A[0]})
