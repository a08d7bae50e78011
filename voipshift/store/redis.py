"""A Redis server that holds the bindings and the users of the nodes of many machines, through txredisapi.

What it keeps, all under one prefix::

    voipshift:user:ALICE     the bindings of a user as one JSON text; Redis drops it when the last one has expired
    voipshift:node:NAME      a sorted set, "user contact" by the time at which that binding expires: who counts
    voipshift:secrets:REALM  a hash, user name to JSON

A change of bindings is written only if they are still what they were when they were read, in a script that runs as a
whole; otherwise it is made again from what is there now.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote, urlsplit

from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.interfaces import IReactorTime

from voipshift.calls.location import Binding, Bindings
from voipshift.errors import ConfigurationError, VoipshiftError
from voipshift.sip.auth import Secrets

#: Seconds after which an answer is not waited for any more: a caller waits meanwhile.
PATIENCE_S = 2.0
#: How often a change is begun again because another node was faster.
MAX_TRIES = 10
DEFAULT_PORT = 6379
PREFIX = "voipshift"

# KEYS: the user.  ARGV: the text that was read, the text to write, when it is over in milliseconds, this user's name,
# then node, expires, contact for each binding.  Its members of the sorted sets are remembered behind the text's key.
_CHANGE = """
local before = redis.call('GET', KEYS[1]) or ''
if before ~= ARGV[1] then return 0 end
if before ~= '' then
    for _, each in ipairs(cjson.decode(before)) do
        redis.call('ZREM', ARGV[5] .. each[7], ARGV[4] .. ' ' .. each[1])
    end
end
if ARGV[2] == '' then
    redis.call('DEL', KEYS[1])
    return 1
end
redis.call('SET', KEYS[1], ARGV[2], 'PXAT', ARGV[3])
for _, each in ipairs(cjson.decode(ARGV[2])) do
    local flows = ARGV[5] .. each[7]
    redis.call('ZADD', flows, each[3], ARGV[4] .. ' ' .. each[1])
end
return 1
"""


class Overtaken(VoipshiftError):
    """Other nodes changed the same user's bindings over and over."""


class Unanswered(VoipshiftError):
    """The server is not there, or too slow."""


class RedisStore:
    """The location, and the users of one realm, in a Redis server.

    :param connect: opens a lazy connection that comes back by itself (txredisapi's handler), or a pool of them
    :param clock: the reactor
    """

    def __init__(self, connect: Callable[[], Any], realm: str, clock: IReactorTime) -> None:
        self._connect = connect
        self._clock = clock
        self._users = f"{PREFIX}:secrets:{realm}"
        self._redis: Any = None

    def start(self) -> None:
        """Connect."""
        self._redis = self._connect()

    def stop(self) -> Deferred[Any]:
        """Disconnect."""
        redis, self._redis = self._redis, None
        disconnected: Deferred[Any] = redis.disconnect()
        return disconnected

    # The location.

    @inlineCallbacks
    def find(self, user: str) -> Any:
        """See :meth:`voipshift.calls.location.Location.find`."""
        return _bindings((yield self._ask("get", _key(user))))

    @inlineCallbacks
    def change(self, user: str, step: Callable[[Bindings], Bindings]) -> Any:
        """See :meth:`voipshift.calls.location.Location.change`."""
        for _ in range(MAX_TRIES):
            before = yield self._ask("get", _key(user))
            after = step(_bindings(before))
            text = json.dumps(after) if after else ""
            over_ms = int(max((binding.expires for binding in after), default=0.0) * 1000)
            words = [before or "", text, str(over_ms), user, f"{PREFIX}:node:"]
            if (yield self._ask("eval", _CHANGE, [_key(user)], words)):
                return after
        raise Overtaken(f"the bindings of {user} change faster than they can be written")

    @inlineCallbacks
    def count(self, node: str, now: float) -> Any:
        """See :meth:`voipshift.calls.location.Location.count`."""
        flows = f"{PREFIX}:node:{node}"
        yield self._ask("zremrangebyscore", flows, "-inf", repr(now))
        return int((yield self._ask("zcard", flows)))

    # The users.

    @inlineCallbacks
    def secrets(self, username: str) -> Any:
        """See :meth:`voipshift.sip.auth.Users.secrets`."""
        found = yield self._ask("hget", self._users, username)
        return None if found is None else Secrets(*json.loads(found))

    @inlineCallbacks
    def put(self, username: str, secrets: Secrets) -> Any:
        """Add a user, or change its password."""
        yield self._ask("hset", self._users, username, json.dumps(secrets))

    @inlineCallbacks
    def remove(self, username: str) -> Any:
        """Remove a user; fires with False where there is no such user."""
        return (yield self._ask("hdel", self._users, username)) > 0

    def _ask(self, command: str, *words: Any) -> Deferred[Any]:
        asked: Deferred[Any] = getattr(self._redis, command)(*words)
        return asked.addTimeout(PATIENCE_S, self._clock, onTimeoutCancel=_unanswered)


def connector(url: str, key: str, config_file: str) -> Callable[[], Any]:
    """What opens the connection that a ``redis://`` URL names.

    :param key: the setting that is that URL
    :param config_file: where it stands
    :raises ConfigurationError: txredisapi is not installed, or the URL is no such URL
    """
    parts = urlsplit(url)
    try:
        port = parts.port or DEFAULT_PORT
    except ValueError:
        port = 0
    number = re.fullmatch(r"/?([0-9]{0,4})", parts.path)
    if parts.scheme != "redis" or not parts.hostname or not port or number is None or parts.query:
        raise ConfigurationError(config_file, key, 'must be like "redis://192.0.2.30:6379/0"')
    try:
        import txredisapi
    except ImportError:
        reason = "needs txredisapi: pip install voipshift[redis]"
        raise ConfigurationError(config_file, key, reason) from None

    def connect() -> Any:
        return txredisapi.lazyConnection(
            host=parts.hostname,
            port=port,
            dbid=int(number[1] or 0),
            username=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
            connectTimeout=PATIENCE_S,
            convertNumbers=False,
        )

    return connect


def _unanswered(result: Any, timeout_s: float) -> Any:
    raise Unanswered(f"no answer within {timeout_s:g} s")


def _key(user: str) -> str:
    return f"{PREFIX}:user:{user}"


def _bindings(text: str | None) -> Bindings:
    if not text:
        return ()
    return tuple(
        Binding(contact, q, expires, call_id, cseq, tuple(path), node, listener, (host, port), transport, behind_nat)
        for (
            contact,
            q,
            expires,
            call_id,
            cseq,
            path,
            node,
            listener,
            (host, port),
            transport,
            behind_nat,
        ) in json.loads(text)
    )
