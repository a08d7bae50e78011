"""Which clients are redirected: the operator's rules, and what is learnt."""

from __future__ import annotations

from ipaddress import ip_network

from twisted.trial.unittest import SynchronousTestCase

from voipshift.sip import clients
from voipshift.sip.clients import MARKED_S, ClientRule, Clients, Redirect
from voipshift.sip.effects import Requested
from voipshift.sip.layer import TransactionLayer
from voipshift.sip.message import request
from voipshift.sip.transaction import Hop, ServerTransaction

PHONE = "198.51.100.7"


class ClientsTestCase(SynchronousTestCase):
    """A node's clients, and its transactions."""

    def setUp(self) -> None:
        self.time = 0.0
        self.trusted: set[str] = set()
        self.layer = TransactionLayer(random=lambda octets: "0" * 2 * octets)
        self.number = 0

    def clients(self, *rules: ClientRule, otherwise: Redirect = "auto") -> Clients:
        return Clients(
            rules=rules, otherwise=otherwise, lease_s=10.0, trusts=self.trusted.__contains__, now=lambda: self.time
        )

    def asked(self, host: str = PHONE, user_agent: str = "", method: str = "INVITE") -> ServerTransaction:
        """A request of a client."""
        self.number += 1
        lines = [("Via", f"SIP/2.0/UDP phone;branch=z9hG4bK{self.number}"), ("From", "<sip:a@x>;tag=a")]
        lines += [("To", "<sip:b@x>"), ("Call-ID", f"{self.number}"), ("CSeq", f"1 {method}")]
        lines += [("User-Agent", user_agent)] if user_agent else []
        (effect,) = self.layer.receive_request(request(method, "sip:b@x", lines), Hop(host, 5060), self.time)
        assert isinstance(effect, Requested)
        return effect.transaction

    def redirect(self, known: Clients, transaction: ServerTransaction, *, acknowledged: bool = True) -> None:
        """302, its ACK, and a lease that lapses."""
        known.redirected(transaction, "lease")
        asked = transaction.request
        self.layer.respond(transaction, asked.response(302, to_tag="t"), self.time)
        if acknowledged:
            lines = [(name, asked.get(name) or "") for name in ("Via", "From", "Call-ID")]
            ack = request("ACK", asked.uri, [*lines, ("To", "<sip:b@x>;tag=t"), ("CSeq", "1 ACK")])
            self.layer.receive_request(ack, transaction.source, self.time)
        known.lapsed("lease")


class CameBackTest(ClientsTestCase):
    """Who was redirected is known when he comes back with his lease."""

    def test_once(self) -> None:
        """By his address, his name and his lease, and once."""
        known = self.clients(otherwise="always")
        known.redirected(self.asked(), "lease")
        for lease, host, caller in (
            ("other", PHONE, "sip:a@x"),
            ("lease", "::1", "sip:a@x"),
            ("lease", PHONE, "sip:b@x"),
        ):
            self.assertFalse(known.came_back(lease, host, caller))
        self.assertTrue(known.came_back("lease", PHONE, "sip:a@x"))
        self.assertFalse(known.came_back("lease", PHONE, "sip:a@x"))

    def test_nothing_is_kept_for_nobody(self) -> None:
        """Of a client whose address vouches for it nothing is kept, unless there is something to be learnt of it."""
        self.trusted.add(PHONE)
        for otherwise, kept in (("always", False), ("never", False), ("auto", True)):
            known = self.clients(otherwise=otherwise)  # type: ignore[arg-type]
            known.redirected(self.asked(), "lease")
            self.assertIs(known.came_back("lease", PHONE, "sip:a@x"), kept, otherwise)


class RuleTest(ClientsTestCase):
    """What the operator says."""

    def test_the_first_rule_that_fits_counts(self) -> None:
        """By address, by what is in the User-Agent, by both; else what holds for all."""
        office = ip_network("198.51.100.0/24")
        known = self.clients(
            ClientRule((office,), "desk", "always"),
            ClientRule((office,), "", "never"),
            ClientRule((), "SIP.js", "never"),
            otherwise="always",
        )
        for host, user_agent, follows in [
            (PHONE, "DeskPhone 1", True),
            (PHONE, "other", False),
            ("203.0.113.9", "sip.JS/0.20", False),
            ("203.0.113.9", "DeskPhone 1", True),
            ("203.0.113.9", "", True),
            ("2001:db8::7", "", True),
        ]:
            self.assertEqual(known.follows(self.asked(host, user_agent)), follows, f"{host} {user_agent}")

    def test_rules_of_many_addresses_are_not_kept_for_ever(self) -> None:
        """What is remembered of addresses is bounded."""
        self.patch(clients, "MAX_MEMORY", 3)
        known = self.clients(ClientRule((ip_network("198.51.100.7/32"),), "", "never"))
        for number in range(10):
            self.assertTrue(known.follows(self.asked(f"203.0.113.{number}")))
            self.assertFalse(known.follows(self.asked()))
        self.assertLessEqual(len(known._fitting), 3)


class LearntTest(ClientsTestCase):
    """``auto``."""

    def test_a_lease_that_lapses_marks_the_client_for_an_hour(self) -> None:
        """Its 302 was delivered, and nobody came."""
        known = self.clients()
        self.redirect(known, self.asked())
        self.assertFalse(known.follows(self.asked()))
        self.time += MARKED_S - 1
        self.assertFalse(known.follows(self.asked()))
        self.time += 2
        self.assertTrue(known.follows(self.asked()))
        self.assertEqual(len(known._marked), 0)

    def test_a_302_that_was_not_delivered_teaches_nothing(self) -> None:
        """Without its ACK nobody knows whether the client ever heard of the other node."""
        known = self.clients()
        self.redirect(known, self.asked(), acknowledged=False)
        self.assertTrue(known.follows(self.asked()))

    def test_a_302_that_was_given_up_was_not_delivered(self) -> None:
        """Timer H ends its transaction before a long lease lapses."""
        known = self.clients()
        transaction = self.asked()
        known.redirected(transaction, "lease")
        self.layer.respond(transaction, transaction.request.response(302, to_tag="t"), 0.0)
        while self.layer.timers.next < 40.0:
            self.layer.due(self.layer.timers.next)
        known.lapsed("lease")
        self.assertTrue(known.follows(self.asked()))

    def test_each_method_is_learnt_apart(self) -> None:
        """A telephone that follows with INVITE need not do so with REGISTER, whose 302 has no ACK."""
        known = self.clients()
        self.redirect(known, self.asked(method="REGISTER"), acknowledged=False)
        self.assertFalse(known.follows(self.asked(method="REGISTER")))
        self.assertTrue(known.follows(self.asked()))

    def test_clients_behind_one_address_are_told_apart(self) -> None:
        """By their User-Agent."""
        known = self.clients()
        self.redirect(known, self.asked(user_agent="trunk"))
        self.assertFalse(known.follows(self.asked(user_agent="trunk")))
        self.assertTrue(known.follows(self.asked(user_agent="phone")))
        self.assertTrue(known.follows(self.asked("203.0.113.9", "trunk")))

    def test_a_rule_comes_before_what_is_learnt(self) -> None:
        """``always`` means always."""
        known = self.clients(ClientRule((), "", "always"))
        self.redirect(known, self.asked())
        self.assertTrue(known.follows(self.asked()))

    def test_a_lease_that_nobody_was_redirected_with(self) -> None:
        """Such as one of H.323: it teaches nothing."""
        known = self.clients()
        known.lapsed("other")
        self.assertTrue(known.follows(self.asked()))

    def test_what_is_remembered_is_bounded(self) -> None:
        """Of clients and of redirects; redirects are forgotten when their leases are over."""
        self.patch(clients, "MAX_MARKED", 3)
        self.patch(clients, "MAX_AWAITED", 3)
        known = self.clients()
        for number in range(5):
            self.redirect(known, self.asked(user_agent=f"{number}"))
        followers = [known.follows(self.asked(user_agent=f"{number}")) for number in range(5)]
        self.assertEqual(followers, [True, True, False, False, False])
        for number in range(7):
            known.redirected(self.asked(), f"{number}")
        self.assertEqual((list(known._old), list(known._young)), (["3", "4", "5"], ["6"]))
        self.time += 20
        known.redirected(self.asked(), "7")
        self.assertEqual((list(known._old), list(known._young)), (["6"], ["7"]))
        self.time += 100
        known.redirected(self.asked(), "8")
        self.assertEqual((list(known._old), list(known._young)), ([], ["8"]))
