"""A certificate authority for the house alone, as a real TLS client sees what it vouches for."""

from __future__ import annotations

import hashlib
import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from appliance.config import Http
from appliance.trust.authority import (
    BEFORE,
    CERTIFICATE_FILE,
    KEY_FILE,
    LEAF_FILE,
    Authority,
    AuthorityUnusable,
    lacks_authority,
)

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.load_or_make(tmp_path / "tls", "Front door", "raspberrypi.example.org")


def leaf_of(file: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(file.read_bytes())


def believed(authority: Authority, leaf: Path, name: str) -> str:
    """What a TLS client that trusts the authority says of a server of that name; empty: all is well."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(leaf)
    client = ssl.create_default_context(cafile=str(authority.folder / CERTIFICATE_FILE))
    ours, theirs = socket.socketpair()
    with ours, theirs:

        def serve() -> None:
            try:
                server.wrap_socket(theirs, server_side=True).close()
            except OSError:
                theirs.close()

        serving = threading.Thread(target=serve)
        serving.start()
        try:
            client.wrap_socket(ours, server_hostname=name).close()
        except ssl.SSLCertVerificationError as fault:
            return fault.verify_message
        finally:
            ours.close()
            serving.join()
    return ""


def test_it_is_made_once_and_for_this_user_alone(authority: Authority) -> None:
    folder = authority.folder
    again = Authority.load_or_make(folder, "Another name", "other")
    assert again.pem == authority.pem
    assert (folder / KEY_FILE).stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    (folder / KEY_FILE).chmod(0o644)
    Authority.load(folder)
    assert (folder / KEY_FILE).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "name",
    [
        "127.0.0.1",
        "192.168.1.20",
        "10.9.8.7",
        "fd00::5",
        "localhost",
        "front-door.local",
        "raspberrypi",
    ],
)
def test_who_trusts_it_believes_what_is_of_the_house(authority: Authority, name: str) -> None:
    leaf, new = authority.leaf([name])
    assert new
    assert believed(authority, leaf, name) == ""
    assert leaf.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "name", ["bank.example", "raspberrypi.example.org", "8.8.8.8", "2001:db8::1"]
)
def test_it_vouches_for_nothing_else_even_if_its_key_is_stolen(
    authority: Authority, name: str, tmp_path: Path
) -> None:
    assert not authority.covers(name)
    leaf, _ = authority.leaf(["localhost", name])
    assert [str(one.value) for one in names_in(leaf)] == ["localhost"]
    stolen = tmp_path / "stolen.pem"
    stolen.write_bytes(authority._make_leaf([name, "localhost"], datetime.now(UTC)))
    assert "permitted subtree violation" in believed(authority, stolen, name)


def names_in(leaf: Path) -> x509.SubjectAlternativeName:
    return leaf_of(leaf).extensions.get_extension_for_class(x509.SubjectAlternativeName).value


@pytest.mark.parametrize(
    "name", ["", "*", "*.local", "a b.local", "evil.example\n.local", "-x.local"]
)
def test_what_is_no_name_is_not_vouched_for(authority: Authority, name: str) -> None:
    assert not authority.covers(name)


def test_a_leaf_is_kept_while_it_is_right_and_renewed_before_its_end(authority: Authority) -> None:
    file, _ = authority.leaf(["localhost", "192.168.1.20"], NOW)
    first = leaf_of(file)
    assert authority.leaf(["192.168.1.20", "localhost"], NOW + timedelta(days=59)) == (file, False)
    assert authority.leaf(["localhost", "192.168.1.21"], NOW)[1], "another address"
    assert authority.leaf(["localhost", "192.168.1.21"], NOW + timedelta(days=61))[1], (
        "near its end"
    )
    assert leaf_of(file).serial_number != first.serial_number
    assert first.not_valid_after_utc - first.not_valid_before_utc < timedelta(days=825)


def test_a_clock_that_is_wrong_does_no_lasting_harm(authority: Authority) -> None:
    file, _ = authority.leaf(["localhost"], datetime(1970, 1, 1, tzinfo=UTC))
    assert leaf_of(file).not_valid_before_utc < BEFORE < leaf_of(file).not_valid_after_utc
    assert authority.leaf(["localhost"], NOW)[1], "the clock was put right"
    assert leaf_of(file).not_valid_before_utc < NOW < leaf_of(file).not_valid_after_utc
    authority.leaf(["localhost"], NOW + timedelta(days=3000))
    assert authority.leaf(["localhost"], NOW)[1], "and was ahead before"
    assert authority.certificate.not_valid_before_utc < BEFORE


def test_what_is_broken_is_told_and_never_replaced(authority: Authority, tmp_path: Path) -> None:
    file, _ = authority.leaf(["localhost"])
    file.write_text("nonsense")
    assert authority.leaf(["localhost"])[1], "a leaf is made anew"
    other = Authority.load_or_make(tmp_path / "other", "Other", "other")
    file.write_bytes((other.leaf(["localhost"])[0]).read_bytes())
    assert authority.leaf(["localhost"])[1], "that was another's"
    folder = authority.folder
    kept = (folder / CERTIFICATE_FILE).read_bytes()
    for broken in (b"nonsense", (other.folder / KEY_FILE).read_bytes()):
        (folder / KEY_FILE).write_bytes(broken)
        with pytest.raises(AuthorityUnusable):
            Authority.load_or_make(folder, "Front door", "raspberrypi")
    (folder / KEY_FILE).unlink()
    with pytest.raises(AuthorityUnusable):
        Authority.load_or_make(folder, "Front door", "raspberrypi")
    assert (folder / CERTIFICATE_FILE).read_bytes() == kept
    assert (folder / LEAF_FILE).exists()


def test_where_the_page_is_to_be_reached_and_nothing_vouches_for_it_one_is_lacking(
    tmp_path: Path,
) -> None:
    for http, lacks in (
        (Http(), False),
        (Http(host="::1"), False),
        (Http(host="127.0.0.53"), False),
        (Http(host="localhost"), False),
        (Http(host="192.168.1.2"), True),
        (Http(host="door.local"), True),
        (Http(host="192.168.1.2", local_ca=True), False),
        (Http(host="192.168.1.2", cert_file="a.pem"), False),
    ):
        assert lacks_authority(http, tmp_path / "tls") is lacks, http
    made = Authority.load_or_make(tmp_path / "tls", "door", "door")
    assert not lacks_authority(Http(host="192.168.1.2"), tmp_path / "tls")
    shown = ssl.PEM_cert_to_DER_cert(made.pem.decode())
    assert made.fingerprint.replace(":", "").lower() == hashlib.sha256(shown).hexdigest()
    assert len(made.fingerprint) == 32 * 3 - 1
