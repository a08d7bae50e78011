"""The eight messages: there and back, and everything that they must not be."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import msgpack
from twisted.trial.unittest import SynchronousTestCase

from voipshift.balance.factors import Factors
from voipshift.errors import ProtocolViolation
from voipshift.group.fields import pack, pack_map, unpack
from voipshift.group.messages import (
    MOST_LAPSED,
    Answer,
    Ask,
    Counts,
    Lapsed,
    Poll,
    Report,
    Statement,
    Withdraw,
    decode_answer,
    decode_ask,
    decode_lapsed,
    decode_pending,
    decode_poll,
    decode_report,
    decode_withdraw,
    encode_answer,
    encode_ask,
    encode_lapsed,
    encode_pending,
    encode_poll,
    encode_report,
    encode_statement,
    encode_withdraw,
)
from voipshift.node import Acceptance, CallAttempt, Load, NodeIdentity

LOADS = (Load("a", 1_700_000_000_000, 7, 0.25, 100.0, 1), Load("b", 3, 1, 1.0, 1000.0, 0, 17))
ATTEMPT = CallAttempt(b"i" * 16, "sip/udp", "sip:ä@x", "+49 30", "sip:+4930@x;user=phone", ("2001:db8::1", 5060), True)
IDENTITY = NodeIdentity("b", {"sip/udp": ("192.0.2.7", 5060), "h225/tcp": ("b.example.com", 1720)})
FACTORS = Factors("north", 2.5, ("voicemail",), 0.75, 1.5)
STATEMENT = Statement(
    LOADS[1], IDENTITY.doors, Counts(1, 2, 3, 4, 5, 6, 7, 8), (3, 1, 0, 1), 4, ((1, 7.0, 0.5),), FACTORS
)
REPORT = Report(STATEMENT, IDENTITY, ("10.0.0.2", 7400), (("c", ("10.0.0.3", 7400)),), b"c" * 8, b"e" * 8)
ASK = Ask(5, ATTEMPT, LOADS, 1.25, "a")
ACCEPTANCE = Acceptance(IDENTITY, "0123456789abcdef" * 2, LOADS, 1)

#: Each message once: its octets, and what reads them.
MESSAGES: list[tuple[bytes, Callable[[dict[Any, Any]], object], object]] = [
    (encode_report(encode_statement(STATEMENT, REPORT.address), *REPORT[3:]), decode_report, REPORT),
    (encode_ask(ASK), decode_ask, ASK),
    (
        encode_ask(ASK.replace(attempt=ATTEMPT.replace(reply=b"Via: x\r\n"))),
        decode_ask,
        ASK.replace(attempt=ATTEMPT.replace(reply=b"Via: x\r\n")),
    ),
    (encode_pending(9), decode_pending, 9),
    (encode_answer(5, LOADS, ACCEPTANCE), decode_answer, Answer(5, LOADS, ACCEPTANCE)),
    (encode_answer(5, LOADS, None), decode_answer, Answer(5, LOADS, None)),
    (
        encode_answer(5, LOADS, ACCEPTANCE.replace(told=True)),
        decode_answer,
        Answer(5, LOADS, ACCEPTANCE.replace(told=True)),
    ),
    (encode_withdraw(Withdraw(1, b"i" * 16, ask=5)), decode_withdraw, Withdraw(1, b"i" * 16, 5)),
    (
        encode_withdraw(Withdraw(1, b"i" * 16, node="b", lease="ab" * 16)),
        decode_withdraw,
        Withdraw(1, b"i" * 16, 0, "b", "ab" * 16),
    ),
    (
        encode_lapsed(Lapsed(((b"i" * 16, "ab" * 16),), (1, 2))),
        decode_lapsed,
        Lapsed(((b"i" * 16, "ab" * 16),), (1, 2)),
    ),
    (encode_poll(Poll(b"c" * 8, ("::1", 7400))), decode_poll, Poll(b"c" * 8, ("::1", 7400))),
]
#: What no field of ours may be.
WRONG: list[object] = [
    None, True, -1, 1 << 60, 1.5, math.nan, math.inf, "", "x" * 1100, b"", b"x" * 1100, [], [None] * 3, [1] * 70, {},
    {1: 2}, msgpack.Timestamp(1), msgpack.ExtType(5, b"x"),
]  # fmt: skip


class MessageTests(SynchronousTestCase):
    """All of them."""

    def test_what_cannot_be_packed_leaves_nothing_behind(self) -> None:
        """The message after it is whole."""
        self.assertRaises(UnicodeEncodeError, pack_map, [(1, 5), (2, "\ud800")])
        self.assertRaises(TypeError, pack_map, [(1, 5), (2, object())])
        self.assertEqual(unpack(pack_map([(1, 2)])), {1: 2})
        self.assertEqual(unpack(pack({3: 4})), {3: 4})

    def test_there_and_back(self) -> None:
        """What was encoded is decoded."""
        for octets, decode, message in MESSAGES:
            self.assertEqual(decode(unpack(octets)), message)

    def test_without_what_may_be_missing(self) -> None:
        """A Report needs no others, no challenge and no echo; unlimited is None."""
        statement = Statement(LOADS[1], {})
        fields = encode_statement(statement, REPORT.address)
        self.assertEqual(
            decode_report(unpack(encode_report(fields))), Report(statement, NodeIdentity("b", {}), REPORT.address)
        )
        self.assertNotIn(8, unpack(encode_report(fields)))

    def test_from_a_later_version(self) -> None:
        """Unknown keys, and more elements in an array, are skipped."""
        for octets, decode, message in MESSAGES:
            self.assertEqual(decode(unpack(octets) | {99: "new", "word": [1]}), message)
        fields = unpack(MESSAGES[1][0])
        fields[10] = [[*load, "new"] for load in fields[10]]
        self.assertEqual(decode_ask(fields), ASK)

    def test_from_an_earlier_version(self) -> None:
        """A load has no reason there; one that is no number is none of ours."""
        fields = unpack(MESSAGES[1][0])
        fields[10] = [load[:6] for load in fields[10]]
        self.assertEqual([load.reason for load in decode_ask(fields).path], [0, 0])
        for wrong in (-1, 256, "full", True, None):
            fields[10] = [[*load[:6], wrong] for load in fields[10]]
            self.assertRaises(ProtocolViolation, decode_ask, fields)

    def test_each_field_wrong(self) -> None:
        """Any field replaced by anything, or left out, is read or is a ProtocolViolation, never another error."""
        violations = 0
        for octets, decode, _ in MESSAGES:
            for key in unpack(octets):
                for wrong in [*WRONG, KeyError]:
                    fields = unpack(octets)
                    if wrong is KeyError:
                        del fields[key]
                    else:
                        fields[key] = wrong
                    try:
                        decode(fields)
                    except ProtocolViolation:
                        violations += 1
        self.assertGreater(violations, 600)

    def test_each_element_wrong(self) -> None:
        """The same for each element of each array."""
        for octets, decode, _ in MESSAGES:
            for key, value in unpack(octets).items():
                for index in range(len(value)) if isinstance(value, list) else ():
                    for wrong in WRONG:
                        fields = unpack(octets)
                        fields[key][index] = wrong
                        try:
                            decode(fields)
                        except ProtocolViolation:
                            continue

    def test_cut(self) -> None:
        """Cut at every octet, or with a tail, it is no message."""
        for octets, _, _ in MESSAGES:
            for end in range(len(octets)):
                self.assertRaises(ProtocolViolation, unpack, octets[:end])
            self.assertRaises(ProtocolViolation, unpack, octets + b"\0")

    def test_no_map(self) -> None:
        """A body is one map whose keys can be keys."""
        for octets in (pack([1]), pack(5), b"\x81\x90\x01", b"\x81\x80\x01", b"\xc1", b"", b"\x91" * 1000):
            self.assertRaises(ProtocolViolation, unpack, octets)

    def test_bounds(self) -> None:
        """The bounds that matter most, one by one."""
        for fields, changes in (
            (unpack(encode_ask(ASK)), {2: b"i" * 15}),
            (unpack(encode_ask(ASK)), {9: 1}),
            (unpack(encode_ask(ASK)), {11: 60_001}),
            (unpack(encode_ask(ASK)), {12: "x" * 65}),
            (unpack(encode_ask(ASK)), {10: [LOADS[0].fields()] * 17}),
            (unpack(encode_ask(ASK)), {10: [["a", 1, 1, math.nan, 1.0, 0]]}),
            (unpack(encode_ask(ASK)), {10: [["a", 1, 1, 0.5, -1.0, 0]]}),
            (unpack(encode_ask(ASK)), {8: 65_536}),
        ):
            self.assertRaises(ProtocolViolation, decode_ask, fields | changes)
        for address in (["example.com", 1], ["239.1.1.1", 1], ["0.0.0.0", 1], ["255.255.255.255", 1], ["10.0.0.1", 0]):
            self.assertRaises(ProtocolViolation, decode_poll, {1: b"c" * 8, 2: address})
        one = [b"i" * 16, b"l" * 16]
        self.assertRaises(ProtocolViolation, decode_lapsed, {1: [one] * (MOST_LAPSED + 1)})

    def test_amounts_are_finite(self) -> None:
        """An infinite occupancy or capacity is read as a very large one."""
        load = Load("a", 1, 1, math.inf, math.inf)
        answer = decode_answer(unpack(encode_answer(1, (load,), None)))
        self.assertEqual(answer.visited[0], load.replace(occupancy=1e9, capacity=1e9))

    def test_most_lapsed_fit(self) -> None:
        """The most leases of one Lapsed are below 1200 octets with the longest names."""
        lapsed = Lapsed(tuple((bytes(16), "00" * 16) for _ in range(MOST_LAPSED)))
        self.assertLess(len(encode_lapsed(lapsed)) + 40 + 64 + 64 + 12 + 16 + 17, 1200)
