"""What is shown of an invitation to whoever stands before a new device: on a terminal, and in the log."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appliance.invitation import link_of, qr_code, qr_plain
from appliance.pair import warnings_of
from appliance.service.doctor.image import IMAGE

WIDE = 100
"""Columns of a log that is looked at in a terminal."""
GAP = 6
"""Columns between two codes: a phone's camera is to see one of them."""
BY = " (this device by cable, or by the Wi-Fi that door.txt on its card names)"
TRUST = """\
1. Have the phone trust this device, once: {url}
   It warns, since it does not yet: load it all the same, and install it. Android: Settings, Security,
   Install a certificate, CA certificate. iPhone: Settings, Profile downloaded; then General, About,
   Certificate Trust Settings, and switch it on. Its SHA-256 is
   {sha256}"""
ENDS = """\
It is good once, for {minutes:g} minutes; where none is shown any more, a press of the bell brings another.
Who opens it may: {may}."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """What is shown of one invitation: what to trust first, where that is needed, and then the link."""

    head: str
    trust: str | None
    trusted: str | None
    """The address of what a phone is to trust."""
    first: str
    link: str
    rest: tuple[str, ...]

    @classmethod
    def of(cls, made: Mapping[str, Any], image: Path = Path(IMAGE)) -> Sheet:
        """Of what the appliance answers to who invites; `image` is there where this is one."""
        page, invitation, authority = made["page"], made["invitation"], made["authority"]
        trusted = authority["url"] if authority else None
        said = warnings_of(page, invitation["websocket_url"], own=authority is not None)
        notes = (f"note: {one}" for one in said)
        return cls(
            f"{made['device']} waits for its first phone, which is to be in the same network"
            f"{BY if image.exists() else ''}: {page}",
            TRUST.format_map(authority) if authority else None,
            trusted,
            f"{'2. ' if trusted else ''}Scan this, or open the link below it:",
            link_of(page, invitation),
            (
                *notes,
                ENDS.format(minutes=made["expires_s"] / 60, may=", ".join(made["may"])),
            ),
        )

    def plain(self) -> str:
        """For a log, without a terminal's colours."""
        trusting = [] if self.trusted is None else [self.trust, qr_plain(self.trusted, WIDE)]
        code = qr_plain(self.link, WIDE)
        lines = (self.head, *trusting, self.first, code, self.link, *self.rest)
        return "\n".join(line for line in lines if line)

    def drawn(self, columns: int, rows: int) -> str:
        """For a terminal of that size: the codes beside one another where they have room, without the words
        that have none, and without codes where there is not even room for those.
        """
        code = qr_code(self.link, columns)
        words = [self.head, *([self.trust] if self.trust else []), self.first]
        if code is None or _height(code) >= rows:
            room = "Its code has no room here: `journalctl -u appliance-welcome` shows it as well."
            return "\n".join([*words, "", self.link, "", *self.rest, room, ""])
        if self.trusted is not None:
            code = _beside(code, qr_code(self.trusted, columns), columns)
        whole = "\n".join([*words, code, "", self.link, "", *self.rest, ""])
        if _height(whole, columns) < rows:
            return whole
        short = "\n".join([*words, code, *self.rest])
        return short if _height(short, columns) < rows else code


def _beside(code: str, first: str | None, columns: int) -> str:
    """Two codes in the same lines, the first on the left; only the second where both are too wide."""
    if first is None:
        return code
    left, right = first.split("\n"), code.split("\n")
    wide = _width(left[0])
    if wide + GAP + _width(right[0]) > columns:
        return code
    left += [" " * wide] * (len(right) - len(left))
    return "\n".join(f"{one}{' ' * GAP}{other}" for one, other in zip(left, right, strict=False))


def _width(line: str) -> int:
    """In columns; what tells a terminal its colours has none."""
    return len(re.sub(r"\x1b\[[0-9;]*m", "", line))


def _height(text: str, columns: int = 10_000) -> int:
    """In rows of a terminal that breaks lines which are too long."""
    return sum(max(1, -(-_width(line) // columns)) for line in text.split("\n"))
