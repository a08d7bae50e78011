"""The client of the seed's FIG. 5: it calls the primary, is told where to connect, connects there, and hangs up.

::

    70, 72  INVITE at the primary              Call.invite
    74      302 with the identity of a node    Call.redirected
    76      INVITE there, 200, ACK             Call.answered
            hold, BYE, 200                     Call.hang_up

A user agent client of RFC 3261 sections 8.1 and 13.2, with any number of calls at once.  What it does not do: media,
authentication, and everything that a phone does while a call lasts.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from voipshift.demo.dialog import MAX_FORWARDS, Dialog
from voipshift.demo.media import CONTENT_TYPE, offer
from voipshift.demo.summary import Outcome
from voipshift.demo.useragent import UserAgent, token
from voipshift.errors import ProtocolViolation
from voipshift.node import Address
from voipshift.sip.grammar import NameAddr
from voipshift.sip.message import Request, Response, request
from voipshift.sip.transaction import ClientTransaction, ServerTransaction
from voipshift.sip.uri import SipUri, write_host

#: A call without a final answer is given up so long after its first INVITE, which is when timer B ends one without any.
PATIENCE_S = 32.0
#: Redirects that one call follows.  Two happen (a member, then its second port); a loop must end.
MAX_REDIRECTS = 5

CALLER = "demo"
ALLOW = "INVITE, ACK, CANCEL, BYE, OPTIONS"


class Ended(NamedTuple):
    """What became of a call.

    :ivar redirects: how many redirects it followed
    :ivar setup_s: from the first INVITE to the final 200; None when it was not answered
    :ivar reason: the last word in it, for people
    """

    outcome: Outcome
    redirects: int
    setup_s: float | None
    reason: str


class Phase(Enum):
    """Where a call is."""

    CALLING = "calling"
    TALKING = "talking"
    HANGING_UP = "hanging up"
    ENDED = "ended"


class Call:
    """One call, from its first INVITE to the answer to its BYE."""

    def __init__(self, caller: Caller, uri: SipUri, hold_s: float) -> None:
        self._caller = caller
        self._agent = caller.agent
        self._uri = uri
        self._hold_s = hold_s
        self._tag = token()
        self._sequence = 0
        self._redirects = 0
        self._setup_s: float | None = None
        self._invite: Request | None = None
        self._transaction: ClientTransaction | None = None
        self._dialog: Dialog | None = None
        self._hold: IDelayedCall | None = None
        self.id = f"{token()}@{caller.agent.address[0]}"
        self.phase = Phase.CALLING
        self.ended: Deferred[Ended] = Deferred()
        self._began = self._agent.clock.seconds()
        self._patience = self._agent.clock.callLater(PATIENCE_S, self._give_up)

    def invite(self, target: SipUri) -> None:
        """Steps 70 and 72, and 76 after a redirect: ask to be connected.  Call-ID, From and To stay (8.1.3.4)."""
        self._sequence += 1
        host, port = self._agent.address
        fields = [
            ("Max-Forwards", MAX_FORWARDS),
            ("From", f"<sip:{CALLER}@{write_host(host, port)}>;tag={self._tag}"),
            ("To", f"<{self._uri}>"),
            ("Call-ID", self.id),
            ("CSeq", f"{self._sequence} INVITE"),
            ("Contact", f"<sip:{CALLER}@{write_host(host, port)}>"),
            ("Allow", ALLOW),
            ("Content-Type", CONTENT_TYPE),
        ]
        self._invite = request("INVITE", str(target), fields, offer(host))
        self._transaction = self._send(self._invite, target)

    def responded(self, response: Response) -> None:
        """A response in one of this call's transactions, or a 2xx that comes once more."""
        number, method = response.cseq
        self._caller.say(f"<- {response.status} {response.reason}")
        if response.status < 200:
            return
        if method == "BYE":
            completed = response.status < 300
            reason = "hung up" if completed else f"{response.status} {response.reason} to BYE"
            self._end(Outcome.COMPLETED if completed else Outcome.FAILED, reason)
        elif response.status < 300:
            self._accepted(response)
        elif number != self._sequence or self.phase in (Phase.TALKING, Phase.ENDED):
            return
        elif self.phase is Phase.HANGING_UP:
            self._end(Outcome.FAILED, "cancelled")
        elif response.status < 400:
            self.redirected(response)
        else:
            refused = response.status == 503
            self._end(Outcome.REFUSED if refused else Outcome.FAILED, f"{response.status} {response.reason}")

    def redirected(self, response: Response) -> None:
        """Step 74: the response names the node that took the call; connect there."""
        self._redirects += 1
        try:
            if self._redirects > MAX_REDIRECTS:
                raise ProtocolViolation(f"redirected more than {MAX_REDIRECTS} times")
            contacts = response.values("contact")
            if not contacts:
                raise ProtocolViolation("a redirect without a Contact")
            self.invite(SipUri.parse(NameAddr.parse(contacts[0]).uri))
        except (ProtocolViolation, OSError) as error:
            self._end(Outcome.FAILED, f"{response.status}: {error}")

    def answered(self, dialog: Dialog) -> None:
        """Step 76 succeeded: the call stands for its holding time."""
        self.phase = Phase.TALKING
        self._dialog = dialog
        self._setup_s = self._agent.clock.seconds() - self._began
        self._patience.cancel()
        self._hold = self._agent.clock.callLater(self._hold_s, self.hang_up)

    def hang_up(self) -> None:
        """End the call: BYE when it stands, CANCEL while it is being set up."""
        if self.phase is Phase.TALKING and self._dialog is not None:
            self.phase = Phase.HANGING_UP
            self._stop_timers()
            self._send(self._dialog.bye(), self._dialog.next_hop)
        elif self.phase is Phase.CALLING and self._transaction is not None:
            self.phase = Phase.HANGING_UP
            self._agent.cancel(self._transaction)

    def hung_up(self) -> None:
        """The far end sent BYE."""
        if self.phase is Phase.TALKING:
            self._end(Outcome.COMPLETED, "the far end hung up")

    def timed_out(self, method: str) -> None:
        """No final response at all came to a request."""
        if method == "BYE" or self.phase in (Phase.CALLING, Phase.HANGING_UP):
            self._end(Outcome.FAILED, f"no answer to {method}")

    def forget(self) -> None:
        """Leave the call as it is."""
        self._stop_timers()

    def _accepted(self, response: Response) -> None:
        """Every 2xx is acknowledged, each time that it comes; the first one makes the call."""
        assert self._invite is not None
        try:
            dialog = Dialog(self._invite, response)
            self._caller.say("-> ACK")
            self._agent.transmit(dialog.ack(), dialog.next_hop)
        except (ProtocolViolation, OSError) as error:
            self._end(Outcome.FAILED, f"{response.status}: {error}")
            return
        if self.phase is Phase.CALLING:
            self.answered(dialog)
        elif self._dialog is None or dialog.to_tag != self._dialog.to_tag:
            self._send(dialog.bye(), dialog.next_hop)  # it was given up, or another phone answered too

    def _send(self, sent: Request, target: SipUri) -> ClientTransaction:
        self._caller.say(f"-> {sent.method} {sent.uri}")
        return self._agent.request(sent, target)

    def _give_up(self) -> None:
        if self._transaction is not None:
            self._agent.cancel(self._transaction)
        self._end(Outcome.FAILED, "no final answer in time")

    def _stop_timers(self) -> None:
        for timer in (self._patience, self._hold):
            if timer is not None and timer.active():
                timer.cancel()

    def _end(self, outcome: Outcome, reason: str) -> None:
        self._stop_timers()
        if self.phase is not Phase.ENDED:
            self.phase = Phase.ENDED
            if outcome is not Outcome.FAILED:
                self._caller.over(self)
            self.ended.callback(Ended(outcome, self._redirects, self._setup_s, reason))


class Caller:
    """Places calls from one port.

    :param say: told of every step, in words
    :param locate: where a request to a URI goes; by default an IP address is expected in it
    """

    def __init__(
        self,
        clock: IReactorTime,
        say: Callable[[str], None] = lambda step: None,
        locate: Callable[[SipUri], Address] = SipUri.address,
    ) -> None:
        self.agent = UserAgent(clock, self, locate)
        self.say = say
        self._calls: dict[str, Call] = {}

    def begin(self, send: Callable[[bytes, Address], None], address: Address) -> None:
        """Use this port."""
        self.agent.begin(send, address)

    def received(self, octets: bytes, source: Address) -> None:
        """Take a datagram of that port."""
        self.agent.received(octets, source)

    def call(self, uri: SipUri, hold_s: float) -> Deferred[Ended]:
        """Place a call; fires when it has ended, and never fails."""
        return self.place(uri, hold_s).ended

    def place(self, uri: SipUri, hold_s: float) -> Call:
        """Place a call that may be hung up early."""
        call = Call(self, uri, hold_s)
        self._calls[call.id] = call
        call.invite(uri)
        return call

    def stop(self) -> None:
        """Forget all calls; nothing is scheduled afterwards."""
        for call in self._calls.values():
            call.forget()
        self._calls.clear()
        self.agent.stop()

    def over(self, call: Call) -> None:
        """A call that ended well needs no memory; what comes late for another one is still acknowledged and hung up."""
        self._calls.pop(call.id, None)

    def requested(self, transaction: ServerTransaction) -> None:
        """The far end asks something within a call."""
        asked = transaction.request
        call = self._calls.get(asked.call_id)
        if call is None or call.phase is not Phase.TALKING:
            self.agent.answer(transaction, 481)
        elif asked.method in ("BYE", "OPTIONS"):
            self.agent.answer(transaction, 200)
            if asked.method == "BYE":
                call.hung_up()
        else:
            self.agent.answer(transaction, 405, fields=[("Allow", ALLOW)])

    def cancelled(self, transaction: ServerTransaction) -> None:
        """Nobody calls the caller."""

    def acknowledged(self, ack: Request) -> None:
        """Nobody calls the caller."""

    def responded(self, response: Response) -> None:
        """A response to one of our requests."""
        call = self._calls.get(response.call_id)
        if call is not None:
            call.responded(response)

    def timed_out(self, unanswered: Request) -> None:
        """No final response came."""
        call = self._calls.get(unanswered.call_id)
        if call is not None:
            call.timed_out(unanswered.method)
