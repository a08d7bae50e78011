"""The H.323 caller against the real door, on connections in memory."""

from __future__ import annotations

from functools import partial

from tests.h323_ladder import ALERTING, CONNECT, release
from tests.h323net import GATEWAY, HERE, MEMBER, DoorTestCase, Peer, Wire, attach
from voipshift.demo.caller import Ended
from voipshift.demo.h323caller import Call, channels
from voipshift.demo.h323gateway import Gateway
from voipshift.demo.summary import Outcome
from voipshift.h323 import q931, signalling
from voipshift.h323.portal import ACCEPT
from voipshift.h323.q931 import MessageType

FRONT = (HERE, 1720)


class CallerTests(DoorTestCase):
    """A call of the demo's terminal."""

    def setUp(self) -> None:
        super().setUp()
        self.steps: list[str] = []
        self.endings: list[Ended] = []
        for address, front in ((FRONT, True), (MEMBER.doors[ACCEPT], False)):
            self.network.there[address] = partial(self._arrive, front)

    def _arrive(self, front: bool, wire: Wire) -> None:
        line = self.server.accept(front, wire.getPeer())
        assert line is not None
        attach(wire, line)

    def place(self) -> Call:
        """Call 1234."""
        call = Call(self.network, "1234", 3.0, self.steps.append)
        call.ended.addCallback(self.endings.append)
        call.begin(FRONT)
        self.network.pass_time(0.01)
        return call

    def answer(self) -> Peer:
        """The gateway takes the call."""
        gateway = self.gateways[-1]
        reference = q931.parse(gateway.heard[0]).call_reference
        gateway.say(*(signalling.with_reference(each, reference) for each in (ALERTING, CONNECT)))
        return gateway

    def test_answered(self) -> None:
        """Held, and released by the caller."""
        self.place()
        gateway = self.answer()
        self.assertEqual(len(self.table), 1)
        self.network.pass_time(3.1)
        (ended,) = self.endings
        self.assertEqual((ended.outcome, ended.redirects), (Outcome.COMPLETED, 0))
        types = [each.message.type for each in gateway.told()]
        self.assertEqual(types, [MessageType.SETUP, MessageType.RELEASE_COMPLETE])

    def test_shifted(self) -> None:
        """It follows the FACILITY to the accept port, which serves it there."""
        self.decisions.answer = MEMBER
        self.place()
        self.assertEqual(self.endings[0].outcome, Outcome.REFUSED)  # the member has no lease of this test's
        self.assertEqual(self.endings[0].redirects, 1)
        self.assertIn("-> {}:{}".format(*MEMBER.doors[ACCEPT]), self.steps)
        self.assertEqual(len(self.decisions.asked_alone), 1)

    def test_refused(self) -> None:
        """GatekeeperResources is a refusal; anything else is a failure."""
        self.decisions.answer = None
        self.place()
        self.assertEqual(self.endings[0].outcome, Outcome.REFUSED)
        self.decisions.answer = self.decisions.here
        self.place()
        reference = q931.parse(self.gateways[-1].heard[0]).call_reference
        self.gateways[-1].say(signalling.with_reference(release(q931.USER_BUSY), reference))
        self.assertEqual((self.endings[1].outcome, self.endings[1].reason), (Outcome.FAILED, "None, cause 17"))

    def test_nobody_there(self) -> None:
        """A connection that fails, and one that is closed."""
        call = Call(self.network, "1234", 3.0, self.steps.append)
        call.ended.addCallback(self.endings.append)
        call.begin(("192.0.2.99", 1720))
        self.network.pass_time(0.01)
        self.assertEqual(self.endings[0].outcome, Outcome.FAILED)
        self.network.silent.add(GATEWAY)
        call = self.place()
        call.hang_up()
        self.network.pass_time(0)
        self.assertEqual(self.endings[1].reason, "given up")

    def test_gateway(self) -> None:
        """The demo's own gateway answers: caller, node and gateway, all of them real."""
        gateway = Gateway()
        self.network.there[GATEWAY] = lambda wire: attach(wire, gateway.buildProtocol(None))
        self.place()
        self.assertEqual((gateway.answered, len(self.table), len(self.answered)), (1, 1, 1))
        self.network.pass_time(3.1)
        self.assertEqual((self.endings[0].outcome, len(self.table)), (Outcome.COMPLETED, 0))

    def test_channels(self) -> None:
        """None is proposed where the address is not of IPv4."""
        self.assertEqual(channels("::1"), ())
        self.assertTrue(channels("127.0.0.1")[0].endswith(b"\x7f\0\0\1\0\x09"))
