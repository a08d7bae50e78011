"""Calls of H.323 leave the same records as those of SIP."""

from __future__ import annotations

from tests.h323_ladder import ALERTING, CALL, CONNECT, LadderTestCase, release
from tests.h323_messages import SETUP_OCTETS
from tests.h323net import GATEWAY, PHONE, SPARE
from voipshift.calls.dialplan import DialPlan
from voipshift.calls.record import Record
from voipshift.calls.recorder import Recorder
from voipshift.h323 import signalling
from voipshift.h323.portal import DOOR, call_id_of
from voipshift.node import CallAttempt

BUSY = 17


class RecordTests(LadderTestCase):
    """What the recorder makes of each call that left the table."""

    def setUp(self) -> None:
        """A recorder that remembers, with the network's time."""
        self.kept: list[Record] = []
        self.recorder = Recorder(
            name="here", keep=self.kept.append, now=lambda: self.now(), wall=lambda: self.now(), octets=bytes
        )
        super().setUp()

    def now(self) -> float:
        return self.network.seconds()

    def record(self) -> Record:
        """Of the one call that has ended."""
        [call] = self.ended
        assert self.recorder is not None
        self.recorder.closed(call)
        return self.kept.pop()

    def test_a_call_that_was_answered(self) -> None:
        """Ids, who, whom, where, and when it rang, was answered and ended."""
        phone = self.phone()
        phone.say(SETUP_OCTETS)
        gateway = self.gateways[-1]
        reference = self.reference(gateway)
        for message in (ALERTING, CONNECT, release()):
            self.network.pass_time(2)
            gateway.say(signalling.with_reference(message, reference))
        found = self.record()
        self.assertEqual((found.call_id, found.door, found.client), (call_id_of(CALL), "h323", PHONE))
        self.assertEqual((found.code, found.gateway, found.accepted, found.entry), (200, GATEWAY, "here", "here"))
        assert found.alerted is not None and found.answered is not None
        times = (found.alerted - found.began, found.answered - found.began, found.duration_s)
        self.assertEqual(times, (2, 4, 2))

    def test_a_call_that_came_with_a_slot(self) -> None:
        """At the accept port: its record has the attempt that the slot was promised to, and its entry."""
        attempt = CallAttempt(b"\7" * 16, DOOR, "alice", "1234", "1234", PHONE, True)
        self.leases.grant(attempt, "primary", 1, self.now())
        phone, _, _ = self.carried(front=False)
        phone.hang_up()
        found = self.record()
        self.assertEqual((found.code, found.entry, found.attempt), (200, "primary", "07" * 16))

    def test_a_called_user_who_is_busy(self) -> None:
        """486, as if he had been called by SIP."""
        phone = self.phone()
        phone.say(SETUP_OCTETS)
        gateway = self.gateways[-1]
        gateway.say(signalling.with_reference(release(BUSY), self.reference(gateway)))
        found = self.record()
        self.assertEqual((found.code, found.gateway, found.answered), (486, GATEWAY, None))

    def test_a_caller_who_gives_up(self) -> None:
        """487."""
        phone = self.phone()
        phone.say(SETUP_OCTETS)
        phone.say(release())
        self.assertEqual(self.record().code, 487)

    def test_gateways_that_are_silent(self) -> None:
        """408, and the last one that was tried."""
        self.phone().say(SETUP_OCTETS)
        self.network.pass_time(20)
        found = self.record()
        self.assertEqual((found.code, found.gateway), (408, SPARE))

    def test_a_number_that_nobody_takes(self) -> None:
        """404, and sent nowhere."""
        self.relay._plan = DialPlan(())
        self.phone().say(SETUP_OCTETS)
        found = self.record()
        self.assertEqual((found.code, found.gateway), (404, None))
