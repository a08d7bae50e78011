"""Calls of H.323 that this node carries: message by message, to terminals and to gateways."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from tests.h323_ladder import (
    ALERTING,
    ENQUIRY,
    FACILITY,
    PROCEEDING,
    SECOND_SETUP,
    LadderTestCase,
    release,
    words,
)
from tests.h323_messages import SETUP_OCTETS, TUNNELLED
from tests.h323net import GATEWAY, HERE, SPARE
from voipshift.calls.relay import MAX_CALLS, MAX_KEPT
from voipshift.calls.terminals import Terminal
from voipshift.h323 import callstate, q931, signalling, tpkt, uuie
from voipshift.h323.q931 import Element, MessageType
from voipshift.node import Acceptance, Address


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
        elements = [[each for each in of.message.elements if each[0] != Element.USER_USER] for of in (sent, came)]
        self.assertEqual(*elements)
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

    def test_call_reference_zero(self) -> None:
        """Is carried as any other: Asterisk's chan_ooh323 draws its first one from a hundred, 0 among them."""
        phone = self.phone()
        phone.say(signalling.with_reference(SETUP_OCTETS, 0))
        (gateway,) = self.gateways
        reference = self.reference(gateway)
        self.assertGreater(reference, 0)
        gateway.say(signalling.with_reference(ALERTING, reference))
        (told,) = phone.told()
        self.assertEqual((told.message.call_reference, told.message.from_destination), (0, True))
        phone.say(signalling.with_reference(release(), 0))
        self.assertEqual((words(gateway.told()), len(self.table)), (["SETUP", "RELEASE_COMPLETE"], 0))

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
        """The other side is told RELEASE COMPLETE, and its connection is closed."""
        for by_phone in (True, False):
            phone, gateway, reference = self.carried()
            (phone if by_phone else gateway).hang_up()
            (told,) = (gateway if by_phone else phone).told()
            self.assertEqual(told.message.type, MessageType.RELEASE_COMPLETE)
            self.assertEqual(told.message.call_reference, reference if by_phone else 4711)
            self.assertEqual(told.message.from_destination, not by_phone)
            self.assertEqual((len(self.table), phone.is_open, gateway.is_open), (0, False, False))

    def test_a_caller_with_another_call_stays(self) -> None:
        """A gateway that closes ends its own call alone."""
        phone, first, _ = self.carried()
        phone.say(SECOND_SETUP)
        first.hang_up()
        self.assertEqual((len(self.table), phone.is_open), (1, True))
        phone.hang_up()

    def test_a_second_call_on_the_same_connection(self) -> None:
        """Is an attempt of its own; the end of the one does not end the other, that of the connection ends both.

        Neither ends a call of another connection, though it has the same call reference.
        """
        other, another, _ = self.carried()
        phone, first, _ = self.carried()
        phone.say(SECOND_SETUP)
        self.assertEqual((len(self.table), len(self.decisions.asked)), (3, 3))
        phone.say(release())
        self.assertEqual(len(self.table), 2)
        self.assertFalse(first.is_open)
        phone.hang_up()
        self.assertEqual(len(self.table), 1)
        self.assertEqual(words(self.gateways[2].told()), ["SETUP", "RELEASE_COMPLETE"])
        self.assertTrue(other.is_open and another.is_open)
        other.hang_up()

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

    def test_status_enquiry_while_nobody_else_is_there(self) -> None:
        """STATUS with the call's state: present before CALL PROCEEDING, outgoing call proceeding after it."""
        self.decisions.answer = Deferred[Acceptance](lambda decision: None)
        phone = self.phone()
        phone.say(SETUP_OCTETS, ENQUIRY)
        self.network.pass_time(callstate.PROCEEDING_AFTER)
        phone.say(ENQUIRY)
        told = phone.told()
        self.assertEqual(words(told), ["STATUS", "CALL_PROCEEDING", "STATUS"])
        self.assertEqual([each.message.get(Element.CALL_STATE) for each in told], [b"\x01", None, b"\x03"])
        self.assertEqual([each.message.cause for each in told], [30, None, 30])
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

    def test_what_is_kept_is_bounded(self) -> None:
        """A caller that has more to say waits for an answer."""
        phone = self.phone()
        phone.say(SETUP_OCTETS, *[FACILITY] * (MAX_KEPT + 5))
        self.assertEqual(words(self.gateways[0].told()), ["SETUP", *["FACILITY"] * MAX_KEPT])

    def test_a_connection_has_so_many_calls(self) -> None:
        """One more is refused with cause 47, and is no attempt; all end with the connection."""
        phone = self.phone()
        phone.say(*(signalling.with_reference(SETUP_OCTETS, number + 1) for number in range(MAX_CALLS + 1)))
        (refused,) = phone.told()
        self.assertEqual((refused.message.call_reference, refused.message.cause), (MAX_CALLS + 1, 47))
        self.assertEqual((len(self.table), len(self.decisions.asked)), (MAX_CALLS, MAX_CALLS))
        phone.hang_up()
        self.assertEqual(len(self.table), 0)

    def test_a_caller_that_goes_before_the_gateway_is_reached(self) -> None:
        """Nobody is called."""
        self.network.silent.add(GATEWAY)
        phone = self.phone()
        phone.say(SETUP_OCTETS)
        self.assertEqual(len(self.table), 1)
        phone.say(release())
        self.assertEqual((len(self.table), self.gateways), (0, []))


class TerminalTests(LadderTestCase):
    """Registered terminals are called before any gateway."""

    TERMINAL = ("192.0.2.30", 1720)

    def setUp(self) -> None:
        super().setUp()
        terminal = Terminal("1", self.TERMINAL, self.TERMINAL, None)
        self.successResultOf(self.terminals.register(("1234",), terminal, 60))

    def test_its_own_address(self) -> None:
        """It gets the SETUP, with its address for the called one."""
        self.network.there[self.TERMINAL] = self._taken
        self.phone().say(SETUP_OCTETS)
        (sent,) = self.gateways[0].told()
        assert sent.information is not None and isinstance(sent.information.body, uuie.Setup)
        self.assertEqual(sent.information.body.dest_call_signal_address, self.TERMINAL)

    def test_a_terminal_that_is_not_there(self) -> None:
        """No gateway is asked for it: unreachableDestination."""
        phone = self.phone()
        phone.say(SETUP_OCTETS)
        self.assertEqual((words(phone.told()), self.gateways), (["RELEASE_COMPLETE"], []))

    def test_one_that_ran_out(self) -> None:
        """Its number is a gateway's again."""
        self.network.pass_time(61)
        self.phone().say(SETUP_OCTETS)
        self.assertEqual(self.gateways[0].wire.getHost(), GATEWAY)

    def test_a_store_that_takes_its_time(self) -> None:
        """The call has its slot meanwhile, its caller hears that it proceeds; a broken store leaves the gateways."""
        waiting = Deferred[tuple[Address, ...]]()
        self.patch(self.relay, "_find", lambda called: waiting)
        phone = self.phone()
        phone.say(SETUP_OCTETS)
        self.network.pass_time(0.2)
        self.assertEqual((words(phone.told()), len(self.table)), (["CALL_PROCEEDING"], 1))
        waiting.errback(OSError("gone"))
        self.network.pass_time(0)
        self.assertEqual(self.gateways[0].wire.getHost(), GATEWAY)
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)

    def test_a_caller_that_does_not_wait_for_it(self) -> None:
        """Gives its slot back; nobody is called."""
        waiting = Deferred[tuple[Address, ...]]()
        self.patch(self.relay, "_find", lambda called: waiting)
        phone = self.phone()
        phone.say(SETUP_OCTETS)
        phone.hang_up()
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

    def test_t310_and_t301(self) -> None:
        """A called side that never rings, or rings and never answers: both sides are released, each with its cause."""
        for said, wait_s, cause in (
            ((PROCEEDING,), callstate.T310, q931.NO_RESPONSE),
            ((PROCEEDING, ALERTING), callstate.T301, q931.NO_ANSWER),
        ):
            phone = self.phone()
            phone.say(SETUP_OCTETS)
            gateway = self.gateways[-1]
            reference = self.reference(gateway)
            gateway.say(*(signalling.with_reference(each, reference) for each in said))
            self.network.pass_time(wait_s - 0.1)
            self.assertEqual(len(self.table), 1)
            self.network.pass_time(0.2)
            released = phone.told()[-1], gateway.told()[-1]
            self.assertEqual(words(list(released)), ["RELEASE_COMPLETE"] * 2)
            self.assertEqual([each.message.cause for each in released], [cause, q931.TIMER_EXPIRED])
            self.assertEqual((len(self.table), len(self.gateways)), (0, self.gateways.index(gateway) + 1))

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
