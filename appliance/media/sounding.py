"""The device's own sounds, through the output in use: chime, ring tone, what is said to a visitor."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from appliance.calls.effects import Sound
from appliance.media.base import FRAME_BYTES, FRAME_S
from appliance.media.outputs import Loudspeaker

LEAD_FRAMES = 3
"""So much is given ahead of time: the loop may be held up for so long without a hole."""
LATE_FRAMES = 50
"""What is later than a second is left out."""
REPEATED = (Sound.RINGTONE,)


@dataclass(slots=True)
class _Played:
    """A sound that plays: its samples, and the frame that is next."""

    pcm: bytes
    number: int = 0

    @property
    def frames(self) -> int:
        """How many it has."""
        return -(-len(self.pcm) // FRAME_BYTES)

    def frame(self) -> bytes:
        """The next one; silence behind the last."""
        begin = self.number * FRAME_BYTES
        self.number += 1
        return self.pcm[begin : begin + FRAME_BYTES].ljust(FRAME_BYTES, b"\0")


class Sounding:
    """Plays sounds until they end, or are stopped. On the loop."""

    def __init__(self, speaker: Loudspeaker, pcm_of: Callable[[Sound], bytes]) -> None:
        """`pcm_of` gives a sound as samples: 48 kHz, mono, signed 16 bit, little endian."""
        self._speaker, self._pcm_of = speaker, pcm_of
        self._playing: dict[Sound, _Played] = {}
        self._due_s = 0.0
        self._timer: asyncio.Handle | None = None
        self._closed = False

    def play(self, sound: Sound) -> None:
        """Begin it, anew where it plays."""
        self._end(sound)
        if self._closed:
            return
        loop = asyncio.get_running_loop()
        self._playing[sound] = _Played(self._pcm_of(sound))
        for _ in range(LEAD_FRAMES):
            self._give(sound)
        if self._timer is None:
            self._due_s = loop.time() + FRAME_S
            self._timer = loop.call_at(self._due_s, self._tick)

    def stop(self, sound: Sound) -> None:
        """End it, where it plays; what has been given to its end is heard to its end."""
        played = self._playing.get(sound)
        if played is not None and (sound in REPEATED or played.number < played.frames):
            self._end(sound)

    def close(self) -> None:
        """End them all, for good."""
        self._closed = True
        for sound in tuple(self._playing):
            self._end(sound)

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        late = int((loop.time() - self._due_s) / FRAME_S)
        if late > LATE_FRAMES:
            self._due_s += late * FRAME_S
        while self._due_s <= loop.time():
            for sound in tuple(self._playing):
                self._give(sound)
            self._due_s += FRAME_S
        if self._playing:
            self._timer = loop.call_at(self._due_s, self._tick)

    def _give(self, sound: Sound) -> None:
        """The next frame of it; behind the last one it begins anew, or ends."""
        played = self._playing[sound]
        if sound in REPEATED and played.number >= played.frames:
            played.number = 0
        if played.number >= played.frames + LEAD_FRAMES:  # by now the last of it has sounded, too
            self._end(sound)
        else:
            self._speaker.sound(_name(sound), played.frame())

    def _end(self, sound: Sound) -> None:
        if self._playing.pop(sound, None) is not None:
            self._speaker.hush(_name(sound))
        if not self._playing and self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _name(sound: Sound) -> str:
    """At the loudspeaker; no participant has a name with a space in it."""
    return f"sound {sound}"
