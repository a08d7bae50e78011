"""The gate: a request of somebody whom its address does not vouch for goes on once it is known who that is.

Addresses that the operator trusts never come here, ACK and CANCEL neither.  The credentials of the request are judged,
or it is answered with a challenge; which of the reasons it was (nobody of that name, a wrong password, a nonce that
nobody knows) cannot be told from the answer.

No answer to a stranger is longer than twice its request (:mod:`voipshift.sip.gain`): where a request is too short for
all challenges, it gets fewer.  Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from twisted.internet.defer import CancelledError
from twisted.logger import Logger

from voipshift.errors import ProtocolViolation
from voipshift.sip.auth import Authenticator, Party, Secrets, Users, Verdict
from voipshift.sip.digest import Credentials
from voipshift.sip.gain import UNBOUNDED, fitting
from voipshift.sip.guesses import Guesses
from voipshift.sip.message import Request, Response
from voipshift.sip.transaction import ServerTransaction
from voipshift.sip.uri import SipUri, TelUri, scheme_of, unescape

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred
    from twisted.python.failure import Failure

#: The host of a From that hides who calls (RFC 3323 section 4.1.1.3).
ANONYMOUS_HOST = "anonymous.invalid"

Answer = Callable[[ServerTransaction, Response], None]


class Waiting:
    """A request that waits for a store."""

    __slots__ = ("_found",)

    def __init__(self, found: Deferred[None]) -> None:
        self._found = found

    def cancelled(self, invite: ServerTransaction) -> None:
        """The client sent CANCEL: the INVITE ends with 487."""
        self._found.cancel()


class Gate:
    """Says who somebody is.

    :param users: the store of users; None where there are none, so that strangers cannot become known
    :param as_anybody: users may call by other names than their own
    :param respond: sends a response in a server transaction
    :param tag: the To tag of a response to a request
    :param charge: told of each address that sent wrong credentials
    :ivar counts: what was asked and what was answered: challenged, right, stale, wrong, refused; or not: ignored
    """

    def __init__(
        self,
        *,
        authenticator: Authenticator,
        users: Users | None,
        as_anybody: bool,
        respond: Answer,
        tag: Callable[[Request], str],
        charge: Callable[[str, float], None],
        now: Callable[[], float],
    ) -> None:
        self._authenticator = authenticator
        self._users = users
        self._as_anybody = as_anybody
        self._respond = respond
        self._tag = tag
        self._charge = charge
        self._now = now
        self._guesses = Guesses()
        self.counts: Counter[str] = Counter()
        self._log = Logger(__name__)

    def consume(self, request: Request) -> None:
        """Take the credentials that were for this node out of a request before it goes on to somebody else."""
        self._authenticator.consume(request)

    def identify(self, transaction: ServerTransaction, party: Party, then: Callable[[str], None]) -> None:
        """Let a request go on, or answer it.

        :param then: called with the user's name, at once or later
        """
        request = transaction.request
        if self._users is None:
            self.counts["refused"] += 1
            self._answer(transaction, 403)
            return
        claim = self._authenticator.claim(request, party, self._now())
        if claim is None:
            self.counts["challenged"] += 1
            self._challenge(transaction, party)
            return
        if not self._guesses.may(transaction.source.host, claim.username, self._now()):
            self.counts["ignored"] += 1
            transaction.most = 0
            self._answer(transaction, 403)
            return
        found = self._users.secrets(claim.username)
        known = found.addCallback(self._found, transaction, party, claim, then)
        known.addErrback(self._failed, transaction)
        if not known.called:
            transaction.user = Waiting(known)

    def _found(
        self,
        secrets: Secrets | None,
        transaction: ServerTransaction,
        party: Party,
        claim: Credentials,
        then: Callable[[str], None],
    ) -> None:
        transaction.user = None
        verdict = self._authenticator.judge(claim, transaction.request.method, secrets, self._now())
        self.counts[verdict.value] += 1
        if verdict is Verdict.RIGHT:
            transaction.most = UNBOUNDED
            if party is Party.PROXY and not self._as_anybody and not _is_from(transaction.request, claim.username):
                raise ProtocolViolation("Not Your Address Of Record", 403)
            then(claim.username)
            return
        if verdict is Verdict.WRONG:
            self._charge(transaction.source.host, self._now())
            self._guesses.wrong(transaction.source.host, claim.username, self._now())
        self._challenge(transaction, party, stale=verdict is Verdict.STALE)

    def _failed(self, failure: Failure, transaction: ServerTransaction) -> None:
        """The chain ends here, whoever of it failed."""
        transaction.user = None
        violation = failure.value
        if isinstance(violation, CancelledError):
            self._answer(transaction, 487)
        elif isinstance(violation, ProtocolViolation):
            self._answer(transaction, violation.status, reason=violation.reason)
        else:
            self._log.failure("who sent a request could not be found out", failure)
            self._answer(transaction, 500)

    def _challenge(self, transaction: ServerTransaction, party: Party, *, stale: bool = False) -> None:
        request = transaction.request
        fields = list(self._authenticator.challenge(party, self._now(), stale=stale))
        response = fitting(transaction, party.status, None, self._tag(request), fields)
        if response.has(party.challenge):
            self._respond(transaction, response)
        else:
            self._answer(transaction, 403)

    def _answer(self, transaction: ServerTransaction, status: int, reason: str | None = None) -> None:
        request = transaction.request
        self._respond(transaction, request.response(status, reason, to_tag=self._tag(request)))


def _is_from(request: Request, username: str) -> bool:
    """Whether a request says that it is from that user, of whatever domain, or from nobody in particular (RFC 3323)."""
    uri = request.from_uri
    if scheme_of(uri) == "tel":
        return TelUri.parse(uri).number == username
    if scheme_of(uri) not in ("sip", "sips"):
        return False
    parsed = SipUri.parse(uri)
    user = unescape(parsed.user or "")
    return user == username or (user.lower() == "anonymous" and parsed.host == ANONYMOUS_HOST)
