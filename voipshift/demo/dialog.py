"""The caller's side of a dialog: RFC 3261 section 12.1.2, made from the 2xx to its INVITE."""

from __future__ import annotations

from voipshift.errors import ProtocolViolation
from voipshift.sip.grammar import NameAddr
from voipshift.sip.message import Request, Response, request
from voipshift.sip.uri import SipUri

MAX_FORWARDS = "70"


class Dialog:
    """What requests within a call have in common.

    :ivar next_hop: where they are sent: the first Route, else the far end's Contact
    :raises ProtocolViolation: the response has no Contact that can be called
    """

    def __init__(self, invite: Request, response: Response) -> None:
        contacts = response.values("contact")
        if not contacts:
            raise ProtocolViolation("a 2xx without a Contact")
        self._target = NameAddr.parse(contacts[0]).uri
        self._routes = list(reversed(response.values("record-route")))
        self._from = invite.get("from") or ""
        self._to = response.get("to") or ""
        self._call_id = invite.call_id
        self._sequence = invite.cseq[0]
        self.to_tag = response.to_tag
        self.next_hop = SipUri.parse(NameAddr.parse(self._routes[0]).uri if self._routes else self._target)

    def ack(self) -> Request:
        """The ACK to the 2xx, which has the INVITE's sequence number (13.2.2.4)."""
        return self._request("ACK", self._sequence)

    def bye(self) -> Request:
        """The request that ends the call."""
        return self._request("BYE", self._sequence + 1)

    def _request(self, method: str, sequence: int) -> Request:
        fields = [("Route", route) for route in self._routes]  # loose routers all: RFC 2543 is not spoken here
        fields += [
            ("Max-Forwards", MAX_FORWARDS),
            ("From", self._from),
            ("To", self._to),
            ("Call-ID", self._call_id),
            ("CSeq", f"{sequence} {method}"),
        ]
        return request(method, self._target, fields)
