"""The direct answer: the node that accepts a call attempt tells the client itself, from its own address.

The other of the two ways for an identity to return.  The entry gives the accepting node the header lines of its
response along, To tag included (:meth:`DirectAnswers.reply`); that node adds the Contact, sends the 302 once
(:meth:`DirectAnswers.consider`), and answers the chain as well.  The entry, to which the client's ACK comes, keeps the
same response in its transaction without sending it: that it is sent again, by timer G or to an INVITE that comes again,
is the entry's, and so a datagram that is lost costs half a second and no call.

It is for clients over UDP which are where their one Via says, and did not ask by ``rport`` for responses that come from
where they sent the request to (RFC 3581 section 4); and, a stated deviation from that, for addresses of the operator's
own choice.  All others are answered by the chain.  Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import TYPE_CHECKING

from voipshift.errors import ProtocolViolation
from voipshift.node import Acceptance, CallAttempt, Load, NodeIdentity
from voipshift.sip.identification import LEASE
from voipshift.sip.listeners import Listeners
from voipshift.sip.message import Request, Response, parse
from voipshift.sip.transaction import Hop, ServerTransaction

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

#: What a client's header lines may have in an Ask (LONGEST_REPLY there), which has 1200 octets in all.  A telephone's
#: have some 300.
MAX_REPLY = 500
DOOR = "sip/udp"
_START = b"SIP/2.0 302 Moved Temporarily\r\n"
_END = b"Content-Length: 0\r\n\r\n"

Consider = Callable[
    [CallAttempt, tuple[Load, ...], float, Callable[[], None], str], "Deferred[Acceptance]"
]  # the attempt, its path, the seconds left, pending, its entry


class DirectAnswers:
    """Both ends of the direct answer.

    :param identity: this node, as clients reach it
    :param listeners: its ports
    :param offers: whether this node, as an entry, has others answer its clients
    :param also_to: clients that are answered directly although they asked for ``rport``
    :param consider: decides about an attempt that a member asks about
    :param tag: the To tag of a response to a request
    :param send: sends octets without a transaction
    :ivar sent: 302 that went to other nodes' clients
    """

    def __init__(
        self,
        *,
        identity: NodeIdentity,
        listeners: Listeners,
        offers: bool,
        also_to: Sequence[IPv4Network | IPv6Network],
        consider: Consider,
        tag: Callable[[Request], str],
        send: Callable[[bytes, Hop], None],
    ) -> None:
        self._identity = identity
        self._listeners = listeners
        self._offers = offers
        self._also_to = tuple(also_to)
        self._consider = consider
        self._tag = tag
        self._send = send
        self.sent = 0

    # The entry's end.

    def reply(self, invite: ServerTransaction) -> bytes:
        """The header lines of the 302 to an INVITE, for the node that accepts it; none where the chain answers."""
        if not self._offers or not self._suits(invite):
            return b""
        request = invite.request
        octets = request.response(302, to_tag=self._tag(request)).octets()
        lines = octets[len(_START) : -len(_END)]
        return lines if len(lines) <= MAX_REPLY and octets == _START + lines + _END else b""

    def _suits(self, invite: ServerTransaction) -> bool:
        request, source = invite.request, invite.source
        if self._listeners.doors[source.listener] != DOOR or invite.destination != source:
            return False
        if request.uri[:5].lower() == "sips:" or not request.has_one_via:
            return False
        via = request.via
        if "rport" not in via.parameters and via.address == (source.host, source.port):
            return True
        if not self._also_to:
            return False
        address = ip_address(source.host)
        return any(address in network for network in self._also_to)

    # The end of the node that accepts.

    def consider(
        self, attempt: CallAttempt, path: tuple[Load, ...], left_s: float, pending: Callable[[], None], entry: str
    ) -> Deferred[Acceptance]:
        """Decide about an attempt that a member asks about, and tell the client if this node takes it."""
        considered = self._consider(attempt, path, left_s, pending, entry)
        return considered.addCallback(self._accepted, attempt) if attempt.reply else considered

    def _accepted(self, acceptance: Acceptance, attempt: CallAttempt) -> Acceptance:
        if acceptance.node.name != self._identity.name:
            return acceptance
        hop = self._way(attempt)
        response = None if hop is None else self._response(attempt, acceptance.lease, hop.listener)
        if hop is None or response is None:
            return acceptance
        self.sent += 1
        self._send(response, hop)
        return acceptance.replace(told=True)

    def _response(self, attempt: CallAttempt, lease: str, listener: int) -> bytes | None:
        """The 302; None where what came along does not make one, of one Via and with a To tag."""
        uri = self._listeners.contact(listener, self._identity.doors[DOOR], attempt.callee, secure=False)
        contact = f"Contact: <{uri};{LEASE}={lease}>\r\n".encode("latin-1", "replace")
        octets = _START + attempt.reply + contact + _END
        try:
            response = parse(octets)
            fits = isinstance(response, Response) and response.has_one_via and response.to_tag is not None
        except ProtocolViolation:
            return None
        return octets if fits and len(response.values("Contact")) == 1 and not response.body else None

    def _way(self, attempt: CallAttempt) -> Hop | None:
        """The way to a client; None where this node has none, or it is no single machine."""
        host, port = attempt.client
        try:
            address = ip_address(host)
        except ValueError:
            return None
        if attempt.door != DOOR or DOOR not in self._identity.doors or not port:
            return None
        # The broadcast address of a network that this node is in is refused by the system.
        if address.is_multicast or address.is_unspecified or host == "255.255.255.255":
            return None
        hop = self._listeners.towards((host, port), "udp", 0)
        near = self._listeners.places[hop.listener][0]
        return hop if self._listeners.doors[hop.listener] == DOOR and (":" in near) == (":" in host) else None
