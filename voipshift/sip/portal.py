"""The portal: what becomes of each new request that a client sends to this node.

It is the user agent server of RFC 3261 section 8.2: requests for the node itself are answered here, and all others go
to whoever has to do with them, an initial INVITE in the order in which it is asked::

    member's, with a Route into a flow       passed into it to a client of ours: the member carries the call
    Request-URI names another member         passed on to it, marked; never redirected (real phones loop otherwise)
    lease of ours in the Request-URI         served; one that is unknown, used or lapsed: our own rule alone
    no lease, but one waits for that client  served: the client dropped the parameter
    marked by a member that passed it on     our own rule alone
    anything else                            placed: accepted here, by a member, or refused (:class:`Placement`)

Before any of them it is known who calls, unless anybody may: an address that is trusted vouches for its callers, a
member for those that it passes on, a lease for the known client that it was given to; all others come by the gate.

Requests inside a dialog belong to the proxy, which carries calls; so do, once it is known who sends them, those to a
user that are no calls.  No socket and no clock in here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from voipshift.errors import ProtocolViolation
from voipshift.node import Address
from voipshift.sip.answers import Answers
from voipshift.sip.auth import Party
from voipshift.sip.gain import UNBOUNDED
from voipshift.sip.identification import LEASE, Identification
from voipshift.sip.listeners import Listeners
from voipshift.sip.message import Request
from voipshift.sip.placement import MAX_NAME, Carrier, Delegation, Find, Lease, Leases, Placement, Recorder
from voipshift.sip.priority import Marks
from voipshift.sip.seals import PASSED_ON
from voipshift.sip.transaction import ServerTransaction
from voipshift.sip.uri import SipUri, TelUri
from voipshift.sip.validation import METHODS, objection, objection_of_server

ALLOW = ("Allow", "INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE, INFO, REFER, SUBSCRIBE, NOTIFY, MESSAGE")
ACCEPT = ("Accept", "application/sdp")
#: Requests that are nothing outside a dialog (RFC 3261 section 15.1.2, RFC 3262, 3311, 6086).
WITHIN_A_DIALOG = frozenset(("BYE", "PRACK", "UPDATE", "INFO"))
#: Requests outside a dialog that go on to the user whom they name; to the node itself, OPTIONS alone means something.
FOR_USERS = frozenset(("MESSAGE", "SUBSCRIBE", "NOTIFY", "REFER", "OPTIONS"))


class Gate(Protocol):
    """Who says who a client is (:class:`voipshift.sip.gate.Gate`)."""

    def identify(self, transaction: ServerTransaction, party: Party, then: Callable[[str], None]) -> None: ...


class Registrar(Protocol):
    """Who registers users (:class:`voipshift.calls.registration.Registrar`)."""

    def register(self, transaction: ServerTransaction) -> None: ...


class Portal:
    """The front of the SIP side, told of each request that opened a server transaction.

    :param name: this node's name in the group
    :param listeners: this node's ports: what a redirect to itself and a Via name
    :param whose: the name of the node that has an address, this one included; None where nobody of the group has it
    :param answers: what it answers by itself
    :param identification: brings a client to the node that has accepted its attempt
    :param reply: what another node needs to tell the client itself
    :param is_marked: whether a member has marked a request as passed on
    :param trusts: whether an address vouches for its callers
    :param anybody: anybody may call
    :param gate: who says who all others are
    :param marks: by what a caller who is known marks a call as an emergency
    :param registrar: who registers them; None where REGISTER is not served
    :param find: where a called user is
    :param group_full: True when a call attempt would be refused right now
    :param recorder: who makes records of calls; None where nobody does
    """

    def __init__(
        self,
        *,
        name: str,
        listeners: Listeners,
        whose: Callable[[Address], str | None],
        delegation: Delegation,
        leases: Leases,
        carrier: Carrier,
        answers: Answers,
        identification: Identification,
        group_full: Callable[[], bool],
        reply: Callable[[ServerTransaction], bytes],
        is_marked: Callable[[Request], bool],
        trusts: Callable[[str], bool],
        anybody: bool,
        gate: Gate,
        registrar: Registrar | None,
        marks: Marks,
        find: Find,
        identify_self: bool,
        now: Callable[[], float],
        octets: Callable[[int], bytes],
        recorder: Recorder | None = None,
    ) -> None:
        self._name = name
        self._ours = frozenset(listeners.places)
        self._whose = whose
        self._leases = leases
        self._carrier = carrier
        self._answers = answers
        self._group_full = group_full
        self._came_back = identification.came_back
        self._is_marked = is_marked
        self._trusts = trusts
        self._anybody = anybody
        self._gate = gate
        self._registrar = registrar
        self._marks = marks
        self._now = now
        self._placement = Placement(
            name=name,
            listeners=listeners,
            delegation=delegation,
            leases=leases,
            carrier=carrier,
            answers=answers,
            identification=identification,
            reply=reply,
            trusts=trusts,
            anybody=anybody,
            marks=marks,
            find=find,
            identify_self=identify_self,
            octets=octets,
            recorder=recorder,
        )

    def requested(self, transaction: ServerTransaction) -> None:
        """A new request: answered, placed, or handed to the proxy."""
        request = transaction.request
        try:
            wrong = objection(request, self._ours, self._marks)
            if wrong is not None:
                self._answers.answer(transaction, wrong.status, wrong.fields)
                return
            uri = request.target
            if request.to_tag:
                self._carrier.within(transaction)
            elif request.method == "INVITE":
                self._invited(transaction, uri)
            else:
                self._serve(transaction, uri)
        except ProtocolViolation as violation:
            self._answers.answer(transaction, violation.status, reason=violation.reason)

    def _serve(self, transaction: ServerTransaction, uri: SipUri | TelUri) -> None:
        request = transaction.request
        if request.method in FOR_USERS and request.max_forwards != 0 and (isinstance(uri, TelUri) or uri.user):
            self._sent_to_user(transaction)
            return
        if request.method == "REGISTER" and self._registrar is not None:
            self._registrar.register(transaction)
            return
        wrong = objection_of_server(request)
        if wrong is not None:
            self._answers.answer(transaction, wrong.status, wrong.fields)
        elif request.method == "OPTIONS":
            if self._group_full():
                self._answers.refuse(transaction)
            else:
                self._answers.answer(transaction, 200, (ALLOW, ACCEPT))
        elif request.method in WITHIN_A_DIALOG:
            self._carrier.within(transaction)  # it has no To tag where a caller of RFC 2543 gave itself none
        elif request.method in METHODS:
            self._answers.answer(transaction, 405, (ALLOW,))
        else:
            self._answers.answer(transaction, 501)

    # A request to a user that is no call: it fills no slot, and is never shifted.

    def _sent_to_user(self, transaction: ServerTransaction) -> None:
        """It goes on if its sender may call; what a member sends into a flow is for the client there."""
        if self._leads_into_flow(transaction):
            return
        if self._anybody or self._trusts(transaction.source.host):
            self._placement.deliver(transaction)
        else:
            self._gate.identify(transaction, Party.PROXY, lambda user: self._placement.deliver(transaction))

    # An initial INVITE, step by step.

    def _invited(self, invite: ServerTransaction, uri: SipUri | TelUri) -> None:
        known = self._trusts(invite.source.host)
        if invite.request.has_via_parameter(PASSED_ON) and self._is_marked(invite.request):
            invite.most = UNBOUNDED
            self._sort(invite, uri, True, alone=True)
        elif known or self._anybody or self._is_vouched_for(invite, uri):
            self._sort(invite, uri, known or not self._anybody)
        elif not self._leads_into_flow(invite):
            self._gate.identify(invite, Party.PROXY, lambda user: self._sort(invite, uri, True))

    def _is_vouched_for(self, invite: ServerTransaction, uri: SipUri | TelUri) -> bool:
        """Whether its lease was given to a known client that was at that address, and called by that name.

        It comes to the node that gave it, or once more to this one, which has redirected the client to that node: to
        where it would not have, had it not known him.
        """
        if not isinstance(uri, SipUri):
            return False
        owner, host, caller = self._whose(uri.address()), invite.source.host, invite.request.from_uri
        if owner is not None and owner != self._name:
            return self._came_back(uri.parameters.get(LEASE) or "", host, caller)
        lease = self._lease(invite, uri, owner)
        if lease is None or not lease.attempt.trusted or lease.attempt.client[0] != host:
            return False
        return lease.attempt.caller == caller[:MAX_NAME]

    def _sort(self, invite: ServerTransaction, uri: SipUri | TelUri, known: bool, *, alone: bool = False) -> None:
        """What becomes of a call attempt of somebody who may call.

        :param known: it is not just anybody
        :param alone: a member passed it on
        """
        target = invite.request.uri
        if isinstance(uri, TelUri):
            self._placement.decide(invite, target, target[4:].partition(";")[0], known, alone=alone)
            return
        owner = self._whose(uri.address())
        if owner is None and self._leads_into_flow(invite):
            return
        if owner is not None and owner != self._name:
            self._carrier.pass_on(invite, uri.address())
            return
        lease = self._lease(invite, uri, owner) if len(self._leases) else None
        if lease is not None:
            self._placement.arrived(invite, lease.attempt.target, lease.id, lease.hops)
            return
        promised = LEASE in uri.parameters
        if promised:
            target = str(uri.without_parameter(LEASE))
        self._placement.decide(invite, target, uri.user or "", known, alone=promised or alone)

    def _leads_into_flow(self, invite: ServerTransaction) -> bool:
        """Whether it was for a client of this node's in a call that a member carries; then it is under way."""
        return invite.request.has("Route") and self._carrier.into_flow(invite)

    def _lease(self, invite: ServerTransaction, uri: SipUri, owner: str | None) -> Lease | None:
        """The lease that an INVITE brings, or that waits for a client which dropped it on the way."""
        if LEASE in uri.parameters:
            return self._leases.get(uri.parameters[LEASE] or "")
        if owner is None:
            return None
        return self._leases.find(invite.source.host, (uri.user or "")[:MAX_NAME], self._now())
