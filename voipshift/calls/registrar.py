"""What a REGISTER asks for, and what becomes of the bindings: RFC 3261 section 10.3 and RFC 3327.

:func:`read` checks a request and says what it wants; :func:`step` is what that does to the bindings that are there, all
of it or nothing; :func:`answer` is what the 200 says.  Who may ask is decided before.  Not done here: GRUU and the
instances of RFC 5626; Contact parameters other than ``q`` and ``expires`` are not kept.  Pure.
"""

from __future__ import annotations

import re
from email.utils import formatdate
from ipaddress import ip_address
from typing import NamedTuple

from voipshift.calls.location import DEFAULT_Q, Binding, Bindings, live, user_of
from voipshift.errors import ProtocolViolation
from voipshift.node import Address
from voipshift.sip.grammar import NameAddr, split_values
from voipshift.sip.message import Request
from voipshift.sip.uri import SipUri, is_ip_address, scheme_of
from voipshift.sip.validation import SCHEMES

#: Bindings of one address of record: more telephones than anybody has, and few enough to be looked at one by one.
MAX_CONTACTS = 20
#: Octets of a Contact, and of all Path values together: what a store keeps for strangers with a password is bounded.
MAX_CONTACT = 512
MAX_PATH = 1024
#: Octets of an address of record.
MAX_USER = 128
#: Seconds that a binding lasts when the client does not say (section 10.2); also what a malformed number means.
DEFAULT_EXPIRES_S = 3600
#: From this on an interval is never too brief (section 10.3 item 7).
NEVER_TOO_BRIEF_S = 3600
#: The greatest number of seconds that Expires can say (section 20.19).
MAX_DELTA_SECONDS = 2**32 - 1
#: Extensions that a REGISTER may require.
UNDERSTOOD = frozenset(("path",))

_Q = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?").fullmatch


class IntervalTooBrief(ProtocolViolation):
    """423: the client wants to come back more often than it may."""

    def __init__(self) -> None:
        super().__init__("Interval Too Brief", 423)


class Wish(NamedTuple):
    """One Contact of a REGISTER: 0 seconds remove the binding."""

    contact: str
    q: int
    expires_s: int


class Registration(NamedTuple):
    """What a REGISTER asks for.

    :ivar user: the address of record
    :ivar wishes: what to do with which Contact; nothing at all asks for the list
    :ivar everything: ``Contact: *``, remove them all
    :ivar path: Path values, the one to be visited first in front
    :ivar returns_path: the client wants to see them
    :ivar direct: it came from the client itself, not through a proxy
    :ivar translated: its client does not know the address that it was seen from
    """

    user: str
    call_id: str
    cseq: int
    wishes: tuple[Wish, ...]
    everything: bool
    path: tuple[str, ...]
    returns_path: bool
    direct: bool
    translated: bool


class Limits(NamedTuple):
    """How long a binding may last."""

    min_expires_s: int
    max_expires_s: int


class Origin(NamedTuple):
    """Where a REGISTER was received: see :class:`~voipshift.calls.location.Binding`."""

    node: str
    listener: int
    source: Address
    transport: str = "udp"


def read(request: Request, limits: Limits, source: Address) -> Registration:
    """Say what a REGISTER asks for.

    :param source: where it was received from
    :raises IntervalTooBrief: an interval is too short
    :raises ProtocolViolation: 400, it breaks a rule; 404, it names no address of record
    """
    check_scheme(request)
    user, _ = user_of(request.to.uri)
    if not user or len(user) > MAX_USER:
        raise ProtocolViolation("No Such Address Of Record", 404)
    path = tuple(request.values("Path"))
    if sum(map(len, path)) > MAX_PATH or not all(map(_is_route, path)):
        raise ProtocolViolation("Bad Path")
    contacts = request.values("Contact")
    everything = "*" in contacts
    stated = _seconds(request.get("Expires"), DEFAULT_EXPIRES_S)
    if everything and (len(contacts) != 1 or request.get("Expires") is None or stated != 0):
        raise ProtocolViolation("A Star Stands Alone, With Expires 0")
    supported = {value.lower() for value in split_values(request.get("Supported") or "")}
    return Registration(
        user=user,
        call_id=request.call_id,
        cseq=request.cseq[0],
        wishes=() if everything else tuple(_wish(value, stated, limits) for value in contacts),
        everything=everything,
        path=path,
        returns_path="path" in supported,
        direct=request.has_one_via,
        translated=request.via_host != source[0],
    )


def check_scheme(request: Request) -> None:
    """Make sure that a REGISTER is for somebody whom a registrar could know at all (RFC 4475 section 3.3.3).

    :raises ProtocolViolation: 400
    """
    if scheme_of(request.to.uri) not in SCHEMES:
        raise ProtocolViolation("An Address Of Record Of Unknown Scheme")


def not_understood(request: Request) -> list[str]:
    """The extensions that a REGISTER requires and that are not known here (section 8.2.2.3)."""
    return [each for each in request.values("Require") if each.lower() not in UNDERSTOOD]


def step(asked: Registration, origin: Origin, bindings: Bindings, now: float) -> Bindings:
    """What a REGISTER makes of the bindings that are there; either all of it is done, or nothing.

    :raises ProtocolViolation: 500, a binding was made by a later REGISTER of that Call-ID; 403, they are too many
    """
    bindings = live(bindings, now)
    if asked.everything:
        for binding in bindings:
            _check_order(asked, binding)
        return ()
    for wish in asked.wishes:
        place = next((place for place, each in enumerate(bindings) if same_contact(each.contact, wish.contact)), None)
        if place is not None:
            _check_order(asked, bindings[place])
        made = (_binding(asked, wish, origin, now),) if wish.expires_s else ()
        place = len(bindings) if place is None else place
        bindings = bindings[:place] + made + bindings[place + 1 :]
    if len(bindings) > MAX_CONTACTS:
        raise ProtocolViolation("Too Many Contacts", 403)
    return bindings


def answer(asked: Registration, bindings: Bindings, now: float) -> tuple[tuple[str, str], ...]:
    """The header fields of the 200: every binding with what is left of it, Path, and the time (section 10.3 item 8).

    Where there is no room for all of them, those that the request is about matter the most, and come first.

    :param now: seconds since 1970
    """
    path = [("Path", value) for value in asked.path] if asked.returns_path else []
    wished = {wish.contact for wish in asked.wishes}
    own: list[tuple[str, str]] = []
    others: list[tuple[str, str]] = []
    for binding in live(bindings, now):
        (own if binding.contact in wished else others).append(("Contact", _written(binding, now)))
    return *own, *path, *others, ("Date", formatdate(now, usegmt=True))


def same_contact(one: str, other: str) -> bool:
    """Whether two Contacts are the same binding (section 10.3 item 7: by the rules of each scheme)."""
    if one == other:
        return True
    try:
        return SipUri.parse(one) == SipUri.parse(other)
    except ProtocolViolation:
        return False


def _check_order(asked: Registration, binding: Binding) -> None:
    """Of one Call-ID, only a later request changes a binding; another Call-ID is a client that began anew."""
    if binding.call_id == asked.call_id and asked.cseq <= binding.cseq:
        raise ProtocolViolation("A Later Request Was Here Before", 500)


def _binding(asked: Registration, wish: Wish, origin: Origin, now: float) -> Binding:
    return Binding(
        contact=wish.contact,
        q=wish.q,
        expires=now + wish.expires_s,
        call_id=asked.call_id,
        cseq=asked.cseq,
        path=asked.path,
        node=origin.node,
        listener=origin.listener,
        source=origin.source,
        transport=origin.transport,
        behind_nat=asked.direct and (asked.translated or not _has_address(wish.contact)),
    )


def _has_address(contact: str) -> bool:
    """Whether a Contact has an IP address.  A host name is not looked up, for where it was seen from reaches it too."""
    try:
        return is_ip_address(SipUri.parse(contact).host)
    except ProtocolViolation:
        return True


def _wish(value: str, stated: int, limits: Limits) -> Wish:
    contact = NameAddr.parse(value)
    if len(contact.uri) > MAX_CONTACT:
        raise ProtocolViolation("A Contact Of More Than 512 Octets")
    if scheme_of(contact.uri) in ("sip", "sips"):
        _check_host(SipUri.parse(contact.uri))
    q = contact.parameters.get("q")
    if q is not None and _Q(q) is None:
        raise ProtocolViolation("Bad q")
    expires_s = _seconds(contact.parameters.get("expires"), stated)
    if 0 < expires_s < min(limits.min_expires_s, NEVER_TOO_BRIEF_S):
        raise IntervalTooBrief
    thousandths = DEFAULT_Q if q is None else round(float(q) * 1000)
    return Wish(contact.uri, thousandths, min(expires_s, limits.max_expires_s))


def _check_host(uri: SipUri) -> None:
    """Nothing is ever sent to all machines at once, however it was registered."""
    host = uri.address()[0]
    if is_ip_address(host):
        address = ip_address(host)
        if address.is_multicast or address.is_unspecified or host == "255.255.255.255":
            raise ProtocolViolation("A Contact That Is No Machine")


def _seconds(text: str | None, otherwise: int) -> int:
    """A number of seconds; a malformed one is taken as an hour (section 10.3 item 7)."""
    if text is None:
        return otherwise
    if not text.isdecimal() or not text.isascii():
        return DEFAULT_EXPIRES_S
    return min(int(text), MAX_DELTA_SECONDS) if len(text) <= 10 else MAX_DELTA_SECONDS


def _is_route(value: str) -> bool:
    try:
        SipUri.parse(NameAddr.parse(value).uri)
    except ProtocolViolation:
        return False
    return "<" in value


def _written(binding: Binding, now: float) -> str:
    left_s = max(1, round(binding.expires - now))
    q = "" if binding.q == DEFAULT_Q else f";q={binding.q / 1000:g}"
    return f"<{binding.contact}>{q};expires={left_s}"
