"""Asks between real exchanges and how each of them ends, and what an attacker can do: nothing."""

from __future__ import annotations

from random import Random

from twisted.internet.defer import CancelledError

from tests.group_nodes import ATTEMPT, SECRET, ExchangeTestCase, Node
from voipshift.errors import NoAnswer, Refused
from voipshift.group.envelope import TOO_LONG, Opener
from voipshift.group.keys import Keys
from voipshift.group.messages import HEAD_OCTETS, PRELUDE_OCTETS
from voipshift.node import Acceptance, Address, CallAttempt, NodeIdentity


class Asking(ExchangeTestCase):
    """Asks, and how each ends."""

    def test_accepted(self) -> None:
        """An acceptance comes back with the visited loads."""
        a, b = self.pair()
        answer = a.ask("b")
        self.network.run(0.01)
        acceptance = self.successResultOf(answer)
        self.assertEqual((acceptance.node, acceptance.lease, acceptance.hops), (b.identity, f"{1:032x}", 1))
        self.assertEqual([load.node for load in acceptance.visited], ["a", "b"])
        attempt, path, left_s, entry = b.considered[0]
        self.assertEqual((attempt, [load.node for load in path], entry), (ATTEMPT, ["a"], "a"))
        self.assertAlmostEqual(left_s, 1.5, delta=0.01)

    def test_refused(self) -> None:
        """A refusal names who was visited."""
        a, b = self.pair()
        b.consider = b.refuse
        answer = a.ask("b")
        self.network.run(0.01)
        self.assertEqual([load.node for load in self.failureResultOf(answer, Refused).value.visited], ["b"])

    def test_asked_on(self) -> None:
        """The identity of a third node comes back along the chain; the entry is the one that asked first."""
        a, b, c = self.trio()
        b.ask_on("c")
        answer = a.ask("b")
        self.network.run(0.01)
        acceptance = self.successResultOf(answer)
        self.assertEqual(acceptance.node, c.identity)
        self.assertEqual([load.node for load in acceptance.visited], ["a", "b", "c"])
        self.assertEqual(c.considered[0][3], "a")

    def test_silence(self) -> None:
        """Three tries and 200 ms of silence: the member is suspect."""
        a, b = self.pair()
        b.die()
        self.network.sent.clear()
        answer = a.ask("b")
        self.network.run(0.19)
        self.assertEqual(len(self.network.sent), 3)
        self.assertNoResult(answer)
        self.network.run(0.02)
        self.assertTrue(self.failureResultOf(answer, NoAnswer).value.silent)

    def test_silence_far_away(self) -> None:
        """Four round trips of silence where that is longer than 200 ms."""
        a, b = self.pair()
        peer = a.exchange._peers.member("b")
        assert peer is not None
        peer.round_trip_s = 0.1
        b.die()
        answer = a.ask("b")
        self.network.run(0.39)
        self.assertNoResult(answer)
        self.network.run(0.02)
        self.assertTrue(self.failureResultOf(answer, NoAnswer).value.silent)

    def test_pending(self) -> None:
        """After a Pending only the deadline ends an ask, and the member is not suspect."""
        a, b = self.pair()
        b.consider = b.wait
        answer = a.ask("b", 1.0)
        self.network.run(0.9)
        self.assertNoResult(answer)
        self.network.run(0.2)
        self.assertFalse(self.failureResultOf(answer, NoAnswer).value.silent)
        self.assertEqual(len(b.considered), 1)
        self.assertEqual(b.cancelled, [ATTEMPT])

    def test_dead_third(self) -> None:
        """A dead third node is not held against a live second one."""
        a, b, c = self.trio()
        c.die()
        b.ask_on("c")
        answer = a.ask("b")
        self.network.run(0.25)
        self.failureResultOf(answer, Refused)
        self.flushLoggedErrors(NoAnswer)

    def test_lost_answer(self) -> None:
        """A repeated Ask is answered from memory, never decided twice."""
        a, b = self.pair()
        lost: list[int] = []

        def lose_answers(source: Address, destination: Address) -> bool:
            lost.append(1)
            return source == b.address and len(lost) < 6

        self.network.lost = lose_answers
        answer = a.ask("b")
        self.network.run(0.19)
        self.successResultOf(answer)
        self.assertEqual(len(b.considered), 1)
        self.assertEqual(b.leases, 1)
        self.assertEqual((a.exchange._withdrawals._withdrawals, b.withdrawn), ({}, []))

    def test_round_trip(self) -> None:
        """Measured by an ask that was sent once; of one that was repeated nobody knows which was answered (Karn)."""
        a, _ = self.pair()
        peer = a.exchange._peers.member("b")
        assert peer is not None
        peer.round_trip_s = 0.0
        answer = a.ask("b")
        self.network.run(0.01)
        self.successResultOf(answer)
        self.assertApproximates(peer.round_trip_s, 0.002, 1e-6)
        self.network.lost = lambda source, destination: True
        answer = a.ask("b")
        self.network.run(0.04)
        self.network.lost = lambda source, destination: False
        self.network.run(0.1)
        self.successResultOf(answer)
        self.assertApproximates(peer.round_trip_s, 0.002, 1e-6)

    def test_duplicated_datagrams(self) -> None:
        """A duplicate of an Answer takes nothing back."""
        a, b = self.pair()
        send = self.network.send

        def send_twice(octets: bytes, source: Address, destination: Address) -> None:
            send(octets, source, destination)
            send(octets, source, destination)

        self.network.send = send_twice  # type: ignore[method-assign]
        answer = a.ask("b")
        self.network.run(12)
        self.successResultOf(answer)
        self.assertEqual((len(b.considered), b.withdrawn), (1, []))
        self.assertGreater(a.exchange.counts["replayed"], 0)

    def test_cancel_follows_the_chain(self) -> None:
        """A cancelled ask is cancelled at each member that was asked for it."""
        a, b, c = self.trio()
        b.ask_on("c")
        c.consider = c.wait
        answer = a.ask("b")
        self.network.run(0.05)
        answer.cancel()
        self.failureResultOf(answer, CancelledError)
        self.network.run(0.01)
        self.assertEqual(c.cancelled, [ATTEMPT])
        self.network.run(10)
        self.assertEqual([len(node.exchange._withdrawals) for node in (a, b, c)], [0, 0, 0])

    def test_late_answer_is_withdrawn(self) -> None:
        """An acceptance that nobody waits for any more gives its lease back, through the node that asked on too."""
        a, b, c = self.trio()
        b.ask_on("c")
        self.network.lost = lambda source, destination: (source, destination) == (b.address, a.address)
        answer = a.ask("b", 0.5)
        self.network.run(0.6)
        self.failureResultOf(answer, NoAnswer)
        self.network.run(0.1)
        self.assertEqual(c.withdrawn, [f"{1:032x}"])
        self.assertGreater(len(a.exchange._withdrawals), 0)
        self.network.lost = lambda source, destination: False
        self.network.run(5)
        self.assertEqual(len(a.exchange._withdrawals), 0)
        self.assertEqual(c.withdrawn, [f"{1:032x}"])

    def test_answer_after_the_end(self) -> None:
        """An acceptance that arrives after its ask ended gives its lease back, though no Withdraw got there before."""
        a, b = self.pair()
        held: list[bytes] = []
        send = self.network.send

        def hold(octets: bytes, source: Address, destination: Address) -> None:
            if source == b.address and not held:
                held.append(octets)
            elif destination == a.address or held == []:
                send(octets, source, destination)

        answer = a.ask("b", 0.3)
        self.network.send = hold  # type: ignore[method-assign]
        self.network.run(0.31)
        self.failureResultOf(answer, NoAnswer)
        self.assertEqual(b.withdrawn, [])
        self.network.send = send  # type: ignore[method-assign]
        self.network.deliver(held[0], b.address, a.address)
        self.network.run(0.01)  # the Withdraw of the ask itself is not sent again before
        self.assertEqual(b.withdrawn, [f"{1:032x}"])
        self.assertEqual(a.exchange.counts["late_answer"], 1)

    def test_what_an_ask_spends_on_its_way(self) -> None:
        """It is taken off what is left of the deadline; by the clock of the member, whatever that says."""
        for skew_s in (0.0, 400.0):
            a, b = self.pair(skew_s=skew_s)
            self.network.sent.clear()
            self.network.lost = lambda source, destination: True
            a.ask("b", 1.5).addErrback(lambda failure: failure.trap(NoAnswer))
            self.network.run(0.15)
            self.network.deliver(self.network.sent[0][0], a.address, b.address)
            self.assertApproximates(b.considered[0][2], 1.35, 0.005)
            self.network.lost = lambda source, destination: False
            self.network.run(10)
            for node in (a, b):
                node.exchange.stop()
            self.network.nodes.clear()

    def test_withdraw_overtakes_its_ask(self) -> None:
        """An Ask that comes after its Withdraw is not considered."""
        a, b = self.pair()
        self.network.sent.clear()
        self.network.lost = lambda source, destination: True
        answer = a.ask("b")
        ask = self.network.sent[0][0]
        self.network.lost = lambda source, destination: False
        answer.cancel()
        self.failureResultOf(answer, CancelledError)
        self.network.run(0.01)
        self.network.deliver(ask, a.address, b.address)
        self.network.run(1)
        self.assertEqual(b.considered, [])

    def test_give_back(self) -> None:
        """A lease is given back to its node until that acknowledges it, or to one on the way to it."""
        a, b, c = self.trio()
        self.network.lost = lambda source, destination: destination == c.address
        acceptance = Acceptance(c.identity, "ab" * 16, (a.load(), b.load(), c.load()), 2)
        a.exchange.give_back(acceptance, ATTEMPT.id)
        self.network.run(1)
        self.network.lost = lambda source, destination: False
        self.network.run(3)
        self.assertEqual(set(c.withdrawn), {"ab" * 16})
        stranger = Acceptance(NodeIdentity("z", {}), "cd" * 16, (a.load(), b.load()), 2)
        a.exchange.give_back(stranger, ATTEMPT.id)
        self.network.run(3)
        self.assertEqual(b.exchange.counts["no_way_back"], 1)
        self.assertEqual(len(a.exchange._withdrawals), 0)

    def test_lapsed(self) -> None:
        """The entry of each lease that ran out is told, twenty-five in one datagram."""
        a, b = self.pair()
        self.network.sent.clear()
        b.exchange.tell_lapsed(
            [("a", bytes([k]) * 16, f"{k:032x}") for k in range(26)] + [("b", ATTEMPT.id, "00" * 16)]
        )
        self.assertEqual(len(self.network.sent), 2)
        self.network.run(0.01)
        self.assertEqual(len(a.lapsed), 26)
        self.assertEqual(b.lapsed, [(ATTEMPT.id, "00" * 16)])

    def test_too_long(self) -> None:
        """An attempt that does not fit in a datagram is not asked about, and nobody is suspect."""
        a, b = self.pair()
        long = CallAttempt(ATTEMPT.id, "sip/udp", "a" * 600, "b", "c" * 600, ("192.0.2.9", 5060))
        self.assertFalse(self.failureResultOf(a.exchange.ask("b", long, (), 1.0), NoAnswer).value.silent)
        self.assertEqual(a.exchange.counts["too_long_to_send"], 1)
        self.assertEqual(b.considered, [])

    def test_unknown_member(self) -> None:
        """Nobody of that name is known."""
        a, _ = self.pair()
        self.assertTrue(self.failureResultOf(a.ask("z"), NoAnswer).value.silent)

    def test_stop_ends_all(self) -> None:
        """A node that stops ends its asks, and refuses what it was considering."""
        a, b = self.pair()
        b.consider = b.wait
        answer = a.ask("b")
        self.network.run(0.01)
        b.exchange.stop()
        self.assertEqual(b.cancelled, [ATTEMPT])
        self.network.run(0.01)
        self.failureResultOf(answer, Refused)


class Attacking(ExchangeTestCase):
    """What an attacker without the key can send."""

    def test_captured_datagrams(self) -> None:
        """Each datagram of a group is worth nothing again: not there, not elsewhere, not after a restart."""
        a, b, c = self.trio()
        self.network.sent.clear()
        answer = a.ask("b")
        self.network.run(2.5)
        self.successResultOf(answer)
        captured = [octets for octets, _ in self.network.sent]
        b.die()
        again = Node(self.network, "b", "10.0.0.2", ["10.0.0.1"])
        self.network.run(1)
        nodes = [a, again, c]
        for node in nodes:
            node.heard.clear()
            node.considered.clear()
            node.exchange.counts.clear()
        for octets in captured:
            for node in nodes:
                node.exchange.received(octets, ("203.0.113.1", 9))
        for node in nodes:
            self.assertEqual((node.heard, node.considered, node.left), ([], [], []))
            self.assertEqual(sum(node.exchange.counts.values()), len(captured))
            self.assertLessEqual(
                set(node.exchange.counts), {"replayed", "misaddressed", "own", "unknown_boot", "own_name"}
            )

    def test_held_back(self) -> None:
        """What is delivered more than 3 T late has expired, be it the first time that it is seen."""
        a, b = self.pair()
        self.network.sent.clear()
        self.network.lost = lambda source, destination: True
        a.ask("b", 0.1).addErrback(lambda failure: failure.trap(NoAnswer))
        ask = self.network.sent[0][0]
        self.network.run(3.5)
        self.network.lost = lambda source, destination: False
        self.network.deliver(ask, a.address, b.address)
        self.assertEqual(b.considered, [])
        self.assertEqual(b.exchange.counts["stale"], 1)

    def test_mutated(self) -> None:
        """Cut, lengthened, or with any octet changed, a datagram changes nothing and is counted."""
        a, b = self.pair()
        self.network.sent.clear()
        self.network.lost = lambda source, destination: destination == b.address
        a.ask("b").addErrback(lambda failure: failure.trap(NoAnswer))
        ask = self.network.sent[0][0]
        wrong = [ask[:end] for end in range(len(ask))] + [ask + b"\0", ask + bytes(TOO_LONG)]
        wrong += [ask[:k] + bytes([ask[k] ^ 1]) + ask[k + 1 :] for k in range(len(ask))]
        random = Random(3)
        wrong += [random.randbytes(random.randrange(1500)) for _ in range(2000)]
        for octets in wrong:
            b.exchange.received(octets, a.address)
        self.assertEqual(sum(b.exchange.counts.values()), len(wrong))
        self.assertEqual(b.considered, [])
        self.assertLess(len(b.exchange._opener), 4)
        b.exchange.received(ask, ("203.0.113.1", 9))
        self.assertEqual(len(b.considered), 1)

    def test_strangers_cost_little(self) -> None:
        """Boots that are not known cost at most 100 key derivations a second, and leave nothing."""
        a, b = self.pair()
        hello = bytearray(self.network.sent[0][0])
        random = Random(7)
        for _ in range(500):
            hello[8:24] = random.randbytes(16)
            b.exchange.received(bytes(hello), a.address)
        self.assertLessEqual(b.exchange.counts["forged"], 100)
        self.assertGreaterEqual(b.exchange.counts["too_many_strangers"], 400)
        self.assertLess(len(b.exchange._opener), 4)

    def test_random_bodies_of_a_key_holder(self) -> None:
        """Not even a member can make an exchange raise: any body, mutated from real ones, is taken or counted."""
        a, b = self.pair()
        peer = a.exchange._peers.member("b")
        assert peer is not None
        bodies: list[bytes] = []
        seal = a.exchange._speaker._stream(peer).seal
        heard = Opener(Keys([SECRET]), "b", b.exchange.boot)
        self.network.sent.clear()
        answer = a.ask("b")
        self.network.run(0.1)
        acceptance = self.successResultOf(answer)
        a.exchange.give_back(acceptance, ATTEMPT.id)
        a.exchange.tell_lapsed([("b", ATTEMPT.id, acceptance.lease)])
        self.network.run(2)
        for octets, destination in self.network.sent:
            if destination == b.address:
                bodies.append(heard.open(octets, 0.0)[1])
        random = Random(11)
        for _ in range(3000):
            body = bytearray(random.choice(bodies))
            for _ in range(random.randrange(1, 4)):
                head = PRELUDE_OCTETS + HEAD_OCTETS
                body[random.randrange(head, len(body)) if random.random() < 0.9 else random.randrange(head)] ^= (
                    random.randrange(256)
                )
            if random.random() < 0.2:
                del body[random.randrange(len(body)) :]
            b.exchange.received(seal(bytes(body), random.randbytes(4)), a.address)
        self.assertGreater(b.exchange.counts["malformed"], 300)
        self.assertGreater(b.exchange.counts["unknown_kind"], 10)
