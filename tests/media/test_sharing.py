"""The screen is started while it is shared, and never twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from appliance.calls.inputs import FaultReported, Input
from appliance.media.base import AccessUnit, SourceFailed
from appliance.media.fanout import VideoFanout
from appliance.media.sharing import Sharing
from appliance.model import DeviceException
from tests.media.stranger import until


class Source:
    """A screen that writes down what is done with it."""

    encoder, width, height, framerate = "software", 160, 90, 10

    def __init__(self) -> None:
        self.told: list[str] = []
        self.breaks: Exception | None = None
        self.failed: Callable[[SourceFailed], None] = print

    def start(
        self, deliver: Callable[[AccessUnit], None], failed: Callable[[SourceFailed], None]
    ) -> None:
        if self.breaks is not None:
            raise self.breaks
        self.told.append("start")
        self.failed = failed

    def stop(self) -> None:
        self.told.append("stop")

    def rest(self, resting: bool, /) -> None: ...

    def request_keyframe(self) -> None: ...

    def set_bitrate(self, kbps: int) -> None: ...

    def set_framerate(self, fps: int) -> None: ...

    def set_scale(self, divisor: int) -> None: ...


@pytest.fixture
def source() -> Source:
    return Source()


async def run(source: Source | None, play: Callable[[Sharing], object]) -> list[Input]:
    """Let a play go on with a sharing that runs; what was reported."""
    reports: list[Input] = []
    fanout = VideoFanout()

    async def ready() -> VideoFanout:
        return fanout

    sharing = Sharing(source, ready, reports.append)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(sharing.run())
        result = play(sharing)
        if asyncio.iscoroutine(result):
            await result
        sharing.end()
        await running
    assert not sharing.is_on
    return reports


async def test_as_told_last_and_stopped_at_the_end(source: Source) -> None:
    async def play(sharing: Sharing) -> None:
        sharing.want(True)
        sharing.want(False)
        sharing.want(True)
        await until(lambda: source.told == ["start"], "the start")
        sharing.want(False)
        await until(lambda: source.told == ["start", "stop"], "the stop")
        sharing.want(True)
        await until(lambda: source.told[2:] == ["start"], "another start")

    assert await run(source, play) == []
    assert source.told == ["start", "stop"] * 2


@pytest.mark.parametrize(
    "fault", [SourceFailed(DeviceException.GENERIC, "no display"), OSError("no display")]
)
async def test_what_cannot_be_started_is_told_and_can_be_tried_again(
    source: Source, fault: Exception
) -> None:
    source.breaks = fault

    async def play(sharing: Sharing) -> None:
        sharing.want(True)
        await until(lambda: not sharing.is_on and sharing._wanted, "the attempt")
        await asyncio.sleep(0.05)
        source.breaks = None
        sharing.want(True)
        await until(lambda: source.told == ["start"], "the second attempt")

    (report,) = await run(source, play)
    assert isinstance(report, FaultReported)
    assert "no display" in report.message


async def test_what_stops_by_itself_is_told_and_released(source: Source) -> None:
    async def play(sharing: Sharing) -> None:
        sharing.want(True)
        await until(lambda: source.told == ["start"], "the start")
        source.failed(SourceFailed(DeviceException.GENERIC, "the display is gone"))
        await until(lambda: source.told == ["start", "stop"], "its release")

    (report,) = await run(source, play)
    assert isinstance(report, FaultReported)
    assert "gone" in report.message


async def test_without_a_screen_there_is_nothing_to_share() -> None:
    (report,) = await run(None, lambda sharing: sharing.want(True))
    assert isinstance(report, FaultReported)
    assert "no screen" in report.message
