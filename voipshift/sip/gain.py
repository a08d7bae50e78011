"""How much longer than a stranger's request an answer may be: who is forged is not to be hit harder than by the forger.

Over UDP anybody can write somebody else's address into a datagram, and what the node answers goes there.
"""

from __future__ import annotations

from voipshift.sip.message import Request, Response

#: A stranger's request gets at most so many times its own octets back.
MOST_GAIN = 2


def is_bounded(request: Request, response: Response) -> bool:
    """Whether a response is no longer than :data:`MOST_GAIN` times its request."""
    return len(response.octets()) <= MOST_GAIN * octets_as_it_came(request)


def octets_as_it_came(request: Request) -> int:
    """The length of a request without what the node itself has written into it: received, rport, Content-Length."""
    written = 0 if request.has("Content-Length") else len("Content-Length: 0\r\n")
    said = request.via.parameters
    if "received" in said:
        written += len(f";received={said['received']}")
    if said.get("rport"):
        written += len(f"={said['rport']}")
    return len(request.octets()) - written
