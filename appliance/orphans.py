"""Errors of tasks that nobody owns (aiortc starts some): told, not lost, and not each of a flood."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

from appliance.calls.inputs import FaultReported, Input
from appliance.limits import Recent

log = logging.getLogger(__name__)

SAID_AGAIN_S = 60.0
"""How often one kind of error is told."""
KINDS = 64
"""How many kinds are remembered."""


class Orphans:
    """A handler for `loop.set_exception_handler`."""

    def __init__(
        self, post: Callable[[Input], None], *, now: Callable[[], float] = time.monotonic
    ) -> None:
        """`post` gives the core an input; `now` is in seconds."""
        self._post = post
        self._now = now
        self._kinds: Recent[tuple[str, str], tuple[float, int]] = Recent(KINDS)
        """When each kind was told, and how many have been since."""

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Tell the error that asyncio gives, unless one of its kind has just been told."""
        error = context.get("exception")
        message = str(context.get("message"))
        # what follows is of one task alone: its name, an address in memory
        kind = (message.partition("<")[0].partition("(")[0], type(error).__name__)
        now_s = self._now()
        told_at_s, withheld = self._kinds.get(kind, (now_s - SAID_AGAIN_S, 0))
        if now_s - told_at_s < SAID_AGAIN_S:
            self._kinds[kind] = (told_at_s, withheld + 1)
            return
        self._kinds[kind] = (now_s, 0)
        more = f" ({withheld} more of the kind before it)" if withheld else ""
        log.error("on the loop: %s%s", message, more, exc_info=error)
        self._post(FaultReported("loop", f"{message}: {error!r}{more}"))
