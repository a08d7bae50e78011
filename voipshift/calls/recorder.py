"""The recorder: makes a record of each call that ends here, and of each attempt that came here and went elsewhere.

It is told what happened and hands each record on at once; it remembers nothing.  Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from voipshift.calls.record import LAPSED, LONGEST_TEXT, SHIFTED, Origin, Record, Slot
from voipshift.calls.table import Call
from voipshift.node import Acceptance, CallAttempt, Load

#: Whom an attempt calls by its beginning, where it is none to call but to register, by SIP and by RAS.
REGISTRATIONS = ("REGISTER ", "h323/ras")


class Recorder:
    """Makes records.

    :param name: this node's
    :param keep: where they go; it must not wait
    :param now: the time that calls are measured in
    :param wall: seconds since 1970
    :param octets: draws so many
    """

    def __init__(
        self,
        *,
        name: str,
        keep: Callable[[Record], None],
        now: Callable[[], float],
        wall: Callable[[], float],
        octets: Callable[[int], bytes],
    ) -> None:
        self._name = name
        self._keep = keep
        self._now = now
        self._wall = wall
        self._octets = octets

    def arrived(self, slot: Slot | None, call_id: str) -> Origin | None:
        """The client of a call came: what its record will begin with.

        :param slot: None where it was given up while the called user was looked for
        """
        return None if slot is None else Origin(slot.attempt, slot.entry, slot.visited, call_id[:LONGEST_TEXT])

    def closed(self, call: Call) -> None:
        """A call left the table."""
        wall = self._wall()
        past = wall - self._now()
        origin = call.origin
        attempt = origin.attempt if origin is not None else None
        self._keep(
            Record(
                attempt=(attempt.id if attempt is not None else self._octets(16)).hex(),
                node=self._name,
                call_id=origin.call_id if origin is not None else call.identity[0][:LONGEST_TEXT],
                door=attempt.door if attempt is not None else "",
                caller=attempt.caller if attempt is not None else call.caller.name[:LONGEST_TEXT],
                callee=attempt.callee if attempt is not None else "",
                client=attempt.client if attempt is not None else call.caller.address,
                entry=origin.entry if origin is not None else self._name,
                path=origin.visited if origin is not None else (),
                accepted=self._name,
                gateway=call.gateway,
                began=past + call.began,
                alerted=None if call.alerted is None else past + call.alerted,
                answered=None if call.answered is None else past + call.answered,
                ended=wall,
                code=call.status,
                octets=call.octets,
            )
        )

    def unserved(self, origin: Origin | None, status: int) -> None:
        """A client arrived, and its call could not be carried."""
        if origin is not None:
            self._attempted(origin.attempt, origin.entry, origin.visited, self._name, status, origin.call_id)

    def shifted(self, attempt: CallAttempt, acceptance: Acceptance, waited_s: float) -> None:
        """A member took an attempt of a client here."""
        here, there = self._name, acceptance.node.name
        self._attempted(attempt, here, acceptance.visited, there, SHIFTED, attempt.call_id, waited_s)

    def refused(self, attempt: CallAttempt, visited: tuple[Load, ...], status: int, waited_s: float) -> None:
        """Nobody took an attempt of a client here, or it is not wanted any more."""
        self._attempted(attempt, self._name, visited, "", status, attempt.call_id, waited_s)

    def lapsed(self, slots: Iterable[Slot]) -> None:
        """Clients did not come for slots that this node held for them; places for registrations are no calls."""
        for slot in slots:
            if not slot.attempt.callee.startswith(REGISTRATIONS):
                self._attempted(slot.attempt, slot.entry, slot.visited, self._name, LAPSED, slot.attempt.call_id)

    def _attempted(
        self,
        attempt: CallAttempt,
        entry: str,
        path: tuple[Load, ...],
        accepted: str,
        status: int,
        call_id: str,
        waited_s: float = 0.0,
    ) -> None:
        wall = self._wall()
        self._keep(
            Record(
                attempt=attempt.id.hex(),
                node=self._name,
                call_id=call_id[:LONGEST_TEXT],
                door=attempt.door,
                caller=attempt.caller,
                callee=attempt.callee,
                client=attempt.client,
                entry=entry,
                path=path,
                accepted=accepted,
                gateway=None,
                began=wall - waited_s,
                alerted=None,
                answered=None,
                ended=wall,
                code=status,
            )
        )
