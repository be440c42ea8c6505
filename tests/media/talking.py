"""Somebody who talks, is filmed, listens and looks, at one end of a connection of ours.

As a program (`python -m tests.media.talking`) it is at the end of a network of its own, and speaks JSON
Lines: `{"offer": null}`, `{"offer": sdp}` and `{"answer": sdp}` are answered with its description, or with
null, and `{"figures": null}` with what has been heard and seen since it was asked last.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace

from appliance.media.base import FRAME_BYTES, FRAME_S, FRAME_SAMPLES, AccessUnit
from appliance.media.encoding import OpusEncoder
from appliance.media.fanout import AudioFanout, VideoFanout
from appliance.media.handover import Handover
from appliance.media.peer import Peer
from appliance.media.playout import Counts
from appliance.media.steering import Steering
from appliance.media.synthetic import CardCamera
from appliance.messages import SessionDescription
from tests.media.speech import speech

WIDTH, HEIGHT, FRAMERATE, KBPS = 320, 180, 25, 400
SAID = speech(2)


@dataclass
class Figures:
    """Since the last look."""

    frames: int = 0
    """Of 20 ms, that were given to the loudspeaker."""
    concealed: int = 0
    corrected: int = 0
    late: int = 0
    longest_gap: int = 0
    """Frames in a row in which something was made up."""
    pictures: int = 0
    longest_dark_s: float = 0.0
    delay_s: float = 0.0
    """By how much sound is kept now beyond the shortest way."""
    loss_percent: int = 0
    """What its own encoder expects now."""
    twice: bool = False


class Talker:
    """One end. `peer` is its connection."""

    def __init__(self) -> None:
        self.failures: list[str] = []
        self.is_connected = False
        self._sound, self._pictures = AudioFanout(), VideoFanout()
        self.peer = Peer(self, self._sound, self._pictures, watch_framerate=FRAMERATE)
        self._figures, self._before = Figures(), Counts()
        self._made_up = self._run = 0
        self._saw_s = time.monotonic()

    # -------------------- what it does

    async def talk(self) -> None:
        """Fifty packets a second, as a microphone's thread makes them."""
        encoder, said, number = OpusEncoder(), SAID, 0
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        while True:
            at = number * FRAME_SAMPLES % (len(said) - FRAME_SAMPLES)
            frame = said[at : at + FRAME_SAMPLES].tobytes()
            encoder.expect_loss(self._sound.loss_percent)
            self._sound.deliver(encoder.encode(frame))  # as `LiveMicrophone` does
            number += 1
            await asyncio.sleep(max(0.0, began_s + number * FRAME_S - loop.time()))

    async def steer(self) -> None:
        """What the appliance does twice a second."""
        steering = Steering(self._pictures, KBPS, lambda: False)
        while True:
            await asyncio.sleep(0.5)
            steering.look(time.monotonic())
            await self.peer.keep_seeing()

    @asynccontextmanager
    async def at_work(
        self, width: int = WIDTH, height: int = HEIGHT, framerate: int = FRAMERATE
    ) -> AsyncIterator[None]:
        """Until the block is left, which closes the connection."""
        camera = CardCamera(width, height, framerate, KBPS)
        units: Handover[AccessUnit] = Handover(self._pictures.deliver)
        self._pictures.attach(camera)
        camera.start(units.put, print)
        try:
            async with asyncio.TaskGroup() as tasks:
                works = [
                    tasks.create_task(work)
                    for work in (
                        self.talk(),
                        self.steer(),
                        self.peer.listen(),
                        self.peer.watch(screen=False),
                        self.peer.knock(),
                    )
                ]
                yield
                for work in works:
                    work.cancel()
        finally:
            units.close()
            camera.stop()
            await self.peer.close()

    # -------------------- what it gets

    def figures(self) -> Figures:
        """Since the last look."""
        counts, before, (voice,) = self._counts, self._before, self.peer._voices
        told = replace(
            self._figures,
            concealed=counts.concealed - before.concealed,
            corrected=counts.corrected - before.corrected,
            late=counts.late - before.late,
            delay_s=self.peer._reception.playout.delay_s(asyncio.get_running_loop().time()),
            loss_percent=self._sound.loss_percent,
            twice=voice.loss.twice,
        )
        self._figures, self._before, self._run = Figures(), replace(counts), 0
        self._saw_s = time.monotonic()
        return told

    @property
    def _counts(self) -> Counts:
        return self.peer._reception.playout.counts

    def heard(self, frame: bytes) -> None:
        assert len(frame) == FRAME_BYTES
        made_up, self._made_up = self._counts.concealed - self._made_up, self._counts.concealed
        self._run = self._run + 1 if made_up else 0
        self._figures.frames += 1
        self._figures.longest_gap = max(self._figures.longest_gap, self._run)

    def connected(self) -> None:
        self.is_connected = True

    def failed(self, code: str, message: str) -> None:
        self.failures.append(f"{code}: {message}")

    def saw(self, screen: bool, picture: object, /) -> None:
        now_s = time.monotonic()
        self._figures.pictures += 1
        self._figures.longest_dark_s = max(self._figures.longest_dark_s, now_s - self._saw_s)
        self._saw_s = now_s

    def dark(self, screen: bool, /) -> None: ...


# -------------------- as a program


async def serve() -> None:
    """Answer what comes on standard input, until it ends."""
    loop = asyncio.get_running_loop()
    talker = Talker()
    async with talker.at_work():
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            match json.loads(line):
                case {"offer": None}:
                    told: object = (await talker.peer.offer()).sdp
                case {"offer": str() as sdp}:
                    told = (await talker.peer.answer(SessionDescription("offer", sdp))).sdp
                case {"answer": str() as sdp}:
                    await talker.peer.accept(SessionDescription("answer", sdp))
                    told = None
                case _:
                    talk = {"connected": talker.is_connected, "failures": talker.failures}
                    told = asdict(talker.figures()) | talk
            sys.stdout.write(json.dumps(told) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(serve())
