"""Keys: their names, what is none, and a file that is made once and never replaced."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, x25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from appliance.trust.keys import (
    DeviceKey,
    KeyUnusable,
    PublicKey,
    decoded,
    encoded,
    thumbprint,
)

RFC_8037_X = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
"""Appendix A.2; A.3 has its thumbprint."""
RFC_8037_THUMBPRINT = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_a_thumbprint_is_that_of_the_standard() -> None:
    assert thumbprint(decoded(RFC_8037_X)) == RFC_8037_THUMBPRINT
    key = PublicKey.read(RFC_8037_X)
    assert (key.kid, key.text) == (RFC_8037_THUMBPRINT, RFC_8037_X)


@given(st.binary(max_size=100))
def test_bytes_have_one_spelling(data: bytes) -> None:
    assert decoded(encoded(data)) == data


@pytest.mark.parametrize(
    "text", ["AA==", "AB", "A", "A A", "AA\n", "+/8", "Ä", "AAAAA", "AA=", "\x00"]
)
def test_no_other_spelling_is_read(text: str) -> None:
    with pytest.raises(ValueError, match="base64url"):
        decoded(text)


@pytest.mark.parametrize(
    "raw",
    [
        b"\x01" + bytes(31),
        b"\x01" + bytes(30) + b"\x80",
        bytes(32),
        bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
        bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
        bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
        b"\xff" * 32,
    ],
    ids=lambda raw: raw.hex()[:8],
)
def test_a_key_with_which_anybody_could_sign_is_none(raw: bytes) -> None:
    with pytest.raises(ValueError, match="anybody"):
        PublicKey(raw)


def test_the_weakness_is_real() -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    neutral = b"\x01" + bytes(31)
    # R is the neutral point and S is 0: it fits every text
    Ed25519PublicKey.from_public_bytes(neutral).verify(neutral + bytes(32), b"anything")


def test_a_key_of_another_length_is_none() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        PublicKey(bytes(31))


def test_what_is_signed_is_verified_and_nothing_else() -> None:
    key, other = DeviceKey.make(), DeviceKey.make()
    signature = key.sign(b"text")
    assert key.public_key.verifies(signature, b"text")
    assert not key.public_key.verifies(signature, b"Text")
    assert not other.public_key.verifies(signature, b"text")
    assert not key.public_key.verifies(signature[:-1], b"text")


def test_it_is_made_once_private_and_stays(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    made = DeviceKey.load_or_make(folder, {})
    file = folder / "device.key"
    assert file.stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [one.name for one in folder.iterdir()] == ["device.key"]
    assert DeviceKey.load_or_make(folder, {}).kid == made.kid


def test_a_credential_comes_first(tmp_path: Path) -> None:
    own = DeviceKey.load_or_make(tmp_path / "state", {})
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    environ = {"CREDENTIALS_DIRECTORY": str(credentials)}
    assert DeviceKey.load_or_make(tmp_path / "state", environ).kid == own.kid
    given = DeviceKey.load_or_make(tmp_path / "other", {})
    (credentials / "device_key").write_bytes((tmp_path / "other" / "device.key").read_bytes())
    assert DeviceKey.load_or_make(tmp_path / "state", environ).kid == given.kid


def test_a_key_that_another_program_made_is_read(tmp_path: Path) -> None:
    private = ed25519.Ed25519PrivateKey.generate()
    (tmp_path / "device.key").write_bytes(pem(private))
    key = DeviceKey.load_or_make(tmp_path, {})
    assert decoded(key.public) == private.public_key().public_bytes_raw()


def pem(private: ed25519.Ed25519PrivateKey | x25519.X25519PrivateKey) -> bytes:
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize("content", [b"", b"nonsense", b"-----BEGIN PRIVATE KEY-----\n"])
def test_one_that_cannot_be_read_is_never_replaced(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "device.key"
    file.write_bytes(content)
    with pytest.raises(KeyUnusable, match=r"device\.key is not"):
        DeviceKey.load_or_make(tmp_path, {})
    assert file.read_bytes() == content


def test_one_of_another_kind_is_told(tmp_path: Path) -> None:
    (tmp_path / "device.key").write_bytes(pem(x25519.X25519PrivateKey.generate()))
    with pytest.raises(KeyUnusable, match="another kind"):
        DeviceKey.load_or_make(tmp_path, {})


def test_what_was_opened_to_others_is_closed_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    DeviceKey.load_or_make(tmp_path, {})
    file = tmp_path / "device.key"
    file.chmod(0o644)
    DeviceKey.load_or_make(tmp_path, {})
    assert file.stat().st_mode & 0o777 == 0o600
    assert "was open to others (0644); it is no longer" in caplog.text


def test_where_it_cannot_be_kept_there_is_none(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where a folder should be")
    with pytest.raises(KeyUnusable):
        DeviceKey.load_or_make(tmp_path / "state", {})
