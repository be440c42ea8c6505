"""What incoming sound costs in delay, gaps and CPU, and a whole call: aiortc's own way against ours.

One lost packet: both receivers hear the same packets, sent from the same process over real connections;
one is not sent. The tone in them has a louder mark every 0.4 s, which is found again in what is heard: the
delay is from when the packet with the mark in it came until the mark is given to the loudspeaker. The
6.5 ms by which Opus itself is late are in it.

A call: sender and receiver of pictures and sound are separate processes, and only the one that stands for
the device is measured. Its pictures are encoded already for both; its microphone's frames are not. With an
echo canceller where there is one.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import multiprocessing as mp
import time
from collections.abc import Callable
from fractions import Fraction
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import av
import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.codecs.opus import OpusDecoder
from aiortc.jitterbuffer import JitterBuffer
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from aiortc.rtp import RtpPacket

from appliance.media import opus
from appliance.media.base import FRAME_S, FRAME_SAMPLES, SAMPLE_RATE_HZ, AccessUnit
from appliance.media.encoding import OpusEncoder
from appliance.media.fanout import AudioFanout, VideoFanout
from appliance.media.negotiation import h264_only, opus_only
from appliance.media.peer import Peer
from appliance.media.playout import Playout, VoicePacket
from appliance.media.voice import level_dbfs
from appliance.messages import SessionDescription
from tests.bench.media import (
    FPS,
    WINDOW_S,
    ClipCamera,
    Silent,
    clip,
    cpu_of_window,
    encode_ours,
    wait_until,
)
from tests.bench.table import Row

AUDIO_CLOCK = Fraction(1, SAMPLE_RATE_HZ)
MARK_FRAMES = 20
"""A mark is one louder frame in so many."""
BEFORE_S, AFTER_S = 6.0, 8.0
SETTLE_S = 3.0
"""So long after the loss what is left of it counts as lasting."""
ROUNDS = 3
"""Of calls of each kind, one after the other: the machine may have other things to do."""
TURN = 2 * SAMPLE_RATE_HZ
"""So long the far side speaks, and so long it is silent."""
CALLS = {
    "ours": "ours: the same without echo cancelling",
    "ours, echo": "ours: with it, the far side never silent",
    "ours, echo, in turns": "ours: with it, the far side 2 s of 4",
}
BUDGET_S = 0.06


# -------------------- sound


def marked_tone(seconds: float) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    at = np.arange(int(seconds * SAMPLE_RATE_HZ))
    loud = np.where((at // FRAME_SAMPLES) % MARK_FRAMES == 0, 24_000, 5_000)
    return np.asarray(loud * np.sin(2 * np.pi * 400 * at / SAMPLE_RATE_HZ), np.int16)


def opus_packets(samples: np.ndarray[tuple[int], np.dtype[np.int16]]) -> list[bytes]:
    encoder = OpusEncoder()
    return [
        encoder.encode(samples[at : at + FRAME_SAMPLES].tobytes())
        for at in range(0, len(samples) - FRAME_SAMPLES + 1, FRAME_SAMPLES)
    ]


class Ready(MediaStreamTrack):
    """Packets of sound that are encoded already, on time; one of them can be left out."""

    kind = "audio"

    def __init__(self, packets: list[bytes]) -> None:
        super().__init__()
        self.sent = 0
        self.left_out: int | None = None
        self.leave_one_out = False
        self._packets = packets
        self._start_s: float | None = None

    async def recv(self) -> av.Packet[Any]:
        if self.leave_one_out and self.sent % MARK_FRAMES == 10:
            self.leave_one_out = False
            self.left_out = self.sent
        number, self.sent = self.sent, self.sent + 1
        self._start_s = self._start_s or time.monotonic()
        await asyncio.sleep(max(0.0, self._start_s + number * FRAME_S - time.monotonic()))
        packet = av.Packet(self._packets[number % len(self._packets)])
        packet.pts, packet.time_base = number * FRAME_SAMPLES, AUDIO_CLOCK
        return packet


class Listener:
    """What is heard, with the time at which each frame is given."""

    def __init__(self) -> None:
        self.frames: list[tuple[float, bytes]] = []
        self.came: dict[int, float] = {}
        """When each packet came, by its place in the order of sending."""
        self.origin: int | None = None
        """The time stamp of the first that was sent."""

    def heard(self, frame: bytes) -> None:
        self.frames.append((time.monotonic(), frame))

    def connected(self) -> None: ...
    def failed(self, code: str, message: str) -> None: ...
    def saw(self, screen: bool, picture: object, /) -> None: ...
    def dark(self, screen: bool, /) -> None: ...

    def watch(self, receiver: Any) -> None:
        """Note when packets come, before anything is done with them."""
        handle = receiver._handle_rtp_packet

        async def noted(packet: RtpPacket, arrival_time_ms: int) -> None:
            assert self.origin is not None
            place = ((packet.timestamp - self.origin) & 0xFFFFFFFF) // FRAME_SAMPLES
            self.came.setdefault(place, time.monotonic())
            await handle(packet, arrival_time_ms)

        receiver._handle_rtp_packet = noted

    def marks(self) -> list[tuple[float, float]]:
        """When each mark was heard, and how long before that its packet came."""
        marked = sorted(at_s for place, at_s in self.came.items() if place % MARK_FRAMES == 0)
        found, quiet = [], True
        for at_s, frame in self.frames:
            loud = np.abs(np.frombuffer(frame, "<i2").astype(int)) > 15_000
            if quiet and loud.any():
                heard_s = at_s + int(loud.argmax()) / SAMPLE_RATE_HZ
                before = [came_s for came_s in marked if came_s <= heard_s]
                found += [(heard_s, heard_s - came_s) for came_s in before[-1:]]
            quiet = not loud.any()
        return found

    def longest_gap_s(self, from_s: float) -> float:
        """The longest time in which no tone was given, be it that no frame came or that it was empty."""
        longest, last_s = 0.0, from_s
        for at_s, frame in self.frames:
            if at_s < from_s:
                continue
            for part in range(4):
                begin_s = at_s + part * FRAME_S / 4
                samples = np.frombuffer(frame, "<i2")[part * 240 : part * 240 + 240]
                if np.sqrt(np.mean(samples.astype(float) ** 2)) > 5_000 / np.sqrt(2) / 4:
                    longest = max(longest, begin_s - last_s)
                    last_s = begin_s + FRAME_S / 4
        return longest


async def hear_aiortc(track: MediaStreamTrack, listener: Listener) -> None:
    """Frames as aiortc gives them, made into what a loudspeaker takes."""
    with contextlib.suppress(MediaStreamError):
        while True:
            frame = await track.recv()
            assert isinstance(frame, av.AudioFrame)
            listener.heard(one_channel(frame))


def one_channel(frame: av.AudioFrame) -> bytes:
    samples = frame.to_ndarray().reshape(-1, 2)
    return bytes(samples.mean(axis=1).astype("<i2").tobytes())


async def one_lost(kind: str, packets: list[bytes]) -> tuple[float, float, float]:
    """The delay before, by how much it is longer afterwards, and the longest gap, in seconds."""
    listener = Listener()
    sender = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    track = Ready(packets)
    sender.addTransceiver(track, "sendonly").setCodecPreferences(opus_only())
    ice = sender.getSenders()[0].transport.transport
    send = ice._send

    async def lossy(data: bytes) -> None:
        if 128 <= data[0] < 192 and not 64 <= data[1] & 0x7F < 96:  # RTP (RFC 5761)
            timestamp = int.from_bytes(data[4:8], "big")
            if listener.origin is None:
                listener.origin = timestamp - (track.sent - 1) * FRAME_SAMPLES
            if ((timestamp - listener.origin) & 0xFFFFFFFF) // FRAME_SAMPLES == track.left_out:
                return
        await send(data)

    ice._send = lossy
    await sender.setLocalDescription(await sender.createOffer())
    offer = sender.localDescription.sdp
    async with asyncio.TaskGroup() as tasks:
        if kind == "aiortc":
            receiving = RTCPeerConnection(RTCConfiguration(iceServers=[]))
            await receiving.setRemoteDescription(RTCSessionDescription(offer, "offer"))
            receiver = receiving.getReceivers()[0]
            await receiving.setLocalDescription(await receiving.createAnswer())
            answer = receiving.localDescription.sdp
            hearing = tasks.create_task(hear_aiortc(receiver.track, listener))
            close = receiving.close
        else:
            peer = Peer(listener, AudioFanout(), None)
            answer = (await peer.answer(SessionDescription("offer", offer))).sdp
            receiver = peer._agreement.lines[0].transceiver.receiver
            hearing = tasks.create_task(peer.listen())
            close = peer.close
        listener.watch(receiver)
        await sender.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        await wait_until(lambda: len(listener.frames) > 50)
        await asyncio.sleep(BEFORE_S)
        lost_s = time.monotonic()
        track.leave_one_out = True
        await asyncio.sleep(AFTER_S)
        hearing.cancel()
        await close()
        await sender.close()
    marks = listener.marks()
    before = median(delay for at_s, delay in marks if at_s < lost_s)
    after = median(delay for at_s, delay in marks if at_s > lost_s + SETTLE_S)
    return before, after - before, listener.longest_gap_s(lost_s)


# -------------------- what a packet costs


def cost_of_a_packet(packets: list[bytes]) -> tuple[float, float]:
    """Microseconds of CPU for 20 ms of incoming sound: aiortc's buffer and decoder, and ours."""
    rounds = 6
    numbered = list(enumerate(packets * rounds))

    def rtp(number: int, payload: bytes) -> RtpPacket:
        packet = RtpPacket(
            sequence_number=number & 0xFFFF, timestamp=number * FRAME_SAMPLES, ssrc=1
        )
        packet.payload = payload
        packet._data = payload  # type: ignore[attr-defined]
        return packet

    coming = [rtp(number, payload) for number, payload in numbered]
    buffer, decoder = JitterBuffer(capacity=16, prefetch=4), OpusDecoder()
    began_s = time.process_time()
    for packet in coming:
        _, encoded = buffer.add(packet)
        if encoded is not None:
            for frame in decoder.decode(encoded):
                assert isinstance(frame, av.AudioFrame)
                one_channel(frame)
    theirs_s = time.process_time() - began_s
    playout = Playout(opus.decoder())
    began_s = time.process_time()
    for number, packet in enumerate(coming):
        at_s = number * FRAME_S
        playout.put(
            VoicePacket(packet.ssrc, packet.sequence_number, packet.timestamp, packet.payload), at_s
        )
        playout.pull(at_s + 0.01)
    ours_s = time.process_time() - began_s
    return theirs_s / len(coming) * 1e6, ours_s / len(coming) * 1e6


# -------------------- a whole call


class Canceller(Protocol):
    """As `appliance.media.base.EchoCanceller`."""

    def far(self, frame: bytes, /) -> None: ...
    def near(self, frame: bytes, delay_ms: int, /) -> bytes: ...
    def close(self) -> None: ...


def echo_canceller() -> Canceller | None:
    """WebRTC's; None where it is not installed, or this version has none."""
    try:
        echo = importlib.import_module("appliance.media.echo")
    except ModuleNotFoundError:
        return None
    if not echo.installed():
        return None
    made: Canceller = echo.canceller("aec3")
    return made


class Microphone(MediaStreamTrack):
    """Frames of sound on time, as aiortc wants them."""

    kind = "audio"

    def __init__(self, samples: np.ndarray[tuple[int], np.dtype[np.int16]]) -> None:
        super().__init__()
        self._frames = [part.tobytes() for part in np.split(samples, len(samples) // FRAME_SAMPLES)]
        self._sent = 0
        self._start_s: float | None = None

    async def recv(self) -> av.AudioFrame:
        number, self._sent = self._sent, self._sent + 1
        self._start_s = self._start_s or time.monotonic()
        await asyncio.sleep(max(0.0, self._start_s + number * FRAME_S - time.monotonic()))
        frame = av.AudioFrame(format="s16", layout="mono", samples=FRAME_SAMPLES)
        frame.planes[0].update(self._frames[number % len(self._frames)])
        frame.sample_rate, frame.pts = SAMPLE_RATE_HZ, number * FRAME_SAMPLES
        frame.time_base = AUDIO_CLOCK
        return frame


class ReadyPictures(MediaStreamTrack):
    """Access units on time, as packets."""

    kind = "video"

    def __init__(self, units: list[bytes]) -> None:
        super().__init__()
        self._units = units
        self._sent = 0
        self._start_s: float | None = None

    async def recv(self) -> av.Packet[Any]:
        number, self._sent = self._sent, self._sent + 1
        self._start_s = self._start_s or time.monotonic()
        await asyncio.sleep(max(0.0, self._start_s + number / FPS - time.monotonic()))
        packet = av.Packet(self._units[number % len(self._units)])
        packet.pts, packet.time_base = number * 90_000 // FPS, Fraction(1, 90_000)
        return packet


def far_side(line: Connection, packets: list[bytes]) -> None:
    """Answer an offer: throw the pictures and the sound away, and send sound that is encoded already."""

    async def nothing(packet: object, arrival_time_ms: int) -> None:
        """Throw a packet away."""

    async def answer() -> None:
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        offer = await asyncio.to_thread(line.recv)
        await connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        for transceiver in connection.getTransceivers():
            transceiver.receiver._handle_rtp_packet = nothing  # type: ignore[method-assign]
        connection.addTrack(Ready(packets))
        await connection.setLocalDescription(await connection.createAnswer())
        line.send(connection.localDescription.sdp)
        await asyncio.to_thread(line.recv)
        await connection.close()

    asyncio.run(answer())


async def call_aiortc(line: Connection, units: list[bytes], voice: Any) -> float:
    listener = Listener()
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    connection.addTransceiver(Microphone(voice), "sendrecv").setCodecPreferences(opus_only())
    connection.addTransceiver(ReadyPictures(units), "sendonly").setCodecPreferences(h264_only())
    await connection.setLocalDescription(await connection.createOffer())
    line.send(connection.localDescription.sdp)
    answer = await asyncio.to_thread(line.recv)
    async with asyncio.TaskGroup() as tasks:
        await connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        track = connection.getReceivers()[0].track
        hearing = tasks.create_task(hear_aiortc(track, listener))
        await wait_until(lambda: len(listener.frames) > 10)
        cpu_s = await cpu_of_window()
        line.send(None)
        hearing.cancel()
        await connection.close()
    return cpu_s


class Hearing(Silent):
    """A loudspeaker, with who speaks, as the audience has them, and the canceller's far end."""

    def __init__(self, canceller: Canceller | None) -> None:
        super().__init__()
        self.frames = 0
        self._canceller = canceller

    def heard(self, frame: bytes) -> None:
        self.frames += 1
        level_dbfs(frame)
        if self._canceller is not None:
            self._canceller.far(frame)


class StillCamera(ClipCamera):
    """It gives what it is told to, from a keyframe on where that is wanted."""

    place = 0

    def request_keyframe(self) -> None:
        self.place = 0


async def every(interval_s: float, work: Callable[[int, float], None]) -> None:
    """On the loop, as aiortc's tracks have it."""
    start_s, number = time.monotonic(), 0
    while True:
        work(number, start_s + number * interval_s)
        number += 1
        await asyncio.sleep(max(0.0, start_s + number * interval_s - time.monotonic()))


async def call_ours(line: Connection, units: list[bytes], voice: Any, *, echo: bool) -> float:
    canceller = echo_canceller() if echo else None
    fanout, audio = VideoFanout(), AudioFanout()
    camera = StillCamera([], units)
    fanout.attach(camera)
    encoder = OpusEncoder()
    frames = [part.tobytes() for part in np.split(voice, len(voice) // FRAME_SAMPLES)]

    def hear(number: int, at_s: float) -> None:
        frame = frames[number % len(frames)]
        if canceller is not None:
            frame = canceller.near(frame, 40)
        audio.deliver(encoder.encode(frame))

    def see(number: int, at_s: float) -> None:
        place, camera.place = camera.place, (camera.place + 1) % len(units)
        fanout.deliver(AccessUnit(units[place], int(at_s * 1e6), place == 0))

    hearing = Hearing(canceller)
    peer = Peer(hearing, audio, fanout)
    line.send((await peer.offer()).sdp)
    async with asyncio.TaskGroup() as tasks:
        await peer.accept(SessionDescription("answer", await asyncio.to_thread(line.recv)))
        working = [
            tasks.create_task(work)
            for work in (peer.listen(), every(FRAME_S, hear), every(1 / FPS, see))
        ]
        await wait_until(lambda: hearing.frames > 10 and fanout.listeners == 1)
        cpu_s = await cpu_of_window()
        line.send(None)
        for task in working:
            task.cancel()
        await peer.close()
    if canceller is not None:
        canceller.close()
    return cpu_s


def device(kind: str, line: Connection, folder: str, result: Connection) -> None:
    units = [bytes(unit) for unit in np.load(Path(folder) / "units.npy", allow_pickle=True)]
    voice = np.load(Path(folder) / "voice.npy")
    if kind == "aiortc":
        result.send(asyncio.run(call_aiortc(line, units, voice)))
    else:
        result.send(asyncio.run(call_ours(line, units, voice, echo="echo" in kind)))


def measure(kind: str, folder: str, packets: list[bytes]) -> float:
    """CPU seconds of the device for one second of a call."""
    spawn = mp.get_context("spawn")
    ours, theirs = spawn.Pipe()
    result, answer = spawn.Pipe(duplex=False)
    far = spawn.Process(target=far_side, args=(theirs, packets))
    near = spawn.Process(target=device, args=(kind, ours, folder, answer))
    for process in (far, near):
        process.start()
    try:
        if not result.poll(120):
            raise RuntimeError(f"the bench of {kind} hangs")
        return float(result.recv()) / WINDOW_S
    finally:
        for process in (near, far):
            process.join(5)
            with contextlib.suppress(ValueError):
                process.kill()


def run() -> list[Row]:
    """Every figure, ratios with their peer of the same run."""
    packets = opus_packets(marked_tone(20))
    rows = []
    for kind in ("aiortc", "ours"):
        before_s, longer_s, gap_s = asyncio.run(one_lost(kind, packets))
        ours = kind == "ours"
        rows += [
            Row(
                f"{kind}: from packet to loudspeaker, median",
                before_s * 1e3,
                "ms",
                BUDGET_S * 1e3 if ours else None,
                1 if ours else None,
            ),
            Row(
                f"{kind}: one packet lost, longest gap",
                gap_s * 1e3,
                "ms",
                BUDGET_S * 1e3 if ours else None,
                1 if ours else None,
            ),
            Row(
                f"{kind}: one packet lost, how much later for good",
                longer_s * 1e3,
                "ms",
                FRAME_S * 1e3 if ours else None,
                1 if ours else None,
            ),
        ]
    voice = marked_tone(4)
    theirs_us, ours_us = cost_of_a_packet(packets)
    rows += [
        Row("aiortc: buffer and decoder, 20 ms", theirs_us, "us"),
        Row("ours: buffer, decoder and stretching, 20 ms", ours_us, "us", theirs_us),
    ]
    with TemporaryDirectory() as folder:
        np.save(Path(folder) / "clip.npy", clip())
        units = np.array(encode_ours(Path(folder) / "clip.npy")[0], object)
        np.save(Path(folder) / "units.npy", units, allow_pickle=True)
        np.save(Path(folder) / "voice.npy", voice)
        turns = opus_packets(marked_tone(20) * (np.arange(20 * SAMPLE_RATE_HZ) // TURN % 2 == 0))
        kinds = {"aiortc": packets, "ours": packets}
        if echo_canceller() is not None:
            kinds |= {"ours, echo": packets, "ours, echo, in turns": turns}
        else:
            rows.append(Row("WebRTC's canceller is installed", 0, "", least=1))
        rounds = [
            {kind: measure(kind, folder, sent) for kind, sent in kinds.items()}
            for _ in range(ROUNDS)
        ]
        theirs_s = median(one["aiortc"] for one in rounds)
        rows.append(Row("aiortc: a call with ready-made pictures", theirs_s, "CPU s/s"))
        rows += [
            Row(
                CALLS[kind],
                median(one[kind] for one in rounds),
                "CPU s/s",
                theirs_s,
                0.5,
                " ".join(f"{one[kind] / one['aiortc']:.2f}" for one in rounds),
            )
            for kind in list(kinds)[1:]
        ]
    return rows
