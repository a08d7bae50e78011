"""A terminating gateway without telephones behind it: it takes every number and every user, rings and answers.

A user agent server of RFC 3261 sections 8.2, 13.3 and 15.1.2: INVITE (180, then 200 with an answer to the offer, sent
until its ACK comes), re-INVITE, BYE, CANCEL and OPTIONS, within a dialog as well, which is how a node asks whether a
call still stands.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from voipshift.demo.media import CONTENT_TYPE, answer
from voipshift.demo.useragent import UserAgent, token
from voipshift.node import Address
from voipshift.sip.message import Request, Response
from voipshift.sip.transaction import ServerTransaction
from voipshift.sip.uri import write_host

ALLOW = "INVITE, ACK, CANCEL, BYE, OPTIONS"
#: Calls at once; a caller that never hangs up must not fill the memory.
MAX_CALLS = 20_000
#: How a 200 is repeated until its ACK comes: at first, at most, and for how long (13.3.1.4: T1, T2, 64 T1).
T1_S = 0.5
T2_S = 4.0
ACK_PATIENCE_S = 32.0


class _Call:
    """One call that rings or stands.

    :ivar wait: until it is answered, then until the 200 is sent again; None when nothing is waited for
    """

    __slots__ = ("answered", "interval_s", "invite", "name", "tag", "until", "wait")

    def __init__(self, invite: ServerTransaction, tag: str) -> None:
        self.invite = invite
        self.name = _name(invite.request)
        self.tag = tag
        self.answered: Response | None = None
        self.interval_s = T1_S
        self.until = 0.0
        self.wait: IDelayedCall | None = None

    def stop(self) -> None:
        if self.wait is not None and self.wait.active():
            self.wait.cancel()
        self.wait = None


class Gateway:
    """Answers calls at one port.

    :param ring_s: from 180 to 200
    """

    def __init__(self, clock: IReactorTime, ring_s: float = 0.0) -> None:
        self.agent = UserAgent(clock, self)
        self._clock = clock
        self._ring_s = ring_s
        #: By Call-ID and the caller's tag: with our own tag they name the dialog (section 12).
        self._calls: dict[tuple[str, str | None], _Call] = {}

    def __len__(self) -> int:
        """Calls that ring or stand."""
        return len(self._calls)

    def begin(self, send: Callable[[bytes, Address], None], address: Address) -> None:
        """Use this port."""
        self.agent.begin(send, address)

    def received(self, octets: bytes, source: Address) -> None:
        """Take a datagram of that port."""
        self.agent.received(octets, source)

    def stop(self) -> None:
        """Forget all calls; nothing is scheduled afterwards."""
        for call in self._calls.values():
            call.stop()
        self._calls.clear()
        self.agent.stop()

    def requested(self, transaction: ServerTransaction) -> None:
        """A new request."""
        request = transaction.request
        call = self._calls.get(_name(request))
        if request.to_tag is not None and (call is None or call.tag != request.to_tag):
            self.agent.answer(transaction, 481)
        elif request.method == "INVITE":
            self._invited(transaction, call)
        elif request.method == "OPTIONS":
            self.agent.answer(transaction, 200, fields=[("Allow", ALLOW), ("Accept", CONTENT_TYPE)])
        elif request.method != "BYE":
            self.agent.answer(transaction, 405, fields=[("Allow", ALLOW)])
        elif request.to_tag is None or call is None:
            self.agent.answer(transaction, 481)
        else:
            self.agent.answer(transaction, 200)
            self._end(call)

    def cancelled(self, transaction: ServerTransaction) -> None:
        """The caller gave up while it rang."""
        call = self._calls.get(_name(transaction.request))
        if call is not None and call.answered is None:
            self.agent.answer(transaction, 487, to_tag=call.tag)
            self._end(call)

    def acknowledged(self, ack: Request) -> None:
        """The 200 arrived."""
        call = self._calls.get(_name(ack))
        if call is not None and call.answered is not None:
            call.stop()

    def responded(self, response: Response) -> None:
        """The gateway asks nothing."""

    def timed_out(self, unanswered: Request) -> None:
        """The gateway asks nothing."""

    def _invited(self, transaction: ServerTransaction, call: _Call | None) -> None:
        if call is not None:  # a re-INVITE: nothing to ring
            call.stop()
            call.invite = transaction
            self._answer(call)
        elif len(self._calls) >= MAX_CALLS:
            self.agent.answer(transaction, 486)
        else:
            call = _Call(transaction, token())
            self._calls[call.name] = call
            self.agent.answer(transaction, 180, to_tag=call.tag, fields=[self._contact()])
            if self._ring_s:
                call.wait = self._clock.callLater(self._ring_s, self._answer, call)
            else:
                self._answer(call)

    def _answer(self, call: _Call) -> None:
        fields = [self._contact(), ("Allow", ALLOW), ("Content-Type", CONTENT_TYPE)]
        body = answer(call.invite.request.body, self.agent.address[0])
        call.answered = call.invite.request.response(200, to_tag=call.tag, fields=fields, body=body)
        call.interval_s = T1_S
        call.until = self._clock.seconds() + ACK_PATIENCE_S
        self._send_answer(call)

    def _send_answer(self, call: _Call) -> None:
        """Send the 200, now and until its ACK comes; a call that is never acknowledged is none (13.3.1.4)."""
        call.wait = None
        if self._clock.seconds() >= call.until:
            self._end(call)
            return
        assert call.answered is not None
        self.agent.respond(call.invite, call.answered)
        call.wait = self._clock.callLater(call.interval_s, self._send_answer, call)
        call.interval_s = min(2 * call.interval_s, T2_S)

    def _end(self, call: _Call) -> None:
        call.stop()
        self._calls.pop(call.name, None)

    def _contact(self) -> tuple[str, str]:
        return "Contact", f"<sip:{write_host(*self.agent.address)}>"


def _name(request: Request) -> tuple[str, str | None]:
    return request.call_id, request.from_tag
