"""What a run of everything goes without: long stacks of futures, and a look over what was there before.

asyncio's debug mode stays on with all that it finds. Yet it notes for each future and each handle where
it came from, all frames up to the process's first line, and reads their lines; it describes each handle
that is cancelled, and asks of each callback anew what a function is: a third of the time of a test with
media. Beside others a test does with three frames and without the rest, and aiortc, as who calls has it,
with a quicker sum; what fails is played again alone, and has all.
"""

from __future__ import annotations

import asyncio.constants
import gc
import math
import sys
import traceback
from asyncio.base_events import BaseEventLoop
from collections.abc import Iterable
from types import BuiltinMethodType, CodeType, FrameType
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from av import AudioFrame

FRAMES = 3
"""Enough to say which line made it: of a task, and of one in a group, some are asyncio's own."""

_Walk = Iterable[tuple[FrameType, int]]
_Line = tuple[str, int, str, None]
"""A file, the number of the line and the function, as `traceback.StackSummary.from_list` takes them."""


class _Near(list[_Line]):
    """The lines of a note, which is read seldom and made for every future and handle."""


def short_stacks(patch: pytest.MonkeyPatch) -> None:
    """Let whoever asks where he stands be told `FRAMES` of it; what was raised keeps all of its frames.

    The lines are read when a note is: `traceback` asks the disk for each frame if its file is still the
    same, which costs more than all that is left.
    """
    walk, extract = traceback.walk_stack, traceback.StackSummary.extract

    def some(frame: FrameType | None) -> _Walk | _Near:
        # two frames up is who asked traceback.extract_stack: its own module, where the stack is printed for
        # somebody to read, or a future, which is C and asks in the name of who makes it
        if frame is None or sys._getframe(2).f_globals.get("__name__") == "traceback":
            return walk(frame)
        near = _Near()
        while frame is not None and len(near) < FRAMES:
            code = frame.f_code
            near.append((code.co_filename, frame.f_lineno, code.co_name, None))
            frame = frame.f_back
        return near

    def noted(
        kind: type[traceback.StackSummary], /, frames: _Walk | _Near, **how: Any
    ) -> traceback.StackSummary | _Near:
        return frames if isinstance(frames, _Near) else extract(frames, **how)

    vars(some)["whole"] = walk
    patch.setattr(asyncio.constants, "DEBUG_STACK_DEPTH", FRAMES)
    patch.setattr(traceback, "walk_stack", some)
    patch.setattr(traceback.StackSummary, "extract", classmethod(noted))


def short_work(patch: pytest.MonkeyPatch) -> None:
    """Let a handle that is cancelled not be described, a callback be looked at once, and the level of a
    frame of sound be one sum.

    That no coroutine is given for a callback is still found: of a function once, whoever gives it.
    """
    look = BaseEventLoop._check_callback  # type: ignore[attr-defined]
    known: dict[int, CodeType] = {}

    def checked(loop: BaseEventLoop, callback: Any, method: str) -> None:
        if type(callback) is BuiltinMethodType:  # of a future or a task: no coroutine
            return
        code = getattr(callback, "__code__", None)
        if code is None or id(code) not in known:
            look(loop, callback, method)
            if code is not None:
                known[id(code)] = code  # kept, so that its id is nobody else's

    def cancel(handle: Any) -> None:
        handle._cancelled = True
        handle._callback = handle._args = None

    vars(checked)["whole"] = look
    patch.setattr(BaseEventLoop, "_check_callback", checked)
    patch.setattr(asyncio.Handle, "cancel", cancel)
    if (rtp := sys.modules.get("aiortc.rtp")) is not None:
        patch.setattr(rtp, "compute_audio_level_dbov", level)


def level(frame: AudioFrame) -> int:
    """How loud a frame is, as aiortc tells it to the other side (RFC 6465, appendix A), by the same sums.

    aiortc takes each sample by itself: half a millisecond of the 20 that a frame lasts, for everybody who
    speaks. The appliance does not ask it; who calls it in tests does.
    """
    import numpy as np  # what tests no media does without

    samples = np.frombuffer(frame.planes[0], np.int16).astype(np.int64)  # type: ignore[call-overload]
    rms = math.sqrt(float(samples @ samples) / (frame.samples * 32767 * 32767))
    return round(min(max(20 * math.log10(rms), -127), 0)) if rms > 0 else -127


def look_no_more() -> None:
    """Take what is there now from the garbage collection: modules, tests, all that stays until the end.

    Each test with a loop ends with a collection, so that errors nobody saw come to light; of 300000 objects
    that never go it looks at none then. What is there is collected first, so nothing is hidden.
    """
    gc.collect()
    gc.freeze()
