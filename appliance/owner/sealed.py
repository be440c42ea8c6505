"""A file that opens with a passphrase alone: what is in it, by name; whoever changed it is noticed.

appliance-backup 1                            a line that says what it is
{"n", "r", "p", "salt", "nonce"}              a line of JSON: how the key is made of the passphrase (scrypt)
...                                           AES-256-GCM over the content, and over both lines
SHA-256 of all before it                      so that a damaged file is told from a wrong passphrase
"""

from __future__ import annotations

import hashlib
import secrets

import msgspec
from msgspec import Struct

from appliance.errors import ApplianceError

MAGIC = b"appliance-backup 1\n"
FAMILY = b"appliance-backup "
DIGEST_BYTES = 32
KEY_BYTES, SALT_BYTES, NONCE_BYTES = 32, 16, 12
LONGEST_HEAD = 1024
MOST_MEMORY = 256 * 1024**2


class CannotBeOpened(ApplianceError):
    """It is none of ours, damaged, or of another passphrase; the sentence says which."""

    code = "not_opened"


class Cost(Struct, frozen=True):
    """What a guess costs: scrypt's parameters (RFC 7914). As they stand 64 MiB, and some second on a Pi."""

    n: int = 2**16
    r: int = 8
    p: int = 2

    @property
    def memory_bytes(self) -> int:
        """What one guess takes."""
        return 128 * self.r * (self.n + self.p)


class _Head(Struct, frozen=True, forbid_unknown_fields=True):
    n: int
    r: int
    p: int
    salt: bytes
    nonce: bytes


def seal(content: bytes, passphrase: str, cost: Cost | None = None) -> bytes:
    """The whole file. Takes a second."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    cost = cost or Cost()
    head = _Head(
        cost.n, cost.r, cost.p, secrets.token_bytes(SALT_BYTES), secrets.token_bytes(NONCE_BYTES)
    )
    lines = MAGIC + msgspec.json.encode(head) + b"\n"
    sealed = lines + AESGCM(_key(passphrase, head)).encrypt(head.nonce, content, lines)
    return sealed + hashlib.sha256(sealed).digest()


def check(data: bytes) -> None:
    """Raises CannotBeOpened unless it is such a file, and whole; it needs no passphrase."""
    if not data.startswith(FAMILY):
        raise CannotBeOpened("it is no backup of an appliance")
    if not data.startswith(MAGIC):
        raise CannotBeOpened("it is a backup of a later version: install that one first")
    body, digest = data[:-DIGEST_BYTES], data[-DIGEST_BYTES:]
    if hashlib.sha256(body).digest() != digest:
        raise CannotBeOpened("it is damaged, or was cut off: take another copy of it")


def unseal(data: bytes, passphrase: str) -> bytes:
    """The content; raises CannotBeOpened."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    check(data)
    head_line, newline, sealed = data[len(MAGIC) : -DIGEST_BYTES].partition(b"\n")
    try:
        if not newline or len(head_line) > LONGEST_HEAD:
            raise ValueError("no head")  # noqa: TRY301 - one sentence for all
        head = msgspec.json.decode(head_line, type=_Head)
        key = _key(passphrase, head)
    except (ValueError, RecursionError):
        raise CannotBeOpened(
            "its head makes no sense: it was not written by an appliance"
        ) from None
    try:
        return AESGCM(key).decrypt(head.nonce, sealed, MAGIC + head_line + newline)
    except (InvalidTag, ValueError):
        raise CannotBeOpened("this is not its passphrase") from None


def _key(passphrase: str, head: _Head) -> bytes:
    """Raises ValueError for a cost that no such file has, which would take all memory."""
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    cost = Cost(head.n, head.r, head.p)
    if min(cost.n, cost.r, cost.p) < 1 or cost.p > 16 or cost.memory_bytes > MOST_MEMORY:
        raise ValueError("no such cost")
    if len(head.salt) != SALT_BYTES or len(head.nonce) != NONCE_BYTES:
        raise ValueError("no such salt")
    made = Scrypt(salt=head.salt, length=KEY_BYTES, n=cost.n, r=cost.r, p=cost.p)
    return made.derive(passphrase.encode())


def made_passphrase() -> str:
    """One that nobody guesses and a person can write down: 125 bits in five groups."""
    letters = "abcdefghijkmnpqrstuvwxyz23456789"  # 32 that are not taken for one another
    return "-".join("".join(secrets.choice(letters) for _ in range(5)) for _ in range(5))
