r"""The eight things that nodes say to each other, one or several of them as the body of a sealed datagram.

A body begins with 16 octets that hold for all of its messages, which follow one after the other::

    octet  0 ..  7  the sender's clock in ms: a message expires
           8 .. 15  the incarnation of the receiver that the sender believes; 0 where it believes none
          16        kind                                  \
          17 .. 18  n, how many octets of a map follow     > one message
          19 ..     a map with small integers as keys     /
        19+n        the kind of the next message ...

Each message stands by itself, and means what it means in a datagram of its own.

======== = =====================================================================================================
Report   1 what a node says of itself, how to reach it, up to eight others; a challenge, the echo of a challenge
Ask      2 place this call attempt: the loads of the nodes it visited, the time that is left
Pending  3 of an Ask: it is being asked on
Answer   4 of an Ask: a node that accepts and its lease, or none; the loads of all visited nodes
Withdraw 5 what was asked, or the lease that was given, is no longer wanted; repeated until acknowledged
Lapsed   6 leases that ran out, several at once; the numbers of Withdraws that are acknowledged
Poll     7 a challenge, and where to send the Report that echoes it
Leave    8 this node stops
======== = =====================================================================================================

Numbers of kinds, keys and places in an array are append-only: an unknown kind and an unknown key are skipped, an array
may have grown at its end, so that versions can mix.  What is there must have its type and its bounds.

Pure.  Decoding raises ProtocolViolation or nothing.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, NamedTuple

from voipshift.balance.factors import UNTOLD, Factors
from voipshift.errors import ProtocolViolation
from voipshift.group.fields import (
    LARGEST_PORT,
    LONGEST_DOOR,
    LONGEST_HOST,
    document,
    document_of,
    optional,
    pack,
    pack_map,
    read_array,
    read_challenge,
    read_criterion,
    read_factors,
    read_group_address,
    read_identity,
    read_load,
    read_name,
    read_octets,
    read_offered,
    read_other,
    read_text,
    read_truth,
    read_whole,
)
from voipshift.node import Acceptance, Address, CallAttempt, Load, NodeIdentity
from voipshift.value import Value

#: What all messages of a body have in common, and what each begins with.
PRELUDE: Final = struct.Struct(">qQ")
PRELUDE_OCTETS: Final = 16
HEAD_OCTETS: Final = 3
ATTEMPT_OCTETS: Final = 16
LEASE_OCTETS: Final = 16
#: A path is at most the hop limit's 7 long; a refusal names each visited node once more.
MOST_LOADS: Final = 16
MOST_OTHERS = 8
MOST_HOPS: Final = 16
MOST_CRITERIA = 16
#: How many leases, or numbers of Withdraws, one Lapsed names: with the longest names that is still below 1200 octets.
MOST_LAPSED = 25
#: Octets of header lines by which a node that accepts can tell the client itself.
LONGEST_REPLY: Final = 500
#: Longer than any attempt may take.
LONGEST_WAIT_MS: Final = 60_000


class Kind(IntEnum):
    """Append-only."""

    REPORT = 1
    ASK = 2
    PENDING = 3
    ANSWER = 4
    WITHDRAW = 5
    LAPSED = 6
    POLL = 7
    LEAVE = 8


@dataclass(frozen=True, slots=True)
class Counts:
    """What a node counted since it started.

    :param calls: ongoing now
    :param leases: open now
    :param accepted: attempts that it took
    :param asked_on: attempts that it passed to another
    :param refused: attempts that it refused
    :param carried: calls that it carried
    :param peak: most calls and leases at one time
    :param limit: of ongoing calls; None is unlimited
    """

    calls: int = 0
    leases: int = 0
    accepted: int = 0
    asked_on: int = 0
    refused: int = 0
    carried: int = 0
    peak: int = 0
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Statement:
    """What a node says of itself in a Report.

    :param load: with the incarnation that the exchange holds and a sequence that grows with each statement
    :param doors: as in :class:`~voipshift.node.NodeIdentity`; none at all is an observer
    :param hops: how many of the carried calls had been forwarded 0, 1, 2 ... times
    :param members: how many members it believes alive
    :param factors: what speaks for it besides its workload
    :param offered: attempts that clients make at its entry in a second; None where its rule does not need it
    :param criteria: of each criterion of its workload the number, the value, and that as a fraction of its threshold
    """

    load: Load
    doors: Mapping[str, Address]
    counts: Counts = Counts()
    hops: tuple[int, ...] = ()
    members: int = 0
    criteria: tuple[tuple[int, float, float], ...] = ()
    factors: Factors = UNTOLD
    offered: float | None = None


class Report(NamedTuple):
    """``echo`` answers a Poll or a Report's ``challenge``; both are empty in most Reports."""

    statement: Statement
    identity: NodeIdentity
    address: Address
    others: tuple[tuple[str, Address], ...] = ()
    challenge: bytes = b""
    echo: bytes = b""


class Poll(NamedTuple):
    """``address`` is where the sender can be reached."""

    challenge: bytes
    address: Address


class Ask(Value):
    """``number`` is the asking node's own and never used again by its boot; ``entry`` asked first."""

    __slots__ = ("attempt", "entry", "left_s", "number", "path")

    def __init__(self, number: int, attempt: CallAttempt, path: tuple[Load, ...], left_s: float, entry: str) -> None:
        self.number: Final = number
        self.attempt: Final = attempt
        self.path: Final = path
        self.left_s: Final = left_s
        self.entry: Final = entry


class Answer(Value):
    """``acceptance`` is None for a refusal."""

    __slots__ = ("acceptance", "number", "visited")

    def __init__(self, number: int, visited: tuple[Load, ...], acceptance: Acceptance | None) -> None:
        self.number: Final = number
        self.visited: Final = visited
        self.acceptance: Final = acceptance


class Withdraw(NamedTuple):
    """Of what was asked with the Ask ``ask``, or of the ``lease`` that ``node`` gave; the other is 0 or empty."""

    number: int
    attempt: bytes
    ask: int = 0
    node: str = ""
    lease: str = ""


class Lapsed(NamedTuple):
    """``leases`` are pairs of the attempt and the lease."""

    leases: tuple[tuple[bytes, str], ...] = ()
    withdrawn: tuple[int, ...] = ()


def message(kind: int, map: bytes) -> bytes:
    """One message: its kind, and a map of what it says."""
    return (kind << 16 | len(map)).to_bytes(HEAD_OCTETS, "big") + map


def messages_of(body: bytes) -> list[tuple[int, bytes]]:
    """The kind and the map of each message in a body.

    :raises ProtocolViolation: they do not fill it exactly, or there is none
    """
    found = []
    at, end = PRELUDE_OCTETS, len(body)
    while at + HEAD_OCTETS <= end:
        start = at + HEAD_OCTETS
        stop = start + (body[at + 1] << 8 | body[at + 2])
        found.append((body[at], body[start:stop]))
        at = stop
    if at != end or not found:
        raise ProtocolViolation("malformed")
    return found


# What each message becomes: the map alone, without the octets before it.


def encode_statement(statement: Statement, address: Address) -> dict[int, Any]:
    """A Report's fields that are the same for every receiver."""
    counts, load = statement.counts, statement.load
    numbers = [counts.calls, counts.leases, counts.accepted, counts.asked_on, counts.refused, counts.carried]
    return {
        1: load.fields(),
        2: document(load.node, statement.doors),
        3: address,
        4: [*numbers, counts.peak, counts.limit],
        5: statement.hops[:MOST_HOPS],
        6: statement.members,
        10: statement.criteria[:MOST_CRITERIA],
        11: None if statement.factors == UNTOLD else statement.factors,
        12: None if statement.offered is None else (statement.offered,),
    }


def encode_report(
    fields: dict[int, Any], others: Sequence[tuple[str, Address]] = (), challenge: bytes = b"", echo: bytes = b""
) -> bytes:
    """A Report of :func:`encode_statement`'s fields."""
    fields = fields | {7: [(name, host, port) for name, (host, port) in others], 8: challenge, 9: echo}
    return pack({key: value for key, value in fields.items() if value or key < 7})


def encode_ask(ask: Ask) -> bytes:
    """An Ask's map."""
    attempt = ask.attempt
    host, port = attempt.client
    fields: list[tuple[int, object]] = [
        (1, ask.number),
        (2, attempt.id),
        (3, attempt.door),
        (4, attempt.caller),
        (5, attempt.callee),
        (6, attempt.target),
        (7, host),
        (8, port),
        (9, attempt.trusted),
        (10, [load.fields() for load in ask.path]),
        (11, min(max(0, int(ask.left_s * 1000)), LONGEST_WAIT_MS)),
        (12, ask.entry),
    ]
    if attempt.emergency:
        fields.append((13, True))
    if attempt.reply:
        fields.append((14, attempt.reply))
    return pack_map(fields)


def encode_pending(number: int) -> bytes:
    """A Pending's map."""
    return pack({1: number})


def encode_answer(number: int, visited: tuple[Load, ...], acceptance: Acceptance | None) -> bytes:
    """An Answer's map; of a longer list of visited nodes the last ones are sent."""
    loads = [load.fields() for load in visited[-MOST_LOADS:]]
    if acceptance is None:
        return pack({1: number, 2: loads})
    lease = bytes.fromhex(acceptance.lease)
    fields: list[tuple[int, object]] = [
        (1, number),
        (2, loads),
        (3, lease),
        (4, document_of(acceptance.node)),
        (5, acceptance.hops),
    ]
    if acceptance.told:
        fields.append((9, True))
    return pack_map(fields)


def encode_withdraw(withdraw: Withdraw) -> bytes:
    """A Withdraw's map."""
    number, attempt, ask, node, lease = withdraw
    if ask:
        return pack({1: number, 2: attempt, 3: ask})
    return pack({1: number, 2: attempt, 4: node, 5: bytes.fromhex(lease)})


def encode_lapsed(lapsed: Lapsed) -> bytes:
    """A Lapsed's map."""
    return pack({1: [(attempt, bytes.fromhex(lease)) for attempt, lease in lapsed.leases], 2: lapsed.withdrawn})


def encode_poll(poll: Poll) -> bytes:
    """A Poll's map."""
    return pack({1: poll.challenge, 2: poll.address})


# And back.


def decode_report(fields: dict[Any, Any]) -> Report:
    """:raises ProtocolViolation: as every decoder here."""
    load = read_load(fields.get(1))
    identity = read_identity(read_octets(fields.get(2), 1, 1200))
    numbers = read_array(fields.get(4), 8, 64)
    limit = None if numbers[7] is None else read_whole(numbers[7])
    calls, leases, accepted, asked_on, refused, carried, peak = [read_whole(number) for number in numbers[:7]]
    counts = Counts(calls, leases, accepted, asked_on, refused, carried, peak, limit)
    hops = tuple(read_whole(number) for number in read_array(fields.get(5), 0, MOST_HOPS))
    others = tuple(read_other(value) for value in read_array(fields.get(7, []), 0, MOST_OTHERS))
    challenge = optional(fields, 8, b"", read_challenge)
    echo = optional(fields, 9, b"", read_challenge)
    criteria = tuple(read_criterion(value) for value in read_array(fields.get(10, []), 0, MOST_CRITERIA))
    factors = optional(fields, 11, UNTOLD, read_factors)
    offered = optional(fields, 12, None, read_offered)
    statement = Statement(load, identity.doors, counts, hops, read_whole(fields.get(6)), criteria, factors, offered)
    return Report(statement, identity, read_group_address(fields.get(3)), others, challenge, echo)


def decode_ask(fields: dict[Any, Any]) -> Ask:
    """An Ask of a map."""
    attempt = CallAttempt(
        read_octets(fields.get(2), ATTEMPT_OCTETS),
        read_text(fields.get(3), LONGEST_DOOR),
        read_text(fields.get(4)),
        read_text(fields.get(5)),
        read_text(fields.get(6)),
        (read_text(fields.get(7), LONGEST_HOST), read_whole(fields.get(8), LARGEST_PORT)),
        read_truth(fields.get(9)),
        fields.get(13) is True,
        read_octets(fields[14], 1, LONGEST_REPLY) if 14 in fields else b"",
    )
    left_s = read_whole(fields.get(11), LONGEST_WAIT_MS) / 1000
    return Ask(read_whole(fields.get(1)), attempt, read_loads(fields.get(10)), left_s, read_name(fields.get(12)))


def read_loads(value: object) -> tuple[Load, ...]:
    """The nodes that an attempt visited."""
    return tuple([read_load(load) for load in read_array(value, 0, MOST_LOADS)])


def decode_pending(fields: dict[Any, Any]) -> int:
    """The number of the Ask."""
    return read_whole(fields.get(1))


def decode_answer(fields: dict[Any, Any]) -> Answer:
    """An Answer of a map."""
    number, visited, lease = read_whole(fields.get(1)), read_loads(fields.get(2)), fields.get(3)
    if lease is None:
        return Answer(number, visited, None)
    node = read_identity(read_octets(fields.get(4), 1, 1200))
    hops, told = read_whole(fields.get(5), MOST_HOPS), fields.get(9) is True
    accepted = Acceptance(node, read_octets(lease, LEASE_OCTETS).hex(), visited, hops, told)
    return Answer(number, visited, accepted)


def decode_withdraw(fields: dict[Any, Any]) -> Withdraw:
    """A Withdraw of a map."""
    number, attempt = read_whole(fields.get(1)), read_octets(fields.get(2), ATTEMPT_OCTETS)
    if 3 in fields:
        return Withdraw(number, attempt, ask=read_whole(fields[3]))
    lease = read_octets(fields.get(5), LEASE_OCTETS).hex()
    return Withdraw(number, attempt, node=read_name(fields.get(4)), lease=lease)


def decode_lapsed(fields: dict[Any, Any]) -> Lapsed:
    """A Lapsed of a map."""
    leases = []
    for value in read_array(fields.get(1, []), 0, MOST_LAPSED):
        pair = read_array(value, 2, 16)
        leases.append((read_octets(pair[0], ATTEMPT_OCTETS), read_octets(pair[1], LEASE_OCTETS).hex()))
    withdrawn = tuple(read_whole(number) for number in read_array(fields.get(2, []), 0, MOST_LAPSED))
    return Lapsed(tuple(leases), withdrawn)


def decode_poll(fields: dict[Any, Any]) -> Poll:
    """A Poll of a map."""
    return Poll(read_challenge(fields.get(1)), read_group_address(fields.get(2)))
