"""The door as a test within the guest has it: pins, the other ends of its sound card, its local socket."""

from __future__ import annotations

import asyncio
import contextlib
import math
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
from av.video.frame import VideoFrame

from tests.parts.faraway import Overheard

CHIP = Path("/run/lab-pins")
SOCKET = Path("/run/appliance/appliance.sock")
BUTTON, LED, DOOR, LEAVE, ANSWER = 17, 18, 27, 22, 23
CAMERA, SENSOR = Path("/sys/bus/platform/drivers/vimc"), "vimc.0"
RATE = 48000
PATIENCE_S = 60.0
"""Far longer than anything takes; only a fault waits for it."""

HEARD, SAID = "hw:Loopback,1,0", "hw:Loopback,1,1"
"""Where the loudspeaker is heard, and where is said what the microphone hears."""

BARS = ("white", "yellow", "cyan", "green", "magenta", "red", "blue", "black")
"""What the simulated sensor sees, from left to right."""
COLOURS: dict[tuple[bool, ...], str] = {
    (True, True, True): "white",
    (True, True, False): "yellow",
    (False, True, True): "cyan",
    (False, True, False): "green",
    (True, False, True): "magenta",
    (True, False, False): "red",
    (False, False, True): "blue",
    (False, False, False): "black",
}

Data = Mapping[str, Any]


def pull(pin: int, level: str) -> None:
    """What a finger does: to ground (`down`), and lets go (`up`)."""
    (CHIP / f"sim_gpio{pin}" / "pull").write_text(f"pull-{level}")


def lit(pin: int) -> bool:
    """What is measured at a pin."""
    return (CHIP / f"sim_gpio{pin}" / "value").read_text().strip() == "1"


async def until_lit(pin: int, value: bool) -> None:
    """Wait for it."""
    async with asyncio.timeout(PATIENCE_S):
        while lit(pin) is not value:  # noqa: ASYNC110 - a line tells nobody
            await asyncio.sleep(0.01)


async def press(pin: int = BUTTON, for_s: float = 0.15) -> None:
    """A finger: longer than a contact chatters, and shorter than it holds."""
    pull(pin, "down")
    await asyncio.sleep(for_s)
    pull(pin, "up")


@asynccontextmanager
async def front() -> AsyncIterator[Overheard]:
    """The daemon that systemd has started, and all that it tells from now on."""
    reader, writer = await asyncio.open_unix_connection(SOCKET)
    async with Overheard(reader, writer).listening() as door:
        yield door
    with contextlib.suppress(OSError):  # it has ended meanwhile
        await writer.wait_closed()


async def told(door: Overheard, name: str, **data: Any) -> Data:
    """The data of the first event of that name since it was told to forget, with these among its data."""

    def fits(item: Data) -> bool:
        return all(item["data"][key] == value for key, value in data.items())

    await door.until(name, fits)
    return next(
        item["data"] for _, item in door.told if item["type"] == f"appliance.{name}" and fits(item)
    )


def failures(status: Any) -> dict[str, str]:
    """All that does not work; that nobody speaks is no fault of a microphone's."""
    told = {**status["failures"], **status["faults"]}
    return {where: why for where, why in told.items() if why != "sound_level_too_low"}


@asynccontextmanager
async def program(*words: str, reads: bool = False) -> AsyncIterator[asyncio.subprocess.Process]:
    """It runs for as long as the block lasts."""
    pipe, none = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        *words, stdin=pipe if reads else none, stdout=none if reads else pipe, stderr=none
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        if process.stdin is not None:
            process.stdin.close()
        await process.wait()


RAW = ("-q", "-t", "raw", "-f", "S16_LE", "-r", str(RATE), "-c", "1")


@asynccontextmanager
async def somebody_says(hertz: float) -> AsyncIterator[None]:
    """A tone before the microphone, which another program plays."""
    second = 8000 * np.sin(math.tau * hertz * np.arange(RATE) / RATE)  # whole waves: it has no seam
    data = second.astype("<i2").tobytes()

    async def play(process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        with contextlib.suppress(ConnectionError):
            while True:
                process.stdin.write(data)
                await process.stdin.drain()

    async with program("aplay", "-D", f"plug{SAID}", *RAW, reads=True) as process:
        playing = asyncio.get_running_loop().create_task(play(process))
        try:
            yield
        finally:
            playing.cancel()
            await asyncio.gather(playing, return_exceptions=True)


async def until_heard(hertz: float) -> None:
    """Wait until that is the loudest tone in half a second of what the loudspeaker plays."""
    async with (
        asyncio.timeout(PATIENCE_S),
        program("arecord", "-D", f"plug{HEARD}", *RAW) as process,
    ):
        assert process.stdout is not None
        while True:
            sound = np.frombuffer(await process.stdout.readexactly(RATE), "<i2").astype(float)
            if abs(loudest_hz(sound) - hertz) < 10 and np.abs(sound).max() > 500:
                return


def loudest_hz(sound: np.ndarray[Any, Any]) -> float:
    """The loudest frequency of a piece of sound."""
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    return float(np.argmax(spectrum[10:]) + 10) * RATE / len(sound)


def bars(frame: VideoFrame) -> tuple[str, ...]:
    """The colours of a picture, from left to right: which of red, green and blue are bright."""
    picture = frame.to_ndarray(format="rgb24")
    row = picture[picture.shape[0] // 4 : picture.shape[0] // 2].mean(axis=0)
    eighths = np.array_split(row, len(BARS))
    bright = [tuple((part[len(part) // 2] > 90).tolist()) for part in eighths]
    return tuple(COLOURS.get(one, "none") for one in bright)


async def let_go_of(pin: int) -> None:
    """Who was started as `hold-<pin>` ends, and with it the line is free."""
    await _systemctl("stop", f"hold-{pin}")


async def starts_while_others_have(*pins: int) -> None:
    """The daemon starts anew, and other programs have had these pins before it."""
    await stops()
    for pin in pins:
        words = f"--quiet --unit=hold-{pin} gpiomon --chip {CHIP.resolve().name} {pin}"
        await _does("systemd-run", *words.split())
    await starts()


@asynccontextmanager
async def card_in_use() -> AsyncIterator[None]:
    """Other programs have the loudspeaker and the microphone, once the door has let them go."""
    await _until_used(False)
    async with (
        program("aplay", "-D", "loudspeaker", *RAW, "/dev/zero") as plays,
        program("arecord", "-D", "microphone", *RAW, "/dev/null") as records,
    ):
        await _until_used(True)
        yield
        assert plays.returncode is records.returncode is None


async def unplug_the_camera() -> None:
    """It is gone, for whoever looks and whoever has it.

    libcamera keeps a camera of this kind (as it does a Pi's own) in its list, and ends the program that has
    it when it comes a second time. So it comes back while nobody is there: after the daemon has stopped.
    """
    await asyncio.to_thread((CAMERA / "unbind").write_text, SENSOR)


def is_plugged() -> bool:
    """Whether its driver has it."""
    return (CAMERA / SENSOR).exists()


async def the_camera_is_there() -> None:
    """Where it is gone it comes back, to a daemon that has not had it before."""
    if is_plugged():
        return
    await stops()
    await asyncio.to_thread((CAMERA / "bind").write_text, SENSOR)
    await starts()


@contextlib.contextmanager
def nothing_comes_through() -> Iterator[None]:
    """The network swallows everything (tc-netem(8)), what a phone says to the broker as well."""
    queue = ["dev", "lo", "root", "netem"]
    subprocess.run(["tc", "qdisc", "add", *queue, "loss", "100%"], check=True)
    try:
        yield
    finally:  # without waiting: whoever is cancelled would leave it
        subprocess.run(["tc", "qdisc", "delete", *queue], check=True)


async def stops() -> None:
    """systemd ends the daemon, and waits until it has ended."""
    await _systemctl("stop", "appliance")


def shown(name: str) -> str:
    """A property of the daemon's unit (systemctl(1), show)."""
    words = ["systemctl", "show", "--property", name, "--value", "appliance"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()


async def starts() -> None:
    """systemd starts the daemon, and it is connected with its broker."""
    await _systemctl("start", "appliance")
    async with until_there():
        """It is."""


@asynccontextmanager
async def until_there() -> AsyncIterator[Overheard]:
    """The daemon that is started or is about to be, once it is connected with its broker."""
    async with asyncio.timeout(3 * PATIENCE_S), contextlib.AsyncExitStack() as stack:
        while True:
            with contextlib.suppress(OSError):
                door = await stack.enter_async_context(front())
                await door.until_mqtt(connected=True)
                break
            await asyncio.sleep(0.1)
        open_now = stack.pop_all()
    async with open_now:
        yield door


async def _systemctl(*words: str) -> None:
    await _does("systemctl", *words)


async def _does(*words: str) -> None:
    process = await asyncio.create_subprocess_exec(*words)
    assert await process.wait() == 0


async def _until_used(used: bool) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while any(_is_used(pcm) is not used for pcm in ("pcm0p/sub0", "pcm0c/sub1")):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.05)


def _is_used(pcm: str) -> bool:
    return (Path("/proc/asound/Loopback") / pcm / "status").read_text().strip() != "closed"
