"""A text that somebody else may read: without secrets and without people's names.

What is known to be secret is found in every usual spelling; what only looks like it goes too. A person is
called the same wherever the text names it, so that one can still follow a story. Pure.
"""

from __future__ import annotations

import base64
import ipaddress
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from appliance.service.journal import without_secrets

SECRET = "***"  # noqa: S105 - it stands in the place of one
SHORTEST = 4
"""Characters of a secret that is looked for within words; a shorter one only where it stands alone."""
SHOWN_OF_A_KEY = 6
LONGEST_LINE = 8000
"""What looks like a secret is looked for in so many characters: more than the square of a line's length
nobody waits for."""

_PEM = re.compile(r"-----BEGIN [A-Z0-9 ]+-----.*?(-----END [A-Z0-9 ]+-----|\Z)", re.DOTALL)
_INVITATION = re.compile(r"#pair=[A-Za-z0-9_=-]*")
_KEY = re.compile(r"(?<![A-Za-z0-9_-])[A-Za-z0-9_-]{43}=?(?![A-Za-z0-9_-])")
"""A key of 32 bytes or its thumbprint, in base64url."""
_MAIL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+")
_MAC = re.compile(r"\b((?:[0-9a-f]{2}[:-]){2}[0-9a-f]{2})(?:[:-][0-9a-f]{2}){3}\b", re.IGNORECASE)
_ADDRESS = re.compile(
    r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7})(?![\w:]|\.\d)",
    re.IGNORECASE,
)


class Redaction:
    """Takes out what is given to it; made once for all texts of a bundle."""

    def __init__(
        self,
        secrets: Iterable[bytes] = (),
        people: Mapping[str, Iterable[str]] | None = None,
        words: Iterable[str] = (),
    ) -> None:
        """`secrets` as they are; `people` are the names of each, by its uid; `words` are keys of
        documents that stay though somebody is called so.
        """
        found = {text for secret in secrets for text in spellings(secret)}
        self._secrets = [_secret(text) for text in sorted(found, key=len, reverse=True)]
        self._people: dict[str, str] = {}
        for number, (uid, names) in enumerate((people or {}).items(), 1):
            for name in (uid, *names):
                self._people.setdefault(name.strip().lower(), f"person-{number}")
        self._people.pop("", None)
        self._words = frozenset(words)
        longest_first = sorted(self._people, key=len, reverse=True)
        self._names = re.compile(
            rf"(?<![^\W_])(?:{'|'.join(map(re.escape, longest_first))})(?![^\W_])"
            if longest_first
            else r"(?!)",
            re.IGNORECASE,
        )

    def text(self, text: str) -> str:
        """The text as others may have it."""
        text = self.secrets(text)
        text = _PEM.sub("<PEM>", text)
        return "\n".join(map(self._line, text.split("\n")))

    def _line(self, text: str) -> str:
        if len(text) > LONGEST_LINE:
            text = f"{text[:LONGEST_LINE]}… ({len(text)} characters)"
        text = _INVITATION.sub("#pair=<invitation>", text)
        text = _KEY.sub(_shortened, without_secrets(text))
        text = self._names.sub(self._person, text)
        text = _MAIL.sub("<mail address>", text)
        text = _MAC.sub(r"\1:**:**:**", text)
        return _ADDRESS.sub(_address, text)

    def secrets(self, text: str) -> str:
        """The text without what is known to be secret; all else as it is."""
        for secret in self._secrets:
            text = secret.sub(SECRET, text)
        return text

    def document(self, value: Any, *, of_people: bool = False) -> Any:
        """The same of whatever JSON can hold; with `of_people` every key of it may name somebody."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {
                self._key(str(key), of_people): self.document(
                    inner, of_people=str(key) in ("contacts", "presence", "groups")
                )
                for key, inner in value.items()
            }
        if isinstance(value, list | tuple | set | frozenset):
            return [self.document(inner) for inner in value]
        return value

    def _key(self, key: str, of_people: bool) -> str:
        return key if key in self._words and not of_people else self.text(key)

    def _person(self, found: re.Match[str]) -> str:
        return self._people[found[0].lower()]


def spellings(secret: bytes) -> set[str]:
    """How a secret may have been written down."""
    texts = {
        secret.hex(),
        secret.hex().upper(),
        base64.b64encode(secret).rstrip(b"=").decode(),
        base64.urlsafe_b64encode(secret).rstrip(b"=").decode(),
        quote(secret, safe=""),
        repr(secret)[2:-1],
        json.dumps(secret.decode("latin-1"))[1:-1],
    }
    if (plain := secret.decode("utf-8", "replace")).isprintable():
        texts |= {plain, repr(plain)[1:-1], json.dumps(plain, ensure_ascii=False)[1:-1]}
    return {text for text in texts if text}


def secrets_in(content: bytes) -> set[bytes]:
    """What of a file that holds a secret is one: its lines, and the number of a key in PEM."""
    lines = {line.strip() for line in content.splitlines()}
    found = {line for line in lines if line and not line.startswith(b"-----")}
    if b"-----BEGIN" in content:
        found |= set(_numbers(content))
    return found


def _numbers(pem: bytes) -> Iterable[bytes]:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return
    if isinstance(key, Ed25519PrivateKey):
        yield key.private_bytes_raw()
    elif isinstance(key, EllipticCurvePrivateKey):
        yield key.private_numbers().private_value.to_bytes((key.key_size + 7) // 8, "big")


def _secret(text: str) -> re.Pattern[str]:
    quoted = re.escape(text)
    return re.compile(quoted if len(text) >= SHORTEST else rf"(?<!\w){quoted}(?!\w)")


def _shortened(found: re.Match[str]) -> str:
    """A key as it may be told from others, and not used: a plain word of that length stays."""
    text = found[0]
    is_word = text.islower() or text.isupper() or not any(one.isdigit() for one in text)
    return text if is_word else f"{text[:SHOWN_OF_A_KEY]}…"


def _address(found: re.Match[str]) -> str:
    """Addresses of the house stay; one that is somebody's on the internet does not."""
    try:
        address = ipaddress.ip_address(found[0])
    except ValueError:
        return found[0]
    return f"<public IPv{address.version}>" if address.is_global else found[0]
