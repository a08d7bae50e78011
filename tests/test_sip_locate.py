"""RFC 3263 section 4: from a URI and the answers of DNS to the addresses to try."""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from voipshift.sip.locate import MAX_TRIES, Naptr, Place, Question, Records, Srv, Try, in_order, locate
from voipshift.sip.uri import SipUri

ALL = frozenset((transport, v6) for transport in ("udp", "tcp", "tls") for v6 in (False, True))
V4 = frozenset((transport, False) for transport in ("udp", "tcp", "tls"))

#: The example of section 4.1, and the addresses behind it.
ZONE: dict[tuple[str, str], Records] = {
    ("example.com", "NAPTR"): (
        Naptr(100, 50, "s", "SIP+D2U", "_sip._udp.example.com"),
        Naptr(50, 50, "s", "SIPS+D2T", "_sips._tcp.example.com"),
        Naptr(90, 50, "s", "SIP+D2T", "_sip._tcp.example.com"),
    ),
    ("_sip._udp.example.com", "SRV"): (Srv(1, 0, 5060, "server1.example.com"),),
    ("_sip._tcp.example.com", "SRV"): (
        Srv(2, 0, 5070, "server2.example.com"),
        Srv(1, 0, 5060, "server1.example.com"),
    ),
    ("_sips._tcp.example.com", "SRV"): (Srv(1, 0, 5061, "server1.example.com"),),
    ("server1.example.com", "A"): ("192.0.2.1",),
    ("server2.example.com", "A"): ("192.0.2.2",),
    ("example.com", "A"): ("192.0.2.3",),
    ("srv.example.com", "A"): ("192.0.2.4",),
    ("_sip._tcp.srv.example.com", "SRV"): (Srv(1, 0, 5080, "server1.example.com"),),
    ("_sips._tcp.srv.example.com", "SRV"): (Srv(1, 0, 5081, "server1.example.com"),),
    ("plain.example.com", "A"): ("192.0.2.5", "192.0.2.6"),
    ("both.example.com", "A"): ("192.0.2.7",),
    ("both.example.com", "AAAA"): ("2001:db8::7",),
    ("_sip._udp.none.example.com", "SRV"): (Srv(0, 0, 0, "."),),
    ("none.example.com", "A"): ("192.0.2.8",),
}


class LocateTestCase(SynchronousTestCase):
    """A zone, all of which is known."""

    def tries(self, uri: str, supported: frozenset[tuple[str, bool]] = V4) -> list[str]:
        """Where a URI leads, each try as ``udp 192.0.2.1:5060``."""
        place = Place.of(SipUri.parse(uri))
        located = locate(place, lambda question: ZONE.get(question, ()), supported, Random(1).random)
        self.assertEqual(located.missing, ())
        return [f"{transport} {host}:{port}" for transport, (host, port) in located.tries]


class TransportTest(LocateTestCase):
    """Section 4.1: which transport."""

    def test_a_transport_that_is_asked_for(self) -> None:
        """It is used, and none that nobody knows."""
        self.assertEqual(self.tries("sip:example.com;transport=tcp")[0], "tcp 192.0.2.1:5060")
        self.assertEqual(self.tries("sip:192.0.2.9;transport=tcp"), ["tcp 192.0.2.9:5060"])
        self.assertEqual(self.tries("sip:192.0.2.9;transport=sctp"), [])

    def test_an_address(self) -> None:
        """UDP for sip:, TLS for sips:."""
        self.assertEqual(self.tries("sip:192.0.2.9"), ["udp 192.0.2.9:5060"])
        self.assertEqual(self.tries("sips:192.0.2.9"), ["tls 192.0.2.9:5061"])
        self.assertEqual(self.tries("sips:192.0.2.9:5099;transport=tcp"), ["tls 192.0.2.9:5099"])
        self.assertEqual(self.tries("sip:[2001:db8::1]:5070", ALL), ["udp 2001:db8::1:5070"])
        self.assertEqual(self.tries("sip:[2001:db8::1]"), [])

    def test_a_port(self) -> None:
        """A name with a port is neither looked for in NAPTR nor in SRV."""
        self.assertEqual(self.tries("sip:example.com:5070"), ["udp 192.0.2.3:5070"])
        self.assertEqual(self.tries("sips:example.com:5070"), ["tls 192.0.2.3:5070"])

    def test_naptr(self) -> None:
        """The lowest order of those that fit; the others are not looked at."""
        self.assertEqual(self.tries("sip:example.com"), ["tls 192.0.2.1:5061"])
        plain = frozenset((("udp", False), ("tcp", False)))
        self.assertEqual(self.tries("sip:example.com", plain), ["tcp 192.0.2.1:5060", "tcp 192.0.2.2:5070"])
        self.assertEqual(self.tries("sip:example.com", frozenset((("udp", False),))), ["udp 192.0.2.1:5060"])

    def test_naptr_of_a_sips_uri(self) -> None:
        """Nothing that is not secure."""
        self.assertEqual(self.tries("sips:example.com"), ["tls 192.0.2.1:5061"])
        self.assertEqual(self.tries("sips:example.com", frozenset((("udp", False), ("tcp", False)))), [])
        self.assertEqual(self.tries("sips:example.com;transport=udp"), [])

    def test_no_naptr(self) -> None:
        """The first transport that has SRV records; sips: has one."""
        self.assertEqual(self.tries("sip:srv.example.com"), ["tcp 192.0.2.1:5080"])
        self.assertEqual(self.tries("sips:srv.example.com"), ["tls 192.0.2.1:5081"])

    def test_no_srv(self) -> None:
        """UDP for sip:, TLS for sips:, and the default port."""
        self.assertEqual(self.tries("sip:plain.example.com"), ["udp 192.0.2.5:5060", "udp 192.0.2.6:5060"])
        self.assertEqual(self.tries("sips:plain.example.com")[0], "tls 192.0.2.5:5061")


class AddressTest(LocateTestCase):
    """Section 4.2: which port and address."""

    def test_srv_of_the_transport(self) -> None:
        """Without it, the name's own addresses at the default port."""
        self.assertEqual(self.tries("sip:srv.example.com;transport=tcp"), ["tcp 192.0.2.1:5080"])
        self.assertEqual(self.tries("sip:plain.example.com;transport=tcp")[0], "tcp 192.0.2.5:5060")
        self.assertEqual(self.tries("sip:plain.example.com;transport=tls")[0], "tls 192.0.2.5:5061")

    def test_priorities(self) -> None:
        """The lowest first."""
        self.assertEqual(self.tries("sip:example.com;transport=tcp"), ["tcp 192.0.2.1:5060", "tcp 192.0.2.2:5070"])

    def test_there_is_no_such_service(self) -> None:
        """The target is a dot (RFC 2782): its address is not used either."""
        self.assertEqual(self.tries("sip:none.example.com"), [])

    def test_maddr(self) -> None:
        """It stands for the host."""
        self.assertEqual(self.tries("sip:example.com;maddr=192.0.2.9"), ["udp 192.0.2.9:5060"])

    def test_both_families(self) -> None:
        """Those that the node has a port of; IPv6 first."""
        self.assertEqual(self.tries("sip:both.example.com"), ["udp 192.0.2.7:5060"])
        self.assertEqual(self.tries("sip:both.example.com", ALL), ["udp 2001:db8::7:5060", "udp 192.0.2.7:5060"])

    def test_a_name_is_compared_without_case_and_last_dot(self) -> None:
        """EXAMPLE.com. is example.com."""
        self.assertEqual(self.tries("sip:EXAMPLE.com.:5070"), ["udp 192.0.2.3:5070"])

    def test_tries_are_bounded(self) -> None:
        """However many addresses there are."""
        answers = {("x", "A"): tuple(f"192.0.2.{number}" for number in range(40))}
        located = locate(Place("x", 5060), lambda question: answers.get(question, ()), V4, Random(1).random)
        self.assertEqual(len(located.tries), MAX_TRIES)


class MissingTest(SynchronousTestCase):
    """What is to be asked."""

    def test_one_step_after_the_other(self) -> None:
        """NAPTR, SRV, addresses; nothing that is not needed."""
        known: dict[Question, Records] = {}
        asked: list[list[str]] = []
        while True:
            located = locate(Place("example.com"), known.get, V4, Random(1).random)
            if not located.missing:
                break
            asked.append([f"{question.type} {question.name}" for question in located.missing])
            known.update((question, ZONE.get(question, ())) for question in located.missing)
        self.assertEqual(asked, [["NAPTR example.com"], ["SRV _sips._tcp.example.com"], ["A server1.example.com"]])
        self.assertEqual(located.tries, (Try("tls", ("192.0.2.1", 5061)),))

    def test_all_transports_at_once(self) -> None:
        """Without NAPTR."""
        known: dict[Question, Records] = {Question("x", "NAPTR"): ()}
        located = locate(Place("x"), known.get, frozenset((("udp", False), ("tcp", False))), Random(1).random)
        self.assertEqual([question.name for question in located.missing], ["_sip._udp.x", "_sip._tcp.x"])


class WeightTest(SynchronousTestCase):
    """RFC 2782: records of equal priority."""

    def test_in_proportion(self) -> None:
        """3 to 1, and one of weight 0 hardly ever."""
        records = (Srv(0, 0, 1, "zero"), Srv(0, 3, 1, "three"), Srv(0, 1, 1, "one"))
        draw = Random(7).random
        first = [next(in_order(records, draw)).target for _ in range(4000)]
        self.assertTrue(2900 < first.count("three") < 3100)
        self.assertLess(first.count("zero"), 5)

    def test_each_once(self) -> None:
        """All of them are tried in the end, by priority."""
        records = [Srv(priority, weight, 1, f"{priority}{weight}") for priority in (2, 1) for weight in (0, 5, 9)]
        for seed in range(50):
            order = [record.target for record in in_order(records, Random(seed).random)]
            self.assertEqual(sorted(order), sorted(record.target for record in records))
            self.assertEqual([target[0] for target in order], ["1", "1", "1", "2", "2", "2"])

    def test_the_ends_of_the_draw(self) -> None:
        """0 takes the first, 1 the last."""
        records = (Srv(0, 1, 1, "a"), Srv(0, 1, 1, "b"))
        self.assertEqual([record.target for record in in_order(records, lambda: 0.0)], ["a", "b"])
        self.assertEqual([record.target for record in in_order(records, lambda: 1.0)], ["b", "a"])
