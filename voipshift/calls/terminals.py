"""Where registered H.323 terminals are: their aliases in the same store as the bindings of SIP.

Each alias has a key of its own there, ``h323:`` and the alias, so that no telephone of SIP sees it.  It belongs to one
terminal, known by the host that it registers from and by where it is called: the first that registers it, until that
goes or its registration runs out; a user who has proved his password takes the alias that is his name from whoever has
it.

A node without a store has :class:`Unshared`, whose aliases nobody else knows.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred, inlineCallbacks, maybeDeferred, succeed

from voipshift.calls.location import DEFAULT_Q, Binding, Bindings, Location, live
from voipshift.errors import VoipshiftError
from voipshift.node import Address

#: What the transport of a binding is called whose contact is a call signalling address.
TRANSPORT = "h323"
_KEY = "h323:"


class Taken(VoipshiftError):
    """An alias is somebody else's."""


class Terminal(NamedTuple):
    """A terminal or gateway that registers.

    :ivar endpoint: what its gatekeeper calls it
    :ivar place: where it is called
    :ivar source: where its RRQ came from
    :ivar user: who has proved to be there; None for nobody
    """

    endpoint: str
    place: Address
    source: Address
    user: str | None


class Terminals:
    """The registered terminals of the group.

    :param location: the store
    :param node: this node's name
    :param wall: seconds since 1970
    """

    def __init__(self, location: Location, node: str, wall: Callable[[], float]) -> None:
        self._location = location
        self._node = node
        self._wall = wall

    def find(self, alias: str) -> Deferred[tuple[Address, ...]]:
        """Where an alias is called; nowhere if nobody has registered it."""
        return self._location.find(_KEY + alias).addCallback(self._places)

    @inlineCallbacks
    def register(
        self, aliases: Sequence[str], terminal: Terminal, lasts_s: float
    ) -> Generator[Deferred[Any], Any, tuple[str, ...]]:
        """Register all aliases of a terminal, or none; or say anew that it is there.

        :returns: those that are somebody else's; none where all are registered
        """
        now = self._wall()
        host, port = terminal.place
        binding = Binding(
            contact=f"{_KEY}[{host}]:{port}" if ":" in host else f"{_KEY}{host}:{port}",
            q=DEFAULT_Q,
            expires=now + lasts_s,
            call_id=terminal.endpoint,
            cseq=0,
            path=(),
            node=self._node,
            listener=0,
            source=terminal.source,
            transport=TRANSPORT,
            behind_nat=False,
        )

        def claim(bindings: Bindings) -> Bindings:
            # Where a terminal is called anybody can write, so that is not enough to be the same one; and its identifier
            # is another one when it turns to another node.
            same = (binding.contact, binding.source[0])
            if any((each.contact, each.source[0]) != same for each in live(bindings, now)):
                raise Taken
            return (binding,)

        taken = []
        for alias in aliases:
            own = alias == terminal.user
            try:
                yield self._location.change(_KEY + alias, (lambda bindings: (binding,)) if own else claim)
            except Taken:
                taken.append(alias)
        if taken:
            yield self.forget([alias for alias in aliases if alias not in taken], terminal.endpoint)
        return tuple(taken)

    @inlineCallbacks
    def forget(self, aliases: Sequence[str], endpoint: str) -> Generator[Deferred[Any], Any, None]:
        """A terminal has gone."""
        for alias in aliases:
            yield self._location.change(
                _KEY + alias, lambda bindings: tuple(each for each in bindings if each.call_id != endpoint)
            )

    def _places(self, bindings: Bindings) -> tuple[Address, ...]:
        return tuple(_place(each.contact) for each in live(bindings, self._wall()) if each.transport == TRANSPORT)


class Unshared:
    """The location of a node without ``[registrar]``: as :class:`voipshift.calls.location.Location`, in memory."""

    def __init__(self) -> None:
        self._bindings: dict[str, Bindings] = {}

    def find(self, user: str) -> Deferred[Bindings]:
        """The bindings of an alias."""
        return succeed(self._bindings.get(user, ()))

    def change(self, user: str, step: Callable[[Bindings], Bindings]) -> Deferred[Bindings]:
        """Change them."""
        return maybeDeferred(self._change, user, step)

    def count(self, node: str, now: float) -> Deferred[int]:
        """How many there are that have not expired."""
        return succeed(sum(len(live(bindings, now)) for bindings in self._bindings.values()))

    def _change(self, user: str, step: Callable[[Bindings], Bindings]) -> Bindings:
        after = step(self._bindings.get(user, ()))
        if after:
            self._bindings[user] = after
        else:
            self._bindings.pop(user, None)
        return after


def _place(contact: str) -> Address:
    host, _, port = contact.removeprefix(_KEY).rpartition(":")
    return host.strip("[]"), int(port)
