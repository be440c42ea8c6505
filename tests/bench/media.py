"""What a sent picture costs: CPU seconds per second of 720p30, aiortc's own encoder against ours.

Sender and receivers are separate processes, and only the sender's CPU time counts; the receivers throw
packets away as cheaply as they can. Pictures and bitrate are the same for all; where aiortc cannot keep up
with 30 pictures a second, what it managed to send is what is counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing as mp
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeAlias

import aiortc.codecs.h264
import av
import numpy as np
import numpy.typing as npt
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack

from appliance.media.base import AccessUnit, SourceFailed
from appliance.media.encoding import H264Encoder
from appliance.media.fanout import AudioFanout, VideoFanout
from appliance.media.handover import Handover
from appliance.media.negotiation import h264_only
from appliance.media.pacing import Paced
from appliance.media.peer import Peer
from appliance.messages import SessionDescription
from tests.bench.table import Row
from tests.parts import encoders

WIDTH, HEIGHT, FPS, KBPS = 1280, 720, 30, 1500
PICTURES = 60
WINDOW_S = 4.0
PEERS = (1, 4, 8)

Pixels: TypeAlias = npt.NDArray[np.uint8]


# -------------------- pictures


def clip() -> Pixels:
    """Two seconds before a door: a textured wall, two people who walk by, and a sensor's noise."""
    rng = np.random.default_rng(1)
    height, width = HEIGHT + 200, WIDTH + 400
    wall: npt.NDArray[Any] = np.full((height, width), 128, np.float32)
    for grain, strength in ((128, 40), (48, 22), (16, 14), (6, 8), (2, 3)):
        coarse = rng.standard_normal((height // grain + 2, width // grain + 2)).astype(np.float32)
        wall += strength * np.kron(coarse, np.ones((grain, grain), np.float32))[:height, :width]
    for axis in (0, 1):
        wall = np.mean([np.roll(wall, shift, axis) for shift in range(-2, 3)], axis=0)
    noise = [rng.normal(0, 1.5, (HEIGHT, WIDTH)) for _ in range(8)]
    waves = 20 * np.sin(np.arange(WIDTH // 2) / 60)
    pictures = np.empty((PICTURES, HEIGHT * 3 // 2, WIDTH), np.uint8)
    for number, picture in enumerate(pictures):
        luma = wall[20 : 20 + HEIGHT, 20 : 20 + WIDTH].copy()
        for left, top, wide, high, speed in ((200, 110, 160, 380, 6), (900, 180, 140, 340, -4)):
            x = (left + speed * number) % (WIDTH - wide)
            coat = wall[top + 100 : top + 100 + high, 60 + number : 60 + number + wide]
            luma[top : top + high, x : x + wide] = coat * 0.8 + 30
        picture[:HEIGHT] = np.clip(luma + noise[number * 5 % 8], 16, 235)
        picture[HEIGHT:] = (128 + np.tile(waves, 2)).astype(np.uint8)
    return pictures


def there_and_back(number: int) -> int:
    """The clip forwards and backwards for ever: no jump that would cost an encoder a whole picture."""
    place = number % (2 * PICTURES - 2)
    return min(place, 2 * PICTURES - 2 - place)


def frames(path: Path) -> list[av.VideoFrame]:
    return [
        av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="yuv420p")
        for picture in np.load(path, mmap_mode="r")
    ]


# -------------------- the receivers


def receive(peers: int, line: Connection) -> None:
    """Answer so many offers that come over `line`, until it says otherwise."""

    async def nothing(packet: object, arrival_time_ms: int) -> None:
        """Throw a packet away."""

    async def answer_all() -> None:
        connections = []
        for _ in range(peers):
            connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
            connections.append(connection)
            offer = await asyncio.to_thread(line.recv)
            await connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
            for receiver in connection.getReceivers():
                receiver._handle_rtp_packet = nothing  # type: ignore[method-assign]
            await connection.setLocalDescription(await connection.createAnswer())
            line.send(connection.localDescription.sdp)
        await asyncio.to_thread(line.recv)
        for connection in connections:
            await connection.close()

    asyncio.run(answer_all())


# -------------------- aiortc by itself


def pin_bitrate() -> None:
    """Keep aiortc's encoder at our bitrate, whatever the receivers estimate."""
    for name in ("DEFAULT_BITRATE", "MIN_BITRATE", "MAX_BITRATE"):
        setattr(aiortc.codecs.h264, name, KBPS * 1000)


class RawTrack(MediaStreamTrack):
    """A camera as aiortc wants it: pictures, encoded for each peer anew."""

    kind = "video"

    def __init__(self, pictures: list[av.VideoFrame]) -> None:
        super().__init__()
        # an encoder marks the picture that it is given
        self._pictures = [
            av.VideoFrame.from_ndarray(picture.to_ndarray(), format="yuv420p")
            for picture in pictures
        ]
        self._start_s = time.monotonic()
        self.sent = 0

    async def recv(self) -> av.VideoFrame:
        await asyncio.sleep(max(0.0, self._start_s + self.sent / FPS - time.monotonic()))
        picture = self._pictures[there_and_back(self.sent)]
        picture.pts, picture.time_base = self.sent * 3000, Fraction(1, 90_000)
        self.sent += 1
        return picture


async def send_raw(peers: int, line: Connection, path: Path) -> float:
    pin_bitrate()
    pictures = frames(path)
    connections, tracks = [], []
    for _ in range(peers):
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        track = RawTrack(pictures)
        connection.addTransceiver(track, "sendonly").setCodecPreferences(h264_only())
        await connection.setLocalDescription(await connection.createOffer())
        line.send(connection.localDescription.sdp)
        answer = await asyncio.to_thread(line.recv)
        await connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        connections.append(connection)
        tracks.append(track)
    await wait_until(lambda: all(track.sent > 5 for track in tracks))
    before = sum(track.sent for track in tracks)
    cpu_s = await cpu_of_window()
    media_s = (sum(track.sent for track in tracks) - before) / FPS / peers
    line.send(None)
    for connection in connections:
        await connection.close()
    return cpu_s / media_s


# -------------------- ours


class ClipCamera:
    """The clip as a camera, encoded once or, with `units`, encoded long ago."""

    encoder, width, height, framerate = "software", WIDTH, HEIGHT, FPS

    def __init__(self, pictures: list[av.VideoFrame], units: list[bytes] | None = None) -> None:
        self.sent = 0
        self._pictures, self._units = pictures, units
        self._encoder = H264Encoder(WIDTH, HEIGHT, FPS, KBPS)
        self._thread: Paced | None = None

    def start(
        self, deliver: Callable[[AccessUnit], None], failed: Callable[[SourceFailed], None]
    ) -> None:
        def take(number: int, at_s: float) -> None:
            self.sent += 1
            pts_us = int(at_s * 1e6)
            if self._units is None:
                deliver(self._encoder.encode(self._pictures[there_and_back(number)], pts_us))
            else:
                deliver(
                    AccessUnit(
                        self._units[number % len(self._units)],
                        pts_us,
                        number % len(self._units) == 0,
                    )
                )

        self._thread = Paced("camera", FPS, take, print)

    def stop(self) -> None:
        if self._thread is not None:
            self._thread.stop()

    def rest(self, resting: bool, /) -> None: ...
    def request_keyframe(self) -> None: ...
    def set_bitrate(self, kbps: int) -> None: ...
    def set_framerate(self, fps: int) -> None: ...
    def set_scale(self, divisor: int) -> None: ...


class Silent:
    """Who is told of a connection."""

    def __init__(self) -> None:
        self.is_connected = False

    def connected(self) -> None:
        self.is_connected = True

    def failed(self, code: str, message: str) -> None: ...
    def heard(self, frame: bytes) -> None: ...
    def saw(self, screen: bool, picture: object, /) -> None: ...
    def dark(self, screen: bool, /) -> None: ...


async def send_shared(peers: int, line: Connection, path: Path, units: list[bytes] | None) -> float:
    fanout, audio = VideoFanout(), AudioFanout()
    camera = ClipCamera(frames(path) if units is None else [], units)
    handover = Handover(fanout.deliver)
    observers = [Silent() for _ in range(peers)]
    connections = [Peer(observer, audio, fanout) for observer in observers]
    for peer in connections:
        line.send((await peer.offer()).sdp)
        await peer.accept(SessionDescription("answer", await asyncio.to_thread(line.recv)))
    fanout.attach(camera)
    camera.start(handover.put, print)
    await wait_until(lambda: fanout.listeners == peers and all(o.is_connected for o in observers))
    before = camera.sent
    cpu_s = await cpu_of_window()
    media_s = (camera.sent - before) / FPS
    handover.close()
    camera.stop()
    line.send(None)
    for peer in connections:
        await peer.close()
    return cpu_s / media_s


async def wait_until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - nothing to wait on
        await asyncio.sleep(0.05)


async def cpu_of_window() -> float:
    await asyncio.sleep(0.5)  # the first keyframes
    before_s = time.process_time()
    await asyncio.sleep(WINDOW_S)
    return time.process_time() - before_s


# -------------------- the comparison


def measure(kind: str, peers: int, path: Path) -> tuple[float, int]:
    """CPU seconds of the sender for one second of media to so many peers, and the encoders it made."""
    spawn = mp.get_context("spawn")
    ours, theirs = spawn.Pipe()
    result, answer = spawn.Pipe(duplex=False)
    receiver = spawn.Process(target=receive, args=(peers, theirs))
    sender = spawn.Process(target=send, args=(kind, peers, ours, path, answer))
    for process in (receiver, sender):
        process.start()
    try:
        if not result.poll(60):
            raise RuntimeError(f"the bench of {kind} with {peers} peers hangs")
        cpu_s, made = result.recv()
        return float(cpu_s), int(made)
    finally:
        for process in (sender, receiver):
            process.join(5)
            with contextlib.suppress(ValueError):
                process.kill()


def send(kind: str, peers: int, line: Connection, path: Path, answer: Connection) -> None:
    units = encode_ours(path)[0] if kind == "ready-made" else None
    with encoders.counted() as made:
        if kind == "aiortc":
            cpu_s = asyncio.run(send_raw(peers, line, path))
        else:
            cpu_s = asyncio.run(send_shared(peers, line, path, units))
    answer.send((cpu_s, sum(made.values())))


def looped(path: Path) -> list[av.VideoFrame]:
    """Four seconds of the clip."""
    pictures = frames(path)
    return [pictures[there_and_back(number)] for number in range(2 * PICTURES)]


def encode_ours(path: Path) -> tuple[list[bytes], float]:
    encoder = H264Encoder(WIDTH, HEIGHT, FPS, KBPS)
    pictures = looped(path)
    units = [
        encoder.encode(picture, number * 1_000_000 // FPS).data
        for number, picture in enumerate(pictures)
    ]
    return units, psnr_db(units, pictures)


def encode_aiortc(path: Path) -> tuple[list[bytes], float]:
    pin_bitrate()
    encoder = aiortc.codecs.h264.H264Encoder()
    pictures, units = looped(path), []
    for number, picture in enumerate(pictures):
        picture.pts, picture.time_base = number, Fraction(1, FPS)
        nals = encoder._encode_frame(picture, force_keyframe=False)
        units.append(b"".join(b"\x00\x00\x00\x01" + nal for nal in nals))
    return units, psnr_db(units, pictures)


def psnr_db(units: list[bytes], pictures: list[av.VideoFrame]) -> float:
    """Of the luma, from the second second on, when the rate control has settled."""
    decoder = av.CodecContext.create("h264", "r")
    decoded = [frame for unit in units for frame in decoder.decode(av.Packet(unit))]
    decoded += decoder.decode(None)
    errors = [
        np.mean((luma(after) - luma(before)) ** 2)
        for after, before in list(zip(decoded, pictures, strict=True))[FPS:]
    ]
    return float(10 * np.log10(255**2 / np.mean(errors)))


def luma(frame: av.VideoFrame) -> npt.NDArray[np.float32]:
    return frame.to_ndarray()[:HEIGHT].astype(np.float32)


def kbps(units: list[bytes]) -> float:
    return sum(map(len, units)) * 8 * FPS / len(units) / 1000


def run() -> list[Row]:
    """Every figure, ratios with their peer of the same run."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.npy"
        np.save(path, clip())
        measured = {
            (kind, peers): measure(kind, peers, path)
            for kind in ("aiortc", "one encoder", "ready-made")
            for peers in PEERS
        }
        cost = {which: cpu_s for which, (cpu_s, _) in measured.items()}
        our_units, our_db = encode_ours(path)
        their_units, their_db = encode_aiortc(path)
    first, last = PEERS[0], PEERS[-1]
    further = (cost["one encoder", last] - cost["one encoder", first]) / (last - first)
    rows = [
        Row(f"{kind}, {peers} peer{'s'[: peers > 1]}", value, "CPU s/s")
        for (kind, peers), value in cost.items()
    ]
    aiortc_1, ours_1 = cost["aiortc", 1], cost["one encoder", 1]
    rows += [
        Row("our one encode and send / aiortc, 1 peer", ours_1, "CPU s/s", aiortc_1, 1 / 4),
        *(
            Row(
                f"our one encode and send / aiortc, {peers} peers",
                cost["one encoder", peers],
                "CPU s/s",
                cost["aiortc", peers],
            )
            for peers in PEERS[1:]
        ),
        Row(
            "ready-made units / aiortc, 1 peer", cost["ready-made", 1], "CPU s/s", aiortc_1, 1 / 20
        ),
        Row("a further peer / the first with its encode", further, "CPU s/s", ours_1, 1 / 10),
        Row(
            f"encoders made for {last} peers / by aiortc",
            measured["one encoder", last][1],
            "",
            measured["aiortc", last][1],
            most=1,
        ),
        Row(f"luma PSNR of aiortc, medium, at {kbps(their_units):.0f} kbit/s", their_db, "dB"),
        Row(f"luma PSNR of ours, ultrafast, at {kbps(our_units):.0f} kbit/s", our_db, "dB"),
        Row("ours below aiortc's", their_db - our_db, "dB", most=3),
    ]
    return rows
