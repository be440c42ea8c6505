"""The latest composed picture, for whoever wants it: as JPEG, as a file, and for subscribers on the loop.

Pictures are put in by the composing thread; they are read-only, (height, width, 3), red, green, blue.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from threading import Lock

from PIL import Image

from appliance.screen.canvas import Pixels

log = logging.getLogger(__name__)

QUALITY = 85
"""Of a JPEG: letters stay clean, and 800 x 480 takes some 40 KB."""
FILE = "frame.jpg"


class Frames:
    """Keeps one picture: put in by the composing thread, told of on the loop."""

    def __init__(
        self, directory: Path | None, failed: Callable[[str], None], worked: Callable[[], None]
    ) -> None:
        """To be made on the loop. `failed` hears a sentence when the file cannot be written."""
        self._loop = asyncio.get_running_loop()
        self._directory, self._failed, self._worked = directory, failed, worked
        self._latest: Pixels | None = None
        self._jpeg: tuple[Pixels, bytes] | None = None
        self._encoding = Lock()
        self._subscribers: list[Callable[[Pixels], None]] = []
        self._told: Pixels | None = None

    def put(self, picture: Pixels) -> None:
        """A new picture, from any thread; a subscriber that is slow misses some, and never the last."""
        picture.setflags(write=False)
        self._latest = picture
        self._loop.call_soon_threadsafe(self._tell)
        if self._directory is not None:
            self._write(self._directory)

    @property
    def latest(self) -> Pixels | None:
        """The present picture; None before there is one."""
        return self._latest

    def latest_jpeg(self) -> bytes | None:
        """The present picture as JPEG; None before there is one. Encoded once for all who ask.

        Some milliseconds of work for the first who asks, so that a server does it in a thread.
        """
        with self._encoding:
            picture, known = self._latest, self._jpeg
            if picture is None:
                return None
            if known is None or known[0] is not picture:
                file = BytesIO()
                Image.fromarray(picture).save(file, "JPEG", quality=QUALITY, subsampling=0)
                known = self._jpeg = picture, file.getvalue()
            return known[1]

    def subscribe(self, callback: Callable[[Pixels], None]) -> Callable[[], None]:
        """Call back on the loop with each picture, the present one at once; returns what ends it."""
        self._subscribers.append(callback)
        if self._latest is not None:
            callback(self._latest)

        def unsubscribe() -> None:
            if callback in self._subscribers:
                self._subscribers.remove(callback)

        return unsubscribe

    def _tell(self) -> None:
        picture = self._latest
        if picture is None or picture is self._told:
            return
        self._told = picture
        for callback in tuple(self._subscribers):
            try:
                callback(picture)
            except Exception:
                log.exception("a subscriber of the screen failed")

    def _write(self, directory: Path) -> None:
        """Replace the file as a whole: who reads it never sees half a picture."""
        content = self.latest_jpeg()
        if content is None:
            return
        file, unfinished = directory / FILE, directory / f".{FILE}"
        try:
            directory.mkdir(parents=True, exist_ok=True)
            unfinished.write_bytes(content)
            unfinished.replace(file)
        except OSError as error:
            self._failed(f"{file} cannot be written: {error.strerror or error}.")
        else:
            self._worked()
