"""Two transaction layers back to back: whatever the network does, each request is told of once and ended once."""

from __future__ import annotations

import functools
import heapq
import math
import random
from collections import Counter
from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from tests.sip_wire import GATEWAY, US, made, tokens
from voipshift.sip.effects import Acknowledged, Cancelled, Effect, Requested, Responded, Send, StrayResponse, TimedOut
from voipshift.sip.layer import TransactionLayer
from voipshift.sip.message import Request, Response, parse
from voipshift.sip.timers import T1
from voipshift.sip.transaction import ClientTransaction, Hop, ServerTransaction


class Network:
    """Two layers, and what is between them: it loses, delays, and repeats, with one seed."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.now = 0.0
        self.ends = {US: End(self, US, seed), GATEWAY: End(self, GATEWAY, seed + 1000)}
        self.queue: list[tuple[float, int, Hop, Hop, bytes]] = []
        self.later: list[tuple[float, int, Callable[[], None]]] = []
        self._number = 0

    def send(self, octets: bytes, source: Hop, to: Hop) -> None:
        """Deliver later, perhaps not, perhaps twice."""
        for _ in range(self.draw.choice((0, 1, 1, 1, 2))):
            self._number += 1
            heapq.heappush(self.queue, (self.now + self.draw.random() * 0.3, self._number, source, to, octets))

    def call(self, delay: float, what: Callable[[], None]) -> None:
        """Do something later."""
        self._number += 1
        heapq.heappush(self.later, (self.now + delay, self._number, what))

    def run(self) -> None:
        """Step from one thing that happens to the next, until nothing does."""
        while True:
            timers = min(end.layer.next for end in self.ends.values())
            arrival = self.queue[0][0] if self.queue else math.inf
            planned = self.later[0][0] if self.later else math.inf
            self.now = max(self.now, min(timers, arrival, planned))
            if self.now == math.inf:
                return
            if timers <= self.now:
                for end in self.ends.values():
                    end.perform(end.layer.due(self.now))
            elif arrival <= self.now:
                _, _, source, to, octets = heapq.heappop(self.queue)
                self.ends[to].received(octets, source)
            else:
                heapq.heappop(self.later)[2]()


class End:
    """A user agent on a layer: it answers what it is asked, and remembers what it was told."""

    def __init__(self, network: Network, hop: Hop, seed: int) -> None:
        self.network = network
        self.hop = hop
        self.layer = TransactionLayer(random=tokens(seed))
        self.requested: Counter[tuple[str, str]] = Counter()
        self.finals: Counter[ClientTransaction] = Counter()
        self.cancelled: Counter[str] = Counter()
        self.acknowledged: set[str] = set()
        self.calls: list[ClientTransaction] = []
        self.stray = self.timed_out = 0

    def received(self, octets: bytes, source: Hop) -> None:
        """A datagram."""
        message = parse(octets)
        now = self.network.now
        if isinstance(message, Request):
            self.perform(self.layer.receive_request(message, source, now))
        else:
            self.perform(self.layer.receive_response(message, source, now))

    def place(self, method: str, number: int, to: Hop) -> ClientTransaction:
        """Send a request."""
        ours = made(method, call=f"call{number}", via=f"SIP/2.0/UDP {self.hop.host}:5060;branch={self.layer.branch()}")
        client, effects = self.layer.request(ours, to, self.network.now)
        self.calls.append(client)
        self.perform(effects)
        return client

    def cancel(self, client: ClientTransaction) -> None:
        """Cancel an INVITE."""
        self.perform(self.layer.cancel(client, self.network.now))

    def perform(self, effects: list[Effect]) -> None:
        """Do what the layer says."""
        for effect in effects:
            if isinstance(effect, Send):
                self.network.send(effect.octets, self.hop, effect.address)
            elif isinstance(effect, Requested):
                self._requested(effect.transaction)
            elif isinstance(effect, Cancelled):
                self.cancelled[effect.transaction.key] += 1
                self._respond(effect.transaction, effect.transaction.request, 487)
            elif isinstance(effect, Responded):
                self._responded(effect.transaction, effect.response)
            elif isinstance(effect, TimedOut):
                self.finals[effect.transaction] += 1
                self.timed_out += 1
            elif isinstance(effect, Acknowledged):
                self.acknowledged.add(effect.request.call_id)
            elif isinstance(effect, StrayResponse):
                self.stray += 1

    def _requested(self, server: ServerTransaction) -> None:
        request, draw = server.request, self.network.draw
        self.requested[request.call_id, request.method] += 1
        status = draw.choice((200, 200, 302, 486, 603))
        if request.method == "INVITE" and draw.random() < 0.5:
            self.network.call(draw.random(), lambda: self._respond(server, request, 180))
        self.network.call(draw.random() * 4, lambda: self._respond(server, request, status))

    def _respond(self, server: ServerTransaction, request: Request, status: int, wait: float = T1) -> None:
        response = request.response(status, to_tag="t")
        effects = self.layer.respond(server, response, self.network.now)
        self.perform(effects)
        if effects and request.method == "INVITE" and status == 200 and request.call_id not in self.acknowledged:
            # 13.3.1.4: a 2xx is repeated by the user, until its ACK comes.
            again = min(2 * wait, 4.0)
            self.network.call(wait, lambda: self._repeat(server, request, again))

    def _repeat(self, server: ServerTransaction, request: Request, wait: float) -> None:
        if request.call_id not in self.acknowledged:
            self._respond(server, request, 200, wait)

    def _responded(self, client: ClientTransaction, response: Response) -> None:
        if response.status < 200:
            return
        if client.method == "INVITE" and response.status < 300:
            ack = made("ACK", call=response.call_id, to_tag="t",
                       via=f"SIP/2.0/UDP {self.hop.host}:5060;branch={self.layer.branch()}")  # fmt: skip
            self.network.send(ack.octets(), self.hop, client.destination)
            if client.user == "answered":
                return
            client.user = "answered"
        self.finals[client] += 1


class BackToBackTests(SynchronousTestCase):
    """Two layers over a network that loses one datagram of five, repeats one of five, and reorders."""

    def test_every_request_is_told_of_and_ended_once(self) -> None:
        """Each request reaches the far user at most once, its sender learns one outcome, and nothing is left."""
        cancelled = timed_out = 0
        for seed in range(25):
            network = self.ran(seed)
            us, gateway = network.ends[US], network.ends[GATEWAY]
            self.assertEqual([us.finals[client] for client in us.calls], [1] * 40, seed)
            self.assertEqual(set(gateway.requested.values()), {1}, seed)
            self.assertLessEqual(set(gateway.cancelled.values()), {1}, seed)
            self.assertEqual(us.requested, Counter(), seed)
            for end in (us, gateway):
                self.assertEqual((len(end.layer), len(end.layer.timers), end.layer.undecided), (0, 0, 0), seed)
            cancelled += len(gateway.cancelled)
            timed_out += us.timed_out
        self.assertGreater(cancelled, 50)
        self.assertLess(timed_out, 10)

    def ran(self, seed: int) -> Network:
        """A network on which forty requests were sent, some cancelled, and everything has come to its end."""
        network = Network(seed)
        us, draw = network.ends[US], network.draw
        for number in range(40):
            method = draw.choice(("INVITE", "INVITE", "BYE", "OPTIONS"))
            client = us.place(method, number, GATEWAY)
            if method == "INVITE" and draw.random() < 0.3:
                network.call(draw.random() * 3, functools.partial(us.cancel, client))
        network.run()
        return network
