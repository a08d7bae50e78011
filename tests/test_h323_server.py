"""The H.323 door: whole calls as ladders, redirected and carried, and what bad connections come to."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.h323_messages import CONFERENCE, PLAIN_SETUP_OCTETS, SETUP_OCTETS, TERMINAL, TUNNELLED, signal
from tests.h323net import GATEWAY, HERE, MEMBER, PHONE, SPARE, STRANGER, DoorTestCase, Peer
from voipshift.errors import ConfigurationError
from voipshift.h323 import q931, require, signalling, tpkt, uuie
from voipshift.h323.portal import ACCEPT, DOOR
from voipshift.h323.q931 import Element, MessageType
from voipshift.h323.server import MAX_CONNECTIONS, MAX_PER_ADDRESS
from voipshift.h323.uuie import PROTOCOL
from voipshift.node import Acceptance, CallAttempt

CALL = bytes(range(16, 32))
PROCEEDING = signal(MessageType.CALL_PROCEEDING, uuie.CallProceeding(PROTOCOL, TERMINAL, CALL))
ALERTING = signal(MessageType.ALERTING, uuie.Alerting(PROTOCOL, TERMINAL, CALL))
CONNECT = signal(MessageType.CONNECT, uuie.Connect(PROTOCOL, TERMINAL, CONFERENCE, CALL))
FACILITY = signal(MessageType.FACILITY, uuie.Empty(), (Element.FACILITY, b""))
ENQUIRY = signal(MessageType.STATUS_ENQUIRY, uuie.StatusInquiry(PROTOCOL, CALL))
SECOND_SETUP = signalling.with_reference(SETUP_OCTETS, 99)


def release(cause: int = q931.NORMAL_CLEARING) -> bytes:
    """RELEASE COMPLETE."""
    return signal(MessageType.RELEASE_COMPLETE, uuie.ReleaseComplete(PROTOCOL, None, CALL), q931.cause(cause))


def words(signals: list[signalling.Signal]) -> list[str]:
    """Messages in short."""
    return [MessageType(each.message.type).name for each in signals]


class LadderTestCase(DoorTestCase):
    """Calls between a terminal and a gateway."""

    def reference(self, gateway: Peer) -> int:
        """The call reference that the node gave the gateway, whose SETUP it has heard."""
        return q931.parse(gateway.heard[0]).call_reference

    def carried(self, *, front: bool = True) -> tuple[Peer, Peer, int]:
        """A call that has been answered."""
        phone = self.phone(front=front)
        phone.say(SETUP_OCTETS)
        gateway = self.gateways[-1]
        reference = self.reference(gateway)
        gateway.say(*(signalling.with_reference(each, reference) for each in (PROCEEDING, ALERTING, CONNECT)))
        self.assertEqual(words(phone.told()), ["CALL_PROCEEDING", "ALERTING", "CONNECT"])
        self.assertEqual(words(gateway.told()), ["SETUP"])
        return phone, gateway, reference


class CarriedTests(LadderTestCase):
    """What this node accepts, it carries."""

    def test_setup_is_sent_on(self) -> None:
        """Both signalling addresses are those of the new connection; all else, video and fax too, is as it came."""
        self.phone().say(SETUP_OCTETS)
        (sent,) = self.gateways[0].told()
        came = signalling.parse(SETUP_OCTETS)
        assert sent.information is not None and came.information is not None
        setup, original = sent.information.body, came.information.body
        assert isinstance(setup, uuie.Setup) and isinstance(original, uuie.Setup)
        self.assertEqual(setup.source_call_signal_address, (HERE, self.gateways[0].wire.getPeer().port))
        self.assertEqual(setup.dest_call_signal_address, GATEWAY)
        self.assertEqual(setup.fast_start, original.fast_start)
        self.assertEqual((setup.destination_address, setup.hop_count), (original.destination_address, 4))

    def test_messages_are_passed_on_as_they_came(self) -> None:
        """But for the call reference, which each connection has its own of."""
        phone, gateway, reference = self.carried()
        self.assertEqual((len(self.table), len(self.answered), len(self.leases)), (1, 1, 0))
        gateway.say(signalling.with_reference(FACILITY, reference))
        self.assertEqual(phone.heard, [FACILITY])
        self.assertIn(TUNNELLED, FACILITY)
        phone.say(FACILITY)
        self.assertEqual(gateway.heard, [signalling.with_reference(FACILITY, reference)])
        phone.hang_up()

    def test_either_side_releases(self) -> None:
        """RELEASE COMPLETE reaches the other side, and the call is out of the table."""
        for by_phone in (True, False):
            phone, gateway, reference = self.carried()
            if by_phone:
                phone.say(release())
            else:
                gateway.say(signalling.with_reference(release(), reference))
            self.assertEqual(words((gateway if by_phone else phone).told()), ["RELEASE_COMPLETE"])
            self.assertEqual(len(self.table), 0)
            self.assertFalse(gateway.is_open)
        self.assertEqual(len(self.ended), 2)

    def test_either_close_closes_both(self) -> None:
        """The other side is told RELEASE COMPLETE."""
        for by_phone in (True, False):
            phone, gateway, reference = self.carried()
            (phone if by_phone else gateway).hang_up()
            (told,) = (gateway if by_phone else phone).told()
            self.assertEqual(told.message.type, MessageType.RELEASE_COMPLETE)
            self.assertEqual(told.message.call_reference, reference if by_phone else 4711)
            self.assertEqual(told.message.from_destination, not by_phone)
            self.assertEqual(len(self.table), 0)

    def test_a_second_call_on_the_same_connection(self) -> None:
        """Is an attempt of its own; the end of the one does not end the other, that of the connection ends both."""
        phone, first, _ = self.carried()
        phone.say(SECOND_SETUP)
        self.assertEqual((len(self.table), len(self.decisions.asked)), (2, 2))
        phone.say(release())
        self.assertEqual(len(self.table), 1)
        self.assertFalse(first.is_open)
        phone.hang_up()
        self.assertEqual(len(self.table), 0)
        self.assertEqual(words(self.gateways[1].told()), ["SETUP", "RELEASE_COMPLETE"])

    def test_status_enquiry(self) -> None:
        """Passed on while both are there; answered for a call that is not known, with the null state."""
        phone, gateway, _ = self.carried()
        phone.say(ENQUIRY)
        self.assertEqual(words(gateway.told()), ["STATUS_ENQUIRY"])
        phone.say(signalling.with_reference(ENQUIRY, 12))
        (told,) = phone.told()
        self.assertEqual(told.message.type, MessageType.STATUS)
        self.assertEqual(told.message.get(Element.CALL_STATE), b"\0")
        phone.hang_up()

    def test_keep_alives(self) -> None:
        """Are taken, and not passed on."""
        phone, gateway, _ = self.carried()
        phone.say_octets(tpkt.KEEP_ALIVE * 3)
        self.assertEqual(gateway.heard, [])
        phone.hang_up()

    def test_what_is_said_too_early_is_kept(self) -> None:
        """Tunnelled H.245 right behind the SETUP reaches the gateway behind the SETUP."""
        phone = self.phone()
        phone.say(SETUP_OCTETS, FACILITY)
        self.assertEqual(words(self.gateways[0].told()), ["SETUP", "FACILITY"])

    def test_a_caller_that_goes_before_the_gateway_is_reached(self) -> None:
        """Nobody is called."""
        self.network.silent.add(GATEWAY)
        phone = self.phone()
        phone.say(SETUP_OCTETS)
        self.assertEqual(len(self.table), 1)
        phone.say(release())
        self.assertEqual((len(self.table), self.gateways), (0, []))


class GatewayTests(LadderTestCase):
    """The next gateway when one fails."""

    def test_refused_connection(self) -> None:
        """The next one gets the SETUP; the caller hears meanwhile that the call proceeds."""
        del self.network.there[GATEWAY]
        phone = self.phone()
        phone.say(SETUP_OCTETS)
        self.assertEqual(self.gateways[0].wire.getHost(), SPARE)
        self.assertEqual(words(phone.told()), ["CALL_PROCEEDING"])

    def test_silent_address(self) -> None:
        """The next one after three seconds, before the caller's own four are over."""
        self.network.silent.add(GATEWAY)
        phone = self.phone()
        phone.say(SETUP_OCTETS)
        self.network.pass_time(3.1)
        self.assertEqual(self.gateways[0].wire.getHost(), SPARE)
        self.assertEqual(words(phone.told()), ["CALL_PROCEEDING"])

    def test_silent_address_after_a_long_decision(self) -> None:
        """The time for it begins with the decision."""
        self.network.silent.add(GATEWAY)
        self.decisions.answer = decision = Deferred[Acceptance]()
        self.phone().say(SETUP_OCTETS)
        self.network.pass_time(20)
        decision.callback(Acceptance(self.decisions.here, "00" * 16, (), 0))
        self.network.pass_time(3.1)
        self.assertEqual(self.gateways[0].wire.getHost(), SPARE)

    def test_t303(self) -> None:
        """A gateway that takes the SETUP and says nothing is left after four seconds."""
        self.phone().say(SETUP_OCTETS)
        self.network.pass_time(4.1)
        self.assertEqual([gateway.wire.getHost() for gateway in self.gateways], [GATEWAY, SPARE])
        self.assertFalse(self.gateways[0].is_open)

    def test_congestion(self) -> None:
        """A cause for which another gateway may do better is not the end; the last one's is."""
        phone = self.phone()
        phone.say(SETUP_OCTETS)
        for index in (0, 1):
            gateway = self.gateways[index]
            gateway.say(signalling.with_reference(release(q931.CONGESTION), self.reference(gateway)))
        told = phone.told()
        self.assertEqual(words(told), ["CALL_PROCEEDING", "RELEASE_COMPLETE"])
        self.assertEqual(told[1].message.cause, q931.CONGESTION)
        self.assertEqual(len(self.table), 0)

    def test_busy(self) -> None:
        """Nobody else is asked."""
        phone = self.phone()
        phone.say(SETUP_OCTETS)
        gateway = self.gateways[0]
        gateway.say(signalling.with_reference(release(q931.USER_BUSY), self.reference(gateway)))
        (told,) = phone.told()
        self.assertEqual(told.message.cause, q931.USER_BUSY)
        self.assertEqual(len(self.gateways), 1)

    def test_none_left(self) -> None:
        """unreachableDestination, after all have been tried."""
        self.network.there.clear()
        phone = self.phone()
        phone.say(SETUP_OCTETS)
        told = phone.told()
        self.assertEqual(words(told), ["CALL_PROCEEDING", "RELEASE_COMPLETE"])
        assert told[1].information is not None and isinstance(told[1].information.body, uuie.ReleaseComplete)
        self.assertEqual(told[1].information.body.reason, uuie.UNREACHABLE_DESTINATION)


class ShiftedTests(LadderTestCase):
    """What a member accepts, it gets."""

    def test_ladder(self) -> None:
        """FACILITY callForwarded with the member's accept port and who was called; RELEASE COMPLETE."""
        self.decisions.answer = MEMBER
        phone = self.phone()
        phone.say(SETUP_OCTETS)
        facility, released = phone.told()
        assert facility.information is not None and released.information is not None
        body = facility.information.body
        assert isinstance(body, uuie.Facility) and isinstance(released.information.body, uuie.ReleaseComplete)
        self.assertEqual(body.reason, uuie.CALL_FORWARDED)
        self.assertEqual(body.alternative_address, MEMBER.doors[ACCEPT])
        self.assertEqual([alias.text for alias in body.alternative_alias_address], ["1234"])
        self.assertFalse(body.multiple_calls or body.maintain_connection)
        self.assertEqual(released.information.body.reason, uuie.FACILITY_CALL_DEFLECTION)
        self.assertEqual((len(self.table), self.gateways), (0, []))
        (attempt,) = self.decisions.asked
        self.assertEqual((attempt.door, attempt.callee, attempt.client), (DOOR, "1234", PHONE))

    def test_a_number_without_alias(self) -> None:
        """A caller that only dialled is told its number again, else it would lose it."""
        self.decisions.answer = MEMBER
        phone = self.phone()
        phone.say(PLAIN_SETUP_OCTETS)
        facility = phone.told()[0].information
        assert facility is not None and isinstance(facility.body, uuie.Facility)
        self.assertEqual([alias.text for alias in facility.body.alternative_alias_address], ["1234"])

    def test_a_decision_that_takes_long(self) -> None:
        """CALL PROCEEDING after a tenth of a second, then the same two."""
        self.decisions.answer = decision = Deferred[Acceptance]()
        phone = self.phone()
        phone.say(SETUP_OCTETS)
        self.network.pass_time(0.09)
        self.assertEqual(phone.told(), [])
        self.network.pass_time(0.02)
        self.assertEqual(words(phone.told()), ["CALL_PROCEEDING"])
        decision.callback(Acceptance(MEMBER, "00" * 16, (), 1))
        self.network.pass_time(0)
        self.assertEqual(words(phone.told()), ["FACILITY", "RELEASE_COMPLETE"])

    def test_a_caller_that_goes_meanwhile(self) -> None:
        """Its attempt is taken back."""
        cancelled: list[Deferred[Acceptance]] = []
        self.decisions.answer = Deferred(cancelled.append)
        phone = self.phone()
        phone.say(SETUP_OCTETS)
        phone.hang_up()
        self.assertEqual(cancelled, [self.decisions.answer])
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_refused(self) -> None:
        """RELEASE COMPLETE gatekeeperResources, cause 47."""
        self.decisions.answer = None
        phone = self.phone()
        phone.say(SETUP_OCTETS)
        (told,) = phone.told()
        assert told.information is not None and isinstance(told.information.body, uuie.ReleaseComplete)
        self.assertEqual(told.information.body.reason, uuie.GATEKEEPER_RESOURCES)
        self.assertEqual((told.message.cause, told.message.call_reference), (47, 4711))


class AcceptPortTests(LadderTestCase):
    """A SETUP there is served or refused, never shifted."""

    def wait_for(self, called: str, door: str = DOOR) -> str:
        """A slot that waits for the terminal."""
        attempt = CallAttempt(b"a" * 16, door, "alice", called, called, (PHONE[0], 1), True)
        return self.leases.grant(attempt, "primary", 1, self.network.seconds()).id

    def test_a_lease_waits(self) -> None:
        """The caller's address and the number find it; nobody decides once more, and the hops are kept."""
        self.wait_for("1234")
        self.decisions.answer = None
        phone, _, _ = self.carried(front=False)
        self.assertEqual((len(self.leases), self.leases.counts["arrived"]), (0, 1))
        self.assertEqual((self.decisions.asked, self.decisions.asked_alone), ([], []))
        self.assertEqual(self.table.hops, {1: 1})
        phone.hang_up()

    def test_no_lease(self) -> None:
        """The node's own rule; a lease of a caller of SIP is not touched."""
        self.wait_for("1234", "sip/udp")
        self.carried(front=False)[0].hang_up()
        self.assertEqual((len(self.decisions.asked), len(self.decisions.asked_alone), len(self.leases)), (0, 1, 1))

    def test_full(self) -> None:
        """Refused, even if a member would take it."""
        self.decisions.answer = MEMBER
        phone = self.phone(front=False)
        phone.say(SETUP_OCTETS)
        (told,) = phone.told()
        self.assertEqual((told.message.type, told.message.cause), (MessageType.RELEASE_COMPLETE, 47))
        self.assertEqual(self.decisions.asked, [])


class AccessTests(LadderTestCase):
    """Who may call."""

    anybody = False

    def test_strangers(self) -> None:
        """securityDenied, at both ports; nobody is asked."""
        for front in (True, False):
            phone = self.phone(STRANGER, front=front)
            phone.say(SETUP_OCTETS)
            (told,) = phone.told()
            assert told.information is not None and isinstance(told.information.body, uuie.ReleaseComplete)
            self.assertEqual(told.information.body.reason, uuie.SECURITY_DENIED)
        self.assertEqual((self.decisions.asked, self.decisions.asked_alone), ([], []))

    def test_known_addresses(self) -> None:
        """Call."""
        self.carried()[0].hang_up()


class HostileTests(LadderTestCase):
    """Connections that are none of a call."""

    def test_silence(self) -> None:
        """Closed after ten seconds, and nothing is sent before."""
        phone = self.phone()
        self.network.pass_time(9.9)
        self.assertTrue(phone.is_open)
        self.network.pass_time(0.2)
        self.assertFalse(phone.is_open)
        self.assertEqual((phone.heard, self.server.dropped["idle"]), ([], 1))

    def test_a_refused_caller_that_stays(self) -> None:
        """Closed ten seconds after its last call; keep-alives and calls that there are not do not help."""
        self.decisions.answer = None
        phone = self.phone()
        phone.say(SETUP_OCTETS)
        for _ in range(9):
            self.network.pass_time(1)
            phone.say_octets(tpkt.KEEP_ALIVE)
            phone.say(ENQUIRY)
        self.assertTrue(phone.is_open)
        self.network.pass_time(1.1)
        self.assertFalse(phone.is_open)

    def test_a_call_is_not_idle(self) -> None:
        """It stays as long as its ends want."""
        phone, gateway, _ = self.carried()
        self.network.pass_time(3600)
        self.assertTrue(phone.is_open and gateway.is_open)
        phone.hang_up()

    def test_lengths_that_lie(self) -> None:
        """Closed at once: nothing can be found in such a stream any more."""
        for octets in (b"\x03\x00\x00\x03", b"\x03\x00\xff\xff", b"GET / HTTP/1.0\r\n", b"\x03\x00\x00\x08junk"):
            phone = self.phone()
            phone.say_octets(octets)
            self.assertFalse(phone.is_open, octets)
        self.assertEqual(sum(self.server.dropped.values()), 4)

    def test_garbage_in_a_setup(self) -> None:
        """RELEASE COMPLETE, or a close; the next call goes on unharmed."""
        message = q931.parse(SETUP_OCTETS)
        contents = message.user_user or b""
        for octets in (
            message.with_user_user(contents[:9]).octets(),
            message.with_user_user(b"\xff" * 40).octets(),
            q931.Message(MessageType.SETUP, 5, False, (q931.called_number("1234"),)).octets(),
        ):
            phone = self.phone()
            phone.say(octets)
            self.assertEqual(words(phone.told()), ["RELEASE_COMPLETE"])
        self.assertEqual(self.decisions.asked, [])
        self.carried()[0].hang_up()

    def test_a_setup_without_a_destination(self) -> None:
        """RELEASE COMPLETE badFormatAddress."""
        phone = self.phone()
        phone.say(signal(MessageType.SETUP, uuie.Setup(PROTOCOL, TERMINAL, CONFERENCE, CALL)))
        (told,) = phone.told()
        self.assertEqual(told.message.cause, q931.INVALID_NUMBER_FORMAT)

    def test_octet_by_octet(self) -> None:
        """A stream may be cut anywhere."""
        phone = self.phone()
        for octet in tpkt.wrap(SETUP_OCTETS) + tpkt.KEEP_ALIVE + tpkt.wrap(FACILITY):
            phone.say_octets(bytes((octet,)))
        self.assertEqual(words(self.gateways[0].told()), ["SETUP", "FACILITY"])

    def test_many(self) -> None:
        """One address has its number, all together have theirs; callers that are known get through."""
        strangers = [self.phone(STRANGER) for _ in range(MAX_PER_ADDRESS + 1)]
        self.assertEqual([each.is_open for each in strangers].count(False), 1)
        self.carried()[0].hang_up()
        for host in range((MAX_CONNECTIONS - len(self.server)) // MAX_PER_ADDRESS + 1):
            for _ in range(MAX_PER_ADDRESS):
                self.phone((f"203.0.{host}.1", 5))
        self.assertEqual(len(self.server), MAX_CONNECTIONS)
        self.assertFalse(self.phone().is_open)
        self.network.pass_time(10.1)
        self.assertEqual(len(self.server), 0)
        self.carried()[0].hang_up()


class RequireTests(SynchronousTestCase):
    """pycrate is an extra."""

    def test_one_line(self) -> None:
        """A node that asks for H.323 without it says so."""
        self.patch(__import__("voipshift.h323", fromlist=["find_spec"]), "find_spec", lambda name: None)
        error = self.assertRaises(ConfigurationError, require, "node.toml")
        self.assertEqual(str(error), "node.toml: h323: H.323 needs pycrate: pip install 'voipshift[h323]'")
