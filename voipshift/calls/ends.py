"""The ends of a dialog as its messages show them: who sent a request, who answers one, and where a target moves to.

What is remembered is RFC 3261 section 12.1 seen from the middle: the Contact, the route beyond this node, and besides,
where the end was really seen, for not every Contact can be reached.  Pure.
"""

from __future__ import annotations

from voipshift.calls.context import Branch
from voipshift.calls.dialogs import Dialogs, End
from voipshift.calls.route import Routing, address_of, addresses, contact_of, target_of
from voipshift.sip.fields import Message
from voipshift.sip.message import Request, Response
from voipshift.sip.transaction import ServerTransaction


def caller_of(server: ServerTransaction) -> End:
    """The end that sent a request from outside a dialog."""
    request = server.request
    source = (server.source.host, server.source.port)
    contact = contact_of(request)
    behind_nat = contact is None or _came_from_elsewhere(server)
    route = tuple(request.values("Record-Route"))
    flow = server.source if server.reliable and request.has_one_via else None
    name, target = request.get("From") or "", contact or request.from_.uri
    return End(name, target, route, source, behind_nat, flow, server.source.listener)


def is_behind_nat(server: ServerTransaction) -> bool:
    """Whether its sender can be reached where it was seen from alone: it gives no Contact, or does not know itself."""
    return contact_of(server.request) is None or _came_from_elsewhere(server)


def _came_from_elsewhere(server: ServerTransaction) -> bool:
    return server.request.has_one_via and server.request.via_host != server.source.host


def callee_of(response: Response, branch: Branch, dialogs: Dialogs, routing: Routing) -> End:
    """The end that answers; its route is what was recorded between this node and it, nearest first.

    Requests of the dialogs may go there from now on.
    """
    client = branch.client
    assert client is not None
    to = client.destination
    contacts, recorded = response.values("Contact"), response.values("Record-Route")
    dialogs.admit(*addresses(contacts + recorded))
    beyond = _beyond_us(recorded, routing)
    target = (target_of(contacts[0]) if contacts else None) or response.to.uri
    # Many leave the transport out of their Contact; at the same address it is the one by which they were called.
    there = branch.target.listener is not None or address_of(f"<{target}>") == (to.host, to.port)
    flow = to if client.reliable and there and not beyond else None
    name, behind_nat = response.get("To") or "", branch.target.behind_nat
    return End(name, target, beyond, (to.host, to.port), behind_nat, flow, to.listener)


def _beyond_us(recorded: list[str], routing: Routing) -> tuple[str, ...]:
    """The route from this node to whoever sent a response, as a request to him has it."""
    beyond: list[str] = []
    for value in recorded:
        if routing.names_us(value):
            break
        beyond.insert(0, value)
    return tuple(beyond)


def admit(dialogs: Dialogs, message: Message) -> None:
    """Let requests of the dialogs go where a message says that its sender and his proxies are."""
    dialogs.admit(*addresses(message.values("Contact") + message.values("Record-Route")))


def refresh(dialogs: Dialogs, request: Request, response: Response) -> None:
    """Note the targets that a request and its 2xx have moved (target refresh, section 12.2)."""
    ends = ((dialogs.near_end(request), contact_of(request)), (dialogs.far_end(request), contact_of(response)))
    for end, target in ends:
        if end is not None and target is not None:
            end.target = target
    dialogs.admit(*addresses(request.values("Contact") + response.values("Contact")))
