"""Sending an overloaded gateway less: the client's side of RFC 7339 with the algorithm "loss" (sections 5 and 6).

What a gateway tells holds for requests of every kind, yet only those from outside a dialog are left out, calls above
all: a request within a dialog ends a call more often than not, and emergencies are what room is made for.  So of the
calls a larger part is left out than it told, as much larger as the others are many (section 6.3); how many they are is
counted while a gateway asks for less, and forgotten as it goes.

A call that is left out goes to the next gateway for its number.  Pure: the random generator is passed in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from voipshift.calls.context import ResponseContext
from voipshift.calls.location import Target
from voipshift.errors import ProtocolViolation
from voipshift.node import Address
from voipshift.sip.message import Response
from voipshift.sip.overload import ANNOUNCEMENT, feedback
from voipshift.sip.transaction import ClientTransaction, ServerTransaction

#: Requests of a gateway after which what was counted weighs half.
HALF_LIFE = 200


#: Gateways that a call may go to, one after the other.
Gateways = Sequence[tuple[Target]]


class _Gateway:
    """What one gateway told, and what was meant for it since: requests from outside dialogs, and others."""

    __slots__ = ("calls", "others", "percent", "sequence", "until")

    def __init__(self) -> None:
        self.sequence = -1.0
        self.percent = 0
        self.until = 0.0
        self.calls = 0.0
        self.others = 0.0

    def count(self, *, outside: bool) -> None:
        if outside:
            self.calls += 1.0
        else:
            self.others += 1.0
        if self.calls + self.others >= HALF_LIFE:
            self.calls /= 2.0
            self.others /= 2.0


class Thinning:
    """What the gateways told.

    :param is_asked: whether somebody at an address is asked to tell; nobody else is listened to
    :param exempt: whether a call is never left out
    :ivar left_out: calls that were not sent to the gateway that came first
    """

    def __init__(
        self,
        is_asked: Callable[[Address], bool],
        *,
        exempt: Callable[[ServerTransaction], bool],
        now: Callable[[], float],
        random: Random,
    ) -> None:
        self._is_asked = is_asked
        self._exempt = exempt
        self._now = now
        self._random = random
        self._told: dict[Address, _Gateway] = {}
        self.left_out = 0

    def passing(self, invite: ServerTransaction, gateways: Gateways) -> Gateways:
        """Those of the gateways, in their order, that a call may go to.

        :raises ProtocolViolation: 503, it may go to none of them (section 5.7: without Retry-After)
        """
        if not self._told or self._exempt(invite):
            return gateways
        now = self._now()
        passing = [gateway for gateway in gateways if self._passes(gateway[0].address, now)]
        if not passing:
            raise ProtocolViolation("Gateways Overloaded", 503)
        return passing

    def announcement(self, gateway: Address, context: ResponseContext) -> str:
        """What goes into our Via of a request that is about to go to somebody; nothing to one that is no gateway."""
        if not self._is_asked(gateway):
            return ""
        known = self._told.get(gateway)
        if known is not None and self._now() < known.until:
            known.count(outside=not context.request.to_tag and not self._exempt(context.server))
        return ANNOUNCEMENT

    def heard(self, client: ClientTransaction, response: Response) -> None:
        """A response came, which has our Via on top."""
        if not response.has_via_parameter("oc-seq"):
            return
        gateway = client.destination.place
        told = feedback(response.via)
        if told is None or not self._is_asked(gateway):
            return
        known = self._told.get(gateway)
        if known is None:
            if told.percent == 0:
                return
            known = self._told[gateway] = _Gateway()
        if told.sequence > known.sequence:
            known.sequence = told.sequence
            known.percent = told.percent
            known.until = self._now() + told.validity_s

    def _passes(self, gateway: Address, now: float) -> bool:
        known = self._told.get(gateway)
        if known is None or now >= known.until or not known.percent:
            return True
        calls = known.calls + 1.0
        too_many = known.percent / 100.0 * (calls + known.others) / calls
        if self._random.random() >= too_many:
            return True
        known.count(outside=True)
        self.left_out += 1
        return False
