"""Which clients are redirected, and which are not because they would not follow.

Some clients end the call on any 3xx, others do not know it at all; they get their node by being passed on to it.  Who
they are is said by the operator's rules, the first that fits, or **learnt**: a client to which a 302 was delivered (it
sent the ACK) and for which the lease at the other node lapsed all the same did not follow, and is not asked to for an
hour.  It is known by its address and its User-Agent, for there may be many behind one address; and for each method
apart, since those that follow with an INVITE need not do so with a REGISTER.

A client that goes another way than the node knows, or whose user hangs up at the 302, is taken for one that does not
follow: its calls are carried as well, and cost a hop more for that hour.  Pure.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Final, Literal, NamedTuple

from voipshift.sip.transaction import ServerTransaction

Redirect = Literal["always", "never", "auto"]
#: How long a client that did not follow is not asked to.
MARKED_S = 3600.0
#: Clients that are known not to follow; beyond that the one that was found out first is asked again.
MAX_MARKED = 10_000
#: A lease that lapses is told of some time after it did.
TOLD_AFTER_S = 5.0
#: Redirects whose leases may still lapse, twice over: as long as a lease lasts, of 6000 a second; of more the oldest
#: teach nothing.
MAX_AWAITED = 100_000
#: Addresses whose rules are remembered; beyond that all are looked up anew.
MAX_MEMORY = 4096
#: How much of a User-Agent tells two clients of one address apart.
MAX_USER_AGENT: Final = 64

#: Method, address and User-Agent.
_Client = tuple[str, str, str]
#: Where a client is and as whom it called; and, where something is to be learnt of it, which one it is, and in which
#: transaction it was redirected.
_Redirected = tuple[str, str, tuple[_Client, ServerTransaction] | None]


class ClientRule(NamedTuple):
    """What is done with some clients.

    :ivar networks: where they are; none at all is anywhere
    :ivar user_agent: what is in their User-Agent, in any case; the empty one is in each
    """

    networks: Sequence[IPv4Network | IPv6Network]
    user_agent: str
    redirect: Redirect


class Clients:
    """What is known of clients.

    :param otherwise: for clients that no rule fits
    :param lease_s: how long a lease lasts, at all members
    :param trusts: whether an address vouches for its callers, so that nobody asks whether one of them came back
    """

    def __init__(
        self,
        *,
        rules: Sequence[ClientRule],
        otherwise: Redirect,
        lease_s: float,
        trusts: Callable[[str], bool],
        now: Callable[[], float],
    ) -> None:
        self._rules = tuple(rule._replace(user_agent=rule.user_agent.lower()) for rule in rules)
        self._otherwise = otherwise
        self._awaited_s = lease_s + TOLD_AFTER_S
        self._trusts = trusts
        self._now = now
        self._fitting: dict[str, tuple[ClientRule, ...]] = {}
        #: Client -> until when it is not redirected; the one that was found out first in front.
        self._marked: OrderedDict[_Client, float] = OrderedDict()
        #: Lease -> who was redirected with it: since ``_turned``, and for as long before that.
        self._young: dict[str, _Redirected] = {}
        self._old: dict[str, _Redirected] = {}
        self._turned = now()

    def follows(self, transaction: ServerTransaction) -> bool:
        """Whether a client is to be redirected."""
        redirect = self._rule(transaction) if self._rules else self._otherwise
        if redirect != "auto":
            return redirect == "always"
        return not self._marked or not self._is_marked(_client(transaction))

    def redirected(self, transaction: ServerTransaction, lease: str) -> None:
        """A client is about to be redirected with a lease, by the response that its transaction gets next."""
        learns = (self._rule(transaction) if self._rules else self._otherwise) == "auto"
        if not learns and self._trusts(transaction.source.host):
            return
        now = self._now()
        if now - self._turned >= self._awaited_s or len(self._young) >= MAX_AWAITED:
            self._old = self._young if now - self._turned < 2 * self._awaited_s else {}
            self._young = {}
            self._turned = now
        learner = (_client(transaction), transaction) if learns else None
        self._young[lease] = (transaction.source.host, transaction.request.from_uri, learner)

    def came_back(self, lease: str, host: str, caller: str) -> bool:
        """A request came with a lease of another node: whether a client at that address, which called by that name, was
        redirected with it not long ago.  It is so once.
        """
        found = self._young.get(lease) or self._old.get(lease)
        if found is None or found[0] != host or found[1] != caller:
            return False
        self._forget(lease)
        return True

    def lapsed(self, lease: str) -> None:
        """Nobody came with a lease."""
        found = self._young.get(lease) or self._old.get(lease)
        if found is None:
            return
        self._forget(lease)
        if found[2] is None:
            return
        client, transaction = found[2]
        if transaction.is_delivered:
            self._marked[client] = self._now() + MARKED_S
            self._marked.move_to_end(client)
            if len(self._marked) > MAX_MARKED:
                self._marked.popitem(last=False)

    def _forget(self, lease: str) -> None:
        del (self._young if lease in self._young else self._old)[lease]

    def _is_marked(self, client: _Client) -> bool:
        until = self._marked.get(client)
        if until is None:
            return False
        if until <= self._now():
            del self._marked[client]
            return False
        return True

    def _rule(self, transaction: ServerTransaction) -> Redirect:
        host = transaction.source.host
        fitting = self._fitting.get(host)
        if fitting is None:
            if len(self._fitting) >= MAX_MEMORY:
                self._fitting.clear()
            address = ip_address(host)
            fitting = tuple(
                rule
                for rule in self._rules
                if not rule.networks or any(address in network for network in rule.networks)
            )
            self._fitting[host] = fitting
        for rule in fitting:
            if not rule.user_agent or rule.user_agent in (transaction.request.get("User-Agent") or "").lower():
                return rule.redirect
        return self._otherwise


def _client(transaction: ServerTransaction) -> _Client:
    user_agent = transaction.request.get("user-agent")
    return transaction.method, transaction.source.host, user_agent[:MAX_USER_AGENT] if user_agent else ""
