"""The H.323 door: whole calls as ladders, redirected and carried, and what bad connections come to."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.h323_ladder import CALL, ENQUIRY, FACILITY, SECOND_SETUP, LadderTestCase, words
from tests.h323_messages import CONFERENCE, PLAIN_SETUP_OCTETS, SETUP_OCTETS, TERMINAL, signal
from tests.h323net import MEMBER, PHONE, STRANGER
from voipshift.errors import ConfigurationError
from voipshift.h323 import q931, require, tpkt, uuie
from voipshift.h323.portal import ACCEPT, DOOR
from voipshift.h323.q931 import MessageType
from voipshift.h323.server import MAX_CONNECTIONS, MAX_PER_ADDRESS, NO_CALL
from voipshift.h323.uuie import PROTOCOL
from voipshift.node import Acceptance, CallAttempt
from voipshift.sip.auth import Secrets


class StopTests(LadderTestCase):
    """A node that stops."""

    def test_calls_are_released(self) -> None:
        """RELEASE COMPLETE to both sides of each call, whatever its state; then everything is closed."""
        self.decisions.answer = Deferred[Acceptance](lambda decision: None)
        waiting = self.phone()
        waiting.say(SETUP_OCTETS)
        self.decisions.answer = self.decisions.here
        phone, gateway, _ = self.carried()
        silent = self.phone()
        stopped = self.server.stop()
        assert stopped is not None
        self.assertNoResult(stopped)
        self.network.settle()
        for peer in (waiting, phone, gateway):
            self.assertEqual(words(peer.told()), ["RELEASE_COMPLETE"])
            self.assertFalse(peer.is_open)
        self.assertEqual((silent.told(), silent.is_open, len(self.table), len(self.ended)), ([], False, 0, 1))
        self.assertIsNone(self.successResultOf(stopped))
        self.assertFalse(self.phone().is_open)
        self.relay.due(self.network.seconds() + 1)

    def test_no_calls(self) -> None:
        """Nothing is waited for."""
        self.assertIsNone(self.server.stop())


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

    def test_a_lease_waits_for_the_call(self) -> None:
        """By its callIdentifier, wherever it comes from and whomever it calls; one of another call is not taken."""
        self.wait_for("1234")
        attempt = CallAttempt(CALL, DOOR, "alice", "5678", "5678", ("192.0.2.99", 1), True)
        lease = self.leases.grant(attempt, "primary", 2, self.network.seconds())
        phone, _, _ = self.carried(front=False)
        self.assertIsNone(self.leases.get(lease.id))
        self.assertEqual((len(self.leases), self.table.hops), (1, {2: 1}))
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
            phone.say(PLAIN_SETUP_OCTETS)
            (told,) = phone.told()
            assert told.information is not None and isinstance(told.information.body, uuie.ReleaseComplete)
            self.assertEqual(told.information.body.reason, uuie.SECURITY_DENIED)
        self.assertEqual((self.decisions.asked, self.decisions.asked_alone), ([], []))

    def test_known_addresses(self) -> None:
        """Call."""
        self.carried()[0].hang_up()

    def test_a_password(self) -> None:
        """A token of a user lets a stranger call, at both ports; a wrong one does not, and is charged."""
        for front in (True, False):
            self.phone(STRANGER, front=front).say(SETUP_OCTETS)
            self.assertEqual(len(self.gateways[-1].told()), 1)
        self.assertEqual(
            [attempt.trusted for attempt in (*self.decisions.asked, *self.decisions.asked_alone)], [True] * 2
        )
        self.users.passwords["alice"] = "other"
        phone = self.phone(STRANGER)
        phone.say(SETUP_OCTETS)
        self.assertEqual(words(phone.told()), ["RELEASE_COMPLETE"])
        self.assertEqual(self.charged, [STRANGER[0]])

    def test_a_store_that_takes_its_time(self) -> None:
        """The caller hears that the call proceeds; one that goes meanwhile is not decided about."""
        self.users.waiting = waiting = Deferred[Secrets | None]()
        phone, gone = self.phone(STRANGER), self.phone((STRANGER[0], 5))
        phone.say(SETUP_OCTETS)
        gone.say(SETUP_OCTETS)
        gone.hang_up()
        self.network.pass_time(0.2)
        self.assertEqual(words(phone.told()), ["CALL_PROCEEDING"])
        waiting.callback(Secrets("", "", "secret"))
        self.network.pass_time(0)
        self.assertEqual(len(self.decisions.asked), 1)

    def test_too_many(self) -> None:
        """What an address sends beyond its rate is refused before anything is done for it; no more of it is read."""
        self.admits = False
        for front in (True, False):
            phone = self.phone(STRANGER, front=front)
            phone.say(*[SETUP_OCTETS] * 3)
            (told,) = phone.told()
            self.assertEqual((told.message.type, told.message.cause), (MessageType.RELEASE_COMPLETE, 47))
            self.assertFalse(phone.is_open)
        self.assertEqual((self.decisions.asked, self.portal.dropped), ([], {"too many from one address": 2}))

    def test_too_many_beside_a_call(self) -> None:
        """The call goes on."""
        phone, gateway, _ = self.carried()
        self.admits = False
        phone.say(SECOND_SETUP)
        self.assertEqual(words(phone.told()), ["RELEASE_COMPLETE"])
        self.assertTrue(phone.is_open and gateway.is_open)
        phone.hang_up()

    def test_a_slot_that_was_promised_to_a_known_caller(self) -> None:
        """A user whose ARQ had a token comes without one; from another address the slot is no permission."""
        self.users.passwords["alice"] = "other"
        for client, setup, served in (
            (STRANGER, PLAIN_SETUP_OCTETS, True),
            (PHONE, PLAIN_SETUP_OCTETS, False),
            (PHONE, SETUP_OCTETS, False),  # found by its callIdentifier
        ):
            attempt = CallAttempt(CALL, DOOR, "alice", "1234", "1234", client, True)
            lease = self.leases.grant(attempt, "primary", 1, self.network.seconds())
            phone = self.phone(STRANGER, front=False)
            phone.say(setup)
            self.assertEqual(words(phone.told()), [] if served else ["RELEASE_COMPLETE"])
            self.assertEqual(self.leases.withdraw(lease.id) is None, served)
            phone.hang_up()


class HostileTests(LadderTestCase):
    """Connections that are none of a call."""

    def test_silence(self) -> None:
        """Closed after ten seconds, and nothing is sent before."""
        phone = self.phone()
        self.network.pass_time(9.9)
        self.assertTrue(phone.is_open)
        self.network.pass_time(0.2)
        self.assertFalse(phone.is_open)
        self.assertEqual((phone.heard, self.server.dropped), ([], {NO_CALL: 1}))

    def test_a_refused_caller_that_stays(self) -> None:
        """Closed ten seconds after its last call; keep-alives and calls that there are not do not help.

        It is not counted: that is what becomes of every call.
        """
        self.decisions.answer = None
        phone = self.phone()
        phone.say(SETUP_OCTETS)
        for _ in range(9):
            self.network.pass_time(1)
            phone.say_octets(tpkt.KEEP_ALIVE)
            phone.say(ENQUIRY)
        self.assertTrue(phone.is_open)
        self.network.pass_time(1.1)
        self.assertEqual((phone.is_open, self.server.dropped), (False, {}))

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

    def test_reasons_are_few(self) -> None:
        """What is counted is named by the kind of the lie, not by the lie: else the names would fill the memory."""
        for length in range(0xF000, 0xF020):
            self.phone().say_octets(b"\x03\x00" + length.to_bytes(2))
        self.assertEqual(self.server.dropped, {"no TPKT has that length": 32})

    def test_garbage_in_a_setup(self) -> None:
        """RELEASE COMPLETE, or a close; the next call goes on unharmed."""
        message = q931.parse(SETUP_OCTETS)
        contents = message.user_user or b""
        for octets in (
            message.with_user_user(contents[:9]).octets(),
            message.with_user_user(b"\xff" * 40).octets(),
            message.with_user_user(
                contents.replace("alice".encode("utf-16-be"), "alic".encode("utf-16-be") + b"\xd8\x00")
            ).octets(),
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
        phone, _, _ = self.carried()
        for host in range((MAX_CONNECTIONS - self.server.accepted) // MAX_PER_ADDRESS + 1):
            for _ in range(MAX_PER_ADDRESS):
                self.phone((f"203.0.{host}.1", 5))
        # That to the gateway is no caller's.
        self.assertEqual((len(self.server), self.server.accepted), (MAX_CONNECTIONS + 1, MAX_CONNECTIONS))
        self.assertFalse(self.phone().is_open)
        phone.hang_up()
        self.network.pass_time(10.1)
        self.assertEqual((len(self.server), self.server.accepted), (0, 0))
        self.carried()[0].hang_up()


class RequireTests(SynchronousTestCase):
    """pycrate is an extra."""

    def test_one_line(self) -> None:
        """A node that asks for H.323 without it says so."""
        self.patch(__import__("voipshift.h323", fromlist=["find_spec"]), "find_spec", lambda name: None)
        error = self.assertRaises(ConfigurationError, require, "node.toml")
        self.assertEqual(str(error), "node.toml: h323: H.323 needs pycrate: pip install 'voipshift[h323]'")
