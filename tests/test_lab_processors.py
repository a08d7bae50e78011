"""Groups whose processors are the narrow place: how long calls wait, and what is carried in overload."""

from __future__ import annotations

import json
from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from tests.test_lab_command import voipshift
from voipshift.lab.processors import POLICIES, Processors, simulate

EIGHT = Processors(seconds=10.0)


class WaitingTests(SynchronousTestCase):
    """At 70 % load, reports a second old: five hundred service times."""

    def test_beside_the_idlest_processor(self) -> None:
        """Whoever was idlest in the last report gets all calls and drowns; by rates nobody waits long."""
        by_rates = simulate("rate", EIGHT)
        idlest = simulate("idlest", EIGHT)
        self.assertLess(by_rates.wait_p99_ms, 40.0)
        self.assertGreater(idlest.wait_p99_ms, 1000.0)
        self.assertEqual((by_rates.refused, idlest.refused), (0.0, 0.0))

    def test_beside_round_robin(self) -> None:
        """Where clients spread evenly by themselves hardly a call is shifted, and the wait is that of random calls."""
        by_rates, at_random = simulate("rate", EIGHT), simulate("random", EIGHT)
        turns = simulate("round-robin", EIGHT)
        self.assertLess(by_rates.shifted, 0.02)
        self.assertLess(by_rates.wait_p99_ms, 1.2 * at_random.wait_p99_ms)
        self.assertLess(by_rates.wait_p99_ms, 3.0 * turns.wait_p99_ms)

    def test_unequal_processors(self) -> None:
        """Round robin drowns the slow ones; by rates each gets what it can do."""
        unequal = replace(EIGHT, ratio=(1.0, 2.0, 4.0))
        by_rates, turns = simulate("rate", unequal), simulate("round-robin", unequal)
        self.assertLess(by_rates.wait_p99_ms, 150.0)
        self.assertGreater(turns.wait_p99_ms, 1000.0)
        self.assertGreater(by_rates.jain, 0.99)

    def test_clients_that_know_half_of_the_servers(self) -> None:
        """What those are offered above the mean is half of all, and half is shifted: no call more, none twice."""
        by_rates = simulate("rate", replace(EIGHT, entry="first:4"))
        self.assertLess(abs(by_rates.shifted - 0.5), 0.02)
        self.assertGreater(by_rates.jain, 0.99)
        self.assertLess(by_rates.wait_p99_ms, 100.0)


class OverloadTests(SynchronousTestCase):
    """More is offered than the processors can do."""

    def test_goodput_is_what_is_left_when_refusing_is_paid(self) -> None:
        """(1 - r k a) / (1 - r k) with k = 1: refused at the entry, where all are known to be full."""
        for load in (1.2, 2.0):
            scenario = replace(EIGHT, load=load)
            for policy in ("seed", "rate"):
                outcome = simulate(policy, scenario)
                self.assertGreater(outcome.goodput, 0.97 * scenario.bound, (policy, load))
                self.assertLess(outcome.goodput, 1.02 * scenario.bound, (policy, load))
                self.assertLess(outcome.touched, 1.05, (policy, load))

    def test_nobody_waits_until_clients_repeat_themselves(self) -> None:
        """The queue limits of 200 and 400 ms keep every request's wait below SIP's T1."""
        for load in (1.2, 2.0):
            self.assertLess(simulate("seed", replace(EIGHT, load=load)).longest_ms, 500.0)

    def test_passing_on_blindly_collapses(self) -> None:
        """Where nobody looks at flags, a refused call is paid for by several, and others wait too long."""
        scenario = replace(EIGHT, load=1.2, refuse_cost=0.2)
        blind, ours = simulate("blind", scenario), simulate("seed", scenario)
        self.assertGreater(blind.touched, 2.0)
        self.assertLess(blind.goodput, 0.8 * ours.goodput)


class CommandTests(SynchronousTestCase):
    """``voipshift lab cpu``."""

    def test_json(self) -> None:
        """One array, an object for each policy."""
        code, out, err = voipshift("lab", "cpu", "--seconds", "1", "--servers", "2", "--json")
        self.assertEqual((code, err), (0, ""))
        self.assertEqual([each["policy"] for each in json.loads(out)], list(POLICIES))

    def test_table(self) -> None:
        """For a reader."""
        code, out, _ = voipshift("lab", "cpu", "--seconds", "1", "--servers", "2", "--policy", "rate")
        self.assertEqual(code, 0)
        self.assertIn("goodput", out)

    def test_what_cannot_be(self) -> None:
        """Each is one sentence that names the option."""
        for option, value in (("--policy", "rate,none"), ("--entry", "nobody"), ("--ratio", "0:1")):
            code, _, err = voipshift("lab", "cpu", option, value)
            self.assertEqual(code, 1)
            self.assertIn(option, err)
