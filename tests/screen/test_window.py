"""The display by SDL: its dummy driver, whose pictures are looked at, and a real X server."""

from __future__ import annotations

import ctypes
import os
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from typing import Any, Literal

import numpy as np
import pytest
from PIL import Image

from appliance.screen.canvas import Pixels
from appliance.screen.touch import Gesture, Pointer
from appliance.screen.window import Window
from tests.parts.need import program, skip_or_fail
from tests.screen.gallery import composed, scenes

PATIENCE_S = 30.0
SIZE = (320, 200)


@pytest.fixture
def sdl() -> Any:
    """The library, where it is installed."""
    try:
        import sdl2
    except ImportError as error:
        skip_or_fail(f"no SDL (pip install pysdl2, apt install libsdl2-2.0-0): {error}")
    return sdl2


class Reports:
    """What a window tells, from its thread."""

    def __init__(self) -> None:
        self.pointers: Queue[Pointer] = Queue()
        self.faults: Queue[str] = Queue()
        self.worked: Queue[bool] = Queue()


@contextmanager
def window(
    kind: Literal["window", "kms"] = "window", retry_s: float = 0.05
) -> Iterator[tuple[Window, Reports]]:
    reports = Reports()
    one = Window(
        kind,
        SIZE,
        "Front door",
        pointed=reports.pointers.put,
        failed=reports.faults.put,
        worked=lambda: reports.worked.put(True),
        retry_s=retry_s,
    )
    one.start()
    try:
        yield one, reports
    finally:
        one.stop()
        one.join()
        assert not one.open


def until(wanted: Callable[[], bool]) -> None:
    """Wait for what another thread or process does."""
    deadline = time.monotonic() + PATIENCE_S
    while not wanted():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def plain(colour: tuple[int, int, int]) -> Pixels:
    return np.full((SIZE[1], SIZE[0], 3), colour, np.uint8)


# -------------------- SDL's own stand-in for a display


@pytest.fixture
def dummy(sdl: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A display whose every picture is written into a folder."""
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setenv("SDL_VIDEO_DUMMY_SAVE_FRAMES", "1")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def saved(folder: Path) -> list[Path]:
    return sorted(folder.glob("SDL_window*.bmp"))


def saw(folder: Path, wanted: Pixels) -> bool:
    """Whether the last picture of the stand-in is this; the very last may not be written to its end."""
    for file in reversed(saved(folder)[-3:]):
        try:
            with Image.open(file) as image:
                if np.array_equal(np.asarray(image.convert("RGB")), wanted):
                    return True
        except OSError:
            continue
    return False


def test_what_is_shown_is_seen(dummy: Path) -> None:
    with window() as (it, reports):
        assert reports.worked.get(timeout=PATIENCE_S)
        for colour in ((200, 30, 60), (10, 220, 40)):
            it.show(plain(colour))
            until(lambda: saw(dummy, plain(colour)))  # noqa: B023 - used at once
        assert it.open
        assert reports.faults.empty()


def test_nothing_is_drawn_again_that_is_seen_already(dummy: Path) -> None:
    with window() as (it, _):
        it.show(plain((1, 2, 3)))
        until(lambda: saw(dummy, plain((1, 2, 3))))
        time.sleep(0.2)  # the events of a window that opens are over
        before = len(saved(dummy))
        time.sleep(0.3)
        assert len(saved(dummy)) == before


def test_kms_is_the_same_code_on_the_whole_display(dummy: Path) -> None:
    with window("kms") as (it, reports):
        it.show(plain((9, 8, 7)))
        until(lambda: bool(saved(dummy)))
        assert reports.worked.get(timeout=PATIENCE_S)


def test_a_mouse_is_told_of_in_pixels_of_the_picture(dummy: Path, sdl: Any) -> None:
    with window() as (it, reports):
        it.show(plain((1, 1, 1)))
        until(lambda: saw(dummy, plain((1, 1, 1))))
        window_id = 1
        for kind, button in (
            (sdl.SDL_MOUSEMOTION, 0),
            (sdl.SDL_MOUSEBUTTONDOWN, sdl.SDL_BUTTON_RIGHT),
            (sdl.SDL_MOUSEBUTTONUP, sdl.SDL_BUTTON_RIGHT),
            (sdl.SDL_MOUSEBUTTONDOWN, sdl.SDL_BUTTON_LEFT),
            (sdl.SDL_MOUSEMOTION, 0),
            (sdl.SDL_MOUSEBUTTONUP, sdl.SDL_BUTTON_LEFT),
        ):
            event = sdl.SDL_Event()
            event.type = kind
            if kind == sdl.SDL_MOUSEMOTION:
                event.motion.windowID, event.motion.x, event.motion.y = window_id, 50, 60
            else:
                event.button.windowID, event.button.button = window_id, button
                event.button.x, event.button.y = 30, 40
            assert sdl.SDL_PushEvent(ctypes.byref(event)) == 1
        told = [reports.pointers.get(timeout=PATIENCE_S) for _ in range(3)]
    assert told == [
        Pointer(Gesture.PRESS, 30, 40),
        Pointer(Gesture.MOVE, 50, 60),
        Pointer(Gesture.RELEASE, 30, 40),
    ]


def test_a_window_that_is_closed_by_hand_stays_closed(dummy: Path, sdl: Any) -> None:
    with window() as (it, reports):
        until(lambda: it.open)
        event = sdl.SDL_Event()
        event.type = sdl.SDL_QUIT
        sdl.SDL_PushEvent(ctypes.byref(event))
        until(lambda: not it._thread.is_alive())
        it.show(plain((0, 0, 0)))
        assert reports.faults.empty()


def caught_signals() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1], 16) for line in lines if line.startswith("SigCgt:"))


def test_the_daemons_signals_stay_the_daemons(dummy: Path) -> None:
    before = caught_signals()
    with window() as (it, _):
        until(lambda: it.open)
        assert caught_signals() == before


# -------------------- what may be missing


def test_without_the_library_there_is_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sdl2", None)
    with window() as (it, reports):
        fault = reports.faults.get(timeout=PATIENCE_S)
        assert "pip install 'appliance[screen]'" in fault
        assert "libsdl2-2.0-0" in fault
        it.show(plain((0, 0, 0)))


@pytest.mark.parametrize(("kind", "advice"), [("window", "DISPLAY"), ("kms", "the groups video")])
def test_without_a_display_there_is_advice_and_a_display_that_comes_is_used(
    kind: Literal["window", "kms"], advice: str, dummy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "there-is-no-such-driver")
    with window(kind) as (it, reports):
        fault = reports.faults.get(timeout=PATIENCE_S)
        assert advice in fault
        assert "\n" not in fault
        assert not it.open
        monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
        until(lambda: it.open)
        assert reports.worked.get(timeout=PATIENCE_S)


# -------------------- a real X server


@contextmanager
def x_server(folder: Path) -> Iterator[Path]:
    """Xvfb; gives the file that holds what is on its screen, in XWD."""
    xvfb = program("Xvfb", "xvfb")
    reading, writing = os.pipe()
    server = subprocess.Popen(
        [
            *(xvfb, "-displayfd", str(writing), "-screen", "0", "640x480x24"),
            *("-fbdir", str(folder), "-nolisten", "tcp"),
        ],
        pass_fds=[writing],
        stderr=subprocess.DEVNULL,
    )
    os.close(writing)
    try:
        with os.fdopen(reading) as line:
            number = line.readline().strip()
        assert number, "Xvfb has not started"
        os.environ["DISPLAY"] = f":{number}"
        yield folder / "Xvfb_screen0"
    finally:
        server.terminate()
        server.wait(PATIENCE_S)


def screenshot(file: Path) -> Pixels:
    """An XWD file (X11/XWDFile.h) of 32 bits a pixel: blue, green, red, nothing."""
    data = file.read_bytes()
    header = struct.unpack(">25I", data[:100])
    size, width, height, line, colours = header[0], header[4], header[5], header[12], header[19]
    pixels = np.frombuffer(data, np.uint8, line * height, size + colours * 12)
    return pixels.reshape(height, line)[:, : 4 * width].reshape(height, width, 4)[..., 2::-1]


def found_in(whole: Pixels, wanted: Pixels) -> bool:
    """Whether a picture is on a screen, to the pixel."""
    rows, columns = wanted.shape[:2]
    for top, left in np.argwhere((whole[: 1 - rows, : 1 - columns] == wanted[0, 0]).all(axis=2)):
        if np.array_equal(whole[top : top + rows, left : left + columns], wanted):
            return True
    return False


def test_a_window_is_seen_on_an_x_server(
    sdl: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISPLAY", "")
    monkeypatch.setenv("SDL_VIDEODRIVER", "x11")
    picture = composed(scenes()["spotlight_2"], *SIZE)
    with x_server(tmp_path) as screen, window() as (it, reports):
        it.show(picture)
        until(lambda: it.open)
        until(lambda: found_in(screenshot(screen), picture))
        assert reports.faults.empty()
