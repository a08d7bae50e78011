"""The final responses that a node gives by itself, as user agent server and redirect server (RFC 3261 section 8.2).

A refusal, and a stranger's redirection, is not repeated unless the client asks again: a forged source gets it once.
When to come back is told only to the client itself.  To a stranger whose request is short nothing is said that could
be left out (:mod:`voipshift.sip.gain`).  No socket and no clock in here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from voipshift.sip.gain import UNBOUNDED, fitting
from voipshift.sip.message import Request, Response
from voipshift.sip.transaction import ServerTransaction

#: What the Retry-After of a 503 is drawn from: 5 s and half of it to either side, in the whole seconds that the field
#: has, so that clients do not come back all at once.
RETRY_AFTER_S = ("3", "4", "5", "6", "7")


class Answers:
    """What a node answers.

    :param respond: sends a response in a server transaction
    :param refuse: sends one that is not repeated unless the client asks again
    :param keep: takes over a response that another node has sent
    :param tag: the To tag of a response to a request
    :param draw: a number from 0 to 1
    :ivar counts: final responses, by status
    """

    def __init__(
        self,
        *,
        respond: Callable[[ServerTransaction, Response], None],
        refuse: Callable[[ServerTransaction, Response], None],
        keep: Callable[[ServerTransaction, Response], None],
        tag: Callable[[Request], str],
        draw: Callable[[], float],
    ) -> None:
        self._respond = respond
        self._refuse = refuse
        self._keep = keep
        self._tag = tag
        self._draw = draw
        self.counts: defaultdict[int, int] = defaultdict(int)

    def answer(
        self,
        transaction: ServerTransaction,
        status: int,
        fields: tuple[tuple[str, str], ...] = (),
        reason: str | None = None,
    ) -> None:
        """Answer a request, for good."""
        self.counts[status] += 1
        request = transaction.request
        # A redirection says nothing without its fields.
        redirects = 300 <= status < 400
        if fields and not redirects:
            response = fitting(transaction, status, reason, self._tag(request), fields)
        else:
            response = request.response(status, reason, to_tag=self._tag(request), fields=fields)
        if status < 300 or (redirects and transaction.most >= UNBOUNDED):
            self._respond(transaction, response)
        else:
            self._refuse(transaction, response)

    def take_over(self, invite: ServerTransaction, status: int, fields: tuple[tuple[str, str], ...]) -> None:
        """Answer an INVITE, for good, with what another node has sent already."""
        self.counts[status] += 1
        request = invite.request
        self._keep(invite, request.response(status, to_tag=self._tag(request), fields=fields))

    def refuse(self, transaction: ServerTransaction) -> None:
        """503; the time to wait is told only to the client itself, for a proxy would keep all its clients away."""
        fields: tuple[tuple[str, str], ...] = ()
        if transaction.request.has_one_via:
            fields = (("Retry-After", RETRY_AFTER_S[int(len(RETRY_AFTER_S) * self._draw())]),)
        self.answer(transaction, 503, fields)
