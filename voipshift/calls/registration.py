"""The registrar at work: a REGISTER is checked, its client known, and the store changed (RFC 3261 section 10).

The rules are registrar.py's; here they meet the gate and the store.  A REGISTER is served where it arrives, whichever
node of the group its Request-URI names, and a user part there is no harm (clients that follow a 302 send one).  No
socket and no clock in here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Protocol

from twisted.logger import Logger

from voipshift.calls.location import Binding, Bindings, Location, Target, groups, live, user_of
from voipshift.calls.registrar import (
    IntervalTooBrief,
    Limits,
    Origin,
    Registration,
    answer,
    check_scheme,
    not_understood,
    read,
    same_contact,
    step,
)
from voipshift.errors import ProtocolViolation
from voipshift.node import Address
from voipshift.sip.auth import Party
from voipshift.sip.gain import fitting
from voipshift.sip.listeners import Listeners
from voipshift.sip.message import Request, Response
from voipshift.sip.transaction import Hop, ServerTransaction
from voipshift.sip.uri import SipUri, is_ip_address, scheme_of

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred
    from twisted.python.failure import Failure

#: Seconds after which a client whose binding could not be stored comes back.
RETRY_AFTER_S = "30"


class Gate(Protocol):
    """Who says who somebody is: :class:`voipshift.sip.gate.Gate`."""

    def identify(self, transaction: ServerTransaction, party: Party, then: Callable[[str], None]) -> None: ...


class Settle(Protocol):
    """Decides where a client is registered: :meth:`voipshift.calls.resettlement.Resettlement.settle`."""

    def __call__(
        self, transaction: ServerTransaction, user: str, *, known: bool, register: Callable[[], object]
    ) -> None: ...


class Registrar:
    """Keeps the bindings of the group's users, and says where they are.

    :param name: this node's name
    :param domains: host names that are the group's in a URI, beside its addresses; none at all: every host name is
    :param is_ours: whether an address is one of the group's
    :param vouched: whether an address may register anybody
    :param settle: decides where a client is registered that this node does not hold yet; None: here
    :param through: see :func:`voipshift.calls.location.groups`
    :param listeners: the ports of this node
    :param is_open: see :func:`voipshift.calls.location.groups`
    :param respond: sends a response in a server transaction
    :param tag: the To tag of a response to a request
    :param wall: seconds since 1970
    :ivar answered: final responses, by status
    """

    def __init__(
        self,
        *,
        name: str,
        location: Location,
        limits: Limits,
        domains: frozenset[str],
        is_ours: Callable[[Address], bool],
        gate: Gate,
        vouched: Callable[[str], bool],
        settle: Settle | None,
        through: Callable[[Binding], Address | None],
        listeners: Listeners,
        is_open: Callable[[Hop], bool],
        respond: Callable[[ServerTransaction, Response], None],
        tag: Callable[[Request], str],
        wall: Callable[[], float],
    ) -> None:
        self._name = name
        self._location = location
        self._limits = limits
        self._domains = domains
        self._is_ours = is_ours
        self._gate = gate
        self._vouched = vouched
        self._settle = settle
        self._through = through
        self._listeners = listeners
        self._is_open = is_open
        self._respond = respond
        self._tag = tag
        self._wall = wall
        self.answered: Counter[int] = Counter()
        self._log = Logger(__name__)

    def find(self, target: str) -> Deferred[tuple[tuple[Target, ...], ...]] | None:
        """Where a Request-URI's user is, group by group; None where it is nobody who could be registered here.

        One that is the Contact of a single telephone, as a transfer (RFC 3515) may name it, is that telephone alone.
        """
        user, host = user_of(target)
        is_ours = self._is_domain(target)
        is_contact = is_ip_address(host) and not self._is_ours(SipUri.parse(target).address())
        if not user or not (is_ours or is_contact):
            return None
        found = self._location.find(user)
        return found.addCallback(self._one_of, target, is_ours) if is_contact else found.addCallback(self._groups)

    def register(self, transaction: ServerTransaction) -> None:
        """Serve a REGISTER.

        :raises ProtocolViolation: what is wrong with it
        """
        request = transaction.request
        unknown = not_understood(request)
        if unknown:
            self._answer(transaction, 420, (("Unsupported", ", ".join(unknown)),))
            return
        check_scheme(request)
        if not self._is_domain(request.uri) or not self._is_domain(request.to.uri):
            raise ProtocolViolation("Not A Domain Of This Registrar", 404)
        source = transaction.source
        if self._vouched(source.host):
            self._known(transaction, None)
        else:
            self._gate.identify(transaction, Party.REGISTRAR, partial(self._known, transaction))

    def _known(self, transaction: ServerTransaction, username: str | None) -> None:
        """It is known who sent it; None is somebody who may register anybody."""
        request, source = transaction.request, transaction.source
        transport = self._listeners.doors[source.listener].removeprefix("sip/")
        origin = Origin(self._name, source.listener, (source.host, source.port), transport)
        try:
            asked = read(request, self._limits, origin.source)
        except IntervalTooBrief as brief:
            self._answer(transaction, brief.status, (("Min-Expires", str(self._limits.min_expires_s)),))
            return
        if username is not None and username != asked.user:
            raise ProtocolViolation("Somebody Else's Address Of Record", 403)
        for wish in asked.wishes:
            if self._comes_back(wish.contact):
                raise ProtocolViolation("A Contact That Is This Group", 403)
        register = partial(self._register, transaction, asked, origin)
        if self._settle is None or asked.path or not any(wish.expires_s for wish in asked.wishes):
            register()
            return
        found = self._location.find(asked.user)
        found.addCallback(self._found, transaction, asked, username is not None, register)
        found.addErrback(self._failed, transaction)

    def _found(
        self,
        bindings: Bindings,
        transaction: ServerTransaction,
        asked: Registration,
        known: bool,
        register: Callable[[], None],
    ) -> None:
        """The bindings that there are say whether this node holds the client's already."""
        assert self._settle is not None
        held = [binding.contact for binding in live(bindings, self._wall()) if binding.node == self._name]
        if any(same_contact(contact, wish.contact) for contact in held for wish in asked.wishes):
            register()
        else:
            self._settle(transaction, asked.user, known=known, register=register)

    def _register(self, transaction: ServerTransaction, asked: Registration, origin: Origin) -> None:
        now = self._wall()
        if asked.wishes or asked.everything:
            stored = self._location.change(asked.user, lambda bindings: step(asked, origin, bindings, now))
        else:
            stored = self._location.find(asked.user)
        stored.addCallback(self._stored, transaction, asked).addErrback(self._failed, transaction)

    def _stored(self, bindings: Bindings, transaction: ServerTransaction, asked: Registration) -> None:
        now = self._wall()
        self._answer(transaction, 200, answer(asked, bindings, now))

    def _failed(self, failure: Failure, transaction: ServerTransaction) -> None:
        violation = failure.value
        if isinstance(violation, ProtocolViolation):
            self._answer(transaction, violation.status, reason=violation.reason)
        else:
            self._log.failure("a registration could not be stored", failure)
            self._answer(transaction, 503, (("Retry-After", RETRY_AFTER_S),))

    def _groups(self, bindings: Bindings) -> tuple[tuple[Target, ...], ...]:
        return groups(live(bindings, self._wall()), self._name, self._through, self._is_open)

    def _one_of(self, bindings: Bindings, target: str, is_ours: bool) -> tuple[tuple[Target, ...], ...]:
        """The telephone whose Contact a Request-URI is; where it is none, all of its user's if its host is ours."""
        named = tuple(binding for binding in bindings if same_contact(binding.contact, target))
        return self._groups(named or (bindings if is_ours else ()))

    def _is_domain(self, uri: str) -> bool:
        """Whether the host of a URI is this group."""
        if not self._domains or scheme_of(uri) not in ("sip", "sips"):
            return True
        parsed = SipUri.parse(uri)
        return parsed.host in self._domains or self._is_ours(parsed.address())

    def _comes_back(self, contact: str) -> bool:
        """Whether calls to a Contact would be calls to the group, round and round."""
        return scheme_of(contact) in ("sip", "sips") and self._is_ours(SipUri.parse(contact).address())

    def _answer(
        self,
        transaction: ServerTransaction,
        status: int,
        fields: tuple[tuple[str, str], ...] = (),
        reason: str | None = None,
    ) -> None:
        self.answered[status] += 1
        self._respond(transaction, fitting(transaction, status, reason, self._tag(transaction.request), fields))
