"""A call's record: what an operator is told of one call afterwards.

The node that carries a call keeps one of it when it ends.  The node that a client asked keeps one of an attempt that it
did not carry itself: it was shifted (302), refused by all (503), or given up by its client (487).  Both have the
attempt's id, by which they are found together.  Final codes are those of SIP for calls of H.323 too.

A record is made where calls are carried, and so costs a tuple there: what it looks like in a store is made of it in the
thread that writes.  Pure.
"""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from voipshift.balance.reason import Reason
from voipshift.node import Address, CallAttempt, Load

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Of a text that a client chose; more informs nobody, and a hundred thousand records may wait for the disk.
LONGEST_TEXT = 256

SHIFTED = 302
REFUSED = 503
CANCELLED = 487
#: A slot was held for the client, and it did not come.
LAPSED = 408


class Slot(Protocol):
    """A lease, as far as records need it."""

    @property
    def attempt(self) -> CallAttempt: ...
    @property
    def entry(self) -> str: ...
    @property
    def visited(self) -> tuple[Load, ...]: ...


class Origin(NamedTuple):
    """Where a call comes from: what is known of it when its client arrives with the slot that it was promised.

    :param visited: the load of each node on its way, this one last
    :param call_id: what the call is known by to its ends
    """

    attempt: CallAttempt
    entry: str
    visited: tuple[Load, ...]
    call_id: str


class Record(NamedTuple):
    """One call, or one attempt.

    :param attempt: the attempt's id in hex, the same in the whole group
    :param node: who keeps this record
    :param call_id: what the call is known by to its ends: Call-ID, or callIdentifier
    :param door: by which door the client came
    :param client: where from
    :param entry: the node that it asked first
    :param path: the load of each node on its way when it decided, and why it did
    :param accepted: the node that took it; empty where nobody did
    :param gateway: where that node sent it: to a gateway or a telephone; empty where it sent it nowhere
    :param began: when the attempt came to this node, or the call was accepted by it; seconds since 1970, as all times
    :param alerted: when the called user was first heard of
    :param answered: when it was answered
    :param code: the final SIP status; 0 of a call that was under way when its node stopped
    :param octets: of media, where an end has said so
    """

    attempt: str
    node: str
    call_id: str
    door: str
    caller: str
    callee: str
    client: Address
    entry: str
    path: tuple[Load, ...]
    accepted: str
    gateway: Address | None
    began: float
    alerted: float | None
    answered: float | None
    ended: float
    code: int
    octets: int | None = None

    @property
    def duration_s(self) -> float:
        """How long the ends could speak."""
        return 0.0 if self.answered is None else max(0.0, self.ended - self.answered)


def document(record: Record) -> dict[str, Any]:
    """A record as JSON has it."""
    return {
        "attempt": record.attempt,
        "node": record.node,
        "call_id": plain(record.call_id),
        "door": record.door,
        "caller": plain(record.caller),
        "callee": plain(record.callee),
        "client": written(record.client),
        "entry": record.entry,
        "path": steps(record.path),
        "accepted": record.accepted,
        "gateway": written(record.gateway),
        "began": moment(record.began),
        "alerted": moment(record.alerted),
        "answered": moment(record.answered),
        "ended": moment(record.ended),
        "duration_s": round(record.duration_s, 3),
        "code": record.code,
        "octets": record.octets,
    }


def plain(text: str) -> str:
    """A client's text as every store takes it: without NUL and halves of characters, and not too long."""
    return text[:LONGEST_TEXT].encode("utf-8", "replace").decode().replace("\0", "\ufffd")


def written(address: Address | None) -> str:
    """An address as text."""
    if address is None:
        return ""
    host, port = address
    return plain(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")


def address_of(text: str) -> Address | None:
    """The other way."""
    host, colon, port = text.rpartition(":")
    return (host.strip("[]"), int(port)) if colon and port.isdecimal() else None


def moment(time: float | None) -> str | None:
    """A time as ISO 8601 writes it, of Greenwich."""
    if time is None:
        return None
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def steps(path: Sequence[Load]) -> list[dict[str, Any]]:
    """A path as JSON has it; a capacity without limit is null."""
    return [
        {
            "node": plain(load.node),
            "occupancy": round(load.occupancy, 4) if math.isfinite(load.occupancy) else None,
            "capacity": round(load.capacity, 4) if math.isfinite(load.capacity) else None,
            "reason": _word(load.reason),
        }
        for load in path
    ]


def path_of(text: str) -> tuple[Load, ...]:
    """The path that a store has as JSON."""
    return tuple(
        Load(step["node"], 0, 0, _amount(step["occupancy"]), _amount(step["capacity"]), reason=_number(step["reason"]))
        for step in json.loads(text)
    )


def _amount(value: float | None) -> float:
    return math.inf if value is None else value


def _word(reason: int) -> str:
    try:
        return Reason(reason).name.lower()
    except ValueError:
        return f"reason_{reason}"  # of a later version


def _number(word: str) -> int:
    known = Reason.__members__.get(word.upper())
    return int(word.removeprefix("reason_")) if known is None else known
