"""What the caller and the gateway stand on: the transaction layer, one port and one timer (RFC 3261 section 8).

It feeds the layer, performs what the layer returns, and tells its :class:`Core` what happened.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from typing import Protocol

from twisted.internet.interfaces import IReactorTime

from voipshift.alarm import Alarm
from voipshift.errors import ProtocolViolation
from voipshift.node import Address
from voipshift.sip.effects import Acknowledged, Cancelled, Effect, Requested, Responded, Send, StrayResponse, TimedOut
from voipshift.sip.grammar import MAGIC_COOKIE
from voipshift.sip.layer import TransactionLayer
from voipshift.sip.message import MalformedRequest, Request, Response, parse
from voipshift.sip.transaction import ClientTransaction, Hop, ServerTransaction
from voipshift.sip.uri import SipUri, host_port


class Core(Protocol):
    """The user agent itself, told what happens beneath it."""

    def requested(self, transaction: ServerTransaction) -> None:
        """A new request, to be answered in this transaction."""

    def cancelled(self, transaction: ServerTransaction) -> None:
        """The INVITE of this transaction was cancelled; its CANCEL is answered already."""

    def acknowledged(self, ack: Request) -> None:
        """An ACK to a 2xx came."""

    def responded(self, response: Response) -> None:
        """A response came, or a 2xx that belongs to no transaction any more."""

    def timed_out(self, unanswered: Request) -> None:
        """A request of ours had no final response in time."""


class UserAgent:
    """A transaction layer with its timer, at one port."""

    def __init__(self, clock: IReactorTime, core: Core, locate: Callable[[SipUri], Address] = SipUri.address) -> None:
        self.clock = clock
        self.address: Address = ("", 0)
        self._core = core
        self._layer = TransactionLayer(random=secrets.token_hex)
        self._send: Callable[[bytes, Address], None] | None = None
        self._locate = locate
        self._alarm = Alarm(clock, self._due)

    def begin(self, send: Callable[[bytes, Address], None], address: Address) -> None:
        """Use this port, by its own address."""
        self._send = send
        self.address = address

    def stop(self) -> None:
        """Send and schedule nothing any more."""
        self._send = None
        self._alarm.stop()

    def received(self, octets: bytes, source: Address) -> None:
        """Take a datagram; what is not SIP is dropped, or answered where it can be."""
        hop = Hop(*source)
        try:
            message = parse(octets)
        except MalformedRequest as wrong:
            self._perform(self._layer.answer_statelessly(wrong.request, hop, wrong.status, wrong.reason))
            return
        except ProtocolViolation:
            return
        if isinstance(message, Request):
            self._perform(self._layer.receive_request(message, hop, self.clock.seconds()))
        else:
            self._perform(self._layer.receive_response(message, hop, self.clock.seconds()))

    def request(self, request: Request, target: SipUri) -> ClientTransaction:
        """Send a request in a transaction of its own, with our Via on top."""
        self._stamp(request)
        transaction, effects = self._layer.request(request, Hop(*self._locate(target)), self.clock.seconds())
        self._perform(effects)
        return transaction

    def cancel(self, transaction: ClientTransaction) -> None:
        """Cancel an INVITE that has no final response (9.1)."""
        self._perform(self._layer.cancel(transaction, self.clock.seconds()))

    def transmit(self, request: Request, target: SipUri) -> None:
        """Send a request without a transaction: the ACK to a 2xx (13.2.2.4)."""
        self._stamp(request)
        if self._send is not None:
            self._send(request.octets(), self._locate(target))

    def respond(self, transaction: ServerTransaction, response: Response) -> None:
        """Send a response in its transaction."""
        self._perform(self._layer.respond(transaction, response, self.clock.seconds()))

    def answer(
        self,
        transaction: ServerTransaction,
        status: int,
        *,
        to_tag: str | None = None,
        fields: Iterable[tuple[str, str]] = (),
    ) -> None:
        """Send a response of that status, without a body."""
        self.respond(transaction, transaction.request.response(status, to_tag=to_tag or token(), fields=fields))

    def _perform(self, effects: list[Effect]) -> None:
        core = self._core
        for effect in effects:
            match effect:
                case Send():
                    if self._send is not None:
                        self._send(effect.octets, effect.address.place)
                case Requested():
                    core.requested(effect.transaction)
                case Cancelled():
                    core.cancelled(effect.transaction)
                case Acknowledged():
                    core.acknowledged(effect.request)
                case Responded() | StrayResponse():
                    core.responded(effect.response)
                case TimedOut():
                    core.timed_out(effect.transaction.request)
        if self._send is not None:
            self._alarm.no_later_than(self._layer.next)

    def _due(self, now: float) -> float:
        self._perform(self._layer.due(now))
        return self._layer.next

    def _stamp(self, request: Request) -> None:
        branch = MAGIC_COOKIE + token()
        request.push_via(f"SIP/2.0/UDP {host_port(self.address)};branch={branch};rport", branch)


def token() -> str:
    """A tag, a Call-ID or a branch: 64 random bits."""
    return secrets.token_hex(8)
