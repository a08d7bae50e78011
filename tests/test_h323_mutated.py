"""Damaged messages at the door, each by a connection of its own: what was begun for them is over when they are gone."""

from __future__ import annotations

from random import Random

from tests.h323_ladder import LadderTestCase
from tests.h323_messages import SETUP_OCTETS, signals
from tests.h323net import MEMBER, PHONE, STRANGER
from tests.test_h323_uuie import mutated
from voipshift.h323 import signalling, tpkt

#: At the door; bench/h323.py has 100 000 for the codec alone.
CALLS = 3000


class MutatedTests(LadderTestCase):
    """Whatever is made of real messages."""

    anybody = False

    def test_setups(self) -> None:
        """A damaged SETUP, and damaged messages behind it: carried, shifted, refused or closed, and forgotten."""
        random = Random(2250)
        others = signals()
        for number in range(CALLS):
            self.decisions.answer = random.choice((self.decisions.here, MEMBER, None))
            phone = self.phone(random.choice((PHONE, STRANGER)), front=number % 3 > 0)
            setup = SETUP_OCTETS if number % 4 == 0 else mutated(SETUP_OCTETS, random)
            said = [
                setup,
                signalling.with_reference(random.choice(others), 4711),
                mutated(random.choice(others), random),
            ]
            stream = b"".join(map(tpkt.wrap, said))
            phone.say_octets(mutated(stream, random) if number % 5 == 0 else stream)
            if self.gateways:
                gateway = self.gateways.pop()
                reference = self.reference(gateway)
                answers = [mutated(random.choice(others), random) for _ in range(3)]
                gateway.say(*(signalling.with_reference(each.ljust(4), reference) for each in answers))
                gateway.hang_up()
            phone.hang_up()
            self.assertEqual((len(self.table), len(self.relay._calls), len(self.relay._outgoing)), (0, 0, 0), number)
        self.network.pass_time(60)
        self.assertEqual((len(self.server), self.server._per_host, len(self.leases)), (0, {}, 0))
        self.assertEqual(self.flushLoggedErrors(), [])
        self.assertGreater(min(self.portal.counts[word] for word in ("accepted", "shifted", "refused", "denied")), 20)
        for counts in (self.server.dropped, self.relay.dropped):
            self.assertLess(len(counts), 30, counts)
