"""The system's resolver of names, as a test has it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.task import Clock


class Resolver:
    """The system's resolver: it knows what the test tells it, and answers when that says so."""

    def __init__(self) -> None:
        self.zone: dict[str, list[str]] = {}
        self.asked: list[str] = []
        self.silent = False
        self.waiting: list[Any] = []

    def resolveHostName(self, receiver: Any, host: str, port: int = 0, addressTypes: Sequence[type] = ()) -> None:
        self.asked.append(host)
        receiver.resolutionBegan(None)
        for address in self.zone.get(host, []):
            made = IPv6Address("UDP", address, port) if ":" in address else IPv4Address("UDP", address, port)
            if isinstance(made, tuple(addressTypes)):
                receiver.addressResolved(made)
        if self.silent:
            self.waiting.append(receiver)
        else:
            receiver.resolutionComplete()


class ResolvingClock(Clock):
    """A clock with such a resolver, as a reactor has both."""

    def __init__(self) -> None:
        super().__init__()
        self.nameResolver = Resolver()
