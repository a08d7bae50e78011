"""A whole call with a shift, octet by octet: the seed's FIG. 5 on the wire.

The primary accepts nothing and asks its member, which accepts; the client follows the 302, the member carries the call
to its gateway, and the client hangs up.  Everything that is drawn at random is fixed, but for Python's hashes: the
digests by which the member would know that a request came back stand for what they are in this process.
"""

from __future__ import annotations

import os
import re
import secrets

from twisted.internet.defer import Deferred

from tests.sipnet import GATEWAY, HERE, MEMBER, PHONE, SipNetTestCase
from voipshift.node import Acceptance, Address, CallAttempt, Load
from voipshift.tap import Node

#: The end of a branch of a node's own.
OUR_BRANCH = re.compile("(?<=z9hG4bK3c3c3c3c3c3c3c3c)[.0-9a-f]+")
#: From where, to where, and the octets of each arrow; line ends are CR LF on the wire.
LADDER: tuple[tuple[Address, Address, str], ...] = (
    (
        PHONE,
        HERE,
        """\
INVITE sip:100@example.org;user=phone SIP/2.0
Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bKalice1;rport
Max-Forwards: 70
From: "Alice" <sip:alice@example.org>;tag=a1
To: <sip:100@example.org;user=phone>
Call-ID: ladder@198.51.100.7
CSeq: 1 INVITE
Contact: <sip:alice@198.51.100.7:5060>
Content-Type: application/sdp
Content-Length: 4

v=0
""",
    ),
    (
        HERE,
        PHONE,
        """\
SIP/2.0 302 Moved Temporarily
Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bKalice1;rport=5060;received=198.51.100.7
From: "Alice" <sip:alice@example.org>;tag=a1
To: <sip:100@example.org;user=phone>;tag=91cb962553fc5ba9
Call-ID: ladder@198.51.100.7
CSeq: 1 INVITE
Contact: <sip:100@192.0.2.2:5060;lease=3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c>
Content-Length: 0

""",
    ),
    (
        PHONE,
        HERE,
        """\
ACK sip:100@example.org;user=phone SIP/2.0
Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bKalice1;rport
Max-Forwards: 70
From: "Alice" <sip:alice@example.org>;tag=a1
To: <sip:100@example.org;user=phone>;tag=91cb962553fc5ba9
Call-ID: ladder@198.51.100.7
CSeq: 1 ACK
Content-Length: 0

""",
    ),
    (
        PHONE,
        MEMBER,
        """\
INVITE sip:100@192.0.2.2:5060;lease=3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c SIP/2.0
Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bKalice2;rport
Max-Forwards: 70
From: "Alice" <sip:alice@example.org>;tag=a1
To: <sip:100@example.org;user=phone>
Call-ID: ladder@198.51.100.7
CSeq: 2 INVITE
Contact: <sip:alice@198.51.100.7:5060>
Content-Type: application/sdp
Content-Length: 4

v=0
""",
    ),
    (
        MEMBER,
        GATEWAY,
        """\
INVITE sip:100@192.0.2.20:5060;user=phone SIP/2.0
Via: SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bK3c3c3c3c3c3c3c3c.11111111.22222222;oc;oc-algo="loss"
Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bKalice2;rport=5060;received=198.51.100.7
Max-Forwards: 69
From: "Alice" <sip:alice@example.org>;tag=a1
To: <sip:100@example.org;user=phone>
Call-ID: ladder@198.51.100.7
CSeq: 2 INVITE
Contact: <sip:alice@198.51.100.7:5060>
Content-Type: application/sdp
Content-Length: 4
Session-Expires: 1800
Record-Route: <sip:192.0.2.2:5060;lr>
Max-Breadth: 60

v=0
""",
    ),
    (
        GATEWAY,
        MEMBER,
        """\
SIP/2.0 180 Ringing
Via: SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bK3c3c3c3c3c3c3c3c.11111111.22222222;oc;oc-algo="loss"
Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bKalice2;rport=5060;received=198.51.100.7
Record-Route: <sip:192.0.2.2:5060;lr>
From: "Alice" <sip:alice@example.org>;tag=a1
To: <sip:100@example.org;user=phone>;tag=g1
Call-ID: ladder@198.51.100.7
CSeq: 2 INVITE
Contact: <sip:100@192.0.2.20:5060>
Content-Length: 0

""",
    ),
    (
        MEMBER,
        PHONE,
        """\
SIP/2.0 180 Ringing
Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bKalice2;rport=5060;received=198.51.100.7
Record-Route: <sip:192.0.2.2:5060;lr>
From: "Alice" <sip:alice@example.org>;tag=a1
To: <sip:100@example.org;user=phone>;tag=g1
Call-ID: ladder@198.51.100.7
CSeq: 2 INVITE
Contact: <sip:100@192.0.2.20:5060>
Content-Length: 0

""",
    ),
    (
        GATEWAY,
        MEMBER,
        """\
SIP/2.0 200 OK
Via: SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bK3c3c3c3c3c3c3c3c.11111111.22222222;oc;oc-algo="loss"
Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bKalice2;rport=5060;received=198.51.100.7
Record-Route: <sip:192.0.2.2:5060;lr>
From: "Alice" <sip:alice@example.org>;tag=a1
To: <sip:100@example.org;user=phone>;tag=g1
Call-ID: ladder@198.51.100.7
CSeq: 2 INVITE
Contact: <sip:100@192.0.2.20:5060>
Content-Type: application/sdp
Content-Length: 4

v=0
""",
    ),
    (
        MEMBER,
        PHONE,
        """\
SIP/2.0 200 OK
Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bKalice2;rport=5060;received=198.51.100.7
Record-Route: <sip:192.0.2.2:5060;lr>
From: "Alice" <sip:alice@example.org>;tag=a1
To: <sip:100@example.org;user=phone>;tag=g1
Call-ID: ladder@198.51.100.7
CSeq: 2 INVITE
Contact: <sip:100@192.0.2.20:5060>
Content-Type: application/sdp
Content-Length: 4

v=0
""",
    ),
    (
        PHONE,
        MEMBER,
        """\
ACK sip:100@192.0.2.20:5060 SIP/2.0
Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bKalice3;rport
Route: <sip:192.0.2.2:5060;lr>
Max-Forwards: 70
From: "Alice" <sip:alice@example.org>;tag=a1
To: <sip:100@example.org;user=phone>;tag=g1
Call-ID: ladder@198.51.100.7
CSeq: 2 ACK
Content-Length: 0

""",
    ),
    (
        MEMBER,
        GATEWAY,
        """\
ACK sip:100@192.0.2.20:5060 SIP/2.0
Via: SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bK3c3c3c3c3c3c3c3c.33333333
Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bKalice3;rport
Max-Forwards: 69
From: "Alice" <sip:alice@example.org>;tag=a1
To: <sip:100@example.org;user=phone>;tag=g1
Call-ID: ladder@198.51.100.7
CSeq: 2 ACK
Content-Length: 0

""",
    ),
    (
        PHONE,
        MEMBER,
        """\
BYE sip:100@192.0.2.20:5060 SIP/2.0
Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bKalice4;rport
Route: <sip:192.0.2.2:5060;lr>
Max-Forwards: 70
From: "Alice" <sip:alice@example.org>;tag=a1
To: <sip:100@example.org;user=phone>;tag=g1
Call-ID: ladder@198.51.100.7
CSeq: 3 BYE
Content-Length: 0

""",
    ),
    (
        MEMBER,
        GATEWAY,
        """\
BYE sip:100@192.0.2.20:5060 SIP/2.0
Via: SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bK3c3c3c3c3c3c3c3c.44444444;oc;oc-algo="loss"
Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bKalice4;rport=5060;received=198.51.100.7
Max-Forwards: 69
From: "Alice" <sip:alice@example.org>;tag=a1
To: <sip:100@example.org;user=phone>;tag=g1
Call-ID: ladder@198.51.100.7
CSeq: 3 BYE
Content-Length: 0

""",
    ),
    (
        GATEWAY,
        MEMBER,
        """\
SIP/2.0 200 OK
Via: SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bK3c3c3c3c3c3c3c3c.44444444;oc;oc-algo="loss"
Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bKalice4;rport=5060;received=198.51.100.7
From: "Alice" <sip:alice@example.org>;tag=a1
To: <sip:100@example.org;user=phone>;tag=g1
Call-ID: ladder@198.51.100.7
CSeq: 3 BYE
Content-Length: 0

""",
    ),
    (
        MEMBER,
        PHONE,
        """\
SIP/2.0 200 OK
Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bKalice4;rport=5060;received=198.51.100.7
From: "Alice" <sip:alice@example.org>;tag=a1
To: <sip:100@example.org;user=phone>;tag=g1
Call-ID: ladder@198.51.100.7
CSeq: 3 BYE
Content-Length: 0

""",
    ),
)


def octets_of(text: str) -> bytes:
    """A message as it is sent: the body keeps its line ends."""
    head, _, body = text.partition("\n\n")
    return head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body.encode()


class Asking:
    """The member's own chain, asked without the datagrams between."""

    def __init__(self, member: Node) -> None:
        self._member = member

    def __call__(self, name: str, attempt: CallAttempt, path: tuple[Load, ...], left_s: float) -> Deferred[Acceptance]:
        return self._member.delegation.consider(attempt, path, left_s, self._pending, "primary")

    def _pending(self) -> None:
        raise AssertionError("the member decides at once")


class LadderTest(SipNetTestCase):
    """Two real nodes; the peers say their part of the ladder, and hear the rest."""

    def test_a_call_that_is_shifted(self) -> None:
        """INVITE, 302 with the lease, ACK; INVITE with it to the member, on to the gateway, 180, 200, ACK, BYE, 200."""
        self.patch(os, "urandom", lambda count: b"\x3c" * count)
        self.patch(secrets, "token_hex", lambda count: "3c" * count)
        primary = self.node(HERE, name="primary", limit=0)
        member = self.node(MEMBER, name="member", limit=1)
        self.introduce(primary)
        primary.delegation.ask = Asking(member)
        digests: dict[str, str] = {}
        for number, (source, to, text) in enumerate(LADDER):
            written = octets_of(text).decode()
            branch = OUR_BRANCH.search(written)
            if source in (PHONE, GATEWAY):
                if branch is not None:
                    written = written.replace(branch[0], digests[branch[0]])
                self.network.send(written.encode(), source, to)
                self.network.settle()
            sent = self.network.sent[number]
            said = sent[2].decode()
            if branch is not None and branch[0] not in digests:
                digests[branch[0]] = OUR_BRANCH.findall(said)[0]
            if branch is not None:
                written = written.replace(branch[0], digests[branch[0]])
            self.assertEqual(said, written, f"arrow {number}")
            self.assertEqual(sent[:2], (source, to), f"arrow {number}")
        self.assertEqual(len(self.network.sent), len(LADDER))
        self.assertEqual((len(primary.table), len(member.table), len(member.leases)), (0, 0, 0))
        self.assertEqual((member.table.carried, dict(member.table.hops)), (1, {1: 1}))
