"""The host names that a node meets, and the addresses behind them: answers of DNS, remembered as long as they may be.

:meth:`Names.known` answers at once from what is remembered, and :meth:`Names.look_up` asks for what is missing, so that
whoever needs a name waits without holding up anybody else.  That there is no such name is remembered too, and while DNS
does not answer, the old answers are used on.

A name that leads to a node of this group leads nowhere: the request would come back.  Over TLS the certificate is
checked against the name itself, never against what DNS made of it (RFC 5922 section 7.2); an address is therefore held
to the first name that led there over TLS, for a connection is shared by all that goes to one address.
"""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from ipaddress import ip_address

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from voipshift.errors import NoAnswer
from voipshift.node import Address
from voipshift.sip.locate import Located, Place, Question, Records, Try, locate

#: Answers that are remembered; the least recently used go first.
MAX_ANSWERS = 4096
#: Questions that are under way at once: more come from names that strangers made up.
MAX_OUTSTANDING = 128
#: The longest that an answer is believed, whatever its TTL: a server that moved is noticed within an hour.
LONGEST_TTL_S = 3600.0
#: The shortest, for an answer that may not be kept must last for the request that asked.
SHORTEST_TTL_S = 5.0
#: How long "there is no such name" is believed, and how long a server of DNS that was silent is not asked again.
NEGATIVE_TTL_S = 30.0
SILENT_TTL_S = 5.0
#: How long past its end an answer is used while DNS is silent (RFC 8767 section 5).
STALE_S = 86_400.0
#: Questions after questions for one name: NAPTR, SRV, addresses; one more, for the answers may change meanwhile.
MAX_ROUNDS = 4
#: Addresses that are held to a name.
MAX_HELD = 1000

#: Asks DNS; fires with the records and their TTL, none for a name that does not exist; fails with NoAnswer.
Ask = Callable[[Question], Deferred[tuple[Records, float]]]


class _Answer:
    """The records of one question.

    :ivar expires: when they are to be asked for again
    :ivar stale: until when they may be used where there are no others
    :ivar silent: there was no answer, and none before
    """

    __slots__ = ("expires", "records", "silent", "stale")

    def __init__(self, records: Records, expires: float, stale: float, *, silent: bool = False) -> None:
        self.records = records
        self.expires = expires
        self.stale = stale
        self.silent = silent


class Names:
    """The names of one node.

    :param ask: asks DNS
    :param supported: the transports of the node, each with whether over IPv6
    :param is_ours: whether an address is one of the group's
    :param domains: the configured names, and whom the certificate of each must name
    :ivar counts: questions, by how they ended
    """

    def __init__(
        self,
        *,
        ask: Ask,
        supported: frozenset[tuple[str, bool]],
        is_ours: Callable[[Address], bool],
        now: Callable[[], float],
        draw: Callable[[], float],
        domains: Mapping[str, str] | None = None,
    ) -> None:
        self._ask = ask
        self._supported = supported
        self._is_ours = is_ours
        self._now = now
        self._draw = draw
        self._domains = domains or {}
        self._operators = frozenset(self._domains.values())
        self._answers: OrderedDict[Question, _Answer] = OrderedDict()
        self._outstanding: dict[Question, list[Deferred[None]]] = {}
        self._held: dict[Address, str] = {}
        self.counts: Counter[str] = Counter()

    def known(self, place: Place) -> tuple[Try, ...] | None:
        """The addresses to try, in their order, none where there are none; None where DNS must be asked first."""
        located = self._locate(place)
        return None if located.missing else tuple(each for each in located.tries if self._is_usable(place, each))

    def look_up(self, place: Place) -> Deferred[tuple[Try, ...]]:
        """The addresses to try, as soon as DNS has answered; none where it does not, or where there are none.

        It never fails; who cancels it waits no longer.
        """
        return self._round(place, MAX_ROUNDS)

    def domain(self, address: Address) -> str | None:
        """The domain that the certificate at an address must name; None where no name led there over TLS."""
        return self._held.get(address)

    def _round(self, place: Place, rounds: int) -> Deferred[tuple[Try, ...]]:
        located = self._locate(place)
        if not located.missing or not rounds:
            return succeed(self.known(place) or ())
        asked = [self._asked(question) for question in located.missing]
        return _all(asked).addCallback(lambda _: self._round(place, rounds - 1))

    def _is_usable(self, place: Place, found: Try) -> bool:
        address = found.address
        ip = ip_address(address[0])
        if ip.is_multicast or ip.is_unspecified or address[0] == "255.255.255.255" or self._is_ours(address):
            return False
        if found.transport != "tls" or address[0] == place.host:
            return True
        domain = self._domains.get(place.host, place.host)
        holder = self._held.get(address)
        if place.host in self._domains:
            # An operator's word: only another one's stands against it.
            if holder is None or holder not in self._operators:
                self._held[address] = domain
        elif holder is None and len(self._held) < MAX_HELD:
            self._held[address] = domain
        return self._held.get(address) == domain

    # What is remembered, and what is asked.

    def _locate(self, place: Place) -> Located:
        """What can be said with the answers so far; where DNS was silent no further question is worth its wait."""
        silent = False

        def remembered(question: Question) -> Records | None:
            nonlocal silent
            answer = self._answers.get(question)
            if answer is None or answer.expires <= self._now():
                return None
            self._answers.move_to_end(question)
            silent = silent or answer.silent
            return answer.records

        located = locate(place, remembered, self._supported, self._draw)
        return Located(located.tries, ()) if silent else located

    def _remember(self, question: Question, answer: _Answer) -> None:
        self._answers[question] = answer
        self._answers.move_to_end(question)
        if len(self._answers) > MAX_ANSWERS:
            self._answers.popitem(last=False)

    def _asked(self, question: Question) -> Deferred[None]:
        """Fires when a question has an answer, or none can be had."""
        waiter: Deferred[None] = Deferred()
        waiters = self._outstanding.get(question)
        if waiters is not None:
            waiters.append(waiter)
            return waiter
        if len(self._outstanding) >= MAX_OUTSTANDING:
            self.counts["too many at once"] += 1
            return succeed(None)
        self._outstanding[question] = [waiter]
        asked = self._ask(question)
        asked.addCallbacks(self._told, self._silent, callbackArgs=(question,), errbackArgs=(question,))
        asked.addBoth(self._wake, question)
        return waiter

    def _told(self, answer: tuple[Records, float], question: Question) -> None:
        records, ttl_s = answer
        now = self._now()
        self.counts["answered" if records else "no such record"] += 1
        longest_s = LONGEST_TTL_S if records else NEGATIVE_TTL_S
        expires = now + min(max(ttl_s, SHORTEST_TTL_S), longest_s)
        self._remember(question, _Answer(records, expires, expires + STALE_S if records else -math.inf))

    def _silent(self, failure: Failure, question: Question) -> None:
        failure.trap(NoAnswer)
        self.counts["no answer"] += 1
        now = self._now()
        old = self._answers.get(question)
        if old is not None and old.stale > now:
            self._remember(question, _Answer(old.records, now + SILENT_TTL_S, old.stale))
        else:
            self._remember(question, _Answer((), now + SILENT_TTL_S, -math.inf, silent=True))

    def _wake(self, result: object, question: Question) -> object:
        for waiter in self._outstanding.pop(question):
            if not waiter.called:
                waiter.callback(None)
        return result


def _all(waiting: list[Deferred[None]]) -> Deferred[None]:
    """Fires when all have; cancelled, it fails and the others are left alone."""
    first, *others = waiting
    return first.addCallback(lambda _: _all(others)) if others else first
