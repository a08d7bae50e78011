"""Nonces that every node of the group recognises, and that their issuer counts (RFC 7616 sections 3.3 and 3.4).

A nonce is not kept when it is issued: it says who issued it and when, and a MAC under the group key says that this is
true.  Only what was used with success is remembered, with its highest nonce count, until it expires; so a captured
request is worth nothing at its issuer, and at another node it never was.  Thirty octets, base64url::

    4 key id | 4 issuer | 4 seconds of the issuer's clock | 6 random | 12 MAC over all of it

The issuer is drawn anew at each start: a nonce from before a restart, whose counts are forgotten, is another node's.
Pure.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import struct
from collections.abc import Callable
from enum import Enum
from hashlib import sha256
from typing import Protocol

#: Seconds that a nonce is good for.
LIFETIME_S = 300.0
#: Nonces whose counts are kept: as many clients may come within their lifetime before the oldest must ask again.
MAX_COUNTED = 100_000

_HEAD = struct.Struct("!4s4sI6s")
_MAC_OCTETS = 12
_OCTETS = _HEAD.size + _MAC_OCTETS
_TEXT = _OCTETS * 4 // 3


class Key(Protocol):
    """A secret, and its id of four octets."""

    @property
    def id(self) -> bytes: ...
    @property
    def secret(self) -> bytes: ...


class Keys(Protocol):
    """The group's secrets: :class:`voipshift.group.keys.Keys`."""

    @property
    def first(self) -> Key: ...
    def get(self, key_id: bytes) -> Key | None: ...


class Standing(Enum):
    """What a nonce is to this node."""

    OURS = "ours"
    STALE = "stale"
    FORGED = "forged"


class Nonces:
    """The nonces of one node.

    :param keys: the group's, or a node's own where it stands alone
    :param octets: random octets
    """

    def __init__(
        self,
        *,
        keys: Keys,
        octets: Callable[[int], bytes],
        lifetime_s: float = LIFETIME_S,
        max_counted: int = MAX_COUNTED,
    ) -> None:
        self._keys = keys
        self._octets = octets
        self._issuer = octets(4)
        self._lifetime_s = lifetime_s
        self._max_counted = max_counted
        #: Nonce -> its second of issue and its highest count; in the order of first use.
        self._counts: dict[str, tuple[int, int]] = {}
        #: Nonces of this second and before are over: counts of some of them had to be forgotten.
        self._forgotten = -1

    def __len__(self) -> int:
        return len(self._counts)

    def issue(self, now: float) -> str:
        """Make a nonce."""
        key = self._keys.first
        head = _HEAD.pack(key.id, self._issuer, int(now) & 0xFFFFFFFF, self._octets(6))
        return base64.urlsafe_b64encode(head + _mac(key.secret, head)).decode("ascii")

    def standing(self, nonce: str, now: float) -> Standing:
        """Look at a nonce: stale are all that the group issued and this node does not count, or no more."""
        opened = self._open(nonce)
        if opened is None:
            return Standing.FORGED
        issuer, issued = opened
        alive = issuer == self._issuer and 0 <= now - issued < self._lifetime_s
        if not alive or (issued <= self._forgotten and nonce not in self._counts):
            return Standing.STALE
        return Standing.OURS

    def use(self, nonce: str, count: int, now: float) -> bool:
        """Use a nonce of ours once.

        :param count: the client's nonce count
        :returns: False when it was used with that count before, or a higher one
        """
        known = self._counts.get(nonce)
        if known is not None:
            if count <= known[1]:
                return False
            self._counts[nonce] = (known[0], count)
            return True
        opened = self._open(nonce)
        if opened is None:
            return False
        self._make_room(now)
        self._counts[nonce] = (opened[1], count)
        return True

    def _make_room(self, now: float) -> None:
        """Forget what has expired; beyond the limit also the oldest, and with it all nonces of its age."""
        while self._counts:
            oldest = next(iter(self._counts))
            issued = self._counts[oldest][0]
            if now - issued < self._lifetime_s:
                if len(self._counts) < self._max_counted:
                    return
                self._forgotten = max(self._forgotten, issued)
            del self._counts[oldest]

    def _open(self, nonce: str) -> tuple[bytes, int] | None:
        """Issuer and second of a nonce that the group has made."""
        if len(nonce) != _TEXT:
            return None
        try:
            octets = base64.b64decode(nonce.encode("ascii"), b"-_", validate=True)
        except (ValueError, binascii.Error):
            return None
        if len(octets) != _OCTETS:
            return None
        head, mac = octets[: _HEAD.size], octets[_HEAD.size :]
        key_id, issuer, issued, _ = _HEAD.unpack(head)
        key = self._keys.get(key_id)
        if key is None or not hmac.compare_digest(mac, _mac(key.secret, head)):
            return None
        return issuer, issued


def _mac(secret: bytes, head: bytes) -> bytes:
    # The same key seals datagrams through another derivation; the label keeps the two apart.
    return hmac.digest(secret, b"voipshift nonce" + head, sha256)[:_MAC_OCTETS]
