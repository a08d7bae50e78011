"""A gatekeeper, and terminals and neighbours that ask it; datagrams arrive at once, time is a clock's."""

from __future__ import annotations

import itertools
import os

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.h323_messages import ALIASES, ALTERNATES, CALLED, CONFERENCE, PHONE, TERMINAL
from tests.h323net import MEMBER, STRANGER, WALL, Passwords
from voipshift.balance.leases import Leases
from voipshift.calls.location import Location
from voipshift.calls.terminals import Terminals, Unshared
from voipshift.errors import Refused
from voipshift.h323 import ras
from voipshift.h323.addresses import Alias
from voipshift.h323.admission import AdmissionRequest
from voipshift.h323.endpoints import Endpoints
from voipshift.h323.gate import Gate
from voipshift.h323.gatekeeper import Gatekeeper, Standing
from voipshift.h323.neighbours import Neighbour, Neighbours
from voipshift.h323.portal import ACCEPT, DOOR
from voipshift.h323.registration import RegistrationConfirm, RegistrationRequest
from voipshift.h323.registry import DOOR as RAS_DOOR
from voipshift.h323.registry import Registry
from voipshift.h323.tokens import AccessToken, PasswordHash
from voipshift.h323.uuie import PROTOCOL
from voipshift.node import Acceptance, Address, CallAttempt, NodeIdentity

RAS = ("192.0.2.7", 1719)
FRONT = ("192.0.2.7", 1720)
OTHER = ("198.51.100.9", 1720)
NEIGHBOUR = ("192.0.2.40", 1719)
FAR = ("192.0.2.41", 1719)
HERE = NodeIdentity("one", {DOOR: FRONT, ACCEPT: ("192.0.2.7", 1721), RAS_DOOR: RAS})
THERE = NodeIdentity("member", {**MEMBER.doors, RAS_DOOR: ("192.0.2.8", 1719)})

Sent = tuple[ras.Message | ras.NotUnderstood, Address]


class Decider:
    """A delegation that remembers what it was asked, and says what a test lets it say.

    :ivar answer: who takes the next attempt, None for nobody, or a Deferred
    """

    def __init__(self, here: NodeIdentity, leases: Leases, clock: Clock) -> None:
        self.here = here
        self.attempts: list[CallAttempt] = []
        self.answer: Deferred[Acceptance] | NodeIdentity | None = THERE
        self._leases = leases
        self._clock = clock

    def place(self, attempt: CallAttempt) -> Deferred[Acceptance]:
        """Say it."""
        self.attempts.append(attempt)
        if isinstance(self.answer, Deferred):
            return self.answer
        if self.answer is None:
            return fail(Refused())
        if self.answer is not self.here:
            return succeed(Acceptance(self.answer, "00" * 16, (), 1))
        lease = self._leases.grant(attempt, self.here.name, 0, self._clock.seconds())
        return succeed(Acceptance(self.here, lease.id, (), 0))


class RasNode:
    """A gatekeeper and what it needs.

    :ivar sent: what it sent, and where
    :ivar foreign: the hosts that nobody vouches for
    """

    def __init__(self, clock: Clock, location: Location, here: NodeIdentity = HERE, *, shifts: bool = False) -> None:
        self.clock = clock
        self.here = here
        self.sent: list[Sent] = []
        self.foreign = {STRANGER[0], NEIGHBOUR[0], FAR[0]}
        self.users = Passwords()
        self.charged: list[str] = []
        self.freed: list[float] = []
        self.standing = Standing(10, 4, False)
        self.leases = Leases(lease_s=10, held_per_client=50, random=os.urandom)
        self.decider = Decider(here, self.leases, clock)
        self.terminals = Terminals(location, here.name, self.wall)
        self.gateways = ("99",)
        now, place = clock.seconds, here.doors[RAS_DOOR]
        drawn = itertools.count(1)

        def octets(count: int) -> bytes:
            return next(drawn).to_bytes(count)

        self.gate = Gate(
            trusts=lambda host: host not in self.foreign,
            anybody_calls=False,
            anybody_registers=False,
            users=self.users,
            charge=self.charged.append,
            wall=self.wall,
        )
        self.registry = Registry(
            name=here.name,
            place=place,
            front=here.doors[DOOR],
            endpoints=Endpoints(),
            terminals=self.terminals,
            gate=self.gate,
            delegation=self.decider if shifts else None,
            leases=self.leases,
            alternates=lambda: ALTERNATES,
            freed=lambda: self.freed.append(clock.seconds()),
            is_ours=lambda address: address in (*HERE.doors.values(), *THERE.doors.values()),
            now=now,
            octets=octets,
        )
        self.gatekeeper = Gatekeeper(
            name=here.name,
            place=place,
            front=here.doors[DOOR],
            delegation=self.decider,
            gate=self.gate,
            registry=self.registry,
            neighbours=Neighbours([Neighbour(NEIGHBOUR, ("",), True), Neighbour(FAR, ("5",), False)]),
            locate=self.locate,
            standing=lambda: self.standing,
            send=lambda octets, to: self.sent.append((ras.decode(octets), to)),
            now=now,
            wall=self.wall,
            octets=octets,
        )

    def wall(self) -> float:
        """The wall's clock."""
        return WALL + self.clock.seconds()

    def locate(self, alias: str) -> Deferred[bool]:
        """A number of a gateway, or an alias of a terminal."""
        return self.terminals.find(alias).addCallback(lambda found: bool(found) or alias.startswith(self.gateways))

    def ask(self, request: ras.Message, source: Address = PHONE) -> list[Sent]:
        """What comes of a request at once."""
        return self.ask_octets(ras.encode(request), source)

    def ask_octets(self, octets: bytes, source: Address = PHONE) -> list[Sent]:
        """What comes of a datagram at once."""
        self.sent.clear()
        self.gatekeeper.received(octets, source)
        return list(self.sent)

    def pass_time(self, duration_s: float) -> list[Sent]:
        """What comes of time."""
        self.sent.clear()
        until = self.clock.seconds() + duration_s
        while self.gatekeeper.next <= until:
            self.clock.advance(max(0.0, self.gatekeeper.next - self.clock.seconds()))
            self.gatekeeper.due(self.clock.seconds())
        self.clock.advance(until - self.clock.seconds())
        return list(self.sent)


class RasTestCase(SynchronousTestCase):
    """One gatekeeper; each request has a number of its own."""

    shifts = False

    def setUp(self) -> None:
        self.clock = Clock()
        self.location = Unshared()
        self.node = RasNode(self.clock, self.location, shifts=self.shifts)
        self._numbers = itertools.count(1)

    def number(self) -> int:
        """Of a new request."""
        return next(self._numbers)

    def ask(
        self, request: ras.Message, source: Address = PHONE, node: RasNode | None = None
    ) -> ras.Message | ras.NotUnderstood | None:
        """The one answer to a request, which goes to where it came from; None where there is none."""
        sent = (node or self.node).ask(request, source)
        if not sent:
            return None
        ((answer, to),) = sent
        self.assertEqual((to, answer.request_seq_num), (source, request.request_seq_num))
        return answer

    def rrq(
        self,
        aliases: tuple[Alias, ...] = ALIASES,
        place: Address = PHONE,
        *,
        tokens: tuple[AccessToken, ...] = (),
        crypto_tokens: tuple[PasswordHash, ...] = (),
        time_to_live: int | None = 300,
    ) -> RegistrationRequest:
        """An RRQ."""
        return RegistrationRequest(
            self.number(),
            PROTOCOL,
            True,
            (place,),
            (place,),
            TERMINAL,
            "phone",
            aliases,
            time_to_live=time_to_live,
            tokens=tokens,
            crypto_tokens=crypto_tokens,
        )

    def register(
        self, aliases: tuple[Alias, ...] = ALIASES, source: Address = PHONE, node: RasNode | None = None
    ) -> str:
        """A terminal that is registered: its identifier."""
        answer = self.ask(self.rrq(aliases, source), source, node)
        assert isinstance(answer, RegistrationConfirm), answer
        return answer.endpoint_identifier

    def arq(
        self,
        identifier: str,
        *,
        answer: bool = False,
        call: bytes | None = None,
        tokens: tuple[AccessToken, ...] = (),
    ) -> AdmissionRequest:
        """An ARQ."""
        return AdmissionRequest(
            self.number(),
            "pointToPoint",
            identifier,
            ALIASES,
            1280,
            4711,
            CONFERENCE,
            answer_call=answer,
            destination_info=CALLED,
            call_identifier=call,
            tokens=tokens,
        )
