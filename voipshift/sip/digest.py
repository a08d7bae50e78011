"""Digest, the arithmetic: challenges and credentials as they are written, and what is hashed (RFC 7616, RFC 8760).

``qop=auth`` alone: without it a captured request could be sent again for ever, and ``auth-int`` protects a body, which
proxies may change.  User names are not hashed (``userhash``).  Who is right is for auth.py to say.  Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from hashlib import md5, sha256
from typing import NamedTuple

from voipshift.sip.grammar import split_values

#: Algorithms by their name, the one to be offered first in front (RFC 8760 section 2.4).
ALGORITHMS: dict[str, Callable[[bytes], str]] = {
    "SHA-256": lambda octets: sha256(octets).hexdigest(),
    "MD5": lambda octets: md5(octets, usedforsecurity=False).hexdigest(),
}
#: Octets of credentials: user name, realm, nonce and URI of ours are not longer.
MAX_CREDENTIALS = 2048

_NONCE_COUNT = re.compile("[0-9A-Fa-f]{8}").fullmatch
_SCHEME = re.compile(r"[Dd][Ii][Gg][Ee][Ss][Tt][ \t]++(.*)", re.DOTALL)


class Credentials(NamedTuple):
    """What an Authorization or Proxy-Authorization field says: text that is hashed as it came.

    :ivar algorithm: in upper case
    :ivar nc: the nonce count, eight hexadecimal digits
    """

    username: str
    realm: str
    nonce: str
    uri: str
    response: str
    algorithm: str
    cnonce: str
    nc: str


def read(value: str) -> Credentials | None:
    """Read the value of an Authorization or Proxy-Authorization field; None when it is no Digest with ``qop=auth``."""
    match = _SCHEME.fullmatch(value) if len(value) <= MAX_CREDENTIALS else None
    if match is None:
        return None
    said: dict[str, str] = {}
    for piece in split_values(match[1]):
        name, _, text = piece.partition("=")
        said.setdefault(name.strip(" \t").lower(), _unquoted(text.strip(" \t")))
    try:
        qop = said["qop"]
        found = Credentials(
            said["username"],
            said["realm"],
            said["nonce"],
            said["uri"],
            said["response"].lower(),
            said.get("algorithm", "MD5").upper(),
            said["cnonce"],
            said["nc"],
        )
    except KeyError:
        return None
    return found if qop.lower() == "auth" and _NONCE_COUNT(found.nc) else None


def secret(username: str, realm: str, password: str, algorithm: str) -> str:
    """What a store keeps in place of a password: H(A1) of RFC 7616 section 3.4.2, good for this realm alone."""
    return ALGORITHMS[algorithm](f"{username}:{realm}:{password}".encode())


def response(secret: str, credentials: Credentials, method: str) -> str:
    """What the client must have answered (section 3.4.1)."""
    hashed = ALGORITHMS[credentials.algorithm]
    asked = hashed(f"{method}:{credentials.uri}".encode("latin-1"))
    nonce, nc, cnonce = credentials.nonce, credentials.nc, credentials.cnonce
    return hashed(f"{secret}:{nonce}:{nc}:{cnonce}:auth:{asked}".encode("latin-1"))


def challenge(realm: str, nonce: str, algorithm: str, *, stale: bool) -> str:
    """The value of a WWW-Authenticate or Proxy-Authenticate field."""
    again = ", stale=true" if stale else ""
    return f'Digest realm="{realm}", nonce="{nonce}"{again}, algorithm={algorithm}, qop="auth"'


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text
