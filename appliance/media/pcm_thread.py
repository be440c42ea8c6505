"""One opening of a sound card, in a thread of its own that nobody has to wait for.

A thread that hangs in a driver is left behind, told of, and waited for before the device is opened again.
"""

from __future__ import annotations

import errno
import logging
import os
import threading
import time
from collections.abc import Callable

from appliance.media.pcm import PERIOD_S, Direction, OpenPcm, Pcm

logger = logging.getLogger(__name__)

OPEN_LIMIT_S = 5.0
STOP_LIMIT_S = 2.0
STALL_S = 3.0
"""A device that is open and neither takes nor gives anything for so long has failed."""
WAIT_S = 0.1
"""How long a thread waits at a time, and so how soon it sees that it is to end."""
XRUNS = 50
"""So often in a row something is lost, and the device has failed."""


class Opening:
    """One opening of a device, from its thread's begin to its end."""

    def __init__(
        self,
        direction: Direction,
        device: str,
        opens: OpenPcm,
        serve: Callable[[Opening, Pcm], None],
        ended: Callable[[Opening, Exception], None],
        before: Opening | None = None,
    ) -> None:
        """Start. `serve` is called with the open device and returns when it is to be closed; `ended` is
        told of any other end, unless `stop` was called. The one `before` has to let the device go first.
        """
        self.stopping = threading.Event()
        self.settled = threading.Event()
        """It `is_open`, or there is a `fault`."""
        self.is_open = False
        self.fault: Exception | None = None
        self._moved_at_s = time.monotonic()
        self._device, self._opens, self._direction = device, opens, direction
        self._serve, self._ended, self._before = serve, ended, before
        kind = "loudspeaker" if direction is Direction.PLAYBACK else "microphone"
        self.name = f"{kind} {device}"
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        self._thread.start()

    @property
    def hangs(self) -> bool:
        """It is inside its driver for longer than anything may take there."""
        limit_s = STALL_S if self.is_open else 2 * OPEN_LIMIT_S
        return time.monotonic() - self._moved_at_s > limit_s + 10 * WAIT_S

    @property
    def over(self) -> bool:
        """Its thread has ended, and so the device is closed."""
        return not self._thread.is_alive()

    def moved(self) -> None:
        """Something was taken or given."""
        self._moved_at_s = time.monotonic()

    def check(self) -> None:
        """Raise OSError where nothing has moved for too long."""
        if time.monotonic() - self._moved_at_s > STALL_S:
            raise too_late()

    def stop(self, limit_s: float | None = None) -> bool:
        """Let it end, and wait for that, `STOP_LIMIT_S` at most; False: it hangs, and is left behind."""
        self.stopping.set()
        if self._thread is not threading.current_thread():
            self._thread.join(STOP_LIMIT_S if limit_s is None else limit_s)
        return self.over

    def _run(self) -> None:
        try:
            self._open_and_serve()
        except Exception as fault:
            self.fault = fault
            self.settled.set()
            if not self.stopping.is_set():
                self._ended(self, fault)

    def _open_and_serve(self) -> None:
        before, self._before = self._before, None
        if before is not None and not before.stop(OPEN_LIMIT_S):
            raise too_late()
        pcm = self._opens(self._direction, self._device)
        try:
            self.moved()
            self.is_open = True
            self.settled.set()
            if not self.stopping.is_set():
                self._serve(self, pcm)
        finally:
            pcm.close()


def too_late() -> OSError:
    """For what took longer than anything may."""
    return OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))


def once_more(lost: int) -> int:
    """Something was lost, so often in a row before. Raises OSError where that is all that happens."""
    if lost >= XRUNS:
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    time.sleep(PERIOD_S / 2)  # so that a device that always fails costs little
    return lost + 1


def let_go(opening: Opening) -> Opening | None:
    """Stop it; what hangs is given back, to be waited for before the device is opened again."""
    if opening.stop():
        return None
    logger.error("%s does not let go: it hangs in its driver", opening.name)
    return opening
