"""The delegation where records are kept: each attempt of a client that ends elsewhere than here leaves one.

What is accepted here leaves its record when its call ends.  Where no records are kept there is the delegation itself.
"""

from __future__ import annotations

from typing import Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from voipshift.calls.record import CANCELLED, REFUSED
from voipshift.calls.recorder import Recorder
from voipshift.delegation.chain import Delegation
from voipshift.errors import Refused as NobodyTookIt
from voipshift.node import Acceptance, CallAttempt, Load


class Placing(Protocol):
    """How the doors have attempts placed."""

    def place(self, attempt: CallAttempt, visited: tuple[Load, ...] = ()) -> Deferred[Acceptance]: ...
    def unreached(self, acceptance: Acceptance, attempt: bytes) -> tuple[Load, ...]: ...
    def here_alone(self, attempt: CallAttempt) -> Acceptance: ...


class Recorded:
    """A delegation, and the recorder that is told what it found."""

    def __init__(self, delegation: Delegation, recorder: Recorder) -> None:
        self._delegation = delegation
        self._recorder = recorder
        self.unreached = delegation.unreached

    def place(self, attempt: CallAttempt, visited: tuple[Load, ...] = ()) -> Deferred[Acceptance]:
        """See :meth:`voipshift.delegation.chain.Delegation.place`."""
        began = self._delegation.now()
        placed = self._delegation.place(attempt, visited)
        return placed.addCallbacks(
            self._placed, self._not_placed, callbackArgs=(attempt, began), errbackArgs=(attempt, began)
        )

    def here_alone(self, attempt: CallAttempt) -> Acceptance:
        """See :meth:`voipshift.delegation.chain.Delegation.here_alone`."""
        try:
            return self._delegation.here_alone(attempt)
        except NobodyTookIt as refused:
            self._recorder.refused(attempt, refused.visited, REFUSED, 0.0)
            raise

    def _placed(self, acceptance: Acceptance, attempt: CallAttempt, began: float) -> Acceptance:
        if acceptance.node.name != self._delegation.identity.name:
            self._recorder.shifted(attempt, acceptance, self._delegation.now() - began)
        return acceptance

    def _not_placed(self, failure: Failure, attempt: CallAttempt, began: float) -> Failure:
        waited_s = self._delegation.now() - began
        if isinstance(failure.value, NobodyTookIt):
            self._recorder.refused(attempt, failure.value.visited, REFUSED, waited_s)
        elif failure.check(CancelledError):
            self._recorder.refused(attempt, (), CANCELLED, waited_s)
        return failure
