"""What a node says in its group: every message that it sends is sealed here, on the stream that it belongs to.

Pure: datagrams go out through ``send``, time and randomness are given.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from voipshift.group.envelope import TOO_LONG, Outgoing, Stream
from voipshift.group.keys import Keys
from voipshift.group.messages import MOST_LAPSED, PRELUDE, Kind, Lapsed, Poll, encode_lapsed, encode_poll
from voipshift.group.peer import Peer
from voipshift.group.reports import encode_fitting
from voipshift.node import Address


class Speaker:
    """Seals and sends.

    :param here: our name
    :param boot: ours
    :param address: where others reach us
    :param send: one datagram to an address
    :param seconds: our clock
    :param random: gives so many random octets
    :param incarnation: which one of a peer we believe
    :param counts: where what is too long to send is counted
    """

    def __init__(
        self,
        *,
        keys: Keys,
        here: str,
        boot: bytes,
        address: Address,
        send: Callable[[bytes, Address], None],
        seconds: Callable[[], float],
        random: Callable[[int], bytes],
        incarnation: Callable[[Peer], int],
        counts: Counter[str],
    ) -> None:
        self._keys = keys
        self._here = here
        self._boot = boot
        self._address = address
        self._send = send
        self._seconds = seconds
        self._random = random
        self._incarnation = incarnation
        self._counts = counts
        self._hello = Outgoing(keys, Stream.HELLO, boot, here)
        self._group = Outgoing(keys, Stream.GROUP, boot, here)
        self._bus = Outgoing(keys, Stream.BUS, boot, here)

    def say(self, peer: Peer, kind: Kind, body: bytes) -> bool:
        """Send one message to a peer; False when it does not fit in a datagram."""
        if peer.address is None:
            return False
        stream = peer.outgoing or self._stream(peer)
        prelude = PRELUDE.pack(kind, int(self._seconds() * 1000), self._incarnation(peer))
        return self._seal(stream, prelude + body, peer.address)

    def report(
        self,
        peer: Peer,
        fields: dict[int, Any],
        others: Sequence[tuple[str, Address]] = (),
        challenge: bytes = b"",
        echo: bytes = b"",
    ) -> None:
        """Send a peer a Report."""
        stream = peer.outgoing or self._stream(peer)
        self.say(peer, Kind.REPORT, encode_fitting(stream.overhead, fields, others, challenge, echo))

    def report_to_group(self, group: Address, fields: dict[int, Any], others: Sequence[tuple[str, Address]]) -> None:
        """Send the multicast group a Report."""
        body = encode_fitting(self._group.overhead, fields, others)
        self._seal(self._group, PRELUDE.pack(Kind.REPORT, int(self._seconds() * 1000), 0) + body, group)

    def report_to_bus(
        self, publish: Callable[[bytes], bool], fields: dict[int, Any], others: Sequence[tuple[str, Address]]
    ) -> bool:
        """Publish a Report; False when the bus is not there."""
        body = encode_fitting(self._bus.overhead, fields, others)
        return publish(
            self._bus.seal(PRELUDE.pack(Kind.REPORT, int(self._seconds() * 1000), 0) + body, self._random(4))
        )

    def hello(self, address: Address, challenge: bytes) -> None:
        """Poll whoever is at an address."""
        body = encode_poll(Poll(challenge, self._address))
        self._seal(self._hello, PRELUDE.pack(Kind.POLL, int(self._seconds() * 1000), 0) + body, address)

    def greet(self, peer: Peer, challenge: bytes) -> None:
        """Poll a peer."""
        self.say(peer, Kind.POLL, encode_poll(Poll(challenge, self._address)))

    def lapsed(self, peer: Peer, leases: list[tuple[bytes, str]]) -> None:
        """Tell a peer of attempts and their leases that ran out, as many in one datagram as fit."""
        for start in range(0, len(leases), MOST_LAPSED):
            self.say(peer, Kind.LAPSED, encode_lapsed(Lapsed(leases=tuple(leases[start : start + MOST_LAPSED]))))

    def _stream(self, peer: Peer) -> Outgoing:
        peer.outgoing = Outgoing(self._keys, Stream.UNICAST, self._boot, self._here, peer.boot, peer.name)
        return peer.outgoing

    def _seal(self, stream: Outgoing, body: bytes, address: Address) -> bool:
        if len(body) + stream.overhead >= TOO_LONG:
            self._counts["too_long_to_send"] += 1
            return False
        self._send(stream.seal(body, self._random(4)), address)
        return True
