"""The stateful proxy of RFC 3261 section 16: it carries the calls that this node has accepted, from INVITE to BYE.

Every call is Record-Routed, so that the node sees its end.  An INVITE is carried to a gateway of the dial plan, or
passed on to the member that its Request-URI names; a request inside a dialog goes along its route; an ACK to a 2xx is
forwarded without a transaction (section 16.11).  The transactions themselves, sockets and timers are the door's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from voipshift.calls.breadth import breadth_of
from voipshift.calls.context import Branch, Errand, ResponseContext
from voipshift.calls.dialogs import Dialogs
from voipshift.calls.ends import admit, caller_of, is_behind_nat
from voipshift.calls.gateways import Gateways
from voipshift.calls.ledger import SUBSCRIBING, Ledger
from voipshift.calls.location import Target
from voipshift.calls.route import Routing, suit_strict_router
from voipshift.calls.session import MIN_SE_S, REFRESHES, Interval, IntervalTooSmall, SessionTimer
from voipshift.calls.subscription import Subscriptions
from voipshift.calls.table import Call, CallTable
from voipshift.calls.thinning import Thinning
from voipshift.calls.waiting import Lookup, Unknown, Waiting
from voipshift.calls.ways import Groups, Ways, only
from voipshift.errors import ProtocolViolation
from voipshift.node import Address
from voipshift.sip.grammar import MAGIC_COOKIE
from voipshift.sip.listeners import Listeners
from voipshift.sip.message import Request, Response
from voipshift.sip.seals import Seals
from voipshift.sip.timers import Timers
from voipshift.sip.transaction import ClientTransaction, Hop, ServerTransaction
from voipshift.sip.uri import host_port
from voipshift.sip.validation import loop_digest

if TYPE_CHECKING:
    from voipshift.calls.record import Origin

#: It makes the dialog of a subscription, and is inside one at once.
NOTIFY = "NOTIFY"
#: Max-Forwards of a request that came without one (section 16.6 item 3).
MAX_FORWARDS = 70
#: Octets of a request that may grow past what a datagram takes (1300) on its way to a member, with a Via and a lease.
LARGE = 1000


class Proxy:
    """The carrier of calls.

    :param listeners: this node's ports, as they stand in Via and Record-Route
    :param is_open: whether there is a connection to somebody
    :param table: the call table
    :param session: how this node takes part in session timers
    :param gateways: where calls go
    :param names: who knows the host names that ends of dialogs go by
    :param routing: which addresses may be sent to
    :param respond: sends a response in a server transaction
    :param tag: the To tag of a response of its own
    :param request: opens a client transaction whose responses go to the given context
    :param cancel: cancels an INVITE client transaction (section 9.1)
    :param hush: sends the request of one no more, and still hears what is answered
    :param send: sends octets without a transaction
    :param answered: told of each call that was answered, to watch whether its ends stay alive
    :param closed: told of each call that left the table
    :param consume: takes the credentials that were for this node out of a request
    :param seals: of the group
    :param thinning: what gateways say of their own overload
    :param unserved: told of each accepted call that is refused before it is in the table, with its final status
    """

    def __init__(
        self,
        *,
        listeners: Listeners,
        is_open: Callable[[Hop], bool],
        table: CallTable,
        session: SessionTimer,
        gateways: Gateways,
        names: Lookup,
        routing: Routing,
        respond: Callable[[ServerTransaction, Response], None],
        tag: Callable[[Request], str],
        request: Callable[[Request, Hop, Branch], ClientTransaction],
        cancel: Callable[[ClientTransaction], None],
        hush: Callable[[ClientTransaction], None],
        send: Callable[[bytes, Hop], None],
        answered: Callable[[Call], None],
        closed: Callable[[Call], None],
        consume: Callable[[Request], None],
        seals: Seals,
        thinning: Thinning,
        now: Callable[[], float],
        octets: Callable[[int], bytes],
        unserved: Callable[[Origin | None, int], None] = lambda origin, status: None,
    ) -> None:
        self._listeners = listeners
        self._names = frozenset(host_port(place) for place in listeners.places)
        self._table = table
        self._session = session
        self.subscriptions = Subscriptions(now)
        self._gateways = gateways
        self._ways = Ways(listeners, is_open, routing, names)
        self._waiting = Waiting(names.look_up, respond, tag)
        self.refused = gateways.refused
        self._routing = routing
        self.respond = respond
        self._request = request
        self.cancel = cancel
        self._hush = hush
        self.tag = tag
        self._send = send
        self._ledger = ledger = Ledger(
            table=table,
            subscriptions=self.subscriptions,
            session=session,
            routing=routing,
            answered=answered,
            closed=closed,
            now=now,
        )
        self.progressed = ledger.progressed
        self.succeeded = ledger.succeeded
        self.failed = ledger.failed
        self.close = ledger.close
        self._consume = consume
        self._seals = seals
        self._thinning = thinning
        self.heard = thinning.heard
        self._now = now
        self._octets = octets
        self._unserved = unserved
        self._timers: Timers[Branch] = Timers()

    # What the portal hands over.

    def carry(
        self,
        invite: ServerTransaction,
        target: str,
        hops: int,
        places: Groups = (),
        origin: Origin | None = None,
    ) -> None:
        """Carry a call that this node has accepted.

        :param invite: the transaction of its INVITE
        :param target: the original Request-URI
        :param hops: how often the attempt was shifted
        :param places: where the called user is registered, group by group, the preferred one first; without any, the
            call goes to a gateway
        :param origin: what a record of the call begins with
        :raises ProtocolViolation: no gateway takes it (:meth:`Gateways.targets`); 403, a Route leads to somebody else;
            482, it is the same call once more
        """
        request, groups = self._targets(invite, target, places)
        breadth = breadth_of(request, max(map(len, groups)))
        session = self._ask_for_session(invite, request)
        if session is None:
            self._unserved(origin, 422)
            return
        identity = (request.call_id, request.from_tag or "")
        call = self._table.get(identity)
        opens = call is None
        if call is None:
            call = Call(identity, caller_of(invite), hops, invite.source.listener, self._now())
            call.origin = origin
            self._table.open(call)
        elif not self._spirals(invite.request):
            raise ProtocolViolation("Merged Request", 482)
        call.forked = call.forked or any(len(group) > 1 for group in groups)
        self._record(invite, request, groups, call)
        errand = Errand(call, opens, breadth=breadth, loop=loop_digest(invite.request), session=session)
        self._forward(invite, request, groups, errand)

    def deliver(self, transaction: ServerTransaction, target: str, places: Groups = ()) -> None:
        """Forward a request outside any call to a user's telephones, or to a gateway: it takes no slot.

        SUBSCRIBE and REFER make dialogs, whose requests come back through this node.

        :raises ProtocolViolation: as :meth:`carry`; 503, there are too many subscriptions
        """
        request, groups = self._targets(transaction, target, places)
        breadth = breadth_of(request, max(map(len, groups)))
        dialogs, opens = None, False
        if request.method in SUBSCRIBING:
            identity = (request.call_id, request.from_tag or "")
            dialogs = self.subscriptions.find(*identity, "")
            opens = dialogs is None
            dialogs = dialogs or Dialogs(identity, caller_of(transaction))
            self.subscriptions.open(dialogs)
            self._record(transaction, request, groups, dialogs)
        errand = Errand(dialogs, opens, breadth=breadth, loop=loop_digest(transaction.request))
        self._forward(transaction, request, groups, errand)

    def pass_on(
        self,
        transaction: ServerTransaction,
        to: Address,
        uri: str | None = None,
        unreached: Callable[[], None] | None = None,
    ) -> None:
        """Pass a request on to a member, marked as decided there alone, and have no part in the call.

        Where this node alone can reach the client it stays on the way of the dialog; and where the request may grow too
        large for a datagram, so that the member would record TCP to a client that came by UDP.

        :param uri: the Request-URI that it gets, by which the member knows its lease; None for the one that it has
        :param unreached: called where the member says nothing, or cannot be connected to, in place of a 503
        """
        request = self._routing.without_ours(transaction.request)
        request.uri = request.uri if uri is None else uri
        if transaction.reliable or is_behind_nat(transaction) or len(request.octets()) > LARGE:
            way = self._ways.hop(request, Target(to), 0)
            for value in self._recorded(request, transaction.source, way.listener):
                request.prepend("Record-Route", value)
        errand = self._to_member(transaction, request)._replace(unreached=unreached)
        self._forward(transaction, request, only(to), errand)

    def check_route(self, request: Request) -> None:
        """Make sure that this node or another may carry a call along its Route.

        :raises ProtocolViolation: 403, it leads to somebody who is neither gateway nor member
        """
        self._routing.way_out(self._routing.without_ours(request), self._gateways.is_one)

    def into_flow(self, invite: ServerTransaction) -> bool:
        """Pass a member's request into the flow of a client that this node holds, and stay on its way (RFC 5626 5.2):
        its seal says that it is a member's.

        :returns: False where its Route leads into no flow
        :raises ProtocolViolation: 430, the flow is gone
        """
        flow = self._routing.flow(invite.request)
        if flow is None:
            return False
        target = self._ways.into(flow)
        request = self._routing.without_ours(invite.request)
        for value in reversed(self._recorded(request, flow, invite.source.listener)):
            request.prepend("Record-Route", value)
        self._forward(invite, request, target, self._to_member(invite, request))
        return True

    def within(self, transaction: ServerTransaction, *, waited: bool = False) -> None:
        """Forward a request of a dialog.

        :param waited: where it goes was looked up
        :raises ProtocolViolation: 481, nothing is known of such a dialog; 403, it would go to no party of it
        """
        request = self._routing.without_ours(transaction.request)
        dialogs = self._ledger.find(transaction, request)
        if dialogs is not None:
            session: Interval | None = None
            if request.method in REFRESHES:
                session = self._ask_for_session(transaction, request)
                if session is None:
                    return
            try:
                groups = self._ways.towards(request, dialogs, waited)
            except Unknown as unknown:
                self._waiting.hold(transaction, unknown.place, lambda: self.within(transaction, waited=True))
                return
            if request.method == NOTIFY and not isinstance(dialogs, Call):
                self._record(transaction, request, groups, dialogs)
            self._forward(transaction, request, groups, Errand(dialogs, session=session))
            return
        groups = self._ways.beside_the_call(request, self._routing.flow(transaction.request))
        if request.method == NOTIFY:
            self._record_beside(transaction, request, groups[0][0])
        self._forward(transaction, request, groups, Errand(to_member=True))

    def acknowledge(self, ack: Request, source: Hop, *, waited: bool = False) -> None:
        """Forward an ACK to a 2xx; one that belongs nowhere is dropped, for an ACK has no answer."""
        try:
            request = self._routing.without_ours(ack)
            call = self._table.find(request.call_id, request.from_tag or "", request.to_tag or "")
            if call is not None:
                groups: Groups = self._ways.towards(request, call, waited)
            else:
                groups = self._ways.beside_the_call(request, self._routing.flow(ack))
            if request.max_forwards == 0:
                return
            hop = self._ways.hop(request, groups[0][0], source.listener)
        except ProtocolViolation:
            return
        except Unknown as unknown:
            self._waiting.hold(None, unknown.place, lambda: self.acknowledge(ack, source, waited=True))
            return
        self._send(self._onward(request, hop.listener).octets(), hop)

    @property
    def next(self) -> float:
        """When the next timer may run out."""
        return self._timers.next

    def due(self, now: float) -> None:
        """Work off every timer that has run out."""
        for branch, timer in self._timers.due(now):
            branch.context.due(branch, timer)

    # What a response context needs.

    def attempt(self, branch: Branch, request: Request) -> ClientTransaction:
        """Send one try to a target."""
        context, target = branch.context, branch.target
        errand, to, outside = context.errand, target.address, not request.to_tag
        if errand.opens and isinstance(errand.dialogs, Call):
            errand.dialogs.gateway = to
        if target.uri is not None:
            request.uri = target.uri
        for value in reversed(target.route):
            request.prepend("Route", value)
        if target.flow is not None:
            holder = f"<sip:{host_port(to)};lr>"
            request.prepend("Route", self._seals.route(holder, to, target.flow, request))
        listener = context.server.source.listener
        marked = errand.to_member and outside and target.listener is None
        if marked:
            listener = 0  # the address by which members know this node
        hop = self._ways.hop(request, target, listener)
        if hop.listener != listener and errand.dialogs is not None and (outside or request.method == NOTIFY):
            # The far end comes back by another way than the near end (RFC 5658 section 4).
            request.prepend("Record-Route", self._listeners.record(hop.listener, secure=_is_secure(request)))
        offer = self._thinning.announcement(to, context)
        return self._request(self._onward(request, hop.listener, errand.loop, offer, marked=marked), hop, branch)

    def silent(self, branch: Branch) -> None:
        """A gateway did not answer.  It gets the request no more: one that comes back must not ring for calls that have
        gone elsewhere.
        """
        self._gateways.silent(branch.target)
        self.hush(branch)

    def hush(self, branch: Branch) -> None:
        """Send the request of a branch no more."""
        if branch.client is not None:
            self._hush(branch.client)

    def respond_late(self, server: ServerTransaction, response: Response) -> None:
        """Send a 2xx that comes after another final response: that response's transaction has no use for it."""
        self._send(response.octets(), server.destination)

    def start(self, branch: Branch, timer: str, duration_s: float) -> None:
        """Start a timer of a branch."""
        self._timers.start(branch, timer, duration_s, self._now())

    def stop(self, branch: Branch) -> None:
        """Stop all timers of a branch."""
        self._timers.stop_all(branch)

    # The parts.

    def _forward(self, server: ServerTransaction, request: Request, groups: Groups, errand: Errand) -> None:
        context = ResponseContext(self, server, request, groups, errand)
        server.user = context
        context.begin()

    def _targets(self, server: ServerTransaction, target: str, places: Groups) -> tuple[Request, Groups]:
        """A request from outside a dialog as it goes on, and where to (section 16.5)."""
        request = self._routing.without_ours(server.request)
        request.uri = target
        routed = self._routed(request) if request.has("Route") else None
        if routed is not None:
            return request, routed
        return request, places or self._thinning.passing(server, self._gateways.targets(request))

    def _routed(self, request: Request) -> Groups | None:
        """Where a Route leads to that is not this node's; None without one.

        :raises ProtocolViolation: 403, to somebody who is neither gateway nor member
        """
        address = self._routing.way_out(request, self._gateways.is_one)
        return self._gateways.along(request.values("Route")) or (None if address is None else only(address))

    def _record(self, server: ServerTransaction, request: Request, groups: Groups, dialogs: Dialogs) -> None:
        """Stay in the route of the dialogs that a request opens, and let their requests go to those who are named."""
        dialogs.admit(*[each.address for group in groups for each in group])
        admit(dialogs, request)
        request.prepend("Record-Route", self._listeners.record(server.source.listener, secure=_is_secure(request)))

    def _record_beside(self, server: ServerTransaction, request: Request, target: Target) -> None:
        """Stay in the route of the dialog that a NOTIFY makes (RFC 6665 section 4.3), between a client's flow and a
        member.
        """
        if target.listener is not None:
            flow = Hop(*target.address, target.listener)
            values = self._recorded(request, flow, server.source.listener)[::-1]
        else:
            values = self._recorded(request, server.source, self._ways.hop(request, target, 0).listener)
        for value in values:
            request.prepend("Record-Route", value)

    def _to_member(self, server: ServerTransaction, request: Request) -> Errand:
        """A request from outside a dialog that goes on within the group."""
        return Errand(to_member=True, breadth=breadth_of(request), loop=loop_digest(server.request))

    def _ask_for_session(self, server: ServerTransaction, request: Request) -> Interval | None:
        """The session interval that a request asks for as it goes on; None where it was refused with 422."""
        try:
            return self._session.requested(request)
        except IntervalTooSmall as small:
            fields = [("Min-SE", str(MIN_SE_S))]
            tag = self.tag(server.request)
            self.respond(server, server.request.response(small.status, to_tag=tag, fields=fields))
            return None

    def _recorded(self, request: Request, flow: Hop, listener: int) -> list[str]:
        """What this node records of its two sides: a client that is reached by a flow, and from there the others.

        :param listener: by which the others reach this node
        """
        secure = _is_secure(request)
        record, place = self._listeners.record(listener, secure=secure), self._listeners.places[listener]
        into = self._seals.record(record, place, flow, request)
        if flow.listener == listener:
            return [into]
        return [self._listeners.record(flow.listener, secure=secure), into]

    def _onward(
        self, request: Request, listener: int, loop: str = "", offer: str = "", *, marked: bool = False
    ) -> Request:
        """The request as it leaves: Max-Forwards one less, a Via of ours on top (section 16.6 items 3, 6 and 8)."""
        left = request.max_forwards
        request.set("Max-Forwards", str(MAX_FORWARDS if left is None else left - 1))
        if request.has("Proxy-Authorization"):
            self._consume(request)
        if request.has("Route"):
            suit_strict_router(request)
        branch = f"{MAGIC_COOKIE}{self._octets(8).hex()}{loop_digest(request)}{loop}"
        said = f"{branch};{self._seals.mark(request, branch)}" if marked else branch
        request.push_via(self._listeners.via(listener, said + offer), branch)
        return request

    def _spirals(self, request: Request) -> bool:
        """Whether an INVITE has been here before, and was given another Request-URI or Route since."""
        return any(via.sent_by in self._names for via in request.vias)


def _is_secure(request: Request) -> bool:
    return request.uri[:5].lower() == "sips:"
