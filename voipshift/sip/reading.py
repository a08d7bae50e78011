"""What is read of a plain message (:mod:`voipshift.sip.plain`): whose it is, and where its response goes."""

from __future__ import annotations

from typing import Final


class Reading:
    """What the fields of a message say that every message has (RFC 3261 section 8.1.1); nobody changes it.

    :ivar host: of the top Via's ``sent-by``, and so are ``port`` and ``branch``; as they were written
    :ivar sender: From as it was written, with ``from_uri`` and ``from_tag`` in it
    :ivar to: To as it was written, with ``to_tag`` in it where there is one
    :ivar cseq: CSeq as it was written, with ``number`` and ``method`` in it
    :ivar is_in_order: From, To, Call-ID and CSeq came in this order, as nearly everybody writes them
    """

    __slots__ = (
        "branch",
        "call_id",
        "cseq",
        "from_tag",
        "from_uri",
        "host",
        "is_in_order",
        "method",
        "number",
        "port",
        "sender",
        "to",
        "to_tag",
    )

    def __init__(
        self,
        host: str,
        port: str | None,
        branch: str,
        sender: str,
        from_uri: str,
        from_tag: str,
        to: str,
        to_tag: str | None,
        call_id: str,
        cseq: str,
        number: int,
        method: str,
        is_in_order: bool,
    ) -> None:
        self.host: Final = host
        self.port: Final = port
        self.branch: Final = branch
        self.sender: Final = sender
        self.from_uri: Final = from_uri
        self.from_tag: Final = from_tag
        self.to: Final = to
        self.to_tag: Final = to_tag
        self.call_id: Final = call_id
        self.cseq: Final = cseq
        self.number: Final = number
        self.method: Final = method
        self.is_in_order: Final = is_in_order
