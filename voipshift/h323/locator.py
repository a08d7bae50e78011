"""How a gatekeeper answers LRQ, a neighbour's question where a number is (H.225.0 section 7.13).

One for a number that a terminal or a gateway of the group takes is decided like a call; its slot waits at the node that
the answer names.  One for another number goes on to the neighbours that take it.  No socket and no clock in here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from twisted.logger import Logger

from voipshift.errors import Refused
from voipshift.h323 import ras
from voipshift.h323.addresses import text_of, user_of
from voipshift.h323.admission import LocationConfirm, LocationReject, LocationRequest
from voipshift.h323.neighbours import Neighbours, passed_on
from voipshift.h323.portal import ACCEPT, attempt_of, call_id_of
from voipshift.node import Acceptance, Address, CallAttempt

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred
    from twisted.python.failure import Failure


class Asked(Protocol):
    """An LRQ that is being worked off."""

    @property
    def source(self) -> Address: ...
    @property
    def to(self) -> Address: ...
    @property
    def number(self) -> int: ...
    def reply(self, answer: ras.Message) -> None: ...
    def leave(self) -> None: ...


class Delegation(Protocol):
    """How it, and the gatekeeper, ask who takes a call."""

    def place(self, attempt: CallAttempt) -> Deferred[Acceptance]: ...


class Locator:
    """Answers LRQ.

    :param place: this node's RAS address
    :param locate: whether a number or alias is one that the group's terminals or gateways take
    :param send: sends a datagram
    """

    def __init__(
        self,
        *,
        place: Address,
        delegation: Delegation,
        neighbours: Neighbours,
        locate: Callable[[str], Deferred[bool]],
        send: Callable[[bytes, Address], None],
        octets: Callable[[int], bytes],
    ) -> None:
        self._place = place
        self._delegation = delegation
        self._neighbours = neighbours
        self._locate = locate
        self._send = send
        self._octets = octets
        self._log = Logger(__name__)

    def find(self, asked: Asked, request: LocationRequest) -> None:
        """Where is it?"""
        called = user_of(request.destination_info)
        if not self._neighbours.knows(asked.source[0]):
            self._reject(asked, "requestDenied")
        elif not called:
            self._reject(asked, "notRegistered")
        else:
            found = self._locate(called)
            found.addCallback(self._found, asked, request, called)
            found.addErrback(self._failed, asked)

    def _found(self, ours: bool, asked: Asked, request: LocationRequest, called: str) -> None:
        if ours:
            # The SETUP of a neighbour comes in by that slot; one of somebody else, who only has to be named as the
            # asker in a datagram that nobody signs, needs a permission of its own.
            known = self._neighbours.knows(asked.to[0])
            caller = text_of(request.source_info)
            attempt = ras_attempt(request.call_identifier, self._octets, caller, called, asked.to, known)
            placed = self._delegation.place(attempt)
            placed.addCallbacks(self._located, self._no_room, callbackArgs=(asked,), errbackArgs=(asked,))
            placed.addErrback(self._failed, asked)
            return
        takers = self._neighbours.takers(called, asked.source, asked.to)
        onward = passed_on(request, asked.to)
        if not takers:
            self._reject(asked, "notRegistered")
        elif onward is None:
            self._reject(asked, "hopCountExceeded")
        else:
            asked.leave()
            octets = ras.encode(onward)
            for taker in takers:
                self._send(octets, taker)

    def _located(self, acceptance: Acceptance, asked: Asked) -> None:
        asked.reply(LocationConfirm(asked.number, acceptance.node.doors[ACCEPT], self._place))

    def _no_room(self, failure: Failure, asked: Asked) -> None:
        failure.trap(Refused)
        self._reject(asked, "resourceUnavailable")

    def _failed(self, failure: Failure, asked: Asked) -> None:
        """The chain ends here; it is our own fault, or the store's."""
        self._log.failure("a location request was not decided", failure)
        self._reject(asked, "undefinedReason")

    def _reject(self, asked: Asked, reason: str) -> None:
        asked.reply(LocationReject(asked.number, reason))


def ras_attempt(
    identifier: bytes | None, octets: Callable[[int], bytes], caller: str, called: str, client: Address, known: bool
) -> CallAttempt:
    """A call attempt of an ARQ or LRQ.

    :param identifier: its callIdentifier, which names the attempt, for the SETUP that follows has it too
    :param octets: draws the name of one without
    """
    return attempt_of(identifier or octets(16), caller, called, client, known, call_id_of(identifier))
