"""How a client learns which node has accepted its call attempt: 302 with exactly one Contact (RFC 3261 section 8.3).

The Contact names that node, with the called user and the lease.
"""

from __future__ import annotations

from voipshift.node import Address
from voipshift.sip.answers import Answers
from voipshift.sip.layer import ServerTransaction
from voipshift.sip.listeners import Listeners

#: The URI parameter in which a lease travels with the Contact of a 302.
LEASE = "lease"


class Identification:
    """Tells clients who has accepted their call attempts.

    :param listeners: this node's ports: a client stays with the transport that it came by
    """

    def __init__(self, *, listeners: Listeners, answers: Answers) -> None:
        self._listeners = listeners
        self._answers = answers

    def redirect(self, invite: ServerTransaction, callee: str, place: Address, lease: str) -> None:
        """302: the client is to connect to a place, with its lease."""
        secure = invite.request.uri[:5].lower() == "sips:"
        uri = self._listeners.contact(invite.source.listener, place, callee, secure=secure)
        self._answers.answer(invite, 302, (("Contact", f"<{uri};{LEASE}={lease}>"),))
