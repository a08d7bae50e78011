"""Where the members are that are configured by a DNS name: looked up now and again, by the system.

A name may lead to several members, which then need no names of their own, and it may move: an address that it leads to
no more is forgotten as one that somebody told of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IAddress, IHostResolution, IResolutionReceiver
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from zope.interface import implementer

from voipshift.node import Address

#: How often: a member may come up, or move, while the node runs.
LOOK_UP_S = 30.0


class Lookup:
    """Looks up the names of members, from :meth:`start` to :meth:`stop`.

    :param reactor: time, and the resolver of names
    :param names: each with its port
    :param version: of IP, which the group speaks
    :param found: told of each address, each time
    """

    def __init__(self, reactor: Any, names: Iterable[Address], version: int, found: Callable[[Address], None]) -> None:
        self._reactor = reactor
        self._names = tuple(names)
        self._kind: type[IPv4Address | IPv6Address] = IPv6Address if version == 6 else IPv4Address
        self._found = found
        self._nowhere: set[Address] = set()
        self._looking = LoopingCall(self._look)
        self._looking.clock = reactor
        self._log = Logger(__name__)

    def start(self) -> None:
        """Look them up, and again from time to time."""
        if self._names:
            self._looking.start(LOOK_UP_S)

    def stop(self) -> None:
        """Tell of nothing any more."""
        if self._looking.running:
            self._looking.stop()

    def _look(self) -> None:
        for name in self._names:
            answer = Answer(name, self._answered)
            self._reactor.nameResolver.resolveHostName(answer, *name, addressTypes=[self._kind])

    def _answered(self, name: Address, hosts: list[str]) -> None:
        if not self._looking.running:
            return
        for host in hosts:
            self._found((host, name[1]))
        if hosts:
            self._nowhere.discard(name)
        elif name not in self._nowhere:
            self._nowhere.add(name)
            self._log.warn("group.members: {host}: no address was found; it is looked up again", host=name[0])


@implementer(IResolutionReceiver)
class Answer:
    """What the resolver says of one name.

    :param complete: told when it has said all
    """

    def __init__(self, name: Address, complete: Callable[[Address, list[str]], None]) -> None:
        self._name = name
        self._complete = complete
        self._hosts: list[str] = []

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        """Nobody cancels it."""

    def addressResolved(self, address: IAddress) -> None:
        if isinstance(address, IPv4Address | IPv6Address):
            self._hosts.append(address.host)

    def resolutionComplete(self) -> None:
        self._complete(self._name, self._hosts)
