"""What the ends of a call say of their media when they hang up.

Media does not come through a node; but telephones and gateways of several makers tell in BYE, or in its answer, what
they sent and received, in a header field of their own: ``PS=207,OS=49680,PR=314,OR=50240,...``, with commas or
semicolons.  No RFC has it.  Octets sent and received are taken, the rest is not looked at.  Pure.
"""

from __future__ import annotations

import re

from voipshift.sip.message import Request, Response

#: As Cisco, AudioCodes and Siemens call it; others have taken one of these names.
FIELDS = ("P-RTP-Stat", "X-RTP-Stat", "X-Siemens-RTP-stats")
_OCTETS = re.compile(r"(?:^|[,;\s])(OS|OR)=([0-9]{1,15})(?=\s*(?:[,;]|$))").findall


def octets_of(*messages: Request | Response) -> int | None:
    """How many octets of media went both ways, as the first message that has it says; None where none does."""
    for message in messages:
        for field in FIELDS:
            said = dict(_OCTETS(message.get(field) or ""))
            if said:
                return sum(map(int, said.values()))
    return None
