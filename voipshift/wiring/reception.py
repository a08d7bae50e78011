"""The reception of a node: who may come in, who lives here, and where they are; built from the settings.

It brings together what belongs to access and to registrations (addresses, gate, users, location, registrar), so that
tap.py wires one thing more and not eight.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from voipshift import config
from voipshift.balance.members import Members
from voipshift.calls.location import Binding, Location
from voipshift.calls.registrar import Limits
from voipshift.calls.registration import Registrar, Settle
from voipshift.calls.whereabouts import Find
from voipshift.errors import ConfigurationError
from voipshift.group.keys import Keys
from voipshift.node import Address
from voipshift.sip.auth import Authenticator, Secrets, Users
from voipshift.sip.gate import Gate
from voipshift.sip.listeners import Listeners
from voipshift.sip.message import Request, Response
from voipshift.sip.nonces import Nonces
from voipshift.sip.sources import Sources
from voipshift.sip.transaction import Hop, ServerTransaction
from voipshift.store import redis, sqlite
from voipshift.store.userfile import UserFile

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

#: The door by which nodes pass requests into each other's flows.
UDP = "sip/udp"
#: The file of bindings where none is configured, beside the configuration.
LOCATION = "location.sqlite"
#: How often the registrations that a node holds are counted.
COUNT_S = 5.0


def domains_of(settings: config.Settings) -> frozenset[str]:
    """The host names that stand for the group."""
    return frozenset(domain.lower() for domain in settings.registrar.domains) if settings.registrar else frozenset()


class Store(Location, Users, Protocol):
    """A store of both bindings and users."""

    def start(self) -> None: ...
    def stop(self) -> Deferred[Any]: ...
    def put(self, username: str, secrets: Secrets) -> Deferred[None]: ...
    def remove(self, username: str) -> Deferred[bool]: ...


def location_of(settings: config.Settings) -> str:
    """The file or the URL of the store."""
    where = settings.registrar.location if settings.registrar is not None else None
    return where or os.path.join(os.path.dirname(os.path.abspath(settings.file)), LOCATION)


def open_store(settings: config.Settings, reactor: Any) -> Store | None:
    """The store that a file of settings names, not started yet; None without ``[registrar]``.

    :raises ConfigurationError: it cannot be used
    """
    if settings.registrar is None:
        return None
    where = location_of(settings)
    if where.startswith("redis:"):
        connect = redis.connector(where, "registrar.location", settings.file)
        return redis.RedisStore(connect, settings.access.realm, reactor)
    sqlite.prepare(where, "registrar.location", settings.file)
    return sqlite.SqliteStore(where, settings.access.realm, sqlite.WriteThread(reactor))


def look_at(settings: config.Settings) -> None:
    """See whether users and location can be used, as far as that can be seen without changing or asking anything.

    :raises ConfigurationError: they cannot
    """
    if settings.access.users != "store":
        _users(settings, None, lambda: 0.0)
    if settings.registrar is not None and location_of(settings).startswith("redis:"):
        redis.connector(location_of(settings), "registrar.location", settings.file)


class Reception:
    """What a node needs to know its clients.

    :param keys: the group's; a node that stands alone has some of its own
    :param members: the other nodes
    :param whose: the name of the node that has an address; None where nobody of the group has it
    :param listeners: the ports of the node
    :param settle: decides where a client is registered, where registrations are shifted
    :param is_open: whether a connection of the node's is still there
    :param gateway_hosts: where the gateways are now
    :param respond: sends a response in a server transaction
    :param tag: the To tag of a response to a request
    :ivar location: where registrations are kept; None where the node keeps none
    :ivar users: who has a password; None where nobody has
    :ivar sources: what addresses are trusted
    :ivar gate: who somebody is
    :ivar registrar: who is registered; None where the node is no registrar
    :ivar registrations: bindings that this node holds, as of the last count: its *clients*
    :raises ConfigurationError: a store cannot be used
    """

    def __init__(
        self,
        settings: config.Settings,
        reactor: Any,
        *,
        keys: Keys,
        members: Members,
        whose: Callable[[Address], str | None],
        listeners: Listeners,
        settle: Settle,
        is_open: Callable[[Hop], bool],
        gateway_hosts: Callable[[], frozenset[str]],
        respond: Callable[[ServerTransaction, Response], None],
        tag: Callable[[Request], str],
        wall: Callable[[], float],
    ) -> None:
        access, registrar = settings.access, settings.registrar
        now: Callable[[], float] = reactor.seconds
        self._name = settings.node.name
        self._members = members
        self._gateways = frozenset(gateway.address[0] for gateway in settings.gateways)
        self._gateway_hosts = gateway_hosts
        self._now = now
        self._wall = wall
        self._log = Logger(__name__)
        self._counting = LoopingCall(self._count)
        self._counting.clock = reactor
        self._store = open_store(settings, reactor)
        self.location: Location | None = self._store
        self.users = _users(settings, self._store, now)
        self.registrations = 0
        self.sources = Sources(trusted=access.trusted, per_second=access.requests_per_second, known=self._is_known)
        self.gate = Gate(
            authenticator=Authenticator(
                realm=access.realm,
                nonces=Nonces(keys=keys, octets=os.urandom),
                algorithms=access.digest,
                octets=os.urandom,
            ),
            users=self.users,
            as_anybody=access.callers == "any",
            respond=respond,
            tag=tag,
            charge=self.sources.charge,
            now=now,
        )
        self.registrar: Registrar | None = None
        if registrar is not None and self._store is not None:
            anybody = access.open and access.users is None
            self.registrar = Registrar(
                name=self._name,
                location=self._store,
                limits=Limits(registrar.min_expires_s, registrar.max_expires_s),
                domains=domains_of(settings),
                is_ours=lambda address: whose(address) is not None,
                gate=self.gate,
                vouched=(lambda host: True) if anybody else self.sources.trusts,
                settle=settle if registrar.shift_registrations else None,
                through=self._through,
                listeners=listeners,
                is_open=is_open,
                respond=respond,
                tag=tag,
                wall=wall,
            )

    @property
    def find(self) -> Find | None:
        """Where a user is registered; None where nobody is."""
        return None if self.registrar is None else self.registrar.find

    def start(self) -> None:
        """Open the store, and count what this node holds in it now and again."""
        if self._store is not None:
            self._store.start()
            self._counting.start(COUNT_S)

    def stop(self) -> Deferred[Any] | None:
        """Close the store."""
        if self._counting.running:
            self._counting.stop()
        return self._store.stop() if self._store is not None else None

    def _is_known(self, host: str) -> bool:
        """Whether an address is a gateway's or a member's."""
        return (
            host in self._gateways
            or host in self._gateway_hosts()
            or any(host == place[0] for member in self._members for place in member.doors.values())
        )

    def _through(self, binding: Binding) -> Address | None:
        """Where the node is that holds a client's flow."""
        for member in self._members.live(UDP, self._now()):
            if member.name == binding.node:
                return member.doors[UDP]
        return None

    def _count(self) -> None:
        if self._store is not None:
            self._store.count(self._name, self._wall()).addCallbacks(self._counted, self._not_counted)

    def _counted(self, number: int) -> None:
        self.registrations = number

    def _not_counted(self, failure: Any) -> None:
        self._log.warn("registrations could not be counted: {reason}", reason=failure.getErrorMessage())


def _users(settings: config.Settings, store: Store | None, now: Callable[[], float]) -> Users | None:
    where = settings.access.users
    if where is None:
        return None
    if where == "store":
        assert store is not None
        return store
    users = UserFile(where, settings.access.realm, now)
    try:
        users.load()
    except ConfigurationError as error:
        raise ConfigurationError(settings.file, "access.users", str(error)) from None
    return users
