"""tshark as the judge of H.323: it knows H.225.0 from the ASN.1 itself, by another compiler."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

from tests.interop.case import InteropTestCase

#: LINKTYPE_RAW: a packet begins with its IP header.
RAW_IP = 101
TCP, UDP = 6, 17


class TsharkTestCase(InteropTestCase):
    """A test that has messages judged."""

    needs = ("tshark",)

    def read(self, packets: list[bytes]) -> list[str]:
        """What tshark calls each packet.  A single expert info of warning or worse is a failure."""
        self.folder.joinpath("messages.pcap").write_bytes(capture(packets))
        self.assertEqual(self.tshark("-q", "-z", "expert,warn").strip(), "")
        lines = self.tshark("-Y", "h225", "-T", "fields", "-e", "_ws.col.Info").splitlines()
        return [line.strip() for line in lines]

    def tshark(self, *words: str) -> str:
        """Its output for the packets."""
        file: Path = self.folder / "messages.pcap"
        done = subprocess.run(("tshark", "-n", "-r", str(file), *words), capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout


def capture(packets: list[bytes]) -> bytes:
    """A pcap file."""
    parts = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, RAW_IP)]
    for second, octets in enumerate(packets):
        parts += (struct.pack("<IIII", second, 0, len(octets), len(octets)), octets)
    return b"".join(parts)


def packet(protocol: int, number: int, port: int, octets: bytes) -> bytes:
    """An IP packet; each TCP segment is the first of a connection of its own."""
    source = 10000 + number
    if protocol == UDP:
        segment = struct.pack("!HHHH", source, port, 8 + len(octets), 0) + octets
    else:
        segment = struct.pack("!HHIIBBHHH", source, port, 1, 1, 0x50, 0x18, 8192, 0, 0) + octets
    addresses = bytes((192, 0, 2, 1, 192, 0, 2, 7))
    return struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(segment), number, 0, 64, protocol, 0) + addresses + segment
