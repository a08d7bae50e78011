"""How a call of H.323 ended, in SIP's words."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from voipshift.h323.callstate import CLOSED, CONNECTED, FAILED, TIMER, Side
from voipshift.h323.q931 import MessageType
from voipshift.h323.status import status_of

RELEASED = MessageType.RELEASE_COMPLETE
#: Who did what, with which cause; and the status.
CASES: list[tuple[Side, str | int, int | None, int]] = [
    (Side.CALLED, RELEASED, 17, 486),
    (Side.CALLED, RELEASED, 1, 404),
    (Side.CALLED, RELEASED, 99, 500),
    (Side.CALLED, RELEASED, None, 500),
    (Side.CALLED, FAILED, 34, 503),
    (Side.CALLED, CLOSED, None, 503),
    (Side.CALLER, RELEASED, 16, 487),
    (Side.CALLER, CLOSED, None, 487),
    (Side.NODE, TIMER, None, 408),
    (Side.NODE, CONNECTED, None, 0),
    (Side.CALLED, MessageType.ALERTING, None, 0),
    (Side.CALLER, MessageType.INFORMATION, None, 0),
]


class StatusTests(SynchronousTestCase):
    """RFC 4497, table 1."""

    def test_cases(self) -> None:
        """Busy is busy, whatever the protocol; what ends nothing has no status."""
        for side, input, cause, status in CASES:
            self.assertEqual(status_of(side, input, cause), status, (side, input, cause))
