"""What a node says in its group: every message that it sends is sealed here, on the stream that it belongs to.

What is said to one peer while a batch of datagrams is worked off leaves together when the batch is over, in as few
datagrams as it fits in: half of what an ask costs is one seal, one system call, and the same at the other end.

Pure: datagrams go out through ``send``, time and randomness are given.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from voipshift.group.envelope import Outgoing, Stream
from voipshift.group.keys import Keys
from voipshift.group.messages import (
    HEAD_OCTETS,
    MOST_LAPSED,
    PRELUDE,
    PRELUDE_OCTETS,
    Kind,
    Lapsed,
    Poll,
    encode_lapsed,
    encode_poll,
    message,
)
from voipshift.group.peer import Peer
from voipshift.group.reports import encode_fitting
from voipshift.node import Address


class Parcel:
    """The messages that go to a peer in one datagram."""

    __slots__ = ("messages", "octets")

    def __init__(self, message: bytes) -> None:
        self.messages = [message]
        self.octets = len(message)

    def add(self, message: bytes) -> None:
        """One message more."""
        self.messages.append(message)
        self.octets += len(message)


class Speaker:
    """Seals and sends.

    :param here: our name
    :param boot: ours
    :param address: where others reach us
    :param send: one datagram to an address
    :param at_end: has something done when the batch of datagrams that is being read is worked off; at once outside of
        one
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
        at_end: Callable[[Callable[[], None]], None],
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
        self._at_end = at_end
        self._seconds = seconds
        self._random = random
        self._incarnation = incarnation
        self._counts = counts
        #: What waits for the end of the batch, for each peer no more than fits in a datagram.
        self._parcels: dict[Peer, Parcel] = {}
        self._hello = Outgoing(keys, Stream.HELLO, boot, here)
        self._group = Outgoing(keys, Stream.GROUP, boot, here)
        self._bus = Outgoing(keys, Stream.BUS, boot, here)

    def say(self, peer: Peer, kind: Kind, body: bytes) -> bool:
        """Send one message to a peer; False when it does not fit in a datagram."""
        if peer.address is None:
            return False
        stream = peer.outgoing or self._stream(peer)
        space = stream.space - PRELUDE_OCTETS
        said = message(kind, body)
        if len(said) > space:
            self._counts["too_long_to_send"] += 1
            return False
        parcel = self._parcels.get(peer)
        if parcel is None:
            self._parcels[peer] = Parcel(said)
            if len(self._parcels) == 1:
                self._at_end(self.flush)
        elif parcel.octets + len(said) <= space:
            parcel.add(said)
        else:
            self._dispatch(peer, parcel)
            self._parcels[peer] = Parcel(said)
        return True

    def flush(self) -> None:
        """Send what waits for the end of the batch."""
        parcels, self._parcels = self._parcels, {}
        for peer, parcel in parcels.items():
            self._dispatch(peer, parcel)

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
        self.say(peer, Kind.REPORT, encode_fitting(_space(stream), fields, others, challenge, echo))

    def report_to_group(self, group: Address, fields: dict[int, Any], others: Sequence[tuple[str, Address]]) -> None:
        """Send the multicast group a Report."""
        said = message(Kind.REPORT, encode_fitting(_space(self._group), fields, others))
        self._send(self._sealed(self._group, 0, said), group)

    def report_to_bus(
        self, publish: Callable[[bytes], bool], fields: dict[int, Any], others: Sequence[tuple[str, Address]]
    ) -> bool:
        """Publish a Report; False when the bus is not there."""
        said = message(Kind.REPORT, encode_fitting(_space(self._bus), fields, others))
        return publish(self._sealed(self._bus, 0, said))

    def hello(self, address: Address, challenge: bytes) -> None:
        """Poll whoever is at an address."""
        said = message(Kind.POLL, encode_poll(Poll(challenge, self._address)))
        self._send(self._sealed(self._hello, 0, said), address)

    def greet(self, peer: Peer, challenge: bytes) -> None:
        """Poll a peer."""
        self.say(peer, Kind.POLL, encode_poll(Poll(challenge, self._address)))

    def lapsed(self, peer: Peer, leases: list[tuple[bytes, str]]) -> None:
        """Tell a peer of attempts and their leases that ran out, as many in one datagram as fit."""
        for start in range(0, len(leases), MOST_LAPSED):
            self.say(peer, Kind.LAPSED, encode_lapsed(Lapsed(leases=tuple(leases[start : start + MOST_LAPSED]))))

    def _dispatch(self, peer: Peer, parcel: Parcel) -> None:
        if peer.outgoing is not None and peer.address is not None:
            messages = b"".join(parcel.messages)
            self._send(self._sealed(peer.outgoing, self._incarnation(peer), messages), peer.address)

    def _stream(self, peer: Peer) -> Outgoing:
        peer.outgoing = Outgoing(self._keys, Stream.UNICAST, self._boot, self._here, peer.boot, peer.name)
        return peer.outgoing

    def _sealed(self, stream: Outgoing, incarnation: int, messages: bytes) -> bytes:
        body = PRELUDE.pack(int(self._seconds() * 1000), incarnation) + messages
        return stream.seal(body, self._random(4))


def _space(stream: Outgoing) -> int:
    """For the map of a message that has its datagram for itself."""
    return stream.space - PRELUDE_OCTETS - HEAD_OCTETS
