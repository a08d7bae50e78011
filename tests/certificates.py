"""Certificates for tests of TLS: an authority, and whom it vouches for."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL.crypto import X509

_BEGINS = datetime.datetime(2020, 1, 1)
_ENDS = datetime.datetime(2100, 1, 1)


def _general(name: str) -> x509.GeneralName:
    if name.startswith(("sip:", "sips:", "http:")):
        return x509.UniformResourceIdentifier(name)
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


class Authority:
    """An authority of a test's own."""

    def __init__(self, name: str = "authority") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self._sign(self._name, self._key, (), authority=True)

    def _sign(
        self, name: x509.Name, key: ec.EllipticCurvePrivateKey, names: Iterable[str], *, authority: bool
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(_BEGINS)
            .not_valid_after(_ENDS)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        general = [_general(each) for each in names]
        if general:
            builder = builder.add_extension(x509.SubjectAlternativeName(general), critical=False)
        return builder.sign(self._key, hashes.SHA256())

    def vouch(self, *names: str) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
        """Make a certificate for domains, ``sip:`` URIs and addresses, and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "node")])
        return self._sign(subject, key, names, authority=False), key

    def certify(self, *names: str) -> X509:
        """Likewise, as OpenSSL has it."""
        return X509.from_cryptography(self.vouch(*names)[0])

    def write(self, folder: Path, name: str, *names: str) -> tuple[str, str, str]:
        """Write a certificate, its key and the authority into files.

        :returns: their names
        """
        certificate, key = self.vouch(*names)
        files = [folder / f"{name}.{each}" for each in ("crt", "key", "ca")]
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        files[1].write_bytes(private)
        files[1].chmod(0o600)
        files[2].write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))
        return str(files[0]), str(files[1]), str(files[2])
