"""The gatekeeper: what each request of RAS is answered, and that none is decided twice."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from twisted.internet.defer import Deferred

from tests.h323_messages import CALL, CONFERENCE, PHONE, RAS_MESSAGES, SIGNED_MESSAGES, TERMINAL, TOKENS
from tests.h323net import STRANGER
from tests.h323ras import FAR, FRONT, HERE, NEIGHBOUR, RAS, THERE, RasTestCase
from tests.test_h323_uuie import mutated
from voipshift.h323 import gatekeeper, ras
from voipshift.h323.addresses import alias_of
from voipshift.h323.admission import (
    AdmissionConfirm,
    AdmissionReject,
    BandwidthConfirm,
    BandwidthReject,
    BandwidthRequest,
    DisengageConfirm,
    DisengageReject,
    DisengageRequest,
    LocationConfirm,
    LocationReject,
    LocationRequest,
)
from voipshift.h323.definitions import RAS_MESSAGE
from voipshift.h323.gatekeeper import PROGRESS_MS, RESOURCES_S, Standing
from voipshift.h323.portal import ACCEPT, DOOR
from voipshift.h323.registration import RegistrationConfirm
from voipshift.h323.resources import (
    CallCapacity,
    InfoRequest,
    InfoRequestAck,
    InfoRequestResponse,
    RequestInProgress,
    ResourcesAvailableConfirm,
    ResourcesAvailableIndicate,
    UnknownMessageResponse,
)
from voipshift.h323.tokens import access_token
from voipshift.h323.uuie import NODE, PROTOCOL
from voipshift.node import Acceptance

#: A ServiceControlIndication, requestSeqNum 7: a kind that has no place in here.
UNKNOWN = RAS_MESSAGE.encode(("serviceControlIndication", {"requestSeqNum": 7, "serviceControl": []}))


class AdmissionTests(RasTestCase):
    """ARQ, and what belongs to a call."""

    def test_a_call_is_shifted(self) -> None:
        """ACF names the accept port of the node that took it."""
        request = self.arq(self.register())
        answer = self.ask(request)
        number = request.request_seq_num
        self.assertEqual(answer, AdmissionConfirm(number, 1280, "gatekeeperRouted", THERE.doors[ACCEPT]))
        (attempt,) = self.node.decider.attempts
        self.assertEqual((attempt.door, attempt.caller, attempt.callee), (DOOR, "1001", "1234"))
        self.assertEqual((attempt.client, attempt.trusted), (PHONE, True))

    def test_the_slot_has_the_name_of_the_call(self) -> None:
        """Where the ARQ has a callIdentifier, the SETUP that follows finds its slot by it."""
        self.node.decider.answer = HERE
        self.ask(self.arq(self.register(), call=CALL))
        lease = self.node.leases.of(CALL, self.clock.seconds())
        assert lease is not None
        self.assertEqual((lease.attempt.callee, lease.attempt.client), ("1234", PHONE))

    def test_repeated(self) -> None:
        """One that comes again is not decided again: before the answer it is in progress, afterwards it is the same."""
        self.node.decider.answer = decision = Deferred[Acceptance]()
        request = self.arq(self.register())
        self.assertIsNone(self.ask(request))
        self.assertEqual(self.ask(request), RequestInProgress(request.request_seq_num, PROGRESS_MS))
        self.node.sent.clear()
        decision.callback(Acceptance(THERE, "00" * 16, (), 1))
        ((first, _),) = self.node.sent
        self.assertIsInstance(first, AdmissionConfirm)
        self.assertEqual(self.ask(request), first)
        self.assertEqual(len(self.node.decider.attempts), 1)

    def test_what_is_remembered_is_bounded(self) -> None:
        """The oldest answers are forgotten first."""
        self.patch(gatekeeper, "MAX_REMEMBERED", 2)
        identifier = self.register()
        requests = [self.arq(identifier) for _ in range(3)]
        for request in (*requests, requests[0], requests[2]):
            self.ask(request)
        self.assertEqual(len(self.node.decider.attempts), 4)

    def test_another_source_is_another_request(self) -> None:
        """The same number from elsewhere is decided for itself."""
        request = self.arq(self.register())
        self.ask(request)
        self.ask(request, (PHONE[0], 4000))
        self.assertEqual(len(self.node.decider.attempts), 2)

    def test_a_decision_that_takes_long(self) -> None:
        """RIP after half a second and again, until there is an answer."""
        self.node.decider.answer = decision = Deferred[Acceptance]()
        request = self.arq(self.register())
        self.ask(request)
        progress = (RequestInProgress(request.request_seq_num, PROGRESS_MS), PHONE)
        self.assertEqual(self.node.pass_time(0.4), [])
        self.assertEqual(self.node.pass_time(0.2), [progress])
        self.assertEqual(self.node.pass_time(2), [progress])
        decision.errback(ValueError())
        self.assertEqual(self.node.sent[-1][0], AdmissionReject(request.request_seq_num, "undefinedReason"))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual(self.node.pass_time(10), [])

    def test_refused(self) -> None:
        """ARJ resourceUnavailable."""
        self.node.decider.answer = None
        request = self.arq(self.register())
        self.assertEqual(self.ask(request), AdmissionReject(request.request_seq_num, "resourceUnavailable"))

    def test_the_called_side(self) -> None:
        """Is confirmed, and no attempt."""
        request = self.arq(self.register(), answer=True)
        number = request.request_seq_num
        self.assertEqual(self.ask(request), AdmissionConfirm(number, 1280, "gatekeeperRouted", FRONT))
        self.assertEqual(self.node.decider.attempts, [])

    def test_not_registered(self) -> None:
        """ARJ, DRJ, BRJ; nothing is decided."""
        for answer in (False, True):
            self.assertIsInstance(self.ask(self.arq("nobody", answer=answer)), AdmissionReject)
        identifier = self.register()
        for answer in (False, True):
            self.assertIsInstance(self.ask(self.arq(identifier, answer=answer), STRANGER), AdmissionReject)
        for known, source in (("nobody", PHONE), (identifier, STRANGER)):
            drq = DisengageRequest(self.number(), known, CONFERENCE, 4711, "normalDrop")
            self.assertIsInstance(self.ask(drq, source), DisengageReject)
            brq = BandwidthRequest(self.number(), known, CONFERENCE, 4711, 2560)
            self.assertIsInstance(self.ask(brq, source), BandwidthReject)
        self.assertEqual(self.node.decider.attempts, [])

    def test_without_a_number(self) -> None:
        """ARJ calledPartyNotRegistered."""
        answer = self.ask(replace(self.arq(self.register()), destination_info=()))
        assert isinstance(answer, AdmissionReject)
        self.assertEqual(answer.reject_reason, "calledPartyNotRegistered")

    def test_a_user(self) -> None:
        """Calls with a token that proves his password; without, or with somebody else's, not."""
        answer = self.ask(self.rrq((alias_of("alice"),), STRANGER, tokens=TOKENS), STRANGER)
        assert isinstance(answer, RegistrationConfirm)
        identifier = answer.endpoint_identifier
        refused = self.ask(self.arq(identifier), STRANGER)
        assert isinstance(refused, AdmissionReject)
        self.assertEqual(refused.reject_reason, "securityDenial")
        self.assertIsInstance(self.ask(self.arq(identifier, tokens=TOKENS), STRANGER), AdmissionConfirm)
        self.node.users.passwords["bob"] = "other"
        (token,) = TOKENS
        other = self.ask(self.arq(identifier, tokens=(access_token("bob", "other", token.time_stamp, 8),)), STRANGER)
        assert isinstance(other, AdmissionReject)
        self.assertEqual(other.reject_reason, "callerNotRegistered")
        self.assertEqual([attempt.trusted for attempt in self.node.decider.attempts], [True])
        drq = DisengageRequest(self.number(), identifier, CONFERENCE, 4711, "normalDrop")
        self.assertIsInstance(self.ask(drq, STRANGER), DisengageConfirm)

    def test_during_a_call(self) -> None:
        """DRQ, BRQ, IRR and RAI are confirmed, whichever node carries the call."""
        identifier = self.register()
        drq = DisengageRequest(101, identifier, CONFERENCE, 4711, "normalDrop")
        brq = BandwidthRequest(102, identifier, CONFERENCE, 4711, 2560)
        irr = InfoRequestResponse(103, TERMINAL, identifier, PHONE, (PHONE,), need_response=True)
        rai = ResourcesAvailableIndicate(104, PROTOCOL, identifier, True, ("voice",))
        self.assertEqual(self.ask(drq), DisengageConfirm(101))
        self.assertEqual(self.ask(brq), BandwidthConfirm(102, 2560))
        self.assertEqual(self.ask(irr), InfoRequestAck(103))
        self.assertEqual(self.ask(rai), ResourcesAvailableConfirm(104, PROTOCOL))
        self.assertIsNone(self.ask(replace(irr, request_seq_num=105, need_response=False)))


class OtherTests(RasTestCase):
    """What is no request that is known."""

    def test_garbage(self) -> None:
        """Is not answered, and counted."""
        for octets in (b"", b"\xff" * 40, ras.encode(self.arq("1"))[:-5]):
            self.assertEqual(self.node.ask_octets(octets), [])
        self.assertEqual(sum(self.node.gatekeeper.dropped.values()), 3)

    def test_mutated(self) -> None:
        """Whatever is made of real messages, and from wherever it comes: nothing but answers comes of it."""
        random = Random(225)
        originals = [ras.encode(message) for message in RAS_MESSAGES + SIGNED_MESSAGES]
        for _ in range(3000):
            octets = mutated(random.choice(originals), random)
            self.node.ask_octets(octets, random.choice((PHONE, STRANGER, NEIGHBOUR)))
        self.assertGreater(self.node.gatekeeper.counts["repeated"], 10)

    def test_an_unknown_message(self) -> None:
        """XRS with the message; strangers get none."""
        ((answer, to),) = self.node.ask_octets(UNKNOWN)
        self.assertEqual((answer, to), (UnknownMessageResponse(7, UNKNOWN), PHONE))
        self.assertEqual(self.node.ask_octets(UNKNOWN, STRANGER), [])

    def test_answers_are_not_answered(self) -> None:
        """Nobody plays ball with anybody."""
        for answer in (
            UnknownMessageResponse(1, b"x"),
            ResourcesAvailableConfirm(2, PROTOCOL),
            RequestInProgress(3, 5),
        ):
            self.assertIsNone(self.ask(answer))


class LocationTests(RasTestCase):
    """LRQ of neighbours."""

    def lrq(self, number: str, hop_count: int | None = 3, reply: tuple[str, int] = NEIGHBOUR) -> LocationRequest:
        """An LRQ."""
        called = (alias_of(number),)
        return LocationRequest(self.number(), called, reply, hop_count=hop_count, call_identifier=CALL)

    def test_a_number_of_ours(self) -> None:
        """LCF names the accept port of the node that took it, by the decision of any call; its slot waits there."""
        self.node.decider.answer = HERE
        request = self.lrq("991")
        answer = self.ask(request, NEIGHBOUR)
        self.assertEqual(answer, LocationConfirm(request.request_seq_num, HERE.doors[ACCEPT], RAS))
        lease = self.node.leases.of(CALL, self.clock.seconds())
        assert lease is not None
        self.assertEqual((lease.attempt.callee, lease.attempt.door), ("991", DOOR))

    def test_a_registered_terminal(self) -> None:
        """Its alias is ours; a member may take the call."""
        self.register()
        answer = self.ask(self.lrq("1001"), NEIGHBOUR)
        assert isinstance(answer, LocationConfirm)
        self.assertEqual(answer.call_signal_address, THERE.doors[ACCEPT])

    def test_no_room(self) -> None:
        """LRJ resourceUnavailable."""
        self.node.decider.answer = None
        request = self.lrq("991")
        self.assertEqual(self.ask(request, NEIGHBOUR), LocationReject(request.request_seq_num, "resourceUnavailable"))

    def test_listed_neighbours_only(self) -> None:
        """Anybody else, a terminal of ours too, is answered where he asked from: requestDenied."""
        for source in (PHONE, STRANGER):
            request = self.lrq("991", reply=NEIGHBOUR)
            self.assertEqual(self.ask(request, source), LocationReject(request.request_seq_num, "requestDenied"))
        self.assertEqual(self.node.decider.attempts, [])

    def test_the_answer_goes_straight_to_who_asked(self) -> None:
        """That is the replyAddress, whoever passed the question on."""
        asker = ("192.0.2.60", 1719)
        ((answer, to),) = self.node.ask(self.lrq("991", reply=asker), NEIGHBOUR)
        self.assertIsInstance(answer, LocationConfirm)
        self.assertEqual(to, asker)

    def test_a_slot_is_a_permission_for_neighbours_alone(self) -> None:
        """Whoever is named as the asker could be anybody."""
        for asker in (NEIGHBOUR, ("192.0.2.60", 1719)):
            self.node.ask(self.lrq("991", reply=asker), NEIGHBOUR)
        self.assertEqual([attempt.trusted for attempt in self.node.decider.attempts], [True, False])

    def test_passed_on(self) -> None:
        """One hop less, with the asker's number and address, to those that take it and did not ask."""
        request = self.lrq("555")
        sent = self.node.ask(request, NEIGHBOUR)
        self.assertEqual(sent, [(replace(request, hop_count=2, reply_address=NEIGHBOUR), FAR)])
        sent = self.node.ask(self.lrq("555", reply=("192.0.2.60", 1719)), STRANGER)
        self.assertIsInstance(sent[0][0], LocationReject)

    def test_a_circle_ends(self) -> None:
        """One that comes back by another way, with the same asker and number, goes no further."""
        request = self.lrq("555")
        self.assertEqual(len(self.node.ask(request, NEIGHBOUR)), 1)
        self.assertEqual(self.node.ask(replace(request, hop_count=1), FAR), [])
        self.assertEqual(self.node.ask(request, NEIGHBOUR), [])

    def test_hops(self) -> None:
        """The last hop is not passed on, nor is one that counts none."""
        for hop_count in (1, None):
            answer = self.ask(self.lrq("555", hop_count), NEIGHBOUR)
            assert isinstance(answer, LocationReject)
            self.assertEqual(answer.reject_reason, "hopCountExceeded")

    def test_nobody_takes_it(self) -> None:
        """LRJ notRegistered."""
        answer = self.ask(self.lrq("777"), NEIGHBOUR)
        assert isinstance(answer, LocationReject)
        self.assertEqual(answer.reject_reason, "notRegistered")
        without = replace(self.lrq("1"), destination_info=())
        self.assertIsInstance(self.ask(without, NEIGHBOUR), LocationReject)


class ResourceTests(RasTestCase):
    """What this node can take, told to neighbours."""

    def rai(self, number: int, free: int, full: bool) -> tuple[ResourcesAvailableIndicate, tuple[str, int]]:
        """What the neighbour that wants it is sent."""
        capacity = CallCapacity(10, free)
        return ResourcesAvailableIndicate(
            number, PROTOCOL, "one", full, ("voice", "h323"), capacity=capacity
        ), NEIGHBOUR

    def test_told(self) -> None:
        """At the start, when the node becomes full or stops being so, and each half minute."""
        self.node.gatekeeper.start()
        self.assertEqual(self.node.sent, [self.rai(1, 4, False)])
        self.node.standing = Standing(10, 3, False)
        self.assertEqual(self.node.pass_time(5), [])
        self.node.standing = Standing(10, 0, True)
        self.assertEqual(self.node.pass_time(1), [self.rai(2, 0, True)])
        self.assertEqual(self.node.pass_time(RESOURCES_S), [self.rai(3, 0, True)])

    def test_asked(self) -> None:
        """An IRQ of a neighbour is answered, to the neighbour whatever address it names; of anybody else not at all."""
        request = InfoRequest(5, 0, PHONE)
        sent = self.node.ask(request, NEIGHBOUR)
        answer = InfoRequestResponse(5, NODE, "one", RAS, (FRONT,), capacity=CallCapacity(10, 4))
        self.assertEqual(sent, [(answer, NEIGHBOUR)])
        self.assertEqual(self.node.ask(request, PHONE), [])

    def test_unlimited(self) -> None:
        """No maximum is told where there is none."""
        self.node.standing = Standing(None, 1, False)
        ((answer, _),) = self.node.ask(InfoRequest(5, 0), NEIGHBOUR)
        assert isinstance(answer, InfoRequestResponse)
        self.assertEqual(answer.capacity, CallCapacity(None, 1))
