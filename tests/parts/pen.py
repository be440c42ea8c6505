"""Signed messages as the interfaces have them (compact JWS, Ed25519), by nothing of the project's code."""

from __future__ import annotations

import base64
import hashlib
import json

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


class Pen:
    """Somebody's key; `public` is what its contact is given."""

    def __init__(self, secret: bytes | None = None) -> None:
        """A new key, unless the 32 bytes of one are given."""
        made = Ed25519PrivateKey.from_private_bytes
        self._key = Ed25519PrivateKey.generate() if secret is None else made(secret)
        self.secret = self._key.private_bytes_raw()
        self.public = _encoded(self._key.public_key().public_bytes_raw())
        jwk = f'{{"crv":"Ed25519","kty":"OKP","x":"{self.public}"}}'
        self.kid = _encoded(hashlib.sha256(jwk.encode()).digest())

    def sign(self, payload: bytes, kid: str | None = None) -> bytes:
        """The payload, signed; `kid`: in the name of another key."""
        signed = f"{self.head(kid or self.kid)}.{_encoded(payload)}"
        return f"{signed}.{_encoded(self._key.sign(signed.encode()))}".encode()

    def head(self, kid: str) -> str:
        """The protected header of what is signed in the name of that key."""
        header = {"alg": "Ed25519", "kid": kid, "typ": "appliance+json"}
        return _encoded(json.dumps(header).encode())


def kid_of(payload: bytes) -> str | None:
    """The key that a message names; None where it is not signed."""
    if payload.startswith(b"{"):
        return None
    return str(json.loads(_decoded(payload.split(b".")[0]))["kid"])


def read(payload: bytes) -> bytes:
    """What a message says, whoever may have signed it: a test does not doubt its door."""
    if payload.startswith(b"{"):
        return payload
    return _decoded(payload.split(b".")[1])


def _decoded(text: bytes) -> bytes:
    return base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
