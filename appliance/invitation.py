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
    rows = _rows(text, columns)
    if rows is None:
        return None
    return "\n".join(f"{LIGHT}{DARK}{line}{REST}" for line in _lines(rows, _HALVES))


def qr_plain(text: str, columns: int) -> str | None:
    """The same without colours, for a log: what is light is drawn, so that it is right on a dark ground."""
    rows = _rows(text, columns)
    return None if rows is None else "\n".join(_lines(rows, _LIGHT_HALVES))


def _rows(text: str, columns: int) -> list[list[bool]] | None:
    """True where it is dark, an even number of rows; None where it is wider than that."""
    import segno  # only who pairs waits for it

    code = segno.make_qr(text, error="l", boost_error=False)
    width, _ = code.symbol_size(border=QUIET)
    if width > columns:
        return None
    rows = [[bool(module) for module in row] for row in code.matrix_iter(border=QUIET)]
    if len(rows) % 2:
        rows.append([False] * len(rows[0]))
    return rows


def _lines(rows: list[list[bool]], halves: Mapping[tuple[bool, bool], str]) -> list[str]:
    return [
        "".join(halves[pair] for pair in zip(above, below, strict=True))
        for above, below in zip(rows[::2], rows[1::2], strict=True)
    ]


_HALVES = {(False, False): " ", (True, False): "▀", (False, True): "▄", (True, True): "█"}
_LIGHT_HALVES = {(not above, not below): half for (above, below), half in _HALVES.items()}


def uid_of(name: str, taken: Iterable[str]) -> str:
    """A uid for a person of that name, unlike those that are taken."""
    plain = (
        unicodedata.normalize("NFKD", name.replace("ß", "ss")).encode("ascii", "ignore").decode()
    )
    base = re.sub(r"[^a-z0-9_-]+", "-", plain.lower()).strip("-")[:56] or "person"
    known = set(taken)
    candidates = (base, *(f"{base}-{number}" for number in range(2, len(known) + 3)))
    return next(one for one in candidates if one not in known)
