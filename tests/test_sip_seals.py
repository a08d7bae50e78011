"""Seals: what a member says within a request, and nobody else."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from voipshift.errors import ProtocolViolation
from voipshift.group.keys import Keys
from voipshift.sip.message import Request, request
from voipshift.sip.seals import FRESH_S, WARN_S, Seals
from voipshift.sip.transaction import Hop
from voipshift.sip.uri import SipUri

PLACE = ("192.0.2.2", 5060)
RECORD = "<sip:192.0.2.2:5060;lr>"
FLOW = Hop("198.51.100.20", 40000, 3)


def asked(
    method: str = "INVITE", uri: str = "sip:b@192.0.2.2", call_id: str = "1", number: int = 1, to_tag: str = ""
) -> Request:
    """A request of a caller."""
    lines = [("Via", "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKcaller"), ("From", "<sip:a@x>;tag=a")]
    lines += [("To", f"<sip:b@x>{to_tag}"), ("Call-ID", call_id), ("CSeq", f"{number} {method}")]
    return request(method, uri, lines)


class Warnings:
    """In place of a log."""

    def __init__(self, said: list[str]) -> None:
        self._said = said

    def warn(self, text: str, **values: object) -> None:
        self._said.append(text)


class SealsTestCase(SynchronousTestCase):
    """Two nodes of a group, and one of another."""

    def setUp(self) -> None:
        self.time = 1_700_000_000.0
        self.here = self.seals(b"k")
        self.there = self.seals(b"k")
        self.stranger = self.seals(b"s")

    def seals(self, secret: bytes, **limits: int) -> Seals:
        return Seals(keys=Keys([secret * 32]), now=lambda: self.time, **limits)


class MarkTest(SealsTestCase):
    """A request that a member passes on."""

    def marked(self, by: Seals, branch: str = "z9hG4bK1", **more: str) -> Request:
        """A request as it leaves a node."""
        made = asked(**more)  # type: ignore[arg-type]
        made.prepend("Via", f"SIP/2.0/UDP 192.0.2.1:5060;branch={branch};{by.mark(made, branch)}")
        return made

    def test_it_is_believed_once(self) -> None:
        """By any node of the group; a second time it is a copy."""
        made = self.marked(self.here)
        self.assertTrue(self.there.is_marked(made))
        self.assertFalse(self.there.is_marked(made))

    def test_it_is_a_members(self) -> None:
        """Not a stranger's, and not what was never a seal."""
        self.assertFalse(self.there.is_marked(self.marked(self.stranger)))
        for mark in ("", "=0", f"={'0' * 40}", f"={'z' * 40}", "=%00"):
            made = asked()
            made.set("Via", f"SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1;passed-on{mark}")
            self.assertFalse(self.there.is_marked(made), mark)

    def test_it_is_good_in_no_other_request(self) -> None:
        """Another method, Request-URI, Call-ID or branch."""
        good = self.marked(self.here)
        value = good.values("Via")[0]
        for other in (asked("MESSAGE"), asked(uri="sip:c@192.0.2.2"), asked(call_id="2")):
            other.prepend("Via", value)
            self.assertFalse(self.there.is_marked(other))
        other = asked()
        other.prepend("Via", value.replace("z9hG4bK1", "z9hG4bK2"))
        self.assertFalse(self.there.is_marked(other))
        self.assertTrue(self.there.is_marked(good))

    def test_it_ends(self) -> None:
        """After five minutes; clocks may be apart by as much in either direction."""
        for apart, believed in ((FRESH_S - 1, True), (FRESH_S + 2, False), (-FRESH_S + 1, True), (-FRESH_S - 2, False)):
            made = self.marked(self.here, branch=f"z9hG4bK{apart:g}")
            self.time += apart
            self.assertEqual(self.there.is_marked(made), believed, apart)
            self.time -= apart

    def test_a_clock_that_is_wrong_is_told_of(self) -> None:
        """Once an hour, however often it happens."""
        warnings: list[str] = []
        self.patch(self.there, "_log", Warnings(warnings))
        for after in (FRESH_S + 100, 0.0, WARN_S):
            made = self.marked(self.here)
            self.time += after + (FRESH_S + 100 if after != FRESH_S + 100 else 0)
            self.assertFalse(self.there.is_marked(made))
        self.assertEqual(len(warnings), 2)
        self.assertIn("set the clocks", warnings[0])

    def test_what_is_remembered_is_bounded(self) -> None:
        """Of more than fit the oldest is forgotten, and then none of its second is believed; those that are over go."""
        there = self.seals(b"k", max_used=2)
        early = [self.marked(self.here, f"z9hG4bKe{number}") for number in range(3)]
        self.time += 1
        late = [self.marked(self.here, f"z9hG4bKl{number}") for number in range(2)]
        self.assertEqual([there.is_marked(each) for each in (*early[:2], late[0])], [True] * 3)
        self.assertEqual([there.is_marked(each) for each in (early[0], early[2], late[0])], [False] * 3)
        self.time += FRESH_S
        self.assertTrue(there.is_marked(self.marked(self.here, "z9hG4bKm")))
        self.assertEqual(len(there._used), 2)


class FlowTest(SealsTestCase):
    """A Route value that leads into a flow."""

    def read(self, value: str, request: Request, by: Seals | None = None) -> Hop | None:
        return (by or self.there).flow(SipUri.parse(value.strip("<>")), request)

    def test_a_route_opens_a_call(self) -> None:
        """The flow is read by the node that holds it, for that request alone, and not for long."""
        value = self.here.route(RECORD, PLACE, FLOW, asked())
        self.assertEqual(self.read(value, asked()), FLOW)
        for other in (asked("MESSAGE"), asked(call_id="2"), asked(number=2), asked(to_tag=";tag=b")):
            self.assertIsNone(self.read(value, other))
        self.assertIsNone(self.read(value, asked(), self.stranger))
        self.time += FRESH_S + 2
        self.assertIsNone(self.read(value, asked()))

    def test_a_record_is_for_a_dialog(self) -> None:
        """For any request of it, however long it lasts; it opens no call."""
        value = self.here.record(RECORD, PLACE, FLOW, asked())
        self.time += 86400
        for number, method in enumerate(("ACK", "BYE", "INVITE")):
            self.assertEqual(self.read(value, asked(method, number=number, to_tag=";tag=b")), FLOW)
        self.assertIsNone(self.read(value, asked()))
        self.assertIsNone(self.read(value, asked("BYE", call_id="2", to_tag=";tag=b")))

    def test_it_is_read_as_it_was_written(self) -> None:
        """Another client, another port of the node, another node: nothing of it can be changed."""
        value = self.here.record(RECORD, PLACE, FLOW, asked())
        within = asked("BYE", to_tag=";tag=b")
        for was, now in (("198.51.100.20", "198.51.100.21"), ("-40000-", "-40001-"), ("-3-", "-4-"), (".2:", ".3:")):
            self.assertIsNone(self.read(value.replace(was, now), within), now)

    def test_an_ipv6_address(self) -> None:
        """It has no hyphen."""
        flow, place = Hop("2001:db8::7", 5060, 0), ("2001:db8::2", 5060)
        value = self.here.route("<sip:[2001:db8::2]:5060;transport=tcp;lr>", place, flow, asked())
        self.assertEqual(self.read(value, asked()), flow)

    def test_what_is_no_flow(self) -> None:
        """Nobody has sealed it, so that it leads nowhere; a number that is none is 400."""
        for said in ("", ";flow", ";flow=1", ";flow=a-1-1", ";flow=a-1-1-", f";flow=a-1-1-{'0' * 40}"):
            self.assertIsNone(self.read(f"<sip:192.0.2.2;lr{said}>", asked()), said)
        self.assertRaises(ProtocolViolation, self.read, "<sip:192.0.2.2;lr;flow=a-b-c-d>", asked())
