"""A certificate authority for one house: the broker's certificate, those of devices, and who lost theirs.

Its key never leaves the folder in which it was made. Everything is PEM, in files of mosquitto's words.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from appliance.errors import ApplianceError
from appliance.whole_file import write_whole

AUTHORITY_YEARS = 20
LEAF_DAYS = 825
"""What Apple's systems accept at most; the doctor warns three weeks before the end."""
CLOCK_SLACK = dt.timedelta(days=2)
"""Certificates begin in the past: a device that has just been switched on may be behind."""


class NoAuthority(ApplianceError):
    """What is in the folder cannot be used."""

    code = "no_authority"


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate and its private key, as PEM."""

    certificate: bytes
    key: bytes


class Authority:
    """Signs for one house. Its methods block, and raise OSError where a file cannot be written."""

    def __init__(
        self, folder: Path, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey
    ):
        """Use `load` or `make`."""
        self._folder = folder
        self._certificate = certificate
        self._key = key

    @classmethod
    def make(cls, folder: Path, name: str) -> Authority:
        """A new one: `ca.crt`, `ca.key` and an empty list of revoked ones, `clients.crl`."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
        now = _now()
        certificate = (
            _begin(subject, subject, key, now, dt.timedelta(days=365 * AUTHORITY_YEARS))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs=True), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .sign(key, hashes.SHA256())
        )
        made = cls(folder, certificate, key)
        write_whole(folder / "ca.key", _key_pem(key))
        write_whole(folder / "ca.crt", certificate.public_bytes(serialization.Encoding.PEM))
        made._write_revoked(())
        return made

    @classmethod
    def load(cls, folder: Path) -> Authority:
        """The one of a folder. Raises NoAuthority."""
        try:
            certificate = x509.load_pem_x509_certificate((folder / "ca.crt").read_bytes())
            key = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), None)
        except (OSError, ValueError, TypeError) as error:
            raise NoAuthority(f"{folder} has no authority that can be used: {error}") from None
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise NoAuthority(f"{folder / 'ca.key'} is a key of another kind")
        return cls(folder, certificate, key)

    def for_server(self, hosts: Sequence[str], *, days: int = LEAF_DAYS) -> Issued:
        """A certificate for a broker, by all names and addresses under which it is reached."""
        names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
        return self._issue(hosts[0], ExtendedKeyUsageOID.SERVER_AUTH, days, names)

    def for_client(self, name: str, *, days: int = LEAF_DAYS) -> Issued:
        """A certificate for an account: its common name is the user name at the broker."""
        names = x509.SubjectAlternativeName([x509.DNSName(name.replace("_", "-"))])
        return self._issue(name, ExtendedKeyUsageOID.CLIENT_AUTH, days, names)

    def revoke(self, certificates: Sequence[bytes]) -> None:
        """Add certificates (PEM) to the list of those that are believed no more."""
        added = [x509.load_pem_x509_certificate(pem).serial_number for pem in certificates]
        self._write_revoked((*self.revoked(), *added))

    def revoked(self) -> tuple[int, ...]:
        """The serial numbers of the list."""
        raw = (self._folder / "clients.crl").read_bytes()
        return tuple(one.serial_number for one in x509.load_pem_x509_crl(raw))

    def _write_revoked(self, serial_numbers: Sequence[int]) -> None:
        now = _now()
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._certificate.subject)
            .last_update(now - CLOCK_SLACK)
            # a list that has run out lets nobody in at all: it lives as long as the authority
            .next_update(self._certificate.not_valid_after_utc)
        )
        for number in dict.fromkeys(serial_numbers):
            entry = x509.RevokedCertificateBuilder().serial_number(number).revocation_date(now)
            builder = builder.add_revoked_certificate(entry.build())
        revoked = builder.sign(self._key, hashes.SHA256())
        write_whole(self._folder / "clients.crl", revoked.public_bytes(serialization.Encoding.PEM))

    def _issue(
        self, name: str, use: x509.ObjectIdentifier, days: int, names: x509.SubjectAlternativeName
    ) -> Issued:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
        certificate = (
            _begin(subject, self._certificate.subject, key, _now(), dt.timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([use]), critical=False)
            .add_extension(names, critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
            .sign(self._key, hashes.SHA256())
        )
        return Issued(certificate.public_bytes(serialization.Encoding.PEM), _key_pem(key))


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC).replace(microsecond=0)


def _begin(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    now: dt.datetime,
    lasts: dt.timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(now, now + lasts) - CLOCK_SLACK)
        .not_valid_after(now + lasts)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
