"""tshark reads every H.323 message that is ever written, and finds nothing wrong with any."""

from __future__ import annotations

from tests.h323_messages import RAS_MESSAGES, SIGNED_MESSAGES, signals
from tests.interop.tshark import TCP, UDP, TsharkTestCase, packet
from voipshift.h323 import ras, tpkt


class TsharkTests(TsharkTestCase):
    """Each message that the tests know."""

    def test_ras(self) -> None:
        """Each RAS message is named as what it is, signed and not."""
        messages = RAS_MESSAGES + SIGNED_MESSAGES
        names = [type(message).__name__ for message in messages]
        seen = self.read([packet(UDP, number, 1719, ras.encode(each)) for number, each in enumerate(messages)])
        self.assertEqual(seen, [f"RAS: {name[0].lower()}{name[1:]}" for name in names])

    def test_call_signalling(self) -> None:
        """Each message of call signalling is named, and so is every H.245 message in it."""
        written = signals()
        seen = self.read([packet(TCP, number, 1720, tpkt.wrap(each)) for number, each in enumerate(written)])
        self.assertEqual([line.split()[0] for line in seen], ["CS:"] * len(written))
        self.assertEqual(sum("OpenLogicalChannel" in line for line in seen), 6)
