"""The rule: who takes a call attempt. The whole of it, as lines 2 to 9 of the group's method::

    on attempt r at node s   (V = nodes already visited with the load each had; empty at the entry)
     1  learn every load in V                              # newer (incarnation, sequence) only, here and everywhere
     2  room = below threshold and accept-rate bucket >= 1 and queue delay < 200 ms and not draining
     3  if not room and every live member is flagged full: refuse
     4  if room and (V not empty or u(s) < theta): accept
     5  P = members heard less than 3 T ago, not suspect, not in V, allowed by policy(r)
     6  F = {p in P: u(p) < 1};  if F is empty and r was not yet probed: F = P, probed = true
     7  if F is empty or |V| >= H: accept if room, else refuse
     8  k = the emptier of two draws from F with weight capacity(p) * (1 - u(p)) * locality(p)
     9  if room and u(s) <= u(k) + max(delta, 2/capacity(s)): accept
    10  believed(k) += 1 call; forward r to k with V + {s: load}
    11  on answer: learn all loads in it; a refusal adds its visited nodes to V, go on at 5 (7 accepts here if room).
        Silence for tau: k is suspect until heard again; go on at 5
    12  accept: hold a lease; the answer carries the own load.  Lease or call ends: release, once

Lines 1 and 10 to 12 are deeds: the delegation does them.  Lines 2 and 13 are
:mod:`voipshift.balance.workload`'s, line 14 the group's.  Why the rule is shaped like this: always asking *the*
least loaded makes all nodes ask the same one, the worse the more nodes there are and the older their beliefs; a
dead band, a drawn candidate and a hop limit reach the blocking of one pooled group, evenly, whatever the number
of nodes.

Where the lines leave a choice:

- Line 3 is looked at again when the rule goes on after an answer, for what that answer taught may be that now
  all are full. So one stale belief costs one ask, and a group that is known to be full is not asked.
- Every live member means every one that has the client's door, for no other could take the call.  With none at
  all, a node without room refuses.
- A member without any capacity (a limit of 0) is never drawn, neither as free nor as a probe.
- Members believed full are probed in proportion to their capacity.
- A node that has no room lets the weights fade with the age of the news, as fast as free slots are taken (``_aged``):
  in a full group most of those that are believed to have one slot have had it.
- One draw leaves the group as uneven as chance makes it.  The emptier of two is nearly as even as the emptiest of all,
  and does not send everybody to the same one: nobody is asked more than twice as often as by one draw (M. Mitzenmacher,
  The Power of Two Choices in Randomized Load Balancing, IEEE Transactions on Parallel and Distributed Systems 12(10),
  2001).  That is for a node with room, which looks for evenness; one without looks for a free slot, which the larger
  number of them has.  Where the operator's factors weigh, one draw decides: two would be something else than they say.
- Full is said of what is not reserved.  An emergency call passes line 3 by, and each of its asks may be a probe: some
  member that is full for all others may have room for it.
- The rule ``rate`` replaces lines 4 to 9 where there is room (:mod:`voipshift.balance.rates`); where there is none, it
  is the seed's.
- ``choose = "lowest"`` draws among those of the lowest occupancy, with the same weights.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Container
from dataclasses import dataclass, replace
from itertools import accumulate
from random import Random
from typing import TYPE_CHECKING, Final, Literal

from voipshift.balance.members import Member, Members
from voipshift.balance.policy import Selection
from voipshift.balance.rates import Rates
from voipshift.balance.reason import Reason
from voipshift.balance.workload import Workload
from voipshift.value import Value

if TYPE_CHECKING:
    from voipshift.config import BalanceSettings


#: How many nodes an attempt may have visited; in a large group, of so many nodes, the last free slot is farther away.
HOP_LIMIT: Final = 3
HOP_LIMIT_LARGE: Final = 5
LARGE_GROUP: Final = 100


@dataclass(frozen=True, slots=True)
class Rule:
    """The parameters of the one code path.

    :param theta: below this occupancy a client's attempt stays without looking at the others; 1 is the seed's rule
    :param delta: the dead band: only a member emptier by more than this is asked while there is room here
    :param choose: ``weighted`` draws in proportion to free capacity, ``lowest`` among the least occupied
    :param hop_limit: how many nodes an attempt may have visited before nobody more is asked; None for what suits the
        size of the group
    """

    theta: float
    delta: float = 0.05
    choose: Literal["weighted", "lowest"] = "weighted"
    hop_limit: int | None = None

    def hops_allowed(self, members: int) -> int:
        """The hop limit in a group with so many other nodes."""
        if self.hop_limit is not None:
            return self.hop_limit
        return HOP_LIMIT if members + 1 < LARGE_GROUP else HOP_LIMIT_LARGE


#: Accept below the threshold, else forward to a less loaded member.
SEED = Rule(theta=1.0)
#: Look at the others from a low occupancy on, for evenness.
EVEN = Rule(theta=0.3)


#: Where a slot stays free for longer than this, the age of the news makes no difference worth reckoning.
AGELESS_S: Final = 30.0


class Ask(Value):
    """The decision to forward the attempt to a member, and why; ``PROBED`` when it is believed to be full."""

    __slots__ = ("member", "reason")

    def __init__(self, member: Member, reason: Reason) -> None:
        self.member: Final = member
        self.reason: Final = reason

    @property
    def probe(self) -> bool:
        """Whether the member is believed to be full."""
        return self.reason is Reason.PROBED


def anywhere(member: Member) -> float:
    """The locality of a group that has no regions, costs or ratings: all alike."""
    return 1.0


def decide(
    rule: Rule,
    *,
    door: str,
    visited: Container[str],
    hops: int,
    resumed: bool,
    probed: bool,
    workload: Workload,
    members: Members,
    now: float,
    random: Random,
    locality: Callable[[Member], float] = anywhere,
    selection: Selection | None = None,
    rates: Rates | None = None,
) -> Reason | Ask:
    """Lines 2 to 9: why this node accepts or refuses, or whom it asks.

    :param door: the client's door, which a candidate must have
    :param visited: the names of the nodes in V
    :param hops: ``|V|``
    :param resumed: a member that was asked has refused or kept silent, and the rule goes on
    :param probed: the attempt already spent its probe of a member believed full
    :param locality: the weight that factors other than workload give a candidate
    :param selection: what these factors are for this attempt: who may be a candidate, and the locality; and whether
        this node is a place for it at all
    :param rates: what is offered in the group; None where the rule is not ``rate``
    """
    occupancy = workload.occupancy(now)
    room = workload.room_at(occupancy) if selection is None else selection.room(workload, now)
    emergency = selection is not None and selection.emergency
    if not room and not emergency and _all_full(members, selection, door, now):  # line 3
        return Reason.ALL_FULL
    if room and rates is not None:  # in place of lines 4 to 9
        lacking = None if hops or resumed else rates.draw(door, now, random, selection)
        return Reason.BELOW_THRESHOLD if lacking is None else Ask(lacking, Reason.OFFERED_LESS)
    if room and not resumed and (hops or occupancy < rule.theta):  # line 4
        return Reason.BELOW_THRESHOLD
    if hops >= rule.hops_allowed(len(members)):  # line 7
        return Reason.NOBODY_LEFT if room else Reason.HOP_LIMIT
    candidates = members.candidates(door, visited, now)  # line 5
    if selection is not None:
        candidates = [member for member in candidates if selection.allows(member)]
        locality = selection.weight
    weights = [member.free if member.free > 0.0 else 0.0 for member in candidates]  # line 6
    free = sum(weights)
    probe = not free and (emergency or not probed)
    if probe:
        weights = [member.load.capacity for member in candidates]
    elif rule.choose == "lowest":
        weights = _of_the_lowest(candidates, weights)
    elif not room:
        weights = _aged(candidates, weights, free, workload.holding_s)
    if locality is not anywhere:
        weights = [weight * locality(member) for member, weight in zip(candidates, weights, strict=True)]
    twice = room and locality is anywhere and not probe
    member = _draw(candidates, weights, random, twice)  # line 8
    if member is None:
        return Reason.NOBODY_LEFT if room else Reason.NOBODY_TO_ASK
    if room and occupancy <= member.occupancy + max(rule.delta, 2.0 / workload.capacity(now)):  # line 9
        return Reason.NOBODY_EMPTIER
    if probe:
        return Ask(member, Reason.PROBED)
    return Ask(member, Reason.ANOTHER_EMPTIER if room else Reason.FULL)


def _all_full(members: Members, selection: Selection | None, door: str, now: float) -> bool:
    """Line 3: of all members, or of those that the attempt could go to at all."""
    if members.all_full(door, now):
        return True
    return selection is not None and all(member.full for member in members.live(door, now) if selection.allows(member))


def _aged(candidates: list[Member], weights: list[float], free: float, holding_s: float) -> list[float]:
    """The same weights, less the older the news is: in a group that is full, a slot that was free has been taken since.

    By Little's law a slot stays free for W = L / lambda, where L slots are believed free, and calls are taken at the
    rate at which they end, the capacity of all over the mean holding time.  Of what was told t before the newest news
    exp(-t / W) is left; only the ratios matter for a draw.
    """
    if not free or len(candidates) == 1:
        return weights
    lifetime_s = free * holding_s / sum([member.load.capacity for member in candidates])
    if lifetime_s > AGELESS_S:
        return weights
    newest = max([candidates[at].told_at for at, weight in enumerate(weights) if weight])
    return [
        weight and weight * math.exp((candidates[at].told_at - newest) / lifetime_s)
        for at, weight in enumerate(weights)
    ]


def _of_the_lowest(candidates: list[Member], weights: list[float]) -> list[float]:
    """The same weights, but nothing for those that are not among the least occupied."""
    occupancies = [member.occupancy for member in candidates]
    lowest = min((each for each, weight in zip(occupancies, weights, strict=True) if weight), default=0.0)
    return [weight if each == lowest else 0.0 for each, weight in zip(occupancies, weights, strict=True)]


def _draw(candidates: list[Member], weights: list[float], random: Random, twice: bool) -> Member | None:
    """One of them, as likely as its weight says, or the emptier of two; None where there is no weight at all."""
    sums = list(accumulate(weights))
    if not sums or not sums[-1] > 0.0:
        return None
    member = candidates[_place(sums, weights, random)]
    if twice:
        other = candidates[_place(sums, weights, random)]
        if other.occupancy < member.occupancy:
            return other
    return member


def _place(sums: list[float], weights: list[float], random: Random) -> int:
    drawn = bisect_right(sums, random.random() * sums[-1], 0, len(sums) - 1)
    while not weights[drawn]:
        drawn -= 1  # rounding left a rest of the point behind the last one with a weight
    return drawn


def rule_of(settings: BalanceSettings) -> Rule:
    """The rule that a configuration says."""
    rule = EVEN if settings.rule == "even" else SEED
    return replace(
        rule,
        theta=rule.theta if settings.shift_above is None else settings.shift_above,
        delta=rule.delta if settings.delta is None else settings.delta,
        choose=settings.choose,
        hop_limit=settings.hop_limit,
    )
