"""A display by SDL 2: a window on a desktop, or the whole of a display without one (kms).

SDL wants all its calls from one thread, which is this module's own. Neither PySDL2 nor a display may be
there: that is told with advice, and tried again, since a display may be plugged in later.
"""

from __future__ import annotations

import ctypes
import importlib
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Condition, Thread
from typing import Any, Literal

from appliance.screen.canvas import Pixels
from appliance.screen.touch import Gesture, Pointer

log = logging.getLogger(__name__)

LOOK_S = 1 / 30
"""How often fingers and window are looked after; SDL's own waiting wakes up a thousand times a second."""
RETRY_S = 15.0

NO_LIBRARY = (
    "There is no SDL for the screen ({error}): pip install 'appliance[screen]' and "
    "apt install libsdl2-2.0-0."
)
ADVICE = {
    "window": 'does the service know DISPLAY or WAYLAND_DISPLAY of a desktop? kind = "kms" needs none.',
    "kms": "is a display connected, is no desktop running on it, and is the user in the groups video, "
    "render and input?",
}


class NoDisplay(Exception):
    """SDL has no display, or lost it; the text is SDL's."""


class Window:
    """Shows pictures of one size, scaled to whatever the display has, and tells of fingers."""

    def __init__(
        self,
        kind: Literal["window", "kms"],
        size: tuple[int, int],
        title: str,
        *,
        pointed: Callable[[Pointer], None],
        failed: Callable[[str], None],
        worked: Callable[[], None],
        retry_s: float = RETRY_S,
    ) -> None:
        """`pointed`, `failed` (a sentence) and `worked` are called from SDL's thread."""
        self._kind, self._size, self._title = kind, size, title
        self._pointed, self._failed, self._worked = pointed, failed, worked
        self._retry_s = retry_s
        self._news = Condition()
        self._picture: Pixels | None = None
        self._stopped = False
        self._thread = Thread(target=self._run, name="display", daemon=True)
        self.open = False
        """Whether there is something to look at."""

    def start(self) -> None:
        """Open it, soon."""
        self._thread.start()

    def show(self, picture: Pixels) -> None:
        """The picture to be seen from now on; from any thread, and never waits."""
        with self._news:
            self._picture = picture
            self._news.notify()

    def stop(self) -> None:
        """Make it close; `join` waits for that."""
        with self._news:
            self._stopped = True
            self._news.notify()

    def join(self) -> None:
        """Until the thread has ended."""
        if self._thread.is_alive():
            self._thread.join()

    # -------------------- in SDL's thread

    def _run(self) -> None:
        try:
            sdl = importlib.import_module("sdl2")
        except (
            ImportError,
            OSError,
            AttributeError,
        ) as error:  # the last where the library is too old
            self._failed(NO_LIBRARY.format(error=_sentence(error)))
            return
        while not self._stopped:
            try:
                with _Surface.opened(sdl, self._kind, self._size, self._title) as surface:
                    self.open = True
                    self._worked()
                    if not self._show_on(surface):
                        log.info("the window was closed; a restart opens it again")
                        return
            except NoDisplay as error:
                self._failed(f"There is no display for the screen ({error}): {ADVICE[self._kind]}")
            finally:
                self.open = False
            with self._news:
                self._news.wait_for(lambda: self._stopped, self._retry_s)

    def _show_on(self, surface: _Surface) -> bool:
        """Until it is stopped (True) or closed by hand."""
        shown: Pixels | None = None
        while not self._stopped:
            with self._news:
                if self._picture is shown and not self._stopped:
                    self._news.wait(LOOK_S)
                picture = self._picture
            events = surface.events()
            if events.closed:
                return False
            for pointer in events.pointers:
                self._pointed(pointer)
            if picture is not None and (picture is not shown or events.exposed):
                surface.draw(picture)
                shown = picture
        return True


@dataclass(slots=True)
class _Events:
    pointers: list[Pointer]
    exposed: bool = False
    """The window has to be drawn again."""
    closed: bool = False


class _Surface:
    """SDL's window, renderer and texture; `opened` makes one and takes it down."""

    def __init__(self, sdl: Any, renderer: Any, texture: Any, size: tuple[int, int]) -> None:
        """Of a library and its handles."""
        self._sdl, self._renderer, self._texture, self._size = sdl, renderer, texture, size
        self._pressed = False

    @classmethod
    @contextmanager
    def opened(cls, sdl: Any, kind: str, size: tuple[int, int], title: str) -> Iterator[_Surface]:
        """Raises NoDisplay."""
        # SIGTERM and SIGINT are the daemon's, not SDL's
        sdl.SDL_SetHint(sdl.SDL_HINT_NO_SIGNAL_HANDLERS, b"1")
        sdl.SDL_SetHint(sdl.SDL_HINT_RENDER_SCALE_QUALITY, b"linear")
        if kind == "kms":
            sdl.SDL_SetHint(b"SDL_VIDEODRIVER", b"kmsdrm")
        try:
            if sdl.SDL_Init(sdl.SDL_INIT_VIDEO) < 0:
                raise _no_display(sdl)
            with _window(sdl, kind, size, title) as window, _renderer(sdl, window) as renderer:
                texture = sdl.SDL_CreateTexture(
                    renderer, sdl.SDL_PIXELFORMAT_RGB24, sdl.SDL_TEXTUREACCESS_STREAMING, *size
                )
                if not texture or sdl.SDL_RenderSetLogicalSize(renderer, *size) < 0:
                    raise _no_display(sdl)
                try:
                    yield cls(sdl, renderer, texture, size)
                finally:
                    sdl.SDL_DestroyTexture(texture)
        finally:
            sdl.SDL_Quit()

    def draw(self, picture: Pixels) -> None:
        """As large as the display allows, in the middle. Raises NoDisplay where that fails."""
        sdl, renderer = self._sdl, self._renderer
        pixels = picture.ctypes.data_as(ctypes.c_void_p)
        if sdl.SDL_UpdateTexture(self._texture, None, pixels, picture.strides[0]) < 0:
            raise _no_display(sdl)
        sdl.SDL_SetRenderDrawColor(renderer, 0, 0, 0, 255)
        sdl.SDL_RenderClear(renderer)
        if sdl.SDL_RenderCopy(renderer, self._texture, None, None) < 0:
            raise _no_display(sdl)
        sdl.SDL_RenderPresent(renderer)

    def events(self) -> _Events:
        """What has happened since the last time; a finger comes as a mouse, as SDL has it by default."""
        sdl, found = self._sdl, _Events([])
        event = sdl.SDL_Event()
        while sdl.SDL_PollEvent(ctypes.byref(event)):
            kind = event.type
            if kind == sdl.SDL_QUIT:
                found.closed = True
            elif kind == sdl.SDL_WINDOWEVENT:
                found.exposed = True
            elif kind == sdl.SDL_MOUSEMOTION and self._pressed:
                found.pointers.append(self._pointer(Gesture.MOVE, event.motion))
            elif kind == sdl.SDL_MOUSEBUTTONDOWN and event.button.button == sdl.SDL_BUTTON_LEFT:
                self._pressed = True
                found.pointers.append(self._pointer(Gesture.PRESS, event.button))
            elif kind == sdl.SDL_MOUSEBUTTONUP and self._pressed:
                self._pressed = False
                found.pointers.append(self._pointer(Gesture.RELEASE, event.button))
        return found

    def _pointer(self, gesture: Gesture, event: Any) -> Pointer:
        """SDL has turned the window's pixels into the picture's already."""
        return Pointer(gesture, int(event.x), int(event.y))


@contextmanager
def _window(sdl: Any, kind: str, size: tuple[int, int], title: str) -> Iterator[Any]:
    whole = kind == "kms"
    flags = sdl.SDL_WINDOW_FULLSCREEN_DESKTOP if whole else sdl.SDL_WINDOW_RESIZABLE
    somewhere = sdl.SDL_WINDOWPOS_UNDEFINED
    window = sdl.SDL_CreateWindow(title.encode(), somewhere, somewhere, *size, flags)
    if not window:
        raise _no_display(sdl)
    try:
        sdl.SDL_ShowCursor(sdl.SDL_DISABLE if whole else sdl.SDL_ENABLE)
        yield window
    finally:
        sdl.SDL_DestroyWindow(window)


@contextmanager
def _renderer(sdl: Any, window: Any) -> Iterator[Any]:
    renderer = sdl.SDL_CreateRenderer(window, -1, 0)
    if not renderer:
        raise _no_display(sdl)
    try:
        yield renderer
    finally:
        sdl.SDL_DestroyRenderer(renderer)


def _no_display(sdl: Any) -> NoDisplay:
    return NoDisplay(_sentence(sdl.SDL_GetError().decode(errors="replace") or "SDL says nothing"))


def _sentence(error: object) -> str:
    """The first line of what a library said, to stand in parentheses."""
    return str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else "no reason"
