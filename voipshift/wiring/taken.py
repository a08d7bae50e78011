"""A port that cannot be opened, as the operator reads it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from voipshift.errors import ConfigurationError
from voipshift.node import Address


@contextmanager
def named(file: str, key: str, address: Address, protocol: str) -> Iterator[None]:
    """Say in one line which port cannot be opened.

    :param key: which names it
    :param protocol: ``udp`` or ``tcp``
    :raises ConfigurationError: in place of what the system raises
    """
    try:
        yield
    except OSError as error:
        reason = f"{address[0]}:{address[1]}/{protocol}: {error.strerror}; stop who has it, or choose another"
        raise ConfigurationError(file, key, reason) from None
