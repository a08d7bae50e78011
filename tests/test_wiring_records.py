"""Whole nodes that keep records: one of each call, and one of each attempt that was not carried where it came."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import maybeDeferred

from tests.sipnet import GATEWAY, PHONE
from tests.test_tap import NodeTestCase
from voipshift.balance.reason import Reason
from voipshift.calls.dialplan import DialPlan
from voipshift.calls.record import Record
from voipshift.node import Load
from voipshift.store import sqlite
from voipshift.store.recordsqlite import SqliteRecords
from voipshift.tap import Node

PRIMARY, MEMBER = ("192.0.2.1", 5060), ("192.0.2.2", 5060)


class AtOnce:
    """A thread that does everything at once."""

    def __init__(self, reactor: object) -> None:
        self.stopped = False

    def __call__(self, called: Any, *parameters: object) -> Any:
        assert not self.stopped
        return maybeDeferred(called, *parameters)

    def stop(self) -> None:
        """It ends."""
        self.stopped = True


def told(path: tuple[Load, ...]) -> list[tuple[str, int]]:
    """Who decided, and why."""
    return [(load.node, load.reason) for load in path]


class RecordsTest(NodeTestCase):
    """A pure portal and a member with one slot, whose records go into one file."""

    def setUp(self) -> None:
        """They hear each other."""
        super().setUp()
        self.patch(sqlite, "WriteThread", AtOnce)
        self.primary = self.node(1, "primary", 0, ("192.0.2.2:5065",))
        self.member = self.node(2, "member", 1)
        self.network.advance(3)

    def node(self, number: int, name: str, limit: int, members: tuple[str, ...] = ()) -> Node:
        return self.start(number, name, limit, members, more='[records]\njson_lines = "calls.jsonl"\n')

    def records(self) -> list[Record]:
        """All that there are, each node's, the oldest first."""
        self.network.advance(0.3)
        store = SqliteRecords(str((self.folder / "records.sqlite").resolve()))
        found = [each for one in store.recent(0.0, 100) for each in store.of_call(one.attempt)]
        store.close()
        return sorted(found, key=lambda record: record.ended)

    def shifted(self, uri: str = "sip:100@192.0.2.1", call_id: str = "call-1") -> str:
        """Call the primary; the Contact of its 302."""
        invite = self.phone.request("INVITE", uri, call_id=call_id)
        self.phone.say(invite, PRIMARY)
        answer = self.phone.told(302)
        self.phone.acknowledge(invite, answer, PRIMARY)
        return (answer.get("Contact") or "").strip("<>")

    def test_a_call_that_was_shifted(self) -> None:
        """The member's record has the whole way and the times; the primary's names the member."""
        self.phone.say(self.phone.request("INVITE", self.shifted(), number=2), MEMBER)
        asked = self.gateway.asked("INVITE")
        self.network.advance(1)
        self.gateway.words()
        self.gateway.answer(asked, 180)
        self.phone.words()
        self.network.advance(2)
        self.gateway.answer(asked, 200)
        answer = self.phone.told(200)
        self.phone.say(self.phone.within("ACK", answer), MEMBER)
        self.gateway.asked("ACK")
        self.network.advance(4)
        self.phone.say(self.phone.within("BYE", answer, 3), MEMBER)
        self.gateway.answer(self.gateway.asked("BYE"), 200, fields=[("P-RTP-Stat", "PS=200,OS=32000,PR=1,OR=160")])
        shifted, call = self.records()
        way = [("primary", Reason.FULL), ("member", Reason.BELOW_THRESHOLD)]
        self.assertEqual((told(shifted.path), told(call.path)), (way, way))
        self.assertEqual(
            (shifted.node, shifted.accepted, shifted.code, shifted.gateway), ("primary", "member", 302, None)
        )
        self.assertEqual((call.node, call.accepted, call.code, call.gateway), ("member", "member", 200, GATEWAY))
        self.assertEqual((shifted.attempt, shifted.call_id), (call.attempt, call.call_id))
        self.assertEqual((call.caller, call.callee, call.client), ("sip:alice@example.org", "100", PHONE))
        self.assertEqual((call.entry, call.door, call.call_id), ("primary", "sip/udp", "call-1"))
        self.assertEqual((shifted.octets, call.octets), (None, 32_160))
        assert call.alerted is not None and call.answered is not None
        times = (call.alerted - call.began, call.answered - call.began, call.duration_s)
        for time, expected in zip(times, (1, 3, 4), strict=True):
            self.assertApproximates(time, expected, 1e-3)
        lines = (self.folder / "calls.jsonl").read_text().splitlines()
        self.assertEqual(len(lines), 2)

    def test_a_call_that_was_refused(self) -> None:
        """503 and why; a group that refuses calls unread still keeps their records."""
        self.shifted()
        self.network.advance(0.5)
        for number in range(3):
            self.phone.say(self.phone.request("INVITE", "sip:100@192.0.2.1", call_id=f"refused-{number}"), PRIMARY)
            self.phone.told(503)
        refused = self.records()[1:]
        self.assertEqual([each.call_id for each in refused], ["refused-0", "refused-1", "refused-2"])
        for each in refused:
            self.assertEqual((each.code, each.accepted, told(each.path)), (503, "", [("primary", Reason.ALL_FULL)]))
            self.assertEqual((each.caller, each.callee, each.client), ("sip:alice@example.org", "100", PHONE))

    def test_a_client_that_does_not_come(self) -> None:
        """The member's record says so, by the attempt that the primary's names too."""
        self.shifted()
        self.network.advance(11)
        shifted, lapsed = self.records()
        self.assertEqual((lapsed.node, lapsed.code, lapsed.accepted, lapsed.gateway), ("member", 408, "member", None))
        self.assertEqual(lapsed.attempt, shifted.attempt)

    def test_a_call_that_the_callee_refuses(self) -> None:
        """With his own final code."""
        self.phone.say(self.phone.request("INVITE", self.shifted(), number=2), MEMBER)
        self.gateway.answer(self.gateway.asked("INVITE"), 486)
        self.assertEqual([(each.code, each.gateway) for each in self.records()], [(302, None), (486, GATEWAY)])

    def test_a_number_that_nobody_takes(self) -> None:
        """Accepted, and sent nowhere."""
        self.member.proxy._gateways._plan = DialPlan(())
        self.phone.say(self.phone.request("INVITE", self.shifted(), number=2), MEMBER)
        self.phone.told(404)
        self.assertEqual([(each.node, each.code, each.gateway) for each in self.records()][1:], [("member", 404, None)])

    def test_a_client_that_gives_up_early(self) -> None:
        """Before anybody decided: 487."""
        self.network.cut.add(("192.0.2.2", 5065))
        invite = self.phone.request("INVITE", "sip:100@192.0.2.1")
        self.phone.say(invite, PRIMARY)
        cancel = self.phone.request("CANCEL", invite.uri)
        cancel.set("Via", str(invite.via))
        self.phone.say(cancel, PRIMARY)
        [given_up] = self.records()
        self.assertEqual((given_up.code, given_up.accepted, given_up.path), (487, "", ()))

    def test_a_node_that_stops(self) -> None:
        """What waits is written, and what is under way is recorded as far as it went."""
        self.phone.say(self.phone.request("INVITE", self.shifted(), number=2), MEMBER)
        self.gateway.answer(self.gateway.asked("INVITE"), 180)
        self.stop(self.member)
        self.stop(self.primary)
        shifted, call = self.records()
        self.assertEqual((shifted.code, call.code, call.answered), (302, 0, None))

    def test_a_client_that_takes_a_new_call_id(self) -> None:
        """Some do on their way to the member: the attempt ties both records."""
        self.phone.say(self.phone.request("INVITE", self.shifted(), call_id="new"), MEMBER)
        self.gateway.answer(self.gateway.asked("INVITE"), 404)
        shifted, call = self.records()
        self.assertEqual((shifted.call_id, call.call_id, shifted.attempt), ("call-1", "new", call.attempt))


class UnrecordedTest(NodeTestCase):
    """A node without ``[records]``."""

    def test_nothing_is_kept(self) -> None:
        """No file, no reasons on the way, and nothing held for a call."""
        node = self.start(1, "primary")
        invite = self.phone.request("INVITE", "sip:100@192.0.2.1")
        self.phone.say(invite, PRIMARY)
        self.gateway.answer(self.gateway.asked("INVITE"), 200)
        [call] = node.table
        self.assertIsNone(call.origin)
        self.assertFalse(node.delegation.explains)
        self.assertEqual(list(self.folder.glob("records*")), [])
