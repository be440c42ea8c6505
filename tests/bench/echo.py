"""What is left of an echo, in rooms that are worked out, and what that costs.

In each room the far side speaks for 14 s, and from the ninth on somebody here as well, as loud as the echo.
ERLE is how much quieter the echo is (2 to 5 s, 5 to 9 s), in a run of its own without the near voice; the
loss is that of the near voice while both speak. The aims are for the median room.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from appliance.media.adaptive import AdaptiveFilter
from appliance.media.aec3 import Aec3
from appliance.media.base import EchoCanceller
from appliance.media.ducking import Ducking
from appliance.media.echo import canceller, installed
from appliance.media.wideband import Samples
from tests.bench.table import Row
from tests.parts.rooms import (
    ROOMS,
    Room,
    Signal,
    cancelled,
    erle_db,
    lag_samples,
    level_dbfs,
    loss_db,
    noise,
    part,
    voice,
)

SECONDS = 14
BOTH_S = 9
FAR = voice(SECONDS, 110, 1, -20)
NEAR_DBFS = -26
QUIET = noise(SECONDS, -75)

ERLE_2_S_DB = 25
ERLE_5_S_DB = 30
LOSS_DB = 3

IMPORTING = """
import json, os, time
import psutil, numpy
from appliance.media.echo import canceller
here = psutil.Process()
canceller("duck").close()
before, begin = here.memory_info().rss, time.perf_counter()
there = canceller("aec3")
for _ in range(50):
    there.far(bytes(1920)), there.near(bytes(1920), 0)
print(json.dumps([time.perf_counter() - begin, here.memory_info().rss - before]))
"""


@dataclass(frozen=True)
class Figures:
    """Of one room: dB, and CPU seconds per second."""

    erle_2_s: float
    erle_5_s: float
    loss: float
    cpu: float

    @property
    def note(self) -> str:
        """What stands behind the first figure."""
        return f"from 5 s {self.erle_5_s:.1f} dB, near voice -{max(0, self.loss):.1f} dB"


def talk() -> Signal:
    """Somebody here, from the ninth second on."""
    near = voice(SECONDS, 190, 2, NEAR_DBFS).copy()
    near[: BOTH_S * 48_000] = 0
    return near


def measured(make: Callable[[], EchoCanceller], room: Room) -> Figures:
    """One room; both voices are equally loud at the microphone."""
    near, heard = talk(), room.echo(FAR)
    late = (BOTH_S + 0.5, SECONDS)
    louder = level_dbfs(part(near, *late)) - level_dbfs(part(heard, *late))
    heard = heard * 10 ** (louder / 20)
    begin = time.process_time()
    alone = cancelled(make(), FAR, heard + QUIET, room.hint_ms)
    cpu = (time.process_time() - begin) / SECONDS
    both = cancelled(make(), FAR, heard + near + QUIET, room.hint_ms)
    return Figures(
        erle_db(heard + QUIET, alone, 2, 5),
        erle_db(heard + QUIET, alone, 5, BOTH_S),
        loss_db(part(near, *late), part(heard, *late), part(both, *late)),
        cpu,
    )


def table(name: str, make: Callable[[], EchoCanceller], *, aims: bool) -> list[Row]:
    """Each room, and the median room."""
    rooms = [(room, measured(make, room)) for room in ROOMS]
    rows = [
        Row(f"{name}, {room.name}: ERLE from 2 s", it.erle_2_s, "dB", note=it.note)
        for room, it in rooms
    ]
    middle = {
        key: statistics.median(getattr(it, key) for _, it in rooms)
        for key in ("erle_2_s", "erle_5_s", "loss", "cpu")
    }
    erle_2_s, erle_5_s, loss = (ERLE_2_S_DB, ERLE_5_S_DB, LOSS_DB) if aims else (None, None, None)
    near = part(voice(SECONDS, 190, 2, NEAR_DBFS), 0, 3)
    late_ms = lag_samples(near, cancelled(make(), np.zeros_like(near), near)) / 48
    return [
        *rows,
        Row(f"{name}, median room: ERLE from 2 s", middle["erle_2_s"], "dB", least=erle_2_s),
        Row(f"{name}, median room: ERLE from 5 s", middle["erle_5_s"], "dB", least=erle_5_s),
        Row(f"{name}, median room: near voice lost", middle["loss"], "dB", most=loss),
        Row(f"{name}: cost", middle["cpu"], "CPU s/s"),
        Row(f"{name}: delay of the microphone", late_ms, "ms"),
    ]


class Alone(Aec3):
    """WebRTC's canceller without our filter before it."""

    class _Nothing(AdaptiveFilter):
        def __call__(self, far: Samples, near: Samples) -> Samples:
            return near

    def __init__(self) -> None:
        super().__init__()
        self._filter = self._Nothing()


def alone() -> list[Row]:
    """What it does by itself, in every third room."""
    rooms = [measured(Alone, room) for room in ROOMS[1::3]]
    loss = statistics.median(room.loss for room in rooms)
    erle = statistics.median(room.erle_2_s for room in rooms)
    return [
        Row("AEC3 without our filter: ERLE from 2 s", erle, "dB"),
        Row("AEC3 without our filter: near voice lost", loss, "dB"),
    ]


def run() -> list[Row]:
    """WebRTC's canceller where it is installed, and ducking."""
    rows = table("ducking", Ducking, aims=False)
    if not installed():
        return [*rows, Row("WebRTC's canceller is installed", 0, "", least=1)]
    program = [sys.executable, "-c", IMPORTING]
    took = json.loads(subprocess.run(program, capture_output=True, check=True).stdout)
    return [
        *table("AEC3", lambda: canceller("aec3"), aims=True),
        *alone(),
        Row("AEC3: the first one is ready after", 1000 * took[0], "ms"),
        Row("AEC3: memory with its library", took[1] / 1e6, "MB"),
        *rows,
    ]
