"""How soon a device works again after its return, however it was broken: in played time."""

from __future__ import annotations

import asyncio
import errno
import itertools
import math
from collections.abc import Callable

import pytest

from appliance.calls.inputs import Input
from appliance.media.base import SourceFailed
from appliance.media.capture import STALL_LIMIT_S, Live
from appliance.media.devices import Device, DeviceKeeper
from appliance.media.driver import OPEN_LIMIT_S
from appliance.model import DeviceException
from tests.panel.virtual import play

LIMIT_S = 5.0
OPENS_S, FIRST_S, CLOSES_S = 1.0, 0.3, 0.3
"""How long a camera behind libcamera is at it, until its first picture and when it is closed."""
AWAY_S = [0.05 + 0.37 * number for number in range(50)]
FAULTS = {
    "gone": SourceFailed(DeviceException.DEVICE_UNPLUGGED, "it is gone", errno.ENODEV),
    "busy": SourceFailed(DeviceException.DEVICE_OCCUPIED, "it is busy", errno.EBUSY),
    "late": SourceFailed(DeviceException.GENERIC, "it took too long", errno.ETIMEDOUT),
}


class Sensor:
    """What may be away. What was opened, or gave, while it was gives nothing ever after."""

    def __init__(self, how: str) -> None:
        self.how = how
        self.back = asyncio.Event()
        self.back.set()
        self.running: list[Wedged] = []
        self.hanging: list[Wedged] = []

    def returns(self) -> None:
        self.back.set()
        for live in self.hanging:
            live.released = True

    def goes(self) -> None:
        self.back.clear()
        for live in self.running:
            live.breaks()


class Wedged:
    """One opening of it."""

    complaint = None

    def __init__(self, sensor: Sensor, changed: Callable[[], None]) -> None:
        self.source: object = sensor
        self.began, self.released = False, True
        self.fault: SourceFailed | None = None
        self.due_s = math.inf
        self._sensor, self._changed = sensor, changed
        self._first: asyncio.TimerHandle | None = None

    async def open(self) -> None:
        sensor = self._sensor
        dead = not sensor.back.is_set()
        if dead and sensor.how in ("gone", "busy"):
            raise FAULTS[sensor.how]
        if dead and sensor.how == "hang":
            await self._hang()
        await asyncio.sleep(OPENS_S)
        self.released = False
        sensor.running.append(self)
        if not dead or sensor.how == "hang":
            self._first = asyncio.get_running_loop().call_later(FIRST_S, self._begin)

    async def _hang(self) -> None:
        """The driver comes back with the device, though nobody waits for it any more."""
        self.released = False
        try:
            async with asyncio.timeout(OPEN_LIMIT_S):
                await self._sensor.back.wait()
        except TimeoutError:
            self._sensor.hanging.append(self)
            raise FAULTS["late"] from None

    def breaks(self) -> None:
        if self._first is not None:
            self._first.cancel()
        if self._sensor.how in FAULTS:
            self.fault = FAULTS[self._sensor.how]
        self.due_s = asyncio.get_running_loop().time() + STALL_LIMIT_S
        self._changed()

    def _begin(self) -> None:
        self.began = True
        self._changed()

    async def close(self) -> None:
        await asyncio.sleep(CLOSES_S)
        self._sensor.running.remove(self)
        self.released = True


@pytest.mark.parametrize("how", ["gone", "busy", "late", "stall", "hang"])
def test_whatever_was_wrong_it_works_within_5_s_of_its_return(how: str) -> None:
    took_s: dict[float, float] = {}

    async def returns(away_s: float) -> None:
        sensor, loop = Sensor(how), asyncio.get_running_loop()
        again, told = asyncio.Event(), asyncio.Event()

        async def make(_: str, changed: Callable[[], None]) -> Live:
            return Wedged(sensor, changed)

        def post(report: Input) -> None:
            fine = getattr(report, "type", None) is None
            (again if fine else told).set()

        keeper = DeviceKeeper(Device.CAMERA, "one", make, post, lambda _: None)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(keeper.run())
            keeper.want(wanted=True)
            await asyncio.sleep(60)
            assert keeper.live is not None
            sensor.goes()
            await asyncio.sleep(away_s)
            sensor.returns()
            since_s = loop.time()
            await told.wait()
            await again.wait()
            took_s[away_s] = loop.time() - since_s
            keeper.end()

    async def all_of_them() -> None:
        for away_s in AWAY_S:
            await returns(away_s)

    play(all_of_them())
    assert len(took_s) == len(AWAY_S)
    assert max(took_s.values()) <= LIMIT_S, took_s


def test_what_fails_at_once_is_not_tried_without_a_pause() -> None:
    """Also where it says that it took too long."""

    async def fails() -> None:
        attempts: list[float] = []

        async def make(_: str, changed: Callable[[], None]) -> Live:
            attempts.append(asyncio.get_running_loop().time())
            raise FAULTS["late"]

        keeper = DeviceKeeper(Device.CAMERA, "one", make, lambda _: None, lambda _: None)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(keeper.run())
            keeper.want(wanted=True)
            await asyncio.sleep(20)
            keeper.end()
        pauses = [after - before for before, after in itertools.pairwise(attempts)]
        assert pauses == pytest.approx([1, 2, 3, 3, 3, 3, 3])

    play(fails())
