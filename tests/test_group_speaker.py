"""Messages that leave together: several in one datagram, each as good as in one of its own."""

from __future__ import annotations

from twisted.internet.defer import CancelledError

from tests.group_nodes import ATTEMPT, ExchangeTestCase, Node
from voipshift.errors import Refused
from voipshift.group.envelope import TOO_LONG
from voipshift.group.messages import PRELUDE, Kind, message
from voipshift.node import Address


class Together(ExchangeTestCase):
    """What is said while a batch of datagrams is worked off."""

    def sizes(self, destination: Address) -> list[int]:
        """Of what was sent there."""
        return [len(octets) for octets, where in self.network.sent if where == destination]

    def asked(self, a: Node, b: Node) -> None:
        self.network.run(0.2)
        self.network.sent.clear()

    def test_asks_of_one_batch_are_one_datagram(self) -> None:
        """And so are their Answers: two datagrams for three attempts, each of which is decided and ended for itself."""
        a, b = self.pair()
        self.asked(a, b)
        with a.batch:
            answers = [a.ask("b") for _ in range(3)]
            self.assertEqual(self.network.sent, [])
        self.assertEqual(len(self.sizes(b.address)), 1)
        self.network.deliver_together(b.address)
        self.assertEqual(len(self.sizes(a.address)), 1)
        self.network.run(0.01)
        leases = {self.successResultOf(answer).lease for answer in answers}
        self.assertEqual((len(leases), len(b.considered)), (3, 3))
        self.assertEqual(a.exchange.counts["replayed"] + b.exchange.counts["replayed"], 1)  # it was delivered twice

    def test_a_lone_ask_waits_for_nobody(self) -> None:
        """Within a batch it leaves at its end, outside of one at once."""
        a, b = self.pair()
        self.asked(a, b)
        a.ask("b")
        self.assertEqual(len(self.sizes(b.address)), 1)
        with a.batch:
            a.ask("b")
        self.assertEqual(len(self.sizes(b.address)), 2)
        self.network.run(0.01)

    def test_no_datagram_is_too_long(self) -> None:
        """What does not fit any more is in the next one, and nothing is lost."""
        a, b = self.pair()
        self.asked(a, b)
        with a.batch:
            answers = [a.ask("b") for _ in range(40)]
        sizes = self.sizes(b.address)
        self.assertGreater(len(sizes), 2)
        self.assertLess(len(sizes), 12)
        self.assertLess(max(sizes), TOO_LONG)
        self.network.run(0.01)
        self.assertEqual(len({self.successResultOf(answer).lease for answer in answers}), 40)

    def test_each_outcome_is_its_own(self) -> None:
        """One is accepted, one refused, and one is withdrawn by the datagram that asked for it."""
        a, b = self.pair()
        self.asked(a, b)
        with a.batch:
            accepted, refused, cancelled = a.ask("b"), a.ask("b"), a.ask("b")
            cancelled.cancel()
            waiting = iter((b.accept, b.refuse, b.accept))
            b.consider = lambda *asked: next(waiting)(*asked)
        self.network.run(0.01)
        self.successResultOf(accepted)
        self.failureResultOf(refused, Refused)
        self.failureResultOf(cancelled, CancelledError)
        self.network.run(1)
        self.assertEqual(set(b.withdrawn), {f"{2:032x}"})

    def test_a_malformed_message_spares_those_beside_it(self) -> None:
        """It is counted; so is one of a kind that is not known."""
        a, b = self.pair()
        peer = a.exchange._peers.member("b")
        assert peer is not None
        say = a.exchange._say
        with a.batch:
            say(peer, Kind.ASK, b"\x81\x01")
            answer = a.ask("b")
            say(peer, int.__new__(Kind, 99), b"\x80")
        self.network.run(0.01)
        self.successResultOf(answer)
        self.assertEqual(dict(b.exchange.counts), {"malformed": 1, "unknown_kind": 1})

    def test_lengths_that_do_not_add_up(self) -> None:
        """Then nothing of the datagram is believed, not even what came before."""
        a, b = self.pair()
        peer = a.exchange._peers.member("b")
        assert peer is not None and peer.outgoing is not None
        stream = peer.outgoing
        begin = PRELUDE.pack(int(self.network.clock.seconds() * 1000), 0)
        leave = message(Kind.LEAVE, b"\x80")
        bodies = [begin, begin[:-1], begin + leave[:-1], begin + leave + leave[:2], begin + leave + b"\x08"]
        for body in bodies:
            b.exchange.received(stream.seal(body, b"rand"), a.address)
        self.assertEqual((dict(b.exchange.counts), b.left), ({"malformed": len(bodies)}, []))
        b.exchange.received(stream.seal(begin + leave, b"rand"), a.address)
        self.assertEqual(b.left, ["a"])

    def test_who_stops_says_what_was_to_be_said(self) -> None:
        """Leave does not wait for the end of the batch in which the node stops."""
        a, b = self.pair()
        with b.batch:
            b.exchange.stop()
        self.network.run(0.01)
        self.assertEqual(a.left, ["b"])

    def test_a_peer_that_is_gone(self) -> None:
        """What was to be said to it is sent all the same, or nothing is; nobody stumbles over it."""
        a, b = self.pair()
        with a.batch:
            a.exchange.ask("b", ATTEMPT, (a.load(),), 1.0).addErrback(lambda gone: None)
            b.exchange.stop()
            self.network.deliver_together(a.address)
        self.assertEqual(a.left, ["b"])
