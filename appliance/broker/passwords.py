"""The file of passwords of a mosquitto broker: who is in it, hashed as mosquitto 2 reads it.

`mosquitto_passwd` writes the same lines, but is given a password as an argument, where every program
of the machine can read it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from pathlib import Path

from appliance.errors import ApplianceError
from appliance.whole_file import write_whole

ITERATIONS = 1000
"""Of PBKDF2. A password of 192 random bits cannot be guessed, however fast; and a broker on a Pi
hashes at each log-in, while nobody else is served."""
SALT_BYTES, HASH_BYTES, PASSWORD_BYTES = 12, 64, 24

NAME = re.compile(r"[a-z0-9_-]{1,64}")
"""An id of the interfaces: with it no topic can be meant that is not its own."""


class NoAccount(ApplianceError):
    """There is no such account, or none can be made."""

    code = "no_account"


def check_name(name: str) -> None:
    """Raise NoAccount for what no account may be named."""
    if not NAME.fullmatch(name):
        raise NoAccount(f"{name!r} is no name of an account: 1 to 64 of a-z, 0-9, _ and -")


def new_password() -> str:
    """192 random bits, as text that can be typed."""
    return secrets.token_urlsafe(PASSWORD_BYTES)


def hashed(password: str) -> str:
    """A password as mosquitto 2 keeps it: `$7$<iterations>$<salt>$<PBKDF2 with SHA-512>`."""
    salt = secrets.token_bytes(SALT_BYTES)
    derived = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ITERATIONS, HASH_BYTES)
    return f"$7${ITERATIONS}${_text(salt)}${_text(derived)}"


def fits(password: str, kept: str) -> bool:
    """Whether a hash of this module's, or of `mosquitto_passwd`, is this password's."""
    try:
        _, kind, iterations, salt, derived = kept.split("$")
        raw = base64.b64decode(derived, validate=True)
        found = hashlib.pbkdf2_hmac(
            "sha512", password.encode(), base64.b64decode(salt), int(iterations), len(raw)
        )
    except ValueError:
        return False
    return kind == "7" and hmac.compare_digest(found, raw)


class PasswordFile:
    """The accounts of one broker. Blocks; the file is always whole, and belongs to nobody else."""

    def __init__(self, file: Path) -> None:
        """`file` may be there already, or is made with the first account."""
        self._file = file

    def accounts(self) -> Mapping[str, str]:
        """Name to hash, as the file has it. Raises OSError, or UnicodeDecodeError."""
        try:
            text = self._file.read_text("utf-8")
        except FileNotFoundError:
            return {}
        pairs = (line.partition(":") for line in text.splitlines())
        return {name: kept for name, colon, kept in pairs if colon}

    def make(self, name: str, password: str | None = None) -> str:
        """A password, a new one unless given, for an account; an old one is good no more.

        Raises NoAccount, OSError.
        """
        check_name(name)
        password = password or new_password()
        self._write({**self.accounts(), name: hashed(password)})
        return password

    def remove(self, name: str) -> bool:
        """Take an account away; False where there was none. Raises OSError."""
        accounts = dict(self.accounts())
        there = accounts.pop(name, None) is not None
        if there:
            self._write(accounts)
        return there

    def _write(self, accounts: Mapping[str, str]) -> None:
        lines = (f"{name}:{kept}\n" for name, kept in accounts.items())
        write_whole(self._file, "".join(lines).encode())


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
