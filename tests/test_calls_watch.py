"""Gateways that are asked whether they are there, and passed over while they are not."""

from __future__ import annotations

from random import Random
from typing import Any

from twisted.logger import LogEvent, formatEvent, globalLogPublisher

from tests.sipnet import GATEWAY, HERE, SPARE, Peer, SipNetTestCase
from voipshift.calls.watch import ANSWER_S, UNWATCHED_S
from voipshift.sip.message import Request
from voipshift.wiring import gateways

WATCH_S = 30.0


class LastMoment(Random):
    """Draws the last moment of the first second, at which all are asked."""

    def random(self) -> float:
        """The largest."""
        return 1.0


class WatchTestCase(SipNetTestCase):
    """A node with two gateways for every number."""

    watch_interval_s = WATCH_S

    def setUp(self) -> None:
        """The node has just started."""
        super().setUp()
        self.patch(gateways, "Random", LastMoment)
        self.spare = Peer(self.network, SPARE, "spare")
        self.here = self.node(gateways=((GATEWAY, ("",)), (SPARE, ("",))), watch_interval_s=self.watch_interval_s)
        self.calls = self.asked = 0

    def wait(self) -> None:
        """For the next time at which both are asked; what comes before is not looked at."""
        left_s = WATCH_S - (self.clock.seconds() - 1.0) % WATCH_S
        self.network.advance((left_s if left_s > 1.0 else WATCH_S + left_s) - 0.01)
        self.gateway.words()
        self.spare.words()
        self.network.advance(0.02)

    def over(self) -> None:
        """The spare gateway refuses the call."""
        self.spare.answer(self.spare.asked("INVITE"), 486)
        self.spare.words()
        self.phone.words()

    def ask(self) -> tuple[Request, Request]:
        """Let the time come at which both are asked."""
        self.wait()
        return self.gateway.asked("OPTIONS"), self.spare.asked("OPTIONS")

    def invite(self) -> Request:
        """The phone calls once more."""
        self.calls += 1
        invite = self.phone.request("INVITE", "sip:100@192.0.2.1", call_id=f"call-{self.calls}")
        self.phone.say(invite, HERE)
        return invite

    def first(self) -> str:
        """Who is tried first, by the answer that a call gets; it is over then."""
        invite = self.invite()
        for name, peer in (("gateway", self.gateway), ("spare", self.spare)):
            if any(isinstance(each, Request) and each.method == "INVITE" for each in peer.heard):
                while peer.heard[0].octets().startswith(b"OPTIONS"):
                    peer.asked("OPTIONS")
                peer.answer(peer.asked("INVITE"), 486)
                peer.asked("ACK")
                self.phone.acknowledge(invite, self.phone.told(486), HERE)
                return name
        raise AssertionError("nobody was called")


class WatchTest(WatchTestCase):
    """OPTIONS at an interval."""

    def setUp(self) -> None:
        """Both were asked once, within the first second, and have answered."""
        super().setUp()
        self.network.advance(1.0)
        for peer in (self.gateway, self.spare):
            peer.answer(peer.asked("OPTIONS"), 200)

    def test_each_is_asked_outside_of_any_dialog(self) -> None:
        """With a tag and a Call-ID of its own, by the node's port."""
        options, other = self.ask()
        self.assertEqual((options.uri, options.to_tag, options.via.address), ("sip:192.0.2.20:5060", None, HERE))
        self.assertNotEqual(options.call_id, other.call_id)
        for peer, asked in ((self.gateway, options), (self.spare, other)):
            peer.answer(asked, 200)
        self.assertEqual(self.first(), "gateway")

    def test_one_that_is_silent_is_skipped_until_it_answers(self) -> None:
        """Nobody waits 2 s for it."""
        for peer, asked in zip((self.gateway, self.spare), self.ask(), strict=True):
            if peer is self.spare:
                peer.answer(asked, 200)
        self.assertEqual(self.first(), "gateway")
        self.network.advance(ANSWER_S)
        self.gateway.words()
        self.assertEqual(self.first(), "spare")
        for peer, asked in zip((self.gateway, self.spare), self.ask(), strict=True):
            peer.answer(asked, 404)
        self.assertEqual(self.first(), "gateway")

    def test_one_that_is_down_gets_no_call(self) -> None:
        """Also where the others refuse it."""
        self.network.cut.add(GATEWAY)
        self.ask_in_vain()
        self.network.cut.discard(GATEWAY)
        self.invite()
        self.spare.answer(self.spare.asked("INVITE"), 503)
        self.phone.told(500)
        self.assertNotIn("INVITE", self.gateway.words())

    def test_where_all_are_down_they_are_tried(self) -> None:
        """They may be there all the same, and a call has nothing to lose."""
        for peer in (GATEWAY, SPARE):
            self.network.cut.add(peer)
        self.wait()
        self.network.advance(ANSWER_S)
        self.network.cut.clear()
        self.invite()
        self.gateway.answer(self.gateway.asked("INVITE"), 503)
        self.spare.answer(self.spare.asked("INVITE"), 200)
        self.phone.told(200)

    def ask_in_vain(self) -> None:
        """The gateway hears nothing, the other one answers."""
        self.wait()
        self.spare.answer(self.spare.asked("OPTIONS"), 200)
        self.network.advance(ANSWER_S)

    def test_503_is_no_answer(self) -> None:
        """Until it says something else."""
        for answers, expected in (((503, 200), "spare"), ((503, 503), "gateway"), ((405, 200), "gateway")):
            for peer, asked, status in zip((self.gateway, self.spare), self.ask(), answers, strict=True):
                peer.answer(asked, status)
            self.assertEqual(self.first(), expected)

    def test_503_is_not_asked_again_at_once(self) -> None:
        """It has no room; it is asked when its turn comes."""
        options, other = self.ask()
        self.spare.answer(other, 200)
        for fields in ((), [("Retry-After", "0")]):
            self.gateway.answer(options, 503, fields=fields)
            self.assertEqual(self.gateway.words(), [])
            options, other = self.ask()
            self.spare.answer(other, 200)

    def test_retry_after_is_obeyed(self) -> None:
        """It is neither asked nor tried before, and tried as ever afterwards."""
        options, other = self.ask()
        self.gateway.answer(options, 503, fields=[("Retry-After", "70 (busy);duration=5")])
        self.spare.answer(other, 200)
        for _ in range(2):
            self.wait()
            self.assertEqual(self.gateway.words(), [])
            self.spare.answer(self.spare.asked("OPTIONS"), 200)
            self.assertEqual(self.first(), "spare")
        self.network.advance(10.0)
        self.assertEqual(self.first(), "gateway")

    def test_a_call_that_is_not_answered_marks_at_once(self) -> None:
        """The next call goes elsewhere, and the gateway is asked at once whether it is there."""
        self.invite()
        self.network.advance(2.01)
        self.assertEqual(set(self.gateway.words()), {"INVITE", "OPTIONS"})
        self.over()
        self.assertEqual(self.first(), "spare")

    def test_a_call_that_is_answered_503_asks_at_once(self) -> None:
        """It may have been about that call alone: the next one is tried there, unless OPTIONS is refused too."""
        self.network.advance(ANSWER_S)
        self.invite()
        self.gateway.answer(self.gateway.asked("INVITE"), 503)
        self.gateway.asked("ACK")
        self.over()
        self.gateway.answer(self.gateway.asked("OPTIONS"), 503)
        self.assertEqual(self.first(), "spare")

    def test_many_calls_that_are_answered_503_ask_once(self) -> None:
        """Whoever has no room is not asked as often as he is called."""
        self.network.advance(ANSWER_S)
        for _ in range(5):
            self.invite()
            while self.gateway.heard:
                asked = self.gateway.heard.pop(0)
                assert isinstance(asked, Request)
                if asked.method != "ACK":
                    self.gateway.answer(asked, 503 if asked.method == "INVITE" else 200)
                    self.asked += asked.method == "OPTIONS"
            self.over()
        self.assertEqual(self.asked, 1)

    def test_a_call_that_is_told_when_to_come_back(self) -> None:
        """503 with Retry-After: so long it is skipped, and not asked."""
        self.invite()
        self.gateway.answer(self.gateway.asked("INVITE"), 503, fields=[("Retry-After", "20")])
        self.over()
        self.assertEqual(self.gateway.words(), ["ACK"])
        self.assertEqual(self.first(), "spare")
        self.network.advance(20.0)
        self.assertEqual(self.first(), "gateway")

    def test_an_answer_that_comes_late_counts(self) -> None:
        """After it was given up."""
        options, other = self.ask()
        self.spare.answer(other, 200)
        self.network.advance(ANSWER_S)
        self.gateway.words()
        self.gateway.answer(options, 200)
        self.assertEqual(self.first(), "gateway")


class UnwatchedTest(WatchTestCase):
    """An interval of 0."""

    watch_interval_s = 0.0

    def test_nobody_is_asked(self) -> None:
        """Not once."""
        self.network.advance(100)
        self.assertEqual((self.gateway.words(), self.spare.words()), ([], []))

    def test_a_call_marks_for_half_a_minute(self) -> None:
        """There is nothing else by which it could be seen that it is back."""
        self.invite()
        self.network.advance(2.01)
        self.gateway.words()
        self.over()
        self.assertEqual(self.first(), "spare")
        self.network.advance(UNWATCHED_S)
        self.gateway.words()
        self.assertEqual(self.first(), "gateway")


class NamedTest(SipNetTestCase):
    """A gateway by a domain name."""

    def setUp(self) -> None:
        """Its name leads nowhere yet."""
        super().setUp()
        self.patch(gateways, "Random", LastMoment)
        self.spare = Peer(self.network, SPARE, "spare")
        self.told: list[str] = []
        observer: Any = self.hear
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        self.node(gateways=((("carrier.example.net", 5060), ("",)),), watch_interval_s=WATCH_S)

    def hear(self, event: LogEvent) -> None:
        """A line of the log."""
        if event.get("log_namespace") == "voipshift.calls.watch":
            self.told.append(formatEvent(event))

    def test_it_is_asked_where_it_is(self) -> None:
        """At each address that DNS gives it, by its name; one that it has no more is forgotten."""
        self.network.advance(1.0)
        self.zone.records["carrier.example.net", "A"] = (GATEWAY[0], SPARE[0])
        self.network.advance(WATCH_S + 0.1)
        self.assertEqual(self.gateway.asked("OPTIONS").uri, "sip:carrier.example.net:5060")
        self.spare.answer(self.spare.asked("OPTIONS"), 200)
        self.network.advance(ANSWER_S)
        self.zone.records["carrier.example.net", "A"] = (SPARE[0],)
        self.network.advance(120.0)
        self.gateway.words()
        self.network.advance(WATCH_S)
        self.assertEqual(self.gateway.words(), [])
        name = "gateway carrier.example.net"
        self.assertEqual(
            self.told[:3],
            [
                f"{name}: the name leads to no address that can be used",
                f"{name}: the name leads to an address again",
                f"{name} at 192.0.2.20:5060/udp: does not answer, and is skipped",
            ],
        )
