"""The group's key file: which secrets seal and open its datagrams.

A text file of one key a line, 64 hexadecimal digits each; ``#`` starts a comment.  The first key seals, all open, so
that a new key is brought in without a pause: add it as the last line everywhere, then move it to the top, then remove
the old one.  The file is for its owner alone (0600): who can read it can speak for every node of the group.

Removing a key takes effect at the reload: datagrams that it sealed are forged ones from then on.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import stat
from collections.abc import Sequence

from voipshift.errors import ConfigurationError

SECRET_OCTETS = 32
KEY_ID_OCTETS = 4
#: Two are enough to change keys; each further one is a further way to forge.
MOST_KEYS = 8
#: A key file is some hundred octets long; whatever is longer is not one.
LARGEST_FILE = 16_384


class Key:
    """One secret of the group, and the id by which a datagram names it without giving it away."""

    __slots__ = ("id", "secret")

    def __init__(self, secret: bytes) -> None:
        if len(secret) != SECRET_OCTETS:
            raise ValueError("a group key has 32 octets")
        self.secret = secret
        self.id = hmac.digest(secret, b"voipshift key id", hashlib.sha256)[:KEY_ID_OCTETS]

    def __repr__(self) -> str:
        return f"<Key {self.id.hex()}>"


class Keys:
    """The keys in use.

    ``generation`` grows with each reload, so that whoever keeps what it derived from a key notices.

    :param secrets: 32 octets each; the first seals
    """

    def __init__(self, secrets: Sequence[bytes], file: str = "") -> None:
        self.file = file
        self.generation = 0
        self._use([Key(secret) for secret in secrets])

    def get(self, key_id: bytes) -> Key | None:
        """The key that a datagram names."""
        return self._by_id.get(key_id)

    def reload(self) -> None:
        """Read the file again.

        :raises ConfigurationError: the file cannot be used; the keys stay as they are
        """
        self._use([Key(secret) for secret in _read(self.file)])
        self.generation += 1

    def _use(self, keys: list[Key]) -> None:
        if not keys:
            raise ValueError("a group needs a key")
        self.first = keys[0]
        self._by_id = {key.id: key for key in keys}
        if len(self._by_id) != len(keys):
            raise ConfigurationError(self.file, "", "holds the same key twice: remove one of the two lines")


def load(file: str) -> Keys:
    """The keys of a file.

    :raises ConfigurationError: it is missing, others can read it, or it is no key file
    """
    return Keys(_read(file), file)


def make(file: str) -> None:
    """Write a new key file with one random key, for its owner alone.

    :raises ConfigurationError: it exists already, or cannot be written
    """
    text = f"# The voipshift group key: the same file on every node, for its owner alone.\n{secrets.token_hex(32)}\n"
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConfigurationError(file, "", "exists already: remove it first if its group is no more") from None
    except OSError as error:
        raise ConfigurationError(file, "", f"cannot be written: {error.strerror}") from None
    with os.fdopen(descriptor, "w", encoding="ascii") as writer:
        os.fchmod(descriptor, 0o600)
        writer.write(text)


def _read(file: str) -> list[bytes]:
    """The secrets of a file, checked on the very file that was opened."""
    try:
        # O_NONBLOCK: a named pipe put in its place must not hold up the start.
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        reason = f"cannot be read: {error.strerror}; voipshift keygen FILE makes one"
        raise ConfigurationError(file, "", reason) from None
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise ConfigurationError(file, "", "is not a file")
    with os.fdopen(descriptor, "rb") as reader:
        if status.st_mode & 0o077:
            mode = stat.S_IMODE(status.st_mode)
            raise ConfigurationError(file, "", f"can be read by others (mode {mode:04o}): chmod 600 it")
        text = reader.read(LARGEST_FILE + 1)
    if len(text) > LARGEST_FILE:
        raise ConfigurationError(file, "", "is too long for a key file")
    keys = []
    for number, line in enumerate(text.decode("latin-1").splitlines(), 1):
        word = line.partition("#")[0].strip()
        if not word:
            continue
        if not re.fullmatch("[0-9A-Fa-f]{64}", word):
            raise ConfigurationError(file, "", f"line {number} is not a key of 64 hexadecimal digits")
        keys.append(bytes.fromhex(word))
    if not keys:
        raise ConfigurationError(file, "", "holds no key: voipshift keygen FILE makes one")
    if len(keys) > MOST_KEYS:
        raise ConfigurationError(file, "", f"holds {len(keys)} keys: at most {MOST_KEYS} are used, remove the old ones")
    return keys
