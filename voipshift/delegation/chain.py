"""Placing a call attempt: the chain of Deferreds that finds the node which takes it.

It is the seed's FIG. 4 read from top to bottom: a request to connect comes in (step 52), the node looks at its
own workload (58) and accepts (60), or forwards the attempt to a member with a lower workload (62), which does
the same (64) until one identifies itself (66); its identity returns through the nodes that forwarded, and the
client connects there (68).

:meth:`Delegation.place` is that for a client's attempt at this entry, :meth:`Delegation.consider` for one that
a member asks about, by the same rule.  What the seed leaves open is closed here: an attempt carries the nodes
that it visited, none of which is asked again; it visits a limited number; and one deadline holds for the whole
chain, each ask getting what is left of it. So it ends, with an acceptance, with
:exc:`~voipshift.errors.Refused`, or with its cancellation.

The Deferred of an ask is the chain's own: what is made of the answer is chained to it, and where that is another
ask, Twisted waits for that one.  A cancellation thereby reaches the ask that is under way, whichever it is; an
acceptance that comes all the same is the asker's to give back.

The nodes that an attempt visited travel in the order in which they were reached, the entry first.

A client that is not trusted and holds as many leases here as it may is refused outright, without an ask: the
limit is there to bound what one address can take, not to send it round the group.  A member that refuses for
that reason counts as visited, like any that refuses.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.python.failure import Failure

from voipshift.balance.leases import Leases
from voipshift.balance.members import Member, Members
from voipshift.balance.policy import Selection
from voipshift.balance.rates import Rates
from voipshift.balance.reason import Reason
from voipshift.balance.rule import Ask, Rule, decide
from voipshift.balance.workload import Workload
from voipshift.delegation.counts import Counts
from voipshift.errors import NoAnswer, Refused
from voipshift.node import Acceptance, CallAttempt, Load, NodeIdentity

#: What a node keeps of the time it was given, so that its answer is back before the asker gives up.
RETURN_S: Final = 0.05
#: With less time than this left nobody is asked any more: no answer could be back.
SHORTEST_ASK_S: Final = 0.01

#: ``ask(member, attempt, path, left_s)``: fails with Refused, NoAnswer, or CancelledError.
AskMember = Callable[[str, CallAttempt, tuple[Load, ...], float], "Deferred[Acceptance]"]


class Delegation:
    """Finds a node for each call attempt.

    :param identity: this node, as clients reach it
    :param ask: asks a member, and gives a lease back that comes too late
    :param withdraw: gives a lease of another node back: the acceptance and the attempt's id
    :param load: this node's load at this moment
    :param deadline_s: how long a client's attempt may take in all
    :param chain: how an attempt goes its way: by what is believed of the members, unless another way is given
    :param select: what factors other than workload are for an attempt; None where there are none
    :param rates: what is offered in the group; None where the rule does not look at it
    :param explains: each load on an attempt's way says why the node decided as it did
    :ivar counts: the attempts that came here, and how they ended
    """

    def __init__(
        self,
        *,
        identity: NodeIdentity,
        rule: Rule,
        workload: Workload,
        leases: Leases,
        members: Members,
        ask: AskMember,
        withdraw: Callable[[Acceptance, bytes], None],
        load: Callable[[], Load],
        now: Callable[[], float],
        random: Random,
        deadline_s: float,
        chain: StartChain | None = None,
        select: Callable[[CallAttempt], Selection | None] = lambda attempt: None,
        explains: bool = False,
        rates: Rates | None = None,
    ) -> None:
        self.identity = identity
        self.rule = rule
        self.workload = workload
        self.leases = leases
        self.members = members
        self.ask = ask
        self.withdraw = withdraw
        self.load = load
        self.now = now
        self.random = random
        self.deadline_s = deadline_s
        self._chain = chain
        self.select = select
        self.explains = explains
        self.rates = rates
        self.counts = Counts()

    def place(self, attempt: CallAttempt, visited: tuple[Load, ...] = ()) -> Deferred[Acceptance]:
        """Find a node for a client's attempt at this entry.

        :param visited: what :meth:`unreached` says where it is placed again: those nodes are not asked, and count for
            the hop limit, which bounds how often that can be; it gets its deadline anew

        The Deferred fails with :exc:`Refused` when nobody takes it; cancelling it takes back what was asked.
        """
        now = self.now()
        chain = self._start(attempt, (), self.identity.name, now + self.deadline_s, None)
        if visited:
            chain.go_on_from(visited)
        elif self.rates is not None:
            self.rates.count(now)
        return chain.begin(now)

    def unreached(self, acceptance: Acceptance, attempt: bytes) -> tuple[Load, ...]:
        """A member that accepted an attempt was not there when its client was brought to it: the lease is given back,
        and nobody asks that member until it is heard.

        :returns: the nodes that were visited, that one among them
        """
        gone = acceptance.node.name
        self.withdraw(acceptance, attempt)
        self.members.suspect(gone)
        reason = Reason.SILENT if self.explains else 0
        return tuple(load.because(reason) if load.node == gone else load for load in acceptance.visited)

    def consider(
        self,
        attempt: CallAttempt,
        path: tuple[Load, ...],
        left_s: float,
        pending: Callable[[], None],
        entry: str,
    ) -> Deferred[Acceptance]:
        """Decide about an attempt that a member asks about.

        :param path: the load of each node that it visited, the entry first
        :param left_s: what is left of the chain's deadline
        :param pending: called at once, before another member is asked
        :param entry: the node that the client asked first

        The Deferred fails with :exc:`Refused`, which tells the nodes that were visited since, this one last.
        """
        members, now = self.members, self.now()
        for load in path:  # line 1 of the rule
            members.learn(load, now)
        return self._start(attempt, path, entry, now + left_s - RETURN_S, pending).begin(now)

    def _start(
        self,
        attempt: CallAttempt,
        path: tuple[Load, ...],
        entry: str,
        deadline: float,
        pending: Callable[[], None] | None,
    ) -> Chain:
        if self._chain is None:
            return Chain(self, attempt, path, entry, deadline, pending)
        return self._chain(self, attempt, path, entry, deadline, pending)

    def here_alone(self, attempt: CallAttempt) -> Acceptance:
        """Decide about an attempt that may not be asked on, by this node's own threshold.

        :raises Refused: when there is no room
        """
        self.counts.attempts += 1
        reason = Reason.FULL_ALONE
        if self.has_room(self.select(attempt), self.now()):
            try:
                return self.accept(attempt, (), self.identity.name, 0)
            except Refused:
                reason = Reason.TOO_MANY_LEASES
        self.counts.refused += 1
        raise Refused((self.told(reason),))

    def has_room(self, selection: Selection | None, now: float) -> bool:
        """Whether this node can take an attempt, and is a place for it."""
        return self.workload.room(now) if selection is None else selection.room(self.workload, now)

    def told(self, reason: Reason) -> Load:
        """The load of this node at its decision, and why it decides so."""
        load = self.load()
        return load.because(reason) if self.explains else load

    def told_of(self, member: Member, reason: Reason) -> Load:
        """What is believed of a member that did not speak for itself."""
        return member.load.because(reason if self.explains else 0)

    def accept(
        self,
        attempt: CallAttempt,
        visited: tuple[Load, ...],
        entry: str,
        hops: int,
        reason: Reason = Reason.CAME_DIRECTLY,
    ) -> Acceptance:
        """Line 12: hold a lease, and identify ourselves with the load that includes it.

        :raises Refused: when the client holds too many leases
        """
        now = self.now()
        lease = self.leases.grant(attempt, entry, hops, now)
        self.workload.accepted(now)
        self.counts.accepted += 1
        lease.visited = (*visited, self.told(reason))
        return Acceptance(self.identity, lease.id, lease.visited, hops)


class Chain:
    """One attempt's way through this node."""

    __slots__ = (
        "_attempt",
        "_deadline",
        "_entry",
        "_here",
        "_path",
        "_pending",
        "_probed",
        "_selection",
        "_tried",
        "_visited",
    )

    def __init__(
        self,
        here: Delegation,
        attempt: CallAttempt,
        path: tuple[Load, ...],
        entry: str,
        deadline: float,
        pending: Callable[[], None] | None,
    ) -> None:
        self._here = here
        self._attempt = attempt
        self._selection = here.select(attempt)
        self._path = path
        self._entry = entry
        self._deadline = deadline
        self._pending = pending
        #: the nodes that were reached from here, in order
        self._tried: tuple[Load, ...] = ()
        #: the names of V
        self._visited = {load.node for load in path} if path else set()
        self._probed = False

    def go_on_from(self, visited: tuple[Load, ...]) -> None:
        """The attempt was placed before, and came by these nodes."""
        for load in visited:
            self._visit(load)

    def begin(self, now: float) -> Deferred[Acceptance]:
        """Steps 52 to 56: a request to connect was received."""
        self._here.counts.attempts += 1
        try:
            if self._here.identity.name in self._visited:
                return self._refuse(Reason.LOOP)  # this node has decided about the attempt already
            return self._determine_workload(now, resumed=False)
        except Exception:  # our own fault: it surfaces where the caller's chain ends
            return fail(Failure())

    def _determine_workload(self, now: float, *, resumed: bool) -> Deferred[Acceptance]:
        """Steps 58 and 64: is this node able to handle the call, and if not, who is?"""
        here = self._here
        decision = self._decide(self._visited, now, resumed=resumed)
        if not isinstance(decision, Ask):
            return self._identify(decision) if decision.accepts else self._refuse(decision)
        left_s = self._deadline - now
        if left_s >= SHORTEST_ASK_S:
            self._probed = self._probed or decision.probe
            return self._forward(decision, left_s)
        if here.has_room(self._selection, now):
            return self._identify(Reason.NO_TIME_TO_ASK)
        return self._refuse(Reason.OUT_OF_TIME)

    def _decide(self, visited: set[str], now: float, *, resumed: bool) -> Reason | Ask:
        """What the rule says.

        :param visited: the names of those that are not to be asked
        """
        here = self._here
        return decide(
            here.rule,
            door=self._attempt.door,
            visited=visited,
            hops=len(self._visited),
            resumed=resumed,
            probed=self._probed,
            workload=here.workload,
            members=here.members,
            now=now,
            random=here.random,
            selection=self._selection,
            rates=here.rates,
        )

    def _identify(self, reason: Reason) -> Deferred[Acceptance]:
        """Steps 60 and 66: this node takes the call, and says who it is."""
        visited = self._path + self._tried
        try:
            acceptance = self._here.accept(self._attempt, visited, self._entry, len(self._path), reason)
        except Refused:
            return self._refuse(Reason.TOO_MANY_LEASES)
        return succeed(acceptance)

    def _forward(self, decision: Ask, left_s: float) -> Deferred[Acceptance]:
        """Step 62: pass the attempt and the client's identity to a member believed to have a lower workload."""
        here, member = self._here, decision.member
        if self._pending is not None:
            self._pending()
            self._pending = None
        member.add_call()
        here.counts.asked_on += 1
        asked = here.ask(member.name, self._attempt, (*self._path, here.told(decision.reason), *self._tried), left_s)
        return asked.addBoth(self._answered, member)

    def _answered(self, outcome: Acceptance | Failure, member: Member) -> Acceptance | Deferred[Acceptance]:
        """What came of an ask: one callback for both, which costs Twisted a third of a pair with arguments."""
        if isinstance(outcome, Failure):
            return self._declined(outcome, member)
        return self._identified(outcome, member)

    def _identified(self, acceptance: Acceptance, member: Member) -> Acceptance | Deferred[Acceptance]:
        """Step 66: a member takes the call; its identity goes back the way that the attempt came."""
        here = self._here
        self._learn(member, acceptance.visited)
        if self._attempt.door in acceptance.node.doors:
            here.counts.shifted += 1
            return acceptance
        here.withdraw(acceptance, self._attempt.id)  # it lost that door since it reported
        return self._try_another(member, Reason.LOST_ITS_DOOR)

    def _declined(self, failure: Failure, member: Member) -> Deferred[Acceptance]:
        """Steps 64 and back to 62: that member does not take the call; look for another one."""
        if self._took_note(failure.value, member):
            return self._try_another(member, why(failure.value))
        # The client, or the node that asked, does not want it any more; or it is our own fault.
        self._here.counts.cancelled += isinstance(failure.value, CancelledError)
        return fail(failure)

    def _took_note(self, reason: BaseException | None, member: Member) -> bool:
        """Whether a member declined, which teaches something of it, and is not the end."""
        here = self._here
        if isinstance(reason, Refused):
            self._learn(member, reason.visited)
            for load in reason.visited:
                self._visit(load)
        elif isinstance(reason, NoAnswer):
            if reason.silent:
                here.members.suspect(member.name)
        else:
            return False
        return True

    def _try_another(self, member: Member, reason: Reason) -> Deferred[Acceptance]:
        self._visit(self._here.told_of(member, reason))
        return self._determine_workload(self._here.now(), resumed=True)

    def _refuse(self, reason: Reason) -> Deferred[Acceptance]:
        """Nobody is able to handle the call, as far as can be known in time."""
        self._here.counts.refused += 1
        return fail(Refused((*self._tried, self._here.told(reason))))

    def _learn(self, member: Member, visited: tuple[Load, ...]) -> None:
        """Line 11: the member has answered, and told these loads."""
        members, now = self._here.members, self._here.now()
        members.answered(member.name, now)
        for load in visited:
            members.learn(load, now)

    def _visit(self, load: Load) -> None:
        if load.node not in self._visited and load.node != self._here.identity.name:
            self._visited.add(load.node)
            self._tried += (load,)


def why(declined: BaseException | None) -> Reason:
    """Why a member did not take an attempt, where it does not say so itself."""
    if isinstance(declined, NoAnswer):
        return Reason.SILENT if declined.silent else Reason.NO_ANSWER
    return Reason.UNTOLD


#: ``start(here, attempt, path, entry, deadline, pending)``: a chain that has not begun.
StartChain = Callable[[Delegation, CallAttempt, tuple[Load, ...], str, float, "Callable[[], None] | None"], Chain]
