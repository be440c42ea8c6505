"""A studio of a laptop, played from its effects to its reports."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

from msgspec.structs import replace

from appliance.calls.effects import AcceptAnswer, OpenPeer, Renegotiate
from appliance.calls.inputs import (
    AudioOutputs,
    Input,
    PeerAgreed,
    PeerAnswered,
    PeerKey,
    PeerOffered,
)
from appliance.config import Audio, Camera, IceServer, Media
from appliance.media.base import Devices, PictureSink, VideoSource
from appliance.media.studio import Studio
from appliance.messages import SessionDescription
from appliance.model import AudioMode, CallType
from tests.media.stranger import Stranger, until

SMALL = Media(width=320, height=180, framerate=15, bitrate_kbps=300)
ALICE = PeerKey("session-1", "alice", "phone-1")
BOB = PeerKey("session-1", "bob", "phone-2")

In = TypeVar("In", bound=Input)


class Door:
    """A studio of a laptop, and what it has reported."""

    def __init__(self, studio: Studio, reports: list[Input]) -> None:
        self.studio = studio
        self.reports = reports

    def all(self, kind: type[In]) -> list[In]:
        return [report for report in self.reports if isinstance(report, kind)]

    async def next(self, kind: type[In]) -> In:
        """The first report of this kind, which is then forgotten."""
        await until(lambda: self.all(kind), kind.__name__)
        report = self.all(kind)[0]
        self.reports.remove(report)
        return report

    async def answer(
        self,
        stranger: Stranger,
        key: PeerKey = ALICE,
        type: CallType = CallType.VIDEO,
        **offer: object,
    ) -> PeerAgreed:
        """The stranger offers, this device answers."""
        self.studio.perform(OpenPeer(key, type, await stranger.call(**offer)))  # type: ignore[arg-type]
        await stranger.take((await self.next(PeerAnswered)).description)
        return await self.next(PeerAgreed)

    async def offer(
        self, stranger: Stranger, key: PeerKey = ALICE, type: CallType = CallType.VIDEO
    ) -> PeerAgreed:
        """This device offers, the stranger answers."""
        self.studio.perform(OpenPeer(key, type))
        answer = await stranger.reply((await self.next(PeerOffered)).description)
        self.studio.perform(AcceptAnswer(key, answer))
        return await self.next(PeerAgreed)

    async def answer_again(
        self, stranger: Stranger, offer: SessionDescription, type: CallType = CallType.VIDEO
    ) -> PeerAgreed:
        """The stranger offers anew, this device answers."""
        self.studio.perform(Renegotiate(ALICE, type, offer))
        await stranger.take((await self.next(PeerAnswered)).description)
        return await self.next(PeerAgreed)

    async def offer_again(self, stranger: Stranger, type: CallType = CallType.VIDEO) -> PeerAgreed:
        """This device offers anew, the stranger answers."""
        self.studio.perform(Renegotiate(ALICE, type))
        answer = await stranger.reply_again((await self.next(PeerOffered)).description)
        self.studio.perform(AcceptAnswer(ALICE, answer))
        return await self.next(PeerAgreed)


@asynccontextmanager
async def a_door(
    *,
    camera: str = "test-card",
    microphone: str = "tone",
    setup_limit_s: float = 10,
    devices: Devices | None = None,
    pictures: PictureSink | None = None,
    screen_source: VideoSource | None = None,
    ice_servers: tuple[IceServer, ...] = (),
    media: Media = SMALL,
) -> AsyncIterator[Door]:
    reports: list[Input] = []

    def post(report: Input) -> None:
        if not isinstance(report, AudioOutputs):  # told at the start, and of no interest here
            reports.append(report)

    studio = Studio(
        replace(media, ice_servers=ice_servers),
        {"front": Camera(camera)},
        {AudioMode.SPEAKER: Audio(playback="silence", capture=microphone)},
        post,
        devices=devices,
        pictures=pictures,
        screen_source=screen_source,
        setup_limit_s=setup_limit_s,
    )
    async with studio:
        yield Door(studio, reports)
