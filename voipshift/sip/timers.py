"""The timers of RFC 3261 (table 4 of appendix A, with RFC 6026), and where running ones are kept.

Almost every timer is stopped before it runs out, so starting and stopping must cost little and leave nothing behind.
There are only a few different durations, and timers of one duration run out in the order in which they were started:
each has a queue, and no heap is needed.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Hashable
from typing import Final, Generic, TypeVar

#: Estimate of the round-trip time, in seconds.
T1: Final = 0.5
#: The longest interval between retransmissions of a response to INVITE, or of a request other than INVITE.
T2 = 4.0
#: How long a message stays in the network.
T4 = 5.0

#: INVITE request retransmission, unreliable transports only; doubles each time.
TIMER_A = T1
#: INVITE transaction timeout.
TIMER_B = 64 * T1
#: Proxy INVITE transaction timeout: more than three minutes (16.6 item 11); it belongs to the proxy.
TIMER_C = 181.0
#: Wait for response retransmissions: at least 32 s, none on reliable transports.
TIMER_D = 32.0
#: Non-INVITE request retransmission, unreliable transports only; doubles up to T2.
TIMER_E = T1
#: Non-INVITE transaction timeout.
TIMER_F = 64 * T1
#: INVITE response retransmission; doubles up to T2.
TIMER_G = T1
#: Wait for the ACK.
TIMER_H = 64 * T1
#: Wait for ACK retransmissions, none on reliable transports.
TIMER_I = T4
#: Wait for retransmissions of a request other than INVITE, none on reliable transports.
TIMER_J = 64 * T1
#: Wait for retransmissions of a response to a request other than INVITE, none on reliable transports.
TIMER_K = T4
#: Wait for retransmissions of an INVITE that was accepted (RFC 6026).
TIMER_L = 64 * T1
#: Wait for retransmissions of a 2xx, and for those of other branches (RFC 6026).
TIMER_M = 64 * T1
#: A server that has not answered an INVITE by now sends 100 (17.2.1).
TRYING_AFTER = 0.2
#: A cancelled INVITE that gets no final response is given up (9.1).
CANCELLED_FOR = 64 * T1

Owner = TypeVar("Owner", bound=Hashable)


class Queue(Generic[Owner]):
    """The running timers of one name and duration, in the order in which they run out.

    :ivar deadlines: when that of each owner does
    """

    __slots__ = ("deadlines", "duration")

    def __init__(self, duration: float) -> None:
        self.duration: Final = duration
        # OrderedDict, for a dict looks at all that was deleted before its first entry.
        self.deadlines: Final[OrderedDict[Owner, float]] = OrderedDict()


class Timers(Generic[Owner]):
    """Running timers: one queue for each name and duration.

    Starting and stopping take the same time however many run.  Time must not go backwards.

    :ivar next: no timer runs out before this; infinite when none runs
    """

    def __init__(self) -> None:
        #: By name; there are hardly ever two durations of one.
        self._queues: dict[str, list[Queue[Owner]]] = {}
        self.next = math.inf

    def start(self, owner: Owner, name: str, duration: float, now: float) -> None:
        """Let a timer run out after so many seconds; one of that owner and name that runs is started anew."""
        queues = self._queues.get(name)
        if queues is None:
            queues = self._queues[name] = []
        wanted: Queue[Owner] | None = None
        for queue in queues:
            if queue.duration == duration:
                wanted = queue
            elif owner in queue.deadlines:
                del queue.deadlines[owner]
        if wanted is None:
            wanted = Queue(duration)
            queues.append(wanted)
        deadline = now + duration
        deadlines = wanted.deadlines
        running = len(deadlines)
        deadlines[owner] = deadline
        if len(deadlines) == running:
            deadlines.move_to_end(owner)  # it ran
        if deadline < self.next:
            self.next = deadline

    def stop(self, owner: Owner, name: str) -> bool:
        """Stop a timer; False where it does not run."""
        queues = self._queues.get(name)
        if queues is not None:
            for queue in queues:
                if owner in queue.deadlines:
                    del queue.deadlines[owner]
                    return True
        return False

    def stop_all(self, owner: Owner) -> None:
        """Stop all timers of an owner."""
        for name in self._queues:
            self.stop(owner, name)

    def due(self, now: float) -> list[tuple[Owner, str]]:
        """Take out the timers that have run out, the earliest first."""
        if now < self.next:
            return []
        over: list[tuple[float, Owner, str]] = []
        following = math.inf
        for name, queues in self._queues.items():
            for queue in queues:
                first = len(over)
                for owner, deadline in queue.deadlines.items():
                    if deadline > now:
                        following = min(following, deadline)
                        break
                    over.append((deadline, owner, name))
                for _, owner, _ in over[first:]:
                    del queue.deadlines[owner]
            queues[:] = [queue for queue in queues if queue.deadlines]
        self.next = following
        over.sort(key=lambda entry: entry[0])
        return [(owner, name) for _, owner, name in over]

    def __len__(self) -> int:
        return sum(len(queue.deadlines) for queues in self._queues.values() for queue in queues)
