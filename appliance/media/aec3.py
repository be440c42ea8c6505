"""WebRTC's echo canceller (AEC3), from the optional library, behind an adaptive filter of our own.

AEC3 has a filter too, but trusts it little: where both speak at once it takes the near voice down by 5 dB
and more, and its library has no setting for that. Behind a filter that has already taken 15 to 30 dB out
it finds little to suppress, and lets the near voice pass; what is not linear (a small loudspeaker's
distortion), or comes while the filter still learns, it takes out as ever. It also has noise suppression, a
high-pass and, where wanted, gain control. All of it at 16 kHz: what it gives has nothing above 7 kHz, as a
telephone's wideband voice.

The library (livekit) is large, and imported when the first of these is made. It starts a few native threads
of its own, once, which end with the process; it opens no connection unless a room of its maker's is joined,
which nobody here does.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from appliance.media.adaptive import AdaptiveFilter
from appliance.media.base import check_frame
from appliance.media.reference import Reference
from appliance.media.wideband import (
    WIDE_RATE_HZ,
    WIDE_SAMPLES,
    Narrowing,
    Samples,
    Widening,
    whole,
)

if TYPE_CHECKING:
    from livekit.rtc import AudioFrame

log = logging.getLogger(__name__)

HALF = WIDE_SAMPLES // 2
"""The library takes 10 ms at a time."""
LONGEST_MS = 500
"""It knows no longer delay."""


class Aec3:
    """An EchoCanceller. Near frames come some 17 ms later out of it than they went in."""

    def __init__(self, *, gain_control: bool = False) -> None:
        """`gain_control` brings a quiet voice up. Raises ImportError where the library is not."""
        self._reference = Reference()
        self._far, self._near, self._out = Narrowing(), Narrowing(), Widening()
        self._filter = AdaptiveFilter()
        self._using = threading.Lock()
        self._library: Library | None = Library(gain_control=gain_control)

    def far(self, frame: bytes, /) -> None:
        """20 ms that are being written to the loudspeaker now."""
        check_frame(frame)
        if self._library is not None:
            self._reference.put(frame)

    def near(self, frame: bytes, delay_ms: int, /) -> bytes:
        """20 ms of the microphone, with what the far side says taken out."""
        check_frame(frame)
        with self._using:
            if self._library is None:
                return frame
            sounding, left_out = self._reference.take(delay_ms)
            far, near = self._far(sounding), self._near(frame)
            if left_out:
                self._filter.moved(left_out)
            rest = self._filter(far, near)
            waits_ms = delay_ms - self._reference.waiting_ms
            return self._out(self._library.process(far, rest, waits_ms))

    def close(self) -> None:
        """Release the library's part."""
        with self._using:
            self._library = None
            self._reference.clear()


class Library:
    """WebRTC's audio processing, 20 ms at a time at 16 kHz."""

    def __init__(self, *, gain_control: bool) -> None:
        """Raises ImportError where it is not installed, or does not fit this system."""
        from livekit.rtc import AudioFrame
        from livekit.rtc.apm import AudioProcessingModule

        self._module = AudioProcessingModule(
            echo_cancellation=True,
            noise_suppression=True,
            high_pass_filter=True,
            auto_gain_control=gain_control,
        )
        # two for each side, each with a view into it: what is in them is replaced, not they
        self._fars = [AudioFrame.create(WIDE_RATE_HZ, 1, HALF) for _ in range(2)]
        self._nears = [AudioFrame.create(WIDE_RATE_HZ, 1, HALF) for _ in range(2)]
        self._delay_ms = -1
        self._failed = False

    def process(self, far: Samples, near: Samples, delay_ms: int) -> Samples:
        """320 samples of each; gives those of `near` back, later by what the library needs.

        Where it refuses, which is told once, `near` is given back as it is: better an echo than no voice.
        """
        self._fill(self._fars, far)
        self._fill(self._nears, near)
        delay_ms = min(max(0, delay_ms), LONGEST_MS)
        try:
            if delay_ms != self._delay_ms:
                self._module.set_stream_delay_ms(delay_ms)
                self._delay_ms = delay_ms
            # the whole of the far side first: its echo is then always behind it
            for frame in self._fars:
                self._module.process_reverse_stream(frame)
            for frame in self._nears:
                self._module.process_stream(frame)
        except RuntimeError as fault:
            if not self._failed:
                log.error("the echo canceller's library refuses: %s", fault)  # noqa: TRY400 - said in full
            self._failed = True
            return near
        return np.concatenate([_samples(frame) for frame in self._nears]).astype(np.float32)

    @staticmethod
    def _fill(frames: list[AudioFrame], samples: Samples) -> None:
        data = np.frombuffer(whole(samples), "<i2")
        for number, frame in enumerate(frames):
            _samples(frame)[:] = data[number * HALF : (number + 1) * HALF]


def _samples(frame: AudioFrame) -> npt.NDArray[np.int16]:
    """A view into the library's frame."""
    return np.frombuffer(frame.data, "<i2")
