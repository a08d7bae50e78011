"""Requests outside any call: to a user's telephones, or to a gateway, after the same gate as calls (MESSAGE, RFC 3428,
OPTIONS, NOTIFY), and bodies, which pass octet by octet.
"""

from __future__ import annotations

from typing import Any

from tests.forks import ForkTestCase
from tests.registrations import RegistrarTestCase, authorized
from tests.sipnet import GATEWAY, HERE
from voipshift.sip.message import Request, parse

#: An offer of audio and video, and one of a fax (T.38), as gateways write them; octets that are no text between.
OFFERS = (
    b"v=0\r\no=- 1 1 IN IP4 198.51.100.7\r\ns=-\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\n"
    b"m=audio 4000 RTP/AVP 8 0 101\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\n"
    b"m=video 4002 RTP/AVP 97\r\na=rtpmap:97 H264/90000\r\na=fmtp:97 profile-level-id=42e01f;packetization-mode=1\r\n",
    b"v=0\r\no=- 2 2 IN IP4 198.51.100.7\r\ns=-\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\nm=audio 0 RTP/AVP 8\r\n"
    b"m=image 4004 udptl t38\r\na=T38FaxVersion:0\r\na=T38MaxBitRate:14400\r\na=T38FaxUdpEC:t38UDPRedundancy\r\n",
    b"--b\r\nContent-Type: application/octet-stream\r\n\r\n" + bytes(range(256)) + b"\r\n\r\n--b--\r\n",
)


class MessageTest(ForkTestCase):
    """Between registered users."""

    def message(self, uri: str = "sip:bob@192.0.2.1", method: str = "MESSAGE", **more: Any) -> Request:
        """Alice sends one."""
        message = self.phone.request(method, uri, contact="", **more)
        self.phone.say(message, HERE)
        return message

    def test_it_reaches_every_telephone(self) -> None:
        """All of equal preference get it, the first 200 is the answer; no call, no slot, no Record-Route."""
        for number, body in enumerate(OFFERS):
            self.message(call_id=f"{number}", fields=[("Content-Type", "x/y")], body=body)
            first, second = self.desk.asked("MESSAGE"), self.cell.asked("MESSAGE")
            for message, uri in ((first, "sip:bob@198.51.100.20:5060"), (second, "sip:bob@198.51.100.21:5060")):
                self.assertEqual((message.uri, message.body, message.get("Content-Type")), (uri, body, "x/y"))
                self.assertFalse(message.has("Record-Route"))
                self.assertFalse(message.has("Session-Expires"))
            self.desk.answer(first, 200)
            self.cell.answer(second, 200)
            self.assertEqual(self.phone.words(), ["200 MESSAGE"])
        self.assertEqual((self.sizes(), len(self.here.leases)), ((0, 0), 0))

    def test_a_full_node_delivers_it(self) -> None:
        """It is no call: nobody is asked to take it."""
        self.here.stopService()
        self.nodes.remove(self.here)
        full = self.node(
            limit=0, access=self.here._settings.access, registrar=self.here._settings.registrar, name="full"
        )
        asks = self.introduce(full)
        self.message()
        self.desk.answer(self.desk.asked("MESSAGE"), 202)
        self.phone.told(202, "MESSAGE")
        self.assertEqual(asks.sent, [])

    def test_nobody_takes_it(self) -> None:
        """The best refusal, after the last group."""
        self.message()
        self.desk.answer(self.desk.asked("MESSAGE"), 486)
        self.cell.answer(self.cell.asked("MESSAGE"), 415)
        self.hall.answer(self.hall.asked("MESSAGE"), 480)
        self.phone.told(415, "MESSAGE")

    def test_to_a_number(self) -> None:
        """By the dial plan."""
        self.message("sip:+49301234@192.0.2.1")
        message = self.gateway.asked("MESSAGE")
        self.assertEqual(message.uri, "sip:+49301234@192.0.2.20:5060")
        self.gateway.answer(message, 200)
        self.phone.told(200, "MESSAGE")

    def test_each_kind(self) -> None:
        """NOTIFY without a subscription (a mailbox's), OPTIONS of a user: they mean something to the telephone."""
        for number, method in enumerate(("NOTIFY", "OPTIONS", "MESSAGE")):
            self.message(method=method, call_id=f"{number}")
            asked = self.cell.asked(method)
            self.cell.answer(asked, 200)
            self.phone.told(200, method)
        self.desk.words()

    def test_options_of_the_node_itself(self) -> None:
        """No user, or no further hop: the node answers (section 11, 16.3 item 3)."""
        self.message("sip:192.0.2.1", "OPTIONS")
        self.phone.told(200, "OPTIONS")
        worn = self.phone.request("OPTIONS", "sip:bob@192.0.2.1", call_id="2")
        worn.set("Max-Forwards", "0")
        self.phone.say(worn, HERE)
        self.phone.told(200, "OPTIONS")
        self.assertEqual(self.desk.words(), [])

    def test_too_many_branches(self) -> None:
        """440, as for a call."""
        self.message(fields=[("Max-Breadth", "1")])
        self.phone.told(440, "MESSAGE")
        self.assertEqual(self.desk.words(), [])


class BodyTest(RegistrarTestCase):
    """Offers and answers of calls pass octet by octet."""

    def test_offers_and_answers(self) -> None:
        """In the INVITE and its 200, and in a re-INVITE that turns to fax."""
        self.node()
        for number, body in enumerate(OFFERS):
            typed = [("Content-Type", "application/sdp")]
            invite = self.phone.request("INVITE", "sip:100@192.0.2.1", call_id=f"{number}", fields=typed, body=body)
            self.phone.say(invite, HERE)
            offer = self.gateway.asked("INVITE")
            self.assertEqual(offer.body, body)
            reply = offer.response(200, to_tag="there", fields=[*typed, ("Contact", self.gateway.contact)], body=body)
            self.gateway.say(reply, HERE)
            answer = self.phone.told(200)
            self.assertEqual(answer.body, body)
            routes = [("Route", value) for value in answer.values("Record-Route")]
            self.phone.say(self.phone.within("INVITE", answer, body=OFFERS[1], fields=[*routes, *typed]), HERE)
            self.assertEqual(self.gateway.asked("INVITE").body, OFFERS[1])
        for _, to, octets in self.network.sent:
            if to == GATEWAY:
                message = parse(octets)
                self.assertEqual(int(message.get("Content-Length") or ""), len(message.body))


class AccessTest(RegistrarTestCase):
    """Who may."""

    def setUp(self) -> None:
        super().setUp()
        self.user()

    def test_a_stranger(self) -> None:
        """407, to registered users and to gateways alike; with the password it goes on, without the credentials."""
        self.registrar()
        for number, (method, uri) in enumerate((("MESSAGE", "sip:100@192.0.2.1"), ("SUBSCRIBE", "sip:x@192.0.2.1"))):
            asked = self.phone.request(method, uri, call_id=f"{number}")
            self.phone.say(asked, HERE)
            challenge = self.phone.told(407, method)
            self.assertEqual(self.gateway.words(), [])
            self.phone.say(authorized(asked, challenge), HERE)
            passed = self.gateway.asked(method)
            self.assertFalse(passed.has("Proxy-Authorization"))

    def test_a_stranger_where_there_are_no_users(self) -> None:
        """403."""
        self.registrar(users=None)
        self.phone.say(self.phone.request("MESSAGE", "sip:100@192.0.2.1"), HERE)
        self.phone.told(403, "MESSAGE")
        self.assertEqual(self.gateway.words(), [])

    def test_a_stranger_asks_the_node_itself(self) -> None:
        """OPTIONS without a user tells nothing that is secret."""
        self.registrar()
        self.phone.say(self.phone.request("OPTIONS", "sip:192.0.2.1"), HERE)
        self.phone.told(200, "OPTIONS")

    def test_nobody_is_there(self) -> None:
        """404: neither registered, nor any gateway."""
        self.node(gateways=())
        self.phone.say(self.phone.request("MESSAGE", "sip:nobody@192.0.2.1"), HERE)
        self.phone.told(404, "MESSAGE")

    def test_a_route_to_a_stranger(self) -> None:
        """403: a node is no relay."""
        self.node()
        asked = self.phone.request("MESSAGE", "sip:100@192.0.2.1", fields=[("Route", "<sip:203.0.113.9;lr>")])
        self.phone.say(asked, HERE)
        self.phone.told(403, "MESSAGE")
