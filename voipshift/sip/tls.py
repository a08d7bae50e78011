"""TLS for SIP: which certificate a node shows, whose it believes, and whether the far end is who it should be.

A certificate names the domain that was asked for, before any look-up (RFC 5922 section 7.2): by a ``sip:`` URI, or,
only if it has none of those, by a DNS name; a wildcard never counts.  Where a node is reached by its address alone, the
address stands for the domain.  TLS 1.2 and newer.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from cryptography.x509 import DNSName, ExtensionNotFound, IPAddress, SubjectAlternativeName, UniformResourceIdentifier
from OpenSSL import SSL
from OpenSSL.crypto import FILETYPE_PEM, X509
from OpenSSL.crypto import Error as CryptoError
from service_identity.exceptions import CertificateError
from service_identity.hazmat import DNS_ID, DNSPattern
from twisted.internet.error import VerifyError
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import (
    Certificate,
    CertificateOptions,
    KeyPair,
    PrivateCertificate,
    TLSVersion,
    platformTrust,
    trustRootFromCertificates,
)
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

from voipshift.errors import ProtocolViolation
from voipshift.sip.uri import SipUri, is_ip_address

#: How a certificate begins in a PEM file.
_PEM_END = b"-----END CERTIFICATE-----"


class Credentials:
    """The certificate of a node, and the authorities that it believes.

    :param certificate: a PEM file: the node's certificate first, then those between it and its authority
    :param key: a PEM file with its private key
    :param authorities: a PEM file; None for those of the system
    :param ask_clients: ask those that connect for a certificate; one that cannot be verified ends the connection
    :param demand: refuse those that have none
    :raises ValueError: a file cannot be used; the text says why
    """

    def __init__(
        self, certificate: str, key: str, authorities: str | None, *, ask_clients: bool = False, demand: bool = False
    ) -> None:
        chain = _certificates(certificate)
        private = _private(chain[0], key)
        own: dict[str, Any] = {
            "privateKey": private.privateKey.original,
            "certificate": private.original,
            "extraCertChain": [each.original for each in chain[1:]],
            "raiseMinimumTo": TLSVersion.TLSv1_2,
        }
        trusted: Any = platformTrust()
        if authorities is not None:
            trusted = trustRootFromCertificates(_certificates(authorities))
        asked: dict[str, Any] = {"trustRoot": trusted} if ask_clients or demand else {}
        #: For those that connect to the node.
        self.server = CertificateOptions(**own, **asked)
        self.server.requireCertificate = demand
        self._client = CertificateOptions(**own, trustRoot=trusted)
        # A mistake shows now and not with the first client.
        self.server.getContext()
        self._client.getContext()

    def towards(self, domain: str) -> Outgoing:
        """How the node connects to a domain."""
        return Outgoing(self._client, domain)


@implementer(IOpenSSLClientConnectionCreator)
class Outgoing:
    """One connection that the node opens: the chain is verified by OpenSSL, the name by :func:`names` afterwards."""

    def __init__(self, options: CertificateOptions, domain: str) -> None:
        self._options = options
        self._domain = domain

    def clientConnectionForTLS(self, protocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        connection = SSL.Connection(self._options.getContext(), None)
        if not is_ip_address(self._domain):
            connection.set_tlsext_host_name(self._domain.encode("ascii"))
        return connection


def names(certificate: X509, domain: str) -> bool:
    """Whether a certificate is that of a SIP domain (RFC 5922 sections 7.1 and 7.2).

    :param domain: a host name, or an IP address
    """
    try:
        said = certificate.to_cryptography().extensions.get_extension_for_class(SubjectAlternativeName).value
    except (ExtensionNotFound, ValueError):
        return False
    domains = [host for uri in said.get_values_for_type(UniformResourceIdentifier) if (host := _domain_of(uri))]
    if is_ip_address(domain):
        address = ip_address(domain)
        if domains:
            return any(is_ip_address(each) and ip_address(each) == address for each in domains)
        return address in said.get_values_for_type(IPAddress)
    return any(_same(name, domain) for name in domains or said.get_values_for_type(DNSName))


def _domain_of(uri: str) -> str | None:
    """The domain that a URI of a certificate names; None for another scheme, or somebody at a domain."""
    try:
        parsed = SipUri.parse(uri)
    except ProtocolViolation:
        return None
    return parsed.host if parsed.scheme == "sip" and parsed.user is None else None


def _same(name: str, domain: str) -> bool:
    if "*" in name:
        return False
    try:
        return DNS_ID(domain).verify(DNSPattern.from_bytes(name.encode("ascii")))
    except (CertificateError, ValueError):
        return False


def _certificates(file: str) -> list[Certificate]:
    """The certificates of a PEM file."""
    try:
        with open(file, "rb") as opened:
            texts = opened.read().split(_PEM_END)[:-1]
        found = [Certificate.loadPEM(text + _PEM_END) for text in texts]
    except OSError as error:
        raise ValueError(f"{file}: {error.strerror}") from None
    except (CryptoError, ValueError):
        found = []
    if not found:
        raise ValueError(f"{file}: has no certificate in PEM")
    return found


def _private(certificate: Certificate, file: str) -> PrivateCertificate:
    try:
        with open(file, "rb") as opened:
            pair = KeyPair.load(opened.read(), FILETYPE_PEM)
        made: PrivateCertificate = PrivateCertificate.fromCertificateAndKeyPair(certificate, pair)
    except OSError as error:
        raise ValueError(f"{file}: {error.strerror}") from None
    except (CryptoError, VerifyError, TypeError, ValueError):
        raise ValueError(f"{file}: is not the private key of the certificate, in PEM") from None
    return made
