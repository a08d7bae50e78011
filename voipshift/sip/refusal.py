"""The cheap lane: INVITEs that open calls are refused from the octets of their head while the whole group is full.

An overloaded server's goodput is what is left of its time when all that it refuses is paid for, so refusing must cost
next to nothing.  In here an INVITE is not parsed: one expression reads its first two lines, the other header lines are
sorted by their names, and a 503 is written from the octets that came.  It opens no transaction: this is the stateless
user agent server of RFC 3261 section 8.2.7.  Its To tag is computed from the request, so that each retransmission gets
the very same response, and begins with a mark of this boot, so that the ACK is known by that mark and not read at all.

Only what is written as nearly everybody writes it, and only what would be refused by everything that the portal looks
at, is answered here; for the rest :meth:`Refusals.answer` returns None, and it takes the long way, which answers the
same.  The long way are requests within a dialog, those with a lease, a Route, a mark of a member's, an extension that
is demanded, a hop limit that is used up, a Via of this node's; those for another node, emergency calls, and what is
shorter than half of the 503.

A response may be under way when there is room again, and cross a retransmission: for so long as that can be, what was
refused once is refused again, else the client would have two answers.

Pure; what is full and who is exempt is told by callables.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

from voipshift.errors import ProtocolViolation
from voipshift.node import Address
from voipshift.sip.answers import RETRY_AFTER_S
from voipshift.sip.gain import MOST_GAIN
from voipshift.sip.grammar import KEYS, MAGIC_COOKIE, key_of
from voipshift.sip.identification import LEASE
from voipshift.sip.overload import Control
from voipshift.sip.seals import PASSED_ON
from voipshift.sip.spent import Spent

#: So many refused requests are remembered for T4: four times what a processor refuses in that time.
MAX_REMEMBERED = 500_000
#: A head that is longer is not what a telephone sends.
MAX_HEAD = 4096

_HOST = r"([a-z0-9.\-]++)(?::([1-9][0-9]{0,4}+))?"
#: The first two lines as nearly everybody writes them: user, host, port and parameters of the Request-URI; then
#: protocol, host, port and parameters of the top Via.
_PLAIN_INVITE = re.compile(
    rf"INVITE sip:(?:([A-Za-z0-9\-_.!~*'()&=+$,/#%]++)@)?{_HOST}((?:;[^\s;?<>\",]++)*+) SIP/2\.0\r\n"
    rf'(?:Via|v): (SIP/2\.0/[A-Z]++ ){_HOST}((?:;[A-Za-z0-9\-]++(?:=[^\s;,"<>]++|="[^\s;"]*+")?+)++)\r\n'
).match
_BRANCH = re.compile(rf';branch=({MAGIC_COOKIE}[^\s;,"<>]++)').search
#: How a request within a dialog looks: a To with a tag.
_TO_TAG = re.compile(rb"\r\n(?:To|t)[ \t]*+:[^\r\n]*?;[ \t]*+tag[ \t]*+=", re.IGNORECASE).search

# What a header line is to the lane.
_NOTHING, _TAKEN, _VIA, _TO, _CSEQ, _HOPS, _DEMANDING = range(7)
_USES = {
    "from": _TAKEN,
    "call-id": _TAKEN,
    "via": _VIA,
    "to": _TO,
    "cseq": _CSEQ,
    "max-forwards": _HOPS,
    "route": _DEMANDING,
    "proxy-require": _DEMANDING,
}
#: The header fields by which a caller may say that a call is an emergency.
PRIORITIES = ("priority", "resource-priority")


def opens_call(octets: bytes) -> bool:
    """Whether a datagram is an INVITE that opens a call, as far as can be seen without reading it."""
    return octets.startswith(b"INVITE ") and _TO_TAG(octets) is None


class Refusals:
    """Refuses INVITEs while the group is full.

    :param full: whether a call attempt by that door would be refused now, whoever makes it
    :param exempt: whether something else than that decides about an INVITE: user and place of its Request-URI, the
        address that it came from
    :param is_known: whether there is a transaction of that key
    :param refused: told of each new refusal: the INVITE's head, whom it calls, where it came from, by which door
    :param places: this node's addresses as they stand in a Via
    :param doors: the listeners' doors
    :param marked: whether a call may be marked as an emergency by its header fields
    :param control: tells clients that offer it how much less they should send
    :param force_rport: responses always go back to where a request came from
    :param random: so many random octets in hexadecimal
    :ivar open: something was refused and may be again: ask :meth:`answer` before an INVITE is read
    :ivar absorbed: ACKs that were taken in
    :ivar repeated: refusals of what was refused before
    """

    def __init__(
        self,
        *,
        full: Callable[[str, float], bool],
        exempt: Callable[[str, Address, str], bool],
        is_known: Callable[[str], bool],
        refused: Callable[[str, str, Address, str], None],
        places: Iterable[str],
        doors: Sequence[str],
        marked: bool,
        control: Control,
        force_rport: bool,
        random: Callable[[int], str],
    ) -> None:
        self._full = full
        self._exempt = exempt
        self._is_known = is_known
        self._refused = refused
        self._places = tuple(places)
        self._doors = tuple(doors)
        self._force_rport = force_rport
        self._mark = random(6)
        self._mark_octets = f"tag={self._mark}".encode()
        self._uses = {name: _USES.get(key, _NOTHING) for name, key in KEYS.items()}
        if marked:
            self._uses.update((name, _DEMANDING) for name, key in KEYS.items() if key in PRIORITIES)
        self._marked = marked
        self._control = control
        self.open = False
        self.absorbed = 0
        self.repeated = 0
        self._answered = Spent(MAX_REMEMBERED)

    def acknowledged(self, ack: bytes) -> bool:
        """Whether an ACK is for a refusal of this lane: nothing is to be done for it."""
        if self._mark_octets in ack:
            self.absorbed += 1
            return True
        return False

    def answer(self, octets: bytes, source: Address, listener: int, now: float, *, reliable: bool) -> bytes | None:
        """The 503 to an INVITE, which goes back to where that came from; None where it must be read."""
        full = self._full(self._doors[listener], now)
        self._answered.due(now)
        if not full and not self._answered:
            self.open = False
            return None
        end = octets.find(b"\r\n\r\n", 0, MAX_HEAD)
        if end < 0:
            return None
        head = octets[: end + 2].decode("latin-1")
        plain = _PLAIN_INVITE(head)
        if plain is None:
            return None
        user, host, port, asked, protocol, near, near_port, said = plain.groups()
        branch = _BRANCH(said)
        if branch is None or (asked and LEASE in asked) or PASSED_ON in said:
            return None
        key = f"{branch[1]}\n{near}\n{near_port}"
        again = key in self._answered
        if not again and (not full or self._is_known(key)):
            return None
        via = self._stamped(said, near, source, reliable)
        if via is None or self._exempt(user or "", (host, int(port or 5060)), source[0]):
            return None
        digest = hash(key)
        lines = self._returned(head, plain.end(), f"{self._mark}{digest & 0xFFFFFFFF:08x}")
        if lines is None:
            return None
        if ";oc" in via:
            via = self._control.filled_in(via)
        sent_by = near if near_port is None else f"{near}:{near_port}"
        more = "" if lines[0] else f"Retry-After: {RETRY_AFTER_S[digest % len(RETRY_AFTER_S)]}\r\n"
        response = (
            f"SIP/2.0 503 Service Unavailable\r\nVia: {protocol}{sent_by}{via}\r\n{lines[0]}{lines[1]}"
            f"{more}Content-Length: 0\r\n\r\n"
        ).encode("latin-1")
        if len(response) > MOST_GAIN * len(octets) and not reliable:
            return None
        if again:
            self.repeated += 1
        else:
            self._answered.add(key, now)
            self._refused(head, user or "", source, self._doors[listener])
        return response

    def _stamped(self, said: str, near: str, source: Address, reliable: bool) -> str | None:
        """The parameters of the top Via with the address that the request came from (18.2.1, RFC 3581 section 4)."""
        if ";received" in said or ";rport=" in said:
            return None
        host, port = source
        if ";rport;" in said:
            return said.replace(";rport;", f";rport={port};received={host};", 1)
        if said.endswith(";rport"):
            return f"{said}={port};received={host}"
        if ";rport" in said:
            return None
        if not self._force_rport and not reliable:
            return None
        return said if near == host else f"{said};received={host}"

    def _returned(self, head: str, start: int, tag: str) -> tuple[str, str] | None:
        """The header lines that the response repeats: further Vias; From, To with a tag, Call-ID and CSeq."""
        lines = head[start:-2].split("\r\n")
        if head.count("\n", start) != len(lines) or head.count("\r", start) != len(lines):
            return None
        use_of = self._uses.get
        vias, others = "", ""
        seen = 0
        for line in lines:
            name, _, value = line.partition(":")
            use = use_of(name)
            if not use:
                if use is None and self._demands(name):
                    return None
            elif use == _TAKEN:
                others += line + "\r\n"
                seen += 1
            elif use == _TO:
                if "tag" in line.lower():
                    return None
                others += f"{line};tag={tag}\r\n"
                seen += 16
            elif use == _CSEQ:
                if not line.endswith(" INVITE"):
                    return None
                others += line + "\r\n"
                seen += 256
            elif use == _VIA:
                if any(place in line for place in self._places):
                    return None
                vias += line + "\r\n"
            elif use == _DEMANDING or not value.strip(" \t0"):
                return None
        return (vias, others) if seen == 274 else None  # From and Call-ID, To, CSeq, each once

    def _demands(self, name: str) -> bool:
        """Whether a header field of an uncommon name must be read."""
        key = _key(name)
        return key is None or key in _USES or (self._marked and key in PRIORITIES)


@lru_cache(maxsize=256)
def _key(name: str) -> str | None:
    """A header field's key; None for what is none, such as a folded line."""
    try:
        return key_of(name)
    except ProtocolViolation:
        return None
