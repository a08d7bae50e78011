"""Subscriptions outside calls (RFC 6665): SUBSCRIBE and REFER, and the NOTIFY that comes back inside their dialogs."""

from __future__ import annotations

from tests.forks import ForkTestCase
from tests.sipnet import HERE, STRANGER, Peer, SipNetTestCase
from voipshift.calls import subscription
from voipshift.calls.subscription import LINGER_S, MAX_EXPIRES_S
from voipshift.sip.message import Request, Response

ACTIVE = ("Subscription-State", "active;expires=600")


class SubscriptionTestCase(SipNetTestCase):
    """Alice subscribes to what the gateway knows of 100."""

    def setUp(self) -> None:
        """A node that carries no call."""
        super().setUp()
        self.here = self.node()

    def subscribe(self, method: str = "SUBSCRIBE", call_id: str = "s", expires: str = "600") -> Request:
        """The SUBSCRIBE as it reaches the gateway."""
        fields = [("Expires", expires), ("Event", "dialog")]
        self.phone.say(self.phone.request(method, "sip:100@192.0.2.1", call_id=call_id, fields=fields), HERE)
        return self.gateway.asked(method)

    def accept(self, asked: Request, status: int = 200, expires: str = "600") -> Response:
        """The gateway accepts, and Alice hears of it."""
        fields = [("Record-Route", value) for value in asked.values("Record-Route")]
        fields += [("Expires", expires), ("Contact", self.gateway.contact)]
        self.gateway.answer(asked, status, fields=fields)
        return self.phone.told(status, asked.method)

    def notify(self, asked: Request, number: int = 1, state: tuple[str, str] = ACTIVE) -> None:
        """The gateway notifies."""
        routes = [("Route", value) for value in asked.values("Record-Route")]
        self.gateway.say(self.gateway.back("NOTIFY", asked, number, fields=[*routes, state]), HERE)

    def notified(self) -> Request:
        """Alice is notified."""
        notify = self.phone.asked("NOTIFY")
        self.phone.answer(notify, 200)
        self.gateway.told(200, "NOTIFY")
        return notify


class SubscriptionTest(SubscriptionTestCase):
    """One subscriber, one notifier."""

    def test_it_takes_no_slot(self) -> None:
        """It is recorded in the route, and no call."""
        asked = self.subscribe()
        self.assertEqual(asked.values("Record-Route"), ["<sip:192.0.2.1:5060;lr>"])
        self.accept(asked)
        self.assertEqual((len(self.here.table), len(self.here.leases)), (0, 0))
        self.assertEqual(len(self.here.proxy.subscriptions), 1)

    def test_a_notify_before_and_after_the_answer(self) -> None:
        """It may be faster than the 200; what it says is for the subscriber, and this node stays in its route."""
        asked = self.subscribe()
        self.notify(asked)
        self.assertEqual(self.notified().values("Record-Route"), ["<sip:192.0.2.1:5060;lr>"])
        self.accept(asked)
        self.notify(asked, 2)
        self.notified()

    def test_a_refresh_and_the_end(self) -> None:
        """SUBSCRIBE inside the dialog prolongs it; its last NOTIFY still passes when it is over."""
        answer = self.accept(asked := self.subscribe())
        self.network.advance(500)
        self.phone.say(self.phone.within("SUBSCRIBE", answer), HERE)
        self.gateway.answer(self.gateway.asked("SUBSCRIBE"), 200, fields=[("Expires", "600")])
        self.phone.told(200, "SUBSCRIBE")
        self.network.advance(590)
        self.phone.say(self.phone.within("SUBSCRIBE", answer, 3), HERE)
        self.gateway.answer(self.gateway.asked("SUBSCRIBE"), 200, fields=[("Expires", "0")])
        self.phone.told(200, "SUBSCRIBE")
        self.notify(asked, 3, ("Subscription-State", "terminated;reason=timeout"))
        self.notified()

    def test_it_expires(self) -> None:
        """Nobody has refreshed it: then there is none, and a NOTIFY gets 481."""
        asked = self.subscribe()
        self.accept(asked)
        self.network.advance(600 + LINGER_S - 1)
        self.notify(asked, 2, ("Subscription-State", "active;expires=10"))
        self.notified()
        self.network.advance(10 + LINGER_S)
        self.notify(asked, 3)
        self.gateway.told(481, "NOTIFY")
        self.subscribe(call_id="another")
        self.assertEqual(len(self.here.proxy.subscriptions), 1)

    def test_a_refusal_ends_it(self) -> None:
        """489, and nothing is kept."""
        self.gateway.answer(self.subscribe(), 489)
        self.phone.told(489, "SUBSCRIBE")
        self.assertEqual(len(self.here.proxy.subscriptions), 0)

    def test_a_notify_of_nothing_is_481(self) -> None:
        """Another Call-ID or another subscriber's tag: a node is no relay."""
        asked = self.subscribe()
        self.accept(asked)
        for name, value in (("Call-ID", "x"), ("To", "<sip:alice@example.org>;tag=x")):
            notify = self.gateway.back("NOTIFY", asked)
            notify.set(name, value)
            self.gateway.say(notify, HERE)
            self.gateway.told(481, "NOTIFY")
        self.assertEqual(self.phone.words(), [])

    def test_a_stranger_becomes_no_notifier(self) -> None:
        """Whoever knows the Call-ID may notify, and no request is sent to him for that."""
        asked = self.subscribe()
        answer = self.accept(asked)
        stranger = Peer(self.network, STRANGER, "stranger")
        stranger.say(stranger.back("NOTIFY", asked, tag="stranger", fields=[ACTIVE]), HERE)
        self.phone.words()
        for refresh in (self.phone.within("SUBSCRIBE", answer, 2), self.phone.within("SUBSCRIBE", answer, 3)):
            refresh.set("To", "<sip:100@192.0.2.1>;tag=stranger")
            refresh.uri = "sip:stranger@203.0.113.9" if refresh.cseq[0] == 2 else "sip:100@192.0.2.1"
            self.phone.say(refresh, HERE)
            self.phone.told(481, "SUBSCRIBE")
        self.assertEqual(stranger.words(), [])

    def test_a_subscriber_behind_a_nat(self) -> None:
        """The NOTIFY goes where it was seen."""
        outside = Peer(self.network, ("198.51.100.99", 40001), "outside")
        inside = Peer(self.network, ("10.0.0.7", 5060), "inside")
        outside.say(inside.request("SUBSCRIBE", "sip:100@192.0.2.1"), HERE)
        asked = self.gateway.asked("SUBSCRIBE")
        self.notify(asked)
        outside.asked("NOTIFY")

    def test_refer(self) -> None:
        """202, and NOTIFY until it is over (RFC 3515)."""
        asked = self.subscribe("REFER")
        self.accept(asked, 202)
        self.notify(asked, 1, ("Subscription-State", "active;expires=60"))
        self.notified()
        self.notify(asked, 2, ("Subscription-State", "terminated;reason=noresource"))
        self.notified()

    def test_a_referral_inside_a_call_outlives_it(self) -> None:
        """Whoever transfers a call hangs up, and still wants to know what became of it; either end may."""
        for caller_refers in (True, False):
            invite, answer = self.call(call_id=f"{caller_refers}")
            if caller_refers:
                self.phone.say(self.phone.within("REFER", answer), HERE)
                self.gateway.answer(self.gateway.asked("REFER"), 202)
                self.phone.told(202, "REFER")
            else:
                self.gateway.say(self.gateway.back("REFER", invite), HERE)
                self.phone.answer(self.phone.asked("REFER"), 202)
                self.gateway.told(202, "REFER")
            self.phone.say(self.phone.within("BYE", answer, 3), HERE)
            self.gateway.answer(self.gateway.asked("BYE"), 200)
            self.phone.told(200, "BYE")
            self.assertEqual(len(self.here.table), 0)
            if caller_refers:
                self.notify(invite, 4)
                self.phone.asked("NOTIFY")
            else:
                self.phone.say(self.phone.within("NOTIFY", answer, 4), HERE)
                self.gateway.asked("NOTIFY")


class BoundTest(SubscriptionTestCase):
    """Nothing is unbounded."""

    def test_too_many(self) -> None:
        """503 for one more, until one has expired; the others are not harmed."""
        self.patch(subscription, "MAX_SUBSCRIPTIONS", 2)
        first = self.subscribe(call_id="1")
        self.accept(first)
        self.accept(self.subscribe(call_id="2"), expires="60")
        self.phone.say(self.phone.request("SUBSCRIBE", "sip:100@192.0.2.1", call_id="3"), HERE)
        self.phone.told(503, "SUBSCRIBE")
        self.notify(first)
        self.notified()
        self.network.advance(60 + LINGER_S)
        self.accept(self.subscribe(call_id="3"))

    def test_how_long_one_lasts(self) -> None:
        """What is absurd or cannot be read is bounded: a day, or half a minute."""
        for number, (said, kept_s) in enumerate((("999999999", MAX_EXPIRES_S), ("soon", 0.0), ("9" * 5000, 0.0))):
            asked = self.subscribe(call_id=f"{number}")
            self.accept(asked, expires=said)
            found = self.here.proxy.subscriptions.find(f"{number}", "alice", "there")
            assert found is not None
            until = self.here.proxy.subscriptions._until[found]
            self.assertEqual(until - self.clock.seconds(), kept_s + LINGER_S)

    def test_the_same_one_again_is_no_other_one(self) -> None:
        """Asked again with credentials, say: the same Call-ID and tag."""
        for number in range(5):
            self.phone.say(self.phone.request("SUBSCRIBE", "sip:100@192.0.2.1", number=number + 1), HERE)
            self.notify(self.gateway.asked("SUBSCRIBE"), number + 1)
            self.notified()
        self.assertEqual((len(self.here.proxy.subscriptions), len(self.here.proxy.subscriptions._order)), (1, 1))


class ForkedSubscriptionTest(ForkTestCase):
    """Several telephones, each with a dialog of its own."""

    def test_each_notifies_and_is_refreshed(self) -> None:
        """Only one 200 reaches the subscriber; the other dialog is made by its NOTIFY."""
        self.phone.say(self.phone.request("SUBSCRIBE", "sip:bob@192.0.2.1"), HERE)
        first, second = self.desk.asked("SUBSCRIBE"), self.cell.asked("SUBSCRIBE")
        for phone, asked, tag in ((self.desk, first, "desk"), (self.cell, second, "cell")):
            phone.answer(asked, 200, tag=tag, fields=[("Contact", phone.contact), ("Expires", "600")])
            routes = [("Route", value) for value in asked.values("Record-Route")]
            phone.say(phone.back("NOTIFY", asked, tag=tag, fields=[*routes, ACTIVE]), HERE)
        self.phone.told(200, "SUBSCRIBE")
        one, other = self.phone.asked("NOTIFY"), self.phone.asked("NOTIFY")
        for number, (notify, phone) in enumerate(((one, self.desk), (other, self.cell)), 2):
            self.phone.answer(notify, 200)
            phone.told(200, "NOTIFY")
            self.phone.say(self.phone.back("SUBSCRIBE", notify, number), HERE)
            self.assertEqual(phone.asked("SUBSCRIBE").to_tag, notify.from_tag)
