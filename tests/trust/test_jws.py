"""Signed texts: one header, one spelling; thousands of others, none of which is believed."""

from __future__ import annotations

import hashlib
import hmac
import json
import random
from typing import Any

import pytest

from appliance.trust.jws import Untrusted, is_sealed, peek, seal, unseal
from appliance.trust.keys import DeviceKey, PublicKey, encoded

ALICE, MALLORY = DeviceKey.make(), DeviceKey.make()
KEYS = {ALICE.kid: ALICE.public_key}
PAYLOAD = b'{"v":1,"type":"ringing","body":{}}'
HEADER = {"alg": "Ed25519", "kid": ALICE.kid, "typ": "appliance+json"}


def with_header(header: Any, key: DeviceKey = ALICE, payload: bytes = PAYLOAD) -> bytes:
    """What `key` signs under another header; `header` is its bytes, or becomes JSON."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    signed = f"{encoded(text)}.{encoded(payload)}".encode()
    return signed + b"." + encoded(key.sign(signed)).encode()


def refused(compact: bytes, keys: dict[str, PublicKey] = KEYS) -> str:
    with pytest.raises(Untrusted) as caught:
        unseal(compact, keys)
    assert str(caught.value)
    return caught.value.code


def test_what_was_sealed_comes_out_byte_by_byte() -> None:
    compact = seal(PAYLOAD, ALICE)
    assert is_sealed(compact)
    assert not is_sealed(PAYLOAD)
    assert unseal(compact, KEYS) == (PAYLOAD, ALICE.kid)


def test_one_may_look_into_it_before_it_is_verified() -> None:
    assert peek(seal(PAYLOAD, MALLORY)) == PAYLOAD
    for text in (b"", PAYLOAD, b"a.b", b"a.A.c"):
        with pytest.raises(Untrusted):
            peek(text)


def test_the_header_is_exactly_that_of_the_interface() -> None:
    header = seal(PAYLOAD, ALICE).split(b".")[0].decode()
    assert header == encoded(json.dumps(HEADER, separators=(",", ":")).encode())


def test_members_in_another_order_are_the_same_header() -> None:
    assert unseal(with_header(dict(reversed(HEADER.items()))), KEYS).payload == PAYLOAD


@pytest.mark.parametrize(
    "header",
    [
        {**HEADER, "alg": "none"},
        {**HEADER, "alg": "HS256"},
        {**HEADER, "alg": "EdDSA"},
        {**HEADER, "alg": "ed25519"},
        {**HEADER, "alg": None},
        {**HEADER, "alg": ["Ed25519"]},
        {**HEADER, "typ": "JWT"},
        {**HEADER, "typ": "application/appliance+json"},
        {**HEADER, "kid": None},
        {**HEADER, "kid": "short"},
        {**HEADER, "kid": 7},
        {**HEADER, "jwk": {"kty": "OKP"}},
        {**HEADER, "b64": False, "crit": ["b64"]},
        {**HEADER, "x5u": "https://example.com"},
        {"alg": "Ed25519", "kid": ALICE.kid},
        {"alg": "Ed25519", "typ": "appliance+json"},
        {"kid": ALICE.kid, "typ": "appliance+json"},
        {},
        [],
        [HEADER],
        ["alg", "kid", "typ"],
        "text",
        1,
        None,
        json.dumps(HEADER).encode().replace(b"{", b'{"alg": "none", ', 1),
        json.dumps(HEADER).encode().replace(b"{", b'{"alg": "Ed25519", ', 1),
        json.dumps(HEADER).encode() + b" " * 200,
    ],
    ids=lambda value: str(value).replace(ALICE.kid, "kid")[:48],
)
def test_another_header_is_refused_though_the_right_key_signed_it(header: Any) -> None:
    assert refused(with_header(header)) == "bad_header"


@pytest.mark.parametrize("header", [b"", b"{", b"\xff", b"not json", b"[" * 150])
def test_a_header_that_is_no_json_is_refused(header: bytes) -> None:
    assert refused(with_header(header) if header else b"..") == "malformed"


def test_a_symmetric_signature_with_the_public_key_is_refused() -> None:
    header = encoded(json.dumps({**HEADER, "alg": "HS256"}).encode())
    signed = f"{header}.{encoded(PAYLOAD)}".encode()
    mac = hmac.new(ALICE.public_key.raw, signed, hashlib.sha256).digest()
    assert refused(signed + b"." + encoded(mac * 2).encode()) == "bad_header"


def test_no_signature_is_refused() -> None:
    header, payload, _ = seal(PAYLOAD, ALICE).split(b".")
    assert refused(b".".join((header, payload, b""))) == "malformed"
    assert refused(b".".join((header, payload))) == "malformed"
    assert refused(b".".join((header, payload, b"AAAA"))) == "malformed"


def test_an_unknown_key_is_refused_and_a_known_one_that_did_not_sign() -> None:
    assert refused(seal(PAYLOAD, MALLORY)) == "unverifiable"
    assert refused(with_header(HEADER, MALLORY)) == "forged"
    assert refused(seal(PAYLOAD, ALICE), {}) == "unverifiable"


def test_parts_of_two_texts_make_no_third() -> None:
    one, two = seal(PAYLOAD, ALICE).split(b"."), seal(b'{"v":2}', ALICE).split(b".")
    assert refused(b".".join((one[0], two[1], one[2]))) == "forged"
    assert refused(b".".join((one[0], one[1], two[2]))) == "forged"


def test_every_other_spelling_is_refused() -> None:
    compact = seal(PAYLOAD, ALICE)
    header, payload, signature = compact.split(b".")
    for other in (
        compact + b"\n",
        b" " + compact,
        compact + b"=",
        compact + b".",
        compact + b".AAAA",
        compact + b"AAAA",
        compact + b"A",
        compact + b"\x00",
        compact.replace(b".", b"..", 1),
        b".".join((header + b"=", payload, signature)),
        b'{"payload":"' + payload + b'","signatures":[]}',
    ):
        assert refused(other) == "malformed"


def test_bits_that_stand_for_nothing_are_no_second_spelling() -> None:
    compact = seal(PAYLOAD, ALICE)
    # 64 bytes leave four bits of the last character unused
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    at = alphabet.index(compact[-1:])
    for bits in range(1, 16):
        assert refused(compact[:-1] + alphabet[at ^ bits :][:1]) == "malformed"


def test_of_thousands_with_bits_flipped_none_is_believed() -> None:
    """Every single bit, and two and more at random."""
    compact = seal(PAYLOAD, ALICE)
    dice = random.Random(7)
    mutants = [bytearray(compact) for _ in range(8 * len(compact) + 2000)]
    for at, mutant in enumerate(mutants):
        bits = [at] if at < 8 * len(compact) else dice.sample(range(8 * len(compact)), 1 + at % 5)
        for bit in bits:
            mutant[bit // 8] ^= 1 << bit % 8
    codes = {refused(bytes(mutant)) for mutant in mutants}
    assert codes == {"malformed", "bad_header", "unverifiable", "forged"}
