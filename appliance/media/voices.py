"""Several voices that come at the clock of this machine, as one that goes at the sound card's.

Each voice has a few tens of milliseconds in hand. How few is looked at once a second, by the least that was
left, and made right by playing a little faster or slower: 0.4 %, which nobody hears. So the two clocks may
differ, and what came late is heard late once and not for ever. What comes in a heap is cut short.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from appliance.media.base import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    import numpy.typing as npt

    Samples: TypeAlias = npt.NDArray[np.float32]
    """Mono, of the shape (samples,), with the scale of 16 bit."""

_MS = SAMPLE_RATE_HZ // 1000

BEGIN = 30 * _MS
"""So much is to be there before a voice begins, and begins again after a hole: more than one frame."""
LITTLE, ENOUGH, MUCH = 4 * _MS, 10 * _MS, 30 * _MS
"""The least that was left in a second when a frame came: below the first it is played slower, above the
others faster.
"""
MOST = 120 * _MS
"""What is more than that was held up somewhere: the older part is left out."""
LOOK = SAMPLE_RATE_HZ
"""How often it is looked at, in samples."""
SLOWLY, QUICKLY = 1 / 240, 1 / 80
"""By how much faster or slower: 0.4 and 1.25 %, 7 and 21 hundredths of a semitone."""
SEAM = 5 * _MS
"""What begins or ends in the middle of a sound does so in this time, without a click."""
FORGOTTEN_S = 10.0
"""A voice that nobody has added to for so long has ended, whether or not that was said."""
KNEE = 0.7 * 32768
"""Up to here several voices together are left as they are; above they come ever closer to full scale."""


class Voice:
    """What one participant says: put in frame by frame, taken out period by period, both with the time."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.holes = 0
        """How often it had run dry,"""
        self.cuts = 0
        """and how often too much had come."""
        self._samples = np.zeros(0, np.float32)
        self._last = np.zeros(SEAM, np.float32)
        self._taken_at_s: float | None = None
        """When the last period was taken; None: it has not begun."""
        self._speed = 0.0
        self._least = float(MOST)
        self._looked_at = 0

    def __len__(self) -> int:
        """How many samples are in hand."""
        return len(self._samples)

    @property
    def sounds(self) -> bool:
        """It has begun, and has not run dry."""
        return self._taken_at_s is not None

    @property
    def ready(self) -> bool:
        """It sounds, or there is enough of it to begin."""
        return self.sounds or len(self._samples) >= BEGIN

    def put(self, samples: Samples, now_s: float) -> None:
        """The next ones."""
        if self._taken_at_s is not None:  # between two periods the card goes on, too
            sounded = (now_s - self._taken_at_s) * SAMPLE_RATE_HZ
            self._least = min(self._least, len(self._samples) - sounded)
        self._samples = np.concatenate((self._samples, samples))
        if len(self._samples) > MOST:
            self.cuts += 1
            self._samples = _joined(self._samples[:SEAM], self._samples[-BEGIN:])

    def take(self, count: int, now_s: float) -> Samples | None:
        """`count` of them, with silence where there are none; None: nothing at all."""
        if self._taken_at_s is None:
            if not self.ready:
                return None
            self._least, self._looked_at, self._speed = float(MOST), 0, 0.0
            self._samples[:SEAM] *= _RISING
        wanted = count + round(count * self._speed)
        if len(self._samples) < wanted:
            self.holes += 1
            return self.end(count)
        taken, self._samples = self._samples[:wanted], self._samples[wanted:]
        self._last = taken[-SEAM:]
        self._taken_at_s = now_s
        self._look(count)
        return stretched(taken, count)

    def end(self, count: int) -> Samples:
        """What is left, at most `count`, fading; then nothing until it begins anew."""
        # where nothing is left, what was last goes back the way it came: anything but a click
        back = np.concatenate((self._last, self._samples))[::-1][:SEAM]
        last = np.concatenate((self._samples, back))[:count]
        last[-SEAM:] *= _RISING[::-1]
        self._samples, self._taken_at_s = self._samples[:0], None
        return np.pad(last, (0, count - len(last)))

    def _look(self, count: int) -> None:
        self._looked_at += count
        if self._looked_at >= LOOK:
            if self._least > MUCH:
                self._speed = QUICKLY
            elif self._least > ENOUGH:
                self._speed = SLOWLY
            else:
                self._speed = -SLOWLY if self._least < LITTLE else 0.0
            self._least, self._looked_at = float(MOST), 0


class Voices:
    """All of them. Put in on the loop, taken out on the sound card's thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` in seconds."""
        self._clock = clock
        self._lock = threading.Lock()
        self._voices: dict[str, Voice] = {}
        self._ending: list[Voice] = []
        self._put_at_s = 0.0
        self._holes = self._cuts = 0

    @property
    def any(self) -> bool:
        """Whether there is a voice, if only one that is silent for the moment."""
        return bool(self._voices or self._ending) and self._clock() - self._put_at_s < FORGOTTEN_S

    @property
    def ready(self) -> bool:
        """Whether there is something to be heard of a voice with the next `take`."""
        return any(voice.ready for voice in self._of_all())

    @property
    def left(self) -> bool:
        """Whether there is none any more, though the last one may still be fading."""
        return not self._voices

    @property
    def holes(self) -> int:
        """How often a voice had run dry in the middle."""
        return self._holes + sum(voice.holes for voice in self._of_all())

    @property
    def cuts(self) -> int:
        """How often too much of a voice had come at once."""
        return self._cuts + sum(voice.cuts for voice in self._of_all())

    def put(self, name: str, frame: bytes) -> None:
        """20 ms of a voice, new or not."""
        samples = np.frombuffer(frame, "<i2").astype(np.float32)
        with self._lock:
            self._put_at_s = now_s = self._clock()
            self._voices.setdefault(name, Voice()).put(samples, now_s)

    def remove(self, name: str) -> None:
        """Let a voice end."""
        with self._lock:
            voice = self._voices.pop(name, None)
            if voice is not None:
                self._holes, self._cuts = self._holes + voice.holes, self._cuts + voice.cuts
                self._ending.append(voice)

    def take(self, count: int) -> bytes:
        """The next `count` samples of all together; silence where nobody says anything."""
        with self._lock:
            now_s = self._clock()
            parts = [
                part
                for voice in self._voices.values()
                if (part := voice.take(count, now_s)) is not None
            ]
            parts += [voice.end(SEAM)[:count] for voice in self._ending if voice.sounds]
            self._ending.clear()
        if not parts:
            return bytes(2 * count)
        if len(parts) == 1 and len(parts[0]) == count:
            return bytes(np.rint(parts[0]).astype("<i2").tobytes())
        total = np.zeros(count, np.float32)
        for part in parts:
            total[: len(part)] += part
        return limited(total)

    def _of_all(self) -> list[Voice]:
        with self._lock:
            return [*self._voices.values()]


def stretched(samples: Samples, count: int) -> Samples:
    """As `count` samples, between those that there are; the next ones go on where these end."""
    if len(samples) == count:
        return samples
    at = np.arange(count, dtype=np.float32) * (len(samples) / count)
    between = np.interp(at, np.arange(len(samples)), samples)
    return np.asarray(between, np.float32)


def limited(total: Samples) -> bytes:
    """A sum as 16 bit: what is loud is bent towards full scale instead of being cut off, or turned over."""
    loud = np.abs(total)
    if loud.max(initial=0.0) > KNEE:
        over = np.maximum(loud - KNEE, 0) / (32767 - KNEE)
        bent = np.minimum(loud, KNEE) + (32767 - KNEE) * np.tanh(over)
        total = np.asarray(np.sign(total) * bent, np.float32)
    return bytes(np.rint(total).astype("<i2").tobytes())


def _joined(before: Samples, after: Samples) -> Samples:
    """`after`, into which `before` fades."""
    joined = after.copy()
    joined[:SEAM] = before * _RISING[::-1] + after[:SEAM] * _RISING
    return joined


_RISING: Samples = np.linspace(0, 1, SEAM, dtype=np.float32)
