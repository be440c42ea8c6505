"""What a visitor waits for with broker and network dead: from a press's first edge to LED and chime.

A whole appliance on mock pins, whose broker is an address that nobody has. The peer of the same run is a
bare gpiozero callback that hands over to a bare loop: what any program in Python pays at least. Every
press chatters.

The chime's time is that at which ALSA has taken the first of its sound, from a device that is closed before
each press: ALSA's `null`, which opens and takes as a card does. What a card then has in its buffer is not
in it: two periods of silence come first, 20 ms.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from gpiozero import DigitalInputDevice
from gpiozero.pins.mock import MockFactory
from msgspec.structs import replace

from appliance.app import Appliance, running
from appliance.config import Audio, Mqtt, Panel
from appliance.media import alsa
from appliance.media.pcm import AlsaPcm
from appliance.model import AudioMode
from tests.bench.table import Row
from tests.panel.chatter import touch
from tests.parts.house import config_for

PRESSES = 200
APART_S = 0.03
NOBODY = "192.0.2.1"
"""An address for documentation: packets to it are lost."""
AIM_MS = 20.0


def run() -> list[Row]:
    """Both in turn, so that both meet the same machine."""
    logging.disable(logging.WARNING)  # it says of every message that nobody takes it
    with tempfile.TemporaryDirectory() as name:
        bare, led, chime = asyncio.run(_measure(Path(name)))
    logging.disable(logging.NOTSET)
    reference = _percentile(bare)
    return [
        Row("bare callback to bare loop, 99th percentile", reference, "ms"),
        Row("first edge to LED, median", statistics.median(led), "ms"),
        Row("first edge to LED, 99th percentile", _percentile(led), "ms", reference),
        Row("first edge to the chime's ALSA write, median", statistics.median(chime), "ms"),
        Row("first edge to the chime's ALSA write, 99th", _percentile(chime), "ms", reference),
        Row("the later of both as a part of 20 ms, 99th", _percentile(
            [max(pair) for pair in zip(led, chime, strict=True)]
        ), "ms", AIM_MS, 1.0),
    ]  # fmt: skip


def _percentile(times_ms: list[float], part: float = 0.99) -> float:
    return sorted(times_ms)[max(0, round(len(times_ms) * part) - 1)]


async def _measure(folder: Path) -> tuple[list[float], list[float], list[float]]:
    config = config_for(
        1883,
        panel=Panel(max_presses=0, pin_factory="mock"),
        audio={AudioMode.SPEAKER: Audio("null", "silence", echo="off")},
    )
    device = replace(config.device, board="pi")
    config = replace(config, mqtt=Mqtt(host=NOBODY), device=device)
    bare, led, chime = list[float](), list[float](), list[float]()
    async with running(
        config, socket_path=folder / "appliance.sock", state_folder=folder
    ) as appliance:
        bench, hop = _Bench(appliance), _Bare()
        with bench.watching():
            for number in range(PRESSES + 5):
                hop_ms = await hop.press()
                led_ms, chime_ms = await bench.press()
                if number >= 5:  # the first ones fill the caches
                    bare.append(hop_ms)
                    led.append(led_ms)
                    chime.append(chime_ms)
        hop.device.close()
    return bare, led, chime


class _Finger:
    """A thread as gpiozero's drivers have one: it moves a mock pin with chatter."""

    def __init__(self, pin: Any) -> None:
        self._pin = pin
        self.began_s = 0.0
        self._random = random.Random(20)

    async def press(self) -> None:
        await asyncio.to_thread(self._touch)

    def _touch(self) -> None:
        def gaps() -> list[float]:
            return [self._random.uniform(0.0001, 0.003) for _ in range(self._random.randint(2, 8))]

        still = threading.Event()
        self.began_s = time.monotonic()
        for at_s, closed in touch(0.0, 0.02, gaps(), gaps()):
            still.wait(max(0.0, self.began_s + at_s - time.monotonic()))
            if closed:
                self._pin.drive_low()
            else:
                self._pin.drive_high()


class _Bench:
    """The appliance's own button, its LED and its chime, each with the time at which it answered."""

    def __init__(self, appliance: Appliance) -> None:
        board = appliance.board
        self._board, self._appliance = board, appliance
        button, led = board._buttons["call"], board._leds["status"]
        assert button is not None
        assert led is not None
        self._finger = _Finger(button._contact._device.pin)
        self._seen: dict[str, float] = {}
        self._loop = asyncio.get_running_loop()
        self._both = asyncio.Event()
        self._watch(led._device.pin)

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Note the first sound that ALSA takes; close the device at once when there is none any more."""
        write, linger_s = AlsaPcm.write, alsa.LINGER_S

        def noted(pcm: AlsaPcm, samples: bytes) -> int | None:
            taken = write(pcm, samples)
            if taken and any(samples[:taken]):
                self._note("chime")
            return taken

        AlsaPcm.write, alsa.LINGER_S = noted, 0.0  # type: ignore[method-assign, assignment]
        try:
            yield
        finally:
            AlsaPcm.write, alsa.LINGER_S = write, linger_s  # type: ignore[method-assign]

    def _watch(self, pin: Any) -> None:
        really: Callable[[Any], bool] = pin._change_state

        def changed(value: Any) -> bool:
            result = really(value)
            self._note("led")
            return result

        pin._change_state = changed

    def _note(self, what: str) -> None:
        """From the loop or the loudspeaker's thread."""
        self._seen.setdefault(what, time.monotonic())
        if len(self._seen) == 2:
            self._loop.call_soon_threadsafe(self._both.set)

    async def press(self) -> tuple[float, float]:
        """Milliseconds to the LED and to the chime."""
        await self._quiet()
        self._seen.clear()
        self._both.clear()
        await self._finger.press()
        async with asyncio.timeout(30):
            await self._both.wait()
        began_s = self._finger.began_s
        return (self._seen["led"] - began_s) * 1000, (self._seen["chime"] - began_s) * 1000

    async def _quiet(self) -> None:
        """Until the LED shows something steady, the bell may chime again and the loudspeaker is closed."""
        engine = self._appliance.engine
        if engine.state.active is not None:
            await self._appliance.session.leave_session()
        while engine.state.calls or engine.state.closing:  # noqa: ASYNC110 - a bench, not a test
            await asyncio.sleep(APART_S)
        engine.state = replace(engine.state, bell_heard_s=None)
        led = self._board._leds["status"]
        assert led is not None
        led._answering_until_s = 0.0
        led._refresh()
        while self._sounds():  # noqa: ASYNC110
            await asyncio.sleep(APART_S)
        await asyncio.sleep(APART_S)

    def _sounds(self) -> bool:
        """Whether the loudspeaker is open, or may yet be opened; what still plays is stopped."""
        studio = self._appliance.studio
        if studio is None or studio.sounding is None or studio._equipment is None:
            return True  # so early it is not there yet
        for sound in tuple(studio.sounding._playing):
            studio.sounding._end(sound)
        speaker = studio._equipment.outputs.sink(AudioMode.SPEAKER)
        assert isinstance(speaker, alsa.AlsaSpeaker)
        return speaker.is_open


class _Bare:
    """As little as can be: a callback of gpiozero, and a loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._arrived: asyncio.Future[float] = self._loop.create_future()
        factory = MockFactory()
        self.device = DigitalInputDevice(17, pull_up=True, pin_factory=factory)
        self.device.when_activated = self._callback
        self._finger = _Finger(self.device.pin)

    def _callback(self) -> None:
        self._loop.call_soon_threadsafe(self._arrive)

    def _arrive(self) -> None:
        if not self._arrived.done():
            self._arrived.set_result(time.monotonic())

    async def press(self) -> float:
        """Milliseconds until the loop knows."""
        self._arrived = self._loop.create_future()
        await self._finger.press()
        return (await self._arrived - self._finger.began_s) * 1000
