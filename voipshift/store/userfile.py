"""A text file of users, the same at every node: one a line, ``name:realm:sha256:md5``.

The two last are the secrets of RFC 7616's Digest (the hash of name, realm and password), not the password; who can
read them can log in as that user all the same, so the file is for its owner alone.  A user of H.323 has a fifth part,
the password itself in UTF-8 as hex digits, which are there for its odd characters and hide nothing: H.235's tokens are
made of it in ways that no stored hash can follow.  It is read again when it has
changed, at most once a second.
"""

from __future__ import annotations

import os
import re
import stat
import tempfile
from collections.abc import Callable

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger

from voipshift.errors import ConfigurationError
from voipshift.sip.auth import Secrets

#: Seconds between two looks whether the file has changed.
LOOK_S = 1.0
#: A hundred thousand users.
LARGEST_FILE = 16_000_000

_LINE = re.compile(r'([^:"\\\s]+):([^:"\\]+):([0-9a-f]{64}):([0-9a-f]{32})(?::((?:[0-9a-f]{2})+))?', re.ASCII)


class UserFile:
    """The users of one realm, in a file.

    :param now: the time
    """

    def __init__(self, file: str, realm: str, now: Callable[[], float]) -> None:
        self._file = file
        self._realm = realm
        self._now = now
        self._log = Logger(__name__)
        self._users: dict[str, Secrets] = {}
        self._read_at: tuple[int, int, int] | None = None
        self._looked = 0.0

    def load(self) -> None:
        """Read the file.

        :raises ConfigurationError: it cannot be used
        """
        self._users = {name: secrets for (name, realm), secrets in read(self._file).items() if realm == self._realm}
        self._read_at = _version(self._file)
        self._looked = self._now()

    def secrets(self, username: str) -> Deferred[Secrets | None]:
        """See :meth:`voipshift.sip.auth.Users.secrets`."""
        return maybeDeferred(self._secrets, username)

    def _secrets(self, username: str) -> Secrets | None:
        if self._now() - self._looked >= LOOK_S:
            self._look()
        return self._users.get(username)

    def _look(self) -> None:
        self._looked = self._now()
        version = _version(self._file)
        if version == self._read_at:
            return
        try:
            self.load()
        except ConfigurationError as error:
            self._read_at = version  # the users stay as they were; it is said once
            self._log.error("{error}", error=error)


def read(file: str) -> dict[tuple[str, str], Secrets]:
    """All users of a file, by name and realm.

    :raises ConfigurationError: it is missing, others can read it, or a line is no user
    """
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        reason = f"cannot be read: {error.strerror}; voipshift user add makes it"
        raise ConfigurationError(file, "", reason) from None
    with os.fdopen(descriptor, "rb") as reader:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ConfigurationError(file, "", "is not a file")
        if status.st_mode & 0o077:
            mode = stat.S_IMODE(status.st_mode)
            raise ConfigurationError(file, "", f"can be read by others (mode {mode:04o}): chmod 600 it")
        text = reader.read(LARGEST_FILE + 1).decode("latin-1")
    if len(text) > LARGEST_FILE:
        raise ConfigurationError(file, "", "is too long for a file of users")
    users: dict[tuple[str, str], Secrets] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None:
            raise ConfigurationError(
                file, "", f"line {number} is not name:realm:sha256:md5; voipshift user add makes it"
            )
        try:
            password = bytes.fromhex(match[5] or "").decode()
        except UnicodeDecodeError:
            reason = f"line {number} is not UTF-8 behind the secrets; voipshift user add makes it"
            raise ConfigurationError(file, "", reason) from None
        users[match[1], match[2]] = Secrets(match[3], match[4], password)
    return users


def write(file: str, users: dict[tuple[str, str], Secrets]) -> None:
    """Write a file of users in place of what is there, for its owner alone.

    :raises ConfigurationError: it cannot be written
    """
    lines = [_line(name, realm, secrets) for (name, realm), secrets in users.items()]
    temporary = ""
    try:
        descriptor, temporary = tempfile.mkstemp(dir=os.path.dirname(os.path.abspath(file)))  # with mode 0600
        with os.fdopen(descriptor, "w", encoding="ascii") as writer:
            writer.writelines(lines)
        os.replace(temporary, file)
    except OSError as error:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise ConfigurationError(file, "", f"cannot be written: {error.strerror}") from None


def _line(name: str, realm: str, secrets: Secrets) -> str:
    password = f":{secrets.password.encode().hex()}" if secrets.password else ""
    return f"{name}:{realm}:{secrets.sha256}:{secrets.md5}{password}\n"


def _version(file: str) -> tuple[int, int, int] | None:
    """What changes with the file; None when it is not there."""
    try:
        status = os.stat(file)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size
