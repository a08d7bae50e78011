"""The transaction layer of RFC 3261 section 17: messages find their transaction, and its machine decides.

Everything is a call that takes what happened and returns what is to be done, as a list of effects: octets to send, and
events for the transaction user.  The door performs them, and calls :meth:`TransactionLayer.due` at ``next``.

The layer also does what needs no transaction user: it stamps where a request came from (18.2.1, RFC 3581), says 100
when the user is slow (17.2.1), answers CANCEL (9.2), refuses what is too much, and absorbs what is sent again.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable
from hashlib import blake2b

from voipshift.errors import ProtocolViolation
from voipshift.sip import followers
from voipshift.sip.effects import (
    Acknowledged,
    Cancelled,
    Effect,
    Ended,
    Requested,
    Responded,
    Send,
    StrayResponse,
    TimedOut,
)
from voipshift.sip.gain import UNBOUNDED
from voipshift.sip.grammar import MAGIC_COOKIE
from voipshift.sip.listeners import response_hop
from voipshift.sip.message import Request, Response
from voipshift.sip.plain import plain_key
from voipshift.sip.spent import Spent
from voipshift.sip.timers import CANCELLED_FOR, T1, Timers
from voipshift.sip.transaction import (
    ACK,
    CANCEL_TIMER,
    FAILURE,
    GIVING_UP,
    PROVISIONAL,
    REQUEST,
    SUCCESS,
    Action,
    ClientTransaction,
    Hop,
    InviteClient,
    InviteServer,
    Move,
    ServerTransaction,
    Transaction,
)

#: Transactions undecided or proceeding at once: four seconds of 5000 requests a second that nobody answers.
MAX_UNDECIDED = 20_000
#: Transactions that only absorb, 32 s of 6000 a second, and as many that are spent: the oldest, whose retransmissions
#: are rare by then, go first.
MAX_ABSORBING = 200_000


class TransactionLayer:
    """All transactions of a node.

    :param random: random octets in hexadecimal, so many octets (``secrets.token_hex``)
    :param force_rport: see :func:`response_hop`
    :ivar timers: the running timers
    :ivar counts: what was refused, dropped, absorbed without a transaction, or left unanswered (``silent``), by name
    """

    def __init__(
        self,
        *,
        random: Callable[[int], str],
        force_rport: bool = True,
        max_undecided: int = MAX_UNDECIDED,
        max_absorbing: int = MAX_ABSORBING,
    ) -> None:
        self._random = random
        #: What tags are computed with.  A secret in front keys BLAKE2 as well as its key does, and fills no block.
        self._tags = blake2b(bytes.fromhex(random(16)), digest_size=8)
        self._force_rport = force_rport
        self._max_undecided = max_undecided
        self._max_absorbing = max_absorbing
        self._servers: dict[str, ServerTransaction] = {}
        self._clients: dict[str, ClientTransaction] = {}
        self._absorbing: OrderedDict[Transaction, None] = OrderedDict()
        self._spent = Spent(max_absorbing)
        self.timers: Timers[Transaction] = Timers()
        self.counts: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._servers) + len(self._clients) + len(self._spent)

    @property
    def next(self) -> float:
        """When to call :meth:`due`: no timer runs out before this; infinite when none runs."""
        return min(self.timers.next, self._spent.next)

    @property
    def undecided(self) -> int:
        """How many transactions have no final response yet."""
        return len(self._servers) + len(self._clients) - len(self._absorbing)

    def branch(self) -> str:
        """A branch for a request of ours."""
        return MAGIC_COOKIE + self._random(8)

    def tag_for(self, request: Request) -> str:
        """A To tag for our responses to a request: the same each time, so that no state is needed (8.2.7).

        CANCEL and ACK get that of their INVITE.
        """
        tag = self._tags.copy()
        tag.update(f"{request.call_id}\n{request.get('from')}".encode("latin-1"))
        return tag.hexdigest()

    def is_known(self, key: str) -> bool:
        """Whether a request was here before, by branch, host and port of its top Via, a line each (17.2.3)."""
        return key in self._servers or key in self._spent

    # What comes in.

    def absorb(self, octets: bytes, now: float) -> list[Effect] | None:
        """An ACK arrived, which has not been read yet.

        One that acknowledges a final response other than 2xx is matched by its branch, its sent-by and its method
        (17.2.3), ends the retransmissions, and goes no further.  Nothing else in it means anything to anybody, so that
        nothing else is read, and every second request of a redirect server costs next to nothing.

        :returns: None where it is another ACK, or one that is not written plainly: it must be read like any request
        """
        key = plain_key(octets)
        if key is None:
            return None
        transaction = self._servers.get(key)
        if transaction is None:
            return [] if key in self._spent else None
        if transaction.state is not InviteServer.COMPLETED:
            return None
        effects: list[Effect] = []
        move = transaction.take(ACK)
        if move is not None:
            self._enter(transaction, move, now, effects)
        return effects

    def receive_request(
        self, request: Request, source: Hop, now: float, *, reliable: bool = False, most: int = UNBOUNDED
    ) -> list[Effect]:
        """A request arrived; a response of this node's own to it may have so many octets at most."""
        method = request.method
        key = request.transaction_key
        if method == "ACK":
            return self._acknowledged(key, request, source, now)
        whole = key if method == "INVITE" else f"{key}\n{method}"
        known = self._servers.get(whole)
        if known is not None:
            return self._again(known, most)
        if whole in self._spent:
            return []
        if method == "CANCEL":
            return self._cancelled(key, request, source, now, reliable, most)
        if self.undecided >= self._max_undecided:
            self.counts["refused"] += 1
            return self.answer_statelessly(request, source, 503, reliable=reliable, most=most)
        return [Requested(self._serve(whole, request, source, now, reliable, most))]

    def receive_response(self, response: Response, source: Hop, now: float) -> list[Effect]:
        """A response arrived."""
        key = response.transaction_key
        transaction = self._clients.get(key)
        if transaction is None:
            return [] if key in self._spent else [StrayResponse(response, source)]
        move = transaction.take(_input_of(response.status))
        if move is None:
            return []
        effects: list[Effect] = []
        action = move.action
        if action is Action.ACKNOWLEDGE_AND_PASS:
            transaction.sent = followers.ack(transaction.request, response).octets()
            effects.append(Send(transaction.sent, transaction.destination))
        elif action is Action.ACKNOWLEDGE:
            assert transaction.sent is not None
            effects.append(Send(transaction.sent, transaction.destination))
        if action is not Action.ACKNOWLEDGE and transaction.method != "CANCEL":
            effects.append(Responded(transaction, response))
        if move.state is not transaction.state:
            self._enter(transaction, move, now, effects)
            if transaction.cancelled and transaction.state is InviteClient.PROCEEDING:
                self._send_cancel(transaction, now, effects)
        return effects

    def due(self, now: float) -> list[Effect]:
        """Work off every timer that has run out."""
        effects: list[Effect] = []
        self._spent.due(now)
        for transaction, timer in self.timers.due(now):
            move = transaction.take(timer)
            if move is None:
                continue
            if move.action is not Action.NOTHING:
                self._ran_out(transaction, timer, move.action, now, effects)
            if move.state is not transaction.state:
                self._enter(transaction, move, now, effects)
        return effects

    # What the transaction user wants.

    def respond(
        self, transaction: ServerTransaction, response: Response, now: float, *, repeat: bool = True
    ) -> list[Effect]:
        """Send a response; nothing happens where the transaction has no more use for it.

        :param repeat: False for a refusal that timer G does not repeat: a client that has heard nothing repeats its
            INVITE and gets it again, as from a stateless server (8.2.7), and a forged source gets one response, not
            eleven.  Once a provisional response was sent, the client is silent, and timer G runs all the same
        """
        move = transaction.take(_input_of(response.status))
        if move is None:
            return []
        effects: list[Effect] = []
        unheard = transaction.sent is None
        self._say(transaction, response, effects)
        if move.forgets_sent:
            transaction.sent = None
        if move.state is not transaction.state:
            self._enter(transaction, move, now, effects)
            if unheard and not repeat:
                self._cease(transaction, "G", now)
        return effects

    def keep(self, transaction: ServerTransaction, response: Response, now: float) -> list[Effect]:
        """Take over a final response to an INVITE that another node has sent: it is sent again and acknowledged as one
        of ours; its ACK may be here already.
        """
        said = self.respond(transaction, response, now)
        effects: list[Effect] = [effect for effect in said if not isinstance(effect, Send)]
        if transaction.acknowledged and (move := transaction.take(ACK)) is not None:
            self._enter(transaction, move, now, effects)
        return effects

    def answer_statelessly(
        self,
        request: Request,
        source: Hop,
        status: int,
        reason: str | None = None,
        *,
        reliable: bool = False,
        most: int = UNBOUNDED,
    ) -> list[Effect]:
        """Answer a request without a transaction: a malformed one, one too many.  Its ACK will be absorbed.

        :param most: octets that the response may have; its reason is left out first
        """
        try:
            request.stamp(source.host, source.port)
            hop = response_hop(request.via, source, force_rport=self._force_rport or reliable)
        except ProtocolViolation:
            hop = source
        tag = self.tag_for(request)
        octets = request.response(status, reason, to_tag=tag).octets()
        if len(octets) > most:
            octets = request.response(status, "", to_tag=tag).octets()
        if len(octets) > most:
            self.counts["silent"] += 1
            return []
        return [Send(octets, hop)]

    def request(
        self, request: Request, destination: Hop, now: float, *, reliable: bool = False
    ) -> tuple[ClientTransaction, list[Effect]]:
        """Send a request, which has its Via on top and is not changed any more.  An ACK has no transaction."""
        key = f"{request.branch}\n{request.method}"
        transaction = ClientTransaction(key, request, destination, reliable)
        transaction.sent = octets = request.octets()
        self._clients[key] = transaction
        self._begin(transaction, now)
        return transaction, [Send(octets, destination)]

    def readdress(
        self, transaction: ClientTransaction, destination: Hop, now: float, *, reliable: bool
    ) -> list[Effect]:
        """Send a request another way, its top Via changed: the transport was too small for it, or refused (18.1.1)."""
        self.timers.stop_all(transaction)
        transaction.lead(destination, reliable)
        transaction.sent = octets = transaction.request.octets()
        self._begin(transaction, now)
        return [Send(octets, destination)]

    def client_of(self, request: Request) -> ClientTransaction | None:
        """The transaction in which a request of ours was sent, while it waits for its final response."""
        transaction = self._clients.get(f"{request.branch}\n{request.method}")
        return transaction if transaction is not None and transaction.state.undecided else None

    def undeliverable(self, transaction: ClientTransaction, now: float) -> list[Effect]:
        """The transport could not send a request: that counts as a 503 (section 16.9), and the transaction ends."""
        move = transaction.take("B" if isinstance(transaction.state, InviteClient) else "F")
        if move is None:
            return []
        effects: list[Effect] = []
        if transaction.method != "CANCEL":
            effects.append(Responded(transaction, transaction.request.response(503)))
        self._enter(transaction, move, now, effects)
        return effects

    def cancel(self, transaction: ClientTransaction, now: float) -> list[Effect]:
        """Cancel an INVITE of ours (9.1): now, or when the first provisional response is there, or not at all."""
        effects: list[Effect] = []
        if not transaction.cancelled:
            transaction.cancelled = True
            if transaction.state is InviteClient.PROCEEDING:
                self._send_cancel(transaction, now, effects)
        return effects

    def hush(self, transaction: ClientTransaction, now: float) -> None:
        """Send a request of ours no more; what is answered to it is still heard, until its transaction ends."""
        self._cease(transaction, "A" if transaction.method == "INVITE" else "E", now)

    # The parts.

    def _cease(self, transaction: Transaction, timer: str, now: float) -> None:
        """Retransmit no more; it is given up all the same, a first interval later at most."""
        if self.timers.stop(transaction, timer) and transaction.is_fresh:
            timeout, left_s = GIVING_UP[timer]
            self.timers.start(transaction, timeout, T1 + left_s, now)

    def _again(self, transaction: ServerTransaction, most: int) -> list[Effect]:
        move = transaction.take(REQUEST)
        if move is None or transaction.sent is None:
            return []
        if most < transaction.most < UNBOUNDED:
            # A shorter one is no retransmission: it wants much for little.
            self.counts["silent"] += 1
            return []
        return [Send(transaction.sent, transaction.destination)]

    def _ran_out(self, transaction: Transaction, timer: str, action: Action, now: float, effects: list[Effect]) -> None:
        if action is Action.RESEND:
            if transaction.is_fresh:
                timeout, left_s = GIVING_UP[timer]
                self.timers.start(transaction, timeout, left_s, now)
            if transaction.sent is not None:
                effects.append(Send(transaction.sent, transaction.destination))
                self.timers.start(transaction, timer, transaction.lengthen(timer), now)
        elif action is Action.SAY_TRYING and transaction.sent is None:
            assert isinstance(transaction, ServerTransaction)
            self._say(transaction, transaction.request.response(100), effects)
        elif action is Action.TIME_OUT and transaction.method != "CANCEL":
            assert isinstance(transaction, ClientTransaction)
            effects.append(TimedOut(transaction))

    def _say(self, transaction: ServerTransaction, response: Response, effects: list[Effect]) -> None:
        """Send a response, and keep it; or say nothing, then and later."""
        octets = response.octets()
        if response.ours and len(octets) > transaction.most:
            self.counts["silent"] += 1
            transaction.sent = None
            return
        transaction.sent = octets
        effects.append(Send(octets, transaction.destination))

    def _acknowledged(self, key: str, ack: Request, source: Hop, now: float) -> list[Effect]:
        transaction = self._servers.get(key)
        if transaction is None:
            if key in self._spent:
                return []
            if len(ack.to_tag or "") == 2 * self._tags.digest_size and ack.to_tag == self.tag_for(ack):
                self.counts["absorbed"] += 1
                return []
            return [Acknowledged(ack, source)]
        move = transaction.take(ACK)
        if move is None:
            transaction.acknowledged = True
            return []
        if move.action is Action.PASS:
            return [Acknowledged(ack, source)]
        effects: list[Effect] = []
        self._enter(transaction, move, now, effects)
        return effects

    def _cancelled(self, key: str, cancel: Request, source: Hop, now: float, reliable: bool, most: int) -> list[Effect]:
        invite = self._servers.get(key)
        transaction = self._serve(f"{key}\nCANCEL", cancel, source, now, reliable, most)
        response = cancel.response(200 if self.is_known(key) else 481, to_tag=self.tag_for(cancel))
        effects = self.respond(transaction, response, now)
        if invite is not None and invite.state is InviteServer.PROCEEDING:
            effects.append(Cancelled(invite))
        return effects

    def _serve(
        self, key: str, request: Request, source: Hop, now: float, reliable: bool, most: int
    ) -> ServerTransaction:
        request.stamp(source.host, source.port)
        hop = source if reliable or self._force_rport else response_hop(request.via, source, force_rport=False)
        self._servers[key] = transaction = ServerTransaction(key, request, source, hop, reliable, most)
        self._begin(transaction, now)
        return transaction

    def _send_cancel(self, transaction: ClientTransaction, now: float, effects: list[Effect]) -> None:
        cancel = followers.cancel(transaction.request)
        _, sent = self.request(cancel, transaction.destination, now, reliable=transaction.reliable)
        effects += sent
        self.timers.start(transaction, CANCEL_TIMER, CANCELLED_FOR, now)

    def _begin(self, transaction: Transaction, now: float) -> None:
        state = transaction.state
        for timer, duration in state.reliable_timers if transaction.reliable else state.timers:
            self.timers.start(transaction, timer, duration, now)

    def _enter(self, transaction: Transaction, move: Move, now: float, effects: list[Effect]) -> None:
        transaction.enter(move)
        for timer in move.stop:
            self.timers.stop(transaction, timer)
        if move.ends or move.spends:
            if not (move.ends or transaction.reliable) and (dropped := self._spent.add(transaction.key, now)):
                self.counts["dropped"] += dropped
            self._forget(transaction, effects)
            return
        for timer, duration in move.start:
            self.timers.start(transaction, timer, duration, now)
        if move.settles:
            self._absorb(transaction, effects)

    def _absorb(self, transaction: Transaction, effects: list[Effect]) -> None:
        """Nothing is decided in it any more: it answers what is sent again, for a while."""
        if len(self._absorbing) >= self._max_absorbing:
            oldest, _ = self._absorbing.popitem(last=False)
            self.counts["dropped"] += 1
            self.timers.stop_all(oldest)
            oldest.end()
            self._forget(oldest, effects)
        self._absorbing[transaction] = None

    def _forget(self, transaction: Transaction, effects: list[Effect]) -> None:
        if transaction in self._absorbing:
            del self._absorbing[transaction]
        transactions = self._servers if isinstance(transaction, ServerTransaction) else self._clients
        if transactions.get(transaction.key) is transaction:
            del transactions[transaction.key]
        if transaction.method != "CANCEL":
            effects.append(Ended(transaction))


def _input_of(status: int) -> str:
    if status < 200:
        return PROVISIONAL
    return SUCCESS if status < 300 else FAILURE
