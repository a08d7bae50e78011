"""Overload control of RFC 7339: what is offered, what is told, and what is understood of it."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.sipnet import HERE, SipNetTestCase
from voipshift.sip.grammar import Via
from voipshift.sip.message import Request, Response, parse
from voipshift.sip.overload import Control, Feedback, feedback

OFFER = 'oc;oc-algo="loss"'
BEGINNING = "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1"


class FeedbackTests(SynchronousTestCase):
    """What a gateway tells."""

    def test_understood(self) -> None:
        """Section 4: a validity of 500 ms where none is said; what is said for longer than a minute is not believed."""
        for said, expected in [
            ('oc=20;oc-algo="loss";oc-validity=1000;oc-seq=1282321615.782', Feedback(20, 1.0, 1282321615.782)),
            ('oc-seq=7;OC=0;oc-algo="loss";oc-validity=0', Feedback(0, 0.0, 7.0)),
            ('oc=100;oc-algo="loss";oc-seq=7', Feedback(100, 0.5, 7.0)),
            ('oc=100;oc-algo="loss";oc-seq=7;oc-validity=99999999', Feedback(100, 60.0, 7.0)),
        ]:
            self.assertEqual(feedback(Via.parse(f"{BEGINNING};{said}")), expected, said)

    def test_not_understood(self) -> None:
        """What was offered, unchanged; another algorithm; what cannot be."""
        for said in (
            OFFER,
            'oc=20;oc-algo="rate";oc-seq=1',
            'oc=101;oc-algo="loss";oc-seq=1',
            'oc=-1;oc-algo="loss";oc-seq=1',
            'oc=20;oc-algo="loss"',
            'oc=20;oc-algo="loss";oc-seq=x',
            'oc=20;oc-algo="loss";oc-seq=1;oc-validity=x',
            "oc=20;oc-seq=1",
            "x=y",
        ):
            self.assertIsNone(feedback(Via.parse(f"{BEGINNING};{said}")), said)


class ControlTests(SynchronousTestCase):
    """What clients before this node are told."""

    def setUp(self) -> None:
        """A tenth is too much."""
        self.percent = 10
        self.wall = 1000.0
        self.control = Control(percent=lambda: self.percent, wall=lambda: self.wall)

    def filled_in(self, parameters: str) -> Feedback | None:
        return feedback(Via.parse(BEGINNING + self.control.filled_in(parameters)))

    def test_filled_in(self) -> None:
        """Every number is higher than the one before, whatever becomes of the clock."""
        self.assertEqual(self.filled_in(f";{OFFER};rport=5"), Feedback(10, 2.0, 1000.0))
        self.wall = 900.0
        self.assertEqual(self.filled_in(f";{OFFER}"), Feedback(10, 2.0, 1000.001))
        self.wall = 1001.5
        self.assertEqual(self.filled_in(';oc-algo="rate,loss";x=y;oc'), Feedback(10, 2.0, 1001.5))

    def test_not_overloaded(self) -> None:
        """It could ask, and does not: nothing holds."""
        self.percent = 0
        self.assertEqual(self.filled_in(f";{OFFER}"), Feedback(0, 0.0, 1000.0))

    def test_nothing_was_offered(self) -> None:
        """Who does not offer it, or not this algorithm, is told nothing; nor is what was filled in filled in again."""
        for parameters in (";rport", ';oc;oc-algo="rate"', ";oc", ';oc=5;oc-algo="loss";oc-seq=1', ";octet;oc-algo=x"):
            self.assertEqual(self.control.filled_in(parameters), parameters)

    def test_only_the_top_via(self) -> None:
        """What was offered to others is left as it is."""
        lines = f"Via: {BEGINNING};{OFFER}, {BEGINNING}a\r\nVia: {BEGINNING}b;{OFFER}\r\n"
        rest = "From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n\r\n"
        response = parse(f"SIP/2.0 200 OK\r\n{lines}{rest}".encode())
        assert isinstance(response, Response)
        self.control.tell(response)
        again = parse(response.octets())
        assert isinstance(again, Response)
        self.assertEqual(feedback(again.via), Feedback(10, 2.0, 1000.0))
        self.assertEqual([via.branch for via in again.vias], ["z9hG4bK1", "z9hG4bK1a", "z9hG4bK1b"])
        self.assertEqual(again.vias[2].parameters["oc"], None)


class NodeTests(SipNetTestCase):
    """A proxy before a node offers it."""

    def invite(self, call_id: str) -> Request:
        invite = self.phone.request("INVITE", "sip:100@192.0.2.1", call_id=call_id)
        via = invite.via
        invite.remove("Via")
        invite.prepend("Via", f"{via};{OFFER}")
        return invite

    def test_told_in_every_response(self) -> None:
        """In the node's own responses, in those that it passes on, and in those to what it refused unread."""
        node = self.node(limit=1)
        percents = []
        self.phone.say(self.invite("taken"), HERE)
        self.gateway.answer(self.gateway.asked("INVITE"), 180)
        told = feedback(self.phone.told(180).via)
        assert told is not None
        self.assertEqual((told.percent, told.validity_s), (0, 0.0))
        for second in range(3):
            for number in range(10):
                self.phone.say(self.invite(f"{second}-{number}"), HERE)
                told = feedback(self.phone.told(503).via)
                assert told is not None
            percents.append((told.percent, told.validity_s))
            self.network.advance(1.0)
            self.phone.heard.clear()
        self.assertEqual(percents, [(0, 0.0), (50, 2.0), (75, 2.0)])
        self.assertEqual(node.sip.dropped, {})
        self.gateway.heard.clear()
