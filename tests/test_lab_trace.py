"""Scenarios and their traces: capacities, shares, holding times, and the pooled group on them."""

from __future__ import annotations

import math
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from voipshift.lab.erlang import erlang_b
from voipshift.lab.holding import Exponential, Lognormal, Mix, parse_shape
from voipshift.lab.pooled import pooled_refusals
from voipshift.lab.scenario import Bursts, Change, Outage, Scenario
from voipshift.lab.trace import Trace


def trace(**how: Any) -> Trace:
    return Trace(Scenario(**how))


class ScenarioTests(SynchronousTestCase):
    """What follows from the options."""

    def test_capacities_keep_ratio_and_mean(self) -> None:
        """Whole slots in that ratio, the ratio repeated, and their sum exactly the mean times the servers."""
        self.assertEqual(Scenario(servers=3, slots=70).capacities, [30, 60, 120])
        self.assertEqual(Scenario(servers=8, slots=100).capacities, [47, 94, 189, 47, 94, 188, 47, 94])
        self.assertEqual(sum(Scenario(servers=7, slots=33, ratio=(1, 3.5)).capacities), 7 * 33)

    def test_least_hops(self) -> None:
        """What arrives somewhere beyond the share of that server's capacity."""
        self.assertAlmostEqual(Scenario(servers=3, slots=70).least_hops, 1 / 3 - 1 / 7 + 1 / 3 - 2 / 7)
        self.assertAlmostEqual(Scenario(servers=3, slots=70, entry="primary").least_hops, 6 / 7)
        self.assertAlmostEqual(Scenario(servers=3, slots=70, entry="weighted").least_hops, 0.0)
        self.assertAlmostEqual(Scenario(servers=3, slots=70, entry="first:2").least_hops, 4 / 7)

    def test_a_large_group_reports_more_seldom(self) -> None:
        """Past 100 servers reports are 5 s apart."""
        large = Scenario(servers=101, slots=10, calls=100_000)
        self.assertEqual(large.interval_s, 5.0)
        self.assertEqual(Scenario().interval_s, 1.0)

    def test_what_cannot_be_simulated_is_refused(self) -> None:
        """The sentence names the option."""
        cases: list[tuple[dict[str, Any], str]] = [
            ({"calls": 100}, "--calls"),
            ({"outages": (Outage(8, 1.0, 2.0),)}, "--fail"),
            ({"entry": "first:9"}, "--entry"),
            ({"slots": 1, "ratio": (1.0, 9.0)}, "--slots"),
        ]
        for how, word in cases:
            with self.assertRaises(ValueError) as raised:
                Scenario(**how)
            self.assertIn(word, str(raised.exception))


class TraceTests(SynchronousTestCase):
    """The same for everybody, and as the scenario says."""

    def test_one_seed_one_trace(self) -> None:
        """The same seed gives the same calls, another one others."""
        first, again, other = trace(calls=20_000), trace(calls=20_000), trace(calls=20_000, seed=2)
        self.assertEqual(
            (first.arrivals, first.holding_s, first.entries), (again.arrivals, again.holding_s, again.entries)
        )
        self.assertNotEqual(first.arrivals, other.arrivals)

    def test_rate_and_shares(self) -> None:
        """Arrivals come at the offered rate, to each entry its share."""
        drawn = trace(calls=50_000, entry="weighted", load=0.9)
        self.assertApproximates(len(drawn) / drawn.arrivals[-1], 0.9 * 800 / 120, 0.1)
        self.assertApproximates(drawn.entries.count(2) / len(drawn), 189 / 800, 0.01)
        self.assertEqual(set(trace(calls=20_000, entry="first:2").entries), {0, 1})

    def test_shapes_have_their_mean(self) -> None:
        """Each shape, long enough drawn."""
        for shape in (Exponential(50.0), Lognormal(50.0, 1.0), Mix(0.8, 20.0, 170.0)):
            holding_s = trace(holding=shape, calls=100_000).holding_s
            self.assertApproximates(sum(holding_s) / len(holding_s), 50.0, 1.5)

    def test_shapes_as_text(self) -> None:
        """What the option takes, and what it does not."""
        for text, shape in [
            ("exponential", Exponential(9.0)),
            ("lognormal:1.5", Lognormal(9.0, 1.5)),
            ("mix:0.9,10,600", Mix(0.9, 10.0, 600.0)),
        ]:
            self.assertEqual(parse_shape(text, 9.0), shape)
            self.assertEqual(str(shape), text)
        for text in ("", "lognormal", "lognormal:x", "lognormal:9", "mix:1,2", "mix:2,1,1", "mix:0.5,0,1", "normal:1"):
            self.assertRaises(ValueError, parse_shape, text, 9.0)

    def test_bursts_keep_the_mean_rate(self) -> None:
        """Three times the rate for two of each ten seconds, less in between, as many in all."""
        drawn = trace(calls=50_000, bursts=Bursts(3.0, 2.0, 10.0))
        self.assertApproximates(len(drawn) / drawn.arrivals[-1], 800 / 120, 0.1)
        inside = sum(arrival % 10.0 < 2.0 for arrival in drawn.arrivals)
        self.assertApproximates(inside / len(drawn), 0.6, 0.01)


class PooledTests(SynchronousTestCase):
    """One server with all the slots."""

    def test_agrees_with_erlang(self) -> None:
        """Its blocking is Erlang's, for a shape that is not exponential too."""
        for shape in (Exponential(10.0), Lognormal(10.0, 1.0)):
            scenario = Scenario(servers=3, slots=30, load=0.95, holding=shape, calls=200_000)
            drawn = Trace(scenario)
            blocking = pooled_refusals(drawn, scenario) / (len(drawn) - drawn.first_counted)
            self.assertApproximates(blocking, erlang_b(90, 85.5), 0.006)

    def test_slots_go_and_come_back(self) -> None:
        """While a server is dead, and after its limit was changed, the pool has the slots that are there."""
        half: dict[str, Any] = {
            "servers": 2,
            "slots": 50,
            "ratio": (1.0,),
            "holding": Exponential(10.0),
            "load": 0.9,
            "calls": 60_000,
        }
        whole = Scenario(**half)
        drawn = Trace(whole)
        counted = len(drawn) - drawn.first_counted
        at_half = pooled_refusals(drawn, Scenario(**half, outages=(Outage(0, 20.0, math.inf),))) / counted
        self.assertApproximates(at_half, erlang_b(50, 90.0), 0.01)
        changed = pooled_refusals(drawn, Scenario(**half, changes=(Change(1, 20.0, 10),))) / counted
        self.assertApproximates(changed, erlang_b(60, 90.0), 0.01)
        back = pooled_refusals(drawn, Scenario(**half, outages=(Outage(0, 10.0, 20.0),))) / counted
        self.assertApproximates(back, erlang_b(100, 90.0), 0.005)
