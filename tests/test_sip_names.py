"""Host names and what is remembered of them."""

from __future__ import annotations

from random import Random

from twisted.internet.defer import CancelledError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.dnsnet import Zone
from voipshift.node import Address
from voipshift.sip.locate import Place, Records, Srv, Try
from voipshift.sip.names import (
    LONGEST_TTL_S,
    MAX_ANSWERS,
    MAX_OUTSTANDING,
    NEGATIVE_TTL_S,
    SHORTEST_TTL_S,
    SILENT_TTL_S,
    Names,
)

GATEWAY = ("192.0.2.20", 5060)
PLACE = Place("gw.example.net", 5060)
ZONE: dict[tuple[str, str], Records] = {
    ("gw.example.net", "A"): ("192.0.2.20",),
    ("ours.example.net", "A"): ("192.0.2.1", "192.0.2.20"),
    ("odd.example.net", "A"): ("224.0.1.75", "0.0.0.0", "255.255.255.255"),
    ("other.example.net", "A"): ("192.0.2.20",),
    ("third.example.net", "A"): ("192.0.2.20",),
    ("_sip._udp.srv.example.net", "SRV"): (Srv(0, 0, 5080, "gw.example.net"),),
}


class NamesTestCase(SynchronousTestCase):
    """A node at 192.0.2.1, and a zone."""

    def setUp(self) -> None:
        """Nothing is known yet."""
        self.clock = Clock()
        self.zone = Zone(ZONE)
        self.names = Names(
            ask=self.zone.ask,
            supported=frozenset((("udp", False), ("tls", False))),
            is_ours=lambda address: address[0] == "192.0.2.1",
            now=self.clock.seconds,
            draw=Random(1).random,
            domains={"other.example.net": "trunk.example.net"},
        )

    def found(self, place: Place) -> list[Address]:
        """Look a name up."""
        return [each.address for each in self.successResultOf(self.names.look_up(place))]


class RememberTest(NamesTestCase):
    """How long an answer is believed."""

    def test_an_answer_is_asked_for_once(self) -> None:
        """Until its TTL has run out."""
        self.assertIsNone(self.names.known(PLACE))
        self.assertEqual(self.found(PLACE), [GATEWAY])
        self.assertEqual(self.names.known(PLACE), (Try("udp", GATEWAY),))
        self.clock.advance(59.9)
        self.assertEqual(self.found(PLACE), [GATEWAY])
        self.assertEqual(self.zone.take(), ["A gw.example.net"])
        self.clock.advance(0.1)
        self.assertIsNone(self.names.known(PLACE))
        self.zone.records["gw.example.net", "A"] = ("192.0.2.21",)
        self.assertEqual(self.found(PLACE), [("192.0.2.21", 5060)])

    def test_the_ttl_has_bounds(self) -> None:
        """One of a week counts as an hour, one of 0 for the request that asked."""
        for ttl_s, lasts_s in ((604_800.0, LONGEST_TTL_S), (0.0, SHORTEST_TTL_S)):
            self.zone.ttl_s = ttl_s
            self.found(PLACE)
            self.clock.advance(lasts_s - 0.1)
            self.assertIsNotNone(self.names.known(PLACE))
            self.clock.advance(0.1)
            self.assertIsNone(self.names.known(PLACE))

    def test_that_there_is_no_such_name(self) -> None:
        """It is remembered too, not for long."""
        place = Place("nobody.example.net", 5060)
        self.assertEqual((self.found(place), self.found(place)), ([], []))
        self.assertEqual(self.zone.take(), ["A nobody.example.net"])
        self.clock.advance(NEGATIVE_TTL_S)
        self.assertIsNone(self.names.known(place))

    def test_silence(self) -> None:
        """Nobody is asked again for a while; an answer that was there before is used on."""
        self.zone.silent = True
        self.assertEqual((self.found(PLACE), self.found(PLACE)), ([], []))
        self.assertEqual(len(self.zone.take()), 1)
        self.zone.silent = False
        self.clock.advance(SILENT_TTL_S)
        self.assertEqual(self.found(PLACE), [GATEWAY])
        self.zone.silent = True
        self.clock.advance(3600)
        self.assertEqual(self.found(PLACE), [GATEWAY])
        self.clock.advance(86_400)
        self.assertEqual(self.found(PLACE), [])

    def test_silence_is_waited_for_once(self) -> None:
        """Not at each step from NAPTR to addresses; and what is known of a name is used."""
        self.zone.silent = True
        self.assertEqual(self.found(Place("srv.example.net")), [])
        self.assertEqual(self.zone.take(), ["NAPTR srv.example.net"])

    def test_memory_is_bounded(self) -> None:
        """The least recently used goes first."""
        self.found(PLACE)
        for number in range(MAX_ANSWERS):
            self.found(Place(f"{number}.example.net", 5060))
        self.assertIsNone(self.names.known(PLACE))
        self.assertIsNotNone(self.names.known(Place("1.example.net", 5060)))


class AskTest(NamesTestCase):
    """What is asked, and when."""

    def test_who_waits_for_the_same_waits_together(self) -> None:
        """One question, two answers; the one that gives up does not disturb the other."""
        self.zone.held = True
        first, second, third = (self.names.look_up(PLACE) for _ in range(3))
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.zone.release()
        self.assertEqual(self.successResultOf(second), self.successResultOf(third))
        self.assertEqual(self.zone.take(), ["A gw.example.net"])

    def test_srv_and_then_the_address(self) -> None:
        """NAPTR, all SRV at once, the address."""
        self.assertEqual(self.found(Place("srv.example.net")), [("192.0.2.20", 5080)])
        self.assertEqual(
            self.zone.take(),
            [
                "NAPTR srv.example.net",
                "SRV _sip._udp.srv.example.net",
                "SRV _sips._tcp.srv.example.net",
                "A gw.example.net",
            ],
        )

    def test_questions_under_way_are_bounded(self) -> None:
        """Whoever is one too many gets nothing, at once."""
        self.zone.held = True
        waiting = [self.names.look_up(Place(f"{number}.example.net", 5060)) for number in range(MAX_OUTSTANDING)]
        self.assertEqual(self.found(PLACE), [])
        self.zone.release()
        for each in waiting:
            self.successResultOf(each)
        self.assertEqual(self.found(PLACE), [GATEWAY])


class UsableTest(NamesTestCase):
    """Addresses that are not used."""

    def test_this_node_is_no_way(self) -> None:
        """A name that leads to the group leads nowhere: the request would come back for ever."""
        self.assertEqual(self.found(Place("ours.example.net", 5060)), [GATEWAY])

    def test_an_address_of_nobody(self) -> None:
        """Multicast, broadcast, none at all."""
        self.assertEqual(self.found(Place("odd.example.net", 5060)), [])


class DomainTest(NamesTestCase):
    """RFC 5922 section 7.2: the certificate names what was asked for before DNS."""

    def test_the_name_is_the_domain(self) -> None:
        """Not what SRV made of it; an address alone has none."""
        self.assertIsNone(self.names.domain(("192.0.2.20", 5061)))
        self.assertEqual(self.found(Place("gw.example.net", 5061, "tls")), [("192.0.2.20", 5061)])
        self.assertEqual(self.names.domain(("192.0.2.20", 5061)), "gw.example.net")
        self.found(PLACE)
        self.assertIsNone(self.names.domain(GATEWAY))

    def test_a_name_with_another_domain(self) -> None:
        """As it is configured."""
        self.found(Place("other.example.net", 5061, "tls"))
        self.assertEqual(self.names.domain(("192.0.2.20", 5061)), "trunk.example.net")

    def test_an_address_is_held_to_its_first_name(self) -> None:
        """Whoever else leads there over TLS does not: he would use a connection that was checked for somebody else."""
        self.found(Place("gw.example.net", 5061, "tls"))
        self.assertEqual(self.found(Place("third.example.net", 5061, "tls")), [])
        self.assertEqual(self.found(Place("gw.example.net", 5061, "tls")), [("192.0.2.20", 5061)])

    def test_a_configured_name_comes_before_others(self) -> None:
        """Whoever was there first; then nobody else leads there."""
        self.found(Place("gw.example.net", 5061, "tls"))
        self.assertEqual(self.found(Place("other.example.net", 5061, "tls")), [("192.0.2.20", 5061)])
        self.assertEqual(self.names.domain(("192.0.2.20", 5061)), "trunk.example.net")
        self.assertEqual(self.found(Place("gw.example.net", 5061, "tls")), [])
