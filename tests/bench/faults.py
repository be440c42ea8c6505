"""How soon a device works again after its return, however long it was away: with the real waits."""

from __future__ import annotations

import asyncio
import errno

from appliance.calls.inputs import DeviceFailed, Input
from appliance.media.capture import LiveCamera, LiveMicrophone
from appliance.media.devices import Device, DeviceKeeper
from appliance.media.fanout import AudioFanout, VideoFanout
from appliance.media.synthetic import CardCamera, ToneMicrophone
from tests.bench.table import Row
from tests.media.stranger import until
from tests.parts.breakable import BreakableCamera, BreakableMicrophone

AWAY_S = (0.5, 1.1, 2.5, 3.2, 4.5, 6.05, 7.5, 9.1)
"""Just after an attempt is the worst moment to return: they are 1, 3 and then every 3 s after the loss."""
LIMIT_S = 5.0


def run() -> list[Row]:
    """The worst of all, of each device."""
    return asyncio.run(_measure())


async def _measure() -> list[Row]:
    video, audio = VideoFanout(), AudioFanout()
    camera = BreakableCamera(CardCamera(640, 360, 25, 800))
    microphone = BreakableMicrophone(ToneMicrophone())

    async def make_camera(_: str, changed: object) -> LiveCamera:
        return LiveCamera(camera, video, changed)  # type: ignore[arg-type]

    async def make_microphone(_: str, changed: object) -> LiveMicrophone:
        return LiveMicrophone(microphone, audio, changed)  # type: ignore[arg-type]

    eye = _Watched(Device.CAMERA, camera, make_camera)
    ear = _Watched(Device.MICROPHONE, microphone, make_microphone)
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(one.keeper.run()) for one in (eye, ear)]
        worst = [max([await one.returns(away_s) for away_s in AWAY_S]) for one in (eye, ear)]
        for one in (eye, ear):
            one.keeper.end()
        await asyncio.wait(running)
    return [
        Row(f"{name}, from its return to its first frame", took_s, "s", LIMIT_S, 1.0, "against 5 s")
        for name, took_s in zip(("camera", "microphone"), worst, strict=True)
    ]


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
        """Break it for so long; how soon it then works again, in seconds."""
        loop = asyncio.get_running_loop()
        self.keeper.want(wanted=False)
        await until(lambda: not self.keeper.open)
        self.keeper.want(wanted=True)
        await until(lambda: self.keeper.live)
        self._works.clear()
        self._it.breaks(errno.ENODEV)
        await self._fails.wait()
        self._fails.clear()
        await asyncio.sleep(away_s)
        self._it.works_again()
        since_s = loop.time()
        await self._works.wait()
        return loop.time() - since_s
