"""``voipshift user add`` and ``remove``: users of a node's configuration, in its file or its store.

What is kept of a password are the secrets of Digest for the configuration's realm; the password itself is nowhere,
unless the user is to call by H.323 too.
"""

from __future__ import annotations

import getpass
import os
import re
import sys
from contextlib import suppress
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred

from voipshift import config, configfile
from voipshift.errors import ConfigurationError
from voipshift.sip.auth import Secrets
from voipshift.store import redis, sqlite, userfile
from voipshift.wiring.reception import Store, location_of

_NAME = re.compile(r"[!-~]{1,128}", re.ASCII)
_NOT_IN_NAMES = frozenset(':"\\@;')


def add(file: str, name: str, *, h323: bool = False) -> str:
    """Add a user, or change the password, which is asked for at a terminal and else read from the standard input.

    :param file: the configuration of a node
    :param h323: the user calls by H.323 too, which needs the password itself
    :returns: what was done
    :raises ConfigurationError: it cannot be done
    """
    if _NAME.fullmatch(name) is None or _NOT_IN_NAMES.intersection(name):
        raise ConfigurationError("", name, "a user's name is printable ASCII without blanks and any of : ; @ \" \\")
    settings = _settings(file)
    secrets = Secrets.of(name, settings.access.realm, _password(name), itself=h323)
    where = settings.access.users
    if where == "store":
        _with_store(settings, lambda store: store.put(name, secrets))
        return f"{name}: kept in {location_of(settings)}"
    assert where is not None
    users = _read(where)
    users[name, settings.access.realm] = secrets
    userfile.write(where, users)
    return f"{name}: kept in {where}"


def remove(file: str, name: str) -> str:
    """Remove a user.

    :raises ConfigurationError: there is no such user, or it cannot be done
    """
    settings = _settings(file)
    where = settings.access.users
    if where == "store":
        removed = bool(_with_store(settings, lambda store: store.remove(name)))
    else:
        assert where is not None
        users = _read(where)
        removed = users.pop((name, settings.access.realm), None) is not None
        userfile.write(where, users)
    if not removed:
        raise ConfigurationError("", name, f"is no user of realm {settings.access.realm}")
    return f"{name}: removed"


def _settings(file: str) -> config.Settings:
    settings = configfile.load(file)
    if settings.access.users is None:
        raise ConfigurationError(file, "access.users", 'missing: write where users are kept, such as users = "users"')
    return settings


def _read(file: str) -> dict[tuple[str, str], Secrets]:
    return userfile.read(file) if os.path.exists(file) else {}


def _password(name: str) -> str:
    if not sys.stdin.isatty():
        password = sys.stdin.readline().rstrip("\n")
    else:
        password = getpass.getpass(f"Password of {name}: ")
        if getpass.getpass("Once more: ") != password:
            raise ConfigurationError("", name, "the two passwords are not the same")
    if not password:
        raise ConfigurationError("", name, "an empty password is none")
    return password


def _with_store(settings: config.Settings, change: Any) -> Any:
    where = location_of(settings)
    realm = settings.access.realm
    if where.startswith("redis:"):
        return _with_redis(where, realm, settings.file, change)
    sqlite.prepare(where, "registrar.location", settings.file)
    store = sqlite.SqliteStore(where, realm, maybeDeferred)
    store.start()
    results: list[Any] = []
    change(store).addBoth(results.append)
    store.stop()
    return _checked(results[0], where)


def _with_redis(url: str, realm: str, file: str, change: Any) -> Any:
    from twisted.internet import reactor
    from twisted.internet.task import react

    connect = redis.connector(url, "registrar.location", file)
    results: list[Any] = []

    def changed(clock: Any) -> Deferred[Any]:
        store: Store = redis.RedisStore(connect, realm, clock)
        store.start()
        done: Deferred[Any] = change(store).addBoth(results.append)
        return done.addCallback(lambda _: store.stop()).addErrback(lambda failure: None)

    with suppress(SystemExit):  # what it comes back with
        react(changed, _reactor=reactor)
    return _checked(results[0], url)


def _checked(result: Any, where: str) -> Any:
    if hasattr(result, "getErrorMessage"):
        reason = result.getErrorMessage() or result.type.__name__
        raise ConfigurationError("", where, f"cannot be used: {reason}")
    return result
