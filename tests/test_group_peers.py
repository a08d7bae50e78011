"""The far ends: who is believed, and what is to be sent for it.  What real nodes make of it is test_group_exchange."""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from voipshift.group.effects import Doubled, Effect, Gone, Greet, Hello, Joined, Reply
from voipshift.group.messages import Poll, Report, Statement
from voipshift.group.peer import Peer, Standing
from voipshift.group.peers import AGAIN_S, CHALLENGE_S, HEARSAY_TRIES, MOST_STRANGERS, Peers
from voipshift.node import Address, Load, NodeIdentity

HERE, B, ELSEWHERE = ("10.0.0.1", 7400), ("10.0.0.2", 7400), ("10.0.0.9", 7400)


def report(name: str, address: Address, *, challenge: bytes = b"", echo: bytes = b"") -> Report:
    """A Report of that node."""
    statement = Statement(Load(name, 1, 1, 0.5, 100.0), {})
    return Report(statement, NodeIdentity(name, {}), address, (), challenge, echo)


class PeersTests(SynchronousTestCase):
    """What node a knows."""

    def setUp(self) -> None:
        self.peers = Peers(here="a", address=HERE, random=Random(1).randbytes, report_interval_s=1.0)

    def hello(self, now: float) -> Hello:
        """The one Poll that is due."""
        (effect,) = self.peers.due(now)
        assert isinstance(effect, Hello)
        return effect

    def meet(self, name: str = "b", boot: bytes = b"b1", now: float = 0.0) -> Peer:
        peer, effects = self.peers.met(name, boot, now)
        self.assertEqual(effects, [])
        return peer

    def believe(self, name: str, boot: bytes, address: Address, now: float = 0.0) -> tuple[Peer, list[Effect]]:
        """Poll, Report with a challenge, and its echo."""
        peer = self.peers.boot(boot) or self.meet(name, boot, now)
        (reply,) = self.peers.polled(peer, Poll(b"theirs..", address), now)
        assert isinstance(reply, Reply)
        return peer, self.peers.reported(peer, report(name, address, echo=reply.challenge), now, now)

    def test_configured(self) -> None:
        """An address is polled; the echo makes whoever is there a member, and its challenge is echoed."""
        self.peers.place(B, 0.0, configured=True)
        hello = self.hello(0.0)
        self.assertEqual(hello.address, B)
        peer = self.meet(now=0.1)
        effects = self.peers.reported(peer, report("b", B, challenge=b"theirs..", echo=hello.challenge), 50.0, 0.2)
        self.assertEqual(effects, [Joined(peer, None), Reply(peer, b"theirs..", b"")])
        self.assertEqual((peer.standing, self.peers.member("b")), (Standing.MEMBER, peer))
        self.assertAlmostEqual(peer.age(50.0, 0.3), 0.1)
        self.assertAlmostEqual(peer.round_trip_s, 0.2)

    def test_not_without_echo(self) -> None:
        """Who echoes nothing, something else, or too late, is a stranger that is challenged, twice a T at most."""
        self.peers.place(B, 0.0, configured=True)
        hello = self.hello(0.0)
        peer = self.meet()
        for echo, now in ((b"", 0.0), (b"wrong...", 1.0), (hello.challenge, CHALLENGE_S + 0.1)):
            effects = self.peers.reported(peer, report("b", B, echo=echo), 0.0, now)
            self.assertEqual([type(effect) for effect in effects], [Greet])
            self.assertEqual(self.peers.doubted(peer, now + 0.4), [])
        self.assertIsNone(self.peers.member("b"))

    def test_polled_by_a_stranger(self) -> None:
        """Who polls us gets an echo and a challenge; with its echo it is believed."""
        peer, effects = self.believe("b", b"b1", B)
        self.assertEqual(effects, [Joined(peer, None)])

    def test_restarted_at_its_address(self) -> None:
        """A new boot at the same address replaces the old one at once, one incarnation higher."""
        old, _ = self.believe("b", b"b1", B)
        old.incarnation = 5
        new, effects = self.believe("b", b"b2", B, 1.0)
        self.assertEqual(effects, [Gone(old, False), Joined(new, old)])
        self.assertEqual((new.incarnation, old.standing), (6, Standing.GONE))

    def test_restarted_elsewhere(self) -> None:
        """A new boot at another address waits for 0.3 s of silence of the old one, which is polled three times."""
        old, _ = self.believe("b", b"b1", B)
        new, effects = self.believe("b", b"b2", ELSEWHERE, 1.0)
        for now in (1.1, 1.2):
            self.assertEqual([type(effect) for effect in effects], [Greet])
            self.assertLess(self.peers.next, now + 1e-6)
            effects = self.peers.due(now)
        self.assertIs(self.peers.member("b"), old)
        self.assertEqual(self.peers.due(1.3)[:2], [Gone(old, False), Joined(new, old)])

    def test_name_in_use(self) -> None:
        """When the old one echoes, the new one is ignored; looked into again after some seconds, but said once."""
        old, _ = self.believe("b", b"b1", B)
        new, effects = self.believe("b", b"b2", ELSEWHERE, 1.0)
        for now in (1.1, 1.1 + AGAIN_S):
            (greet,) = effects
            assert isinstance(greet, Greet)
            said = self.peers.reported(old, report("b", B, echo=greet.challenge), now, now)
            self.assertEqual(said, [Doubled(old, new)] if now < 2 else [])
            self.assertEqual((new.standing, self.peers.member("b")), (Standing.NAMESAKE, old))
            self.assertEqual(self.peers.polled(new, Poll(b"theirs..", ELSEWHERE), now), [])
            _, effects = self.believe("b", b"b2", ELSEWHERE, now + AGAIN_S)

    def test_old_echo_proves_nothing(self) -> None:
        """What the holder of a name echoed to an earlier challenge does not keep its name."""
        old, _ = self.believe("b", b"b1", B)
        (early,) = self.peers.doubted(old, 0.9)
        assert isinstance(early, Greet)
        new, _ = self.believe("b", b"b2", ELSEWHERE, 1.0)
        self.peers.reported(old, report("b", B, echo=early.challenge), 1.1, 1.1)
        self.peers.due(1.3)
        self.assertIs(self.peers.member("b"), new)

    def test_holder_leaves(self) -> None:
        """When the holder of a name in dispute leaves, the other one has it."""
        old, _ = self.believe("b", b"b1", B)
        new, _ = self.believe("b", b"b2", ELSEWHERE, 1.0)
        self.assertEqual(self.peers.left(old, 1.1), [Gone(old, True), Joined(new, None)])

    def test_strangers_are_limited(self) -> None:
        """The one heard longest ago makes room."""
        for k in range(MOST_STRANGERS):
            self.peers.met(f"n{k}", b"%d" % k, float(k))
        first = self.peers.boot(b"0")
        assert first is not None
        _, effects = self.peers.met("more", b"more", 1000.0)
        self.assertEqual(effects, [Gone(first, False)])
        self.assertIsNone(self.peers.boot(b"0"))

    def test_others_in_turn(self) -> None:
        """Up to eight live members, the next eight the next time, the silent ones never."""
        for k in range(12):
            self.believe(f"n{k}", b"%d" % k, ("10.1.0.1", 7000 + k))
        silent = self.peers.member("n0")
        assert silent is not None
        silent.heard_at = -10.0
        named = [name for _ in range(11) for name, _ in self.peers.others(0.0)]
        self.assertEqual({name: named.count(name) for name in named}, {f"n{k}": 8 for k in range(1, 12)})

    def test_hearsay(self) -> None:
        """An address that is only hearsay is tried some times, a configured one for ever."""
        self.peers.place(B, 0.0, configured=False)
        self.peers.place(ELSEWHERE, 0.0, configured=True)
        tried = []
        for _ in range(40):
            tried += [effect.address for effect in self.peers.due(self.peers.next) if isinstance(effect, Hello)]
        self.assertEqual(tried.count(B), HEARSAY_TRIES)
        self.assertGreater(tried.count(ELSEWHERE), 15)

    def test_own_address_is_no_place(self) -> None:
        """A list of members that is the same on every node does no harm."""
        self.peers.place(HERE, 0.0, configured=True)
        self.assertEqual(self.peers.due(0.0), [])

    def test_namesake_of_ours(self) -> None:
        """A node with our own name is said once, and not for what our own earlier boot left on its way."""
        said = [self.peers.is_namesake(b"other", now) for now in (0.0, 2.9, 3.1, 4.0, 100.0)]
        self.assertEqual(said, [False, False, True, False, False])
