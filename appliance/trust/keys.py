"""Ed25519 keys: this device's own, those of others, and the thumbprint by which each is named.

`cryptography` is imported where a signature is made or verified, which nothing at the start waits for.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from dataclasses import field as default
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.errors import ApplianceError
from appliance.whole_file import private_folder, read_private, write_whole

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

KEY_BYTES = 32
SIGNATURE_BYTES = 64
FILE = "device.key"
CREDENTIAL = "device_key"

_P = 2**255 - 19


class KeyUnusable(ApplianceError):
    """This device's key cannot be read or made; the sentence says where and why."""

    code = "device_key_unusable"


def encoded(data: bytes) -> str:
    """base64url without padding (RFC 7515, section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    """The bytes that `encoded` makes this text of; raises ValueError for every other spelling.

    Padding, foreign characters and bits that stand for nothing are refused: one value, one text.
    """
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("this is not base64url") from None
    if encoded(data) != text:
        raise ValueError("this is not base64url as it is written: other bytes would mean the same")
    return data


def thumbprint(public: bytes) -> str:
    """The name of a key: RFC 7638 of its JWK (RFC 8037), 43 characters of base64url."""
    jwk = f'{{"crv":"Ed25519","kty":"OKP","x":"{encoded(public)}"}}'
    return encoded(hashlib.sha256(jwk.encode()).digest())


@dataclass(frozen=True, slots=True)
class PublicKey:
    """Somebody's public key: 32 bytes, as RFC 8032 has them."""

    raw: bytes
    kid: str = default(init=False)

    def __post_init__(self) -> None:
        """Raises ValueError for what no honest key is."""
        if len(self.raw) != KEY_BYTES:
            raise ValueError("a public Ed25519 key has 32 bytes: 43 characters of base64url")
        if _is_weak(self.raw):
            raise ValueError("with this public key anybody could sign")
        object.__setattr__(self, "kid", thumbprint(self.raw))

    @classmethod
    def read(cls, text: str) -> PublicKey:
        """From base64url, as contacts and invitations have it; raises ValueError."""
        return cls(decoded(text))

    @property
    def text(self) -> str:
        """In base64url."""
        return encoded(self.raw)

    def verifies(self, signature: bytes, data: bytes) -> bool:
        """Whether the holder of this key has signed exactly these bytes."""
        from cryptography.exceptions import InvalidSignature

        try:
            self._made().verify(signature, data)
        except (InvalidSignature, ValueError):
            return False
        return True

    def _made(self) -> Ed25519PublicKey:
        from cryptography.hazmat.primitives.asymmetric import ed25519

        return ed25519.Ed25519PublicKey.from_public_bytes(self.raw)


def _is_weak(raw: bytes) -> bool:
    """Whether it is one of the points of small order, whose signatures fit many texts or all.

    Their y is 0, 1, -1 or a root of `_ORDER_8`; what is written as p or more is no honest key either.
    """
    y = int.from_bytes(raw, "little") & (2**255 - 1)
    return y >= _P or y in (0, 1, _P - 1) or y in _ORDER_8


_ROOT = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
_ORDER_8 = (_ROOT, _P - _ROOT)
"""y of the points of order 8 of edwards25519."""


class DeviceKey:
    """The key with which this device signs."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        """Take a private key; where it lies is `load_or_make`'s matter."""
        self._private = private
        self.public_key = PublicKey(private.public_key().public_bytes_raw())

    @property
    def public(self) -> str:
        """The public half, in base64url."""
        return self.public_key.text

    @property
    def kid(self) -> str:
        """The thumbprint of the public half."""
        return self.public_key.kid

    def sign(self, data: bytes) -> bytes:
        """The 64 bytes of the signature."""
        return self._private.sign(data)

    def secret_for(self, purpose: str) -> bytes:
        """32 bytes that only who has this key can know, others for each purpose, always the same."""
        return hmac.new(
            self._private.private_bytes_raw(), purpose.encode(), hashlib.sha256
        ).digest()

    @classmethod
    def make(cls) -> DeviceKey:
        """A new one, which lies nowhere."""
        from cryptography.hazmat.primitives.asymmetric import ed25519

        return cls(ed25519.Ed25519PrivateKey.generate())

    @classmethod
    def load_or_make(cls, folder: Path, environ: Mapping[str, str] = os.environ) -> DeviceKey:
        """The systemd credential `device_key` if there is one, else `device.key` in `folder`.

        PEM (PKCS 8), as `openssl genpkey -algorithm ed25519` makes it. Where there is none one is made,
        synced and readable by this user alone before it is used. Blocks. Raises KeyUnusable: a key that
        cannot be read is never replaced, since every phone has pinned it.
        """
        if credentials := environ.get("CREDENTIALS_DIRECTORY"):
            given = Path(credentials) / CREDENTIAL
            if given.exists():
                return cls._load(given, Path.read_bytes)
        file = folder / FILE
        try:
            return cls._load(file, read_private)
        except FileNotFoundError:
            pass
        key = cls.make()
        try:
            private_folder(folder)
            write_whole(file, key.pem())
        except OSError as error:
            raise KeyUnusable(
                f"this device's key cannot be kept in {file}: {error.strerror}"
            ) from None
        return key

    @classmethod
    def _load(cls, file: Path, read: Callable[[Path], bytes]) -> DeviceKey:
        try:
            pem = read(file)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise KeyUnusable(
                f"this device's key cannot be read from {file}: {error.strerror}"
            ) from None
        return cls.from_pem(pem, str(file))

    @classmethod
    def from_pem(cls, pem: bytes, where: str) -> DeviceKey:
        """What a file holds; `where` is what it is called if it is none. Raises KeyUnusable."""
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric import ed25519
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        try:
            private = load_pem_private_key(pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise KeyUnusable(f"{where} is not an unencrypted private key in PEM") from None
        if not isinstance(private, ed25519.Ed25519PrivateKey):
            raise KeyUnusable(f"{where} is a private key of another kind than Ed25519")
        return cls(private)

    def pem(self) -> bytes:
        """What the file holds: PKCS 8, not encrypted."""
        from cryptography.hazmat.primitives.serialization import (
            Encoding,
            NoEncryption,
            PrivateFormat,
        )

        return self._private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
