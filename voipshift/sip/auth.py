"""Who a client is: Digest as RFC 3261 section 22, RFC 7616 and RFC 8760 have it.

An :class:`Authenticator` writes challenges and judges credentials.  An unknown user costs the same work as a known one
and gets the same answer: in place of its secret stands one that no password has.  Pure.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from enum import Enum
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple, Protocol

from voipshift.errors import ProtocolViolation
from voipshift.sip import digest
from voipshift.sip.digest import Credentials
from voipshift.sip.fields import value_of
from voipshift.sip.message import Request
from voipshift.sip.nonces import Nonces, Standing
from voipshift.sip.uri import SipUri

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

#: Credentials that are looked at in one request: ours, and those for proxies further on.
MAX_LINES = 8


class Party(Enum):
    """As what a node asks who somebody is (section 22.2 and 22.3): registrars ask with 401, proxies with 407."""

    REGISTRAR = (401, "WWW-Authenticate", "authorization")
    PROXY = (407, "Proxy-Authenticate", "proxy-authorization")

    @property
    def status(self) -> int:
        return self.value[0]

    @property
    def challenge(self) -> str:
        return self.value[1]

    @property
    def credentials(self) -> str:
        return self.value[2]


class Verdict(Enum):
    """What credentials are worth.  STALE: they are right, but for a nonce that is over."""

    RIGHT = "right"
    STALE = "stale"
    WRONG = "wrong"


class Secrets(NamedTuple):
    """What is kept of a user's password: :func:`voipshift.sip.digest.secret` for each algorithm.

    :ivar password: itself, for users who call by H.323 too, whose tokens cannot be proved without; else empty
    """

    sha256: str
    md5: str
    password: str = ""

    @classmethod
    def of(cls, username: str, realm: str, password: str, *, itself: bool = False) -> Secrets:
        """Those of a password, and the password itself where that is wanted."""
        made = {name: digest.secret(username, realm, password, name) for name in digest.ALGORITHMS}
        return cls(made["SHA-256"], made["MD5"], password if itself else "")

    def get(self, algorithm: str) -> str:
        """The one for an algorithm."""
        return self.md5 if algorithm == "MD5" else self.sha256


class Users(Protocol):
    """The store of users; voipshift.store has several."""

    def secrets(self, username: str) -> Deferred[Secrets | None]:
        """What is kept of a user's password; None where there is no such user."""


class Authenticator:
    """Asks clients who they are.

    :param realm: the same at all nodes of a group; users' secrets are made for it
    :param algorithms: what is offered, in this order; RFC 8760 wants the best first, and there are telephones that
        give up where they are offered anything beside MD5
    :param octets: random octets
    """

    def __init__(
        self, *, realm: str, nonces: Nonces, algorithms: Sequence[str], octets: Callable[[int], bytes]
    ) -> None:
        self._realm = realm
        self._nonces = nonces
        self._algorithms = algorithms
        self._decoy = octets(32)

    def challenge(self, party: Party, now: float, *, stale: bool = False) -> Sequence[tuple[str, str]]:
        """The header fields of a challenge: one for each algorithm, all with one nonce."""
        nonce = self._nonces.issue(now)
        return [
            (party.challenge, digest.challenge(self._realm, nonce, algorithm, stale=stale))
            for algorithm in self._algorithms
        ]

    def claim(self, request: Request, party: Party, now: float) -> Credentials | None:
        """The credentials of a request that are worth a look into the store: for our realm and a nonce of the group."""
        lines = [line for key, line in request.fields if key == party.credentials]
        for line in lines[:MAX_LINES]:
            found = digest.read(value_of(line))
            if found is None or found.realm != self._realm or found.algorithm not in self._algorithms:
                continue
            if self._nonces.standing(found.nonce, now) is not Standing.FORGED and _same_uri(found.uri, request.uri):
                return found
        return None

    def consume(self, request: Request) -> None:
        """Take the credentials that were for this node out of a request: nobody further on is to work at them."""
        ours = f'realm="{self._realm}"'
        kept = [line for key, line in request.fields if key == Party.PROXY.credentials and ours not in line]
        request.remove(Party.PROXY.credentials)
        for line in kept:
            request.add(Party.PROXY.credentials, value_of(line))

    def judge(self, claim: Credentials, method: str, secrets: Secrets | None, now: float) -> Verdict:
        """Say whether credentials are right; if so, their nonce is used.

        :param secrets: what the store keeps of the user; None for nobody
        """
        secret = self._decoy_of(claim) if secrets is None else secrets.get(claim.algorithm)
        right = digest.response(secret, claim, method)
        if not hmac.compare_digest(right.encode(), claim.response.encode("latin-1")) or secrets is None:
            return Verdict.WRONG
        if self._nonces.standing(claim.nonce, now) is not Standing.OURS:
            return Verdict.STALE
        return Verdict.RIGHT if self._nonces.use(claim.nonce, int(claim.nc, 16), now) else Verdict.STALE

    def _decoy_of(self, claim: Credentials) -> str:
        octets = hmac.digest(self._decoy, claim.username.encode("latin-1"), sha256)
        return octets.hex()[: 32 if claim.algorithm == "MD5" else 64]


def _same_uri(digest_uri: str, request_uri: str) -> bool:
    """Whether credentials were made for this request, for they must not buy another call (RFC 7616 section 3.4.6)."""
    if digest_uri == request_uri:
        return True
    try:
        return SipUri.parse(digest_uri) == SipUri.parse(request_uri)
    except ProtocolViolation:
        return False
