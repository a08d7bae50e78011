"""What a node measures of itself while it runs: the criteria that are sampled, and how late it works off what came.

Both are measured by one delayed call that comes again every :data:`~voipshift.balance.criteria.SAMPLE_S`.  The queue
delay of the rule is how much later it comes than it was due, for whatever waits for the loop waits as long; or how long
the oldest datagram has waited in the kernel, where that is longer: a loop that is asked too much reads a batch at a
time and comes to its timers in between, while those behind the batch wait.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import psutil
from twisted.logger import Logger

from voipshift.balance.criteria import SAMPLE_S, Clients, CpuPercent, DataPerSecond, Sampled
from voipshift.balance.estimate import Model
from voipshift.balance.workload import (
    DROP_DELAY_S,
    QUEUE_DELAY_LIMIT_S,
    STARTING_CALLS,
    Reserve,
    Watermarks,
    Workload,
)

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall, IReactorTime

    from voipshift.config import Settings, WorkloadSettings

#: The model's capacity is told anew when it is higher or lower by more than this.
TOLD_AGAIN = 1.25
#: Later than this is no load: the clock was set, or the machine slept.
LONGEST_DELAY_S = 10.0


def sampled_criteria(
    settings: WorkloadSettings,
    *,
    octets: Callable[[], int],
    clients: Callable[[], int],
    accepted: Callable[[], int],
    queue_delay_s: Callable[[], float],
    horizon_s: float,
    now: float,
) -> list[Sampled]:
    """The sampled criteria that have a threshold.

    :param octets: how many octets of signalling came in and went out so far
    :param clients: how many clients there are
    :param accepted: how many calls were accepted so far
    :param horizon_s: how old what others know of this node becomes
    """
    criteria: list[Sampled] = []
    if settings.data_per_second != math.inf:
        criteria.append(DataPerSecond(settings.data_per_second, octets, now))
    if settings.clients != math.inf:
        criteria.append(Clients(settings.clients, clients))
    if settings.cpu_percent != math.inf:
        process = psutil.Process()
        criteria.append(CpuPercent(settings.cpu_percent, process.cpu_percent, psutil.cpu_percent, now))
    if settings.model != math.inf:
        criteria.append(
            Model(
                settings.model,
                accepted=accepted,
                busy=psutil.Process().cpu_percent,
                queue_delay_s=queue_delay_s,
                horizon_s=horizon_s,
                now=now,
            )
        )
    return criteria


def workload_of(
    settings: Settings,
    *,
    occupied: Callable[[], int],
    octets: Callable[[], int],
    clients: Callable[[], int],
    accepted: Callable[[], int],
    now: float,
) -> Workload:
    """The workload that a configuration says; the callables are those of :func:`sampled_criteria` and of Workload.

    A node that others may send calls to at once starts with nearly nothing in its bucket; one that knows of nobody has
    its clients alone, and a full one.
    """
    limits, group = settings.workload, settings.group
    has_others = group is not None and bool(group.members or group.multicast or group.bus)
    reserve = Reserve.of(limits.ongoing_calls, limits.calls_per_second, settings.emergency.share)
    criteria = sampled_criteria(
        limits,
        octets=octets,
        clients=clients,
        accepted=accepted,
        queue_delay_s=lambda: workload.queue_delay_s,
        horizon_s=group.report_interval_s if group else 1.0,
        now=now,
    )
    workload = Workload(
        ongoing_calls=reserve.ongoing_calls,
        calls_per_second=reserve.calls_per_second,
        emergency_occupancy=reserve.occupancy,
        occupied=occupied,
        sampled=criteria,
        watermarks=Watermarks(limits.high_watermark, limits.low_watermark),
        stored_calls=STARTING_CALLS if has_others else math.inf,
        now=now,
    )
    return workload


class Gauge:
    """Measures a workload from :meth:`start` to :meth:`stop`.

    :param clock: the reactor, or a test's clock
    :param waited_s: how long the oldest datagram has been waiting
    :param drop: told whether new calls are to be dropped, each time that this changes
    :param changed: called after each sample that may have changed the occupancy
    """

    def __init__(
        self,
        *,
        clock: IReactorTime,
        workload: Workload,
        waited_s: Callable[[], float],
        drop: Callable[[bool], None],
        changed: Callable[[], object],
    ) -> None:
        self._clock = clock
        self._workload = workload
        self._waited_s = waited_s
        self._drop = drop
        self._changed = changed
        self._dropping = False
        self._due = 0.0
        self._call: IDelayedCall | None = None
        #: What the log says of the model's capacity, in calls per second.
        self._told: float | None = None
        self._log = Logger(__name__)

    def start(self) -> None:
        """Measure from now on."""
        self._due = self._clock.seconds() + SAMPLE_S
        self._call = self._clock.callLater(SAMPLE_S, self._sample)

    def stop(self) -> None:
        """Measure no more."""
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _sample(self) -> None:
        now, workload = self._clock.seconds(), self._workload
        delay_s = max(now - self._due, self._waited_s())
        self._due = now + SAMPLE_S
        self._call = self._clock.callLater(SAMPLE_S, self._sample)
        was_late = workload.queue_delay_s >= QUEUE_DELAY_LIMIT_S
        workload.queue_delay_s = delay_s if 0.0 < delay_s < LONGEST_DELAY_S else 0.0
        if (workload.queue_delay_s >= DROP_DELAY_S) is not self._dropping:
            self._dropping = not self._dropping
            self._drop(self._dropping)
        workload.sample(now)
        if workload.model is not None:
            self._tell(workload.model)
        if workload.sampled or was_late or workload.queue_delay_s >= QUEUE_DELAY_LIMIT_S:
            self._changed()

    def _tell(self, model: Model) -> None:
        """Say in the log what the model believes, and how sure it is, when that has changed."""
        capacity, told = model.capacity, self._told
        if capacity is None:
            if told is not None:
                self._log.info("workload.model: not sure any more what this node can accept")
        elif told is None or not 1.0 / TOLD_AGAIN <= capacity / told <= TOLD_AGAIN:
            self._log.info(
                "workload.model: this node can accept {capacity:.1f} calls per second, sure to {sureness:.2f}",
                capacity=capacity,
                sureness=model.sureness,
            )
        else:
            return
        self._told = capacity
