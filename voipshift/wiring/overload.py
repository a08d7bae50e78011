"""What a node does when it is asked for more than it can do, made of what the settings say.

The lane that refuses calls unread (:mod:`voipshift.sip.refusal`) is told here what the portal would have looked at.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from random import Random
from typing import NamedTuple

from voipshift import config
from voipshift.balance.leases import Leases
from voipshift.balance.members import Members
from voipshift.balance.reason import Reason
from voipshift.balance.restraint import Restraint
from voipshift.balance.workload import Workload
from voipshift.calls.record import REFUSED
from voipshift.calls.recorder import Recorder
from voipshift.calls.thinning import Thinning
from voipshift.delegation.chain import Delegation
from voipshift.node import Address, CallAttempt
from voipshift.sip.answers import Answers
from voipshift.sip.layer import TransactionLayer
from voipshift.sip.listeners import Listeners
from voipshift.sip.overload import Control
from voipshift.sip.placement import MAX_NAME
from voipshift.sip.priority import Marks
from voipshift.sip.refusal import Refusals
from voipshift.sip.transaction import ServerTransaction
from voipshift.sip.uri import SipUri, host_port

_FROM = re.compile(r"\r\n(?:From|f)[ \t]*+:[ \t]*+(?:[^\r\n<]*+<([^\r\n>]*+)|([^\r\n;]*+))", re.IGNORECASE).search
_CALL_ID = re.compile(r"\r\n(?:Call-ID|i)[ \t]*+:[ \t]*+([^\r\n]*+)", re.IGNORECASE).search


class Rooms(NamedTuple):
    """The rooms of the node that decide about a call attempt.

    :ivar whose: the name of the node that has an address
    :ivar trusts: whether an address vouches for its callers
    :ivar recorder: who makes records of calls; None where nobody does
    """

    workload: Workload
    members: Members
    leases: Leases
    delegation: Delegation
    answers: Answers
    listeners: Listeners
    whose: Callable[[Address], str | None]
    trusts: Callable[[str], bool]
    now: Callable[[], float]
    recorder: Recorder | None


def marks_of(settings: config.Settings) -> Marks:
    """What marks a call as an emergency."""
    emergency = settings.emergency
    return Marks(priority=emergency.priority, resource_priorities=emergency.resource_priorities)


def _exempt(settings: config.Settings, trusts: Callable[[str], bool]) -> Callable[[ServerTransaction], bool]:
    """Whether a call is an emergency, by its number or by the word of a caller who is known."""
    numbers, marks, anybody = frozenset(settings.emergency.numbers), marks_of(settings), settings.access.open

    def exempt(invite: ServerTransaction) -> bool:
        request = invite.request
        if marks and (not anybody or trusts(invite.source.host)) and marks.on(request):
            return True
        if not numbers:
            return False
        uri = request.target
        number = uri.user or "" if isinstance(uri, SipUri) else request.uri[4:]
        return number.partition(";")[0] in numbers

    return exempt


def thinning_of(
    settings: config.Settings,
    is_asked: Callable[[Address], bool],
    trusts: Callable[[str], bool],
    now: Callable[[], float],
    random: Random,
) -> Thinning:
    """What the gateways say of their own overload."""
    return Thinning(is_asked, exempt=_exempt(settings, trusts), now=now, random=random)


def control_of(rooms: Rooms, wall: Callable[[], float]) -> Control:
    """What clients before this node are told of its overload: that of its group, as it is met with here."""
    counts = rooms.delegation.counts
    restraint = Restraint(attempts=lambda: counts.attempts, refused=lambda: counts.refused, now=rooms.now())
    return Control(percent=lambda: restraint.percent(rooms.now()), wall=wall)


def refusals_of(settings: config.Settings, rooms: Rooms, layer: TransactionLayer, control: Control) -> Refusals:
    """The lane that refuses while this node has no room and every member is flagged full: line 3 of the rule."""
    workload, members, leases, whose = rooms.workload, rooms.members, rooms.leases, rooms.whose
    counts, answered = rooms.delegation.counts, rooms.answers.counts
    recorder = rooms.recorder
    here, emergency = settings.node.name, frozenset(settings.emergency.numbers)
    # A stranger who can become known by a password is not asked for it only to be refused then; one who cannot is told
    # that he may not call.
    anybody = settings.access.open or settings.access.users is not None

    def full(door: str, now: float) -> bool:
        return not workload.room(now) and members.all_full(door, now)

    def exempt(user: str, place: Address, client: str) -> bool:
        if user.partition(";")[0] in emergency or not (anybody or rooms.trusts(client)):
            return True
        owner = whose(place) if place[0][-1].isdigit() else None  # nodes are known by IP addresses
        if owner != here:
            return owner is not None
        return len(leases) > 0 and leases.find(client, user[:MAX_NAME], rooms.now()) is not None

    def refused(head: str, callee: str, client: Address, door: str) -> None:
        counts.attempts += 1
        counts.refused += 1
        if rooms.delegation.rates is not None:
            rooms.delegation.rates.count(rooms.now())
        answered[503] += 1
        if recorder is not None:
            caller, call_id = caller_of(head)
            attempt = CallAttempt(secrets.token_bytes(16), door, caller, callee[:MAX_NAME], "", client, call_id=call_id)
            recorder.refused(attempt, (rooms.delegation.told(Reason.ALL_FULL),), REFUSED, 0.0)

    return Refusals(
        full=full,
        exempt=exempt,
        is_known=layer.is_known,
        refused=refused,
        places=map(host_port, rooms.listeners.places),
        doors=rooms.listeners.doors,
        marked=bool(marks_of(settings)),
        control=control,
        force_rport=settings.sip.force_rport,
        random=secrets.token_hex,
    )


def caller_of(head: str) -> tuple[str, str]:
    """Who calls, and the Call-ID, as a record of an INVITE has them that nobody parses."""
    caller, call_id = _FROM(head), _CALL_ID(head)
    return (
        (caller[1] or caller[2] or "")[:MAX_NAME] if caller is not None else "",
        call_id[1] if call_id is not None else "",
    )
