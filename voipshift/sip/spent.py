"""What is left of transactions in which nothing happens any more: their keys, so that what comes again is known.

An INVITE of which the refusal or redirection was acknowledged, and a request other than INVITE that was answered, wait
for T4 (timers I and K of RFC 3261) for nothing but to ignore what the network brings late.  A server that redirects has
far more of these than of all others.  An INVITE that was refused unread is never more than that.  Each is a key in a
set here, and leaves with those that came when it did: later than it must by :data:`TOGETHER_S` at most.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final

from voipshift.sip.timers import T4

#: Keys that come within this time leave together.
TOGETHER_S: Final = 0.1


class Bunch:
    """Keys that leave together.

    :ivar until: when they do
    """

    __slots__ = ("keys", "until")

    def __init__(self, until: float) -> None:
        self.until: Final = until
        self.keys: Final[list[str]] = []


class Spent:
    """The keys of spent transactions.

    :param most: so many; of more those that came first are forgotten, a bunch at a time
    :ivar next: when keys leave next; infinite when there are none
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._keys: set[str] = set()
        self._bunches: deque[Bunch] = deque()
        self._last = Bunch(-math.inf)
        self.next = math.inf

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, key: str) -> bool:
        return key in self._keys

    def add(self, key: str, now: float) -> int:
        """Know a key for T4.

        :returns: how many were forgotten for it
        """
        last = self._last
        if now + T4 > last.until:
            last = self._last = Bunch(now + T4 + TOGETHER_S)
            self._bunches.append(last)
            if self.next == math.inf:
                self.next = last.until
        last.keys.append(key)
        self._keys.add(key)
        return self._forget_first() if len(self._keys) > self._most else 0

    def due(self, now: float) -> None:
        """Forget those whose time is over."""
        while self.next <= now:
            self._forget_first()

    def _forget_first(self) -> int:
        keys = self._bunches.popleft().keys
        self._keys.difference_update(keys)
        if self._bunches:
            self.next = self._bunches[0].until
        else:
            self.next = math.inf
            self._last = Bunch(-math.inf)
        return len(keys)
