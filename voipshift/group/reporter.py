"""What this node says of itself: to all at each T and at the edges, and to one when that one asks.

When a Report is due is :mod:`voipshift.group.reports`, how it is sealed :mod:`voipshift.group.speaker`.  Pure.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from voipshift.group.agenda import Agenda
from voipshift.group.effects import Reply
from voipshift.group.messages import Statement, encode_statement
from voipshift.group.peers import Peers
from voipshift.group.reports import Schedule
from voipshift.group.speaker import Speaker
from voipshift.node import Address, Load


class Reporter:
    """Reports.

    :param statement: what this node says of itself now
    :param address: where others reach it
    :param multicast: the group that is reported to, where there is one
    :param bus: publishes to all, where there is a bus; False when it is not there now
    :param random: gives so many random octets
    """

    def __init__(
        self,
        *,
        statement: Callable[[], Statement],
        address: Address,
        multicast: Address | None,
        bus: Callable[[bytes], bool] | None,
        speaker: Speaker,
        peers: Peers,
        agenda: Agenda,
        report_interval_s: float,
        random: Callable[[int], bytes],
    ) -> None:
        self._statement = statement
        self._address = address
        self._multicast = multicast
        self._bus = bus
        self._speaker = speaker
        self._peers = peers
        self._agenda = agenda
        to_all = multicast is not None or bus is not None
        self.schedule = Schedule(interval_s=report_interval_s, multicast=to_all, random=random)
        #: An edge came too soon after a Report, and is looked for again as soon as one may be reported.
        self._edge_check = False

    def is_edge(self, load: Load) -> bool:
        """Whether the others should not wait T for that load."""
        return self.schedule.edge_due(load, len(self._peers)) < math.inf

    def workload_changed(self, load: Load | None, now: float) -> bool:
        """Report at once when this is an edge.

        :param load: what to compare with the last Report; without it a statement is made for that
        :returns: whether a deadline may have changed
        """
        due = self.schedule.edge_due(load or self._statement().load, len(self._peers))
        if now >= due:
            self.report(now)
        elif due == math.inf or self._edge_check:
            return False
        else:
            self._edge_check = True
            self._agenda.at(due, self._edge_due)
        return True

    def report(self, now: float) -> None:
        """Tell everybody, by the multicast group or the bus where there is one and the member was heard there."""
        statement = self._statement()
        fields = encode_statement(statement, self._address)
        others = self._peers.others(now)
        if self._multicast is not None:
            self._speaker.report_to_group(self._multicast, fields, others)
        published = self._bus is not None and self._speaker.report_to_bus(self._bus, fields, others)
        for peer in self._peers.members():
            if not (peer.in_group and self._multicast is not None) and not (peer.on_bus and published):
                self._speaker.report(peer, fields, others)
        self.schedule.reported(statement.load, len(self._peers), now)

    def reply(self, reply: Reply) -> None:
        """Tell the one that asked."""
        fields = encode_statement(self._statement(), self._address)
        self._speaker.report(reply.peer, fields, (), reply.challenge, reply.echo)

    def _edge_due(self, now: float) -> None:
        self._edge_check = False
        self.workload_changed(None, now)
