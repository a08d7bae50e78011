"""What goes over the wire, arrow by arrow: CANCEL in every state of a call, early dialogs, what is lost on the way.

Each ladder is the whole of it, retransmissions included: an arrow that is missing or too much fails.
"""

from __future__ import annotations

from textwrap import dedent

from tests.forks import ForkTestCase
from tests.sipnet import GATEWAY, HERE, PHONE, Network, SipNetTestCase, word
from voipshift.node import Address
from voipshift.sip.message import Request, Response, parse

NAMES: dict[Address, str] = {
    PHONE: "phone",
    HERE: "node",
    GATEWAY: "gateway",
    ("198.51.100.20", 5060): "desk",
    ("198.51.100.21", 5060): "cell",
}


def ladder(network: Network) -> str:
    """Everything that was sent, an arrow a line."""
    return "\n".join(f"{NAMES[source]} > {NAMES[to]}: {word(parse(octets))}" for source, to, octets in network.sent)


class LadderTestCase(SipNetTestCase):
    """A phone, a node and a gateway, and everything that they say."""

    def begin(self) -> Request:
        """The phone calls, and the INVITE reaches the gateway."""
        self.here = self.node()
        self.invite = self.phone.request("INVITE", "sip:100@192.0.2.1")
        self.phone.say(self.invite, HERE)
        return self.gateway.asked("INVITE")

    def cancel(self) -> None:
        """The phone gives up."""
        cancel = self.phone.request("CANCEL", self.invite.uri, contact="")
        cancel.set("Via", str(self.invite.via))
        self.phone.say(cancel, HERE)

    def give_up_at_the_gateway(self, invite: Request) -> None:
        """The gateway takes the CANCEL, as it must."""
        self.gateway.answer(self.gateway.asked("CANCEL"), 200)
        self.gateway.answer(invite, 487)

    def heard(self, status: int) -> Response:
        """The last response of that status to the phone's INVITE."""
        found = [each for each in self.phone.heard if isinstance(each, Response) and each.status == status]
        return [each for each in found if each.cseq[1] == "INVITE"][-1]

    def assert_ladder(self, expected: str) -> None:
        """Compare all that was sent; and nothing is left of the call."""
        self.assertEqual(ladder(self.network), dedent(expected).strip())
        self.assertEqual(len(self.here.table), 0)


class CancelLadderTest(LadderTestCase):
    """RFC 3261 section 9, with the proxy's part in section 16.10."""

    def test_before_any_response(self) -> None:
        """It waits at the node until the gateway has said something."""
        invite = self.begin()
        self.cancel()
        self.gateway.answer(invite, 100)
        self.give_up_at_the_gateway(invite)
        self.phone.acknowledge(self.invite, self.heard(487), HERE)
        self.assert_ladder("""
            phone > node: INVITE
            node > gateway: INVITE
            phone > node: CANCEL
            node > phone: 200 CANCEL
            gateway > node: 100 INVITE
            node > gateway: CANCEL
            gateway > node: 200 CANCEL
            gateway > node: 487 INVITE
            node > gateway: ACK
            node > phone: 487 INVITE
            phone > node: ACK
        """)

    def test_while_it_rings_and_twice(self) -> None:
        """A CANCEL that is sent again is answered again, and goes on once."""
        invite = self.begin()
        self.gateway.answer(invite, 180)
        self.cancel()
        self.cancel()
        self.give_up_at_the_gateway(invite)
        self.phone.acknowledge(self.invite, self.heard(487), HERE)
        self.assert_ladder("""
            phone > node: INVITE
            node > gateway: INVITE
            gateway > node: 180 INVITE
            node > phone: 180 INVITE
            phone > node: CANCEL
            node > phone: 200 CANCEL
            node > gateway: CANCEL
            phone > node: CANCEL
            node > phone: 200 CANCEL
            gateway > node: 200 CANCEL
            gateway > node: 487 INVITE
            node > gateway: ACK
            node > phone: 487 INVITE
            phone > node: ACK
        """)

    def test_in_an_early_dialog(self) -> None:
        """After 183 and PRACK; the early dialog goes with it."""
        invite = self.begin()
        self.gateway.answer(invite, 183, fields=[("Require", "100rel"), ("RSeq", "1")])
        self.phone.say(self.phone.within("PRACK", self.heard(183)), HERE)
        self.gateway.answer(self.gateway.asked("PRACK"), 200)
        self.cancel()
        self.give_up_at_the_gateway(invite)
        self.phone.acknowledge(self.invite, self.heard(487), HERE)
        self.assert_ladder("""
            phone > node: INVITE
            node > gateway: INVITE
            gateway > node: 183 INVITE
            node > phone: 183 INVITE
            phone > node: PRACK
            node > gateway: PRACK
            gateway > node: 200 PRACK
            node > phone: 200 PRACK
            phone > node: CANCEL
            node > phone: 200 CANCEL
            node > gateway: CANCEL
            gateway > node: 200 CANCEL
            gateway > node: 487 INVITE
            node > gateway: ACK
            node > phone: 487 INVITE
            phone > node: ACK
        """)

    def test_it_crosses_the_answer(self) -> None:
        """The 2xx wins: the phone acknowledges it and hangs up."""
        invite = self.begin()
        self.gateway.answer(invite, 180)
        self.cancel()
        self.gateway.answer(invite, 200)
        self.gateway.answer(self.gateway.asked("CANCEL"), 200)
        self.hang_up()
        self.assert_ladder("""
            phone > node: INVITE
            node > gateway: INVITE
            gateway > node: 180 INVITE
            node > phone: 180 INVITE
            phone > node: CANCEL
            node > phone: 200 CANCEL
            node > gateway: CANCEL
            gateway > node: 200 INVITE
            node > phone: 200 INVITE
            gateway > node: 200 CANCEL
            phone > node: ACK
            node > gateway: ACK
            phone > node: BYE
            node > gateway: BYE
            gateway > node: 200 BYE
            node > phone: 200 BYE
        """)

    def test_after_the_answer(self) -> None:
        """It is answered, and goes nowhere."""
        self.gateway.answer(self.begin(), 200)
        self.cancel()
        self.hang_up()
        self.assert_ladder("""
            phone > node: INVITE
            node > gateway: INVITE
            gateway > node: 200 INVITE
            node > phone: 200 INVITE
            phone > node: CANCEL
            node > phone: 200 CANCEL
            phone > node: ACK
            node > gateway: ACK
            phone > node: BYE
            node > gateway: BYE
            gateway > node: 200 BYE
            node > phone: 200 BYE
        """)

    def test_after_a_refusal(self) -> None:
        """It is answered, and changes nothing."""
        self.gateway.answer(self.begin(), 486)
        self.cancel()
        self.phone.acknowledge(self.invite, self.heard(486), HERE)
        self.assert_ladder("""
            phone > node: INVITE
            node > gateway: INVITE
            gateway > node: 486 INVITE
            node > gateway: ACK
            node > phone: 486 INVITE
            phone > node: CANCEL
            node > phone: 200 CANCEL
            phone > node: ACK
        """)

    def hang_up(self) -> None:
        """The phone acknowledges the 200, and ends the call."""
        answer = self.heard(200)
        self.phone.say(self.phone.within("ACK", answer, 1), HERE)
        self.phone.say(self.phone.within("BYE", answer), HERE)
        bye = self.gateway.heard[-1]
        assert isinstance(bye, Request)
        self.gateway.answer(bye, 200)


class LossLadderTest(LadderTestCase):
    """What is lost is sent again by whom it belongs to: an answer and its ACK by the ends, a refusal by the node."""

    def test_an_ack_and_an_answer_are_lost(self) -> None:
        """The callee sends its 2xx until the ACK comes; the node repeats neither."""
        invite = self.begin()
        self.network.cut.add(PHONE)
        self.gateway.answer(invite, 200)
        self.network.cut = {GATEWAY}
        self.gateway.answer(invite, 200)
        self.phone.say(self.phone.within("ACK", self.heard(200), 1), HERE)
        self.network.cut.clear()
        self.network.advance(3)
        self.gateway.answer(invite, 200)
        self.phone.say(self.phone.within("ACK", self.heard(200), 1), HERE)
        self.gateway.asked("ACK")
        self.gateway.say(self.gateway.back("BYE", invite), HERE)
        bye = self.phone.heard[-1]
        assert isinstance(bye, Request)
        self.phone.answer(bye, 200)
        self.assert_ladder("""
            phone > node: INVITE
            node > gateway: INVITE
            gateway > node: 200 INVITE
            node > phone: 200 INVITE
            gateway > node: 200 INVITE
            node > phone: 200 INVITE
            phone > node: ACK
            node > gateway: ACK
            gateway > node: 200 INVITE
            node > phone: 200 INVITE
            phone > node: ACK
            node > gateway: ACK
            gateway > node: BYE
            node > phone: BYE
            phone > node: 200 BYE
            node > gateway: 200 BYE
        """)

    def test_the_ack_of_a_refusal_is_lost(self) -> None:
        """It is hop by hop: the node repeats its own by timer G, and answers the gateway's with its ACK."""
        invite = self.begin()
        self.gateway.answer(invite, 486)
        self.network.advance(0.6)
        self.gateway.answer(invite, 486)
        self.phone.acknowledge(self.invite, self.heard(486), HERE)
        self.network.advance(10)
        self.assert_ladder("""
            phone > node: INVITE
            node > gateway: INVITE
            gateway > node: 486 INVITE
            node > gateway: ACK
            node > phone: 486 INVITE
            node > phone: 486 INVITE
            gateway > node: 486 INVITE
            node > gateway: ACK
            phone > node: ACK
        """)


class ForkLadderTest(ForkTestCase):
    """Two telephones of one user: both ring, one answers."""

    def test_a_whole_call(self) -> None:
        """The loser's 487 stays at the node; both early dialogs, and one call."""
        self.register(self.hall, contact=f"{self.hall.contact};expires=0", call_id="r2", number=2)
        self.phone.words()
        self.network.sent.clear()
        self.invite()
        first, second = self.both()
        self.desk.answer(first, 180, tag="desk")
        self.cell.answer(second, 180, tag="cell")
        self.cell.answer(second, 200, tag="cell")
        self.desk.answer(self.desk.asked("CANCEL"), 200)
        self.desk.answer(first, 487, tag="desk")
        self.assertEqual([self.phone.told(180).to_tag, self.phone.told(180).to_tag], ["desk", "cell"])
        self.hang_up(self.phone.told(200))
        self.cell.asked("ACK")
        self.cell.answer(self.cell.asked("BYE"), 200)
        expected = """
            phone > node: INVITE
            node > desk: INVITE
            node > cell: INVITE
            desk > node: 180 INVITE
            node > phone: 180 INVITE
            cell > node: 180 INVITE
            node > phone: 180 INVITE
            cell > node: 200 INVITE
            node > desk: CANCEL
            node > phone: 200 INVITE
            desk > node: 200 CANCEL
            desk > node: 487 INVITE
            node > desk: ACK
            phone > node: ACK
            node > cell: ACK
            phone > node: BYE
            node > cell: BYE
            cell > node: 200 BYE
            node > phone: 200 BYE
        """
        self.assertEqual(ladder(self.network), dedent(expected).strip())
        self.assertEqual(self.sizes(), (0, 1))
