"""Registration by RAS: who may, by which aliases, for how long, at which node."""

from __future__ import annotations

from dataclasses import replace

from twisted.internet.defer import Deferred, fail

from tests.h323_messages import ALIASES, ALTERNATES, PHONE, TERMINAL, TOKENS
from tests.h323net import STRANGER
from tests.h323ras import FRONT, HERE, OTHER, RAS, THERE, RasNode, RasTestCase
from voipshift.h323 import endpoints, ras
from voipshift.h323.addresses import AlternateGatekeeper, EndpointType, alias_of
from voipshift.h323.procedure import HMAC_SHA1_96
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
from voipshift.h323.registry import (
    DEFAULT_TIME_TO_LIVE,
    DOOR,
    MAX_STRANGERS,
    MAX_TIME_TO_LIVE,
    MIN_TIME_TO_LIVE,
    NOBODY,
    STRANGERS_S,
)
from voipshift.h323.tokens import CISCO_ACCESS_TOKEN, MD5
from voipshift.h323.uuie import PROTOCOL
from voipshift.node import Acceptance, Address, CallAttempt
from voipshift.sip.gain import MOST_GAIN

ALICE = (alias_of("alice"),)


class RegistryTestCase(RasTestCase):
    """What becomes of an RRQ."""

    def reason(self, request: RegistrationRequest, source: Address = PHONE, node: RasNode | None = None) -> str:
        """Why it is rejected."""
        answer = self.ask(request, source, node)
        assert isinstance(answer, RegistrationReject), answer
        return answer.reject_reason.reason

    def light(self, identifier: str) -> RegistrationRequest:
        """A light RRQ."""
        return replace(self.rrq((), time_to_live=None), keep_alive=True, endpoint_identifier=identifier)

    def places(self, alias: str) -> tuple[Address, ...]:
        """Where an alias is called."""
        return self.successResultOf(self.node.terminals.find(alias))


class RegistrationTests(RegistryTestCase):
    """GRQ, RRQ, URQ."""

    def test_discovery(self) -> None:
        """GCF with the other gatekeepers of the group, for strangers who may have a password too."""
        request = GatekeeperRequest(1, PROTOCOL, PHONE, TERMINAL, endpoint_alias=ALIASES)
        for source in (PHONE, STRANGER):
            self.assertEqual(self.ask(request, source), GatekeeperConfirm(1, PROTOCOL, RAS, "one", ALTERNATES))
        self.patch(self.node.gate, "_users", None)
        answer = self.ask(replace(request, request_seq_num=2), STRANGER)
        assert isinstance(answer, GatekeeperReject)
        self.assertEqual((answer.reject_reason, answer.alt_gk_info), ("terminalExcluded", ()))

    def test_a_short_request(self) -> None:
        """No answer to a stranger is longer than twice his request, which may be forged; known addresses get all."""
        request = GatekeeperRequest(1, PROTOCOL, PHONE, EndpointType())
        for source, length, alternates in (
            (PHONE, 0, ALTERNATES),
            (STRANGER, 0, ()),
            (STRANGER, 8, ALTERNATES[:1]),
            (STRANGER, 32, ALTERNATES),
        ):
            names = (alias_of("a" * length),) if length else ()
            request = replace(request, request_seq_num=self.number(), endpoint_alias=names)
            answer = self.ask(request, source)
            assert isinstance(answer, GatekeeperConfirm)
            self.assertEqual(answer.alternate_gatekeeper, alternates)
            if source == STRANGER:
                self.assertLessEqual(len(ras.encode(answer)), MOST_GAIN * len(ras.encode(request)))

    def test_too_short_a_request(self) -> None:
        """What cannot be answered in so few octets is not answered, however often it comes, and counted."""
        self.patch(self.node.registry, "_name", "a" * 60)
        request = GatekeeperRequest(1, PROTOCOL, PHONE, EndpointType())
        self.assertEqual([self.ask(request, STRANGER) for _ in range(2)], [None, None])
        self.assertEqual(self.node.gatekeeper.dropped, {"too short for an answer": 1})
        self.assertIsNotNone(self.ask(request))

    def test_a_short_repetition(self) -> None:
        """Does not fetch what a longer request was answered with."""
        request = GatekeeperRequest(self.number(), PROTOCOL, PHONE, TERMINAL, endpoint_alias=ALIASES)
        first = self.ask(request, STRANGER)
        self.assertEqual(self.ask(request, STRANGER), first)
        self.assertIsNone(self.ask(replace(request, endpoint_alias=()), STRANGER))

    def test_how_to_prove_a_password(self) -> None:
        """Who offers a kind is asked for it, for the usual one if it can, wherever it comes from."""
        for source, offered, algorithms, asked in (
            (STRANGER, ("certSign", "radius", "pwdHash"), (CISCO_ACCESS_TOKEN, MD5), ("pwdHash", MD5)),
            (STRANGER, ("radius",), (CISCO_ACCESS_TOKEN,), ("radius", CISCO_ACCESS_TOKEN)),
            (STRANGER, ("pwdHash",), (), (None, None)),
            (STRANGER, ("radius",), (MD5,), (None, None)),
            (STRANGER, (), (MD5,), (None, None)),
            (PHONE, ("pwdHash",), (MD5, *HMAC_SHA1_96), ("pwdHash", MD5)),
            (STRANGER, ("pwdHash",), HMAC_SHA1_96[1:], ("pwdHash", HMAC_SHA1_96[1])),
        ):
            request = GatekeeperRequest(
                self.number(),
                PROTOCOL,
                PHONE,
                TERMINAL,
                authentication_capability=offered,
                algorithm_oids=algorithms,
            )
            answer = self.ask(request, source)
            assert isinstance(answer, GatekeeperConfirm)
            self.assertEqual((answer.authentication_mode, answer.algorithm_oid), asked)

    def test_registration(self) -> None:
        """RCF names the front port, the aliases, and how long it lasts, within bounds."""
        for asked, given in (
            (300, 300),
            (1, MIN_TIME_TO_LIVE),
            (10**6, MAX_TIME_TO_LIVE),
            (None, DEFAULT_TIME_TO_LIVE),
        ):
            answer = self.ask(self.rrq(time_to_live=asked))
            assert isinstance(answer, RegistrationConfirm)
            self.assertEqual((answer.call_signal_address, answer.terminal_alias), ((FRONT,), ALIASES))
            self.assertEqual((answer.time_to_live, answer.alternate_gatekeeper), (given, ALTERNATES))
        for alias in ALIASES:
            self.assertEqual(self.places(alias.text), (PHONE,))

    def test_the_group_shares_it(self) -> None:
        """Whichever node is asked knows where an alias is, and that it is somebody's."""
        other = RasNode(self.clock, self.location, THERE)
        self.register()
        self.assertEqual(self.successResultOf(other.terminals.find("1001")), (PHONE,))
        self.assertEqual(self.reason(self.rrq(ALIASES[:1], OTHER), OTHER, other), "duplicateAlias")
        self.register(ALIASES, PHONE, other)  # the same terminal, after its first gatekeeper has gone
        self.assertEqual(self.places("1001"), (PHONE,))

    def test_strangers(self) -> None:
        """Are refused."""
        self.assertEqual(self.reason(self.rrq(ALIASES, STRANGER), STRANGER), "securityDenial")
        self.assertEqual(self.places("1001"), ())

    def test_an_alias_of_somebody_else(self) -> None:
        """RRJ duplicateAlias names it, and no alias is registered; once its owner has gone or run out it is free."""
        mine = self.register()
        mixed = (alias_of("2002"), ALIASES[0])
        answer = self.ask(self.rrq(mixed, OTHER), OTHER)
        assert isinstance(answer, RegistrationReject)
        self.assertEqual((answer.reject_reason.reason, answer.reject_reason.aliases), ("duplicateAlias", ALIASES[:1]))
        self.assertEqual(self.places("2002"), ())
        self.ask(UnregistrationRequest(self.number(), (PHONE,), endpoint_identifier=mine))
        self.register(ALIASES[:1], OTHER)
        self.clock.advance(301)
        self.register()

    def test_an_alias_of_somebody_else_at_his_own_place(self) -> None:
        """Who names the place of its owner is not its owner: he would unregister it, and then have it."""
        self.register()
        for node in (self.node, RasNode(self.clock, self.location, THERE)):
            self.assertEqual(self.reason(self.rrq(ALIASES, PHONE), OTHER, node), "duplicateAlias")
        self.assertEqual(self.places("1001"), (PHONE,))

    def test_a_node_that_stops(self) -> None:
        """Tells its terminals, with the gatekeepers that they can turn to; they can be called meanwhile."""
        identifier = self.register()
        self.node.sent.clear()
        self.node.gatekeeper.stop()
        ((told, to),) = self.node.sent
        assert isinstance(told, UnregistrationRequest)
        self.assertEqual((to, told.endpoint_identifier, told.reason), (PHONE, identifier, "maintenance"))
        self.assertEqual(told.alternate_gatekeeper, ALTERNATES)
        self.assertEqual(self.places("1001"), (PHONE,))

    def test_no_room(self) -> None:
        """resourceUnavailable, unless a place was promised; the aliases are free."""
        self.patch(endpoints, "MAX_ENDPOINTS", 1)
        self.register(ALIASES[:1])
        self.assertEqual(self.reason(self.rrq(ALICE, OTHER), OTHER), "resourceUnavailable")
        self.assertEqual(self.places("alice"), ())
        attempt = CallAttempt(b"a" * 16, DOOR, "alice", NOBODY, NOBODY, OTHER, True)
        self.node.leases.grant(attempt, "primary", 1, self.clock.seconds())
        self.register(ALICE, OTHER)

    def test_a_light_one(self) -> None:
        """Prolongs a registration, in the store too; without one the whole is asked for."""
        identifier = self.register()
        for _ in range(3):
            self.clock.advance(299)
            self.assertIsInstance(self.ask(self.light(identifier)), RegistrationConfirm)
        self.assertEqual(self.places("1001"), (PHONE,))
        self.assertEqual(self.reason(self.light(identifier), STRANGER), "fullRegistrationRequired")
        self.clock.advance(301)
        self.assertEqual(self.places("1001"), ())
        self.assertEqual(self.reason(self.light(identifier)), "fullRegistrationRequired")

    def test_once_more(self) -> None:
        """A terminal that registers again keeps its identifier; an alias that it has no more is free."""
        first = self.register(ALIASES[:2])
        self.assertEqual(self.register(ALIASES[1:3]), first)
        self.assertEqual([len(self.places(alias.text)) for alias in ALIASES[:3]], [0, 1, 1])

    def test_unregistration(self) -> None:
        """UCF, once, and only for who had registered; the aliases are free."""
        identifier = self.register()
        request = UnregistrationRequest(self.number(), (PHONE,), endpoint_identifier=identifier)
        self.assertIsInstance(self.ask(request, STRANGER), UnregistrationReject)
        self.assertEqual(self.ask(request), UnregistrationConfirm(request.request_seq_num))
        self.assertIsInstance(self.ask(replace(request, request_seq_num=self.number())), UnregistrationReject)
        self.assertEqual(self.places("1001"), ())

    def test_unregistration_without_identifier(self) -> None:
        """H.225.0 lets an endpoint leave it out: then it is the one that registered from there, with that address."""
        self.register()
        self.assertIsInstance(self.ask(UnregistrationRequest(self.number(), (OTHER,))), UnregistrationReject)
        self.assertIsInstance(self.ask(UnregistrationRequest(self.number(), (PHONE,)), STRANGER), UnregistrationReject)
        self.assertEqual(len(self.places("1001")), 1)
        request = UnregistrationRequest(self.number(), (OTHER, PHONE))
        self.assertEqual(self.ask(request), UnregistrationConfirm(request.request_seq_num))
        self.assertEqual(self.places("1001"), ())

    def test_where_nobody_can_be_called(self) -> None:
        """invalidCallSignalAddress: none at all, everybody's, nobody's, this group's."""
        for place in (("255.255.255.255", 1720), ("224.0.0.1", 1720), ("0.0.0.0", 1720), (PHONE[0], 0), FRONT):
            self.assertEqual(self.reason(self.rrq(ALIASES, place)), "invalidCallSignalAddress", place)
        self.assertEqual(self.reason(replace(self.rrq(), call_signal_address=())), "invalidCallSignalAddress")

    def test_too_many_aliases(self) -> None:
        """invalidAlias; and of one that is too long."""
        self.assertEqual(self.reason(self.rrq(tuple(alias_of(str(number)) for number in range(21)))), "invalidAlias")
        self.assertEqual(self.reason(self.rrq((alias_of("a" * 129),))), "invalidAlias")

    def test_a_store_that_is_down(self) -> None:
        """resourceUnavailable, so that the terminal comes again."""
        self.patch(self.location, "change", lambda user, step: fail(OSError("down")))
        self.assertEqual(self.reason(self.rrq()), "resourceUnavailable")
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)


class UserTests(RegistryTestCase):
    """Users with a password, from anywhere."""

    def test_his_own_name(self) -> None:
        """A token that proves the password registers it; whoever has it loses it."""
        self.register(ALICE)
        self.assertIsInstance(self.ask(self.rrq(ALICE, STRANGER, tokens=TOKENS), STRANGER), RegistrationConfirm)
        self.assertEqual(self.places("alice"), (STRANGER,))

    def test_aliases_of_others(self) -> None:
        """One that is another user's is refused with duplicateAlias, one that is nobody's with invalidAlias."""
        self.node.users.passwords["bob"] = "x"
        for name, reason in (("bob", "duplicateAlias"), ("1234", "invalidAlias")):
            request = self.rrq((*ALICE, alias_of(name)), STRANGER, tokens=TOKENS)
            self.assertEqual(self.reason(request, STRANGER), reason)
        self.assertEqual((self.places("bob"), self.places("1234"), self.places("alice")), ((), (), ()))

    def test_a_wrong_password(self) -> None:
        """securityDenial; the address is charged for it."""
        self.node.users.passwords["alice"] = "x"
        self.assertEqual(self.reason(self.rrq(ALICE, STRANGER, tokens=TOKENS), STRANGER), "securityDenial")
        self.assertEqual(self.node.charged, [STRANGER[0]])


class ShiftTests(RegistryTestCase):
    """Registrations are shifted."""

    shifts = True

    def grq(self) -> GatekeeperRequest:
        """A GRQ."""
        return GatekeeperRequest(self.number(), PROTOCOL, PHONE, TERMINAL, endpoint_alias=ALIASES[:1])

    def test_to_the_node_that_keeps_a_place(self) -> None:
        """GRJ resourceUnavailable names it, and it alone."""
        answer = self.ask(self.grq())
        assert isinstance(answer, GatekeeperReject)
        self.assertEqual(answer.reject_reason, "resourceUnavailable")
        self.assertEqual(answer.alt_gk_info, (AlternateGatekeeper(THERE.doors[DOOR], "member"),))
        (attempt,) = self.node.decider.attempts
        self.assertEqual((attempt.door, attempt.caller, attempt.client), (DOOR, "1001", PHONE))

    def test_the_place_is_kept(self) -> None:
        """Who comes with a slot is not sent on, however full the node is; its RRQ takes the slot."""
        attempt = CallAttempt(b"a" * 16, DOOR, "1001", NOBODY, NOBODY, PHONE, True)
        self.node.leases.grant(attempt, "primary", 1, self.clock.seconds())
        self.node.decider.answer = None
        self.assertIsInstance(self.ask(self.grq()), GatekeeperConfirm)
        self.assertEqual(len(self.node.leases), 1)
        self.register()
        self.assertEqual((len(self.node.leases), self.node.decider.attempts, len(self.node.freed)), (0, [], 1))

    def test_room_here(self) -> None:
        """GCF; the slot is the terminal's until it has registered."""
        self.node.decider.answer = HERE
        self.assertIsInstance(self.ask(self.grq()), GatekeeperConfirm)
        self.assertEqual(len(self.node.leases), 1)
        self.register()
        self.assertEqual(len(self.node.leases), 0)

    def test_who_is_registered_stays(self) -> None:
        """Its GRQ is confirmed, and no attempt."""
        self.register()
        self.assertIsInstance(self.ask(self.grq()), GatekeeperConfirm)
        self.assertEqual(self.node.decider.attempts, [])

    def test_strangers(self) -> None:
        """Only some have a slot wait for them, whatever addresses they say to be at; the others stay here."""
        self.node.decider.answer = HERE
        for host in range(2 * MAX_STRANGERS):
            source = (f"203.0.113.{host}", 1719)
            self.node.foreign.add(source[0])
            self.assertIsInstance(self.ask(self.grq(), source), GatekeeperConfirm)
        self.assertEqual(len(self.node.leases), MAX_STRANGERS)
        self.ask(self.grq())
        self.assertEqual(len(self.node.leases), MAX_STRANGERS + 1)
        self.clock.advance(STRANGERS_S)
        self.ask(self.grq(), STRANGER)
        self.assertEqual(len(self.node.decider.attempts), MAX_STRANGERS + 2)

    def test_no_room_anywhere(self) -> None:
        """GRJ resourceUnavailable that names nobody."""
        self.node.decider.answer = None
        answer = self.ask(self.grq())
        assert isinstance(answer, GatekeeperReject)
        self.assertEqual((answer.reject_reason, answer.alt_gk_info), ("resourceUnavailable", ()))

    def test_our_own_fault(self) -> None:
        """Is logged, and answered."""
        self.node.decider.answer = Deferred[Acceptance]()
        request = self.grq()
        self.ask(request)
        self.node.decider.answer.errback(ValueError())
        self.assertIsInstance(self.node.sent[-1][0], GatekeeperReject)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
