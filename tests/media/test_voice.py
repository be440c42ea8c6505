"""Frames for the loudspeaker, from packets of any length."""

from __future__ import annotations

import av
import numpy as np
import pytest
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from appliance.media.base import FRAME_BYTES
from appliance.media.voice import frames_of, mono


def sound(samples: int, *, channels: int = 2, start: int = 0) -> av.AudioFrame:
    """A ramp, on the right channel two higher than on the left."""
    ramp = np.arange(start, start + samples, dtype=np.int16)
    lines = np.stack([ramp + 2 * channel for channel in range(channels)], axis=1)
    layout = "stereo" if channels == 2 else "mono"
    frame = av.AudioFrame(format="s16", layout=layout, samples=samples)
    frame.planes[0].update(lines.tobytes())
    frame.sample_rate = 48_000
    return frame


class Recorded(MediaStreamTrack):
    kind = "audio"

    def __init__(self, frames: list[av.AudioFrame]) -> None:
        super().__init__()
        self._frames = frames

    async def recv(self) -> av.AudioFrame:
        if not self._frames:
            raise MediaStreamError
        return self._frames.pop(0)


def test_both_channels_become_their_mean() -> None:
    assert np.frombuffer(mono(sound(960)), "<i2").tolist() == list(range(1, 961))
    assert np.frombuffer(mono(sound(960, channels=1)), "<i2").tolist() == list(range(960))


@pytest.mark.parametrize("length", [120, 480, 960, 1920, 2880])
async def test_packets_of_any_length_become_frames_of_20_ms(length: int) -> None:
    total = 5760
    packets = [sound(length, start=at) for at in range(0, total, length)]
    frames = [frame async for frame in frames_of(Recorded(packets))]
    assert {len(frame) for frame in frames} == {FRAME_BYTES}
    samples = np.frombuffer(b"".join(frames), "<i2")
    assert samples.tolist() == list(range(1, total + 1)), "nothing lost, nothing out of order"
