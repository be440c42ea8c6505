"""The composing thread: when something changed, at most so often, and on whatever happens."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from queue import Empty, Queue

import numpy as np
import pytest

from appliance.model import View
from appliance.screen import composing
from appliance.screen.canvas import Pixels
from appliance.screen.composing import Composing
from appliance.screen.compositor import Compositor, Stage
from tests.screen.gallery import DEVICE, NOON, crowd, idle, view

PATIENCE_S = 30.0


class Desk:
    """Where the composed pictures arrive, with a clock to be set."""

    def __init__(self, framerate: int = 60) -> None:
        self.pictures: Queue[tuple[float, Pixels]] = Queue()
        self.faults: Queue[str] = Queue()
        self.now = NOON
        self.thread = Composing(
            Compositor(160, 120, DEVICE),
            framerate,
            lambda picture: self.pictures.put((time.monotonic(), picture)),
            self.faults.put,
            self._clock,
        )

    def _clock(self) -> datetime:
        return self.now

    def next(self) -> Pixels:
        return self.pictures.get(timeout=PATIENCE_S)[1]

    def show(self, shown: View, light: int = 0) -> None:
        self.thread.show(Stage(shown, {("user-0", "page-1", False): grey(light)}))


def grey(light: int) -> Pixels:
    return np.full((90, 160, 3), light, np.uint8)


@contextmanager
def desk(framerate: int = 60) -> Iterator[Desk]:
    one = Desk(framerate)
    one.thread.start()
    try:
        yield one
    finally:
        one.thread.stop()
        one.thread.join()


def test_each_change_is_composed_once() -> None:
    with desk() as it:
        it.show(view(*crowd(1)), 100)
        first = it.next()
        it.show(view(*crowd(1)), 200)
        assert not np.array_equal(first, it.next())
        it.thread.stop()
        it.thread.join()
        with pytest.raises(Empty):
            it.pictures.get_nowait()


def test_it_is_never_more_often_than_the_framerate_and_the_last_is_shown() -> None:
    with desk(framerate=20) as it:
        for light in range(200):
            it.show(view(*crowd(1)), light)
            time.sleep(0.001)
        times, last = [], None
        while last is None or last[60, 60, 0] != 199:
            moment, last = it.pictures.get(timeout=PATIENCE_S)
            times.append(moment)
        assert len(times) < 200
        # a delivery comes after its composing, which may have taken some of the time
        assert min(np.diff(times), default=1) > 0.02


def test_the_clock_is_redrawn_when_the_minute_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(composing, "CLOCK_S", 0.01)
    with desk() as it:
        it.show(idle())
        first = it.next()
        it.now = NOON + timedelta(minutes=1)
        assert not np.array_equal(first, it.next())


def test_a_clock_that_jumps_is_followed_and_a_conversation_is_not_redrawn_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(composing, "CLOCK_S", 0.01)
    with desk() as it:
        it.show(view(*crowd(1)))
        it.next()
        it.now = NOON - timedelta(days=20)
        it.show(view(*crowd(1)), 1)
        it.next()
        it.now = NOON
        it.show(idle())
        it.next()
        it.now = NOON - timedelta(days=20)
        it.next()
        assert it.pictures.empty()


def test_what_cannot_be_drawn_is_told_and_the_next_is_drawn() -> None:
    with desk() as it:
        broken = {("user-0", "page-1", False): np.zeros((9, 9), np.uint8)}
        it.thread.show(Stage(view(*crowd(1)), broken))
        assert it.faults.get(timeout=PATIENCE_S).startswith("The screen cannot be drawn: ")
        it.show(view(*crowd(1)), 100)
        assert it.next().shape == (120, 160, 3)


def test_it_can_be_stopped_before_there_was_anything() -> None:
    with desk() as it:
        pass
    assert it.pictures.empty()
    never_started = Desk()
    never_started.thread.stop()
    never_started.thread.join()
