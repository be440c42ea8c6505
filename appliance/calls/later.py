"""The answer of a command that comes in a later turn."""

from __future__ import annotations

from typing import Final


class Later:
    """The result of a command whose rule has seen to it that somebody replies."""


LATER: Final = Later()
