"""A certificate authority of this device's own, made once, which can vouch for nothing but the house.

Law: what it signs is believed only for names that exist in no public DNS (`.local` and the like, and this
machine's bare name) and for private addresses (RFC 5280, 4.2.1.10), whoever may steal its key.
"""

from __future__ import annotations

import ipaddress
import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.errors import ApplianceError
from appliance.whole_file import private_folder, read_private, write_whole

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.x509 import Certificate, GeneralName, Name, NameConstraints

    from appliance.config import Http

log = logging.getLogger(__name__)

FOLDER = "tls"
KEY_FILE, CERTIFICATE_FILE = "ca.key", "ca.crt"
LEAF_FILE = "page.pem"
"""The page's certificate and its key."""

NAMES = ("local", "localhost", "home.arpa", "internal", "lan")
"""With all that is below them: nobody owns them on the internet (RFC 6762, 6761, 8375)."""
NETWORKS = (
    "127.0.0.0/8",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "169.254.0.0/16",
    "::1/128",
    "fc00::/7",
    "fe80::/10",
)

BEFORE = datetime(2026, 1, 1, tzinfo=UTC)
"""It was not made earlier than this code: a clock that says so is wrong."""
VALID_FROM = datetime(2020, 1, 1, tzinfo=UTC)
VALID_FOR = timedelta(days=25 * 365)
LEAF_BACKDATED = timedelta(days=365)
"""A device and a phone need not agree about the day."""
LEAF_FOR = timedelta(days=90)
ONE_DAY = timedelta(days=1)
LEAF_RENEWED = timedelta(days=30)
"""So long before its end. Both together are less than the 825 days that phones bear."""

_HOST = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*")


class AuthorityUnusable(ApplianceError):
    """The authority cannot be read, made or kept; the sentence says where and why."""

    code = "authority_unusable"


@dataclass(frozen=True, slots=True)
class Authority:
    """The authority in one folder."""

    folder: Path
    certificate: Certificate
    key: EllipticCurvePrivateKey

    # -------------------- made once

    @staticmethod
    def is_in(folder: Path) -> bool:
        """Whether one was made there, as far as this user can see."""
        try:
            return (folder / CERTIFICATE_FILE).exists()
        except OSError:
            return False

    @classmethod
    def load(cls, folder: Path) -> Authority:
        """The one that was made there. Blocks. Raises AuthorityUnusable: phones trust it, and none is
        ever made in its place.
        """
        from cryptography import x509
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        try:
            key = load_pem_private_key(read_private(folder / KEY_FILE), None)
            certificate = x509.load_pem_x509_certificate((folder / CERTIFICATE_FILE).read_bytes())
            certified = certificate.public_key()
        except OSError as error:
            raise AuthorityUnusable(
                f"this device's certificate authority in {folder}: {error}"
            ) from None
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise AuthorityUnusable(
                f"this device's certificate authority in {folder}: {error}"
            ) from None
        if not isinstance(key, EllipticCurvePrivateKey) or key.public_key() != certified:
            raise AuthorityUnusable(f"{folder}: {KEY_FILE} is not the key of {CERTIFICATE_FILE}")
        return cls(folder, certificate, key)

    @classmethod
    def load_or_make(cls, folder: Path, device: str, host: str) -> Authority:
        """The one in the folder, or a new one, named after the device; `host` is this machine's name.

        Blocks. Raises AuthorityUnusable.
        """
        if cls.is_in(folder):
            return cls.load(folder)
        from appliance.trust.certificates import key_pem

        made = cls._make(folder, device, host)
        try:
            private_folder(folder)
            write_whole(folder / KEY_FILE, key_pem(made.key))
            # last, since it says that there is one
            write_whole(folder / CERTIFICATE_FILE, made.pem)
        except OSError as error:
            raise AuthorityUnusable(f"this device's certificate authority: {error}") from None
        log.info("this device has a certificate authority of its own now, in %s", folder)
        return made

    @classmethod
    def _make(cls, folder: Path, device: str, host: str) -> Authority:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes

        from appliance.trust.certificates import FOR_SERVERS, begin_authority, new_key

        key = new_key()
        end = _not_before_this_code(datetime.now(UTC)) + VALID_FOR
        subject = _name(f"{device} (only for this house)")
        certificate = (
            begin_authority(subject, key, VALID_FROM, end)
            .add_extension(x509.ExtendedKeyUsage([FOR_SERVERS]), critical=False)
            .add_extension(of_a_house(_own(host)), critical=True)
            .sign(key, hashes.SHA256())
        )
        return cls(folder, certificate, key)

    @property
    def pem(self) -> bytes:
        """What a phone is to trust."""
        from appliance.trust.certificates import certificate_pem

        return certificate_pem(self.certificate)

    @property
    def fingerprint(self) -> str:
        """Of its certificate, by SHA-256, in pairs as a phone shows them (`3F:A0:..`)."""
        from cryptography.hazmat.primitives import hashes

        return self.certificate.fingerprint(hashes.SHA256()).hex(":").upper()

    # -------------------- the page's certificate

    def covers(self, name: str) -> bool:
        """Whether it may vouch for that host name or address."""
        try:
            ipaddress.ip_address(name)
        except ValueError:
            if not _HOST.fullmatch(name):
                return False
        return may_vouch(self.certificate, name)

    def leaf(self, names: Iterable[str], now: datetime | None = None) -> tuple[Path, bool]:
        """The file with the page's certificate and key, and whether it is a new one.

        `names` are host names and addresses; those for which it may not vouch are left out. It is made
        anew where it does not cover them, is near its end, or is not of this time. Blocks. Raises
        AuthorityUnusable.
        """
        wanted = frozenset(name.lower() for name in names if self.covers(name.lower()))
        now = _not_before_this_code(now or datetime.now(UTC))
        file = self.folder / LEAF_FILE
        if self._is_good(file, wanted, now):
            return file, False
        try:
            write_whole(file, self._make_leaf(sorted(wanted), now))
        except OSError as error:
            raise AuthorityUnusable(f"the page's certificate: {error}") from None
        return file, True

    def _is_good(self, file: Path, wanted: frozenset[str], now: datetime) -> bool:
        from cryptography import x509
        from cryptography.exceptions import InvalidSignature

        try:
            leaf = x509.load_pem_x509_certificate(file.read_bytes())
            leaf.verify_directly_issued_by(self.certificate)
            names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except (OSError, ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
            return False
        held = {str(one.value) for one in names}
        made = leaf.not_valid_before_utc + LEAF_BACKDATED
        in_time = made - ONE_DAY <= now <= leaf.not_valid_after_utc - LEAF_RENEWED
        return held == wanted and in_time

    def _make_leaf(self, names: list[str], now: datetime) -> bytes:
        from appliance.trust import certificates

        key = certificates.new_key()
        leaf = certificates.sign_leaf(
            _name("the page of this device"),
            key,
            now - LEAF_BACKDATED,
            now + LEAF_FOR,
            names=names,
            use=certificates.FOR_SERVERS,
            authority=self.certificate,
            authority_key=self.key,
        )
        return certificates.certificate_pem(leaf) + certificates.key_pem(key)


def of_a_house(more: Iterable[str] = ()) -> NameConstraints:
    """What an authority of a house may vouch for: `NAMES`, `NETWORKS`, and `more` names or addresses."""
    from cryptography import x509

    names: list[GeneralName] = [x509.DNSName(one) for one in NAMES]
    names += [x509.IPAddress(ipaddress.ip_network(one)) for one in NETWORKS]
    for one in more:
        try:
            names.append(x509.IPAddress(ipaddress.ip_network(one)))
        except ValueError:
            names.append(x509.DNSName(one))
    return x509.NameConstraints(names, None)


def may_vouch(authority: Certificate, name: str) -> bool:
    """Whether it is believed for that host name (in lower case) or address; one without limits is."""
    from cryptography import x509

    try:
        permitted = authority.extensions.get_extension_for_class(x509.NameConstraints)
    except x509.ExtensionNotFound:
        return True
    trees = permitted.value.permitted_subtrees or []
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        trees_of_names = (one.value for one in trees if isinstance(one, x509.DNSName))
        return any(name == one or name.endswith(f".{one}") for one in trees_of_names)
    networks = (ipaddress.ip_network(str(one.value)) for one in trees if _is_address(one))
    return any(address in network for network in networks)


def lacks_authority(http: Http, folder: Path) -> bool:
    """Whether other machines are to reach the page of [http], and nothing vouches for it before the first
    phone is invited; `folder` is the authority's.
    """
    named = http.cert_file or http.key_file or http.local_ca
    return not (named or _is_this_machine(http.host) or Authority.is_in(folder))


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _own(host: str) -> list[str]:
    """This machine's bare name, where it is one; a whole one belongs to somebody."""
    bare = host.lower().partition(".")[0]
    return [bare] if _HOST.fullmatch(bare) and bare not in NAMES else []


def _not_before_this_code(now: datetime) -> datetime:
    return max(now, BEFORE)


def _is_address(name: GeneralName) -> bool:
    from cryptography import x509

    return isinstance(name, x509.IPAddress)


def _name(text: str) -> Name:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    # no common name: some would take it for a host
    return x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, text[:64])])
