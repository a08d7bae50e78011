"""Requests that wait until DNS has said where a host name leads, each in its transaction; nobody else waits.

A request comes here when its way is not known, and begins anew when it is, or when nobody says: then it goes where its
end was seen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from voipshift.errors import ProtocolViolation
from voipshift.sip.locate import Place, Try
from voipshift.sip.message import Request, Response
from voipshift.sip.transaction import ServerTransaction

#: Requests that wait at once; more go where their end was seen.
MAX_WAITING = 1000


class Unknown(Exception):
    """It must be looked up first where a request goes.

    :ivar place: what is known of it
    """

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.place = place


class Lookup(Protocol):
    """Who knows host names (:class:`voipshift.sip.names.Names`)."""

    def known(self, place: Place) -> tuple[Try, ...] | None: ...
    def look_up(self, place: Place) -> Deferred[tuple[Try, ...]]: ...


class Pending:
    """A request that waits; an INVITE can be cancelled meanwhile."""

    __slots__ = ("_found",)

    def __init__(self, found: Deferred[tuple[Try, ...]]) -> None:
        self._found = found

    def cancelled(self, invite: ServerTransaction) -> None:
        """The client sent CANCEL."""
        self._found.cancel()


class Waiting:
    """All requests that wait.

    :param look_up: looks a name up; it never fails
    :param respond: sends a response in a server transaction
    :param tag: the To tag of a response of its own
    """

    def __init__(
        self,
        look_up: Callable[[Place], Deferred[tuple[Try, ...]]],
        respond: Callable[[ServerTransaction, Response], None],
        tag: Callable[[Request], str],
    ) -> None:
        self._look_up = look_up
        self._respond = respond
        self._tag = tag
        self._number = 0
        self._log = Logger(__name__)

    def __len__(self) -> int:
        return self._number

    def hold(self, server: ServerTransaction | None, place: Place, again: Callable[[], None]) -> None:
        """Begin a request anew when a name has been looked up.

        :param server: its transaction; None for an ACK
        :raises ProtocolViolation: what beginning anew raises, where nothing was waited for
        """
        if self._number >= MAX_WAITING:
            again()
            return
        self._number += 1
        found = self._look_up(place)
        if server is not None:
            server.user = Pending(found)
        found.addBoth(self._found, server)
        found.addCallback(lambda _: again())
        found.addErrback(self._failed, server)

    def _found(self, result: object, server: ServerTransaction | None) -> object:
        self._number -= 1
        if server is not None:
            server.user = None
        return result

    def _failed(self, failure: Failure, server: ServerTransaction | None) -> None:
        """It was cancelled, or must not go there; or it is our own fault."""
        status, reason = 500, None
        if failure.check(CancelledError):
            status = 487
        elif isinstance(failure.value, ProtocolViolation):
            status, reason = failure.value.status, failure.value.reason
        else:
            self._log.failure("a request was not forwarded after a look-up", failure)
        if server is not None:
            request = server.request
            self._respond(server, request.response(status, reason, to_tag=self._tag(request)))
