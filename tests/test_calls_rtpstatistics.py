"""What ends say of their media."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from voipshift.calls.rtpstatistics import octets_of
from voipshift.sip.message import Request, request

#: The field, and what it says.
CASES = [
    ("P-RTP-Stat", "PS=207,OS=49680,PR=314,OR=50240,PL=0,JI=600,LA=40,DU=5", 99_920),
    ("X-RTP-Stat", "PS=207;OS=49680;;PR=314;OR=50240;PL=0;JI=600;LA=40;", 99_920),
    ("X-Siemens-RTP-stats", "PS=1; OS=160 ; OR=320", 480),
    ("p-rtp-stat", "PS=207, OS=49680", 49_680),
    ("P-RTP-Stat", "EX=BareSip;CS=0;PR=314;PS=207", None),
    ("P-RTP-Stat", "OS=,OR=-5,XOS=7,OS=1e9", None),
    ("P-RTP-Stat", "OS=" + "9" * 5000, None),
    ("Subject", "OS=49680", None),
]


def bye(*fields: tuple[str, str]) -> Request:
    return request("BYE", "sip:a@192.0.2.1", [("Call-ID", "1"), *fields])


class StatisticsTests(SynchronousTestCase):
    """By the fields of several makers."""

    def test_cases(self) -> None:
        """Octets sent and received, both or one of them; what is no number is nothing."""
        for field, value, octets in CASES:
            self.assertEqual(octets_of(bye((field, value))), octets, value)

    def test_who_hangs_up_or_who_answers_it(self) -> None:
        """Both say the same, each from its side: the first one counts."""
        said = bye(("P-RTP-Stat", "OS=1,OR=2"))
        self.assertEqual(octets_of(bye(), said), 3)
        self.assertEqual(octets_of(said, bye(("P-RTP-Stat", "OS=7"))), 3)
        self.assertIsNone(octets_of(bye(), bye()))
