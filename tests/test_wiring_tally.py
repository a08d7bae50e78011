"""The operator hears what was dropped, and nothing where nothing was."""

from __future__ import annotations

from collections import Counter
from typing import Any

from twisted.internet.task import Clock
from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from voipshift.wiring.tally import LOOK_S, MOST_REASONS, Tally


class TallyTests(SynchronousTestCase):
    """Two counters."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.connections: Counter[str] = Counter()
        self.datagrams: Counter[str] = Counter()
        self.lines: list[str] = []
        observer: Any = self.logged
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        self.tally = Tally(self.clock, "H.323", {"connections": self.connections, "RAS": self.datagrams})
        self.tally.start()

    def logged(self, event: LogEvent) -> None:
        """A line of the log."""
        if event.get("log_namespace") == "voipshift.wiring.tally":
            self.lines.append(formatEvent(event))

    def test_a_line_a_minute(self) -> None:
        """It says by how much each has grown since the last one; where none has, there is no line."""
        self.clock.advance(LOOK_S)
        self.connections["no TPKT"] += 3
        self.connections["no call"] += 12
        self.datagrams["too many"] += 1
        self.assertEqual(self.lines, [])
        self.clock.advance(LOOK_S)
        self.clock.advance(LOOK_S)
        self.connections["no TPKT"] += 1
        self.clock.advance(LOOK_S)
        self.assertEqual(
            self.lines,
            [
                "H.323 dropped or refused: connections: 12 no call, 3 no TPKT; RAS: 1 too many",
                "H.323 dropped or refused: connections: 1 no TPKT",
            ],
        )
        self.tally.stop()

    def test_the_end(self) -> None:
        """What was counted since the last line is told when the node stops; nothing is left scheduled."""
        self.datagrams["too many"] += 2
        self.tally.stop()
        self.assertEqual(self.lines, ["H.323 dropped or refused: RAS: 2 too many"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_many_reasons(self) -> None:
        """A line does not grow without end."""
        for number in range(MOST_REASONS + 2):
            self.datagrams[f"reason {number}"] += 10 - number
        self.tally.stop()
        (line,) = self.lines
        self.assertTrue(line.endswith("6 reason 4, 9 for other reasons"), line)
