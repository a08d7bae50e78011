"""A stream cut into messages: RFC 3261 section 18.3, and the keep-alives of RFC 5626 section 4.4.1.

On a stream the Content-Length alone says where a message ends.  When it cannot be believed nothing behind it can be
found any more, so that the connection is of no more use: :class:`Broken`.  What comes out does not depend on how the
octets were cut on their way.  What a message says is not looked at here.  Pure.
"""

from __future__ import annotations

import re

from voipshift.sip.message import MAX_MESSAGE

#: What a far end sends to hear whether the connection lives; it is answered with :data:`PONG`.
PING = b"\r\n\r\n"
PONG = b"\r\n"

#: Digits of a Content-Length that is read: 64 kB have five, and some write zeros in front.
MAX_DIGITS = 10
#: What a method, or the version of a response, can begin with.
_BEGINS = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.!%*_+`'~")
_LENGTH = re.compile(rb"\r\n(?:content-length|l)[ \t]*+:((?:[^\r]++|\r\n[ \t])*+)", re.IGNORECASE)
_TYPE = re.compile(rb"\r\n(?:content-type|c)[ \t]*+:", re.IGNORECASE)
_VERSION = re.compile(rb"(?i)sip/[0-9]")


class Broken:
    """The stream cannot be cut any further.

    :ivar reason: what was wrong
    :ivar head: the head of the message that is wrong, where its sender can be told; else None
    """

    __slots__ = ("head", "reason")

    def __init__(self, reason: str, head: bytes | None = None) -> None:
        self.reason = reason
        self.head = head

    def __repr__(self) -> str:
        return f"<Broken: {self.reason}>"


class Framing:
    """The incoming half of a connection."""

    __slots__ = ("_broken", "_line_ends", "_octets", "_searched", "_size")

    def __init__(self) -> None:
        self._octets = bytearray()
        #: How far there is no end of a head.
        self._searched = 0
        #: Octets of the message under way, once its head is there.
        self._size: int | None = None
        self._line_ends = 0
        self._broken = False

    @property
    def begun(self) -> bool:
        """Whether a message has begun whose end is not there."""
        return bool(self._octets) and not self._broken and self._octets != b"\r"

    def feed(self, octets: bytes) -> list[bytes | Broken]:
        """Take octets from the stream.

        :returns: what is complete with them: messages, :data:`PING`, and at last perhaps why there will be no more
        """
        found: list[bytes | Broken] = []
        if self._broken:
            return found
        buffer = self._octets
        buffer += octets
        while buffer:
            if self._size is None and self._searched == 0 and buffer[0] == 13:
                if len(buffer) == 1:
                    break
                if buffer[1] == 10:
                    del buffer[:2]
                    self._line_ends += 1
                    if self._line_ends == 2:
                        self._line_ends = 0
                        found.append(PING)
                    continue
            whole = self._next()
            if whole is None:
                break
            found.append(whole)
            if isinstance(whole, Broken):
                self._broken = True
                buffer.clear()
                break
        return found

    def _next(self) -> bytes | Broken | None:
        """The next message, if it is there."""
        buffer = self._octets
        self._line_ends = 0
        size = self._size
        if size is None:
            read = self._read_head()
            if not isinstance(read, int):
                return read
            self._size = size = read
        if len(buffer) < size:
            return None
        message = bytes(buffer[:size])
        del buffer[:size]
        self._size = None
        self._searched = 0
        return message

    def _read_head(self) -> int | Broken | None:
        """Look for the end of the head: the size of the message, by what its Content-Length says."""
        buffer = self._octets
        if buffer[0] not in _BEGINS:
            return Broken("not the beginning of a message")
        end = buffer.find(b"\r\n\r\n", max(0, self._searched - 3))
        if end < 0 and len(buffer) <= MAX_MESSAGE:
            self._searched = len(buffer)
            return None
        if end < 0 or end + 4 > MAX_MESSAGE:
            return Broken("a message longer than 64 kB")
        head = bytes(buffer[: end + 4])
        if _VERSION.search(head, 0, head.index(b"\r\n")) is None:
            return Broken("not the beginning of a message")
        size = _body_of(head)
        if isinstance(size, Broken):
            return size
        return len(head) + size


def _body_of(head: bytes) -> int | Broken:
    """The size of the body that follows a head."""
    lengths = _LENGTH.findall(head)
    if not lengths:
        if _TYPE.search(head) is not None:
            return Broken("a body without a Content-Length")
        return 0
    if len(lengths) > 1:
        return Broken("a second Content-Length", head)
    length = lengths[0].strip(b" \t\r\n")
    # bytes.isdigit: 0 to 9 and nothing else
    if not length.isdigit() or len(length) > MAX_DIGITS:
        return Broken("a Content-Length that cannot be", head)
    if len(head) + int(length) > MAX_MESSAGE:
        return Broken("a message longer than 64 kB", head)
    return int(length)
