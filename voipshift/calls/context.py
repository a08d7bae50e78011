"""The response context of RFC 3261 section 16: one server transaction of the proxy, and the tries that answer it.

Tries are made one after the other (a serial search): the next gateway after 503, 408, or two seconds without any
response; the next telephone of a registered user after whatever is not 2xx or 6xx. What comes late from a try that was
given up is not lost: a provisional response is answered with CANCEL, a 2xx is forwarded. Pure; timers and transactions
are its proxy's.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Protocol

from voipshift.calls.location import Target
from voipshift.calls.table import Call
from voipshift.sip.layer import ClientTransaction, ServerTransaction
from voipshift.sip.message import Request, Response
from voipshift.sip.timers import TIMER_C
from voipshift.sip.transaction import InviteClient

#: A gateway that sends nothing at all, not even 100, for this long is passed over while another one is left; a member
#: that a request is passed on to is given up.
SILENCE_S = 2.0
#: What makes the proxy try the next gateway; everything else is the callee's own answer, a 6xx above all.  Each
#: telephone of a user answers for itself.
TRY_NEXT = frozenset((408, 503))


class Timer(Enum):
    """The timers of a response context."""

    SILENCE = "silence"
    C = "C"


class Core(Protocol):
    """What a context needs of its proxy."""

    def respond(self, server: ServerTransaction, response: Response) -> None: ...
    def respond_late(self, server: ServerTransaction, response: Response) -> None: ...
    def attempt(self, context: ResponseContext, request: Request, target: Target) -> ClientTransaction: ...
    def cancel(self, client: ClientTransaction) -> None: ...
    def tag(self, request: Request) -> str: ...
    def start(self, context: ResponseContext, timer: Timer, duration_s: float) -> None: ...
    def stop(self, context: ResponseContext) -> None: ...
    def progressed(self, context: ResponseContext, response: Response) -> None: ...
    def concluded(self, context: ResponseContext, response: Response) -> None: ...


class ResponseContext:
    """A request that is being forwarded.

    :ivar server: the transaction of whoever sent it
    :ivar request: the request as it goes on, but for what differs from try to try
    :ivar call: the call it belongs to; None where it is passed on to a member
    :ivar current: the try under way
    :ivar best: the best of the final responses of tries that are over (section 16.7 item 6)
    :ivar opens: it is the INVITE that opened the call, which ends when that fails
    """

    __slots__ = (
        "_cancelled",
        "_core",
        "_final",
        "_targets",
        "_tries",
        "best",
        "call",
        "current",
        "opens",
        "request",
        "server",
    )

    def __init__(
        self,
        core: Core,
        server: ServerTransaction,
        request: Request,
        groups: Iterable[Iterable[Target]],
        call: Call | None,
        *,
        opens: bool = False,
    ) -> None:
        self._core = core
        self.server = server
        self.request = request
        self.call = call
        self.opens = opens
        self.current: ClientTransaction | None = None
        self.best: Response | None = None
        # Those of equal preference one after the other too, as long as nothing is forked.
        self._targets = [target for group in groups for target in group]
        self._tries: dict[ClientTransaction, Target] = {}
        self._cancelled = False
        self._final = 0

    @property
    def is_invite(self) -> bool:
        """Whether an INVITE is forwarded: it alone can be cancelled, and has timer C."""
        return self.request.method == "INVITE"

    def begin(self) -> None:
        """Try the first target."""
        target = self._targets.pop(0)
        last = not self._targets
        request = self.request if last else self.request.copy()
        self.current = self._core.attempt(self, request, target)
        self._tries[self.current] = target
        if not last or self.call is None:  # a member says 100 within 200 ms: one that is silent is dead
            self._core.start(self, Timer.SILENCE, SILENCE_S)
        elif self.is_invite:
            self._core.start(self, Timer.C, TIMER_C)

    @property
    def target(self) -> Target:
        """The target of the try under way."""
        assert self.current is not None
        return self._tries[self.current]

    def responded(self, client: ClientTransaction, response: Response) -> None:
        """A response of one of the tries."""
        response.remove_first_value("Via")
        self._received(client, response)

    def timed_out(self, client: ClientTransaction) -> None:
        """No response at all, which is as good as 408 (section 16.9)."""
        if not self._final:
            self._received(client, self._response(408))

    def _received(self, client: ClientTransaction, response: Response) -> None:
        if 200 <= response.status < 300:
            self._succeeded(client, response)
        elif client is not self.current or self._final:
            if response.status < 200 and self.is_invite:
                self._core.cancel(client)
        elif response.status < 200:
            self._progressed(response)
        else:
            self._fell_through(response)

    def _fell_through(self, response: Response) -> None:
        """A try is over without success: the next one, or the best of all responses."""
        next_after = response.status < 600 if self.target.uri is not None else response.status in TRY_NEXT
        if self.best is None or _rank(response.status) < _rank(self.best.status):
            self.best = response
        if next_after and self._targets and not self._cancelled:
            self._core.stop(self)
            self.begin()
        else:
            self._failed(response if self._cancelled or not next_after else self.best)

    def due(self, timer: Timer) -> None:
        """One of its timers has run out."""
        if self._final or self.current is None:
            return
        if timer is Timer.SILENCE and self._cancelled:
            self._failed(self._response(487))
        elif timer is Timer.SILENCE and self._targets:
            self.begin()
        elif timer is Timer.SILENCE:
            self._failed(self._response(503))
        else:
            self._core.cancel(self.current)

    def cancelled(self, invite: ServerTransaction) -> None:
        """The caller sent CANCEL: it goes on to the try under way, whose 487 comes back as any final response does.

        A gateway that has said nothing yet may not be sent one (section 9.1), and may never say anything: no slot is
        kept for it.
        """
        self._cancelled = True
        if self.current is not None and not self._final:
            self._core.cancel(self.current)
            if self.current.state is InviteClient.CALLING:
                self._core.start(self, Timer.SILENCE, SILENCE_S)

    def _progressed(self, response: Response) -> None:
        self._core.stop(self)
        if self.is_invite:
            self._core.start(self, Timer.C, TIMER_C)
        if response.status > 100:
            self._core.progressed(self, response)
            self._core.respond(self.server, response)

    def _succeeded(self, client: ClientTransaction, response: Response) -> None:
        """A 2xx goes to the caller whichever try it comes from, and however often (section 16.7 item 5)."""
        if self.current is not None and client is not self.current and not self._final:
            self._core.cancel(self.current)
        self.current = client
        self._core.concluded(self, response)
        if self._final >= 300:
            self._core.respond_late(self.server, response)
        else:
            self._finish(response)

    def _failed(self, response: Response) -> None:
        if response.status == 503 and self.call is not None:  # a gateway's overload is not ours (section 16.7 item 6)
            response = self._response(500)
        elif self._cancelled and response.status == 408:
            response = self._response(487)
        self._core.concluded(self, response)
        self._finish(response)

    def _response(self, status: int) -> Response:
        """A response of the proxy's own, while there is none yet."""
        return self.server.request.response(status, to_tag=self._core.tag(self.server.request))

    def _finish(self, response: Response) -> None:
        if not self._final:
            self._final = response.status
            self._core.stop(self)
        self._core.respond(self.server, response)


def _rank(status: int) -> tuple[bool, int, bool]:
    """Which of several final responses is better, the least first (section 16.7 item 6): 6xx, then the lowest class;
    in it whoever said something before whoever said nothing.
    """
    return status < 600, status // 100, status == 408
