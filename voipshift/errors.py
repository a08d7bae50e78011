"""What can go wrong, as one tree.

An error is either an operator's (:class:`ConfigurationError`), a far end's (:class:`ProtocolViolation`) or an outcome
of placing a call (:class:`Refused`, :class:`NoAnswer`).  Any other exception is our own fault and is left to surface.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voipshift.node import Load


class VoipshiftError(Exception):
    """The root of every error that voipshift raises on purpose."""


class ConfigurationError(VoipshiftError):
    """A setting that cannot be used: its text is the one line that the operator reads.

    :param file: the configuration file as the operator named it
    :param key: the dotted key, ``workload.ongoing_calls``, or empty for the file as a whole
    :param reason: what is wrong and what to do
    """

    def __init__(self, file: str, key: str, reason: str) -> None:
        super().__init__(": ".join(part for part in (file, key, reason) if part))
        self.file = file
        self.key = key
        self.reason = reason


class ProtocolViolation(VoipshiftError):
    """Octets from outside that their protocol does not allow.

    :param reason: a short phrase that may be sent back to the far end
    :param status: the SIP status code that answers it, where an answer is possible
    """

    def __init__(self, reason: str, status: int = 400) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


class Refused(VoipshiftError):
    """Nobody took a call attempt.

    :param visited: the load of every node that was asked and refused, the one that says so included
    """

    def __init__(self, visited: tuple[Load, ...] = ()) -> None:
        super().__init__("every node that was asked is at its threshold")
        self.visited = visited


class NoAnswer(VoipshiftError):
    """A member did not answer an ask in time.

    :param silent: True when nothing at all was heard of it, neither Pending nor Answer: only then is it suspect
    """

    def __init__(self, silent: bool) -> None:
        super().__init__("no answer in time")
        self.silent = silent
