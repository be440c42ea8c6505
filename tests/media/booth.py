"""A studio of a laptop whose devices are played with, and what it has reported."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Literal, TypeVar

from appliance.calls.inputs import Input
from appliance.config import Audio, Camera, Media, Recording
from appliance.media.base import Devices
from appliance.media.equipment import Equipment
from appliance.media.studio import Studio
from appliance.model import AudioMode
from tests.media.stranger import until

SMALL = Media(width=320, height=180, framerate=25, bitrate_kbps=300)
BOTH: Mapping[Literal["front", "rear"], Camera] = {
    "front": Camera("test-card"),
    "rear": Camera("test-card"),
}
EVERY = {mode: Audio(playback="tone", capture="tone") for mode in AudioMode}

In = TypeVar("In", bound=Input)


class Booth:
    """A running studio."""

    def __init__(self, studio: Studio, reports: list[Input]) -> None:
        self.studio = studio
        self.reports = reports

    @property
    def equipment(self) -> Equipment:
        assert self.studio._equipment is not None
        return self.studio._equipment

    def status(self, name: str) -> object:
        return self.studio.status()[name]

    def all(self, kind: type[In]) -> list[In]:
        return [report for report in self.reports if isinstance(report, kind)]

    async def next(self, kind: type[In]) -> In:
        """The first report of this kind, which is then forgotten."""
        await until(lambda: self.all(kind), kind.__name__)
        report = self.all(kind)[0]
        self.reports.remove(report)
        return report


@asynccontextmanager
async def a_booth(
    *,
    cameras: Mapping[Literal["front", "rear"], Camera] = BOTH,
    audio: Mapping[AudioMode, Audio] = EVERY,
    devices: Devices | None = None,
    recording: Recording | None = None,
    volumes: Mapping[AudioMode, int] | None = None,
    media: Media = SMALL,
) -> AsyncIterator[Booth]:
    """Loaded, as the appliance does before it enters it."""
    reports: list[Input] = []
    studio = Studio(
        media,
        cameras,
        audio,
        reports.append,
        devices=devices,
        recording=recording,
        volumes=volumes,
    )
    await studio.load()
    async with studio:
        yield Booth(studio, reports)
