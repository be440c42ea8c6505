"""The daemon: an appliance that runs until a signal, and tells systemd how it is."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal

from appliance.app import running
from appliance.config import Config
from appliance.service import systemd
from appliance.service.heartbeats import Heartbeats, feed

log = logging.getLogger(__name__)


def run(config: Config) -> int:
    """The daemon, until SIGTERM or SIGINT; the exit status."""
    return asyncio.run(_serve(config))


async def _serve(config: Config) -> int:
    stop = stopped_by_signal()
    heartbeats = Heartbeats()
    feeding: list[asyncio.Task[None]] = []
    async with asyncio.TaskGroup() as tasks:

        def alive() -> None:
            systemd.ready()
            interval_s = systemd.watchdog_interval_s()
            feeding.append(tasks.create_task(feed(heartbeats, interval_s)))  # it counts from now on

        async with running(config, heartbeats=heartbeats, on_alive=alive) as appliance:
            settle()
            log.info("ready; the page: %s", appliance.page or "not served")
            await stop.wait()
            log.info("stopping")
            systemd.stopping()
        for task in feeding:
            task.cancel()
    return 0


def settle() -> None:
    """What was loaded by now stays, and the garbage collector need not look at all of it each time.

    With aiortc that takes 30 ms on a fast machine, in which the loop does nothing else. What comes later is
    looked at more often, so that less has come together by then.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(700, 5, 5)


def stopped_by_signal() -> asyncio.Event:
    """Set by SIGTERM and SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop
