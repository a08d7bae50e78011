"""The figures of a run."""

from __future__ import annotations

import json
import math

from twisted.trial.unittest import SynchronousTestCase

from voipshift.demo.summary import NodeFigures, Outcome, Summary, percentile


class SummaryTest(SynchronousTestCase):
    """Outcomes are counted once each, and the object has the keys that are promised."""

    def test_the_object_has_exactly_these_keys(self) -> None:
        summary = Summary()
        for number in range(10):
            summary.ended(Outcome.COMPLETED, redirects=int(number >= 4), setup_s=0.001 * (number + 1))
        summary.ended(Outcome.REFUSED, redirects=1, setup_s=None)
        summary.ended(Outcome.FAILED, redirects=2, setup_s=None)
        summary.nodes = {
            "primary": NodeFigures(calls=4, peak=2, limit=2, hops=(4,)),
            "member1": NodeFigures(calls=6, peak=5, limit=math.inf, hops=(0, 5, 1, 0, 0)),
        }
        self.assertEqual(
            json.loads(json.dumps(summary.object())),
            {
                "attempted": 12,
                "completed": 10,
                "refused": 1,
                "failed": 1,
                "redirected": 8,
                "setup_ms": {"p50": 5.0, "p99": 10.0},
                "hops": {"0": 4, "1": 5, "2": 1},
                "nodes": {
                    "primary": {"calls": 4, "peak": 2, "limit": 2},
                    "member1": {"calls": 6, "peak": 5, "limit": "unlimited"},
                },
            },
        )

    def test_a_call_that_was_answered_and_failed_later_has_a_set_up_time(self) -> None:
        summary = Summary()
        summary.ended(Outcome.FAILED, redirects=0, setup_s=0.02)
        self.assertEqual((summary.failed, summary.setup_ms(0.5)), (1, 20.0))

    def test_nothing_attempted_is_no_error(self) -> None:
        empty = Summary().object()
        self.assertEqual((empty["attempted"], empty["setup_ms"], empty["hops"]), (0, {"p50": None, "p99": None}, {}))

    def test_hops_that_nobody_took_stay_between_those_that_were(self) -> None:
        summary = Summary(nodes={"primary": NodeFigures(hops=(0, 0, 3))})
        self.assertEqual(summary.hops, {0: 0, 1: 0, 2: 3})


class PercentileTest(SynchronousTestCase):
    """The nearest rank: always one of the values."""

    def test_cases(self) -> None:
        values = [float(number) for number in range(200, 0, -1)]
        for share, expected in ((0.0, 1.0), (0.005, 1.0), (0.5, 100.0), (0.99, 198.0), (1.0, 200.0)):
            self.assertEqual(percentile(values, share), expected, share)
        self.assertEqual(percentile([7.0], 0.99), 7.0)
        self.assertIsNone(percentile([], 0.5))
