"""H.235 passwords are proved as terminals of the OpenH323 family and Cisco's prove them."""

from __future__ import annotations

from dataclasses import replace
from hashlib import md5

from twisted.trial.unittest import SynchronousTestCase

from voipshift.h323.addresses import alias_of
from voipshift.h323.asn1 import Tree
from voipshift.h323.definitions import CLEAR_TOKEN
from voipshift.h323.tokens import (
    CISCO_ACCESS_TOKEN,
    MAX_TOKENS,
    AccessToken,
    PasswordHash,
    access_token,
    password_hash,
    read_crypto_tokens,
    read_tokens,
    write_crypto_tokens,
    write_tokens,
)

TIME = 1700000000
#: The ClearToken of alice, secret and that time, as H323Plus encodes it: each text ends with a NUL.
CLEAR = bytes.fromhex("610001" + "00" + "c06553f0ff" + "0c0073006500630072006500740000" + "0a0061006c00690063006500 00")


class PasswordHashTests(SynchronousTestCase):
    """cryptoEPPwdHash."""

    def test_as_terminals_make_it(self) -> None:
        """The MD5 of a ClearToken, with the NULs that end its texts."""
        self.assertEqual(
            CLEAR_TOKEN.decode(CLEAR),
            {"tokenOID": (0, 0), "timeStamp": TIME, "password": "secret\0", "generalID": "alice\0"},
        )
        token = PasswordHash(alias_of("alice"), TIME, md5(CLEAR).digest())
        self.assertTrue(token.proves("secret", b""))
        self.assertEqual(token, password_hash(alias_of("alice"), "secret", TIME))

    def test_without_nul(self) -> None:
        """As the text of H.235.0 has it."""
        octets = CLEAR_TOKEN.encode({"tokenOID": (0, 0), "timeStamp": TIME, "password": "secret", "generalID": "alice"})
        self.assertTrue(PasswordHash(alias_of("alice"), TIME, md5(octets).digest()).proves("secret", b""))

    def test_wrong(self) -> None:
        """Another password, user or time MUST NOT do."""
        token = password_hash(alias_of("alice"), "secret", TIME)
        self.assertFalse(token.proves("Secret", b""))
        self.assertFalse(token.proves("", b""))
        self.assertFalse(replace(token, alias=alias_of("bob")).proves("secret", b""))
        self.assertFalse(replace(token, time_stamp=TIME + 1).proves("secret", b""))
        self.assertFalse(replace(token, hash=token.hash[:8]).proves("secret", b""))
        self.assertFalse(replace(token, hash=b"").proves("secret", b""))

    def test_password_that_no_token_holds(self) -> None:
        """One that is too long for H.235 is proved by nobody."""
        self.assertFalse(password_hash(alias_of("alice"), "secret", TIME).proves("a" * 200, b""))

    def test_read_and_written(self) -> None:
        """Tokens of other kinds are not read, nor more than a few."""
        token = password_hash(alias_of("alice"), "secret", TIME)
        trees = write_crypto_tokens((token,))
        self.assertEqual(read_crypto_tokens([("cryptoGKCert", {}), (12, b"\0"), *trees]), (token,))
        other = {**trees[0][1], "token": {**trees[0][1]["token"], "algorithmOID": (1, 2, 3)}}
        self.assertEqual(read_crypto_tokens([("cryptoEPPwdHash", other)]), ())
        self.assertEqual(len(read_crypto_tokens(trees * 100)), MAX_TOKENS)


class AccessTokenTests(SynchronousTestCase):
    """The Cisco access token."""

    def test_as_terminals_make_it(self) -> None:
        """The MD5 of a random octet, the password and the time."""
        challenge = md5(b"\x07secret" + TIME.to_bytes(4)).digest()
        token = AccessToken("alice\0", TIME, 7, challenge)
        self.assertEqual(token.user, "alice")
        self.assertTrue(token.proves("secret", b""))
        self.assertEqual(token, access_token("alice", "secret", TIME, 7))

    def test_signed_random(self) -> None:
        """Some send the octet as a negative number."""
        token = access_token("alice", "secret", TIME, 200)
        self.assertTrue(replace(token, random=200 - 256).proves("secret", b""))

    def test_wrong(self) -> None:
        """Another password, time or random octet MUST NOT do."""
        token = access_token("alice", "secret", TIME, 7)
        self.assertFalse(token.proves("secre", b""))
        self.assertFalse(replace(token, time_stamp=TIME - 1).proves("secret", b""))
        self.assertFalse(replace(token, random=8).proves("secret", b""))
        self.assertFalse(replace(token, challenge=b"").proves("secret", b""))

    def test_read_and_written(self) -> None:
        """Tokens of other kinds, or that lack something, are not read, nor more than a few."""
        token = access_token("alice", "secret", TIME, 7)
        trees = write_tokens((token,))
        lacking: list[Tree] = [{"tokenOID": CISCO_ACCESS_TOKEN}, {"tokenOID": (0, 0)}]
        self.assertEqual(read_tokens([*lacking, *trees]), (token,))
        self.assertEqual(len(read_tokens(trees * 100)), MAX_TOKENS)
