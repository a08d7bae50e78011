"""What a configuration can say of clients and of how they are told, and the one line for what it cannot."""

from __future__ import annotations

from ipaddress import ip_network

from tests.test_config import LEAST, WHOLE, ConfigurationTests
from voipshift.configfile import load


class ClientTests(ConfigurationTests):
    """``sip.redirect``, ``sip.answer`` and ``[[clients]]``."""

    def test_defaults(self) -> None:
        """Whoever is seen not to follow is passed on; the chain answers; users call by their own names."""
        settings = load(self.write(LEAST))
        self.assertEqual((settings.sip.redirect, settings.sip.answer, settings.sip.direct_to), ("auto", "chain", ()))
        self.assertEqual((settings.clients, settings.access.callers), ((), "own"))

    def test_rules(self) -> None:
        """By address, by User-Agent, in the order of the file."""
        rules = '[[clients]]\nnetworks = ["192.0.2.64/26"]\nredirect = "never"\n'
        rules += '[[clients]]\nuser_agent = "SIP.js"\nredirect = "always"\n'
        one, two = load(self.write(LEAST + rules)).clients
        self.assertEqual((one.networks, one.user_agent, one.redirect), ((ip_network("192.0.2.64/26"),), None, "never"))
        self.assertEqual((two.networks, two.user_agent, two.redirect), ((), "SIP.js", "always"))

    def test_a_rule_for_everybody(self) -> None:
        """That is ``sip.redirect``; and a rule says something."""
        key, reason = self.wrong(LEAST + '[[clients]]\nredirect = "never"\n')
        self.assertEqual(key, "clients[0]")
        self.assertIn("needs networks or a user_agent", reason)
        key, _ = self.wrong(LEAST + '[[clients]]\nuser_agent = "x"\n')
        self.assertEqual(key, "clients[0].redirect")

    def test_direct_answers_do_not_go_with_a_race(self) -> None:
        """Several members would tell the client."""
        direct = ("[sip]\n", '[sip]\nanswer = "direct"\n')
        load(self.write(WHOLE, direct))
        key, reason = self.wrong(WHOLE, direct, ('collect = "poll"', 'collect = "race"'))
        self.assertEqual(key, "sip.answer")
        self.assertIn("balance.collect", reason)

    def test_addresses_for_direct_answers(self) -> None:
        """They are for nothing where the chain answers."""
        key, reason = self.wrong(WHOLE, ("[sip]\n", '[sip]\ndirect_to = ["192.0.2.0/24"]\n'))
        self.assertEqual((key, reason), ("sip.direct_to", 'needs sip.answer = "direct"'))
