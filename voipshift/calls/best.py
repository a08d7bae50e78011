"""The best of the final responses of a fork (RFC 3261 section 16.7 items 6 and 7).

Whoever is answered with one of many failures should learn from it what to do next: a 6xx ends all, and of the others
the lowest class wins; in it what says how to ask again goes before what says no, and that before mere silence.  Who
asks for credentials is not passed over for another one who does: all challenges go with the 401 or 407.  Pure.
"""

from __future__ import annotations

from voipshift.sip.fields import Field
from voipshift.sip.message import Response

#: Challenges that go with one response: more would make it longer than a datagram, and no client has the answers.
MAX_CHALLENGES = 20
#: Responses that say what another request should have (item 6).
_INSTRUCTIVE = frozenset((401, 407, 415, 420, 484))
#: Responses that say nothing of the callee: he was silent, or was not asked any more.
_EMPTY = frozenset((408, 487, 503))
_CHALLENGES = ("www-authenticate", "proxy-authenticate")


class Best:
    """The best response so far.

    :ivar response: that one
    """

    __slots__ = ("_challenges", "response")

    def __init__(self, response: Response) -> None:
        self.response = response
        self._challenges: list[tuple[Response, list[Field]]] = []
        self._note(response)

    def weigh(self, response: Response) -> None:
        """One more final response."""
        self._note(response)
        if _rank(response.status) < _rank(self.response.status):
            self.response = response

    def whole(self) -> Response:
        """The best response, with everybody's challenges where it is one."""
        best = self.response
        if best.status in (401, 407):
            said = [line for other, lines in self._challenges if other is not best for line in lines]
            for _, line in said[:MAX_CHALLENGES]:
                name, _, value = line.partition(":")
                best.add(name, value.strip(" \t"))
        return best

    def _note(self, response: Response) -> None:
        if response.status in (401, 407):
            lines = [field for field in response.fields if field[0] in _CHALLENGES and "\r" not in field[1]]
            self._challenges.append((response, lines))


def _rank(status: int) -> tuple[bool, int, int]:
    """How good a final response is, the least first."""
    return status < 600, status // 100, 0 if status in _INSTRUCTIVE else 2 if status in _EMPTY else 1
