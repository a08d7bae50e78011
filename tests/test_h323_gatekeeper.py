"""The gatekeeper: what each request of RAS is answered, and that none is decided twice."""

from __future__ import annotations

from dataclasses import replace

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.h323_messages import ALIASES, ALTERNATES, CALLED, CONFERENCE, PHONE, TERMINAL
from tests.h323net import MEMBER, STRANGER
from voipshift.errors import Refused
from voipshift.h323 import ras
from voipshift.h323.addresses import Alias, alias_of
from voipshift.h323.admission import (
    AdmissionConfirm,
    AdmissionReject,
    AdmissionRequest,
    BandwidthConfirm,
    BandwidthRequest,
    DisengageConfirm,
    DisengageReject,
    DisengageRequest,
    LocationReject,
    LocationRequest,
)
from voipshift.h323.gatekeeper import MAX_TIME_TO_LIVE, MIN_TIME_TO_LIVE, Gatekeeper
from voipshift.h323.portal import ACCEPT, DOOR
from voipshift.h323.registration import (
    GatekeeperConfirm,
    GatekeeperReject,
    GatekeeperRequest,
    RegistrationConfirm,
    RegistrationReject,
    RegistrationRequest,
    UnregistrationConfirm,
    UnregistrationReject,
    UnregistrationRequest,
)
from voipshift.h323.resources import (
    InfoRequestAck,
    InfoRequestResponse,
    ResourcesAvailableConfirm,
    ResourcesAvailableIndicate,
)
from voipshift.h323.uuie import PROTOCOL
from voipshift.node import Acceptance, Address, CallAttempt

RAS = ("192.0.2.7", 1719)
FRONT = ("192.0.2.7", 1720)
OTHER = ("198.51.100.9", 1720)


class GatekeeperTestCase(SynchronousTestCase):
    """A gatekeeper, and terminals that ask it."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.attempts: list[CallAttempt] = []
        self.answer: Deferred[Acceptance] | None = None
        self.sent: list[tuple[ras.Message | ras.NotUnderstood, Address]] = []
        drawn = iter(range(1, 1000))
        self.gatekeeper = Gatekeeper(
            name="one",
            place=RAS,
            front=FRONT,
            delegation=self,
            alternates=lambda: ALTERNATES,
            permits=lambda host: host != STRANGER[0],
            trusts=lambda host: host == PHONE[0],
            send=lambda octets, to: self.sent.append((ras.decode(octets), to)),
            now=self.clock.seconds,
            octets=lambda count: next(drawn).to_bytes(count),
        )

    def place(self, attempt: CallAttempt) -> Deferred[Acceptance]:
        """Remember it."""
        self.attempts.append(attempt)
        return self.answer or succeed(Acceptance(MEMBER, "00" * 16, (), 1))

    def ask(self, request: ras.Message, source: Address = PHONE) -> ras.Message | ras.NotUnderstood | None:
        """What a request is answered."""
        self.sent.clear()
        self.gatekeeper.received(ras.encode(request), source)
        if not self.sent:
            return None
        ((answer, to),) = self.sent
        self.assertEqual((to, answer.request_seq_num), (source, request.request_seq_num))
        return answer

    def register(self, number: int = 100, aliases: tuple[Alias, ...] = ALIASES, source: Address = PHONE) -> str:
        """A terminal that is registered."""
        request = RegistrationRequest(
            number, PROTOCOL, True, (source,), (source,), TERMINAL, "phone", aliases, time_to_live=300
        )
        answer = self.ask(request, source)
        assert isinstance(answer, RegistrationConfirm), answer
        return answer.endpoint_identifier


class RegistrationTests(GatekeeperTestCase):
    """GRQ, RRQ, URQ."""

    def test_discovery(self) -> None:
        """GCF with the other gatekeepers of the group; strangers are excluded."""
        request = GatekeeperRequest(1, PROTOCOL, PHONE, TERMINAL)
        self.assertEqual(self.ask(request), GatekeeperConfirm(1, PROTOCOL, RAS, "one", ALTERNATES))
        answer = self.ask(request, STRANGER)
        assert isinstance(answer, GatekeeperReject)
        self.assertEqual((answer.reject_reason, answer.alt_gk_info), ("terminalExcluded", ()))

    def test_registration(self) -> None:
        """RCF names the front port, the aliases, and how long it lasts, within bounds."""
        for number, asked, given in ((1, 300, 300), (2, 1, MIN_TIME_TO_LIVE), (3, 10**6, MAX_TIME_TO_LIVE)):
            request = RegistrationRequest(
                number, PROTOCOL, True, (PHONE,), (PHONE,), TERMINAL, "phone", ALIASES, time_to_live=asked
            )
            answer = self.ask(request)
            assert isinstance(answer, RegistrationConfirm)
            self.assertEqual((answer.call_signal_address, answer.terminal_alias), ((FRONT,), ALIASES))
            self.assertEqual((answer.time_to_live, answer.alternate_gatekeeper), (given, ALTERNATES))
        self.assertEqual(len(self.gatekeeper), 1)

    def test_strangers(self) -> None:
        """Are refused."""
        request = RegistrationRequest(1, PROTOCOL, True, (STRANGER,), (STRANGER,), TERMINAL, "phone", ALIASES)
        answer = self.ask(request, STRANGER)
        assert isinstance(answer, RegistrationReject)
        self.assertEqual(answer.reject_reason.reason, "securityDenial")

    def test_an_alias_of_somebody_else(self) -> None:
        """RRJ duplicateAlias names it; once its owner has gone or expired it is free."""
        mine = self.register(1)
        request = RegistrationRequest(2, PROTOCOL, True, (OTHER,), (OTHER,), TERMINAL, "phone", ALIASES[:1])
        answer = self.ask(request, OTHER)
        assert isinstance(answer, RegistrationReject)
        self.assertEqual((answer.reject_reason.reason, answer.reject_reason.aliases), ("duplicateAlias", ALIASES[:1]))
        self.ask(UnregistrationRequest(3, (PHONE,), endpoint_identifier=mine))
        self.register(4, ALIASES[:1], OTHER)
        self.clock.advance(301)
        self.register(5)

    def test_a_light_one(self) -> None:
        """Prolongs a registration; without one the whole is asked for."""
        identifier = self.register(1)
        light = RegistrationRequest(
            2, PROTOCOL, True, (), (PHONE,), TERMINAL, "phone", keep_alive=True, endpoint_identifier=identifier
        )
        self.clock.advance(299)
        self.assertIsInstance(self.ask(light), RegistrationConfirm)
        self.clock.advance(299)
        self.assertIsInstance(self.ask(replace(light, request_seq_num=3)), RegistrationConfirm)
        self.clock.advance(301)
        answer = self.ask(replace(light, request_seq_num=4))
        assert isinstance(answer, RegistrationReject)
        self.assertEqual(answer.reject_reason.reason, "fullRegistrationRequired")

    def test_unregistration(self) -> None:
        """UCF, once."""
        identifier = self.register()
        request = UnregistrationRequest(1, (PHONE,), endpoint_identifier=identifier)
        self.assertEqual(self.ask(request), UnregistrationConfirm(1))
        self.assertIsInstance(self.ask(replace(request, request_seq_num=2)), UnregistrationReject)


class AdmissionTests(GatekeeperTestCase):
    """ARQ, and what belongs to a call."""

    def arq(self, number: int = 1, *, answer: bool = False, identifier: str | None = None) -> AdmissionRequest:
        """An ARQ of a terminal that is registered."""
        return AdmissionRequest(
            number,
            "pointToPoint",
            self.register(number + 1000) if identifier is None else identifier,
            ALIASES,
            1280,
            4711,
            CONFERENCE,
            answer_call=answer,
            destination_info=CALLED,
        )

    def test_a_call_is_shifted(self) -> None:
        """ACF names the accept port of the node that took it."""
        answer = self.ask(self.arq())
        self.assertEqual(answer, AdmissionConfirm(1, 1280, "gatekeeperRouted", MEMBER.doors[ACCEPT]))
        (attempt,) = self.attempts
        self.assertEqual((attempt.door, attempt.caller, attempt.callee), (DOOR, "1001", "1234"))
        self.assertEqual((attempt.client, attempt.trusted), (PHONE, True))

    def test_repeated(self) -> None:
        """One that comes again, before or after the answer, is not decided again."""
        self.answer = decision = Deferred[Acceptance]()
        request = self.arq()
        self.assertIsNone(self.ask(request))
        self.assertIsNone(self.ask(request))
        self.sent.clear()
        decision.callback(Acceptance(MEMBER, "00" * 16, (), 1))
        ((first, _),) = self.sent
        self.assertEqual(self.ask(request), first)
        self.assertEqual(len(self.attempts), 1)

    def test_refused(self) -> None:
        """ARJ resourceUnavailable."""
        self.answer = fail(Refused())
        self.assertEqual(self.ask(self.arq()), AdmissionReject(1, "resourceUnavailable"))

    def test_the_called_side(self) -> None:
        """Is confirmed, and no attempt."""
        self.assertEqual(self.ask(self.arq(answer=True)), AdmissionConfirm(1, 1280, "gatekeeperRouted", FRONT))
        self.assertEqual(self.attempts, [])

    def test_not_registered(self) -> None:
        """ARJ, DRJ; nothing is decided."""
        for answer in (False, True):
            request = self.arq(1, answer=answer, identifier="nobody")
            self.assertIsInstance(self.ask(request, (PHONE[0], 5 + answer)), AdmissionReject)
        identifier = self.register()
        self.assertIsInstance(self.ask(self.arq(2, identifier=identifier), STRANGER), AdmissionReject)
        drq = DisengageRequest(3, "nobody", CONFERENCE, 4711, "normalDrop")
        self.assertIsInstance(self.ask(drq), DisengageReject)
        self.assertEqual(self.attempts, [])

    def test_without_a_number(self) -> None:
        """ARJ calledPartyNotRegistered."""
        answer = self.ask(replace(self.arq(), destination_info=()))
        self.assertEqual(answer, AdmissionReject(1, "calledPartyNotRegistered"))

    def test_during_a_call(self) -> None:
        """DRQ, BRQ, IRR and RAI are confirmed, also of a call that a member carries; LRQ is denied."""
        identifier = self.register()
        drq = DisengageRequest(1, identifier, CONFERENCE, 4711, "normalDrop")
        brq = BandwidthRequest(2, identifier, CONFERENCE, 4711, 2560)
        irr = InfoRequestResponse(3, TERMINAL, identifier, PHONE, (PHONE,), need_response=True)
        rai = ResourcesAvailableIndicate(4, PROTOCOL, identifier, True, ("voice",))
        lrq = LocationRequest(5, (alias_of("1234"),), PHONE)
        self.assertEqual(self.ask(drq), DisengageConfirm(1))
        self.assertEqual(self.ask(brq), BandwidthConfirm(2, 2560))
        self.assertEqual(self.ask(irr), InfoRequestAck(3))
        self.assertEqual(self.ask(rai), ResourcesAvailableConfirm(4, PROTOCOL))
        self.assertEqual(self.ask(lrq), LocationReject(5, "requestDenied"))

    def test_garbage(self) -> None:
        """Is not answered, and counted."""
        for octets in (b"", b"\xff" * 40, ras.encode(self.arq())[:-5]):
            self.sent.clear()
            self.gatekeeper.received(octets, PHONE)
            self.assertEqual(self.sent, [])
        self.assertEqual(self.attempts, [])
