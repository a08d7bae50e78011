"""H.235 passwords: the tokens that real terminals prove one with (H.235.0, H.235.1; Cisco's access token).

- ``cryptoEPPwdHash``, "MD5": the MD5 of a ClearToken of alias, password and time, encoded in PER.
- the *Cisco access token*, "CAT": a ClearToken with the MD5 of a random octet, the password and the time.
- ``cryptoHashedToken``: a MAC of the whole message, :mod:`voipshift.h323.procedure`.

Either of the first two proves that its sender knew the password at a time that it names, and no more: the message
around it can be changed.  All can be replayed while that time is near.  Whether it is near, and whether it was seen
before, is for the caller to say; so is whose password it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import md5
from hmac import compare_digest
from typing import Any

from voipshift.errors import ProtocolViolation
from voipshift.h323 import procedure
from voipshift.h323.addresses import Alias, read_alias, write_alias
from voipshift.h323.asn1 import Tree
from voipshift.h323.definitions import CLEAR_TOKEN
from voipshift.h323.procedure import HashedToken

MD5 = (1, 2, 840, 113549, 2, 5)
CISCO_ACCESS_TOKEN = (1, 2, 840, 113548, 10, 1, 2, 1)
#: The ClearToken that is hashed has this for a kind: none.
_NO_KIND = (0, 0)
#: More of them in one message are not looked at.
MAX_TOKENS = 8


@dataclass(frozen=True, slots=True)
class PasswordHash:
    """cryptoEPPwdHash.

    :param alias: who says to be there
    :param time_stamp: seconds since 1970
    """

    alias: Alias
    time_stamp: int
    hash: bytes

    @property
    def user(self) -> str:
        """Who says to be there."""
        return self.alias.text.rstrip("\0")

    @property
    def proof(self) -> bytes:
        """What nobody can vary who does not know the password."""
        return self.hash

    def proves(self, password: str, octets: bytes) -> bool:
        """Whether its sender knew the password, whatever the message says."""
        # Terminals of the OpenH323 family count the NUL that ends both texts in, as Cisco's gatekeeper did.
        return any(self._is_of(self.user + end, password + end) for end in ("\0", ""))

    def _is_of(self, general_id: str, password: str) -> bool:
        try:
            return compare_digest(self.hash, _digest(general_id, password, self.time_stamp))
        except ProtocolViolation:  # no token can hold them
            return False


@dataclass(frozen=True, slots=True)
class AccessToken:
    """The Cisco access token.

    :param general_id: who says to be there
    :param time_stamp: seconds since 1970
    :param random: one octet
    """

    general_id: str
    time_stamp: int
    random: int
    challenge: bytes

    @property
    def user(self) -> str:
        """Who says to be there."""
        return self.general_id.rstrip("\0")

    @property
    def proof(self) -> bytes:
        """What nobody can vary who does not know the password."""
        return self.challenge

    def proves(self, password: str, octets: bytes) -> bool:
        """Whether its sender knew the password, whatever the message says."""
        return compare_digest(self.challenge, _challenge(self.random, password, self.time_stamp))


def password_hash(alias: Alias, password: str, time_stamp: int) -> PasswordHash:
    """A token as a terminal makes it."""
    return PasswordHash(alias, time_stamp, _digest(alias.text + "\0", password + "\0", time_stamp))


def access_token(user: str, password: str, time_stamp: int, random: int) -> AccessToken:
    """A token as a terminal makes it."""
    return AccessToken(user + "\0", time_stamp, random, _challenge(random, password, time_stamp))


#: What may be in cryptoTokens.
CryptoToken = PasswordHash | HashedToken


def read_crypto_tokens(choices: Sequence[tuple[str | int, Any]]) -> tuple[CryptoToken, ...]:
    """SEQUENCE OF CryptoH323Token to those that are known here."""
    return tuple(token for choice in choices[:MAX_TOKENS] if (token := _read_crypto_token(choice)) is not None)


def write_crypto_tokens(tokens: tuple[CryptoToken, ...]) -> list[tuple[str, Any]]:
    """To SEQUENCE OF CryptoH323Token."""
    return [
        ("nestedcryptoToken", procedure.write(token))
        if isinstance(token, HashedToken)
        else ("cryptoEPPwdHash", _write_password_hash(token))
        for token in tokens
    ]


def _read_crypto_token(choice: tuple[str | int, Any]) -> CryptoToken | None:
    kind, content = choice
    if kind == "nestedcryptoToken":
        return procedure.read(content)
    if kind == "cryptoEPPwdHash" and content["token"]["algorithmOID"] == MD5:
        return PasswordHash(read_alias(content["alias"]), content["timeStamp"], _octets(content["token"]["hash"]))
    return None


def _write_password_hash(token: PasswordHash) -> Tree:
    return {
        "alias": write_alias(token.alias),
        "timeStamp": token.time_stamp,
        "token": {
            "algorithmOID": MD5,
            "paramS": {},
            "hash": (int.from_bytes(token.hash), 8 * len(token.hash)),
        },
    }


def read_tokens(trees: Sequence[Tree]) -> tuple[AccessToken, ...]:
    """SEQUENCE OF ClearToken to those that are known here."""
    return tuple(
        AccessToken(tree["generalID"], tree["timeStamp"], tree["random"], tree["challenge"])
        for tree in trees[:MAX_TOKENS]
        if tree["tokenOID"] == CISCO_ACCESS_TOKEN and tree.keys() >= {"generalID", "timeStamp", "random", "challenge"}
    )


def write_tokens(tokens: tuple[AccessToken, ...]) -> list[Tree]:
    """To SEQUENCE OF ClearToken."""
    return [
        {
            "tokenOID": CISCO_ACCESS_TOKEN,
            "timeStamp": token.time_stamp,
            "challenge": token.challenge,
            "random": token.random,
            "generalID": token.general_id,
        }
        for token in tokens
    ]


def _digest(general_id: str, password: str, time_stamp: int) -> bytes:
    token = {"tokenOID": _NO_KIND, "timeStamp": time_stamp, "password": password, "generalID": general_id}
    return md5(CLEAR_TOKEN.encode(token), usedforsecurity=False).digest()


def _challenge(random: int, password: str, time_stamp: int) -> bytes:
    octets = bytes((random & 0xFF,)) + password.encode("latin-1", "replace") + time_stamp.to_bytes(4)
    return md5(octets, usedforsecurity=False).digest()


def _octets(bits: tuple[int, int]) -> bytes:
    number, count = bits
    return (number << (-count & 7)).to_bytes(count + 7 >> 3)
