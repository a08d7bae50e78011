"""What is to be done about the far ends of the group, as the rules that say so return it.

The rules are :mod:`voipshift.group.peers`, and who does it is :mod:`voipshift.group.acquaintance`.
"""

from __future__ import annotations

from typing import NamedTuple

from voipshift.group.peer import Peer
from voipshift.node import Address


class Hello(NamedTuple):
    """Poll whoever is at that address."""

    address: Address
    challenge: bytes


class Greet(NamedTuple):
    """Poll that boot."""

    peer: Peer
    challenge: bytes


class Reply(NamedTuple):
    """Report to that boot, with the echo of its challenge; ``challenge`` is ours where it is not believed yet."""

    peer: Peer
    echo: bytes
    challenge: bytes


class Joined(NamedTuple):
    """The boot is believed; ``replaced`` held the name before."""

    peer: Peer
    replaced: Peer | None


class Gone(NamedTuple):
    """Nothing is known any more of the boot; a ``member`` left the group."""

    peer: Peer
    member: bool


class Doubled(NamedTuple):
    """Two nodes have one name: said once of each two boots."""

    holder: Peer
    namesake: Peer


Effect = Hello | Greet | Reply | Joined | Gone | Doubled
