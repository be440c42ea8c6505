"""Certificate authorities and certificates for a test, made on the spot."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_SIGNS = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)
"""That, and whose key has signed, is asked for by Python since 3.13."""


@dataclass(frozen=True)
class Files:
    """Where a certificate and its key lie, as PEM."""

    certificate: Path
    key: Path


class Authority:
    """A certificate authority; `file` is what those are given who are to trust it."""

    def __init__(
        self, directory: Path, name: str, *, lasts: dt.timedelta = dt.timedelta(days=2)
    ) -> None:
        """Its certificates, and its own, are good for as long as `lasts`."""
        self._directory, self._lasts = directory, lasts
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            self._builder(self._name, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_SIGNS, critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False
            )
            .sign(self._key, hashes.SHA256())
        )
        self.file = directory / f"{name}.pem"
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, host: str, *, begins: dt.timedelta = dt.timedelta(days=-1)) -> Files:
        """A certificate for a name or an address, good from `begins` on, counted from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        is_address = host.replace(".", "").isdigit()
        by = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        name = x509.IPAddress(ip_address(host)) if is_address else x509.DNSName(host)
        certificate = (
            self._builder(subject, key, begins)
            .add_extension(x509.SubjectAlternativeName([name]), critical=False)
            .add_extension(by, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        files = Files(self._directory / f"{host}.crt", self._directory / f"{host}.key")
        files.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        files.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return files

    def _builder(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        begins: dt.timedelta = dt.timedelta(days=-1),
    ) -> x509.CertificateBuilder:
        begin = dt.datetime.now(dt.UTC) + begins
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(begin + self._lasts)
        )
