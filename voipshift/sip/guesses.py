"""How often passwords may be guessed: by one name from one address a few times, and then slowly.

Whoever guesses more hears nothing.  That slows guessing down, and no less a telephone with an old password: some send
it again as soon as they are refused, for ever, and would use up what their address may send, for all the others in
their office.  Pure.
"""

from __future__ import annotations

from collections import OrderedDict

#: Wrong passwords that are answered at once: somebody mistypes his.
BURST = 5.0
#: After that, one in so many seconds.
INTERVAL_S = 10.0
#: Pairs of address and name that are kept; the one that guessed the longest ago is forgotten first.
MAX_GUESSERS = 10_000
#: What tells two names apart here.
MAX_NAME = 64


class Guesses:
    """Who has guessed how often."""

    def __init__(self) -> None:
        #: Address and name -> guesses that are left, as of when.
        self._left: OrderedDict[tuple[str, str], tuple[float, float]] = OrderedDict()

    def may(self, host: str, username: str, now: float) -> bool:
        """Whether a password is looked at."""
        return self._left_of((host, username[:MAX_NAME]), now) >= 1.0

    def wrong(self, host: str, username: str, now: float) -> None:
        """It was wrong."""
        guesser = (host, username[:MAX_NAME])
        self._left[guesser] = (self._left_of(guesser, now) - 1.0, now)
        self._left.move_to_end(guesser)
        if len(self._left) > MAX_GUESSERS:
            self._left.popitem(last=False)

    def _left_of(self, guesser: tuple[str, str], now: float) -> float:
        left, then = self._left.get(guesser, (BURST, now))
        return min(BURST, left + (now - then) / INTERVAL_S)
