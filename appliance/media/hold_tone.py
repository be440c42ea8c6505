"""What is heard while a connection is on hold: the tone for who waits, and silence for who does not listen.

Two short beeps of 425 Hz every 3 s (the frequency of ETSI's call progress tones), soft. Made once for all
who wait, and only while somebody does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import cache

import numpy as np

from appliance.calls.inputs import PeerKey
from appliance.media.base import (
    FRAME_S,
    FRAME_SAMPLES,
    SAMPLE_RATE_HZ,
    SILENT_FRAME,
    AudioSink,
)
from appliance.media.encoding import OpusEncoder
from appliance.media.fanout import AudioFanout
from appliance.media.tracks import AudioTrack

VOICE = "hold tone"
"""Its name at the loudspeaker, however many connections wait."""

TONE_HZ = 425
LEVEL_DBFS = -26.0
BEEP_FRAMES = 10
"""0.2 s; the second beep begins as long after the end of the first."""
PERIOD_FRAMES = 150
LATE_FRAMES = 5
"""What is later than 0.1 s is left out, not sent in a burst."""


class HoldTone:
    """A clock of 20 ms that runs while somebody needs it, and what it gives at each tick."""

    def __init__(self, speaker: Callable[[], AudioSink]) -> None:
        """To be made on the loop; `speaker` tells which is the loudspeaker at the moment."""
        self.tone = Waiting(self._changed)
        """For the other side that this device keeps waiting."""
        self.silence = Waiting(self._changed)
        """For the other side that keeps this device waiting: a sign of life."""
        self._speaker = speaker
        self._loop = asyncio.get_running_loop()
        self._here: set[PeerKey] = set()
        self._encoder: OpusEncoder | None = None
        self._packets: list[bytes] = []
        self._silence = b""
        self._number = 0
        self._due_s = 0.0
        self._timer: asyncio.Handle | None = None

    @property
    def is_running(self) -> bool:
        """Whether anything is made."""
        return self._timer is not None

    def play_here(self, key: PeerKey, on: bool, /) -> None:
        """Let the loudspeaker have the tone too, while this connection wants it."""
        was_heard = bool(self._here)
        (self._here.add if on else self._here.discard)(key)
        if was_heard and not self._here:
            self._speaker().remove(VOICE)
        self._changed()

    def _changed(self) -> None:
        wanted = bool(self._here or self.tone.listeners or self.silence.listeners)
        if wanted and self._timer is None:
            self._number, self._due_s = 0, self._loop.time()
            self._timer = self._loop.call_soon(self._tick)
        elif not wanted and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        late = int((self._loop.time() - self._due_s) / FRAME_S)
        if late > LATE_FRAMES:
            self._number, self._due_s = self._number + late, self._due_s + late * FRAME_S
        if self.tone.listeners:
            self.tone.deliver(self._packet(self._number % PERIOD_FRAMES))
        if self.silence.listeners:
            self.silence.deliver(self._silent_packet())
        if self._here:
            self._speaker().push(VOICE, frames()[self._number % PERIOD_FRAMES])
        self._number += 1
        self._due_s += FRAME_S
        self._timer = self._loop.call_at(self._due_s, self._tick)

    def _packet(self, number: int) -> bytes:
        """Encoded when it is first needed, in order: an encoder goes on from what was before."""
        self._encoder = self._encoder or OpusEncoder()
        while len(self._packets) <= number:
            self._packets.append(self._encoder.encode(frames()[len(self._packets)]))
        return self._packets[number]

    def _silent_packet(self) -> bytes:
        if not self._silence:
            encoder = OpusEncoder()
            self._silence = [encoder.encode(SILENT_FRAME) for _ in range(3)][-1]
        return self._silence


class Waiting(AudioFanout):
    """The connections of one kind that wait."""

    def __init__(self, changed: Callable[[], None]) -> None:
        """`changed` is told whenever one comes or goes."""
        super().__init__()
        self._changed = changed

    def join(self, track: AudioTrack) -> None:
        """One more."""
        super().join(track)
        self._changed()

    def leave(self, track: AudioTrack) -> None:
        """One less."""
        super().leave(track)
        self._changed()


@cache
def frames() -> tuple[bytes, ...]:
    """The tone's period, in frames of 20 ms."""
    samples = np.arange(BEEP_FRAMES * FRAME_SAMPLES)
    ramp = np.minimum(1, np.minimum(samples, samples[::-1]) / (SAMPLE_RATE_HZ / 100))
    amplitude = 32767 * 10 ** (LEVEL_DBFS / 20)
    beep = amplitude * ramp * np.sin(2 * np.pi * TONE_HZ * samples / SAMPLE_RATE_HZ)
    sounding = [row.tobytes() for row in beep.astype("<i2").reshape(BEEP_FRAMES, FRAME_SAMPLES)]
    pause = [SILENT_FRAME] * BEEP_FRAMES
    rest = [SILENT_FRAME] * (PERIOD_FRAMES - 3 * BEEP_FRAMES)
    return tuple(sounding + pause + sounding + rest)
