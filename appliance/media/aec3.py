"""WebRTC's echo canceller (AEC3), from the optional library, behind an adaptive filter of our own.

AEC3 has a filter too, but trusts it little: where both speak at once it takes the near voice down by 5 dB
and more, and its library has no setting for that. Behind a filter that has already taken 15 to 30 dB out
it finds little to suppress, and lets the near voice pass; what is not linear (a small loudspeaker's
distortion), or comes while the filter still learns, it takes out as ever. The library also has noise
suppression, a high-pass and, where wanted, gain control. All of it at 16 kHz: what it gives has nothing
above 7 kHz, as a telephone's wideband voice.

While nothing has sounded here for so long that no echo of it can be left, both filters rest: then there is
nothing to take out, and nothing that they could learn. What they know of the room stays, and with the first
sound of the far side they are there again.
"""

from __future__ import annotations

import contextlib
import logging
import threading

import numpy as np

from appliance.media.adaptive import AdaptiveFilter
from appliance.media.base import check_frame
from appliance.media.reference import Reference
from appliance.media.webrtc import Stage, Tens
from appliance.media.wideband import WIDE_SAMPLES, Narrowing, Samples, Widening

log = logging.getLogger(__name__)

LONGEST_MS = 500
"""It knows no longer delay."""
TOLD_MS = 20
"""It is told of a delay that has changed by so much; what is less it finds out sooner than it listens."""
SOUNDS = WIDE_SAMPLES * 32.0**2
"""The energy of 20 ms at -60 dBFS: what is less gives no echo that anybody would hear."""
RINGS_FRAMES = 30
"""After 600 ms nothing of it is left: our filter knows 400 ms of a room, AEC3 takes less than 200 more."""
LISTENS_FRAMES = 100
"""What passes the canceller by knows the noise here after two seconds of it, and is not heard before."""
LATE = 128
"""So many samples later than it went in AEC3 gives sound back: as late is what passes it by."""
RAMP: Samples = np.linspace(0, 1, 80, endpoint=False, dtype=np.float32)
"""From the one to the other, within 5 ms."""


class Aec3:
    """An EchoCanceller. Near frames come some 17 ms later out of it than they went in."""

    def __init__(self, *, gain_control: bool = False) -> None:
        """`gain_control` brings a quiet voice up. Raises ImportError where the library is not."""
        self._reference = Reference()
        self._far, self._near, self._out = Narrowing(), Narrowing(), Widening()
        self._filter = AdaptiveFilter()
        self._quiet = 0
        """How many frames have come since the loudspeaker was last heard."""
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
            self._quiet = 0 if float(far @ far) > SOUNDS else self._quiet + 1
            if self._quiet > RINGS_FRAMES and self._library.knows_the_noise(near):
                return self._out(self._library.without(near))
            rest = self._filter(far, near)
            waits_ms = delay_ms - self._reference.waiting_ms
            return self._out(self._library.process(far, rest, waits_ms))

    def close(self) -> None:
        """Release the library's part."""
        with self._using:
            self._library = None
            self._reference.clear()


class Library:
    """WebRTC's audio processing, 20 ms at a time at 16 kHz: with its echo canceller, or past it."""

    def __init__(self, *, gain_control: bool) -> None:
        """Raises ImportError where it is not installed, or does not fit this system."""
        self._fars, self._nears = Tens(), Tens()
        self._with = Stage(
            self._nears,
            self._fars,
            echo_cancellation=True,
            noise_suppression=True,
            high_pass_filter=True,
        )
        self._past = Stage(self._nears, noise_suppression=True, high_pass_filter=True)
        self._gain = Stage(self._nears, auto_gain_control=True) if gain_control else None
        """One for both ways, lest one be louder than the other."""
        self._late: Samples = np.zeros(LATE + WIDE_SAMPLES, np.float32)
        self._passing = False
        self._listened = 0
        self._delay_ms = -1
        self._failed = False

    def process(self, far: Samples, near: Samples, delay_ms: int) -> Samples:
        """320 samples of each; gives those of `near` back, later by what the library needs.

        Where it refuses, which is told once, `near` is given back as it is: better an echo than no voice.
        """
        try:
            before = self._pass(near) if self._passing else None
            self._tell(min(max(0, delay_ms), LONGEST_MS))
            self._cancel(far, near)
            self._late[:LATE] = near[-LATE:]
            self._passing = False
            return self._finish(before)
        except RuntimeError as fault:
            return self._refused(fault, near)

    def without(self, near: Samples) -> Samples:
        """The same for 320 samples in which there is no echo."""
        try:
            before = None if self._passing else self._cancel(np.zeros_like(near), near)
            self._pass(near)
            self._passing = True
            return self._finish(before)
        except RuntimeError as fault:
            return self._refused(fault, near)

    def knows_the_noise(self, near: Samples) -> bool:
        """Whether `without` would suppress it from its first frame on; else it listens to this one."""
        if self._listened < LISTENS_FRAMES:
            self._listened += 1
            with contextlib.suppress(RuntimeError):  # it is told where it would be heard
                self._pass(near)
            return False
        return True

    def _cancel(self, far: Samples, near: Samples) -> Samples:
        self._fars.fill(far)
        self._nears.fill(near)
        # the whole of the far side first: its echo is then always behind it
        self._with.far()
        self._with.near()
        return self._nears.samples()

    def _pass(self, near: Samples) -> Samples:
        """As late as the other way."""
        self._late[LATE:] = near
        self._nears.fill(self._late[:WIDE_SAMPLES])
        self._late[:LATE] = near[-LATE:]
        self._past.near()
        return self._nears.samples()

    def _finish(self, before: Samples | None) -> Samples:
        """What lies there, after what would have come on the way that is being left."""
        if before is not None:
            now = self._nears.samples()
            now[: len(RAMP)] = before[: len(RAMP)] + RAMP * (now - before)[: len(RAMP)]
            self._nears.fill(now)
        if self._gain is not None:
            self._gain.near()
        return self._nears.samples()

    def _tell(self, delay_ms: int) -> None:
        if self._delay_ms < 0 or abs(delay_ms - self._delay_ms) >= TOLD_MS:
            self._with.delay(delay_ms)
            self._delay_ms = delay_ms

    def _refused(self, fault: RuntimeError, near: Samples) -> Samples:
        if not self._failed:
            log.error("the echo canceller's library refuses: %s", fault)
        self._failed = True
        return near
