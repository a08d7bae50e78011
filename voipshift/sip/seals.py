"""Seals: what the nodes of a group say to each other within SIP requests, and nobody else can say.

A node that passes a request on **marks** it, in its Via: I know who sent it, decide alone.  And a Route value can lead
into a **flow**, a client's own way to the node that holds it (RFC 5626 section 5.2).  Either is worth a call, so that
neither is believed for where it comes from: each ends with a seal, in hexadecimal::

    4 key id | 4 seconds of the sealing node's clock | 12 MAC under the group key over both and over what is said

What is said includes the request that it is said in, so that it is good in no other: the branch of a mark; for a flow
the Call-ID, and the CSeq too where a call is only to begin.  A seal for what is to begin is good for five minutes, and
that of a mark once.  That of a Record-Route is good for its dialog, however long that lasts.

The clocks of the nodes must be within those five minutes; where they are not, the log says so.  No socket in here.
"""

from __future__ import annotations

import hmac
import struct
from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256
from typing import Final

from twisted.logger import Logger

from voipshift.node import Address
from voipshift.sip.grammar import number_of
from voipshift.sip.message import Request
from voipshift.sip.nonces import Keys
from voipshift.sip.transaction import Hop
from voipshift.sip.uri import SipUri, host_port

#: The Via parameter by which a node marks a request that it passes on.
PASSED_ON: Final = "passed-on"
#: The parameter of a Route or Record-Route value that leads into a flow.
FLOW = "flow"
#: How far the clocks of two nodes may be apart, and for how long what was captured could be tried again.
FRESH_S = 300.0
#: Marks that are remembered as used: some 300 a second for as long as each is fresh.  Beyond that the oldest goes, and
#: with it the belief in all marks of its age.
MAX_USED = 100_000
#: How often it is said that a clock must be wrong: what was captured long ago can be sent as often as anybody likes.
WARN_S = 3600.0

_HEAD = struct.Struct("!4sI")
_MAC_OCTETS = 12
_DIGITS = 2 * (_HEAD.size + _MAC_OCTETS)
_MARK, _ROUTE, _RECORD = "mark", "route", "record"


class Seals:
    """Makes and breaks seals.

    :param keys: the group's; a node's own where it stands alone
    """

    def __init__(self, *, keys: Keys, now: Callable[[], float], max_used: int = MAX_USED) -> None:
        self._keys = keys
        self._now = now
        self._max_used = max_used
        #: Seals of marks, and their seconds.
        self._used: OrderedDict[str, int] = OrderedDict()
        #: Marks of this second and before are not believed: some of them that were used had to be forgotten.
        self._forgotten = -1
        self._warns_at = now()
        self._log = Logger(__name__)

    def mark(self, request: Request, branch: str) -> str:
        """The Via parameter that marks a request which leaves with that branch."""
        return f"{PASSED_ON}={self._seal(_MARK, *_marked(request, branch))}"

    def is_marked(self, request: Request) -> bool:
        """Whether a member has marked a request; asked once, for a mark that comes again is a copy."""
        seal = request.via.parameters.get(PASSED_ON)
        if not seal or not self._holds(seal, _MARK, *_marked(request, request.via.branch)) or not self._is_fresh(seal):
            return False
        sealed = _second(seal)
        if seal in self._used or sealed <= self._forgotten:
            return False
        self._use(seal, sealed)
        return True

    def route(self, record: str, place: Address, flow: Hop, request: Request) -> str:
        """The Route value by which a request that opens a call goes into a flow.

        :param record: the value without the flow: the node that holds it, with ``lr``
        :param place: the address in it
        """
        return _written(record, flow, self._seal(_ROUTE, host_port(place), *_opening(request, flow)))

    def record(self, record: str, place: Address, flow: Hop, request: Request) -> str:
        """The Record-Route value by which the requests of a dialog go into a flow."""
        return _written(record, flow, self._seal(_RECORD, host_port(place), *_of_dialog(request, flow)))

    def flow(self, uri: SipUri, request: Request) -> Hop | None:
        """The flow that a Route value of this node's leads a request into; None where it leads into none, or nobody of
        the group has said so.

        :param uri: of that value
        :raises ProtocolViolation: it is sealed, and is no flow
        """
        said = uri.parameters.get(FLOW)
        if said is None or said.count("-") != 3:
            return None
        host, port, listener, seal = said.split("-")
        flow = Hop(host, number_of(port, 65536), number_of(listener, 1000))
        place = host_port(uri.address())
        if request.to_tag:
            return flow if self._holds(seal, _RECORD, place, *_of_dialog(request, flow)) else None
        holds = self._holds(seal, _ROUTE, place, *_opening(request, flow)) and self._is_fresh(seal)
        return flow if holds else None

    def _seal(self, *said: str) -> str:
        key = self._keys.first
        head = _HEAD.pack(key.id, int(self._now()) & 0xFFFFFFFF)
        return (head + _mac(key.secret, head, said)).hex()

    def _holds(self, seal: str, *said: str) -> bool:
        try:
            octets = bytes.fromhex(seal)
        except ValueError:
            return False
        if len(octets) * 2 != _DIGITS or seal != octets.hex():
            return False
        head, mac = octets[: _HEAD.size], octets[_HEAD.size :]
        key = self._keys.get(head[:4])
        return key is not None and hmac.compare_digest(mac, _mac(key.secret, head, said))

    def _is_fresh(self, seal: str) -> bool:
        """Whether a seal that holds was made about now; if not, it is an old one, or a clock is wrong."""
        now = self._now()
        apart_s = now - _second(seal)
        if abs(apart_s) <= FRESH_S:
            return True
        if now >= self._warns_at:
            self._warns_at = now + WARN_S
            self._log.warn(
                "a member's request was sealed at a time {apart:.0f} s from now and is not believed: set the clocks",
                apart=apart_s,
            )
        return False

    def _use(self, seal: str, sealed: int) -> None:
        used, now = self._used, self._now()
        while used:
            oldest = next(iter(used))
            if now - used[oldest] <= FRESH_S:
                if len(used) < self._max_used:
                    break
                self._forgotten = max(self._forgotten, used[oldest])
            del used[oldest]
        used[seal] = sealed


def _mac(secret: bytes, head: bytes, said: tuple[str, ...]) -> bytes:
    # The same key seals datagrams and makes nonces through other derivations; the label keeps them apart.
    octets = "\0".join(said).encode("latin-1", "replace")
    return hmac.digest(secret, b"voipshift seal" + head + octets, sha256)[:_MAC_OCTETS]


def _second(seal: str) -> int:
    return int(seal[8:16], 16)


def _marked(request: Request, branch: str) -> tuple[str, ...]:
    return request.method, request.uri, request.call_id, branch


def _opening(request: Request, flow: Hop) -> tuple[str, ...]:
    return *_of_dialog(request, flow), request.method, str(request.cseq[0])


def _of_dialog(request: Request, flow: Hop) -> tuple[str, ...]:
    return flow.host, str(flow.port), str(flow.listener), request.call_id


def _written(record: str, flow: Hop, seal: str) -> str:
    return f"{record.removesuffix('>')};{FLOW}={flow.host}-{flow.port}-{flow.listener}-{seal}>"
