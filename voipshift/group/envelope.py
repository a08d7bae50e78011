"""Sealed datagrams: nobody without the group's key can speak in it, listen to it, or repeat what was said.

One datagram, all of it below 1200 octets so that no path breaks it up::

    octet  0        version, 1
           1        p, the length of the prefix: everything up to the sequence
           2        the kind of stream: 1 unicast, 2 hello, 3 group, 4 bus    (append-only)
           3        n, the length of the sender's name
           4 ..  7  the id of the group key
           8 .. 23  salt: 16 random octets drawn when the sender started, its boot
          24 .. 39  the receiver's boot; zeros unless the stream is unicast
          40 ..     the sender's name, n octets of UTF-8
        40+n ..     the receiver's name, p - 40 - n octets; none unless the stream is unicast
           p ..     sequence, 64 bits: grows by one with each datagram of the stream
         p+8 ..     32 random bits
        p+12 ..     the body, sealed; its last 16 octets are the tag

A **stream** is one sender's boot speaking to one receiver's boot, to anybody (hello), to the multicast group, or on the
bus.  Its prefix is the same in every datagram and names all of that, so that

- the subkey of a stream is HKDF-SHA256(group key, salt = the sender's boot, info = the prefix), derived once;
- a receiver finds a stream that it knows by the prefix alone, without reading it;
- a datagram for another node, or for this one before it restarted, is dropped unopened.

The seal is AES-256-GCM, half the cost of ChaCha20-Poly1305 on every processor of the last ten years (0.6 µs against
1.1 µs for 250 octets).  The whole header is its associated data.  The nonce is the 32 random bits and the sequence, so
that even a sequence used twice by mistake would most likely not repeat a nonce.

The order matters: what is verified is not parsed before, and what is not verified leaves no trace.  A prefix that is
not known costs a key derivation, of which there are at most 100 a second, and is kept only after its tag verified.

Pure.  What the body says is the business of :mod:`voipshift.group.messages`.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from voipshift.errors import ProtocolViolation
from voipshift.group.keys import Key, Keys

VERSION = 1
#: A datagram is shorter than this: IPv6's least MTU of 1280 less its headers, with something to spare.
TOO_LONG: Final = 1200
BOOT_OCTETS: Final = 16
#: Of UTF-8; the prefix has to fit in one octet's count.
LONGEST_NAME: Final = 64
#: How far behind the newest sequence of a stream a datagram may come.
WINDOW: Final = 1024
#: Of prefixes not known; the cost of each is a key derivation and a failed verification.
DERIVATIONS_PER_S = 100

NOBODY = bytes(BOOT_OCTETS)
_FIXED: Final = 40
_TAG_OCTETS: Final = 16
#: The window is kept in blocks of 32 sequences, one more than it fills: the newest one fills up.
_BLOCK_SHIFT: Final = 5
_BLOCK_MASK: Final = 31
_BLOCKS: Final = 33


class Stream(IntEnum):
    """To whom a stream speaks; append-only."""

    UNICAST = 1
    HELLO = 2
    GROUP = 3
    BUS = 4


class Header(NamedTuple):
    """What a prefix says."""

    stream: int
    key_id: bytes
    boot: bytes
    sender: str
    receiver_boot: bytes = NOBODY
    receiver: str = ""

    def prefix(self) -> bytes:
        """The octets of this header, as every datagram of its stream begins."""
        sender, receiver = self.sender.encode(), self.receiver.encode()
        if not 0 < len(sender) <= LONGEST_NAME or len(receiver) > LONGEST_NAME:
            raise ValueError(f"a node's name has 1 to {LONGEST_NAME} octets")
        length = _FIXED + len(sender) + len(receiver)
        start = bytes((VERSION, length, self.stream, len(sender)))
        return b"".join((start, self.key_id, self.boot, self.receiver_boot, sender, receiver))


def parse_prefix(prefix: bytes) -> Header:
    """Read a prefix.

    :raises ProtocolViolation: it is none
    """
    if len(prefix) <= _FIXED or prefix[1] != len(prefix):
        raise ProtocolViolation("malformed")
    if prefix[0] != VERSION:
        raise ProtocolViolation("version")
    end = _FIXED + prefix[3]
    if not 0 < prefix[3] <= LONGEST_NAME or end > len(prefix) or len(prefix) - end > LONGEST_NAME:
        raise ProtocolViolation("malformed")
    try:
        sender, receiver = prefix[_FIXED:end].decode(), prefix[end:].decode()
    except UnicodeDecodeError:
        raise ProtocolViolation("malformed") from None
    return Header(prefix[2], prefix[4:8], prefix[8:24], sender, prefix[24:40], receiver)


def subkey(key: Key, boot: bytes, prefix: bytes) -> AESGCM:
    """The cipher of one stream."""
    derivation = HKDF(algorithm=SHA256(), length=32, salt=boot, info=b"voipshift group stream" + prefix)
    return AESGCM(derivation.derive(key.secret))


class Outgoing:
    """A stream that we speak on."""

    __slots__ = ("_cipher", "_generation", "_header", "_keys", "_prefix", "_sequence", "overhead", "space")

    def __init__(
        self, keys: Keys, stream: Stream, boot: bytes, sender: str, receiver_boot: bytes = NOBODY, receiver: str = ""
    ) -> None:
        self._keys = keys
        self._header = Header(stream, keys.first.id, boot, sender, receiver_boot, receiver)
        self._sequence = 0
        self._rekey()
        #: How many octets of a datagram are not its body, and how many a body has at most.
        self.overhead = len(self._prefix) + 12 + _TAG_OCTETS
        self.space = TOO_LONG - 1 - self.overhead

    def seal(self, body: bytes, random: bytes) -> bytes:
        """The whole datagram.

        :param random: 4 random octets
        """
        if self._generation != self._keys.generation:
            self._rekey()
        self._sequence += 1
        sequence = self._sequence.to_bytes(8, "big")
        header = self._prefix + sequence + random
        return header + self._cipher.encrypt(random + sequence, body, header)

    def _rekey(self) -> None:
        key = self._keys.first
        self._prefix = self._header._replace(key_id=key.id).prefix()
        self._cipher = subkey(key, self._header.boot, self._prefix)
        self._generation = self._keys.generation


class ReplayWindow:
    """Which sequences of a stream were seen: the newest, and the 1024 up to it.

    A bit for each of them in a ring of blocks, so that nothing is shifted (RFC 6479, of RFC 4303's 3.4.3).
    """

    __slots__ = ("_newest", "_seen")

    def __init__(self) -> None:
        self._newest = -1
        self._seen = [0] * _BLOCKS

    def admit(self, sequence: int) -> bool:
        """Whether a verified sequence is new; it is not new again."""
        newest, block = self._newest, sequence >> _BLOCK_SHIFT
        if sequence > newest:
            first = max((newest >> _BLOCK_SHIFT) + 1, block - _BLOCKS + 1)
            for skipped in range(first, block + 1):
                self._seen[skipped % _BLOCKS] = 0
            self._newest = sequence
        elif newest - sequence >= WINDOW:
            return False
        seen, bit = self._seen[block % _BLOCKS], 1 << (sequence & _BLOCK_MASK)
        self._seen[block % _BLOCKS] = seen | bit
        return not seen & bit


class Incoming:
    """A stream that we hear."""

    __slots__ = ("cipher", "header", "window")

    def __init__(self, header: Header, cipher: AESGCM) -> None:
        self.header = header
        self.cipher = cipher
        self.window = ReplayWindow()


class Opener:
    """Opens what others sealed.

    :param name: ours, to know what is addressed to us
    :param boot: ours
    """

    def __init__(self, keys: Keys, name: str, boot: bytes) -> None:
        self._keys = keys
        self._generation = keys.generation
        self._name = name
        self._boot = boot
        self._streams: dict[bytes, Incoming] = {}
        self._derivations = float(DERIVATIONS_PER_S)
        self._refilled = 0.0

    def __len__(self) -> int:
        return len(self._streams)

    def open(self, octets: bytes, now: float) -> tuple[Header, bytes]:
        """The header and the body of a datagram.

        :raises ProtocolViolation: with one word for the reason, under which it is counted
        """
        if self._generation != self._keys.generation:
            self._rekey()
        if len(octets) >= TOO_LONG:
            raise ProtocolViolation("too_long")
        if len(octets) <= _FIXED:
            raise ProtocolViolation("malformed")
        end = octets[1]
        prefix = octets[:end]
        start = end + 12
        if len(octets) < start + _TAG_OCTETS:
            raise ProtocolViolation("malformed")
        known = self._streams.get(prefix)
        incoming = known or self._stranger(prefix, now)
        header = octets[:start]
        sequence = header[end : end + 8]
        try:
            body = incoming.cipher.decrypt(header[end + 8 :] + sequence, octets[start:], header)
        except InvalidTag:
            raise ProtocolViolation("forged") from None
        if not incoming.window.admit(int.from_bytes(sequence, "big")):
            raise ProtocolViolation("replayed")
        if known is None:
            self._streams[prefix] = incoming
        return incoming.header, body

    def forget(self, boot: bytes) -> None:
        """Drop all streams of a boot that is no longer of interest."""
        for prefix in [prefix for prefix in self._streams if prefix[8:24] == boot]:
            del self._streams[prefix]

    def _stranger(self, prefix: bytes, now: float) -> Incoming:
        """A stream not heard before, the cheap checks before the dear one."""
        header = parse_prefix(prefix)
        if header.boot == self._boot:
            raise ProtocolViolation("own")
        if header.stream == Stream.UNICAST:
            if header.receiver_boot != self._boot or header.receiver != self._name:
                raise ProtocolViolation("misaddressed")
        elif header.stream not in (Stream.HELLO, Stream.GROUP, Stream.BUS):
            raise ProtocolViolation("unknown_stream")
        elif header.receiver or header.receiver_boot != NOBODY:
            raise ProtocolViolation("malformed")
        key = self._keys.get(header.key_id)
        if key is None:
            raise ProtocolViolation("unknown_key")
        gained = (now - self._refilled) * DERIVATIONS_PER_S
        self._derivations = min(float(DERIVATIONS_PER_S), self._derivations + max(0.0, gained))
        self._refilled = now
        if self._derivations < 1:
            raise ProtocolViolation("too_many_strangers")
        self._derivations -= 1
        return Incoming(header, subkey(key, header.boot, prefix))

    def _rekey(self) -> None:
        """Forget the streams of keys that were removed."""
        self._generation = self._keys.generation
        self._streams = {
            prefix: incoming for prefix, incoming in self._streams.items() if self._keys.get(prefix[4:8]) is not None
        }
