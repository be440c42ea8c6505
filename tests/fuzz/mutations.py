"""How bytes, texts and JSON are spoilt: everything is drawn from one seeded source."""

from __future__ import annotations

import copy
import json
from random import Random
from typing import Any

HOSTILE: tuple[Any, ...] = (
    None, True, -1, 2**63, 2**70, 1e308, 0.5, "", " ", "\x00", "٣", "𝔞", "a" * 5000, "../../etc/passwd",
    [], {}, [[]], {"a": {}}, "é\u202e", "NaN", "2026-13-45T99:99:99Z",
)  # fmt: skip
"""What a field is not."""

WORDS = (
    "9" * 20,
    " ",
    ":",
    "/",
    "-1",
    "\x00",
    "é",
    "=",
    "a" * 2000,
    "\n",
    "\x85",
    "٣",
    "%s",
    "\x0b",
)


def of_bytes(data: bytes, rng: Random) -> bytes:
    """Flip bits, cut, repeat, insert or splice, a few times."""
    spoilt = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(spoilt) + 1)
        match rng.randrange(6):
            case 0 if spoilt:
                spoilt[at % len(spoilt)] ^= 1 << rng.randrange(8)
            case 1:
                del spoilt[at:]
            case 2:
                spoilt[at:at] = rng.randbytes(rng.randint(1, 8))
            case 3:
                del spoilt[at : at + rng.randint(1, 20)]
            case 4:
                spoilt[at:at] = spoilt[rng.randrange(len(spoilt) + 1) :][: rng.randint(1, 60)]
            case _ if spoilt:
                spoilt[at % len(spoilt)] = rng.randrange(256)
    return bytes(spoilt)


def of_sdp(sdp: str, rng: Random) -> str:
    """Leave out, repeat, cut, stuff, swap or shuffle lines."""
    lines = sdp.split("\r\n")
    whole = list(lines)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(lines)) if lines else 0
        line = lines[at] if lines else ""
        cut = rng.randrange(len(line) + 1)
        match rng.randrange(7):
            case 0 if lines:
                del lines[at]
            case 1:
                lines.insert(at, rng.choice(whole))
            case 2 if lines:
                lines[at] = line[:cut]
            case 3 if lines:
                lines[at] = line[:cut] + rng.choice(WORDS) + line[cut:]
            case 4 if lines:
                words = line.split(" ")
                words[rng.randrange(len(words))] = rng.choice(
                    ["", "x", "-1", "1e9", "4294967296", "::", "0.0.0.0", "0", "127.0.0.1"]  # noqa: S104
                )
                lines[at] = " ".join(words)
            case 5 if lines:
                other = rng.randrange(len(lines))
                lines[at], lines[other] = lines[other], lines[at]
            case _ if rng.random() < 0.1:
                rng.shuffle(lines)
    return "\r\n".join(lines)


def of_json(value: dict[str, Any], rng: Random) -> dict[str, Any]:
    """Another value, one field less or more, somewhere."""
    spoilt: dict[str, Any] = copy.deepcopy(value)
    place: Any = spoilt
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not keys:
            return spoilt
        key = rng.choice(keys)
        if isinstance(place[key], dict | list) and place[key] and rng.random() < 0.7:
            place = place[key]
            continue
        match rng.randrange(3):
            case 0:
                place[key] = rng.choice(HOSTILE)
            case 1:
                del place[key]
            case _ if isinstance(place, dict):
                place[f"{key}x"] = place.pop(key)
        return spoilt


def as_text(value: Any) -> bytes:
    """JSON as nobody wrote it by hand."""
    return json.dumps(value, separators=(",", ":")).encode()
