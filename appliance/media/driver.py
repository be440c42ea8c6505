"""A device's driver at arm's length: started and stopped beside the loop, each within a limit.

A call into a driver can hang for good, in the kernel even. It is then left behind in its thread, which
holds up neither the loop nor the program's end; what it still opens is closed as soon as it returns.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import threading
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from appliance.aside import aside
from appliance.media.base import Lingering, SourceFailed
from appliance.media.causes import failure
from appliance.model import DeviceException

logger = logging.getLogger(__name__)

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

OPEN_LIMIT_S = 5.0
"""A camera behind libcamera takes one, Bluetooth two."""
CLOSE_LIMIT_S = 3.0


class Startable(Protocol[T_co]):
    """A `VideoSource` or an `AudioSource`."""

    def start(
        self, deliver: Callable[[T_co], None], failed: Callable[[SourceFailed], None], /
    ) -> None:
        """Open it."""

    def stop(self) -> None:
        """Release it."""


class Driver(Generic[T]):
    """One opening of a source: `start` once, then `stop`. Whatever a driver raises is a SourceFailed."""

    def __init__(self, device: str, source: Startable[T]) -> None:
        """`device` is its name in a sentence."""
        self._device, self._source = device, source
        self._turn = threading.Lock()
        self._starting = self._given_up = False
        self._held = False
        self._fault: SourceFailed | None = None

    @property
    def released(self) -> bool:
        """Nothing of it is open, or being opened or closed, not even left behind by the source."""
        if self._held or self._starting:
            return False
        return not (isinstance(self._source, Lingering) and self._source.lingers)

    async def start(
        self, deliver: Callable[[T], None], failed: Callable[[SourceFailed], None]
    ) -> None:
        """Open it. Raises SourceFailed, also where that takes longer than `OPEN_LIMIT_S`."""
        self._starting = True

        def start() -> None:
            try:
                self._source.start(deliver, failed)
            except Exception:
                self._starting = False  # what cannot be opened has nothing to be closed
                raise
            with self._turn:
                self._held, self._starting = True, False
                late = self._given_up
            if late:
                self._release()

        try:
            async with asyncio.timeout(OPEN_LIMIT_S):
                await aside(start, f"open {self._device}")
        except TimeoutError as slow:
            self._give_up()
            raise self._hangs("open", OPEN_LIMIT_S) from slow
        except asyncio.CancelledError:
            self._give_up()
            raise
        except SourceFailed:
            raise
        except Exception as fault:
            if not isinstance(fault, OSError):
                logger.exception("the %s could not be opened", self._device)
            raise failure(f"the {self._device} cannot be opened", fault) from fault

    async def stop(self) -> SourceFailed | None:
        """Release it; why that did not come about within `CLOSE_LIMIT_S`, if it did not."""
        if self._starting:
            self._give_up()
            return self._hangs("open", OPEN_LIMIT_S)
        try:
            async with asyncio.timeout(CLOSE_LIMIT_S):
                await aside(self._release, f"close {self._device}")
        except TimeoutError:
            return self._hangs("close", CLOSE_LIMIT_S)
        return None if self.released else self._hangs("close", CLOSE_LIMIT_S)

    def _give_up(self) -> None:
        with self._turn:
            self._given_up = True
            late = self._held
        if late:  # it came back at the last moment, and nobody wants it any more
            threading.Thread(
                target=self._release, name=f"close {self._device}", daemon=True
            ).start()

    def _release(self) -> None:
        try:
            self._source.stop()
        except Exception:  # it is closed as well as it can be
            logger.exception("the %s was not closed cleanly", self._device)
        self._held = False

    def _hangs(self, what: str, limit_s: float) -> SourceFailed:
        sentence = (
            f"the {self._device} does not {what}: its driver has been at it for {limit_s:g} s"
        )
        return SourceFailed(DeviceException.GENERIC, sentence, errno.ETIMEDOUT)
