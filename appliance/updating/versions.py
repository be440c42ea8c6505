"""Which of two versions is newer, as semver.org has it, of as many numbers as there are; which one runs."""

from __future__ import annotations

import re
from pathlib import Path

from appliance import __version__

SYSTEM = Path("/usr/lib/appliance-image/version")
"""What an image is, and the bundle that was made of it: `image-build/update/install` has written it there.

The same appliance comes in more than one system: a fix of the system alone has another version as well.
"""

_SPELLED = re.compile(r"(\d+(?:\.\d+)*)(?:[-~]([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?")

_Key = tuple[tuple[int, ...], bool, tuple[tuple[bool, int, str], ...]]


def running() -> str:
    """The version of the system that runs; of a system that says none the appliance's own."""
    try:
        return SYSTEM.read_text("utf-8").strip() or __version__
    except (OSError, UnicodeError):
        return __version__


def is_newer(version: str | None, than: str) -> bool:
    """Whether it comes later; what cannot be understood never does."""
    one, other = _key(version or ""), _key(than)
    return one is not None and other is not None and one > other


def _key(version: str) -> _Key | None:
    found = _SPELLED.fullmatch(version)
    if found is None:
        return None
    numbers = [int(each) for each in found[1].split(".")]
    while numbers[-1:] == [0]:
        numbers.pop()
    before = (found[2] or "").split(".") if found[2] else []
    # a prerelease comes before its release; numbers among its words before letters
    words = tuple(
        (not each.isdecimal(), int(each) if each.isdecimal() else 0, each) for each in before
    )
    return tuple(numbers), not before, words
