"""Signed messages: compact JWS (RFC 7515) with one algorithm, one header, and one spelling of each."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import NamedTuple

from appliance.errors import ApplianceError
from appliance.trust.keys import SIGNATURE_BYTES, DeviceKey, PublicKey, decoded, encoded

ALGORITHM = "Ed25519"
"""RFC 9864; its forerunner EdDSA names no curve, and is not taken."""
TYPE = "appliance+json"
MAX_HEADER = 256
"""Characters: the one header has 116."""

_COMPACT = re.compile(rb"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
_HEADER = {"alg", "kid", "typ"}


class Untrusted(ApplianceError):
    """A text that is not believed to be signed: `code` says which rule, the sentence why.

    Codes: malformed (not a compact JWS as it is to be written), bad_header (it claims anything else
    than the one header does), unverifiable (no key of that name is known), forged (the key did not
    sign this).
    """

    def __init__(self, code: str, sentence: str) -> None:
        """Keep the code beside the sentence."""
        super().__init__(sentence)
        self.code = code


class Unsealed(NamedTuple):
    """What was signed, byte by byte, and the name of the key that did."""

    payload: bytes
    kid: str


def is_sealed(text: bytes) -> bool:
    """Whether it has the form of a compact JWS, which no JSON object has."""
    return _COMPACT.fullmatch(text) is not None


def seal(payload: bytes, key: DeviceKey) -> bytes:
    """The compact JWS over exactly these bytes."""
    header = json.dumps(
        {"alg": ALGORITHM, "kid": key.kid, "typ": TYPE}, separators=(",", ":")
    ).encode()
    signed = f"{encoded(header)}.{encoded(payload)}".encode()
    return signed + b"." + encoded(key.sign(signed)).encode()


def peek(compact: bytes) -> bytes:
    """What is in it, believed by nobody: only to find out by whose keys to verify it.

    Raises `Untrusted` where it has not the form.
    """
    parts = _COMPACT.fullmatch(compact)
    try:
        if parts is not None:
            return decoded(parts[2].decode())
    except ValueError:
        pass
    raise Untrusted("malformed", "this is not a compact JWS")


def kid_of(compact: bytes) -> str | None:
    """The key that it names, which is believed by nobody; None where the header is not the one there is."""
    end = compact.find(b".", 0, MAX_HEADER + 1)
    try:
        return _kid_of(compact[:end].decode()) if end > 0 else None
    except (Untrusted, UnicodeDecodeError):
        return None


def unseal(compact: bytes, keys: Mapping[str, PublicKey]) -> Unsealed:
    """What one of these keys, each by its thumbprint, has signed; raises only `Untrusted`.

    The message chooses none of it: neither the algorithm nor a key that is not among these.
    """
    parts = _COMPACT.fullmatch(compact)
    if parts is None:
        raise Untrusted("malformed", "this is not a compact JWS")
    header, payload, signature = (part.decode() for part in parts.groups())
    kid = _kid_of(header)
    try:
        content, signed_by = decoded(payload), decoded(signature)
    except ValueError as fault:
        raise Untrusted("malformed", f"in a part of the JWS: {fault}") from None
    if len(signed_by) != SIGNATURE_BYTES:
        raise Untrusted("malformed", f"its signature has {len(signed_by)} bytes, not 64")
    key = keys.get(kid)
    if key is None:
        raise Untrusted("unverifiable", f"no key {kid} is known here")
    if not key.verifies(signed_by, compact[: parts.end(2)]):
        raise Untrusted("forged", f"the key {kid} did not sign this")
    return Unsealed(content, kid)


def _kid_of(header: str) -> str:
    if len(header) > MAX_HEADER:
        raise Untrusted("bad_header", "its protected header is longer than the one there is")
    try:
        members = json.loads(decoded(header).decode(), object_pairs_hook=list)
    except (ValueError, RecursionError):
        raise Untrusted("malformed", "its protected header is not JSON in base64url") from None
    if not isinstance(members, list) or not all(isinstance(one, tuple) for one in members):
        raise Untrusted("bad_header", "its protected header is not an object")
    said = dict(members)
    if len(members) != len(_HEADER) or said.keys() != _HEADER:
        raise Untrusted("bad_header", "its protected header has alg, kid and typ, once each, alone")
    if said["alg"] != ALGORITHM:
        raise Untrusted("bad_header", f"alg is {_short(said['alg'])}, only {ALGORITHM} is taken")
    if said["typ"] != TYPE:
        raise Untrusted("bad_header", f"typ is {_short(said['typ'])}, not {TYPE}")
    if not isinstance(said["kid"], str) or not re.fullmatch(r"[A-Za-z0-9_-]{43}", said["kid"]):
        raise Untrusted("bad_header", "kid is not the thumbprint of a key")
    return said["kid"]


def _short(value: object) -> str:
    return repr(value)[:40]
