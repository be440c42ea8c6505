"""The thread that composes: when something has changed, and never more often than the framerate."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime
from threading import Condition, Thread

from appliance.screen.canvas import Pixels
from appliance.screen.compositor import Compositor, Stage

log = logging.getLogger(__name__)

CLOCK_S = 5.0
"""How often the clock is looked at: not only once a minute, since a Pi's clock jumps when the network
tells it the time."""


class Composing:
    """Owns the thread; `stage` gives it what there is to be seen, without ever waiting for it."""

    def __init__(
        self,
        compositor: Compositor,
        framerate: int,
        deliver: Callable[[Pixels], None],
        failed: Callable[[str], None],
        now: Callable[[], datetime],
    ) -> None:
        """`deliver` and `failed` (a sentence) are called from the thread; `now` is local time."""
        self._compositor, self._least_s = compositor, 1 / framerate
        self._deliver, self._failed, self._now = deliver, failed, now
        self._wake = Condition()
        self._stage: Stage | None = None
        self._stopped = False
        self._thread = Thread(target=self._run, name="screen", daemon=True)

    def start(self) -> None:
        """Begin; nothing is composed before there is a stage."""
        self._thread.start()

    def show(self, stage: Stage) -> None:
        """Compose this, as soon as it is due."""
        with self._wake:
            self._stage = stage
            self._wake.notify()

    def stop(self) -> None:
        """Make the thread end; `join` waits for that."""
        with self._wake:
            self._stopped = True
            self._wake.notify()

    def join(self) -> None:
        """Blocks for as long as one picture takes, at most."""
        if self._thread.is_alive():
            self._thread.join()

    # -------------------- in the thread

    def _run(self) -> None:
        shown: Stage | None = None
        minute = ""
        due_s = 0.0
        while (stage := self._next(shown, minute, due_s)) is not None:
            due_s = time.monotonic() + self._least_s
            now = self._now()
            shown, minute = stage, _minute(stage, now)
            try:
                self._deliver(self._compositor.compose(stage, now))
            except Exception as error:
                # the next picture may be a good one, and whoever talks goes on talking
                log.exception("the screen was not composed")
                self._failed(f"The screen cannot be drawn: {error!r}.")

    def _next(self, shown: Stage | None, minute: str, due_s: float) -> Stage | None:
        """The next stage to be composed, when it is due; None: that is all."""
        with self._wake:
            while not self._stopped:
                stage, early_s = self._stage, due_s - time.monotonic()
                if stage is None:
                    self._wake.wait()
                elif stage is shown and minute == _minute(stage, self._now()):
                    self._wake.wait(CLOCK_S if minute else None)
                elif early_s > 0:
                    self._wake.wait(early_s)
                else:
                    return stage
        return None


def _minute(stage: Stage, now: datetime) -> str:
    """The time that the screen shows, or nothing where it shows none."""
    view = stage.view
    return f"{now:%d %H:%M}" if not view.tiles or view.picture_in_picture else ""
