"""The hold tone: made once for all who wait, and only while somebody does."""

from __future__ import annotations

import asyncio
import itertools

import numpy as np
import pytest

from appliance.calls.inputs import PeerKey
from appliance.media.base import FRAME_S, FRAME_SAMPLES, SILENT_FRAME
from appliance.media.fanout import AudioFanout
from appliance.media.hold_tone import PERIOD_FRAMES, TONE_HZ, VOICE, HoldTone, frames
from appliance.media.sending import Packet
from appliance.media.synthetic import dominant_hz, level_dbfs
from tests.media.stranger import until

ALICE, BOB = PeerKey("call", "alice", "phone"), PeerKey("call", "bob", "phone")


def steps(packets: list[Packet]) -> list[int]:
    """By how much the time stamps rise."""
    return [(later.pts or 0) - (earlier.pts or 0) for earlier, later in itertools.pairwise(packets)]


class Speaker:
    """A loudspeaker that counts."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.removed = 0

    def push(self, participant: str, frame: bytes) -> None:
        assert participant == VOICE
        self.frames.append(frame)

    def remove(self, participant: str) -> None:
        assert participant == VOICE
        self.removed += 1


def test_two_soft_beeps_in_three_seconds() -> None:
    period = np.frombuffer(b"".join(frames()), "<i2")
    assert len(period) == PERIOD_FRAMES * FRAME_SAMPLES
    sounding = [number for number, frame in enumerate(frames()) if frame != SILENT_FRAME]
    assert sounding == [*range(10), *range(20, 30)]
    beep = period[: 10 * FRAME_SAMPLES]
    assert dominant_hz(beep) == pytest.approx(TONE_HZ, abs=1)
    assert level_dbfs(beep) == pytest.approx(-26, abs=1)
    assert abs(int(beep[0])) < 10, "it begins without a click"


async def test_who_waits_gets_the_tone_and_nothing_is_made_for_nobody() -> None:
    hold = HoldTone(Speaker)
    tracks = [hold.tone.track(), hold.tone.track()]
    assert not hold.is_running
    packets = [await asyncio.gather(*(track.recv() for track in tracks)) for _ in range(12)]
    assert all(bytes(one) == bytes(other) for one, other in packets)
    assert steps([one for one, _ in packets]) == [960] * 11
    running = []
    for track in tracks:
        running.append(hold.is_running)
        track.stop()
    assert [*running, hold.is_running] == [True, True, False]


async def test_silence_is_a_packet_that_is_always_the_same() -> None:
    hold = HoldTone(Speaker)
    track = hold.silence.track()
    assert len({bytes(await track.recv()) for _ in range(5)}) == 1
    track.stop()


async def test_here_it_is_heard_once_however_many_wait() -> None:
    speaker = Speaker()
    hold = HoldTone(lambda: speaker)
    begun_s = asyncio.get_running_loop().time()
    hold.play_here(ALICE, True)
    hold.play_here(BOB, True)
    await until(lambda: len(speaker.frames) > 12, "the tone")
    lasted_s = asyncio.get_running_loop().time() - begun_s
    assert set(speaker.frames) <= set(frames())
    assert len(speaker.frames) <= lasted_s / FRAME_S + 2, "of two at once twice as many would come"
    hold.play_here(ALICE, False)
    assert (hold.is_running, speaker.removed) == (True, 0)
    hold.play_here(BOB, False)
    hold.play_here(BOB, False)
    assert (hold.is_running, speaker.removed) == (False, 1)


async def test_the_time_stamps_of_a_track_go_on_from_one_fan_out_to_the_next() -> None:
    microphone, hold = AudioFanout(), HoldTone(Speaker)
    for _ in range(500):
        microphone.deliver(b"unheard")
    track = microphone.track()
    reading = track.recv()
    microphone.join(track)
    microphone.deliver(b"spoken")
    packets = [await reading]
    track.draw_from(hold.tone)
    packets += [await track.recv() for _ in range(3)]
    track.draw_from(microphone)
    microphone.deliver(b"spoken")
    packets.append(await track.recv())
    assert all(0 < step < 48_000 and step % 960 == 0 for step in steps(packets))
    track.draw_from(None)
    assert not hold.is_running
    assert microphone.listeners == 0
    track.stop()
