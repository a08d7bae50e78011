"""What the node keeps of dialogs, and what each response means to it: calls that are answered, refreshed, left.

The proxy forwards; this is where it looks up whom a request inside a dialog belongs to, and where it writes down what
came of one.  Whatever happens to its branches, a call is opened once and closed once.  Pure.
"""

from __future__ import annotations

from collections.abc import Callable

from voipshift.calls.context import Branch, ResponseContext
from voipshift.calls.dialogs import Dialogs
from voipshift.calls.ends import admit, callee_of, caller_of, refresh
from voipshift.calls.route import Routing
from voipshift.calls.rtpstatistics import octets_of
from voipshift.calls.session import REFRESHES, Interval, SessionTimer
from voipshift.calls.subscription import Subscriptions
from voipshift.calls.table import Call, CallTable
from voipshift.errors import ProtocolViolation
from voipshift.sip.message import Request, Response
from voipshift.sip.transaction import ServerTransaction

#: Requests that make a dialog of a subscription (RFC 6665, RFC 3515).
SUBSCRIBING = frozenset(("SUBSCRIBE", "REFER"))


class Ledger:
    """Calls and subscriptions, as the responses to their requests change them.

    :param answered: told of each call that was answered, to watch whether its ends stay alive
    :param closed: told of each call that left the table
    """

    def __init__(
        self,
        *,
        table: CallTable,
        subscriptions: Subscriptions,
        session: SessionTimer,
        routing: Routing,
        answered: Callable[[Call], None],
        closed: Callable[[Call], None],
        now: Callable[[], float],
    ) -> None:
        self._table = table
        self._subscriptions = subscriptions
        self._session = session
        self._routing = routing
        self._answered = answered
        self._closed = closed
        self._now = now

    def find(self, server: ServerTransaction, request: Request) -> Dialogs | None:
        """What a request inside a dialog belongs to: a call, or a subscription, which may outlive its call."""
        tags = (request.call_id, request.from_tag or "", request.to_tag or "")
        call = self._table.find(*tags)
        if (call is not None and request.method != "NOTIFY") or not len(self._subscriptions):
            return call
        subscription = self._subscriptions.find(*tags)
        if subscription is not None and request.method == "NOTIFY":
            self._subscriptions.last(subscription, request)
            if (server.source.host, server.source.port) in subscription.parties and tags[1] != subscription.identity[1]:
                subscription.meet(tags[1], caller_of(server))
                admit(subscription, request)
        return call or subscription

    def progressed(self, branch: Branch, response: Response) -> None:
        """A provisional response with a tag makes an early dialog: its requests can go to that callee."""
        call = branch.context.errand.dialogs
        if not isinstance(call, Call):
            return
        if call.alerted is None:
            call.alerted = self._now()
        if call.answered is None and response.to_tag and response.has("Contact"):
            call.ring(callee_of(response, branch, call, self._routing), response.to_tag)

    def succeeded(self, branch: Branch, response: Response) -> None:
        """A 2xx, which is completed where the caller alone knows session timers."""
        context = branch.context
        dialogs, request, session = context.errand.dialogs, context.request, context.errand.session
        if dialogs is None:
            return
        if request.method in REFRESHES:
            if session is not None:
                self._agree(dialogs, session, response)
            if request.to_tag:
                refresh(dialogs, request, response)
            elif isinstance(dialogs, Call):
                self._answer(dialogs, response, branch)
        elif request.method == "BYE":
            if isinstance(dialogs, Call) and dialogs.origin is not None:
                dialogs.octets = octets_of(request, response)
            self._left(dialogs, request)
        elif request.method in SUBSCRIBING:
            self._subscribed(dialogs, branch, response)

    def failed(self, context: ResponseContext, response: Response) -> None:
        """Another final response."""
        dialogs, request = context.errand.dialogs, context.request
        if dialogs is None:
            return
        if context.errand.opens:
            if isinstance(dialogs, Call):
                dialogs.status = response.status
                self.close(dialogs)
            else:
                self._subscriptions.close(dialogs.identity)
        elif request.method == "BYE" and response.status in (408, 481):
            self._left(dialogs, request)

    def close(self, call: Call) -> None:
        """Take a call out of the table, once."""
        if self._table.close(call):
            self._closed(call)

    def _answer(self, call: Call, response: Response, branch: Branch) -> None:
        """A 2xx to the INVITE of a call: the first one, a retransmission, or another branch of a fork."""
        first = call.answered is None
        if not call.answer(callee_of(response, branch, call, self._routing), response.to_tag or "", self._now()):
            return
        call.status = response.status
        if first and call.callee is not None:
            call.gateway = call.callee.address
        if call.identity not in self._table:  # it was over, and is answered after all by a try that was given up
            self._table.open(call)
            first = True
        if first and self._table.get(call.identity) is call:
            self._answered(call)

    def _agree(self, dialogs: Dialogs, asked: Interval, response: Response) -> None:
        seconds = self._session.agreed(asked, response)
        if isinstance(dialogs, Call):
            dialogs.session_until = None if seconds is None else self._now() + seconds

    def _left(self, dialogs: Dialogs, request: Request) -> None:
        """A dialog was ended, by either end."""
        if isinstance(dialogs, Call):
            sender = request.from_tag or ""
            callee = (request.to_tag or "") if sender == dialogs.identity[1] else sender
            if dialogs.leave(callee):
                self.close(dialogs)

    def _subscribed(self, dialogs: Dialogs, branch: Branch, response: Response) -> None:
        """A SUBSCRIBE or REFER was accepted; one inside a call may outlive it."""
        kept = dialogs
        if isinstance(dialogs, Call):
            kept = self._subscriptions.find(*dialogs.identity, "") or dialogs.copy()
            try:
                self._subscriptions.open(kept)
            except ProtocolViolation:  # its NOTIFY passes as long as the call stands
                return
        elif response.to_tag and not branch.context.request.to_tag:
            kept.callees.pop(response.to_tag, None)  # what its NOTIFY has shown is less
            kept.meet(response.to_tag, callee_of(response, branch, kept, self._routing))
        self._subscriptions.last(kept, response)
