"""What a phone is given to pair: the words of an invitation, its link, and its picture for a terminal.

The link keeps all of it behind the `#`, which a browser sends to nobody.
"""

from __future__ import annotations

import base64
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

VERSION = 1
QUIET = 2
"""Modules of light around the code: four by the standard, and two are enough for every phone."""

LIGHT, DARK, REST = "\x1b[107m", "\x1b[30m", "\x1b[0m"
"""As a terminal is told to be white behind and black before, whatever its own colours are."""


def link_of(page: str, invitation: Mapping[str, Any]) -> str:
    """The address that a phone opens. `page` is the page's own, without a fragment."""
    said = json.dumps(invitation, separators=(",", ":"), ensure_ascii=False).encode()
    packed = base64.urlsafe_b64encode(said).rstrip(b"=").decode()
    return f"{page.split('#')[0]}#pair={packed}"


def qr_code(text: str, columns: int) -> str | None:
    """The text as a QR code for a terminal, two rows of it in each line; None where it is too narrow."""
    import segno  # only who pairs waits for it

    code = segno.make_qr(text, error="l", boost_error=False)
    width, _ = code.symbol_size(border=QUIET)
    if width > columns:
        return None
    rows = [[bool(module) for module in row] for row in code.matrix_iter(border=QUIET)]
    if len(rows) % 2:
        rows.append([False] * len(rows[0]))
    lines = (
        "".join(_HALVES[pair] for pair in zip(above, below, strict=True))
        for above, below in zip(rows[::2], rows[1::2], strict=True)
    )
    return "\n".join(f"{LIGHT}{DARK}{line}{REST}" for line in lines)


_HALVES = {(False, False): " ", (True, False): "▀", (False, True): "▄", (True, True): "█"}


def uid_of(name: str, taken: Iterable[str]) -> str:
    """A uid for a person of that name, unlike those that are taken."""
    plain = (
        unicodedata.normalize("NFKD", name.replace("ß", "ss")).encode("ascii", "ignore").decode()
    )
    base = re.sub(r"[^a-z0-9_-]+", "-", plain.lower()).strip("-")[:56] or "person"
    known = set(taken)
    candidates = (base, *(f"{base}-{number}" for number in range(2, len(known) + 3)))
    return next(one for one in candidates if one not in known)
