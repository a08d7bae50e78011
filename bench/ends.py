"""Both ends of many calls that one node carries: a caller and a gateway that answers at once, two sockets of one loop.

The caller sends INVITE, acknowledges the 200 along the route that was recorded, and hangs up later; the gateway
answers whatever it is asked with 200 and remembers nothing, an INVITE before that with 100 and 180 if it is to ring.
Nothing is sent twice.
"""

from __future__ import annotations

import select
import socket
import time
from typing import NamedTuple

#: Calls that are set up or hung up at once.
OUTSTANDING = 8
#: Without an answer for so long a request is lost.
PATIENCE_S = 3.0

_BODY = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio 40000 RTP/AVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n"
    "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=sendrecv\r\n"
)


class Leg(NamedTuple):
    """The dialog of an answered call, as the caller holds it."""

    remote: str
    to: str
    route: tuple[str, ...]


class Ends:
    """The caller and the gateway of calls through one node.

    :param node: its address
    :ivar failed: what was answered with anything but 200, or not at all
    """

    def __init__(self, gateway_port: int, *, rings: bool = False) -> None:
        self._rings = rings
        self.node = ("127.0.0.1", 0)
        self._caller = _socket(0)
        self._gateway = _socket(gateway_port)
        self._gateway_place = f"127.0.0.1:{gateway_port}"
        self._place = "{}:{}".format(*self._caller.getsockname())
        self._legs: dict[int, Leg] = {}
        self._under_way: set[int] = set()
        self.failed = 0

    def __len__(self) -> int:
        """Calls that stand."""
        return len(self._legs)

    def close(self) -> None:
        self._caller.close()
        self._gateway.close()

    def call(self, numbers: range) -> None:
        """Set up the calls of these numbers."""
        self._loop(list(numbers), "INVITE")

    def hang_up(self, numbers: range) -> None:
        """End them."""
        self._loop([number for number in numbers if number in self._legs], "BYE")

    def _loop(self, numbers: list[int], method: str) -> None:
        numbers.reverse()
        last = time.monotonic()
        while numbers or self._under_way:
            while numbers and len(self._under_way) < OUTSTANDING:
                number = numbers.pop()
                self._under_way.add(number)
                self._caller.sendto(self._request(method, number), self.node)
            ready, _, _ = select.select([self._caller, self._gateway], [], [], PATIENCE_S)
            now = time.monotonic()
            if self._gateway in ready:
                self._asked(*self._gateway.recvfrom(65535))
            if self._caller in ready and self._answered(self._caller.recv(65535).decode("latin-1"), method):
                last = now
            if now - last >= PATIENCE_S:
                self.failed += len(self._under_way)
                self._under_way.clear()
                last = now

    def _request(self, method: str, number: int) -> bytes:
        leg = self._legs.get(number) or Leg("sip:{:010d}@{}:{}".format(number, *self.node), _to(number), ())
        body = _BODY if method == "INVITE" else ""
        lines = [
            f"{method} {leg.remote} SIP/2.0",
            f"Via: SIP/2.0/UDP {self._place};branch=z9hG4bK{number:010d}{method};rport",
            *(f"Route: {value}" for value in leg.route),
            "Max-Forwards: 70",
            f'From: "Caller" <sip:caller@{self._place}>;tag={number:010d}',
            f"To: {leg.to}",
            f"Call-ID: {number:010d}-{self._place}",
            f"CSeq: {2 if method == 'BYE' else 1} {method}",
            f"Contact: <sip:caller@{self._place}>",
            "User-Agent: telephone 1.0",
            *(["Content-Type: application/sdp"] if body else []),
            f"Content-Length: {len(body)}",
        ]
        return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()

    def _answered(self, text: str, method: str) -> bool:
        """A response came to the caller; whether it was a final one that was waited for."""
        if not text.startswith("SIP/2.0 ") or text.startswith("SIP/2.0 1"):
            return False
        fields = _fields(text)
        number = int(fields["call-id"][0][:10])
        if not fields["cseq"][0].endswith(method) or number not in self._under_way:
            return False
        self._under_way.discard(number)
        if not text.startswith("SIP/2.0 200 "):
            self.failed += 1
        elif method == "BYE":
            del self._legs[number]
        else:
            remote = fields["contact"][0].strip("<>")
            route = tuple(reversed(fields.get("record-route", [])))
            self._legs[number] = Leg(remote, fields["to"][0], route)
            self._caller.sendto(self._request("ACK", number), self.node)
        return True

    def _asked(self, octets: bytes, source: tuple[str, int]) -> None:
        """A request came to the gateway."""
        text = octets.decode("latin-1")
        if text.startswith(("ACK ", "SIP/2.0 ")):
            return
        fields = _fields(text)
        body = _BODY if text.startswith("INVITE ") else ""
        if body and self._rings:
            for status in ("100 Trying", "180 Ringing"):
                self._gateway.sendto(self._response(status, fields, ""), source)
        self._gateway.sendto(self._response("200 OK", fields, body), source)

    def _response(self, status: str, fields: dict[str, list[str]], body: str) -> bytes:
        to = fields["to"][0]
        lines = [
            f"SIP/2.0 {status}",
            *(f"{name}: {value}" for name in ("via", "record-route") for value in fields.get(name, [])),
            *(f"{name}: {fields[name][0]}" for name in ("from", "call-id", "cseq")),
            f"to: {to}" if ";tag=" in to else f"to: {to};tag=g{fields['call-id'][0][:10]}",
            f"contact: <sip:gateway@{self._gateway_place}>",
            *(["content-type: application/sdp"] if body else []),
            f"content-length: {len(body)}",
        ]
        return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def _to(number: int) -> str:
    return f"<sip:{number:010d}@example.net>"


def _socket(port: int) -> socket.socket:
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    opened.bind(("127.0.0.1", port))
    return opened


def _fields(text: str) -> dict[str, list[str]]:
    """The header fields by lower-case name."""
    fields: dict[str, list[str]] = {}
    for line in text.partition("\r\n\r\n")[0].split("\r\n")[1:]:
        name, _, value = line.partition(":")
        fields.setdefault(name.strip().lower(), []).append(value.strip())
    return fields
