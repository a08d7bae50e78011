"""The bus: a Redis channel on which all nodes of a group publish their Reports, and which all of them hear.

It takes the place of multicast where the group is spread over several networks.  What is published is the same sealed
datagram as anywhere (:mod:`voipshift.group.envelope`), so the server learns nothing but who speaks, and can say nothing
itself.  Only Reports go by the bus; whoever is heard there is greeted at the address that it gives, and asked there.

A node that does not hear the bus does not rely on it: :meth:`Bus.publish` says so, and its Reports go to each member
by itself.  The connections come back by themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import unquote, urlsplit

from twisted.internet.endpoints import HostnameEndpoint
from twisted.logger import Logger

from voipshift.errors import ConfigurationError

CHANNEL = "voipshift:group"
DEFAULT_PORT = 6379
#: A connection that cannot be made is tried again after this at the latest.
LONGEST_WAIT_S = 2.0


class Bus:
    """One node's connection to it: one to hear, one to publish.

    :param url: ``redis://[user:password@]host[:port]``
    :param received: what is published, other nodes' and our own
    :param file: the configuration file, named where txredisapi is missing or the URL is none
    :raises ConfigurationError: as it says
    """

    _log = Logger(__name__)

    def __init__(self, url: str, received: Callable[[bytes], None], reactor: Any, file: str) -> None:
        parts = urlsplit(url)
        try:
            port = parts.port or DEFAULT_PORT
        except ValueError:
            port = 0
        if parts.scheme != "redis" or not parts.hostname or not port or parts.path not in ("", "/"):
            raise ConfigurationError(file, "group.bus", 'must be like "redis://192.0.2.30:6379"')
        try:
            import txredisapi as library
        except ImportError:
            raise ConfigurationError(file, "group.bus", "needs txredisapi: pip install voipshift[redis]") from None
        txredisapi: Any = library
        self._host, self._port = parts.hostname, port
        self._reactor = reactor
        self._received = received
        self._publisher: Any = None
        self._subscriber: Any = None
        #: whether this node hears the channel
        self.connected = False
        words = {
            "username": unquote(parts.username) if parts.username else None,
            "password": unquote(parts.password) if parts.password else None,
        }
        self._make_publisher: Callable[[], Any] = lambda: txredisapi.RedisFactory(
            None, None, 1, isLazy=True, charset=None, **words
        )
        self._make_subscriber: Callable[[], Any] = lambda: _subscribing(txredisapi, self, words)

    def start(self) -> None:
        """Connect."""
        self._publisher, self._subscriber = self._make_publisher(), self._make_subscriber()
        for factory in (self._publisher, self._subscriber):
            factory.maxDelay = LONGEST_WAIT_S
            factory.startConnecting(HostnameEndpoint(self._reactor, self._host, self._port, LONGEST_WAIT_S))

    def stop(self) -> None:
        """Disconnect, and not come back."""
        self.connected = False
        for factory in (self._publisher, self._subscriber):
            if factory is not None:
                factory.disconnect()
        self._publisher = self._subscriber = None

    def publish(self, octets: bytes) -> bool:
        """Say it to all; False when the bus is not there."""
        if not self.connected or self._publisher is None or not self._publisher.pool:
            return False
        self._publisher.handler.publish(CHANNEL, octets).addErrback(self._unpublished)
        return True

    def heard(self, octets: object) -> None:
        """What the channel brought."""
        if isinstance(octets, bytes) and self._subscriber is not None:
            self._received(octets)

    def turned(self, connected: bool) -> None:
        """The channel is heard, or no more."""
        if connected != self.connected and self._subscriber is not None:
            self.connected = connected
            self._log.info("the bus at {host}:{port} is {so}", host=self._host, port=self._port,
                           so="heard" if connected else "gone: reports go to each member")  # fmt: skip

    def _unpublished(self, failure: Any) -> None:
        """The connection was lost; the next Report goes another way."""


def _subscribing(txredisapi: Any, bus: Bus, words: dict[str, str | None]) -> Any:
    """What makes the connection that hears the channel; txredisapi is an extra, so its classes are known only here."""

    class Subscriber(txredisapi.SubscriberProtocol):  # type: ignore[misc]
        def connectionMade(self) -> Any:
            made = super().connectionMade()
            made.addCallback(lambda _: self.subscribe(CHANNEL))
            made.addCallbacks(lambda _: bus.turned(True), lambda failure: self.transport.abortConnection())
            return made

        def messageReceived(self, pattern: object, channel: object, message: object) -> None:
            bus.heard(message)

        def connectionLost(self, why: Any) -> Any:
            bus.turned(False)
            return super().connectionLost(why)

    factory = txredisapi.RedisFactory(None, None, 1, isLazy=True, charset=None, **words)
    factory.protocol = Subscriber
    return factory
