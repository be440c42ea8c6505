"""The screen as an edge: takes what is to be shown, and gives the composed picture to a display and others.

Everything here is called on the loop. Pictures are composed in one thread and shown by another; numpy and
Pillow are imported by the first, so that no call has to wait for them.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from msgspec.structs import replace

from appliance import config
from appliance.calls.inputs import FaultReported, Input
from appliance.model import Json, Tile, View
from appliance.screen.layouts import Key, Plan, arranged, key_of, plan
from appliance.screen.touch import Pointer, Swapped, Tapped, Touch, swapped

if TYPE_CHECKING:
    from appliance.screen.canvas import Pixels
    from appliance.screen.composing import Composing
    from appliance.screen.frames import Frames
    from appliance.screen.window import Window

log = logging.getLogger(__name__)


def _local_time() -> datetime:
    return datetime.now().astimezone()


class Screen:
    """The device's display; `async with` opens it, and closes it with its threads ended."""

    def __init__(
        self,
        screen: config.Screen,
        name: str,
        post: Callable[[Input], None],
        *,
        language: str = "en",
        on_tile: Callable[[str, str], None] = lambda uid, endpoint: None,
        now: Callable[[], datetime] = _local_time,
    ) -> None:
        """`name` is the device's, `language` that of what a visitor is told. What a finger makes of the
        tiles is this screen's own, until the call ends. `on_tile` hears uid and endpoint of each that was
        tapped. `now` is local time.
        """
        self._config, self._name, self._post = screen, name, post
        self._language = language
        self._on_tile, self._now = on_tile, now
        self._touch = Touch()
        self._view: View | None = None
        self._pictures: dict[Key, Pixels] = {}
        self._own: Pixels | None = None
        self._order: tuple[Key, ...] = ()
        self._chosen: Key | None = None
        self._seen: set[Key] = set()
        self._told: dict[str, str] = {}
        self._frames: Frames | None = None
        self._composing: Composing | None = None
        self._code: str | None = None
        self._window: Window | None = None

    @property
    def framerate(self) -> int:
        """How many pictures of each participant are worth having, a second."""
        return self._config.framerate

    # -------------------- its life

    async def __aenter__(self) -> Self:
        if self._config.kind != "none":
            for module in ("composing", "frames"):
                await asyncio.to_thread(importlib.import_module, f"appliance.screen.{module}")
            self._open()
        return self

    def _open(self) -> None:
        from appliance.screen.composing import Composing
        from appliance.screen.compositor import Compositor
        from appliance.screen.frames import Frames

        kind, size = self._config.kind, (self._config.width, self._config.height)
        directory = self._config.directory if kind == "frames" else None
        self._frames = Frames(
            Path(directory) if directory else None,
            lambda sentence: self._failed("screen_not_written", sentence, "screen.directory"),
            lambda: self._works("screen_not_written"),
        )
        self._composing = Composing(
            Compositor(*size, self._name, self._language),
            self._config.framerate,
            self._deliver,
            lambda sentence: self._failed("screen_not_drawn", sentence, "screen"),
            self._now,
        )
        if kind == "window" or kind == "kms":
            self._open_window(kind, size)
        self._composing.start()
        self._show()

    def _open_window(self, kind: Literal["window", "kms"], size: tuple[int, int]) -> None:
        from appliance.screen.window import Window

        loop = asyncio.get_running_loop()

        def pointed(pointer: Pointer) -> None:
            loop.call_soon_threadsafe(self.pointed, pointer)

        self._window = Window(
            kind,
            size,
            self._name,
            pointed=pointed,
            failed=lambda sentence: self._failed("no_display", sentence, "screen.kind"),
            worked=lambda: self._works("no_display"),
        )
        self._window.start()

    async def __aexit__(self, *_: object) -> None:
        threads = [thread for thread in (self._composing, self._window) if thread is not None]
        self._composing = self._window = None
        for thread in threads:
            thread.stop()
        for thread in threads:
            await asyncio.to_thread(thread.join)

    # -------------------- what is to be shown

    def show_view(self, view: View) -> None:
        """Show this from now on."""
        if view.call is not None:  # it grows with each look, and is not shown
            view = replace(view, call=replace(view.call, duration_s=None))
        if view == self._view:
            return
        self._view = view
        self._touch.click, self._touch.drag = view.tile_click, view.tile_drag
        if not view.tiles:  # nobody's last picture waits here for the next call
            self._pictures.clear()
            self._own, self._order, self._chosen = None, (), None
        self._show()

    def show_code(self, text: str | None) -> None:
        """Show this as a code to scan, while there is no call; None: no more."""
        self._code = text
        self._show()

    def show(self, uid: str, endpoint: str, screen: bool, frame: Pixels) -> None:
        """The latest picture of somebody's camera or shared screen.

        (height, width, 3) of uint8, red, green, blue; nobody may write to it afterwards.
        """
        self._pictures[uid, endpoint, screen] = frame
        if (uid, endpoint, screen) in self._seen:
            self._show()

    def gone(self, uid: str, endpoint: str, screen: bool) -> None:
        """No pictures of that come any more: an avatar stands for it."""
        if self._pictures.pop((uid, endpoint, screen), None) is not None:
            self._show()

    def own(self, frame: Pixels) -> None:
        """The latest picture of this device's own camera, shaped like the others."""
        self._own = frame
        if any(tile.own and key_of(tile) in self._seen for tile in self._tiles):
            self._show()

    @property
    def _tiles(self) -> tuple[Tile, ...]:
        return self._view.tiles if self._view is not None else ()

    def _arranged(self, view: View) -> View:
        """With the large one that was chosen here, if it is still there."""
        chosen = [place for place, tile in enumerate(view.tiles) if key_of(tile) == self._chosen]
        return replace(view, main=chosen[0]) if chosen else view

    def _plan(self, view: View) -> Plan:
        return plan(view, self._config.width, self._config.height, self._order)

    def _show(self) -> None:
        """Let it be composed anew."""
        if self._composing is None or self._view is None:
            return
        from appliance.screen.compositor import Stage

        view = self._arranged(self._view)
        self._seen = {key_of(placed.tile) for placed in self._plan(view).tiles}
        pictures = {key: one for key, one in self._pictures.items() if key in self._seen}
        for tile in self._tiles:
            if tile.own and self._own is not None:
                pictures[key_of(tile)] = self._own
        self._composing.show(Stage(view, pictures, self._order, self._touch.held, self._code))

    # -------------------- what is shown

    def latest_jpeg(self) -> bytes | None:
        """What the screen shows, as JPEG; None before there is anything.

        Safe from any thread. Encoding takes some milliseconds: `await asyncio.to_thread(..)`.
        """
        return self._frames.latest_jpeg() if self._frames is not None else None

    def subscribe(self, callback: Callable[[Pixels], None]) -> Callable[[], None]:
        """Call back on the loop with each composed picture, the present one at once; returns what ends it.

        All have one size, that of the configuration; they are read-only.
        """
        if self._frames is None:
            return lambda: None
        return self._frames.subscribe(callback)

    def status(self) -> dict[str, Json]:
        """The kind of display, its size in pixels, and what it shows."""
        if self._config.kind == "none":
            return {"kind": "none", "size": None, "showing": None}
        lit = self._window.open if self._window is not None else self._frames is not None
        view = self._view
        showing = None if view is None or not lit else view.situation.value
        return {
            "kind": self._config.kind,
            "size": [self._config.width, self._config.height],
            "showing": showing,
        }

    def _deliver(self, picture: Pixels) -> None:
        """In the composing thread."""
        self._works("screen_not_drawn")
        if self._window is not None:
            self._window.show(picture)
        if self._frames is not None:
            self._frames.put(picture)

    # -------------------- fingers

    def pointed(self, pointer: Pointer) -> None:
        """A finger or mouse on the composed picture; a page that shows it may tell of one, too."""
        if self._view is None:
            return
        view = self._arranged(self._view)
        placed, held = self._plan(view), self._touch.held
        done = self._touch.take(placed, pointer)
        match done:
            case Tapped(tile):
                again = key_of(tile) == self._chosen
                self._chosen = None if again else key_of(tile)
                self._on_tile(tile.participant.uid, tile.participant.endpoint)
            case Swapped(one, other):
                self._swap(view, placed, one, other)
        if done is not None or held != self._touch.held:
            self._show()

    def _swap(self, view: View, placed: Plan, one: Tile, other: Tile) -> None:
        """Let two tiles change places; who is dragged to or from the large place becomes the large one."""
        main = next((it.tile for it in placed.tiles if it.main), None)
        if main in (one, other):
            self._chosen = key_of(one if main == other else other)
            return
        order = [key_of(tile) for tile in arranged(view, self._order)]
        self._order = swapped(order, key_of(one), key_of(other))

    # -------------------- what does not work

    def _failed(self, code: str, sentence: str, where: str) -> None:
        """Report a fault, from any thread: once, until it works again or is another."""
        if self._told.get(code) != sentence:
            self._told[code] = sentence
            log.warning("%s", sentence)
            self._post(FaultReported(code, sentence, where))

    def _works(self, code: str) -> None:
        self._told.pop(code, None)
