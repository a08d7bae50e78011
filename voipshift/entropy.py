"""Random octets of the operating system, fetched many at a time: most that a call needs are a few.

Each is handed out once.  A process that forks and lives on in both halves must not share one.
"""

from __future__ import annotations

import os

#: What is fetched at once: a system call for some hundred names, leases and nonces.
BLOCK_OCTETS = 4096


class Entropy:
    """Gives so many octets, as :func:`os.urandom` does."""

    __slots__ = ("_at", "_block")

    def __init__(self) -> None:
        self._block = b""
        self._at = 0

    def __call__(self, octets: int) -> bytes:
        at = self._at
        self._at = end = at + octets
        if end <= len(self._block):
            return self._block[at:end]
        self._block = os.urandom(max(BLOCK_OCTETS, octets))
        self._at = octets
        return self._block[:octets]
