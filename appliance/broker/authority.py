"""A certificate authority for one house: the broker's certificate, those of devices, and who lost theirs.

Its key never leaves the folder in which it was made, and where root made it root alone reads it: the
broker does not need it. It is believed for names and addresses of a house, and those that its owner gave
the broker. Everything is PEM, in files of mosquitto's words.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from appliance.broker.places import AUTHORITY_KEY
from appliance.errors import ApplianceError
from appliance.trust.authority import may_vouch, of_a_house
from appliance.trust.certificates import (
    FOR_CLIENTS,
    FOR_SERVERS,
    begin_authority,
    certificate_pem,
    key_pem,
    new_key,
    sign_leaf,
)
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
    def make(cls, folder: Path, name: str, hosts: Sequence[str] = ()) -> Authority:
        """A new one: `ca.crt`, `ca.key` and an empty list of revoked ones, `clients.crl`.

        It may vouch for `hosts`, which may lie outside the house, and for what no one owns on the internet;
        for connections alone: who trusts it believes no mail and no program by it.
        """
        key, now = new_key(), _now()
        end = now + dt.timedelta(days=365 * AUTHORITY_YEARS)
        certificate = (
            begin_authority(_common_name(name), key, now - CLOCK_SLACK, end)
            .add_extension(of_a_house(host.lower() for host in hosts), critical=True)
            .add_extension(x509.ExtendedKeyUsage([FOR_SERVERS, FOR_CLIENTS]), critical=False)
            .sign(key, hashes.SHA256())
        )
        made = cls(folder, certificate, key)
        write_whole(folder / AUTHORITY_KEY, key_pem(key), of_folder=False)
        write_whole(folder / "ca.crt", certificate_pem(certificate))
        made._write_revoked(())
        return made

    @classmethod
    def load(cls, folder: Path) -> Authority:
        """The one of a folder. Raises NoAuthority."""
        try:
            certificate = x509.load_pem_x509_certificate((folder / "ca.crt").read_bytes())
            key = serialization.load_pem_private_key((folder / AUTHORITY_KEY).read_bytes(), None)
        except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise NoAuthority(f"{folder} has no authority that can be used: {error}") from None
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise NoAuthority(f"{folder / AUTHORITY_KEY} is a key of another kind")
        return cls(folder, certificate, key)

    def covers(self, host: str) -> bool:
        """Whether it is believed for that name or address."""
        return may_vouch(self._certificate, host.lower())

    def for_server(self, hosts: Sequence[str], *, days: int = LEAF_DAYS) -> Issued:
        """A certificate for a broker, by all names and addresses under which it is reached."""
        # no common name: beside addresses alone, OpenSSL would take it for a host, of outside the house
        name = x509.NameAttribute(NameOID.ORGANIZATION_NAME, f"The broker of {hosts[0]}"[:64])
        return self._issue(x509.Name([name]), FOR_SERVERS, days, hosts)

    def for_client(self, name: str, *, days: int = LEAF_DAYS) -> Issued:
        """A certificate for an account: its common name is the user name at the broker."""
        return self._issue(_common_name(name), FOR_CLIENTS, days, ())  # it is no host

    def revoke(self, certificates: Sequence[bytes]) -> None:
        """Add certificates (PEM) to the list of those that are believed no more."""
        added = [x509.load_pem_x509_certificate(pem).serial_number for pem in certificates]
        self._write_revoked((*self.revoked(), *added))

    def revoked(self) -> tuple[int, ...]:
        """The serial numbers of the list. Raises NoAuthority, OSError."""
        file = self._folder / "clients.crl"
        try:
            return tuple(one.serial_number for one in x509.load_pem_x509_crl(file.read_bytes()))
        except ValueError as error:
            raise NoAuthority(f"{file} is no list of certificates: {error}") from None

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
        self, subject: x509.Name, use: x509.ObjectIdentifier, days: int, names: Sequence[str]
    ) -> Issued:
        key, now = new_key(), _now()
        end = now + dt.timedelta(days=days)
        certificate = sign_leaf(
            subject,
            key,
            min(now, end) - CLOCK_SLACK,
            end,
            names=names,
            use=use,
            authority=self._certificate,
            authority_key=self._key,
        )
        return Issued(certificate_pem(certificate), key_pem(key))


def _common_name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC).replace(microsecond=0)
