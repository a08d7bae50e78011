"""Real nodes as gatekeepers: terminals and neighbours of the test's own, whose answers tshark judges."""

from __future__ import annotations

import itertools
import os
import signal
import time
from typing import Any

from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import DatagramProtocol

from tests.h323_messages import CALL, CONFERENCE, TERMINAL, sign
from tests.interop.group import CLIENT_OFFSET, Group, free_ports, serve
from tests.interop.program import PATIENCE_S
from tests.interop.tshark import UDP, TsharkTestCase, packet
from voipshift.demo.h323caller import Call
from voipshift.demo.h323gateway import Gateway
from voipshift.demo.plan import H323_OFFSETS, LOOPBACK, PORTS_PER_NODE
from voipshift.demo.summary import Outcome
from voipshift.h323 import ras
from voipshift.h323.addresses import Alias, alias_of
from voipshift.h323.admission import (
    AdmissionConfirm,
    AdmissionReject,
    AdmissionRequest,
    LocationConfirm,
    LocationReject,
    LocationRequest,
)
from voipshift.h323.registration import (
    GatekeeperConfirm,
    GatekeeperReject,
    GatekeeperRequest,
    RegistrationConfirm,
    RegistrationReject,
    RegistrationRequest,
)
from voipshift.h323.resources import CallCapacity, InfoRequest, InfoRequestResponse, ResourcesAvailableIndicate
from voipshift.h323.tokens import access_token
from voipshift.h323.uuie import PROTOCOL
from voipshift.node import Address
from voipshift.sip.auth import Secrets
from voipshift.store import userfile

reactor: Any = global_reactor
LIMITS = {"primary": 0, "member1": 4}
NUMBER = "1001"
Heard = ras.Message | ras.NotUnderstood


class Speaker(DatagramProtocol):
    """A socket that says and hears RAS.

    :ivar octets: all that came
    """

    def __init__(self) -> None:
        self.octets: list[bytes] = []
        self._heard: list[Heard] = []
        self._waiting: Deferred[Heard] | None = None

    def datagramReceived(self, datagram: bytes, addr: Address) -> None:
        self.octets.append(datagram)
        self._heard.append(ras.decode(datagram))
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            waiting.callback(self._heard.pop(0))

    def ask(self, request: ras.Message, node: Address) -> Deferred[Heard]:
        """The next thing that is heard after a request."""
        return self.ask_octets(ras.encode(request), node)

    def ask_octets(self, request: bytes, node: Address) -> Deferred[Heard]:
        """The same, of a request as it is."""
        assert self.transport is not None
        self.transport.write(request, node)
        return self.hear()

    def hear(self) -> Deferred[Heard]:
        """The next thing that is heard."""
        heard: Deferred[Heard] = Deferred()
        if self._heard:
            heard.callback(self._heard.pop(0))
        else:
            self._waiting = heard.addTimeout(PATIENCE_S, reactor)
        return heard


class RasTests(TsharkTestCase):
    """A primary that takes no call, and a member."""

    async def start(self, *settings: str, limits: dict[str, int] = LIMITS) -> Group:
        """Bring them up; calls to numbers that begin with 9 go to a gateway."""
        self.base_port = free_ports()
        self._numbers = itertools.count(1)
        self._speakers: list[Speaker] = []
        h323 = [
            f"{name}.h323.{key}={LOOPBACK}:{self.base_port + PORTS_PER_NODE * k + offset}"
            for k, name in enumerate(limits)
            for key, offset in H323_OFFSETS.items()
        ]
        self.gateway = Gateway()
        gateway = reactor.listenTCP(self.base_port + CLIENT_OFFSET + 1, self.gateway, interface=LOOPBACK)
        self.addCleanup(gateway.stopListening)
        self.addCleanup(self.gateway.stop)
        return await serve(
            self,
            self.base_port,
            limits,
            f'gateways=[{{ address = "{LOOPBACK}:{gateway.getHost().port}", protocol = "h323", prefixes = ["9"] }}]',
            f'registrar.location="{self.folder}/location.sqlite"',
            *h323,
            *settings,
        )

    def door(self, name: str, k: int = 0) -> Address:
        """A port of node k."""
        return LOOPBACK, self.base_port + PORTS_PER_NODE * k + H323_OFFSETS[name]

    def speaker(self, port: int = 0) -> Speaker:
        """A terminal's or a neighbour's RAS."""
        speaker = Speaker()
        opened = reactor.listenUDP(port, speaker, interface=LOOPBACK)
        self.addCleanup(opened.stopListening)
        self._speakers.append(speaker)
        return speaker

    def terminal(self) -> tuple[Address, Gateway]:
        """Where a terminal is called, and what counts its calls."""
        terminal = Gateway()
        port = reactor.listenTCP(0, terminal, interface=LOOPBACK)
        self.addCleanup(port.stopListening)
        self.addCleanup(terminal.stop)
        return (LOOPBACK, port.getHost().port), terminal

    def rrq(self, place: Address, *names: str, password: str | None = None) -> RegistrationRequest:
        """An RRQ."""
        tokens = (access_token(names[0], password, int(time.time()), 7),) if password is not None else ()
        aliases: tuple[Alias, ...] = tuple(map(alias_of, names))
        number = next(self._numbers)
        return RegistrationRequest(
            number, PROTOCOL, True, (place,), (place,), TERMINAL, "test", aliases, time_to_live=60, tokens=tokens
        )

    def arq(self, identifier: str, called: str, *, password: str | None = None) -> AdmissionRequest:
        """An ARQ of alice."""
        tokens = (access_token("alice", password, int(time.time()), 8),) if password is not None else ()
        number = next(self._numbers)
        return AdmissionRequest(
            number,
            "pointToPoint",
            identifier,
            (alias_of("alice"),),
            1280,
            1,
            CONFERENCE,
            destination_info=(alias_of(called),),
            call_identifier=CALL,
            tokens=tokens,
        )

    async def call(self, number: str, where: Address, hold_s: float = 0.1) -> tuple[Outcome, int]:
        """Place a call: how it ended, and how many redirects it followed."""
        call = Call(reactor, number, hold_s, lambda step: None)
        call.begin(where)
        ended = await call.ended
        return ended.outcome, ended.redirects

    def judge(self) -> None:
        """Tshark knows all that was heard, and has nothing to say against it."""
        heard = [octets for speaker in self._speakers for octets in speaker.octets]
        names = self.read([packet(UDP, number, 1719, octets) for number, octets in enumerate(heard)])
        self.assertEqual(len(names), len(heard))
        self.assertNotIn("unknownMessageResponse", " ".join(names))

    async def test_a_terminal_is_called_through_any_node(self) -> None:
        """It registers at one; a call to its alias reaches it by each, shifted or not, before any gateway."""
        await self.start()
        place, terminal = self.terminal()
        phone = self.speaker()
        confirmed = await phone.ask(self.rrq(place, NUMBER, "91"), self.door("ras"))
        self.assertIsInstance(confirmed, RegistrationConfirm)
        self.assertEqual(await self.call(NUMBER, self.door("listen", 1)), (Outcome.COMPLETED, 0))
        self.assertEqual(await self.call("91", self.door("listen", 0)), (Outcome.COMPLETED, 1))
        self.assertEqual((terminal.answered, self.gateway.answered), (2, 0))
        duplicate = await self.speaker().ask(self.rrq((LOOPBACK, 9), NUMBER), self.door("ras", 1))
        assert isinstance(duplicate, RegistrationReject)
        self.assertEqual(duplicate.reject_reason.reason, "duplicateAlias")
        self.judge()

    async def test_a_registration_is_shifted(self) -> None:
        """GRJ names the member, which keeps a place, and takes it, though nobody else has room."""
        await self.start("registrar.shift_registrations=true", limits={"primary": 0, "member1": 1})
        place, _ = self.terminal()
        phone = self.speaker()
        request = GatekeeperRequest(1, PROTOCOL, place, TERMINAL)
        rejected = await phone.ask(request, self.door("ras"))
        assert isinstance(rejected, GatekeeperReject), rejected
        (there,) = rejected.alt_gk_info
        self.assertEqual((there.ras_address, rejected.reject_reason), (self.door("ras", 1), "resourceUnavailable"))
        self.assertIsInstance(await phone.ask(request, there.ras_address), GatekeeperConfirm)
        self.assertIsInstance(await phone.ask(self.rrq(place, NUMBER), there.ras_address), RegistrationConfirm)

        async def free() -> bool:
            return (await self.call("91", self.door("listen")))[0] is Outcome.COMPLETED

        await self.until(free, "the slot is free again, and the primary knows")
        self.judge()

    async def test_a_user_with_a_password(self) -> None:
        """From an address that nobody trusts: RRQ and ARQ with tokens, and a SETUP that comes for its slot."""
        users = {("alice", "voipshift"): Secrets.of("alice", "voipshift", "wonder land", itself=True)}
        userfile.write(str(self.folder / "users"), users)
        await self.start("access.trusted=[]", "access.open=false", f'access.users="{self.folder}/users"')
        place, _ = self.terminal()
        phone, ras_door = self.speaker(), self.door("ras")
        for request in (self.rrq(place, "alice"), self.rrq(place, "alice", password="wonder")):
            rejected = await phone.ask(request, ras_door)
            assert isinstance(rejected, RegistrationReject)
            self.assertEqual(rejected.reject_reason.reason, "securityDenial")
        confirmed = await phone.ask(self.rrq(place, "alice", password="wonder land"), ras_door)
        assert isinstance(confirmed, RegistrationConfirm), confirmed
        identifier = confirmed.endpoint_identifier
        self.assertEqual((await self.call("91", self.door("accept", 1)))[0], Outcome.FAILED)
        self.assertIsInstance(await phone.ask(self.arq(identifier, "91"), ras_door), AdmissionReject)
        admitted = await phone.ask(self.arq(identifier, "91", password="wonder land"), ras_door)
        assert isinstance(admitted, AdmissionConfirm), admitted
        assert admitted.dest_call_signal_address is not None
        self.assertEqual(admitted.dest_call_signal_address, self.door("accept", 1))
        self.assertEqual(await self.call("91", admitted.dest_call_signal_address), (Outcome.COMPLETED, 0))
        self.judge()

    async def test_a_user_who_signs(self) -> None:
        """By procedure I of H.235.1: answers are signed likewise, and tshark reads them; a call is shifted."""
        users = {("alice", "voipshift"): Secrets.of("alice", "voipshift", "wonder land", itself=True)}
        userfile.write(str(self.folder / "users"), users)
        await self.start("access.trusted=[]", "access.open=false", f'access.users="{self.folder}/users"')
        place, _ = self.terminal()
        phone, ras_door = self.speaker(), self.door("ras")

        async def say(message: ras.Message, sender: str) -> Heard:
            octets = sign(message, "wonder land", sender, message.request_seq_num, "primary", int(time.time()))
            heard = await phone.ask_octets(octets, ras_door)
            tokens: Any = getattr(heard, "crypto_tokens", ())
            self.assertEqual(len(tokens), 1, heard)
            self.assertTrue(tokens[0].proves("wonder land", phone.octets[-1]))
            return heard

        confirmed = await say(self.rrq(place, "alice"), "alice")
        assert isinstance(confirmed, RegistrationConfirm), confirmed
        identifier = confirmed.endpoint_identifier
        admitted = await say(self.arq(identifier, "91"), identifier)
        assert isinstance(admitted, AdmissionConfirm) and admitted.dest_call_signal_address is not None, admitted
        self.assertEqual(await self.call("91", admitted.dest_call_signal_address), (Outcome.COMPLETED, 0))
        self.judge()

    async def test_neighbours(self) -> None:
        """LRQ is located where a member has room, and passed on where the number is none of ours; RAI tells of room."""
        first, second = free_ports() + 955, free_ports() + 956
        listed = (
            f'{{ address = "{LOOPBACK}:{first}", resources = true }}, '
            f'{{ address = "{LOOPBACK}:{second}", prefixes = ["5"] }}'
        )
        await self.start(f"h323.neighbours=[{listed}]")
        neighbour, other = self.speaker(first), self.speaker(second)
        asker = (LOOPBACK, first)
        lrq = LocationRequest(1, (alias_of("91"),), asker, hop_count=3)
        located = await neighbour.ask(lrq, self.door("ras"))
        while isinstance(located, ResourcesAvailableIndicate):
            located = await neighbour.hear()
        assert isinstance(located, LocationConfirm), located
        self.assertEqual(located.call_signal_address, self.door("accept", 1))
        assert located.call_signal_address is not None
        self.assertEqual((await self.call("91", located.call_signal_address))[0], Outcome.COMPLETED)
        for k, capacity in enumerate((CallCapacity(0, 0), CallCapacity(4, 4))):
            told = await neighbour.ask(InfoRequest(2, 0), self.door("ras", k))
            while not isinstance(told, InfoRequestResponse):
                self.assertIsInstance(told, ResourcesAvailableIndicate)
                told = await neighbour.hear()
            self.assertEqual(told.capacity, capacity)
        rejected = await neighbour.ask(LocationRequest(3, (alias_of("77"),), asker, hop_count=3), self.door("ras"))
        self.assertEqual(rejected, LocationReject(3, "notRegistered"))
        assert neighbour.transport is not None
        neighbour.transport.write(
            ras.encode(LocationRequest(4, (alias_of("55"),), asker, hop_count=3)), self.door("ras")
        )
        passed = await other.hear()
        assert isinstance(passed, LocationRequest), passed
        self.assertEqual((passed.request_seq_num, passed.hop_count, passed.reply_address), (4, 2, asker))
        self.judge()

    async def test_a_node_that_stops(self) -> None:
        """Releases the calls that it carries: the caller hears RELEASE COMPLETE before the connection is closed."""
        group = await self.start()
        said: list[str] = []
        call = Call(reactor, "91", 60.0, said.append)
        call.begin(self.door("listen", 1))
        await self.until(lambda: "<- CONNECT" in said, "the call stands")
        os.kill(group.members[0].pid, signal.SIGTERM)
        await call.ended
        self.assertIn("<- RELEASE COMPLETE", said)
