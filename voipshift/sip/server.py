"""The SIP door: messages in and out, one timer, and in between the transaction layer and its users.

It feeds what arrives to :class:`~voipshift.sip.layer.TransactionLayer`, performs the effects that come back, and hands
the events among them on: a new request to the portal, a response to whoever sent the request, an ACK to the proxy.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Protocol

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from voipshift.alarm import Alarm
from voipshift.errors import ProtocolViolation
from voipshift.node import Address
from voipshift.sip import stun
from voipshift.sip.effects import Acknowledged, Cancelled, Effect, Ended, Requested, Responded, Send, TimedOut
from voipshift.sip.gain import MOST_GAIN, UNBOUNDED
from voipshift.sip.layer import TransactionLayer
from voipshift.sip.listeners import Listeners
from voipshift.sip.message import MalformedRequest, Request, Response, parse
from voipshift.sip.overload import Control
from voipshift.sip.plain import parse_plain
from voipshift.sip.refusal import Refusals, opens_call
from voipshift.sip.transaction import ClientTransaction, Hop, ServerTransaction

#: What keeps a NAT's binding open and says nothing (RFC 5626 section 3.5.1, and what older phones send).
KEEP_ALIVES = frozenset((b"", b"\r\n", b"\r\n\r\n", b"\0", b"\0\0\0\0"))
#: Octets of a request that is sent by UDP: less than the path's MTU, which nobody knows (18.1.1).
MAX_DATAGRAM_REQUEST = 1300
#: How long an address that refused TCP gets large requests by UDP at once, and how many such addresses are remembered.
UDP_ONLY_S = 600.0
MAX_UDP_ONLY = 1000


def _everybody(host: str, now: float) -> bool:
    """No limit to what an address may send."""
    return True


def _nobody(host: str) -> bool:
    """No address that is trusted."""
    return False


class Timetable(Protocol):
    """Somebody whose deadlines this door keeps."""

    def due(self, now: float) -> None: ...
    @property
    def next(self) -> float: ...


class Correspondent(Protocol):
    """Who sent a request, and waits for what comes back."""

    def responded(self, client: ClientTransaction, response: Response) -> None: ...
    def timed_out(self, client: ClientTransaction) -> None: ...


class Enlarged:
    """A request that went by TCP only because it was too large for a datagram, and who sent it (18.1.1).

    :ivar plain: the way that it would have gone by UDP
    """

    def __init__(self, correspondent: Correspondent, plain: Hop) -> None:
        self.plain = plain
        self.responded = correspondent.responded
        self.timed_out = correspondent.timed_out


class SipServer:
    """The SIP side of a node, on any number of ports.

    :param clock: the reactor's time
    :param force_rport: answer to where a request came from, whatever its Via says
    :param listeners: its ports as its messages name them
    :ivar dropped: what came and could not be answered, by what was wrong with it
    """

    def __init__(self, *, clock: IReactorTime, force_rport: bool, listeners: Listeners) -> None:
        self.layer = TransactionLayer(random=secrets.token_hex, force_rport=force_rport)
        self.dropped: Counter[str] = Counter()
        self._drops_new_calls = False
        self._now = clock.seconds
        self._alarm = Alarm(clock, self._due)
        self._is_working = False
        self._listeners = listeners
        self._reliable = listeners.reliable
        self._senders: list[Callable[[bytes, Address], None]] = []
        #: Addresses that refused TCP, and until when they are not asked again.
        self._udp_only: dict[Address, float] = {}
        self._timetables: tuple[Timetable, ...] = ()
        self._refusals: Refusals | None = None
        self._control: Control | None = None
        self._log = Logger(__name__)

    def serve(
        self,
        requested: Callable[[ServerTransaction], None],
        acknowledged: Callable[[Request, Hop], None],
        timetables: Iterable[Timetable],
        admits: Callable[[str, float], bool] = _everybody,
        refusals: Refusals | None = None,
        control: Control | None = None,
        trusts: Callable[[str], bool] = _nobody,
    ) -> None:
        """Say who uses the transactions.

        :param requested: told of each new request
        :param acknowledged: told of each ACK that belongs to no transaction, and where it came from
        :param timetables: whose deadlines are kept beside the transactions' own
        :param admits: whether one more message of an address is looked at now
        :param refusals: who refuses calls unread while the group is full
        :param control: who tells clients that offer it how much less they should send
        :param trusts: whether an address is no stranger's, whose datagrams are answered at any length
        """
        self._requested = requested
        self._acknowledged = acknowledged
        self._timetables = tuple(timetables)
        self._admits = admits
        self._refusals = refusals
        self._control = control
        self._trusts = trusts

    def add_port(self, send: Callable[[bytes, Address], None]) -> None:
        """Add the next listener: how messages leave by its port."""
        self._senders.append(send)

    def stop(self) -> None:
        """Send and expect nothing more."""
        self._alarm.stop()
        self._senders = [_nowhere for _ in self._senders]

    def drop_new_calls(self, drop: bool) -> None:
        """Leave INVITEs that open calls unanswered, or do so no more: this node is so late that nobody waits for it.

        What belongs to a call under way is worked off in any case, for it ends calls.
        """
        self._drops_new_calls = drop

    def received(self, listener: int, octets: bytes, address: Address) -> None:
        """A datagram, or a message of a stream, came in by a listener's port."""
        now = self._now()
        if not self._admits(address[0], now):
            self.dropped["more than one address may send"] += 1
            return
        if self._drops_new_calls and opens_call(octets):
            self.dropped["too late for a new call"] += 1
            return
        refusals = self._refusals
        if refusals is not None and refusals.open and self._refused_unread(refusals, listener, octets, address, now):
            return
        if octets.startswith(b"ACK "):
            absorbed = self.layer.absorb(octets, now)
            if absorbed is not None:
                self._perform(absorbed)
                if self.layer.next < self._alarm.at:  # nobody else has anything to do with it
                    self.keep_time()
                return
        source = Hop(address[0], address[1], listener)
        reliable = self._reliable[listener]
        most = UNBOUNDED if reliable or self._trusts(address[0]) else MOST_GAIN * len(octets)
        try:
            message = parse_plain(octets) or parse(octets)
            if isinstance(message, Request):
                effects = self.layer.receive_request(message, source, now, reliable=reliable, most=most)
            else:
                effects = self.layer.receive_response(message, source, now)
        except MalformedRequest as malformed:
            self.dropped[malformed.reason] += 1
            effects = self.layer.answer_statelessly(
                malformed.request, source, malformed.status, malformed.reason, reliable=reliable, most=most
            )
        except ProtocolViolation as violation:
            self._not_sip(listener, octets, address, violation.reason)
            return
        self._is_working = True
        try:
            self._perform(effects)
        finally:
            self._is_working = False
        self.keep_time()

    def undelivered(self, listener: int, octets: bytes) -> None:
        """No connection could be opened for a message that was to leave by a listener: a request of ours is sent by
        UDP after all, if it was only too large for that, or it has failed; a response is lost.
        """
        message = parse(octets)
        transaction = self.layer.client_of(message) if isinstance(message, Request) else None
        if transaction is None:
            return
        correspondent = transaction.user
        if isinstance(correspondent, Enlarged) and self._reliable[transaction.destination.listener]:
            self._note_udp_only(correspondent.plain.place)
            self._perform(self._send_by(transaction, correspondent.plain))
        else:
            self._perform(self.layer.undeliverable(transaction, self._now()))
        self.keep_time()

    # What the transactions' users do.

    def respond(self, transaction: ServerTransaction, response: Response) -> None:
        """Send a response in a server transaction."""
        if self._control is not None:
            self._control.tell(response, transaction.most)
        self._perform(self.layer.respond(transaction, response, self._now()))
        self.keep_time()

    def keep(self, transaction: ServerTransaction, response: Response) -> None:
        """Take over a response to an INVITE that another node has sent."""
        self._perform(self.layer.keep(transaction, response, self._now()))
        self.keep_time()

    def refuse(self, transaction: ServerTransaction, response: Response) -> None:
        """Send a final response of the node's own that is not repeated unless the client asks again."""
        if response.status == 503 and self._refusals is not None:
            self._refusals.open = True
        if self._control is not None:
            self._control.tell(response, transaction.most)
        self._perform(self.layer.respond(transaction, response, self._now(), repeat=False))
        self.keep_time()

    def request(self, request: Request, to: Hop, correspondent: Correspondent) -> ClientTransaction:
        """Send a request in a client transaction of its own; its responses go to the correspondent."""
        transaction, effects = self.layer.request(request, to, self._now(), reliable=self._reliable[to.listener])
        transaction.user = correspondent
        if len(transaction.sent or b"") > MAX_DATAGRAM_REQUEST:
            larger = self._listeners.larger(to)
            if larger is not None and self._udp_only.get(to.place, 0.0) <= self._now():
                transaction.user = Enlarged(correspondent, to)
                effects = self._send_by(transaction, larger)
        self._perform(effects)
        self.keep_time()
        return transaction

    def cancel(self, transaction: ClientTransaction) -> None:
        """Cancel an INVITE, as soon as it has had a provisional response (section 9.1)."""
        self._perform(self.layer.cancel(transaction, self._now()))
        self.keep_time()

    def hush(self, transaction: ClientTransaction) -> None:
        """Send a request no more; what is answered to it is still heard, until its transaction ends."""
        self.layer.hush(transaction, self._now())
        self.keep_time()

    def send(self, octets: bytes, to: Hop) -> None:
        """Send octets without a transaction."""
        self._senders[to.listener](octets, (to.host, to.port))

    # The parts.

    def _send_by(self, transaction: ClientTransaction, hop: Hop) -> list[Effect]:
        """Send a request by another listener, which its Via must name."""
        request = transaction.request
        via = self._listeners.via_again(request.via, hop.listener)
        request.remove_first_value("Via")
        request.prepend("Via", via)
        return self.layer.readdress(transaction, hop, self._now(), reliable=self._reliable[hop.listener])

    def _refused_unread(self, refusals: Refusals, listener: int, octets: bytes, address: Address, now: float) -> bool:
        """Whether a message was an INVITE that is refused without being read, or the ACK of one that was."""
        if octets.startswith(b"INVITE "):
            refusal = refusals.answer(octets, address, listener, now, reliable=self._reliable[listener])
            if refusal is None:
                return False
            self._senders[listener](refusal, address)
            return True
        return octets.startswith(b"ACK ") and refusals.acknowledged(octets)

    def _note_udp_only(self, address: Address) -> None:
        """Somebody refuses TCP, or a firewall is silent for him: the next large request does not wait for that."""
        if len(self._udp_only) >= MAX_UDP_ONLY:
            self._udp_only.clear()
        self._udp_only[address] = self._now() + UDP_ONLY_S

    def _not_sip(self, listener: int, octets: bytes, address: Address, reason: str) -> None:
        """Something else came in: what keeps a NAT's binding open, or noise."""
        if octets in KEEP_ALIVES:
            return
        reply = None if self._reliable[listener] else stun.answer(octets, address)
        if reply is None:
            self.dropped[reason] += 1
        else:
            self._senders[listener](reply, address)

    # Feed, perform, re-arm.

    def _perform(self, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Send):
                self.send(effect.octets, effect.address)
            elif isinstance(effect, Requested):
                self._requested(effect.transaction)
            elif isinstance(effect, Responded):
                effect.transaction.user.responded(effect.transaction, effect.response)
            elif isinstance(effect, TimedOut):
                effect.transaction.user.timed_out(effect.transaction)
            elif isinstance(effect, Cancelled):
                if effect.transaction.user is not None:
                    effect.transaction.user.cancelled(effect.transaction)
            elif isinstance(effect, Acknowledged):
                self._acknowledged(effect.request, effect.source)
            elif isinstance(effect, Ended):
                # They hold each other, and nobody else does: the collector need not find that out.
                effect.transaction.user = None

    def keep_time(self) -> None:
        """Set the one timer, never later than anybody's next deadline; once for all that one message leads to."""
        if self._is_working:
            return
        deadline = self.layer.next
        for timetable in self._timetables:
            following = timetable.next
            if following < deadline:
                deadline = following
        if deadline < self._alarm.at:
            self._alarm.no_later_than(deadline)

    def _due(self, now: float) -> float:
        self._perform(self.layer.due(now))
        for timetable in self._timetables:
            timetable.due(now)
        return min([self.layer.next, *(timetable.next for timetable in self._timetables)])


def _nowhere(octets: bytes, address: Address) -> None:
    """A port that is closed."""
