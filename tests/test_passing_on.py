"""Clients that do not follow a redirect: the primary passes their INVITEs on to the member that accepted."""

from __future__ import annotations

from tests.sipnet import Peer
from tests.test_tap import NodeTestCase
from voipshift.sip.message import Request, Response, parse

PRIMARY = ("192.0.2.1", 5060)
MEMBER = ("192.0.2.2", 5060)
#: What a client behind a NAT thinks that its address is.
INSIDE = "<sip:alice@10.0.0.5:5060>"


class PassingOnTestCase(NodeTestCase):
    """A pure portal and a member with room."""

    def group(self, redirect: str = "never", more: str = "") -> None:
        self.primary = self.start(1, "primary", 0, ("192.0.2.2:5065",), more=f'[sip]\nredirect = "{redirect}"\n{more}')
        self.member = self.start(2, "member", 200)
        self.network.advance(3)

    def invite(self, call_id: str = "1", uri: str = "sip:100@192.0.2.1") -> Request:
        """The phone calls the primary."""
        invite = self.phone.request("INVITE", uri, call_id=call_id)
        self.phone.say(invite, PRIMARY)
        return invite

    def carried(self) -> tuple[int, int, int]:
        """Calls in either table, and open leases."""
        return len(self.primary.table), len(self.member.table), len(self.member.leases)


class NeverTest(PassingOnTestCase):
    """``redirect = "never"``."""

    def setUp(self) -> None:
        super().setUp()
        self.group()

    def answered(self, invite: Request) -> Response:
        """The gateway's 200, as the phone gets it."""
        self.gateway.answer(invite, 200)
        return self.phone.told(200)

    def test_the_client_sees_one_proxy_and_the_member_has_the_call(self) -> None:
        """No 302: the member serves it with its lease, and the primary is out of the dialog afterwards."""
        self.invite(uri="sip:100@example.org;user=phone")
        invite = self.gateway.asked("INVITE")
        self.assertEqual(invite.uri, "sip:100@192.0.2.20:5060;user=phone")
        self.assertEqual([via.address for via in invite.vias[:2]], [MEMBER, PRIMARY])
        self.assertEqual(invite.values("Record-Route"), ["<sip:192.0.2.2:5060;lr>"])
        self.assertEqual(self.carried(), (0, 1, 0))
        self.assertEqual((self.member.leases.counts["arrived"], dict(self.member.table.hops)), (1, {1: 1}))
        answer = self.answered(invite)
        self.network.sent.clear()
        for method in ("ACK", "BYE"):
            self.phone.say(self.phone.within(method, answer, 2), MEMBER)
        self.gateway.asked("ACK")
        self.gateway.answer(self.gateway.asked("BYE"), 200)
        self.phone.told(200, "BYE")
        self.assertEqual(self.carried(), (0, 0, 0))
        self.assertNotIn(PRIMARY, [to for _, to, _ in self.network.sent])

    def test_a_client_behind_a_nat_stays_with_the_node_that_it_called(self) -> None:
        """That node alone can reach it: it records its route, and the call is still the member's alone."""
        for number, ending in enumerate(("phone", "gateway")):
            asked = self.phone.request("INVITE", "sip:100@192.0.2.1", call_id=f"c{number}", contact=INSIDE)
            asked.set("Via", f"SIP/2.0/UDP 10.0.0.5:5060;branch=z9hG4bKnat{number};rport")
            self.phone.say(asked, PRIMARY)
            invite = self.gateway.asked("INVITE")
            recorded = invite.values("Record-Route")
            self.assertEqual(recorded[0], "<sip:192.0.2.2:5060;lr>")
            self.assertIn("sip:192.0.2.1:5060;lr;flow=198.51.100.7-5060-0-", recorded[1])
            self.assertEqual((len(recorded), *self.carried()), (2, 0, 1, 0))
            answer = self.answered(invite)
            self.phone.say(self.phone.within("ACK", answer, 1), PRIMARY)
            self.gateway.asked("ACK")
            self.network.sent.clear()
            if ending == "phone":
                self.phone.say(self.phone.within("BYE", answer), PRIMARY)
                self.gateway.answer(self.gateway.asked("BYE"), 200)
                self.phone.told(200, "BYE")
            else:
                self.gateway.say(self.gateway.back("BYE", invite), MEMBER)
                self.phone.answer(self.phone.asked("BYE"), 200)
                self.gateway.told(200, "BYE")
                self.assertEqual({source for source, to, _ in self.network.sent if to == self.phone.address}, {PRIMARY})
            self.assertEqual(self.carried(), (0, 0, 0))

    def test_a_cancelled_call(self) -> None:
        """CANCEL goes the same way, and the slot is free again."""
        asked = self.invite()
        invite = self.gateway.asked("INVITE")
        self.gateway.answer(invite, 180)
        self.phone.told(180)
        cancel = self.phone.request("CANCEL", asked.uri)
        cancel.set("Via", asked.get("Via") or "")
        self.phone.say(cancel, PRIMARY)
        self.gateway.answer(self.gateway.asked("CANCEL"), 200)
        self.gateway.answer(invite, 487)
        self.assertEqual(self.phone.words(), ["200 CANCEL", "487 INVITE"])
        self.assertEqual(self.carried(), (0, 0, 0))

    def test_what_the_gateway_says_is_what_the_client_hears(self) -> None:
        """The primary is a proxy."""
        self.invite()
        self.gateway.answer(self.gateway.asked("INVITE"), 486)
        self.phone.told(486)

    def test_a_member_that_died_since(self) -> None:
        """It accepted, and is silent: 503, and the client may try again."""
        self.network.cut.add(MEMBER)
        self.invite()
        self.network.advance(2.1)
        self.assertEqual(self.phone.words(), ["100 INVITE", "503 INVITE"])
        self.network.advance(15)

    def test_a_sips_call_stays_one(self) -> None:
        """The scheme of the Request-URI is the client's."""
        seen = []
        identification = self.primary.portal._placement._identification
        self.patch(identification, "_pass_on", lambda invite, to, uri, unreached: seen.append(uri))
        self.phone.say(self.phone.request("INVITE", "sips:100@192.0.2.1", contact="<sips:a@198.51.100.7>"), PRIMARY)
        self.assertRegex(seen[0], "^sips:100@192.0.2.2:5060;lease=")
        self.network.advance(15)
        self.phone.words()

    def test_a_member_can_tell_who_it_is(self) -> None:
        """identify_self is for clients that follow."""
        alone = self.start(3, "alone", 2, more='[sip]\nidentify_self = true\nredirect = "never"\n')
        self.phone.say(self.phone.request("INVITE", "sip:100@192.0.2.3"), ("192.0.2.3", 5060))
        self.gateway.asked("INVITE")
        self.assertEqual(len(alone.table), 1)


class DeadMemberTest(PassingOnTestCase):
    """The member that accepted is not there when the INVITE is passed on to it."""

    def setUp(self) -> None:
        """It was passed on, and another node has come up since."""
        super().setUp()
        self.group()
        self.network.cut.add(MEMBER)
        self.asked = self.invite()
        self.other = self.start(3, "other", 5, ("192.0.2.1:5065",))

    def of_the_other(self) -> tuple[int, int]:
        """Its calls and open leases."""
        return len(self.other.table), len(self.other.leases)

    def test_the_call_is_placed_again(self) -> None:
        """After two seconds without an answer another member carries it, and the first one has its slot back."""
        self.network.advance(1.9)
        self.assertEqual((len(self.member.leases), self.of_the_other()), (1, (0, 0)))
        self.network.advance(0.2)
        invite = self.gateway.asked("INVITE")
        self.assertEqual(self.of_the_other(), (1, 0))
        self.assertEqual(self.member.leases.counts["withdrawn"], 1)
        self.gateway.answer(invite, 200)
        self.assertEqual(self.phone.words(), ["100 INVITE", "200 INVITE"])

    def test_it_does_not_ring_there_when_it_is_back(self) -> None:
        """The INVITE is sent to it no more."""
        self.network.advance(2.1)
        self.network.cut.clear()
        self.network.advance(20)
        self.assertEqual((len(self.member.table), len(self.other.table)), (0, 1))

    def test_what_cannot_be_sent_is_placed_again_at_once(self) -> None:
        """Nobody waits for a member that refuses connections."""
        sent = [octets for _, to, octets in self.network.sent if to == MEMBER and octets.startswith(b"INVITE ")]
        self.network.advance(1.0)
        self.primary.sip.undelivered(0, sent[-1])
        self.network.settle()
        self.gateway.asked("INVITE")
        self.assertEqual(self.of_the_other(), (1, 0))

    def test_the_other_one_is_not_there_either(self) -> None:
        """Nobody is left: 503."""
        self.network.cut.add(("192.0.2.3", 5060))
        self.network.advance(4.2)
        self.assertEqual(self.phone.words(), ["100 INVITE", "503 INVITE"])
        self.assertEqual(self.of_the_other(), (0, 0))
        self.network.advance(15)

    def test_the_caller_gives_up_meanwhile(self) -> None:
        """CANCEL ends what is looked for."""
        self.network.advance(1.0)
        self.network.cut.add(("192.0.2.3", 5065))
        self.network.advance(1.1)
        cancel = self.phone.request("CANCEL", self.asked.uri)
        cancel.set("Via", self.asked.get("Via") or "")
        self.phone.say(cancel, PRIMARY)
        self.assertEqual(self.phone.words(), ["100 INVITE", "200 CANCEL", "487 INVITE"])
        self.network.advance(15)
        self.assertEqual(self.of_the_other(), (0, 0))

    def late(self, *statuses: int) -> list[str]:
        """The first member says something after all; which requests that brings it."""
        passed = next(octets for _, to, octets in self.network.sent if to == MEMBER and octets[:7] == b"INVITE ")
        invite = parse(passed)
        assert isinstance(invite, Request)
        before = len(self.network.sent)
        for status in statuses:
            self.network.send(invite.response(status, to_tag="late").octets(), MEMBER, PRIMARY)
        self.network.settle()
        return [octets.split()[0].decode() for _, to, octets in self.network.sent[before:] if to == MEMBER]

    def test_it_was_only_slow(self) -> None:
        """What it says too late is cancelled."""
        self.network.advance(2.1)
        self.gateway.answer(self.gateway.asked("INVITE"), 180)
        self.assertIn("CANCEL", self.late(180))
        self.assertEqual(self.phone.words(), ["100 INVITE", "180 INVITE"])

    def test_its_answer_crosses_the_cancel(self) -> None:
        """It reaches the caller as that of any branch does, and the other call is cancelled."""
        self.network.advance(2.1)
        invite = self.gateway.asked("INVITE")
        self.gateway.answer(invite, 180)
        self.late(200)
        self.gateway.answer(self.gateway.asked("CANCEL"), 200)
        self.gateway.answer(invite, 487)
        self.assertEqual(self.phone.words(), ["100 INVITE", "180 INVITE", "200 INVITE"])
        self.assertEqual(self.of_the_other(), (0, 0))

    def test_its_answer_comes_after_a_refusal(self) -> None:
        """It reaches the caller all the same."""
        self.network.advance(2.1)
        self.gateway.answer(self.gateway.asked("INVITE"), 486)
        self.late(200)
        self.assertEqual(self.phone.words(), ["100 INVITE", "486 INVITE", "200 INVITE"])


class AutoTest(PassingOnTestCase):
    """``redirect = "auto"``, and rules."""

    def test_a_client_that_ends_its_call_at_the_302_gets_the_next_one_through(self) -> None:
        """Its lease lapses although the 302 was delivered: for an hour its calls are passed on."""
        self.group("auto")
        asked = self.invite()
        self.phone.acknowledge(asked, self.phone.told(302), PRIMARY)
        self.assertEqual(self.carried(), (0, 0, 1))
        self.network.advance(11)
        self.invite("2")
        self.gateway.answer(self.gateway.asked("INVITE"), 200)
        self.phone.told(200)
        other = Peer(self.network, ("198.51.100.8", 5060), "bob")
        other.say(other.request("INVITE", "sip:100@192.0.2.1", call_id="3"), PRIMARY)
        other.told(302)

    def test_a_client_that_follows_is_redirected_each_time(self) -> None:
        """Its leases arrive."""
        self.group("auto")
        for number in range(3):
            asked = self.invite(f"{number}")
            answer = self.phone.told(302)
            self.phone.acknowledge(asked, answer, PRIMARY)
            contact = (answer.get("Contact") or "").strip("<>")
            self.phone.say(self.phone.request("INVITE", contact, number=2, call_id=f"{number}"), MEMBER)
            self.gateway.answer(self.gateway.asked("INVITE"), 486)
            self.network.advance(11)
            self.phone.words(), self.gateway.words()

    def test_a_rule_for_some_clients(self) -> None:
        """By address and User-Agent."""
        self.group("always", '[[clients]]\nuser_agent = "SIP.js"\nnetworks = ["198.51.100.0/24"]\nredirect = "never"\n')
        browser = self.phone.request("INVITE", "sip:100@192.0.2.1", fields=[("User-Agent", "sip.js/0.21")])
        self.phone.say(browser, PRIMARY)
        self.gateway.asked("INVITE")
        self.invite("2")
        self.phone.told(302)
        self.network.advance(11)


class OutboundTest(PassingOnTestCase):
    """The primary is the client's outbound proxy: whatever the Request-URI, it gets every request."""

    def test_100_of_100_with_one_redirect_each(self) -> None:
        """The redirected INVITE comes back to the primary, which passes it on; no call is redirected twice."""
        self.group("always")
        redirects = 0
        for number in range(100):
            asked = self.invite(f"{number}")
            answer = self.phone.told(302)
            redirects += 1
            self.phone.acknowledge(asked, answer, PRIMARY)
            contact = (answer.get("Contact") or "").strip("<>")
            self.phone.say(self.phone.request("INVITE", contact, number=2, call_id=f"{number}"), PRIMARY)
            self.gateway.answer(self.gateway.asked("INVITE"), 200)
            answer = self.phone.told(200)
            self.phone.say(self.phone.within("ACK", answer, 2), PRIMARY)
            self.gateway.asked("ACK")
            self.phone.say(self.phone.within("BYE", answer, 3), PRIMARY)
            self.gateway.answer(self.gateway.asked("BYE"), 200)
            self.phone.told(200, "BYE")
        self.assertEqual((redirects, self.member.table.carried, *self.carried()), (100, 100, 0, 0, 0))
