"""Whose certificate is whose (RFC 5922), and which files make a node's credentials."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.certificates import Authority
from voipshift.sip.tls import Credentials, names


class NamesTests(SynchronousTestCase):
    """RFC 5922 section 7: what a certificate names, and what it does not."""

    CASES: tuple[tuple[tuple[str, ...], str, bool], ...] = (
        (("sip:example.com",), "example.com", True),
        (("sip:Example.COM",), "example.com", True),
        (("sip:example.com",), "EXAMPLE.com", True),
        (("sip:example.com",), "sip.example.com", False),
        (("example.com",), "example.com", True),
        (("a.example.com", "example.com"), "example.com", True),
        # a sip: URI says it all, a DNS name beside it nothing
        (("sip:example.net", "example.com"), "example.com", False),
        # only those of a domain, and only sip:
        (("sip:alice@example.com",), "example.com", False),
        (("sips:example.com",), "example.com", False),
        (("http://example.com",), "example.com", False),
        (("sips:example.net", "example.com"), "example.com", True),
        # wildcards never
        (("*.example.com",), "sip.example.com", False),
        # an address stands for a domain where there is none
        (("192.0.2.1",), "192.0.2.1", True),
        (("192.0.2.2",), "192.0.2.1", False),
        (("2001:db8::1",), "2001:db8:0::1", True),
        (("sip:192.0.2.1",), "192.0.2.1", True),
        (("sip:example.com", "192.0.2.1"), "192.0.2.1", False),
        ((), "node", False),
    )

    def test_cases(self) -> None:
        """Each with its outcome."""
        authority = Authority()
        for named, domain, expected in self.CASES:
            self.assertIs(names(authority.certify(*named), domain), expected, (named, domain))


class CredentialsTests(SynchronousTestCase):
    """The files of ``[sip.tls]``."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.certificate, self.key, self.authorities = Authority().write(self.folder, "node", "example.com")

    def test_good(self) -> None:
        """A certificate with its key, with and without authorities."""
        Credentials(self.certificate, self.key, self.authorities, demand=True)
        Credentials(self.certificate, self.key, None)

    def test_wrong(self) -> None:
        """A file that is not there, that is something else, or another's key: the text names it."""
        _, other, _ = Authority().write(self.folder, "other", "example.com")
        empty = self.folder / "empty"
        empty.write_bytes(b"\xff")
        for files, said in (
            (("nowhere", self.key, None), "nowhere: No such file"),
            ((self.certificate, "nowhere", None), "nowhere: No such file"),
            ((self.key, self.key, None), "node.key: has no certificate"),
            ((str(empty), self.key, None), "empty: has no certificate"),
            ((self.certificate, other, None), "other.key: is not the private key"),
            ((self.certificate, str(empty), None), "empty: is not the private key"),
            ((self.certificate, self.key, self.key), "node.key: has no certificate"),
        ):
            error = self.assertRaises(ValueError, Credentials, *files)
            self.assertIn(said, str(error))
