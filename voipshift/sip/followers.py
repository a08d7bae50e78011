"""The requests that follow an INVITE from hop to hop: its ACK to a failure, and its CANCEL.  Pure."""

from __future__ import annotations

from voipshift.sip.message import Request, Response

#: What they have of their INVITE, beside its top Via and the number of its CSeq.
_KEPT = ("max-forwards", "from", "to", "call-id", "route")


def ack(invite: Request, response: Response) -> Request:
    """The ACK to a final response that is no 2xx (RFC 3261 section 17.1.1.3)."""
    made = _follower(invite, "ACK")
    made.set("To", response.get("to") or "")
    return made


def cancel(invite: Request) -> Request:
    """The CANCEL of an INVITE (RFC 3261 section 9.1)."""
    return _follower(invite, "CANCEL")


def _follower(invite: Request, method: str) -> Request:
    follower = Request(method, invite.uri, [field for field in invite.fields if field[0] in _KEPT])
    follower.push_via(str(invite.via), invite.branch)
    follower.add("CSeq", f"{invite.cseq[0]} {method}")
    return follower
