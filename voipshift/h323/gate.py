"""Who calls or registers by H.323: known by its address, or by a password token of H.235.

A token proves that its sender knew a password at a time that it names (:mod:`voipshift.h323.tokens`).  It is good near
that time, and from the address that showed it first: a terminal sends the same one several times within a second, and
somebody who overheard it is somewhere else.  A message that is signed as a whole is good once; the gatekeeper knows one
that comes again before it is looked at here.  The users are those of SIP whose password is kept for this.  Pure.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from twisted.logger import Logger

from voipshift.h323.procedure import HashedToken, key_of
from voipshift.h323.tokens import AccessToken, CryptoToken

if TYPE_CHECKING:
    from twisted.python.failure import Failure

    from voipshift.sip.auth import Secrets, Users

Token = AccessToken | CryptoToken

#: How far a terminal's clock may be from ours, which is also how long a token could be shown again.
TOLERANCE_S = 600
#: Tokens that are remembered, by their proofs, with the address that showed them; only right ones are.
MAX_SHOWN = 20_000
#: Tokens of one message that are worth a look into the store: terminals send one of each kind.
MAX_TRIED = 2


class Party(NamedTuple):
    """Somebody who may go on.

    :ivar user: whose password it knew; None where its address vouches for it, or anybody may
    :ivar known: it is not just anybody
    :ivar key: what it wants its answers to be signed with; empty where it does not
    """

    user: str | None
    known: bool
    key: bytes = b""


class Gate:
    """Says who somebody is.

    :param trusts: whether an address vouches for all who are there
    :param anybody_calls: strangers may call
    :param anybody_registers: strangers may register, by any alias that is free
    :param users: the store of users; None where there are none, so that strangers cannot become known
    :param charge: told of each address that sent wrong tokens
    :param wall: seconds since 1970
    :ivar refused: those who may not go on, by the reason
    """

    def __init__(
        self,
        *,
        trusts: Callable[[str], bool],
        anybody_calls: bool,
        anybody_registers: bool,
        users: Users | None,
        charge: Callable[[str], None],
        wall: Callable[[], float],
    ) -> None:
        self.trusts = trusts
        self._anybody_calls = anybody_calls
        self._anybody_registers = anybody_registers
        self._users = users
        self._charge = charge
        self._wall = wall
        self._shown: OrderedDict[bytes, str] = OrderedDict()
        self.refused: Counter[str] = Counter()
        self._log = Logger(__name__)

    def vouches(self, host: str, *, registers: bool = False) -> Party | None:
        """Who is at an address, where that needs no password."""
        if self.trusts(host):
            return Party(None, True)
        return Party(None, False) if (self._anybody_registers if registers else self._anybody_calls) else None

    def may_try(self, host: str) -> bool:
        """Whether anybody at an address could register, if only with a password."""
        return self._users is not None or self.vouches(host, registers=True) is not None

    def is_user(self, name: str, then: Callable[[bool], None]) -> None:
        """Whether somebody has that name; not known is no."""
        if self._users is None:
            then(False)
            return
        found = self._users.secrets(name)
        found.addCallback(lambda secrets: then(secrets is not None))
        found.addErrback(self._failed, partial(then, False))

    def identify(
        self,
        host: str,
        tokens: Sequence[Token],
        octets: bytes,
        then: Callable[[Party | None], None],
        *,
        registers: bool = False,
    ) -> None:
        """Find out who somebody is.

        :param octets: the message that the tokens are in
        :param registers: it wants to register, else to call
        :param then: called at once or later; with None for somebody who may not go on
        """
        party = self.vouches(host, registers=registers)
        if party is not None:
            then(party)
        elif self._users is None or not tokens:
            self.refused["without a password"] += 1
            then(None)
        else:
            self._try(host, tuple(tokens[:MAX_TRIED]), octets, then)

    def prove(self, host: str, token: HashedToken, octets: bytes, then: Callable[[Party | None], None]) -> None:
        """Find out whether a message is signed by whom it says, also where nobody has to sign any.

        :param then: called at once or later; with None where it is not, or that cannot be known
        """
        if self._users is None:
            then(None)
        else:
            self._try(host, (token,), octets, then)

    def _try(self, host: str, tokens: tuple[Token, ...], octets: bytes, then: Callable[[Party | None], None]) -> None:
        assert self._users is not None
        found = self._users.secrets(tokens[0].user)
        found.addCallback(self._found, host, tokens, octets, then).addErrback(self._failed, partial(then, None))

    def _found(
        self,
        secrets: Secrets | None,
        host: str,
        tokens: tuple[Token, ...],
        octets: bytes,
        then: Callable[[Party | None], None],
    ) -> None:
        token = tokens[0]
        password = secrets.password if secrets is not None else ""
        if password and token.proves(password, octets):
            if self._is_fresh(token, host):
                then(Party(token.user, True, key_of(password) if isinstance(token, HashedToken) else b""))
            else:
                self.refused["with a token of another time or place"] += 1
                then(None)
        elif tokens[1:]:
            self._try(host, tokens[1:], octets, then)
        else:
            self.refused["with a wrong password"] += 1
            self._charge(host)
            then(None)

    def _is_fresh(self, token: Token, host: str) -> bool:
        """Whether a right token is of our time, and nobody else has shown it before."""
        if abs(self._wall() - token.time_stamp) > TOLERANCE_S:
            return False
        # Not by the token: it has parts that can be written in several ways, and prove the same.
        before = self._shown.get(token.proof)
        if before is not None and (before != host or isinstance(token, HashedToken)):
            return False
        self._shown[token.proof] = host
        if len(self._shown) > MAX_SHOWN:
            self._shown.popitem(last=False)
        return True

    def _failed(self, failure: Failure, then: Callable[[], None]) -> None:
        """The chain ends here, whoever of it failed."""
        self._log.failure("who somebody of H.323 is could not be found out", failure)
        then()
