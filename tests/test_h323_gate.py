"""Who is known by H.323: addresses, and tokens of H.235 that prove a password."""

from __future__ import annotations

from dataclasses import replace

from twisted.internet.defer import fail
from twisted.trial.unittest import SynchronousTestCase

from tests.h323net import WALL, Passwords
from voipshift.h323.addresses import EMAIL_ID, Alias, alias_of
from voipshift.h323.gate import TOLERANCE_S, Gate, Party, Token
from voipshift.h323.tokens import access_token, password_hash

TRUSTED, STRANGER, OTHER = "192.0.2.1", "203.0.113.1", "203.0.113.2"
NOW = int(WALL)
RIGHT = access_token("alice", "secret", NOW, 7)
HASH = password_hash(alias_of("alice"), "secret", NOW)
WRONG = access_token("alice", "guess", NOW, 7)


class GateTests(SynchronousTestCase):
    """One gate."""

    def setUp(self) -> None:
        self.now = WALL
        self.charged: list[str] = []
        self.users = Passwords()
        self.gate = self.made()

    def made(self, *, anybody: bool = False, users: bool = True) -> Gate:
        """A gate."""
        return Gate(
            trusts=lambda host: host == TRUSTED,
            anybody_calls=anybody,
            anybody_registers=False,
            users=self.users if users else None,
            charge=self.charged.append,
            wall=lambda: self.now,
        )

    def identify(self, host: str, *tokens: Token, registers: bool = False) -> Party | None:
        """Who it is."""
        said: list[Party | None] = []
        self.gate.identify(host, tokens, b"", said.append, registers=registers)
        (party,) = said
        return party

    def test_an_address(self) -> None:
        """That vouches is enough, whatever is in the message."""
        self.assertEqual(self.identify(TRUSTED, WRONG), Party(None, True))
        self.assertIsNone(self.identify(STRANGER))

    def test_anybody(self) -> None:
        """May call where that is so, which is no permission to register, and makes nobody known."""
        self.gate = self.made(anybody=True)
        self.assertEqual(self.identify(STRANGER), Party(None, False))
        self.assertIsNone(self.identify(STRANGER, registers=True))

    def test_tokens(self) -> None:
        """Either kind proves the password of its user."""
        for token in (RIGHT, HASH):
            self.assertEqual(self.identify(STRANGER, token), Party("alice", True))
        self.assertIsNone(self.identify(STRANGER, WRONG))
        self.assertIsNone(self.identify(STRANGER, access_token("bob", "secret", NOW, 7)))
        self.assertEqual(self.charged, [STRANGER, STRANGER])

    def test_several(self) -> None:
        """The second is looked at where the first proves nothing; no more are."""
        self.assertEqual(self.identify(STRANGER, WRONG, HASH), Party("alice", True))
        self.assertIsNone(self.identify(STRANGER, WRONG, WRONG, HASH))
        self.assertEqual(len(self.charged), 1)

    def test_a_user_of_sip_alone(self) -> None:
        """Whose password is not kept cannot prove it, not even that it is empty."""
        self.users.passwords["alice"] = ""
        self.assertIsNone(self.identify(STRANGER, access_token("alice", "", NOW, 7)))

    def test_time(self) -> None:
        """A token is good near its time; one of another time is not charged, for the clock may be wrong."""
        for seconds, good in ((TOLERANCE_S, True), (TOLERANCE_S + 1, False), (-TOLERANCE_S - 1, False)):
            self.now = WALL + seconds
            self.assertEqual(self.identify(STRANGER, RIGHT) is not None, good)
        self.assertEqual(self.charged, [])

    def test_overheard(self) -> None:
        """Who shows it first may show it again; nobody else may."""
        for host, good in ((STRANGER, True), (STRANGER, True), (OTHER, False), (STRANGER, True)):
            self.assertEqual(self.identify(host, RIGHT) is not None, good)

    def test_overheard_and_written_anew(self) -> None:
        """What proves the same is the same: nobody else shows it with other parts around it."""
        self.identify(STRANGER, RIGHT)
        self.identify(STRANGER, HASH)
        for varied in (
            replace(RIGHT, general_id="alice"),
            replace(RIGHT, random=RIGHT.random + 256),
            replace(HASH, alias=Alias(EMAIL_ID, "alice")),
            replace(HASH, alias=Alias(HASH.alias.kind, "alice\0")),
        ):
            self.assertTrue(varied.proves("secret", b""))
            self.assertIsNone(self.identify(OTHER, varied))

    def test_what_is_remembered_is_bounded(self) -> None:
        """The oldest tokens are forgotten first."""
        self.patch(__import__("voipshift.h323.gate", fromlist=["MAX_SHOWN"]), "MAX_SHOWN", 2)
        for random in range(3):
            self.identify(STRANGER, access_token("alice", "secret", NOW, random))
        self.assertIsNotNone(self.identify(OTHER, access_token("alice", "secret", NOW, 0)))
        self.assertIsNone(self.identify(OTHER, access_token("alice", "secret", NOW, 2)))

    def test_no_users(self) -> None:
        """Nobody becomes known, and nobody need try."""
        self.gate = self.made(users=False)
        self.assertIsNone(self.identify(STRANGER, RIGHT))
        self.assertEqual([self.gate.may_try(host) for host in (TRUSTED, STRANGER)], [True, False])

    def test_a_store_that_is_down(self) -> None:
        """Nobody goes on; it is logged."""
        self.patch(self.users, "secrets", lambda name: fail(OSError("down")))
        self.assertIsNone(self.identify(STRANGER, RIGHT))
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
