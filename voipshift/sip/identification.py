"""How a client gets to the node that has accepted its call attempt.

It is told: 302 with exactly one Contact (RFC 3261 section 8.3), which names that node, with the called user and the
lease.  A client that would not follow is passed on there: its INVITE goes to that node with the very Request-URI that
the client would have come with, and the client sees a proxy.  So it is with a stranger whose request is so short that a
302 could be more than twice as long.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from voipshift.node import Address
from voipshift.sip.answers import Answers
from voipshift.sip.clients import Clients
from voipshift.sip.gain import has_room_for_redirection
from voipshift.sip.listeners import Listeners
from voipshift.sip.transaction import ServerTransaction

#: The URI parameter in which a lease travels with the Contact of a 302.
LEASE: Final = "lease"


class Identification:
    """Brings clients to the nodes that have accepted their call attempts.

    :param listeners: this node's ports: a client stays with the transport that it came by
    :param clients: who follows
    :param pass_on: passes an INVITE on to a member's address, with a Request-URI; what is done if it is not there
    """

    def __init__(
        self,
        *,
        listeners: Listeners,
        answers: Answers,
        clients: Clients,
        pass_on: Callable[[ServerTransaction, Address, str, Callable[[], None]], None],
    ) -> None:
        self._listeners = listeners
        self._answers = answers
        self._clients = clients
        self._pass_on = pass_on
        self.came_back = clients.came_back

    def follows(self, transaction: ServerTransaction) -> bool:
        """Whether a client is to be redirected: it would follow, and its request is long enough."""
        return has_room_for_redirection(transaction) and self._clients.follows(transaction)

    def identify(
        self,
        invite: ServerTransaction,
        callee: str,
        place: Address,
        lease: str,
        *,
        told: bool,
    ) -> bool:
        """Send a client to a member, at the place of the client's transport, with its lease.

        :param told: the member has sent the 302 itself
        :returns: False where the client would not follow, and is still to be passed on
        """
        if told:
            self._clients.redirected(invite, lease)
            self._answers.take_over(invite, 302, self._redirected(invite, callee, place, lease))
            return True
        if self.follows(invite):
            self.redirect(invite, callee, place, lease)
            return True
        return False

    def pass_on(
        self, invite: ServerTransaction, callee: str, place: Address, lease: str, unreached: Callable[[], None]
    ) -> None:
        """Pass a client's INVITE on to a member, with its lease.

        :param unreached: called where the member is not there
        """
        self._pass_on(invite, place, self._contact(invite, callee, place, lease), unreached)

    def redirect(self, invite: ServerTransaction, callee: str, place: Address, lease: str) -> None:
        """302: the client is to connect to a place, with its lease."""
        self._clients.redirected(invite, lease)
        self._answers.answer(invite, 302, self._redirected(invite, callee, place, lease))

    def resettle(self, register: ServerTransaction, place: Address, lease: str) -> None:
        """302 to a REGISTER: the client is to register at a place, where its lease is found without being named."""
        self._clients.redirected(register, lease)
        secure = register.request.uri[:5].lower() == "sips:"
        uri = self._listeners.contact(register.source.listener, place, "", secure=secure)
        self._answers.answer(register, 302, (("Contact", f"<{uri}>"),))

    def _redirected(
        self, invite: ServerTransaction, callee: str, place: Address, lease: str
    ) -> tuple[tuple[str, str], ...]:
        return (("Contact", f"<{self._contact(invite, callee, place, lease)}>"),)

    def _contact(self, invite: ServerTransaction, callee: str, place: Address, lease: str) -> str:
        secure = invite.request.uri[:5].lower() == "sips:"
        uri = self._listeners.contact(invite.source.listener, place, callee, secure=secure)
        return f"{uri};{LEASE}={lease}"
