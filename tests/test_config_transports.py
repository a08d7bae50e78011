"""What a configuration can say of TCP and TLS, and the one line for what it cannot."""

from __future__ import annotations

from pathlib import Path

from tests.certificates import Authority
from tests.test_config import LEAST, ConfigurationTests
from voipshift.configfile import load

UDP = 'transport = "udp"\naddress = "127.0.0.1:5060"\n'
TCP = UDP + '[[sip.listen]]\ntransport = "tcp"\naddress = "127.0.0.1:5060"\n'
TLS = UDP + '[[sip.listen]]\ntransport = "tls"\naddress = "127.0.0.1:5061"\n'
FILES = '[sip.tls]\ncertificate = "node.crt"\nprivate_key = "node.key"\nauthorities = "node.ca"\n'
GATEWAY = '[[gateways]]\naddress = "192.0.2.20:5060"\n'


class TransportTests(ConfigurationTests):
    """The smallest configuration, with more listeners."""

    def setUp(self) -> None:
        super().setUp()
        Authority().write(Path(self.folder), "node", "example.com")

    def test_one_port_of_each_protocol(self) -> None:
        """UDP and TCP of one number do not meet; TCP and TLS do."""
        settings = load(self.write(LEAST, (UDP, TCP)))
        self.assertEqual([listen.transport for listen in settings.sip.listen], ["udp", "tcp"])
        key, reason = self.wrong(LEAST, (UDP, TCP + '[[sip.listen]]\ntransport = "tls"\naddress = "127.0.0.1:5060"\n'))
        self.assertEqual(key, "sip.listen[2].address")
        self.assertIn("meets 127.0.0.1:5060", reason)

    def test_tls(self) -> None:
        """Files are found from the configuration's folder; a listener can have its own."""
        settings = load(self.write(LEAST, (UDP, TLS + FILES)))
        files = settings.sip.files(settings.sip.listen[1])
        assert files is not None
        self.assertEqual([Path(file).name for file in files], ["node.crt", "node.key"])
        own = 'certificate = "node.crt"\nprivate_key = "node.key"\n'
        load(self.write(LEAST, (UDP, TLS + own)))

    def test_tls_without_files(self) -> None:
        """Both are needed, at the listener or for all."""
        for files in ("", '[sip.tls]\ncertificate = "node.crt"\n', 'private_key = "node.key"\n'):
            key, reason = self.wrong(LEAST, (UDP, TLS + files))
            self.assertEqual((key, reason[:8]), ("sip.listen[1].certificate", "missing:"))

    def test_files_that_cannot_be_used(self) -> None:
        """Each is named: one that is not there, no certificate, a key that others can read."""
        key, reason = self.wrong(LEAST, (UDP, TLS + FILES.replace("node.crt", "other.crt")))
        self.assertEqual(key, "sip.tls")
        self.assertIn("other.crt: No such file", reason)
        key, reason = self.wrong(LEAST, (UDP, TLS + FILES.replace("node.crt", "node.key")))
        self.assertIn("has no certificate", reason)
        (Path(self.folder) / "node.key").chmod(0o644)
        key, reason = self.wrong(LEAST, (UDP, TLS + FILES))
        self.assertEqual(key, "sip.tls.private_key")
        self.assertIn("chmod 600", reason)

    def test_certificate_without_tls(self) -> None:
        """It would look protected and is not."""
        key, reason = self.wrong(LEAST, (UDP, TCP + 'certificate = "node.crt"\n'))
        self.assertEqual((key, reason), ("sip.listen[1].certificate", "is for TLS, and this listens to tcp"))

    def test_gateway_over_what_is_not_listened_to(self) -> None:
        """Its answers name a port of this node, which must be there, in the same IP version."""
        for gateway in (GATEWAY + 'transport = "tcp"\n', GATEWAY.replace("192.0.2.20", "[2001:db8::1]")):
            key, reason = self.wrong(LEAST + gateway)
            self.assertEqual(key, "gateways[0].transport")
            self.assertIn("needs a [[sip.listen]]", reason)
        load(self.write(LEAST + GATEWAY + 'transport = "tcp"\n', (UDP, TCP)))

    def test_identify_self_needs_two_of_each(self) -> None:
        """A client is sent to a port of the transport that it came by."""
        both = TCP + '[[sip.listen]]\ntransport = "udp"\naddress = "127.0.0.1:5067"\n[sip]\nidentify_self = true\n'
        key, reason = self.wrong(LEAST, (UDP, both))
        self.assertEqual(key, "sip.identify_self")
        self.assertIn("over tcp", reason)
