"""What a daemon that was taken over may lay out for the broker: nothing of another's, nothing broken."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from appliance.broker.pages import NoPage, page_certificate, read_of
from appliance.trust.authority import Authority
from appliance.trust.certificates import key_pem, new_key


def page(folder: Path) -> tuple[bytes, bytes]:
    """A page's certificate with its key, and who signed it."""
    authority = Authority.load_or_make(folder, "door", "gate")
    return authority.leaf(["gate.local"])[0].read_bytes(), authority.pem


def test_what_the_daemon_makes_is_taken_as_it_is(tmp_path: Path) -> None:
    pem, authority = page(tmp_path / "tls")
    assert page_certificate(pem) == pem
    assert page_certificate(pem, authority) == pem
    assert page_certificate(b"before\n" + pem + pem + authority, authority) == pem, "no more"


def test_what_is_no_certificate_with_its_key_is_refused_in_a_sentence(tmp_path: Path) -> None:
    pem, authority = page(tmp_path / "tls")
    other, stranger = page(tmp_path / "other")
    certificate, mark, key = pem.partition(b"-----BEGIN PRIVATE")
    rsas = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    for bad, by, why in (
        (b"", authority, "no certificate"),
        (b"root:x:0:0\n", authority, "no certificate"),
        (certificate, authority, "no certificate"),
        (mark + key, authority, "no certificate"),
        (pem[: len(pem) // 2], authority, "no certificate"),
        (certificate + key_pem(new_key()), authority, "not its own"),
        (certificate + rsas, authority, "not its own"),
        (other, authority, "not signed"),
        (pem, stranger, "not signed"),
        (pem, b"", "no certificate"),
    ):
        with pytest.raises(NoPage, match=why):
            page_certificate(bad, by)


def test_what_openssl_will_not_have_mosquitto_does_not_meet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stricter(*_: object) -> None:
        raise ssl.SSLError("ee key too small")

    pem, authority = page(tmp_path / "tls")
    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", stricter)
    with pytest.raises(NoPage, match="no server can use"):
        page_certificate(pem, authority)


def test_only_a_file_in_its_own_folder_is_read(tmp_path: Path) -> None:
    tls = tmp_path / "tls"
    tls.mkdir()
    secret = tmp_path / "secret"
    secret.write_bytes(b"of somebody else")
    file = tls / "page.pem"
    file.write_bytes(b"its own")
    assert read_of(file) == b"its own"
    file.write_bytes(bytes(65537))
    with pytest.raises(NoPage, match="too long"):
        read_of(file)
    file.unlink()
    with pytest.raises(FileNotFoundError):
        read_of(file)
    file.symlink_to(secret)
    with pytest.raises(OSError, match="symbolic link"):
        read_of(file)
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(NoPage):
        read_of(file)
    file.unlink()
    tls.rmdir()
    tls.symlink_to(tmp_path)
    with pytest.raises(OSError, match="Not a directory"):
        read_of(tls / "secret")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_file_of_another_user_is_not_read_though_one_may(tmp_path: Path) -> None:
    state = tmp_path / "state"
    (state / "tls").mkdir(parents=True)
    file = state / "tls" / "page.pem"
    file.write_bytes(b"root's")
    for folder in (state, state / "tls"):
        os.chown(folder, 12345, 12345)
    with pytest.raises(NoPage, match="no file of whom"):
        read_of(file)
    os.chown(file, 12345, 12345)
    assert read_of(file) == b"root's"
    os.chown(state / "tls", 0, 0)
    os.chown(file, 0, 0)
    with pytest.raises(NoPage, match="no file of whom"):
        read_of(file)
