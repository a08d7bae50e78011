"""The client of the benchmarks: a closed loop of INVITEs over one UDP socket, in a process of its own.

It keeps a fixed number of requests outstanding and sends the next one when a final response came, after it has
acknowledged that one (RFC 3261 section 17.1.1.3).  It sends nothing twice: a datagram that is lost is a request that is
counted as lost.  Blocking calls on a connected socket and messages made by one substitution, so that it takes less
processor time than what it measures.

Run as a program it warms the server up, prints ``warm``, waits for a line, makes its requests, and prints one line of
JSON, a :class:`Tally`.
"""

from __future__ import annotations

import argparse
import json
import select
import socket
import struct
import subprocess
import sys
from time import perf_counter_ns
from typing import NamedTuple

from bench.processes import Starter

#: A request without an answer for so long is lost.
PATIENCE_S = 3.0
#: No measurement takes longer, whatever happens.
MAX_RUN_S = 120.0
#: What the loop must take at most to answer, in words of a process: warm-up and measurement.
MAX_PROCESS_S = 2 * MAX_RUN_S + 10
#: The buffers of the socket: all answers to what is outstanding, many times over.
BUFFER_OCTETS = 1 << 20

_COOKIE = b"z9hG4bK"
_BODY = (
    "v=0\r\no=caller 2890844526 2890844526 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio 40000 RTP/AVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n"
    "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=sendrecv\r\n"
)
#: An INVITE as a telephone sends it; the number of the request makes its URI, branch, tag and Call-ID its own.
_INVITE = (
    "INVITE sip:%(n)010d@{server} SIP/2.0\r\n"
    "Via: SIP/2.0/UDP {client};branch=z9hG4bK%(n)010d;rport\r\n"
    "Max-Forwards: 70\r\n"
    'From: "Caller" <sip:caller@{client}>;tag=%(n)010d\r\n'
    "To: <sip:%(n)010d@{server}>\r\n"
    "Call-ID: %(n)010d-{run}@127.0.0.1\r\n"
    "CSeq: 1 INVITE\r\n"
    "Contact: <sip:caller@{client}>\r\n"
    "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, INFO, REFER, NOTIFY\r\n"
    "Supported: replaces, timer\r\n"
    "User-Agent: telephone 1.0\r\n"
    "Content-Type: application/sdp\r\n"
    "Content-Length: {length}\r\n"
    "\r\n"
    "{body}"
)
_ACK = (
    "ACK sip:%(n)010d@{server} SIP/2.0\r\n"
    "Via: SIP/2.0/UDP {client};branch=z9hG4bK%(n)010d;rport\r\n"
    "Max-Forwards: 70\r\n"
    'From: "Caller" <sip:caller@{client}>;tag=%(n)010d%(to)b\r\n'
    "Call-ID: %(n)010d-{run}@127.0.0.1\r\n"
    "CSeq: 1 ACK\r\n"
    "Content-Length: 0\r\n"
    "\r\n"
)


class Tally(NamedTuple):
    """What became of a run's requests.

    :ivar answered: got the answer that was expected: a 302, or its own datagram from the echo
    :ivar lost: got none in time
    :ivar wrong: got another final response
    :ivar repeated: answers to a request that had one already
    :ivar elapsed_s: first request to last answer
    """

    answered: int
    lost: int
    wrong: int
    repeated: int
    elapsed_s: float
    p50_us: float
    p99_us: float


class Loop:
    """A closed loop towards one server.

    :param address: the server's, on loopback
    :param expected: how the answer begins
    :param acknowledges: whether a final response is acknowledged
    :param outstanding: requests under way at any moment
    """

    def __init__(self, address: tuple[str, int], expected: bytes, acknowledges: bool, outstanding: int) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for direction in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            self._socket.setsockopt(socket.SOL_SOCKET, direction, BUFFER_OCTETS)
        # Beneath Python's own timeout, which would cost a system call for each datagram.
        patience = struct.pack("ll", int(PATIENCE_S), int(PATIENCE_S % 1 * 1e6))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, patience)
        self._socket.connect(address)
        self._expected = expected
        self._outstanding = outstanding
        place = "{}:{}".format(*self._socket.getsockname())
        words = {"server": "{}:{}".format(*address), "client": place, "run": place.rpartition(":")[2]}
        self._invite = _INVITE.format(**words, body=_BODY, length=len(_BODY)).encode()
        self._ack = _ACK.format(**words).encode() if acknowledges else b""
        self._number = 0

    def close(self) -> None:
        self._socket.close()

    def run(self, requests: int) -> Tally:
        """Make so many requests."""
        send, receive, invite = self._socket.send, self._socket.recv, self._invite
        sent_at: dict[int, int] = {}
        latencies: list[int] = []
        lost = wrong = repeated = 0
        left = requests
        began = perf_counter_ns()
        deadline = began + int(MAX_RUN_S * 1e9)
        last = began
        while True:
            while left and len(sent_at) < self._outstanding:
                self._number = number = self._number + 1
                left -= 1
                octets = invite % {b"n": number}
                sent_at[number] = perf_counter_ns()
                send(octets)
            if not sent_at:
                break
            try:
                octets = receive(65535)
            except BlockingIOError:
                lost += len(sent_at)
                sent_at.clear()
                continue
            arrived = perf_counter_ns()
            if arrived > deadline:
                lost += len(sent_at) + left
                break
            if octets.startswith(b"SIP/2.0 1"):
                continue
            at = octets.find(_COOKIE) + len(_COOKIE)
            number = int(octets[at : at + 10])
            if self._ack:
                to = octets.find(b"\r\nTo:")
                send(self._ack % {b"n": number, b"to": octets[to : octets.find(b"\r\n", to + 2)]})
            before = sent_at.pop(number, None)
            if before is None:
                repeated += 1
            elif octets.startswith(self._expected):
                latencies.append(arrived - before)
                last = arrived
            else:
                wrong += 1
        latencies.sort()
        answered = len(latencies)
        p50, p99 = (latencies[int(answered * share)] / 1e3 if answered else 0.0 for share in (0.5, 0.99))
        return Tally(answered, lost, wrong, repeated, (last - began) / 1e9, p50, p99)


class Client:
    """The loop's process, as seen by who started it: it is warm when this is made, and runs once."""

    def __init__(self, starter: Starter, address: tuple[str, int], *, echo: bool, requests: int, warm_up: int) -> None:
        words = [*address, requests, "--warm-up", warm_up, *(["--echo"] if echo else [])]
        self._process = starter.start_python("-m", "bench.load", *map(str, words), talks=True)
        self._starter = starter
        self._read("warm")

    def run(self) -> Tally:
        """Make the requests, and end."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"go\n")
        self._process.stdin.flush()
        tally = Tally(**json.loads(self._read("{")))
        self._starter.stop(self._process)
        return tally

    def _read(self, beginning: str) -> str:
        line = read_line(self._process, MAX_PROCESS_S)
        if not line.startswith(beginning):
            raise SystemExit(f"the client ended: {line or 'see its words above'}")
        return line


def read_line(process: subprocess.Popen[bytes], patience_s: float) -> str:
    """Read one line that a process prints; empty when it does not come in time."""
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], patience_s)
    return process.stdout.readline().decode() if ready else ""


def main() -> int:
    """The client's process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("requests", type=int)
    parser.add_argument("--warm-up", type=int, default=0)
    parser.add_argument("--outstanding", type=int, default=8)
    parser.add_argument("--echo", action="store_true", help="expect the datagram itself, acknowledge nothing")
    arguments = parser.parse_args()
    expected = b"INVITE" if arguments.echo else b"SIP/2.0 302 "
    loop = Loop((arguments.host, arguments.port), expected, not arguments.echo, arguments.outstanding)
    try:
        loop.run(arguments.warm_up)
        print("warm", flush=True)
        sys.stdin.readline()
        print(json.dumps(loop.run(arguments.requests)._asdict()), flush=True)
    finally:
        loop.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
