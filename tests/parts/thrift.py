"""What a run of everything goes without: long stacks of futures, and a look over what was there before.

asyncio's debug mode stays on with all that it finds. Yet it notes for each future and each handle where
it came from, all frames up to the process's first line, and reads their lines: a third of the time of a
test with media. Beside others a test does with three; what fails is played again alone, and has all.
"""

from __future__ import annotations

import asyncio.constants
import gc
import sys
import traceback
from collections.abc import Iterable
from types import FrameType
from typing import Any

import pytest

FRAMES = 3
"""Enough to say which line made it: of a task, and of one in a group, some are asyncio's own."""

_Walk = Iterable[tuple[FrameType, int]]


class _Near(list[tuple[FrameType, int]]):
    """The frames of a note, which is read seldom and made for every future and handle."""


def short_stacks(patch: pytest.MonkeyPatch) -> None:
    """Let whoever asks where he stands be told `FRAMES` of it; what was raised keeps all of its frames.

    The lines are read when a note is: `traceback` asks the disk for each frame if its file is still the
    same, which costs more than all that is left.
    """
    walk, extract = traceback.walk_stack, traceback.StackSummary.extract

    def some(frame: FrameType | None) -> _Walk:
        # two frames up is who asked traceback.extract_stack: its own module, where the stack is printed for
        # somebody to read, or a future, which is C and asks in the name of who makes it
        if frame is None or sys._getframe(2).f_globals.get("__name__") == "traceback":
            return walk(frame)
        near = _Near()
        while frame is not None and len(near) < FRAMES:
            near.append((frame, frame.f_lineno))
            frame = frame.f_back
        return near

    def noted(
        kind: type[traceback.StackSummary], /, frames: _Walk, **how: Any
    ) -> traceback.StackSummary:
        if not isinstance(frames, _Near):
            return extract(frames, **how)
        return kind(
            traceback.FrameSummary(
                frame.f_code.co_filename, line, frame.f_code.co_name, lookup_line=False
            )
            for frame, line in frames
        )

    vars(some)["whole"] = walk
    patch.setattr(asyncio.constants, "DEBUG_STACK_DEPTH", FRAMES)
    patch.setattr(traceback, "walk_stack", some)
    patch.setattr(traceback.StackSummary, "extract", classmethod(noted))


def look_no_more() -> None:
    """Take what is there now from the garbage collection: modules, tests, all that stays until the end.

    Each test with a loop ends with a collection, so that errors nobody saw come to light; of 300000 objects
    that never go it looks at none then. What is there is collected first, so nothing is hidden.
    """
    gc.collect()
    gc.freeze()
