"""H.235.1, procedure I: a message that bears a MAC of all its octets, made with the password of a user.

::

    CryptoH323Token
      nestedCryptoToken
        cryptoHashedToken
          tokenOID      "A": all of the message is hashed
          hashedVals    ClearToken "T": timeStamp, random, generalID (for whom), sendersID (from whom)
          token         "U": HMAC-SHA1-96, 96 bits, in whose place there were zeros when it was made

Its key is the SHA-1 of the password.  Unlike the other tokens it protects what the message says; and whoever proves his
password by it wants answers that prove the same, which :class:`Signer` makes.  The object identifiers hold the version
of H.235, 1 to 3.  A message of RAS is hashed as it is; one of call signalling from Q.931's first octet on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha1
from hmac import compare_digest, digest
from typing import Any

from voipshift.h323.asn1 import Tree, component

#: The object identifiers "A", "T" and "U" begin with this, then come the version and a number.
_H235 = (0, 0, 8, 235, 0)
_WHOLE, _BASELINE, _HMAC = 1, 5, 6
#: The versions of H.235 that have procedure I.
VERSIONS = (1, 2, 3)
#: What a terminal offers that can do it ("U"), the latest version first.
HMAC_SHA1_96 = tuple((*_H235, version, _HMAC) for version in reversed(VERSIONS))
#: Octets of a MAC.
HASH_SIZE = 12


@dataclass(frozen=True, slots=True)
class HashedToken:
    """A cryptoHashedToken.

    :ivar version: of H.235
    :ivar time_stamp: seconds since 1970
    :ivar random: another one for each message of a second
    :ivar general_id: for whom the message is, None where it does not say
    :ivar senders_id: whom it is from: a user, or the identifier of an endpoint that is registered; empty likewise
    """

    version: int
    time_stamp: int
    random: int
    general_id: str | None
    senders_id: str
    hash: bytes

    @property
    def user(self) -> str:
        """Who says to be there."""
        return self.senders_id

    @property
    def proof(self) -> bytes:
        """What nobody can vary who does not know the password."""
        return self.hash

    def proves(self, password: str, octets: bytes) -> bool:
        """Whether its sender knew the password, and the message is the one that he sent.

        :param octets: the message that it was in
        """
        at = octets.find(self.hash)
        return at >= 0 and compare_digest(self.hash, _mac(key_of(password), octets, at))


class Signer:
    """Signs what is sent to one who signs what he sends.

    :param user: whose password it is
    :param key: made of the password
    :param version: of H.235, as he speaks it
    :param here: this gatekeeper
    :param there: whom it is for; empty where that is not known
    """

    def __init__(self, user: str, key: bytes, version: int, here: str, there: str) -> None:
        self.user = user
        self._key = key
        self._version = version
        self._here = here
        self._there = there

    def towards(self, there: str) -> Signer:
        """The same, for one who has another name from now on."""
        return Signer(self.user, self._key, self._version, self._here, there)

    def signed(self, write: Callable[[HashedToken], bytes], time_stamp: int, random: int, marker: bytes) -> bytes:
        """A message with a token in it.

        :param write: writes it
        :param random: another one than that of the last message
        :param marker: as many random octets as the MAC has, by which its place is found
        """
        octets = write(HashedToken(self._version, time_stamp, random, self._there or None, self._here, marker))
        at = octets.index(marker)
        return octets[:at] + _mac(self._key, octets, at) + octets[at + HASH_SIZE :]


def key_of(password: str) -> bytes:
    """The key that a password makes."""
    return sha1(password.encode(), usedforsecurity=False).digest()


def read(choice: tuple[str | int, Any]) -> HashedToken | None:
    """CryptoToken to value; None for one of another kind, or that lacks something."""
    kind, tree = choice
    if kind != "cryptoHashedToken":
        return None
    version, clear, hashed = tree["tokenOID"][5:6], tree["hashedVals"], tree["token"]
    number, bits = hashed["hash"]
    if (
        len(version) != 1
        or version[0] not in VERSIONS
        or tree["tokenOID"] != (*_H235, *version, _WHOLE)
        or clear["tokenOID"] != (*_H235, *version, _BASELINE)
        or hashed["algorithmOID"] != (*_H235, *version, _HMAC)
        or bits != 8 * HASH_SIZE
        or not clear.keys() >= {"timeStamp", "random"}
    ):
        return None
    sender = component(clear, "sendersID") or ""
    receiver = clear.get("generalID")
    return HashedToken(
        version[0],
        clear["timeStamp"],
        clear["random"],
        None if receiver is None else receiver.rstrip("\0"),
        sender.rstrip("\0"),
        number.to_bytes(HASH_SIZE),
    )


def write(token: HashedToken) -> tuple[str, Tree]:
    """Value to CryptoToken."""
    family = (*_H235, token.version)
    clear: Tree = {"tokenOID": (*family, _BASELINE), "timeStamp": token.time_stamp, "random": token.random}
    if token.general_id is not None:
        clear["generalID"] = token.general_id
    if token.senders_id:
        clear["sendersID"] = token.senders_id
    mac = (int.from_bytes(token.hash), 8 * HASH_SIZE)
    hashed = {"algorithmOID": (*family, _HMAC), "paramS": {}, "hash": mac}
    return "cryptoHashedToken", {"tokenOID": (*family, _WHOLE), "hashedVals": clear, "token": hashed}


def _mac(key: bytes, octets: bytes, at: int) -> bytes:
    zeroed = octets[:at] + bytes(HASH_SIZE) + octets[at + HASH_SIZE :]
    return digest(key, zeroed, "sha1")[:HASH_SIZE]
