"""Who has to be at work for the daemon to be of use: systemd's watchdog is fed as long as all of them are.

Each says how long it has been held up: the time since it should have done what it has to do next. Whoever
waits for something is not held up, so that nobody is woken for this. What hangs in a camera or a sound card
is not among them: it is left behind, told, and takes nobody along (`media/driver.py`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from appliance.service import systemd

log = logging.getLogger(__name__)

LIMIT_S = 20.0
"""Far longer than anything that is only slow; with `WatchdogSec=30` it is started anew within a minute."""

HeldUp = Callable[[], float]
"""How many seconds somebody has been held up; from any thread, without waiting for anything."""


class Heartbeats:
    """Those who are watched, by their names."""

    def __init__(self, limit_s: float = LIMIT_S) -> None:
        """Nobody yet."""
        self._limit_s = limit_s
        self._watched: dict[str, HeldUp] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Who is watched."""
        return tuple(self._watched)

    def watch(self, name: str, held_up_s: HeldUp) -> Callable[[], None]:
        """From now on until what is given back is called."""
        self._watched[name] = held_up_s
        return lambda: self._watched.pop(name, None) and None

    def hanging(self) -> tuple[str, ...]:
        """Who has been held up for too long."""
        return tuple(
            name for name, held_up_s in self._watched.items() if held_up_s() > self._limit_s
        )


async def feed(heartbeats: Heartbeats, interval_s: float | None) -> None:
    """Feed the watchdog, while nobody hangs; that the loop does not is shown by this being run.

    Who hangs is told in the log and by `systemctl status`: from then on systemd's patience runs.
    """
    told: tuple[str, ...] = ()
    while interval_s is not None:
        hanging = heartbeats.hanging()
        if not hanging:
            systemd.alive()
        elif hanging != told:
            sentence = f"the watchdog is not fed, since this hangs: {', '.join(hanging)}"
            log.error("%s", sentence)
            systemd.show(sentence)
        told = hanging
        await asyncio.sleep(interval_s)
