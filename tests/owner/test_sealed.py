"""A sealed file: opened by its passphrase alone, and each way of being another file has its sentence."""

from __future__ import annotations

import hashlib
import re

import msgspec
import pytest

from appliance.owner.sealed import (
    DIGEST_BYTES,
    MAGIC,
    CannotBeOpened,
    Cost,
    check,
    made_passphrase,
    seal,
    unseal,
)

CHEAP = Cost(n=16, r=1, p=1)
CONTENT = b"what nobody is to read" * 10
SEALED = seal(CONTENT, "a passphrase", CHEAP)


def signed_anew(data: bytes) -> bytes:
    """As somebody writes it who knows the format."""
    return data + hashlib.sha256(data).digest()


def test_the_passphrase_opens_it_and_no_other_does() -> None:
    assert unseal(SEALED, "a passphrase") == CONTENT
    assert CONTENT[:22] not in SEALED
    for wrong in ("", "A passphrase", "a passphrase "):
        with pytest.raises(CannotBeOpened, match="not its passphrase"):
            unseal(SEALED, wrong)


def test_the_same_twice_is_not_the_same_file() -> None:
    assert seal(CONTENT, "a passphrase", CHEAP) != SEALED


@pytest.mark.parametrize("at", range(0, len(SEALED), 7))
def test_whatever_is_changed_is_noticed_before_a_passphrase_is_asked_for(at: int) -> None:
    broken = bytearray(SEALED)
    broken[at] ^= 1
    with pytest.raises(CannotBeOpened, match=r"no backup|later version|damaged"):
        check(bytes(broken))


@pytest.mark.parametrize("left", [0, 5, len(MAGIC), len(MAGIC) + 40, len(SEALED) - 1])
def test_one_that_is_cut_off(left: int) -> None:
    with pytest.raises(CannotBeOpened, match=r"no backup|damaged"):
        unseal(SEALED[:left], "a passphrase")


def test_a_foreign_file_and_one_of_a_later_version() -> None:
    with pytest.raises(CannotBeOpened, match="it is no backup of an appliance"):
        check(b"PK\x03\x04 a photograph")
    with pytest.raises(CannotBeOpened, match="later version"):
        check(SEALED.replace(b"backup 1\n", b"backup 2\n"))


def test_whoever_writes_the_digest_anew_changes_nothing_unnoticed() -> None:
    body = SEALED[:-DIGEST_BYTES]
    for at in (len(MAGIC) + 3, len(body) - 3):
        changed = bytearray(body)
        changed[at] ^= 1
        with pytest.raises(CannotBeOpened, match=r"not its passphrase|makes no sense"):
            unseal(signed_anew(bytes(changed)), "a passphrase")


@pytest.mark.parametrize(
    "head",
    [
        {"n": 2**40, "r": 8, "p": 1},
        {"n": 2**16, "r": 2**20, "p": 1},
        {"n": 16, "r": 1, "p": 2**20},
        {"n": 0, "r": 1, "p": 1},
        {"n": 3, "r": 1, "p": 1},
        {"n": "x", "r": 1, "p": 1},
    ],
)
def test_a_head_that_would_take_all_memory_is_refused(head: dict[str, object]) -> None:
    line = msgspec.json.encode({**head, "salt": b"s" * 16, "nonce": b"n" * 12})
    with pytest.raises(CannotBeOpened, match="makes no sense"):
        unseal(signed_anew(MAGIC + line + b"\nsealed"), "a passphrase")


def test_a_made_passphrase_can_be_written_down() -> None:
    made = made_passphrase()
    assert re.fullmatch(r"([a-km-np-z2-9]{5}-){4}[a-km-np-z2-9]{5}", made), made
    assert made != made_passphrase()


def test_the_usual_cost_is_no_small_one() -> None:
    assert Cost().memory_bytes > 64 * 1024**2
