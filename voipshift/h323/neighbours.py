"""The gatekeepers of others that ask this one where a number is (H.225.0 section 7.13), and are asked in turn.

They are listed by the operator; nobody else's LRQ is looked at.  One that is for nobody here goes on to those that take
its number, while its hopCount lasts, with the asker's replyAddress and number: who knows answers the asker straight.
Which LRQs came before is the gatekeeper's memory (by the asker and its number), so that one which comes back by a
circle ends there.  Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from voipshift.calls.dialplan import DialPlan, Gateway
from voipshift.h323.admission import LocationRequest
from voipshift.node import Address


class Neighbour(NamedTuple):
    """Another gatekeeper.

    :ivar address: its RAS
    :ivar prefixes: the beginnings of the numbers that it may be asked about; the empty one is all
    :ivar resources: it wants to hear how many calls this node can take
    """

    address: Address
    prefixes: tuple[str, ...] = ()
    resources: bool = False


class Neighbours:
    """All of them.

    :ivar wanting_resources: those that want to hear how many calls this node can take
    """

    def __init__(self, neighbours: Iterable[Neighbour] = ()) -> None:
        listed = tuple(neighbours)
        self._hosts = frozenset(each.address[0] for each in listed)
        self._plan = DialPlan(Gateway(each.address, each.prefixes) for each in listed)
        self.wanting_resources = tuple(each.address for each in listed if each.resources)

    def knows(self, host: str) -> bool:
        """Whether a neighbour is at an address."""
        return host in self._hosts

    def takers(self, number: str, *but: Address) -> tuple[Address, ...]:
        """Whom to ask about a number, the longest prefix first.

        :param but: who asked
        """
        return tuple(address for address in self._plan.addresses(number) if address not in but)


def passed_on(request: LocationRequest, asker: Address) -> LocationRequest | None:
    """An LRQ as it goes on; None where it has come far enough, or does not say how far it may go."""
    if request.hop_count is None or request.hop_count <= 1:
        return None
    return replace(request, hop_count=request.hop_count - 1, reply_address=asker)
