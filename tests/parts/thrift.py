"""What a run of everything goes without: long stacks of futures, and a look over what was there before.

asyncio's debug mode stays on with all that it finds. Yet it notes for each future and each handle where
it came from, all frames up to the process's first line, and reads their lines: a third of the time of a
test with media. Beside others a test does with three; what fails is played again alone, and has all.
"""

from __future__ import annotations

import asyncio.constants
import gc
import itertools
import sys
import traceback
from collections.abc import Iterator
from types import FrameType

import pytest

FRAMES = 3
"""Enough to say which line made it: of a task, and of one in a group, some are asyncio's own."""

_Walk = Iterator[tuple[FrameType, int]]


def short_stacks(patch: pytest.MonkeyPatch) -> None:
    """Let whoever asks where he stands be told `FRAMES` of it; what was raised keeps all of its frames."""
    walk = traceback.walk_stack

    def some(frame: FrameType | None) -> _Walk:
        if frame is None:
            return walk(frame)
        # two frames up is who asked traceback.extract_stack: its own module, where the stack is printed for
        # somebody to read, or a future, which is C and asks in the name of who makes it
        asks = sys._getframe(2).f_globals.get("__name__")
        return walk(frame) if asks == "traceback" else itertools.islice(walk(frame), FRAMES)

    vars(some)["whole"] = walk
    patch.setattr(asyncio.constants, "DEBUG_STACK_DEPTH", FRAMES)
    patch.setattr(traceback, "walk_stack", some)


def look_no_more() -> None:
    """Take what is there now from the garbage collection: modules, tests, all that stays until the end.

    Each test with a loop ends with a collection, so that errors nobody saw come to light; of 300000 objects
    that never go it looks at none then. What is there is collected first, so nothing is hidden.
    """
    gc.collect()
    gc.freeze()
