"""The response context of RFC 3261 section 16: one server transaction of the proxy, and the branches that answer it.

Targets come in groups.  Those of one group are tried in parallel, the telephones of a user that he prefers alike; the
groups one after the other: gateways, which are groups of one, after 503, 408, or two seconds without any response, and
telephones after whatever is not 2xx or 6xx.  What comes back is section 16.7:

- a provisional response of any branch goes to the caller, except 100, and starts that branch's timer C anew;
- a 2xx goes to him at once, whichever branch it comes from, however many and however often; all others are cancelled;
- a 6xx cancels all others, and goes to him when they are done;
- of the other final responses he gets the best, when no branch is left and no group.

What comes late from a branch that was given up is not lost: a provisional response is answered with CANCEL, a 2xx is
forwarded.  Pure; timers and transactions are its proxy's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

from voipshift.calls.best import Best
from voipshift.calls.breadth import write_breadth
from voipshift.calls.dialogs import Dialogs
from voipshift.calls.location import Target
from voipshift.calls.session import Interval
from voipshift.sip.message import Request, Response
from voipshift.sip.timers import TIMER_C
from voipshift.sip.transaction import ClientTransaction, InviteClient, InviteServer, ServerTransaction

#: A target that sends nothing at all, not even 100, for this long is passed over while there is another one or another
#: one's response; a member that a request is passed on to is given up.
SILENCE_S = 2.0
#: What makes the proxy try the next gateway; everything else is the callee's own answer, a 6xx above all.  Each
#: telephone of a user answers for itself.
TRY_NEXT = frozenset((408, 503))
#: States of an INVITE's transaction in which a 2xx is none of its business any more.
_REFUSED = frozenset((InviteServer.COMPLETED, InviteServer.CONFIRMED, InviteServer.TERMINATED))

#: A timer of a branch, beside timer C: for :data:`SILENCE_S` nothing has come.
SILENCE = "silence"


class Core(Protocol):
    """What a context needs of its proxy."""

    def respond(self, server: ServerTransaction, response: Response) -> None: ...
    def respond_late(self, server: ServerTransaction, response: Response) -> None: ...
    def attempt(self, branch: Branch, request: Request) -> ClientTransaction: ...
    def cancel(self, client: ClientTransaction) -> None: ...
    def heard(self, client: ClientTransaction, response: Response) -> None: ...
    def tag(self, request: Request) -> str: ...
    def start(self, branch: Branch, timer: str, duration_s: float) -> None: ...
    def stop(self, branch: Branch) -> None: ...
    def progressed(self, branch: Branch, response: Response) -> None: ...
    def succeeded(self, branch: Branch, response: Response) -> None: ...
    def failed(self, context: ResponseContext, response: Response) -> None: ...
    def silent(self, branch: Branch) -> None: ...
    def hush(self, branch: Branch) -> None: ...
    def refused(self, target: Target, response: Response) -> None: ...


class Errand(NamedTuple):
    """What a request is forwarded for.

    :ivar dialogs: those that it belongs to or opens; None where this node keeps nothing of it
    :ivar opens: it opens them, and they are over when it fails
    :ivar to_member: it is passed on within the group: whoever is silent is not there, and its 503 is ours
    :ivar unreached: what is done when that member is not there, in place of telling the caller so
    :ivar breadth: the branches that it and all that comes of it may have at once (RFC 5393 section 5); 0 within a
        dialog, where nothing forks
    :ivar loop: what a branch says of the request as it came (section 16.6 item 8)
    :ivar session: the session interval that it asks for
    """

    dialogs: Dialogs | None = None
    opens: bool = False
    to_member: bool = False
    breadth: int = 0
    loop: str = ""
    session: Interval | None = None
    unreached: Callable[[], None] | None = None


class Branch:
    """One try.

    :ivar client: its transaction; None before it is sent
    :ivar silent: it was patiently waited for, and nothing came
    """

    __slots__ = ("client", "context", "silent", "target")

    def __init__(self, context: ResponseContext, target: Target) -> None:
        self.context = context
        self.target = target
        self.client: ClientTransaction | None = None
        self.silent = False

    def responded(self, client: ClientTransaction, response: Response) -> None:
        """A response of its transaction."""
        self.client = client
        self.context.heard(client, response)
        response.remove_first_value("Via")
        self.context.received(self, response)

    def timed_out(self, client: ClientTransaction) -> None:
        """No response at all."""
        self.client = client
        self.context.unanswered(self)


class ResponseContext:
    """A request that is being forwarded.

    :ivar server: the transaction of whoever sent it
    :ivar request: the request as it goes on, but for what differs from branch to branch
    :ivar errand: what for
    :ivar heard: told of each response while our Via is on top of it
    """

    __slots__ = ("_best", "_core", "_final", "_groups", "_pending", "_stopped", "errand", "heard", "request", "server")

    def __init__(
        self,
        core: Core,
        server: ServerTransaction,
        request: Request,
        groups: Iterable[Iterable[Target]],
        errand: Errand,
    ) -> None:
        self._core = core
        self.heard = core.heard
        self.server = server
        self.request = request
        self.errand = errand
        self._groups = [tuple(group) for group in groups]
        self._pending: list[Branch] = []
        self._best: Best | None = None
        self._stopped = False
        self._final = 0

    @property
    def is_invite(self) -> bool:
        """Whether an INVITE is forwarded: it alone can be cancelled, and has timer C."""
        return self.request.method == "INVITE"

    def begin(self) -> None:
        """Try the next group, all of it at once."""
        group = self._groups.pop(0)
        self._pending = begun = [Branch(self, target) for target in group]
        patient = not self._groups and len(group) == 1 and not self.errand.to_member
        share, more = divmod(self.errand.breadth, len(group))
        for number, branch in enumerate(begun):
            if branch not in self._pending:  # one before it was answered with 6xx at once
                continue
            last = not self._groups and number == len(group) - 1
            request = self.request if last else self.request.copy()
            if share:
                write_breadth(request, share + (number < more))
            branch.client = self._core.attempt(branch, request)
            # Timer C would run from now on, too; but until the first response timer B is before it.
            if not patient and branch in self._pending:
                self._core.start(branch, SILENCE, SILENCE_S)

    def received(self, branch: Branch, response: Response) -> None:
        """A response of one of the branches."""
        status = response.status
        if 200 <= status < 300:
            self._succeeded(branch, response)
        elif branch not in self._pending:
            if status < 200:
                self._cancel(branch)
        elif status < 200:
            self._progressed(branch, response)
        else:
            self._fell_through(branch, response)

    def unanswered(self, branch: Branch) -> None:
        """No response at all, which is as good as 408 (section 16.9)."""
        if branch in self._pending:
            if branch.target.gateway:
                self._core.silent(branch)
            self._fell_through(branch, self._response(408))

    def due(self, branch: Branch, timer: str) -> None:
        """One of the timers has run out."""
        if branch not in self._pending:
            return
        if branch.target.gateway and timer == SILENCE:
            self._core.silent(branch)
        if timer == "C":
            self._cancel(branch)
        elif self._stopped:
            self._fell_through(branch, self._response(487))
        elif self.errand.to_member:
            self._core.hush(branch)
            self._fell_through(branch, self._response(503))
        else:
            branch.silent = True
            self._proceed()

    def cancelled(self, invite: ServerTransaction) -> None:
        """The caller sent CANCEL: it goes on to every branch, whose 487 comes back as any final response does; what was
        answered before means nothing to somebody who gave up.
        """
        if not self._final:
            self._best = None
            self._stop()

    # The steps.

    def _progressed(self, branch: Branch, response: Response) -> None:
        branch.silent = False
        self._core.stop(branch)
        if self.is_invite:
            self._core.start(branch, "C", TIMER_C)
        if response.status > 100 and (self._best is None or self._best.response.status < 600):
            self._core.progressed(branch, response)
            self._core.respond(self.server, response)

    def _fell_through(self, branch: Branch, response: Response) -> None:
        """A branch is over without success."""
        self._pending.remove(branch)
        self._core.stop(branch)
        status, target = response.status, branch.target
        if target.gateway and status == 503:
            self._core.refused(target, response)
        if self._best is None:
            self._best = Best(response)
        else:
            self._best.weigh(response)
        if status >= 600:
            self._stop()
        elif (target.gateway or target.uri is None) and status not in TRY_NEXT:
            self._best = Best(response)
            self._groups.clear()
        self._proceed()

    def _proceed(self) -> None:
        """Wait on, try the next group, or answer with the best of what was said."""
        if not all(branch.silent for branch in self._pending):
            return
        if self._groups:
            self.begin()
        elif self._best is not None:
            self._failed(self._best.whole())

    def _succeeded(self, branch: Branch, response: Response) -> None:
        """A 2xx to an INVITE goes to the caller whichever branch it comes from, and however often (item 5)."""
        if self._final and not self.is_invite:
            return
        for other in self._pending:
            if other is not branch:
                self._cancel(other)
        self._core.succeeded(branch, response)
        if self.server.user not in (self, None):  # it was given up, and is looked for elsewhere
            self.server.user.cancelled(self.server)
        if self._final >= 300 or self.server.state in _REFUSED:
            self._core.respond_late(self.server, response)
        else:
            self._finish(response)

    def _failed(self, response: Response) -> None:
        # A gateway's overload is not ours (section 16.7 item 6).
        if response.status == 503 and not self.errand.to_member:
            response = self._response(500)
        elif response.status == 503 and response.ours and not self._stopped:
            if self.errand.unreached is not None:
                self._stopped = True
                self.errand.unreached()
                return
            response = self._response(503)
        elif self._stopped and response.status == 408:
            response = self._response(487)
        self._core.failed(self, response)
        self._finish(response)

    def _stop(self) -> None:
        """Begin nothing new, and cancel what is under way.

        One who has said nothing yet may not be sent a CANCEL (section 9.1), and may never say anything: no slot is kept
        for him.
        """
        self._stopped = True
        self._groups.clear()
        for branch in self._pending.copy():
            branch.silent = False
            self._cancel(branch)
            if branch.client is None:
                self._pending.remove(branch)
            elif branch.client.state is InviteClient.CALLING:
                self._core.start(branch, SILENCE, SILENCE_S)

    def _cancel(self, branch: Branch) -> None:
        if branch.client is not None and self.is_invite:
            self._core.cancel(branch.client)

    def _response(self, status: int) -> Response:
        """A response of the proxy's own, while there is none yet."""
        return self.server.request.response(status, to_tag=self._core.tag(self.server.request))

    def _finish(self, response: Response) -> None:
        if not self._final:
            self._final = response.status
            for branch in self._pending:
                self._core.stop(branch)
            self._pending = []
            self._groups.clear()
            self.server.user = None
        self._core.respond(self.server, response)
