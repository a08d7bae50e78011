"""The demo's caller and its gateway, back to back, and in front of a server that redirects."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from voipshift.demo.caller import Caller, Ended
from voipshift.demo.gateway import Gateway
from voipshift.demo.summary import Outcome
from voipshift.node import Address
from voipshift.sip.message import Request, Response, parse, request
from voipshift.sip.uri import SipUri

CALLER = ("127.0.0.1", 6001)
GATEWAY = ("127.0.0.1", 6002)
PRIMARY = ("127.0.0.1", 6003)

DELAY_S = 0.001


class Wire:
    """A network that remembers each datagram and loses those that ``lost`` names.

    :ivar seen: where from, where to, and the message, in the order in which they were sent
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ports: dict[Address, Callable[[bytes, Address], None]] = {}
        self.seen: list[tuple[Address, Address, Request | Response]] = []
        self.lost: Callable[[Request | Response], bool] = lambda message: False

    def attach(self, address: Address, received: Callable[[bytes, Address], None]) -> Callable[[bytes, Address], None]:
        """Open a port."""
        self._ports[address] = received

        def send(octets: bytes, to: Address) -> None:
            to = (to[0], to[1])
            message = parse(octets)
            self.seen.append((address, to, message))
            if to in self._ports and not self.lost(message):
                self._clock.callLater(DELAY_S, self._ports[to], octets, address)

        return send

    def ladder(self) -> list[str]:
        """Each message as a word: its method, or its status and the method that it answers."""
        return [word(message) for _, _, message in self.seen]


def word(message: Request | Response) -> str:
    """A message in short."""
    return message.method if isinstance(message, Request) else f"{message.status} {message.cseq[1]}"


class Redirector:
    """A server that answers every INVITE with one response, and remembers what it was asked."""

    def __init__(self, wire: Wire, status: int, contact: str | None) -> None:
        self._send = wire.attach(PRIMARY, self._received)
        self._status = status
        self._fields = [("Contact", contact)] if contact else []
        self.asked: list[Request] = []

    def _received(self, octets: bytes, source: Address) -> None:
        asked = parse(octets)
        assert isinstance(asked, Request)
        self.asked.append(asked)
        if asked.method != "ACK":
            self._send(asked.response(self._status, to_tag="there", fields=self._fields).octets(), source)


class CallTestCase(SynchronousTestCase):
    """A caller and a gateway on one wire."""

    ring_s = 0.0

    def setUp(self) -> None:
        self.clock = Clock()
        self.wire = Wire(self.clock)
        self.gateway = Gateway(self.clock, self.ring_s)
        self.gateway.begin(self.wire.attach(GATEWAY, self.gateway.received), GATEWAY)
        self.said: list[str] = []
        self.caller = Caller(self.clock, self.said.append)
        self.caller.begin(self.wire.attach(CALLER, self.caller.received), CALLER)

    def tearDown(self) -> None:
        self.caller.stop()
        self.gateway.stop()
        self.wire.lost = lambda message: True
        self.run_for(1.0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def run_for(self, duration_s: float) -> None:
        """Step from deadline to deadline."""
        until = self.clock.seconds() + duration_s
        while calls := [call.getTime() for call in self.clock.getDelayedCalls() if call.getTime() <= until]:
            self.clock.advance(max(0.0, min(calls) - self.clock.seconds()))
        self.clock.advance(until - self.clock.seconds())

    def call(self, to: Address = GATEWAY, hold_s: float = 2.0) -> Deferred[Ended]:
        """Place a call."""
        return self.caller.call(SipUri.parse(f"sip:100@{to[0]}:{to[1]}"), hold_s)


class PlainCallTest(CallTestCase):
    """Without a redirect."""

    def test_a_call_from_invite_to_bye(self) -> None:
        over = self.call()
        self.run_for(1.0)
        self.assertEqual(len(self.gateway), 1)
        self.assertNoResult(over)
        self.run_for(1.1)
        self.assertEqual(self.wire.ladder(), ["INVITE", "180 INVITE", "200 INVITE", "ACK", "BYE", "200 BYE"])
        ended = self.successResultOf(over)
        self.assertEqual((ended.outcome, ended.redirects), (Outcome.COMPLETED, 0))
        self.assertAlmostEqual(ended.setup_s or 0.0, 2 * DELAY_S)
        self.assertEqual(len(self.gateway), 0)

    def test_whatever_is_lost_once_is_sent_again(self) -> None:
        """UDP loses; T1, T2 and the 2xx of 13.3.1.4 make up for it."""
        for lost in ("INVITE", "180 INVITE", "200 INVITE", "ACK", "BYE", "200 BYE"):
            dropped: list[str] = []

            def lose(message: Request | Response, lost: str = lost, dropped: list[str] = dropped) -> bool:
                hit = not dropped and word(message) == lost
                dropped.extend([lost] * hit)
                return hit

            self.wire.lost = lose
            over = self.call()
            self.run_for(8.0)
            self.assertEqual(dropped, [lost])
            self.assertEqual(self.successResultOf(over).outcome, Outcome.COMPLETED, lost)
            self.assertEqual(len(self.gateway), 0, lost)

    def test_no_answer_at_all_fails_after_32_s(self) -> None:
        over = self.call(("127.0.0.1", 9))
        self.run_for(31.9)
        self.assertNoResult(over)
        self.run_for(0.2)
        self.assertEqual(self.successResultOf(over).outcome, Outcome.FAILED)
        self.assertEqual(self.wire.ladder(), ["INVITE"] * 7)

    def test_a_bye_without_an_answer_is_a_failed_call(self) -> None:
        self.wire.lost = lambda message: word(message) == "BYE"
        over = self.call()
        self.run_for(40.0)
        ended = self.successResultOf(over)
        self.assertEqual(ended.outcome, Outcome.FAILED)
        self.assertIsNotNone(ended.setup_s)

    def test_many_calls_at_once_keep_apart(self) -> None:
        calls = [self.call() for _ in range(50)]
        self.run_for(1.0)
        self.assertEqual(len(self.gateway), 50)
        self.run_for(2.0)
        self.assertEqual({self.successResultOf(call).outcome for call in calls}, {Outcome.COMPLETED})

    def test_octets_that_are_no_sip_change_nothing(self) -> None:
        over = self.call()
        for octets in (b"", b"\r\n\r\n", b"\xff" * 100, b"SIP/2.0 200\r\n\r\n", b"INVITE sip:x SIP/2.0\r\n\r\n"):
            self.caller.received(octets, GATEWAY)
            self.gateway.received(octets, CALLER)
        self.run_for(3.0)
        self.assertEqual(self.successResultOf(over).outcome, Outcome.COMPLETED)


class RedirectedCallTest(CallTestCase):
    """The seed's FIG. 5."""

    def test_it_connects_where_the_302_says(self) -> None:
        primary = Redirector(self.wire, 302, f"<sip:100@{GATEWAY[0]}:{GATEWAY[1]};lease=0123456789abcdef>")
        over = self.call(PRIMARY)
        self.run_for(3.0)
        ended = self.successResultOf(over)
        self.assertEqual((ended.outcome, ended.redirects), (Outcome.COMPLETED, 1))
        self.assertEqual([asked.method for asked in primary.asked], ["INVITE", "ACK"])
        second = next(message for _, to, message in self.wire.seen if to == GATEWAY)
        assert isinstance(second, Request)
        first = primary.asked[0]
        self.assertEqual(second.uri, "sip:100@127.0.0.1:6002;lease=0123456789abcdef")
        self.assertEqual((second.call_id, second.from_tag, second.to_tag), (first.call_id, first.from_tag, None))
        self.assertEqual(second.cseq, (first.cseq[0] + 1, "INVITE"))
        self.assertEqual(str(second.to), str(first.to))

    def test_the_set_up_time_begins_with_the_first_invite(self) -> None:
        Redirector(self.wire, 302, f"<sip:100@{GATEWAY[0]}:{GATEWAY[1]}>")
        over = self.call(PRIMARY)
        self.run_for(3.0)
        self.assertAlmostEqual(self.successResultOf(over).setup_s or 0.0, 4 * DELAY_S)

    def test_a_loop_of_redirects_ends(self) -> None:
        primary = Redirector(self.wire, 302, f"<sip:100@{PRIMARY[0]}:{PRIMARY[1]}>")
        over = self.call(PRIMARY)
        self.run_for(3.0)
        self.assertEqual(self.successResultOf(over).outcome, Outcome.FAILED)
        self.assertEqual([asked.method for asked in primary.asked], ["INVITE", "ACK"] * 6)

    def test_a_redirect_to_nowhere_fails(self) -> None:
        for contact in (None, "<mailto:100@example.com>", "<tel:100>", "nonsense"):
            Redirector(self.wire, 302, contact)
            over = self.call(PRIMARY)
            self.run_for(3.0)
            self.assertEqual(self.successResultOf(over).outcome, Outcome.FAILED, contact)

    def test_503_is_refused_and_anything_else_failed(self) -> None:
        for status, outcome in (
            (503, Outcome.REFUSED),
            (404, Outcome.FAILED),
            (486, Outcome.FAILED),
            (603, Outcome.FAILED),
        ):
            primary = Redirector(self.wire, status, None)
            over = self.call(PRIMARY)
            self.run_for(1.0)
            ended = self.successResultOf(over)
            self.assertEqual((ended.outcome, ended.setup_s), (outcome, None))
            self.assertEqual([asked.method for asked in primary.asked], ["INVITE", "ACK"])


class RingingTest(CallTestCase):
    """While it rings."""

    ring_s = 3.0

    def test_it_rings_and_is_answered(self) -> None:
        over = self.call()
        self.run_for(2.9)
        self.assertEqual(self.wire.ladder(), ["INVITE", "180 INVITE"])
        self.run_for(3.0)
        self.assertEqual(self.successResultOf(over).outcome, Outcome.COMPLETED)

    def test_hanging_up_while_it_rings_cancels(self) -> None:
        call = self.caller.place(SipUri.parse("sip:100@127.0.0.1:6002"), 2.0)
        self.run_for(1.0)
        call.hang_up()
        self.run_for(1.0)
        self.assertEqual(self.wire.ladder(), ["INVITE", "180 INVITE", "CANCEL", "200 CANCEL", "487 INVITE", "ACK"])
        self.assertEqual(self.successResultOf(call.ended).outcome, Outcome.FAILED)
        self.assertEqual(len(self.gateway), 0)

    def test_a_call_answered_after_it_was_given_up_is_hung_up(self) -> None:
        self.gateway.stop()
        self.gateway = Gateway(self.clock, 33.0)
        self.gateway.begin(self.wire.attach(GATEWAY, self.gateway.received), GATEWAY)
        self.wire.lost = lambda message: word(message) == "CANCEL"
        over = self.call()
        self.run_for(32.5)
        self.assertEqual(self.successResultOf(over).outcome, Outcome.FAILED)
        self.run_for(2.0)
        ladder = [each for each in self.wire.ladder() if each != "CANCEL"]
        self.assertEqual(ladder, ["INVITE", "180 INVITE", "200 INVITE", "ACK", "BYE", "200 BYE"])
        self.assertEqual(len(self.gateway), 0)


class GatewayTest(CallTestCase):
    """The gateway as any client sees it."""

    def setUp(self) -> None:
        super().setUp()
        self.send = self.wire.attach(PRIMARY, lambda octets, source: self.answers.append(parse(octets)))
        self.answers: list[Request | Response] = []

    def ask(self, method: str, *, tag: str = "", number: int = 1) -> list[str]:
        """Send a request and collect what comes within a second."""
        fields = [
            ("Via", f"SIP/2.0/UDP {PRIMARY[0]}:{PRIMARY[1]};branch=z9hG4bK{method}{number}"),
            ("Max-Forwards", "70"),
            ("From", "<sip:me@127.0.0.1>;tag=mine"),
            ("To", f"<sip:100@127.0.0.1>{tag}"),
            ("Call-ID", "x"),
            ("CSeq", f"{number} {method}"),
            ("Record-Route", "<sip:127.0.0.1:6003;lr>"),
        ]
        self.answers.clear()
        self.send(request(method, "sip:100@127.0.0.1:6002", fields).octets(), GATEWAY)
        self.run_for(0.4)
        return [word(answer) for answer in self.answers]

    def establish(self) -> str:
        """Have a call answered, and say its To tag as a parameter."""
        self.assertEqual(self.ask("INVITE"), ["180 INVITE", "200 INVITE"])
        tag = f";tag={self.answers[-1].to_tag}"
        self.assertEqual(self.ask("ACK", tag=tag), [])
        return tag

    def test_a_200_says_what_a_dialog_needs(self) -> None:
        self.assertEqual(self.ask("INVITE"), ["180 INVITE", "200 INVITE"])
        ringing, answer = self.answers
        self.assertEqual(ringing.to_tag, answer.to_tag)
        self.assertEqual(answer.get("contact"), "<sip:127.0.0.1:6002>")
        self.assertEqual(answer.get("record-route"), "<sip:127.0.0.1:6003;lr>")
        self.assertEqual(answer.get("content-type"), "application/sdp")
        self.assertTrue(answer.body.startswith(b"v=0\r\n"))

    def test_options_within_a_call_says_whether_it_stands(self) -> None:
        tag = self.establish()
        self.assertEqual(self.ask("OPTIONS", tag=tag, number=0), ["200 OPTIONS"])
        self.assertEqual(self.ask("OPTIONS", tag=";tag=other", number=1), ["481 OPTIONS"])
        self.assertEqual(self.ask("BYE", tag=tag, number=2), ["200 BYE"])
        self.assertEqual(self.ask("OPTIONS", tag=tag, number=3), ["481 OPTIONS"])

    def test_a_re_invite_is_answered_in_the_same_dialog(self) -> None:
        tag = self.establish()
        self.assertEqual(self.ask("INVITE", tag=tag, number=2), ["200 INVITE"])
        self.assertEqual(f";tag={self.answers[-1].to_tag}", tag)
        self.ask("ACK", tag=tag, number=2)
        self.assertEqual(len(self.gateway), 1)

    def test_outside_a_call(self) -> None:
        self.assertEqual(self.ask("OPTIONS"), ["200 OPTIONS"])
        self.assertEqual(self.ask("BYE"), ["481 BYE"])
        self.assertEqual(self.ask("MESSAGE"), ["405 MESSAGE"])
        self.assertEqual(self.answers[-1].get("allow"), "INVITE, ACK, CANCEL, BYE, OPTIONS")

    def test_a_200_is_repeated_until_its_ack_and_no_longer_than_32_s(self) -> None:
        """13.3.1.4: T1, doubling up to T2, until 64 T1."""
        self.ask("INVITE")
        self.run_for(40.0)
        answers = [answer for answer in self.answers if word(answer) == "200 INVITE"]
        self.assertEqual(len(answers), 11)
        self.assertEqual(len(self.gateway), 0)
