"""When the device is too hot, or its supply too weak, for all that it does, by what the kernel says.

`judge` decides of what was read, `read` reads, `watch` does both again and again. A zone has a limit of its
own where it has a trip point at which the kernel slows the processor down (passive or hot); otherwise it is
that of the Pi's firmware, 80 °C. The firmware's flags: `service/throttling.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from appliance.calls.inputs import Input, PressureChanged
from appliance.service import throttling

LOOK_S = 5.0
LIMIT_C = 80.0
HYSTERESIS_C = 5.0
"""It is over only when every zone is so much cooler: the camera would switch up and down all day."""

WEAK_LASTS_S = 60.0
"""Likewise for a weak supply: the alarm comes and goes while the voltage stays where it is."""

THERMAL = Path("class/thermal")

_SLOWS_DOWN = ("passive", "hot")


@dataclass(frozen=True, slots=True)
class Zone:
    """A thermal zone: its name, how hot it is, and from when on that is too hot, in °C."""

    name: str
    temperature_c: float
    limit_c: float = LIMIT_C


@dataclass(frozen=True, slots=True)
class Reading:
    """What the kernel said at one moment; `throttled` None where it tells no flags of a firmware's."""

    zones: tuple[Zone, ...] = ()
    throttled: int | None = None


def judge(reading: Reading, pressed: bool, /) -> str | None:
    """Why there is pressure, in a sentence; None: there is none. `pressed`: there was at the last look."""
    margin_c = HYSTERESIS_C if pressed else 0.0
    for zone in reading.zones:
        if zone.temperature_c >= zone.limit_c - margin_c:
            return (
                f"{zone.name} is at {zone.temperature_c:.0f} °C, its limit is {zone.limit_c:.0f} °C"
            )
    said = throttling.words(reading.throttled or 0)
    return f"the device is under pressure: {said}" if said else None


def read(root: Path) -> Reading:
    """What there is below `root` (/sys); what cannot be read is left out."""
    folders = sorted((root / THERMAL).glob("thermal_zone*"))
    zones = (zone for folder in folders if (zone := _zone(folder)) is not None)
    return Reading(tuple(zones), throttling.read(_Files(), str(root)))


class _Files:
    """The kernel's own."""

    def text(self, path: str) -> str | None:
        return _text(Path(path))

    def names(self, folder: str) -> Sequence[str]:
        try:
            return sorted(one.name for one in Path(folder).iterdir())
        except OSError:
            return ()


def _zone(folder: Path) -> Zone | None:
    temperature_c = _degrees(folder / "temp")
    if temperature_c is None:
        return None
    limits = [limit_c for limit_c in _limits(folder) if limit_c > 0]
    return Zone(_text(folder / "type") or folder.name, temperature_c, min(limits, default=LIMIT_C))


def _limits(folder: Path) -> Iterable[float]:
    for kind in folder.glob("trip_point_*_type"):
        if _text(kind) in _SLOWS_DOWN:
            limit_c = _degrees(kind.with_name(kind.name.removesuffix("type") + "temp"))
            if limit_c is not None:
                yield limit_c


def _degrees(path: Path) -> float | None:
    """A number of thousandths of a degree."""
    try:
        return int(_text(path) or "") / 1000
    except ValueError:
        return None


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:  # a zone that sleeps says EAGAIN, one that is going ENOENT
        return None


async def watch(
    post: Callable[[Input], None],
    root: Path = Path("/sys"),
    interval_s: float = LOOK_S,
    seen: Callable[[Reading, bool], None] = lambda reading, pressed: None,
    weak_lasts_s: float = WEAK_LASTS_S,
) -> None:
    """Tell when there is pressure and when it is over, until cancelled; `seen` is told of each look."""
    now_s = asyncio.get_running_loop().time
    weak_until_s = now_s()
    pressed = False
    while True:
        reading = await asyncio.to_thread(read, root)
        flags = reading.throttled or 0
        if flags & throttling.WEAK:
            weak_until_s = now_s() + weak_lasts_s
        elif now_s() < weak_until_s:
            reading = replace(reading, throttled=flags | throttling.WEAK)
        message = judge(reading, pressed)
        seen(reading, message is not None)
        if (message is not None) is not pressed:
            pressed = message is not None
            post(PressureChanged(message))
        await asyncio.sleep(interval_s)
