"""How soon a device works again after its return, however long it was away: with the real waits."""

from __future__ import annotations

import asyncio
import errno
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from appliance.calls.inputs import DeviceFailed, FaultCleared, Input
from appliance.config import Audio, Led, Panel
from appliance.media.alsa_outputs import AlsaOutputs
from appliance.media.base import SILENT_FRAME, AccessUnit, SourceFailed
from appliance.media.capture import LiveCamera, LiveMicrophone
from appliance.media.devices import Device, DeviceKeeper
from appliance.media.fanout import AudioFanout, VideoFanout
from appliance.media.synthetic import CardCamera, ToneMicrophone
from appliance.model import AudioMode, Situation
from appliance.panel.board import Board
from tests.bench.table import Row
from tests.media.softcard import SoftCard
from tests.media.stranger import until
from tests.media.test_sound_cards import Kernel
from tests.panel.wires import MockWires
from tests.parts.breakable import BreakableCamera, BreakableMicrophone

AWAY_S = (0.5, 1.1, 2.5, 3.2, 4.5, 6.05, 7.5, 9.1)
"""Just after an attempt is the worst moment to return: they are 1, 3 and then every 3 s after the loss."""
LIMIT_S = 5.0
OPENS_S = 1.0
PIN = 27


def run() -> list[Row]:
    """The worst of all, of each device."""
    return asyncio.run(_measure())


class Returns(Protocol):
    """A device that can be taken away."""

    async def returns(self, away_s: float) -> float:
        """Break it for so long; how soon it then works again, in seconds."""


async def _worst(name: str, device: Returns) -> Row:
    took_s = max([await device.returns(away_s) for away_s in AWAY_S])
    return Row(name, took_s, "s", LIMIT_S, 1.0, "against 5 s")


async def _measure() -> list[Row]:
    """All of them beside one another: each but waits."""
    video, audio = VideoFanout(), AudioFanout()
    camera = BreakableCamera(CardCamera(640, 360, 25, 800))
    microphone = BreakableMicrophone(ToneMicrophone())

    async def make_camera(_: str, changed: object) -> LiveCamera:
        return LiveCamera(camera, video, changed)  # type: ignore[arg-type]

    async def make_microphone(_: str, changed: object) -> LiveMicrophone:
        return LiveMicrophone(microphone, audio, changed)  # type: ignore[arg-type]

    eye = _Watched(Device.CAMERA, camera, make_camera)
    ear = _Watched(Device.MICROPHONE, microphone, make_microphone)
    wedged = Wedging(CardCamera(640, 360, 25, 800))
    other = VideoFanout()

    async def make_wedged(_: str, changed: object) -> LiveCamera:
        return LiveCamera(wedged, other, changed)  # type: ignore[arg-type]

    stalled = _Watched(Device.CAMERA, wedged, make_wedged)
    with TemporaryDirectory() as folder:
        mouth, light = _Loudspeaker(Path(folder)), _Light()
        async with asyncio.TaskGroup() as tasks, light.board:
            running = [tasks.create_task(one.keeper.run()) for one in (eye, ear, stalled)]
            rows = await asyncio.gather(
                _worst("camera, from its return to its first frame", eye),
                _worst("a camera that stalls, to its first frame", stalled),
                _worst("microphone, from its return to its first frame", ear),
                _worst("loudspeaker, from its return until it takes sound", mouth),
                _worst("LED, from its pin's return to its light", light),
            )
            for one in (eye, ear, stalled):
                one.keeper.end()
            await asyncio.wait(running)
        mouth.outputs.close()
    return list(rows)


class Wedging(BreakableCamera):
    """A camera that gives nothing ever again by any opening that was made, or was open, while it was away.

    It takes as long to be opened as one behind libcamera.
    """

    _age = 0

    def breaks(self, how: object) -> None:
        """Stop giving, and say nothing of it."""
        self.stalls()
        self._age += 1

    def start(self, deliver: Callable[[AccessUnit], None], failed: Callable[..., None]) -> None:
        """Slowly."""
        dead, age = self.stalled, self._age
        time.sleep(OPENS_S)

        def pass_on(unit: AccessUnit) -> None:
            if not dead and age == self._age:
                deliver(unit)

        super().start(pass_on, failed)


class _Watched:
    """A keeper, its breakable device, and what it told."""

    def __init__(
        self, device: Device, it: BreakableCamera | BreakableMicrophone, make: object
    ) -> None:
        self._it = it
        self._works = asyncio.Event()
        self._fails = asyncio.Event()
        self.keeper: DeviceKeeper[str] = DeviceKeeper(
            device,
            "one",
            make,  # type: ignore[arg-type]
            self._told,
            lambda _: None,
        )

    def _told(self, report: Input) -> None:
        assert isinstance(report, DeviceFailed)
        (self._works if report.type is None else self._fails).set()

    async def returns(self, away_s: float) -> float:
        """See `Returns`."""
        loop = asyncio.get_running_loop()
        self.keeper.want(wanted=False)
        await until(lambda: not self.keeper.open)
        self.keeper.want(wanted=True)
        await until(lambda: self.keeper.live)
        self._works.clear()
        self._fails.clear()
        self._it.breaks(errno.ENODEV)
        if not isinstance(self._it, Wedging):  # that it stalls is seen later
            await self._fails.wait()
        await asyncio.sleep(away_s)
        self._it.works_again()
        since_s = loop.time()
        await self._fails.wait()
        await self._works.wait()
        return loop.time() - since_s


class _Loudspeaker:
    """A card of software that is pulled out while somebody is heard, who is then heard elsewhere."""

    def __init__(self, folder: Path) -> None:
        self._card, self._kernel = SoftCard(), Kernel(folder)
        self._kernel.plug(0, "Box", "D0p")
        self._works, self._fails = asyncio.Event(), asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self.outputs = AlsaOutputs(
            {AudioMode.SPEAKER: Audio("hw:Box")},
            failed=self._told,
            cards=self._kernel.cards,
            opens=self._card.opens,
        )
        self.outputs.watch(lambda: None)

    def _told(self, mode: AudioMode, fault: SourceFailed | None) -> None:
        self._loop.call_soon_threadsafe((self._works if fault is None else self._fails).set)

    async def returns(self, away_s: float) -> float:
        """See `Returns`."""
        speaker = self.outputs.sink(AudioMode.SPEAKER)
        speaker.push("alice", SILENT_FRAME)
        await until(lambda: self._card.open, "the loudspeaker to be open")
        self._fails.clear()
        self._card.unplug()
        self._kernel.unplug(0)
        while not self._fails.is_set():
            speaker.push("alice", SILENT_FRAME)
            await asyncio.sleep(0.02)
        speaker.remove("alice")
        self._works.clear()
        await asyncio.sleep(away_s)
        self._card.plug_in()
        self._kernel.plug(0, "Box", "D0p")
        since_s = self._loop.time()
        await self._works.wait()
        took_s = self._loop.time() - since_s
        await until(lambda: not self._card.open, "the loudspeaker to be closed again")
        return took_s


class _Light:
    """A board whose LED's pin is taken by another while it is to be lit."""

    def __init__(self) -> None:
        self._wires = MockWires()
        self._works = asyncio.Event()
        self.board = Board(
            "pi",
            panel=Panel(),
            buttons={},
            leds={"status": Led(pin=PIN, patterns={"idle": "off", "in_call": "on"})},
            relays={},
            inputs={},
            post=self._posted,
            factory=self._wires.factory,
        )

    def _posted(self, report: Input) -> None:
        if isinstance(report, FaultCleared):
            self._works.set()

    async def returns(self, away_s: float) -> float:
        """See `Returns`."""
        loop = asyncio.get_running_loop()
        pin: Any = self._wires.factory.pin(PIN)
        self.board.show(Situation.IDLE)
        self._works.clear()
        pin.function = "input"
        self.board.show(Situation.IN_CALL)
        await asyncio.sleep(away_s)
        pin.function = "output"
        since_s = loop.time()
        await self._works.wait()
        assert self._wires.high(PIN)
        return loop.time() - since_s
