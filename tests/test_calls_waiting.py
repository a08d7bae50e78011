"""Requests that wait for DNS."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from voipshift.calls.waiting import MAX_WAITING, Waiting
from voipshift.errors import ProtocolViolation
from voipshift.sip.effects import Requested
from voipshift.sip.layer import TransactionLayer
from voipshift.sip.locate import Place
from voipshift.sip.message import request
from voipshift.sip.transaction import Hop

PLACE = Place("phone.example.net")


class WaitingTest(SynchronousTestCase):
    """One request, until its name is known."""

    def setUp(self) -> None:
        """Nothing waits, and DNS is slow."""
        self.asked: list[Deferred[Any]] = []
        self.statuses: list[int] = []
        self.begun = 0
        self.waiting = Waiting(
            self.look_up, lambda server, response: self.statuses.append(response.status), lambda request: "tag"
        )
        fields = [("Via", "SIP/2.0/UDP 198.51.100.7;branch=z9hG4bK1"), ("From", "<sip:a@x>;tag=a"), ("To", "<sip:b@x>")]
        invite = request("INVITE", "sip:b@x", [*fields, ("Call-ID", "1"), ("CSeq", "1 INVITE")])
        layer = TransactionLayer(random=lambda octets: "0" * 2 * octets)
        (event,) = layer.receive_request(invite, Hop("198.51.100.7", 5060, 0), 0.0)
        assert isinstance(event, Requested)
        self.server = event.transaction

    def look_up(self, place: Place) -> Deferred[Any]:
        """In place of DNS."""
        self.asked.append(Deferred())
        return self.asked[-1]

    def again(self) -> None:
        """It begins anew."""
        self.begun += 1

    def test_it_begins_anew_when_the_name_is_known(self) -> None:
        """Not before."""
        self.waiting.hold(self.server, PLACE, self.again)
        self.assertEqual((self.begun, len(self.waiting)), (0, 1))
        self.asked[0].callback(())
        self.assertEqual((self.begun, len(self.waiting), self.server.user), (1, 0, None))

    def test_cancelled(self) -> None:
        """487, and it does not begin."""
        self.waiting.hold(self.server, PLACE, self.again)
        self.server.user.cancelled(self.server)
        self.assertEqual((self.statuses, self.begun, len(self.waiting)), ([487], 0, 0))

    def test_it_must_not_go_there(self) -> None:
        """It is refused as if it had not waited; an ACK is dropped; our own fault is 500."""

        def forbidden() -> None:
            raise ProtocolViolation("Not A Party Of This Call", 403)

        for server in (self.server, None):
            self.waiting.hold(server, PLACE, forbidden)
            self.asked.pop().callback(())
        self.assertEqual(self.statuses, [403])
        self.waiting.hold(self.server, PLACE, lambda: [][0])
        self.asked.pop().callback(())
        self.assertEqual(self.statuses, [403, 500])
        self.assertEqual(len(self.flushLoggedErrors(IndexError)), 1)

    def test_those_that_wait_are_bounded(self) -> None:
        """One too many does not wait."""
        for _ in range(MAX_WAITING + 1):
            self.waiting.hold(None, PLACE, self.again)
        self.assertEqual((self.begun, len(self.waiting), len(self.asked)), (1, MAX_WAITING, MAX_WAITING))
