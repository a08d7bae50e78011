"""How long an answer to a stranger may be: who is forged is not to be hit harder than by the forger.

Over UDP anybody can write somebody else's address into a datagram, and what the node answers goes there.  So no
response of the node's own is longer than :data:`MOST_GAIN` times the request that it answers, as that came: what can be
left out is left out then, and where that does not suffice nothing is said.  What others answer goes back as it is.

No stranger is whoever is at the other end of a connection, and over UDP whom the operator trusts; and, once that was
seen, a user with his password and a member with its mark.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final

from voipshift.sip.message import Response
from voipshift.sip.transaction import ServerTransaction

#: A stranger's request gets at most so many times its own octets back.
MOST_GAIN: Final = 2
#: What those get who are no strangers.
UNBOUNDED: Final = sys.maxsize
#: Octets of the longest Contact of a 302, with an IPv6 address and a lease, but for its user.
CONTACT: Final = 120
#: A request that is longer has room for any 302: its Via, To and first line grow by less than that.
LONG_ENOUGH: Final = 300
_TAG = 16 * "0"


def fitting(
    transaction: ServerTransaction, status: int, reason: str | None, tag: str, fields: Sequence[tuple[str, str]]
) -> Response:
    """A response of the node's own, without those of its fields for which there is no room: the last ones go first."""
    response = transaction.request.response(status, reason, to_tag=tag, fields=fields)
    while fields and transaction.most < UNBOUNDED and len(response.octets()) > transaction.most:
        fields = fields[:-1]
        response = transaction.request.response(status, reason, to_tag=tag, fields=fields)
    return response


def has_room_for_redirection(transaction: ServerTransaction) -> bool:
    """Whether a request is long enough to be answered with 302, whichever node will be named."""
    if transaction.most >= MOST_GAIN * LONG_ENOUGH:
        return True
    request = transaction.request
    without = request.response(302, to_tag=_TAG)
    return len(without.octets()) + len(request.uri) + CONTACT <= transaction.most
