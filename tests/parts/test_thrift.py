"""Short stacks still name the line, nobody else's become short, and what debug mode finds is found."""

from __future__ import annotations

import asyncio
import gc
import linecache
import traceback
import weakref
from asyncio import format_helpers
from asyncio.base_events import BaseEventLoop
from typing import Any

import numpy as np
import pytest
from aiortc import rtp
from av import AudioFrame

from tests.parts import thrift

LEVEL = rtp.compute_audio_level_dbov


@pytest.fixture
def whole(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """As where a test is played alone."""
    now = traceback.walk_stack
    monkeypatch.setattr(traceback, "walk_stack", getattr(now, "whole", now))
    return monkeypatch


def came_from(future: asyncio.Future[Any] | asyncio.Handle) -> traceback.StackSummary:
    """As whoever prints it reads it."""
    return traceback.StackSummary.from_list(future._source_traceback)  # type: ignore[union-attr]


async def test_a_future_is_told_by_the_line_that_made_it(whole: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    assert len(came_from(asyncio.Future())) > 5
    thrift.short_stacks(whole)
    async with asyncio.TaskGroup() as tasks:
        made = asyncio.Future[None](), tasks.create_task(asyncio.sleep(0)), loop.create_future()
    for future in made:
        here = [line for line in came_from(future) if line.filename == __file__]
        assert [line.name for line in here] == [
            test_a_future_is_told_by_the_line_that_made_it.__name__
        ]
        assert len(came_from(future)) <= thrift.FRAMES


async def test_no_file_is_looked_at_until_a_note_is_read(whole: pytest.MonkeyPatch) -> None:
    thrift.short_stacks(whole)
    looked_at: list[str] = []
    with whole.context() as patch:
        patch.setattr(linecache, "checkcache", looked_at.append)
        patch.setattr(linecache, "getline", lambda name, *_: looked_at.append(name))
        made = asyncio.Future[None](), asyncio.get_running_loop().call_soon(int)
        assert looked_at == []
    for one in made:
        (here,) = (each for each in came_from(one) if each.filename == __file__)
        assert (
            here.line == "made = asyncio.Future[None](), asyncio.get_running_loop().call_soon(int)"
        )


def test_what_is_printed_and_what_is_raised_is_whole(whole: pytest.MonkeyPatch) -> None:
    def raises() -> None:
        raise ValueError("deep down")

    before = len(traceback.format_stack())
    thrift.short_stacks(whole)
    assert len(traceback.format_stack()) == before > 5
    with pytest.raises(ValueError, match="deep down") as raised:
        raises()
    assert [line.name for line in traceback.extract_tb(raised.tb)][-1] == "raises"
    assert len(traceback.extract_tb(raised.tb)) == 2


async def test_a_coroutine_is_still_no_callback_and_who_cancels_describes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = BaseEventLoop._check_callback  # type: ignore[attr-defined]
    monkeypatch.setattr(BaseEventLoop, "_check_callback", getattr(now, "whole", now))
    thrift.short_work(monkeypatch)
    loop = asyncio.get_running_loop()

    async def work() -> None: ...

    for _ in range(2):
        with pytest.raises(TypeError, match="coroutines cannot be used with call_soon"):
            loop.call_soon(work)
        with pytest.raises(TypeError, match="a callable object was expected"):
            loop.call_soon(1)  # type: ignore[arg-type]

    described: list[object] = []

    def describe(*what: object) -> str:
        described.append(what)
        return ""

    with monkeypatch.context() as patch:
        patch.setattr(format_helpers, "_format_callback", describe)
        handles = loop.call_soon(print, "never"), loop.call_later(3600, print, "never")
        for handle in handles:
            handle.cancel()
    assert described == []
    assert all("cancelled" in repr(handle) for handle in handles)
    assert __file__ in repr(handles[0]), "where it came from is still told"


@pytest.mark.parametrize("loudness", [0, 1, 2, 300, 32767])
@pytest.mark.parametrize("layout", ["mono", "stereo"])
def test_the_level_of_sound_is_the_same(layout: str, loudness: int) -> None:
    channels = 1 if layout == "mono" else 2
    wave = np.random.default_rng(1).integers(-loudness, loudness + 1, (1, 960 * channels), np.int16)
    frame = AudioFrame.from_ndarray(wave, format="s16", layout=layout)
    assert thrift.level(frame) == LEVEL(frame)


class Ring:
    """Garbage that only the collector finds."""

    def __init__(self) -> None:
        self.itself = self


def test_what_was_garbage_before_is_collected_and_what_becomes_it_too() -> None:
    before = weakref.ref(Ring())
    thrift.look_no_more()
    assert before() is None
    assert gc.get_freeze_count() > 1000
    after = weakref.ref(Ring())
    gc.collect()
    assert after() is None
