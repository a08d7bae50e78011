"""Messages that are signed by procedure I of H.235.1, and what becomes of one that was changed."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha1
from hmac import digest
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.h323_ladder import LadderTestCase, words
from tests.h323_messages import ALIASES, CONFERENCE, MARKER, PHONE, SETUP, sign, signal
from tests.h323net import STRANGER, WALL
from tests.h323ras import RasTestCase
from voipshift.h323 import q931, ras
from voipshift.h323.addresses import alias_of
from voipshift.h323.admission import (
    AdmissionConfirm,
    AdmissionReject,
    AdmissionRequest,
    DisengageConfirm,
    DisengageRequest,
)
from voipshift.h323.definitions import RAS_MESSAGE
from voipshift.h323.gatekeeper import REMEMBERED_S
from voipshift.h323.procedure import HashedToken, Signer, key_of, read, write
from voipshift.h323.q931 import MessageType
from voipshift.h323.registration import (
    RegistrationConfirm,
    RegistrationReject,
    UnregistrationConfirm,
    UnregistrationReject,
    UnregistrationRequest,
)

ALICE = (alias_of("alice"),)
NOW = int(WALL)


class TokenTests(SynchronousTestCase):
    """The token itself."""

    def setUp(self) -> None:
        self.octets = sign(DisengageRequest(7, "1", CONFERENCE, 4711, "normalDrop"), "secret", "1")
        message = ras.decode(self.octets)
        assert isinstance(message, DisengageRequest)
        (token,) = message.crypto_tokens
        assert isinstance(token, HashedToken)
        self.token = token

    def test_proved(self) -> None:
        """By the password and every octet of the message."""
        self.assertEqual(self.token, HashedToken(2, NOW, 1, "one", "1", self.token.hash))
        self.assertTrue(self.token.proves("secret", self.octets))
        self.assertFalse(self.token.proves("Secret", self.octets))
        for at in range(len(self.octets)):
            changed = bytearray(self.octets)
            changed[at] ^= 1
            self.assertFalse(self.token.proves("secret", bytes(changed)), at)
        self.assertFalse(self.token.proves("secret", b""))

    def test_object_identifiers(self) -> None:
        """A message of a node MUST say "A", "T" and "U" as H.235.1 has them."""
        name, tree = RAS_MESSAGE.decode(self.octets)
        self.assertEqual(name, "disengageRequest")
        kind, (nested, content) = tree["cryptoTokens"].value()[0]
        self.assertEqual((kind, nested), ("nestedcryptoToken", "cryptoHashedToken"))
        self.assertEqual(content["tokenOID"], (0, 0, 8, 235, 0, 2, 1))
        self.assertEqual(content["hashedVals"]["tokenOID"], (0, 0, 8, 235, 0, 2, 5))
        self.assertEqual(content["token"]["algorithmOID"], (0, 0, 8, 235, 0, 2, 6))
        self.assertEqual(content["token"]["hash"][1], 96)

    def test_other_kinds(self) -> None:
        """A token of another procedure, version or length is not read."""
        kind, tree = write(self.token)
        self.assertEqual(read((kind, tree)), self.token)
        without: dict[str, Any] = {key: value for key, value in tree["hashedVals"].items() if key != "random"}
        for changed in (
            ("cryptoSignedToken", tree),
            (kind, {**tree, "tokenOID": (0, 0, 8, 235, 0, 2, 2)}),
            (kind, {**tree, "tokenOID": (0, 0, 8, 235, 0)}),
            (kind, {**tree, "tokenOID": (0, 0, 8, 235, 0, 9, 1)}),
            (kind, {**tree, "hashedVals": without}),
            (kind, {**tree, "token": {**tree["token"], "hash": (1, 80)}}),
            (kind, {**tree, "token": {**tree["token"], "algorithmOID": (1, 2, 3)}}),
        ):
            self.assertIsNone(read(changed))

    def test_signer(self) -> None:
        """What a node signs is proved by the same password, and names both ends."""
        signer = Signer("alice", key_of("secret"), 1, "one", "alice").towards("1")
        octets = signer.signed(lambda token: b"before" + token.hash + b"after", NOW, 5, MARKER)
        token = HashedToken(1, NOW, 5, "1", "one", octets[6:18])
        self.assertTrue(token.proves("secret", octets))
        self.assertEqual((octets[:6], octets[18:]), (b"before", b"after"))


class SetupTests(LadderTestCase):
    """A SETUP that is signed from Q.931's first octet on."""

    anybody = False

    def test_signed(self) -> None:
        """Its sender calls; who changes a digit of the called number does not."""
        body = replace(SETUP, tokens=(), crypto_tokens=(HashedToken(2, NOW, 1, None, "alice", MARKER),))
        octets = signal(MessageType.SETUP, body, q931.called_number("1234"))
        zeroed = octets.replace(MARKER, bytes(12))
        octets = octets.replace(MARKER, digest(sha1(b"secret").digest(), zeroed, "sha1")[:12])
        phone = self.phone(STRANGER)
        phone.say(octets.replace(b"1234", b"1235"))
        self.assertEqual((words(phone.told()), self.decisions.asked), (["RELEASE_COMPLETE"], []))
        self.phone(STRANGER).say(octets)
        self.assertEqual([attempt.trusted for attempt in self.decisions.asked], [True])


class SignedTests(RasTestCase):
    """A terminal that signs, at a gatekeeper."""

    def setUp(self) -> None:
        super().setUp()
        self.heard: list[bytes] = []
        self.node.gatekeeper._send = lambda octets, to: self.heard.append(octets)
        self.node.gatekeeper._signatures._octets = lambda count: MARKER

    def say(
        self, message: ras.Message, sender: str, password: str = "secret", source: tuple[str, int] = STRANGER
    ) -> tuple[Any, HashedToken | None]:
        """The answer to a signed message, and its signature."""
        return self.say_octets(sign(message, password, sender, message.request_seq_num), source)

    def say_octets(self, octets: bytes, source: tuple[str, int] = STRANGER) -> tuple[Any, HashedToken | None]:
        """The same, of octets."""
        self.heard.clear()
        self.node.gatekeeper.received(octets, source)
        (answer,) = self.heard
        read: Any = ras.decode(answer)
        (token,) = read.crypto_tokens or (None,)
        if token is not None:
            self.assertTrue(token.proves("secret", answer))
            self.assertEqual(token.senders_id, "one")
        return read, token

    def registered(self, source: tuple[str, int] = STRANGER) -> str:
        """Alice's identifier."""
        answer, token = self.say(self.rrq(ALICE, source), "alice", source=source)
        assert isinstance(answer, RegistrationConfirm) and token is not None, answer
        self.assertEqual(token.general_id, answer.endpoint_identifier)
        return answer.endpoint_identifier

    def call(self, identifier: str) -> AdmissionRequest:
        """An ARQ."""
        return self.arq(identifier)

    def test_registers_and_calls(self) -> None:
        """The signature proves the password; every answer is signed, for the identifier that she was given."""
        identifier = self.registered()
        for request, kind in (
            (self.call(identifier), AdmissionConfirm),
            (DisengageRequest(self.number(), identifier, CONFERENCE, 4711, "normalDrop"), DisengageConfirm),
            (UnregistrationRequest(self.number(), (STRANGER,), endpoint_identifier=identifier), UnregistrationConfirm),
        ):
            answer, token = self.say(request, identifier)
            self.assertIsInstance(answer, kind)
            assert token is not None
            self.assertEqual(token.general_id, identifier)
        self.assertEqual([attempt.trusted for attempt in self.node.decider.attempts], [True])

    def test_no_two_answers_have_one_random_number(self) -> None:
        """In one second either: a terminal takes the second for an old one that somebody sends again."""
        identifier = self.registered()
        numbers = []
        for _ in range(3):
            drq = DisengageRequest(self.number(), identifier, CONFERENCE, 4711, "normalDrop")
            _, token = self.say(drq, identifier)
            assert token is not None
            numbers.append(token.random)
        self.assertEqual(len(set(numbers)), 3)

    def test_sent_again_by_somebody_else(self) -> None:
        """A signed message is good once, from whatever address; until it is forgotten it gets its answer again."""
        identifier = self.registered()
        octets = sign(self.call(identifier), "secret", identifier)
        first = self.say_octets(octets)
        self.assertEqual(self.say_octets(octets), first)
        self.clock.advance(REMEMBERED_S)
        answer, token = self.say_octets(octets)
        self.assertIsInstance(answer, AdmissionReject)
        self.assertEqual((token, len(self.node.decider.attempts)), (None, 1))

    def test_changed_on_the_way(self) -> None:
        """What somebody made of a signed message is worth as much as one without a password."""
        octets = sign(self.rrq(ALICE, STRANGER), "secret", "alice")
        answer, token = self.say_octets(octets.replace(b"phone", b"khone"))
        assert isinstance(answer, RegistrationReject)
        self.assertEqual((answer.reject_reason.reason, token), ("securityDenial", None))
        self.assertEqual(self.node.charged, [STRANGER[0]])

    def test_for_another_gatekeeper(self) -> None:
        """One that was overheard elsewhere is worth nothing here."""
        request = self.rrq(ALICE, STRANGER)
        answer, _ = self.say_octets(sign(request, "secret", "alice", receiver="two"))
        self.assertIsInstance(answer, RegistrationReject)

    def test_a_wrong_password(self) -> None:
        """securityDenial, for ARQ as well; the answer cannot be signed."""
        answer, token = self.say(self.rrq(ALICE, STRANGER), "alice", "guess")
        self.assertIsInstance(answer, RegistrationReject)
        identifier = self.registered()
        answer, token = self.say(self.call(identifier), identifier, "guess")
        self.assertIsInstance(answer, AdmissionReject)
        self.assertIsNone(token)

    def test_only_its_own_alias(self) -> None:
        """As with every password; the refusal is signed, for the name that she gave."""
        answer, token = self.say(self.rrq((*ALICE, ALIASES[0]), STRANGER), "alice")
        assert isinstance(answer, RegistrationReject) and token is not None
        self.assertEqual((answer.reject_reason.reason, token.general_id), ("invalidAlias", "alice"))

    def test_nobody_speaks_for_one_that_signs(self) -> None:
        """Its URQ and its light RRQ have to be signed by the same user, wherever they come from."""
        identifier = self.registered()
        self.node.users.passwords["bob"] = "secret"
        urq = UnregistrationRequest(self.number(), (STRANGER,), endpoint_identifier=identifier)
        answer, _ = self.say(urq, "bob")
        assert isinstance(answer, UnregistrationReject)
        self.assertEqual(answer.reject_reason, "securityDenial")
        urq = UnregistrationRequest(self.number(), (STRANGER,), endpoint_identifier=identifier)
        answer, _ = self.say_octets(ras.encode(urq))
        self.assertEqual(answer, UnregistrationReject(urq.request_seq_num, "securityDenial"))
        light = replace(self.rrq((), STRANGER), keep_alive=True, endpoint_identifier=identifier)
        answer, _ = self.say_octets(ras.encode(light))
        self.assertIsInstance(answer, RegistrationReject)
        light = replace(light, request_seq_num=self.number())
        answer, token = self.say(light, identifier)
        self.assertIsInstance(answer, RegistrationConfirm)
        self.assertIsNotNone(token)

    def test_a_known_address(self) -> None:
        """Needs no password, but gets signed answers if it signs; its aliases are its own choice."""
        identifier = self.registered(PHONE)
        answer, token = self.say(self.call(identifier), identifier, source=PHONE)
        self.assertIsInstance(answer, AdmissionConfirm)
        self.assertIsNotNone(token)
        answer, token = self.say(self.rrq(ALIASES, PHONE), "alice", source=PHONE)
        self.assertIsInstance(answer, RegistrationConfirm)
        answer, token = self.say(self.rrq(ALIASES, PHONE), "alice", "guess", source=PHONE)
        self.assertIsInstance(answer, RegistrationConfirm)
        self.assertIsNone(token)

    def test_a_node_that_stops(self) -> None:
        """Signs the URQ, too."""
        identifier = self.registered()
        self.heard.clear()
        self.node.gatekeeper.stop()
        (octets,) = self.heard
        told = ras.decode(octets)
        assert isinstance(told, UnregistrationRequest)
        (token,) = told.crypto_tokens
        assert isinstance(token, HashedToken)
        self.assertEqual((token.general_id, token.senders_id), (identifier, "one"))
        self.assertTrue(token.proves("secret", octets))

    def test_without_a_senders_name(self) -> None:
        """Some leave it out: then it is the user of the one alias, or of the endpoint."""
        request = self.rrq(ALICE, STRANGER)
        answer, _ = self.say(request, "")
        assert isinstance(answer, RegistrationConfirm)
        answer, _ = self.say(self.call(answer.endpoint_identifier), "")
        self.assertIsInstance(answer, AdmissionConfirm)
