"""REGISTER at whole nodes, and calls to who is registered there."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

from twisted.internet.defer import Deferred, fail

from tests.registrations import RegistrarTestCase, authorized
from tests.sipnet import HERE, HERE_TOO, PHONE, STRANGER, Peer, word
from voipshift.calls.location import Bindings
from voipshift.store.sqlite import Busy

BOB = ("198.51.100.20", 5060)
DESK = ("198.51.100.21", 5060)
ALL = (ip_network("0.0.0.0/0"),)


class RegisterTest(RegistrarTestCase):
    """RFC 3261 section 10.3."""

    def test_a_trusted_phone_is_registered(self) -> None:
        """200 with every binding, what is left of it, and the time."""
        self.registrar(trusted=ALL)
        self.register(self.phone, fields=[("Expires", "600")])
        answer = self.phone.told(200, "REGISTER")
        self.assertEqual(answer.values("Contact"), ["<sip:alice@198.51.100.7:5060>;expires=600"])
        self.assertTrue(answer.has("Date"))
        self.assertEqual(self.contacts("alice"), ["sip:alice@198.51.100.7:5060"])

    def test_a_user_part_in_the_request_uri_is_no_harm(self) -> None:
        """Clients that follow a 302 send one."""
        self.registrar(trusted=ALL)
        asked = self.phone.request("REGISTER", "sip:alice@192.0.2.1", to="<sip:alice@192.0.2.1>")
        self.phone.say(asked, HERE)
        self.phone.told(200, "REGISTER")

    def test_a_node_without_a_registrar(self) -> None:
        """405, and Allow does not name it."""
        self.node()
        self.register(self.phone)
        self.assertNotIn("REGISTER", self.phone.told(405, "REGISTER").get("Allow") or "")

    def test_it_comes_back_too_soon(self) -> None:
        """423 says how often it may."""
        self.registrar(trusted=ALL)
        self.register(self.phone, fields=[("Expires", "10")])
        self.assertEqual(self.phone.told(423, "REGISTER").get("Min-Expires"), "60")

    def test_what_it_requires_is_not_known(self) -> None:
        """420 names it; path is known."""
        self.registrar(trusted=ALL)
        self.register(self.phone, fields=[("Require", "path, gruu")])
        self.assertEqual(self.phone.told(420, "REGISTER").get("Unsupported"), "gruu")

    def test_an_old_request_is_refused(self) -> None:
        """The same Call-ID, a lower CSeq: 500, and the binding stays."""
        self.registrar(trusted=ALL)
        self.register(self.phone, number=5)
        self.register(self.phone, number=4, fields=[("Expires", "0")])
        self.assertEqual(self.phone.words(), ["200 REGISTER", "500 REGISTER"])
        self.assertEqual(self.contacts("alice"), ["sip:alice@198.51.100.7:5060"])

    def test_a_contact_that_is_the_group_itself(self) -> None:
        """403: calls would go round and round."""
        self.registrar(trusted=ALL)
        self.register(self.phone, contact="<sip:bob@192.0.2.1>")
        self.phone.told(403, "REGISTER")

    def test_a_registration_survives_the_node(self) -> None:
        """A restart forgets nothing."""
        node = self.registrar(trusted=ALL)
        self.register(self.phone)
        self.phone.told(200, "REGISTER")
        node.stopService()
        self.nodes.remove(node)
        self.registrar(trusted=ALL)
        self.register(self.phone, contact="")
        self.assertEqual(len(self.phone.told(200, "REGISTER").values("Contact")), 1)

    def test_a_store_that_is_too_busy(self) -> None:
        """503, and when to come back."""
        node = self.registrar(trusted=ALL)
        assert node.reception.registrar is not None
        self.patch(node.reception.registrar._location, "change", lambda user, step: fail(Busy()))
        self.register(self.phone)
        self.assertEqual(self.phone.told(503, "REGISTER").get("Retry-After"), "30")
        self.assertEqual(len(self.flushLoggedErrors(Busy)), 1)

    def test_registrations_are_counted(self) -> None:
        """Those that this node holds are its clients."""
        node = self.registrar(trusted=ALL)
        self.register(self.phone)
        self.register(Peer(self.network, BOB, "bob"))
        self.network.advance(6)
        self.assertEqual(node.reception.registrations, 2)
        self.phone.words()


class ChallengeTest(RegistrarTestCase):
    """RFC 3261 section 22 at the registrar."""

    def setUp(self) -> None:
        super().setUp()
        self.user()

    def test_the_password_is_asked_for(self) -> None:
        """401 offers SHA-256, then MD5; either makes the binding."""
        for which in (0, 1):
            self.registrar()
            asked = self.register(self.phone, call_id=f"c{which}")
            challenge = self.phone.told(401, "REGISTER")
            self.assertEqual(len([key for key, _ in challenge.fields if key == "www-authenticate"]), 2)
            self.phone.say(authorized(asked, challenge, which=which), HERE)
            self.phone.told(200, "REGISTER")
            self.nodes.pop().stopService()

    def test_nobody_learns_who_is_a_user(self) -> None:
        """A wrong password, an unknown user and a forged nonce get the same answer, but for the nonce."""
        self.registrar()
        answers = []
        for change in ({"password": "x"}, {"username": "nobody"}, {"username": "nobody", "password": "x"}):
            asked = self.register(self.phone, call_id="c")
            challenge = self.phone.told(401, "REGISTER")
            self.phone.say(authorized(asked, challenge, **change), HERE)  # type: ignore[arg-type]
            answer = self.phone.told(401, "REGISTER")
            answers.append([line for key, line in answer.fields if key not in ("via", "www-authenticate")])
            self.assertNotIn("stale", str(answer.fields))
        self.assertEqual(answers[0], answers[1])
        self.assertEqual(answers[0], answers[2])
        self.assertEqual(self.contacts("alice"), [])

    def test_a_telephone_with_an_old_password(self) -> None:
        """It sends it for ever as fast as it is answered: it is answered no more, and others at its address are."""
        node = self.registrar()
        self.user("bob", "builder")
        asked = self.register(self.phone)
        for number in range(2, 60):
            words = [word(message) for message in self.phone.heard]
            if words[:1] != ["401 REGISTER"]:
                break
            challenge = self.phone.told(401, "REGISTER")
            self.phone.say(authorized(asked, challenge, password="old", number=number), HERE)
        self.assertEqual((words, number), ([], 8), "one challenge, five answers, and silence")
        self.assertEqual((node.reception.gate.counts["wrong"], node.reception.gate.counts["ignored"]), (5, 1))
        neighbour = Peer(self.network, (PHONE[0], 5080), "bob")
        asked = self.register(neighbour)
        neighbour.say(authorized(asked, neighbour.told(401, "REGISTER"), username="bob", password="builder"), HERE)
        neighbour.told(200, "REGISTER")
        self.clock.advance(10)
        asked = self.register(self.phone, number=70)
        self.phone.say(authorized(asked, self.phone.told(401, "REGISTER"), number=71), HERE)
        self.phone.told(200, "REGISTER")

    def test_somebody_elses_address_of_record(self) -> None:
        """403: a user registers himself alone (section 10.3 item 4)."""
        self.registrar()
        self.user("mallory", "m")
        asked = self.register(self.phone)
        self.phone.say(authorized(asked, self.phone.told(401, "REGISTER"), username="mallory", password="m"), HERE)
        self.phone.told(403, "REGISTER")

    def test_another_nodes_nonce(self) -> None:
        """Another node of the group says stale, and the right answer to that is right."""
        self.registrar()
        self.registrar(("192.0.2.3", 5060), name="other")
        self.nodes[1].reception.gate._authenticator._nonces._keys = self.nodes[
            0
        ].reception.gate._authenticator._nonces._keys
        asked = self.register(self.phone)
        again = authorized(asked, self.phone.told(401, "REGISTER"))
        self.phone.say(again, ("192.0.2.3", 5060))
        stale = self.phone.told(401, "REGISTER")
        self.assertIn("stale=true", str(stale.get("WWW-Authenticate")))
        self.phone.say(authorized(again, stale, number=3), ("192.0.2.3", 5060))
        self.phone.told(200, "REGISTER")

    def test_credentials_are_good_once(self) -> None:
        """A captured request, sent again as a new one, is stale; the phone's next is not."""
        self.registrar()
        asked = self.register(self.phone)
        challenge = self.phone.told(401, "REGISTER")
        for number, count, status in ((2, 1, 200), (3, 1, 401), (4, 2, 200)):
            self.phone.say(authorized(asked, challenge, number=number, count=count), HERE)
            self.phone.told(status, "REGISTER")

    def test_a_short_request_gets_no_long_answer(self) -> None:
        """Never more than twice what a stranger sent: fewer challenges, or none."""
        self.registrar()
        short = (
            "REGISTER sip:192.0.2.1 SIP/2.0\r\nv: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK{length}\r\n"
            "f: <sip:a@b>;tag=1\r\nt: <sip:a@b>\r\ni: {length}\r\nCSeq: 1 REGISTER\r\nX: {padding}\r\n\r\n"
        )
        for length, status, challenges in ((250, 401, 2), (40, 401, 1), (1, 403, 0)):
            asked = short.format(length=length, padding="x" * length).encode()
            self.phone.say(asked, HERE)
            answer = self.phone.told(status, "REGISTER")
            self.assertEqual(len([key for key, _ in answer.fields if key == "www-authenticate"]), challenges)
            self.assertLessEqual(len(answer.octets()), 2 * len(asked))

    def test_a_flood_is_not_looked_at(self) -> None:
        """One address may send so much, and others all the same."""
        node = self.registrar(requests_per_second=1)
        for number in range(10):
            self.register(self.phone, call_id=f"c{number}")
        self.assertEqual(len(self.phone.words()), 5)
        self.assertEqual(node.sip.dropped["more than one address may send"], 5)
        other = Peer(self.network, STRANGER, "alice")
        self.register(other)
        other.told(401, "REGISTER")


class CallTest(RegistrarTestCase):
    """A registered user's phones come before any gateway."""

    def setUp(self) -> None:
        super().setUp()
        self.bob = Peer(self.network, BOB, "bob")
        self.desk = Peer(self.network, DESK, "bob")

    def registered(self, *phones: tuple[Peer, str]) -> None:
        """Register bob's phones with their preference."""
        for number, (phone, q) in enumerate(phones):
            self.register(phone, contact=f"{phone.contact};q={q}", call_id=f"r{number}")
            phone.told(200, "REGISTER")

    def invite(self, user: str = "bob", **more: Any) -> None:
        self.phone.say(self.phone.request("INVITE", f"sip:{user}@192.0.2.1", **more), HERE)

    def test_a_call_reaches_the_phone(self) -> None:
        """With its Contact as Request-URI; ACK and BYE go the same way, and the call is over."""
        node = self.registrar(trusted=ALL)
        self.registered((self.bob, "1"))
        self.invite()
        invite = self.bob.asked("INVITE")
        self.assertEqual(invite.uri, "sip:bob@198.51.100.20:5060")
        self.bob.answer(invite, 180)
        self.bob.answer(invite, 200)
        self.phone.told(180)
        answer = self.phone.told(200)
        self.phone.say(self.phone.within("ACK", answer, 1), HERE)
        self.bob.asked("ACK")
        self.assertEqual(len(node.table), 1)
        self.bob.say(self.bob.back("BYE", invite), HERE)
        self.phone.answer(self.phone.asked("BYE"), 200)
        self.bob.told(200, "BYE")
        self.assertEqual((len(node.table), self.gateway.words()), (0, []))

    def test_whoever_is_not_registered_is_for_the_gateway(self) -> None:
        """Else a gateway, else 404."""
        self.registrar(trusted=ALL)
        self.invite("100")
        self.gateway.asked("INVITE")

    def test_the_contact_of_one_telephone(self) -> None:
        """A transfer may name it: it rings there alone.  Another address is all of the user's, or none of ours."""
        for number, domains in enumerate(((), ("example.org",))):
            node = self.registrar(trusted=ALL, name=f"n{number}")
            assert node.reception.registrar is not None
            node.reception.registrar._domains = frozenset(domains)
            if not number:
                self.registered((self.bob, "1"), (self.desk, "1"))
            uri = self.desk.contact.strip("<>")
            self.phone.say(self.phone.request("INVITE", uri, call_id=f"c{number}"), HERE)
            self.assertEqual((self.desk.asked("INVITE").uri, self.bob.words()), (uri, []))
            self.phone.say(self.phone.request("INVITE", "sip:bob@203.0.113.77", call_id=f"d{number}"), HERE)
            rang = [peer.words() for peer in (self.bob, self.desk, self.gateway)]
            self.assertEqual(rang, [["INVITE"], ["INVITE"], []] if not domains else [[], [], ["INVITE"]])
            self.nodes.remove(node)
            node.stopService()
            self.phone.words()

    def test_an_expired_registration_is_none(self) -> None:
        """The wall clock's time."""
        node = self.registrar(trusted=ALL)
        self.registered((self.bob, "1"))
        assert node.reception.registrar is not None
        wall = node.reception.registrar._wall
        self.patch(node.reception.registrar, "_wall", lambda: wall() + 3601)
        self.invite()
        self.gateway.asked("INVITE")

    def test_the_preferred_phone_rings_first(self) -> None:
        """Serial by q: the next one after a busy one, and the call is still one call."""
        node = self.registrar(trusted=ALL)
        self.registered((self.bob, "0.2"), (self.desk, "0.9"))
        self.invite()
        self.assertEqual(self.bob.words(), [])
        self.desk.answer(self.desk.asked("INVITE"), 486)
        self.desk.asked("ACK")
        self.assertEqual((self.phone.words(), len(node.table)), ([], 1))
        self.bob.answer(self.bob.asked("INVITE"), 200)
        self.phone.told(200)

    def test_the_best_of_all_answers(self) -> None:
        """16.7 item 6: the lowest class; busy says more than silence."""
        self.registrar(trusted=ALL)
        self.registered((self.bob, "0.2"), (self.desk, "0.9"))
        for number, (first, second, best) in enumerate(
            [(486, 408, 486), (408, 486, 486), (503, 404, 404), (404, 500, 404), (302, 486, 302)]
        ):
            self.invite(call_id=f"c{number}", sender=f"<sip:alice@example.org>;tag={number}")
            self.desk.answer(self.desk.asked("INVITE"), first)
            self.bob.answer(self.bob.asked("INVITE"), second)
            self.assertEqual(self.phone.words(), [f"{best} INVITE"])
            self.assertEqual((self.desk.words(), self.bob.words()), (["ACK"], ["ACK"]))

    def test_a_6xx_is_final(self) -> None:
        """16.7 item 5: nobody else is tried."""
        self.registrar(trusted=ALL)
        self.registered((self.bob, "0.2"), (self.desk, "0.9"))
        self.invite()
        self.desk.answer(self.desk.asked("INVITE"), 603)
        self.phone.told(603)
        self.assertEqual(self.bob.words(), [])

    def test_cancel_reaches_the_phone(self) -> None:
        """And the next one is not tried."""
        self.registrar(trusted=ALL)
        self.registered((self.bob, "0.2"), (self.desk, "0.9"))
        self.invite()
        invite = self.desk.asked("INVITE")
        self.desk.answer(invite, 180)
        self.phone.told(180)
        cancel = self.phone.request("CANCEL", "sip:bob@192.0.2.1", contact="")
        cancel.set(
            "Via",
            next(octets for _, to, octets in self.network.sent if to == HERE and b"INVITE" in octets[:6])
            .partition(b"Via: ")[2]
            .partition(b"\r\n")[0]
            .decode(),
        )
        self.phone.say(cancel, HERE)
        self.desk.answer(self.desk.asked("CANCEL"), 200)
        self.desk.answer(invite, 487)
        self.assertEqual(self.phone.words(), ["200 CANCEL", "487 INVITE"])
        self.assertEqual(self.bob.words(), [])

    def test_a_phone_behind_a_nat(self) -> None:
        """It is reached where it was seen, from the port that it knows; the rest of the dialog too."""
        self.registrar(HERE, HERE_TOO, trusted=ALL)
        asked = self.bob.request(
            "REGISTER",
            "sip:192.0.2.1",
            sender="<sip:bob@192.0.2.1>;tag=1",
            to="<sip:bob@192.0.2.1>",
            contact="<sip:bob@10.0.0.5:5060>",
        )
        asked.set("Via", "SIP/2.0/UDP 10.0.0.5:5060;branch=z9hG4bKnat;rport")
        self.bob.say(asked, HERE_TOO)
        self.bob.told(200, "REGISTER")
        self.invite()
        invite = self.bob.asked("INVITE")
        self.assertEqual(invite.uri, "sip:bob@10.0.0.5:5060")
        self.assertEqual(invite.via.address, HERE_TOO)
        self.bob.say(invite.response(200, to_tag="there", fields=[("Contact", "<sip:bob@10.0.0.5:5060>")]), HERE_TOO)
        self.phone.say(self.phone.within("ACK", self.phone.told(200), 1), HERE)
        self.bob.asked("ACK")

    def test_along_the_path(self) -> None:
        """RFC 3327: the Path is the Route of the INVITE."""
        edge = Peer(self.network, ("192.0.2.9", 5060), "edge")
        self.registrar(trusted=ALL)
        path = [("Path", "<sip:192.0.2.9:5060;lr>"), ("Path", "<sip:192.0.2.8;lr>"), ("Supported", "path")]
        self.register(self.bob, fields=path)
        self.assertEqual(self.bob.told(200, "REGISTER").values("Path"), [value for _, value in path[:2]])
        self.invite()
        invite = edge.asked("INVITE")
        self.assertEqual(invite.values("Route"), [value for _, value in path[:2]])
        self.assertEqual(invite.uri, "sip:bob@198.51.100.20:5060")

    def test_a_shifted_call_reaches_the_phone(self) -> None:
        """The original Request-URI is restored from the lease before anybody is looked for."""
        node = self.registrar(trusted=ALL)
        self.registered((self.bob, "1"))
        lease = self.lease(node, "sip:bob@example.org", callee="bob")
        self.phone.say(self.phone.request("INVITE", f"sip:bob@192.0.2.1;lease={lease}"), HERE)
        self.bob.asked("INVITE")
        self.assertEqual((len(node.table), len(node.leases)), (1, 0))

    def test_a_store_that_does_not_answer(self) -> None:
        """The gateways are all there is, and it is said in the log."""
        node = self.registrar(trusted=ALL)
        assert node.reception.registrar is not None
        self.patch(node.reception.registrar._location, "find", lambda user: fail(Busy()))
        self.invite()
        self.gateway.asked("INVITE")
        self.assertEqual(len(self.flushLoggedErrors(Busy)), 1)

    def test_a_cancelled_call_waits_for_no_store(self) -> None:
        """487, and its slot is free."""
        node = self.registrar(trusted=ALL)
        assert node.reception.registrar is not None
        waiting: Deferred[Bindings] = Deferred()
        self.patch(node.reception.registrar._location, "find", lambda user: waiting)
        invite = self.phone.request("INVITE", "sip:bob@192.0.2.1")
        self.phone.say(invite, HERE)
        cancel = self.phone.request("CANCEL", "sip:bob@192.0.2.1", contact="")
        cancel.set("Via", invite.get("Via") or "")
        self.phone.say(cancel, HERE)
        self.assertEqual(self.phone.words(), ["200 CANCEL", "487 INVITE"])
        self.assertEqual((len(node.table), len(node.leases), self.gateway.words()), (0, 0, []))
