"""Registrations are shifted as calls are: by 302 to the member that accepts the client (RFC 3261 section 21.3.3).

A REGISTER that would make a new binding is placed by the rule of calls, and a lease keeps the client's place at the
member that accepts it.  The Contact of the 302 is that member's address alone, as clients that follow a REGISTER expect
it, so that the client is known there by its address and its address of record.  It is not shifted again there, nor are
its refreshments at the node that holds its binding.  Where nobody has room it is registered where it is: a telephone
that is not registered is not called, and a registration needs no slot.  No socket and no clock in here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from twisted.logger import Logger

from voipshift.errors import Refused
from voipshift.node import Acceptance, Address, CallAttempt
from voipshift.sip.identification import Identification
from voipshift.sip.listeners import Listeners
from voipshift.sip.placement import MAX_NAME, MAX_TARGET, Delegation
from voipshift.sip.transaction import ServerTransaction
from voipshift.sip.uri import SipUri

if TYPE_CHECKING:
    from twisted.python.failure import Failure

#: What stands before the address of record where an attempt to call has whom it calls: no user part has a blank, so
#: that the lease of a registration is nobody's call, and that of a call no registration.
REGISTERS = "REGISTER "


class Lease(Protocol):
    """A place that waits for its client."""

    @property
    def id(self) -> str: ...


class Leases(Protocol):
    """The places that this node has promised."""

    def find(self, client_host: str, callee: str, now: float) -> Lease | None: ...
    def arrive(self, id: str) -> object: ...


class Resettlement:
    """Decides where a client is registered.

    :param name: this node's name
    :param whose: the name of the node that has an address
    :param identification: brings a client to the node that accepted it
    :param trusts: whether an address is one of the operator's
    """

    def __init__(
        self,
        *,
        name: str,
        listeners: Listeners,
        whose: Callable[[Address], str | None],
        delegation: Delegation,
        leases: Leases,
        identification: Identification,
        trusts: Callable[[str], bool],
        now: Callable[[], float],
        octets: Callable[[int], bytes],
    ) -> None:
        self._name = name
        self._listeners = listeners
        self._whose = whose
        self._delegation = delegation
        self._leases = leases
        self._identification = identification
        self._trusts = trusts
        self._now = now
        self._octets = octets
        self._log = Logger(__name__)

    def settle(self, transaction: ServerTransaction, user: str, *, known: bool, register: Callable[[], object]) -> None:
        """Have a client registered here, or elsewhere.

        :param user: the address of record
        :param known: it has proved to be a user
        :param register: registers it here
        """
        request, source = transaction.request, transaction.source
        callee = (REGISTERS + user)[:MAX_NAME]
        lease = self._leases.find(source.host, callee, self._now())
        if lease is not None:
            self._leases.arrive(lease.id)
            register()
            return
        if not self._may_go(transaction):
            register()
            return
        attempt = CallAttempt(
            id=self._octets(16),
            door=self._listeners.doors[source.listener],
            caller=request.from_uri[:MAX_NAME],
            callee=callee,
            target=request.uri,
            client=(source.host, source.port),
            trusted=known or self._trusts(source.host),
        )
        placed = self._delegation.place(attempt)
        placed.addCallbacks(
            self._placed, self._refused, callbackArgs=(transaction, register), errbackArgs=(register,)
        ).addErrback(lambda failure: self._log.failure("where a client registers was not decided", failure))

    def _may_go(self, transaction: ServerTransaction) -> bool:
        """Whether a client itself asks, by no other member's name, and would follow."""
        request = transaction.request
        if not request.has_one_via or len(request.uri) > MAX_TARGET:
            return False
        uri = request.target
        if isinstance(uri, SipUri) and self._whose(uri.address()) not in (None, self._name):
            return False
        return self._identification.follows(transaction)

    def _placed(self, acceptance: Acceptance, transaction: ServerTransaction, register: Callable[[], object]) -> None:
        if acceptance.node.name == self._name:
            self._leases.arrive(acceptance.lease)
            register()
            return
        place = acceptance.node.doors[self._listeners.doors[transaction.source.listener]]
        self._identification.resettle(transaction, place, acceptance.lease)

    def _refused(self, failure: Failure, register: Callable[[], object]) -> None:
        failure.trap(Refused)
        register()
