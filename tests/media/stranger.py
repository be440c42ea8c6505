"""The far side, as somebody would write it who has read aiortc's documentation and nothing of ours."""

from __future__ import annotations

import asyncio
import fractions
import struct
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import av
import numpy as np
from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from appliance.media.card import read_counter
from appliance.messages import SessionDescription

PATIENCE_S = 30.0
TURN_S = 0.05
"""What one turn of the loop takes at most on a machine that is merely busy."""


async def until(condition: Callable[[], Any], what: str = "the condition") -> None:
    """Wait for something that is on its way; generous, since the machine may be slow.

    Both sides live on one loop, and aiortc takes one packet in each of its turns. Where a turn takes half a
    second since others have the cores, less happens in a second, so a longer one counts as `TURN_S`.
    """
    now, left_s = asyncio.get_running_loop().time, PATIENCE_S
    while not condition():
        if left_s <= 0:
            raise AssertionError(f"{what} did not come about in {PATIENCE_S:g} s")
        before_s = now()
        await asyncio.sleep(0.01)
        left_s -= min(now() - before_s, TURN_S)


class Voice(MediaStreamTrack):
    """A tone in stereo, 20 ms at a time."""

    kind = "audio"

    def __init__(self, tone_hz: float) -> None:
        super().__init__()
        self._tone_hz = tone_hz
        self._samples = 0
        self._start_s = time.monotonic()

    async def recv(self) -> av.AudioFrame:
        if self.readyState != "live":
            raise MediaStreamError
        due_s = self._start_s + self._samples / 48_000
        await asyncio.sleep(max(0.0, due_s - time.monotonic()))
        turns = (self._samples + np.arange(960)) * self._tone_hz / 48_000
        wave = (8000 * np.sin(2 * np.pi * turns)).astype(np.int16)
        frame = av.AudioFrame(format="s16", layout="stereo", samples=960)
        frame.planes[0].update(np.repeat(wave, 2).tobytes())
        frame.sample_rate, frame.pts = 48_000, self._samples
        frame.time_base = fractions.Fraction(1, 48_000)
        self._samples += 960
        return frame


class Film(MediaStreamTrack):
    """Pictures of one colour, 15 a second."""

    kind = "video"

    def __init__(self, colour: tuple[int, int, int]) -> None:
        super().__init__()
        self.sent = 0
        whole = av.VideoFrame.from_ndarray(np.full((96, 128, 3), colour, np.uint8), format="rgb24")
        self._picture = whole.reformat(format="yuv420p").to_ndarray()
        self._start_s = time.monotonic()

    async def recv(self) -> av.VideoFrame:
        if self.readyState != "live":
            raise MediaStreamError
        await asyncio.sleep(max(0.0, self._start_s + self.sent / 15 - time.monotonic()))
        frame = av.VideoFrame.from_ndarray(self._picture, format="yuv420p")
        frame.pts, frame.time_base = self.sent * 6000, fractions.Fraction(1, 90_000)
        self.sent += 1
        return frame


class Stranger:
    """A peer connection that looks at the frame counter and listens.

    aiortc's own way of bundling leaves a second video on a transport that is closed, hence `bundle`.
    """

    def __init__(self, *, tone_hz: float | None = None, bundle: bool = False) -> None:
        policy = RTCBundlePolicy.MAX_BUNDLE if bundle else RTCBundlePolicy.BALANCED
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=policy))
        self.numbers: list[int | None] = []
        self.screen_numbers: list[int | None] = []
        self.keyframes = 0
        self.sound = np.zeros(0, np.int16)
        self._tone_hz = tone_hz
        self._videos = 0
        self._tasks = asyncio.TaskGroup()
        self._watching: list[asyncio.Task[None]] = []
        self.pc.on("track", self._track)

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for task in asyncio.all_tasks():  # aiortc leaves this one behind if it is closed meanwhile
            if self._is_connecting(task):
                task.cancel()
        await asyncio.sleep(0)
        await self.pc.close()
        for task in self._watching:
            task.cancel()
        await self._tasks.__aexit__(kind, error, trace)

    def _is_connecting(self, task: asyncio.Task[Any]) -> bool:
        coroutine = task.get_coro()
        frame = getattr(coroutine, "cr_frame", None)
        name = getattr(coroutine, "__qualname__", "")
        ours = frame is not None and frame.f_locals.get("self") is self.pc
        return ours and name == "RTCPeerConnection.__connect"

    # -------------------- negotiation

    async def call(
        self,
        *,
        video: str | None = "recvonly",
        audio: bool = True,
        only: str | None = None,
    ) -> SessionDescription:
        """An offer; `only` names the one video codec to be offered."""
        if audio:
            self._add_audio()
        if video is not None:
            transceiver = self.pc.addTransceiver("video", video)
            if only is not None:
                transceiver.setCodecPreferences(
                    [
                        codec
                        for codec in RTCRtpSender.getCapabilities("video").codecs
                        if codec.mimeType == only
                    ]
                )
        return await self.call_again()

    async def call_again(self) -> SessionDescription:
        """An offer of what there is by now."""
        await self.pc.setLocalDescription(await self.pc.createOffer())
        return SessionDescription("offer", self.pc.localDescription.sdp)

    async def take(self, answer: SessionDescription) -> None:
        """The answer to the offer."""
        await self.pc.setRemoteDescription(RTCSessionDescription(answer.sdp, answer.type))

    async def reply(self, offer: SessionDescription) -> SessionDescription:
        """The answer to an offer that came."""
        await self.pc.setRemoteDescription(RTCSessionDescription(offer.sdp, offer.type))
        if self._tone_hz is not None:
            self.pc.addTrack(Voice(self._tone_hz))
        return await self._answer()

    async def reply_again(
        self, offer: SessionDescription, *films: MediaStreamTrack
    ) -> SessionDescription:
        """The answer to a further offer, with pictures of its own."""
        await self.pc.setRemoteDescription(RTCSessionDescription(offer.sdp, offer.type))
        for film in films:
            self.pc.addTrack(film)
        return await self._answer()

    async def _answer(self) -> SessionDescription:
        await self.pc.setLocalDescription(await self.pc.createAnswer())
        return SessionDescription("answer", self.pc.localDescription.sdp)

    def _add_audio(self) -> None:
        if self._tone_hz is None:
            self.pc.addTransceiver("audio", "recvonly")
        else:
            self.pc.addTrack(Voice(self._tone_hz))

    # -------------------- what it gets

    @property
    def connected(self) -> bool:
        return self.pc.connectionState == "connected"

    def _track(self, track: MediaStreamTrack) -> None:
        if track.kind == "audio":
            work = self._listen(track)
        else:
            self._videos += 1
            work = self._look(track, self.numbers if self._videos == 1 else self.screen_numbers)
        self._watching.append(self._tasks.create_task(work))

    async def _look(self, track: MediaStreamTrack, numbers: list[int | None]) -> None:
        try:
            while True:
                frame = await track.recv()
                assert isinstance(frame, av.VideoFrame)
                self.keyframes += frame.key_frame
                numbers.append(read_counter(frame))
        except MediaStreamError:
            return

    async def _listen(self, track: MediaStreamTrack) -> None:
        try:
            while True:
                frame = await track.recv()
                assert isinstance(frame, av.AudioFrame)
                self.sound = np.concatenate([self.sound, frame.to_ndarray()[0, ::2]])[-48_000:]
        except MediaStreamError:
            return

    async def ask_for_keyframe(self) -> None:
        """Send a PLI, as a decoder does that has lost something."""
        for transceiver in self.pc.getTransceivers():
            if transceiver.kind == "video":
                receiver = transceiver.receiver
                for source in receiver.getSynchronizationSources():
                    await receiver._send_rtcp_pli(source.source)

    async def ask_for_full_intra(self, number: int) -> None:
        """Send a FIR (RFC 5104, section 4.3.1), which names its target in the entry alone."""
        for transceiver in self.pc.getTransceivers():
            if transceiver.kind == "video":
                receiver = transceiver.receiver
                for source in receiver.getSynchronizationSources():
                    entry = struct.pack("!LB3x", source.source, number)
                    # version 2, format 4, type 206, five words; sender 1, media source 0
                    packet = struct.pack("!BBHLL", 0x84, 206, 4, 1, 0) + entry
                    await receiver.transport._send_rtp(packet)

    async def video_packets(self) -> int:
        """How many RTP packets of video have come."""
        stats = await self.pc.getStats()
        return sum(
            entry.packetsReceived
            for entry in stats.values()
            if entry.type == "inbound-rtp" and entry.kind == "video"
        )
