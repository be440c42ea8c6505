"""The house's authority: openssl believes what it signs, for what it was signed, and nothing revoked."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from appliance.broker.authority import Authority, Issued, NoAuthority
from appliance.trust.certificates import (
    begin_authority,
    certificate_pem,
    key_pem,
    new_key,
    sign_leaf,
)
from tests.parts.need import program


def verified(folder: Path, one: Issued, *more: str) -> str:
    """What openssl, which mosquitto asks, says to a certificate; "OK" where it believes it."""
    file = folder / "one.crt"
    file.write_bytes(one.certificate)
    said = subprocess.run(
        [program("openssl"), "verify", "-CAfile", folder / "ca.crt", *more, file],
        capture_output=True,
        text=True,
        check=False,
    )
    return "OK" if said.returncode == 0 else said.stderr + said.stdout


def test_a_server_is_believed_by_its_names_and_as_a_server(tmp_path: Path) -> None:
    one = Authority.make(tmp_path, "house").for_server(["broker.lan", "192.168.1.2", "::1"])
    as_server = ("-purpose", "sslserver")
    assert verified(tmp_path, one, *as_server, "-verify_hostname", "broker.lan") == "OK"
    assert verified(tmp_path, one, *as_server, "-verify_ip", "192.168.1.2") == "OK"
    assert verified(tmp_path, one, *as_server, "-verify_ip", "::1") == "OK"
    assert "mismatch" in verified(tmp_path, one, *as_server, "-verify_hostname", "other.lan")
    assert "purpose" in verified(tmp_path, one, "-purpose", "sslclient")


def test_nobody_believes_it_outside_the_house(tmp_path: Path) -> None:
    """Whoever has its key: phones trust it."""
    authority = Authority.make(tmp_path, "house", ["mqtt.example.org", "203.0.113.7", "broker"])
    for host in ("bank.example", "example.org", "8.8.8.8", "2001:db8::1", "203.0.113.8", "phone"):
        assert not authority.covers(host)
        assert "subtree violation" in verified(tmp_path, authority.for_server([host])), host
    for host in ("mqtt.example.org", "203.0.113.7", "broker", "Gate.local", "fd00::5"):
        assert authority.covers(host)
        assert verified(tmp_path, authority.for_server([host])) == "OK", host
    for name in ("alice", "front_door", "front-door"):
        assert verified(tmp_path, authority.for_client(name), "-purpose", "sslclient") == "OK"


def test_nobody_believes_a_mail_by_it(tmp_path: Path) -> None:
    """The key of one that is trusted may get into other hands."""
    Authority.make(tmp_path, "house")
    own = x509.load_pem_x509_certificate((tmp_path / "ca.crt").read_bytes())
    key = serialization.load_pem_private_key((tmp_path / "ca.key").read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    now = datetime.now(UTC)
    one = sign_leaf(
        x509.Name([]),
        new_key(),
        now,
        now + timedelta(9),
        names=[],
        use=ExtendedKeyUsageOID.EMAIL_PROTECTION,
        authority=own,
        authority_key=key,
    )
    said = verified(tmp_path, Issued(certificate_pem(one), b""), "-purpose", "smimesign")
    assert "unsuitable certificate purpose" in said


def test_one_of_an_earlier_version_is_as_good_as_it_was(tmp_path: Path) -> None:
    """It has no limits, and phones trust it."""
    key, now = new_key(), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "The broker of mqtt.example.org")])
    old = begin_authority(name, key, now - timedelta(2), now + timedelta(9)).sign(
        key, hashes.SHA256()
    )
    (tmp_path / "ca.key").write_bytes(key_pem(key))
    (tmp_path / "ca.crt").write_bytes(certificate_pem(old))
    authority = Authority.load(tmp_path)
    assert authority.covers("mqtt.example.org")
    assert verified(tmp_path, authority.for_server(["mqtt.example.org"])) == "OK"


def test_a_client_is_one_until_it_is_revoked(tmp_path: Path) -> None:
    authority = Authority.make(tmp_path, "house")
    lost, kept = authority.for_client("alice"), authority.for_client("alice")
    listed = ("-purpose", "sslclient", "-crl_check", "-CRLfile", str(tmp_path / "clients.crl"))
    assert verified(tmp_path, lost, *listed) == "OK"
    authority.revoke([lost.certificate])
    Authority.load(tmp_path).revoke([lost.certificate])  # twice does no harm
    assert "revoked" in verified(tmp_path, lost, *listed)
    assert verified(tmp_path, kept, *listed) == "OK"
    assert len(authority.revoked()) == 1
    # a list that has run out would let nobody in: it lasts as long as the authority
    listing = x509.load_pem_x509_crl((tmp_path / "clients.crl").read_bytes())
    house = x509.load_pem_x509_certificate((tmp_path / "ca.crt").read_bytes())
    assert listing.next_update_utc == house.not_valid_after_utc


def test_one_that_has_expired_is_believed_no_more(tmp_path: Path) -> None:
    authority = Authority.make(tmp_path, "house")
    assert "expired" in verified(tmp_path, authority.for_client("alice", days=-1))
    assert verified(tmp_path, authority.for_client("alice", days=1)) == "OK"


def test_its_files_are_its_own_and_come_back(tmp_path: Path) -> None:
    Authority.make(tmp_path, "house")
    for name in ("ca.key", "ca.crt", "clients.crl"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
    assert verified(tmp_path, Authority.load(tmp_path).for_client("alice")) == "OK"
    other = tmp_path / "other"
    other.mkdir()
    stranger = Authority.make(other, "house")  # of the same name
    assert verified(tmp_path, stranger.for_client("alice")) != "OK"


@pytest.mark.parametrize("key", [None, b"", b"no key"])
def test_a_folder_without_one_is_told(tmp_path: Path, key: bytes | None) -> None:
    Authority.make(tmp_path, "house")
    (tmp_path / "ca.key").unlink()
    if key is not None:
        (tmp_path / "ca.key").write_bytes(key)
    with pytest.raises(NoAuthority, match=str(tmp_path)):
        Authority.load(tmp_path)
