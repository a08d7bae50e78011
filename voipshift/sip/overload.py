"""Overload control of RFC 7339 in Via: how a server tells the client before it how much less it should send.

A client that understands it puts ``oc`` without a value and the algorithms that it knows into the Via of each request;
the server fills them in, in the top Via of each response (section 4)::

    Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1;oc;oc-algo="loss"
    Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1;oc=20;oc-algo="loss";oc-validity=2000;oc-seq=1282321615.782

Twenty of a hundred requests are to be left out, for two seconds; of several responses the one with the highest number
counts.  ``oc=0;oc-validity=0`` is a server that could ask, and does not.  Only the algorithm "loss", which everybody
who speaks RFC 7339 must know, is spoken here; a client that does not offer it is not told anything.

What is left out is :mod:`voipshift.calls.thinning`'s business, how much :mod:`voipshift.balance.restraint`'s.  The 100
that the transaction layer sends by itself says nothing: it comes only where the decision is late.  Pure.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import NamedTuple

from voipshift.sip.grammar import Via, first_value_end
from voipshift.sip.message import Response

#: What this node puts into the Via of its own requests.
ANNOUNCEMENT = ';oc;oc-algo="loss"'
#: How long what is told holds (section 4.3): two intervals of the restraint, so that it does not lapse in between.
VALIDITY_S = 2.0
#: What holds where nothing is said.
DEFAULT_VALIDITY_S = 0.5
#: Longer is not believed: a server that asked for it once and vanished would be spared for ever.
LONGEST_VALIDITY_S = 60.0

#: Octets that what is told may have more than the offer.
LONGEST_TOLD = 80

_OFFER = re.compile(r";[ \t]*+oc[ \t]*+(?=;|\Z)", re.IGNORECASE).search
_OFFERS_LOSS = re.compile(
    r';[ \t]*+oc-algo[ \t]*+=[ \t]*+"[ \t]*+(?:[^"]*?,[ \t]*+)?loss[ \t]*+[",]', re.IGNORECASE
).search
_SAID = re.compile(
    r';[ \t]*+oc(?:-algo|-validity|-seq)?[ \t]*+(?:=[ \t]*+(?:"[^"]*+"|[^\s;,"]++)[ \t]*+)?(?=;|\Z)', re.IGNORECASE
)
_NUMBER = re.compile(r"[0-9]{1,10}").fullmatch
_SEQUENCE = re.compile(r"[0-9]{1,10}(?:\.[0-9]{1,5})?").fullmatch


class Feedback(NamedTuple):
    """What a server said.

    :ivar percent: so many of a hundred requests are to be left out
    :ivar validity_s: 0 ends what was said before
    """

    percent: int
    validity_s: float
    sequence: float


def feedback(via: Via) -> Feedback | None:
    """What a server told in the Via of a request of ours; None where it told nothing that is understood."""
    said = via.parameters
    percent, sequence = said.get("oc"), said.get("oc-seq")
    if percent is None or sequence is None or (said.get("oc-algo") or "").strip('"').strip().lower() != "loss":
        return None
    if not _NUMBER(percent) or int(percent) > 100 or not _SEQUENCE(sequence):
        return None
    validity = said.get("oc-validity")
    if validity is None:
        validity_s = DEFAULT_VALIDITY_S
    elif _NUMBER(validity):
        validity_s = min(int(validity) / 1000, LONGEST_VALIDITY_S)
    else:
        return None
    return Feedback(int(percent), validity_s, float(sequence))


class Control:
    """Tells clients that offer it how much less they should send.

    :param percent: how many of a hundred requests are too many
    :param wall: the time of day, from which the numbers are
    """

    def __init__(self, *, percent: Callable[[], int], wall: Callable[[], float]) -> None:
        self._percent = percent
        self._wall = wall
        self._sequence = 0.0

    def tell(self, response: Response, most: int = sys.maxsize) -> None:
        """Fill in the top Via of a response, where its client offers it and the response may be so long.

        :param most: octets that it may have if it is this node's own
        """
        if ";oc" in (response.get("via") or "") and not (
            response.ours and len(response.octets()) > most - LONGEST_TOLD
        ):
            self._fill_in(response)

    def filled_in(self, parameters: str) -> str:
        """The parameters of a Via, filled in where they are an offer."""
        if _OFFER(parameters) is None or _OFFERS_LOSS(parameters) is None:
            return parameters
        percent = self._percent()
        # What comes late must not win over what is newer, whatever becomes of the clock.
        self._sequence = max(self._wall(), self._sequence + 0.001)
        validity_ms = int(VALIDITY_S * 1000) if percent else 0
        kept = _SAID.sub("", parameters)
        return f'{kept};oc={percent};oc-algo="loss";oc-validity={validity_ms};oc-seq={self._sequence:.3f}'

    def _fill_in(self, response: Response) -> None:
        said = response.get("via") or ""
        said = said[: first_value_end(said)]
        beginning, semicolon, parameters = said.partition(";")
        filled = self.filled_in(semicolon + parameters)
        if filled != semicolon + parameters:
            response.remove_first_value("Via")
            response.prepend("Via", beginning + filled)
