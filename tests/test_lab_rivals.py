"""The rivals: each choice, in cases so small that every call's server is known."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from voipshift.lab.eventqueue import EventQueue
from voipshift.lab.measures import Measures
from voipshift.lab.rivals import Rival
from voipshift.lab.scenario import Scenario
from voipshift.lab.trace import Trace


class RivalTests(SynchronousTestCase):
    """Three servers of one, two and three slots; all calls come at once, everybody at the first entry."""

    def rival(self, policy: str, **how: Any) -> tuple[Rival, Measures]:
        scenario = Scenario(servers=3, slots=2, ratio=(1.0, 2.0, 3.0), calls=100, entry="primary", **how)
        measures = Measures(0)
        return Rival(policy, scenario, Trace(scenario), EventQueue(), measures), measures

    def offered(self, policy: str, calls: int, **how: Any) -> tuple[list[int], int]:
        """The calls at each server, and how many were refused."""
        rival, measures = self.rival(policy, **how)
        for number in range(calls):
            rival.offer(number)
        return [server.calls for server in rival.servers], measures.refused

    def test_round_robin(self) -> None:
        """In turn, whether there is room or not."""
        self.assertEqual(self.offered("round-robin", 3), ([1, 1, 1], 0))
        self.assertEqual(self.offered("round-robin", 6), ([1, 2, 2], 1))
        self.assertEqual(self.offered("round-robin", 9), ([1, 2, 3], 3))

    def test_three_tries_find_any_of_three(self) -> None:
        """Each try is another server, so no call is refused while there is a slot."""
        self.assertEqual(self.offered("srv-retry", 6), ([1, 2, 3], 0))
        self.assertEqual(self.offered("srv-retry", 8), ([1, 2, 3], 2))

    def test_one_try_may_fail(self) -> None:
        """With one try each some calls meet a full server while others have room."""
        for policy in ("srv", "random"):
            calls, refused = self.offered(policy, 6)
            self.assertEqual(sum(calls) + refused, 6)
            self.assertTrue(refused > 0, policy)

    def test_dispatcher(self) -> None:
        """The least used of the servers, by what this entry sent there."""
        self.assertEqual(self.offered("dispatcher", 3), ([1, 1, 1], 0))
        self.assertEqual(self.offered("dispatcher", 6), ([1, 2, 3], 0))
        self.assertEqual(self.offered("dispatcher", 7), ([1, 2, 3], 1))

    def test_a_server_that_refuses_everything(self) -> None:
        """It costs a try."""
        self.assertEqual(self.offered("srv-retry", 3, liars=(2,)), ([1, 2, 0], 0))

    def test_a_dead_server_costs_a_try_and_its_calls(self) -> None:
        """Its calls are gone; it takes new ones when it is back, and old ends change nothing."""
        rival, measures = self.rival("round-robin")
        rival.offer(0)
        rival.fail(0)
        self.assertEqual(rival.servers[0].calls, 0)
        for number in (1, 2, 3):
            rival.offer(number)
        self.assertEqual(measures.refused, 1)
        rival.restart(0)
        rival.servers[0].calls = 1
        rival._queue.run(rival._trace.holding_s[0])
        self.assertEqual(rival.servers[0].calls, 1)

    def test_calls_end(self) -> None:
        """After their holding time the slots are free again."""
        rival, _ = self.rival("srv-retry")
        for number in range(6):
            rival.offer(number)
        rival._queue.run(max(rival._trace.holding_s))
        self.assertEqual([server.calls for server in rival.servers], [0, 0, 0])

    def test_messages_are_the_further_tries(self) -> None:
        """The client's first request is nobody's cost."""
        rival, _ = self.rival("round-robin")
        rival.offer(0)
        self.assertEqual(rival.messages, 0)
        rival, _ = self.rival("dispatcher", liars=(0, 1))
        rival.offer(0)
        self.assertEqual(rival.messages, 4)
