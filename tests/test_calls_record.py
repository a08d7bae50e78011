"""Records of calls: what is made of a call, and how it is told."""

from __future__ import annotations

import math

from twisted.trial.unittest import SynchronousTestCase

from tests.records import ATTEMPT, CALL, NOON, REFUSED, SHIFTED, WAY
from voipshift.calls.record import LONGEST_TEXT, Record, address_of, document, path_of, plain, steps, written
from voipshift.calls.recorder import REGISTRATIONS, Recorder
from voipshift.calls.resettlement import REGISTERS
from voipshift.calls.table import Call, End
from voipshift.h323.registry import NOBODY
from voipshift.node import Acceptance, Load, NodeIdentity
from voipshift.store.recordrow import record_of, row_of


class RecordTests(SynchronousTestCase):
    """The value, and its ways to and from a store."""

    def test_a_row_there_and_back(self) -> None:
        """Nothing is lost."""
        for record in (CALL, SHIFTED, REFUSED):
            self.assertEqual(record_of(row_of(record)), record)

    def test_addresses(self) -> None:
        """Of both IP versions; none is an empty text."""
        for address in (("192.0.2.1", 5060), ("2001:db8::1", 5060), None):
            self.assertEqual(address_of(written(address)), address)

    def test_a_path_without_limits_and_of_a_later_version(self) -> None:
        """JSON has no infinity; a reason that is not known here keeps its number."""
        path = (Load("a", 0, 0, 0.0, math.inf), Load("b", 0, 0, 0.5, 2.0, reason=200))
        self.assertEqual(path_of('[{"node": "a", "occupancy": 0.0, "capacity": null, "reason": "untold"}]'), path[:1])
        self.assertEqual(steps(path)[0]["capacity"], None)
        self.assertEqual(steps(path)[1]["reason"], "reason_200")
        self.assertEqual(record_of(row_of(CALL._replace(path=path))).path, path)

    def test_a_text_is_bounded(self) -> None:
        """Whatever a client sends."""
        self.assertEqual(len(plain("x" * 100_000)), LONGEST_TEXT)
        self.assertEqual(plain("\0\ud800"), "\ufffd?")

    def test_how_long_the_ends_could_speak(self) -> None:
        """Not at all before the answer, nor when a clock was set back."""
        self.assertEqual(CALL.duration_s, 60.0)
        self.assertEqual(SHIFTED.duration_s, 0.0)
        self.assertEqual(CALL._replace(ended=NOON).duration_s, 0.0)
        self.assertEqual(document(CALL)["duration_s"], 60.0)


class Slot:
    """A lease."""

    attempt = ATTEMPT.replace(call_id="")
    entry = "primary"
    visited = WAY


class RecorderTests(SynchronousTestCase):
    """What happened, as records."""

    def setUp(self) -> None:
        """The calls' clock began long after 1970."""
        self.now = 100.0
        self.kept: list[Record] = []
        self.recorder = Recorder(
            name="member",
            keep=self.kept.append,
            now=lambda: self.now,
            wall=lambda: NOON + self.now,
            octets=lambda number: b"\x55" * number,
        )

    def call(self) -> Call:
        """A call that was answered and is over."""
        caller = End("<sip:alice@example.com>;tag=1", "", (), CALL.client, False)
        call = Call(("a84b4c76e66710@pc33.example.com", "1"), caller, 1, 0, 0.0)
        call.gateway = CALL.gateway
        call.alerted, call.answered, self.now = 0.5, 2.25, 62.25
        call.status, call.octets = 200, 960_000
        return call

    def test_a_call_that_came_with_a_slot(self) -> None:
        """It has the way of its attempt; times are those of the wall."""
        call = self.call()
        call.origin = self.recorder.arrived(Slot(), CALL.call_id)
        self.recorder.closed(call)
        self.assertEqual(self.kept, [CALL])

    def test_a_call_of_which_the_origin_is_not_known(self) -> None:
        """Its slot lapsed while the called user was looked for: what the call itself tells, by an id of its own."""
        self.assertIsNone(self.recorder.arrived(None, "x"))
        self.recorder.closed(self.call())
        [found] = self.kept
        self.assertEqual((found.attempt, found.path, found.entry), ("55" * 16, (), "member"))
        self.assertEqual((found.call_id, found.client, found.code), (CALL.call_id, CALL.client, 200))

    def test_a_place_for_a_registration_is_no_call(self) -> None:
        """By SIP or by RAS: that nobody came for it is not recorded."""
        self.assertEqual(REGISTRATIONS, (REGISTERS, NOBODY))
        for callee in ("REGISTER sip:alice@example.com", NOBODY):
            slot = Slot()
            slot.attempt = ATTEMPT.replace(callee=callee)
            self.recorder.lapsed([slot])
        self.assertEqual(self.kept, [])

    def test_attempts(self) -> None:
        """Shifted, refused, given up, not served, not fetched."""
        accepted = Acceptance(NodeIdentity("other", {}), "c" * 32, WAY, 1)
        self.recorder.shifted(ATTEMPT, accepted, 0.25)
        self.recorder.refused(ATTEMPT, WAY[:1], 503, 0.5)
        self.recorder.unserved(self.recorder.arrived(Slot(), "new"), 404)
        self.recorder.unserved(None, 404)
        self.recorder.lapsed([Slot(), Slot()])
        told = [(each.code, each.accepted, each.entry, each.call_id, each.ended - each.began) for each in self.kept]
        self.assertEqual(
            told,
            [
                (302, "other", "member", ATTEMPT.call_id, 0.25),
                (503, "", "member", ATTEMPT.call_id, 0.5),
                (404, "member", "primary", "new", 0.0),
                (408, "member", "primary", "", 0.0),
                (408, "member", "primary", "", 0.0),
            ],
        )
        self.assertEqual({each.attempt for each in self.kept}, {ATTEMPT.id.hex()})
