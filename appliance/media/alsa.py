"""Microphone and loudspeaker of a sound card, each open in a thread of its own while it is needed."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable

from appliance.media.base import FRAME_BYTES, SAMPLE_RATE_HZ, SILENT_FRAME, SourceFailed
from appliance.media.causes import errno_of, failure
from appliance.media.devices import STEADY_S, retry_after_s
from appliance.media.pcm import (
    PERIOD_BYTES,
    PERIOD_S,
    PERIOD_SAMPLES,
    Direction,
    OpenPcm,
    Pcm,
    open_pcm,
)
from appliance.media.pcm_thread import OPEN_LIMIT_S, WAIT_S, Opening, let_go, once_more, too_late
from appliance.media.voices import Voices

LINGER_S = 0.5
"""How long the loudspeaker stays open for nobody: a pause between two sounds costs no opening."""
LEAD = bytes(2 * PERIOD_BYTES)
"""Silence to begin with, so that there is something in hand from the first moment on."""
FIRST_S, GLANCE_S = PERIOD_S, 0.001
"""So long, of the time that the lead lasts, it is waited for what follows it, and how often is looked for
that: were silence written at once, where the first sound comes a moment later, it would be heard behind it.
"""


class AlsaMicrophone:
    """A microphone by its ALSA name, in frames of 20 ms."""

    def __init__(
        self,
        device: str,
        hear: Callable[[bytes, float], bytes] = lambda frame, _: frame,
        opens: OpenPcm = open_pcm,
        there: Callable[[], bool | None] = lambda: None,
    ) -> None:
        """`hear` is given each frame, and how many seconds ago it began to sound, and gives what is passed
        on: the place for an echo canceller. It is called on the microphone's thread. `there` tells whether
        it is seen to be there, or not to be; None where that cannot be seen.
        """
        self.xruns = 0
        """How often something was lost because nobody came to take it."""
        self.unprocessed = SILENT_FRAME
        """See `base.Processed`."""
        self._device, self._hear, self._opens, self._there = device, hear, opens, there
        self._opening: Opening | None = None
        self._left: Opening | None = None
        self._worked = False
        self._deliver: Callable[[bytes], None] = lambda _: None
        self._failed: Callable[[SourceFailed], None] = lambda _: None

    def start(
        self, deliver: Callable[[bytes], None], failed: Callable[[SourceFailed], None]
    ) -> None:
        """Open it. Raises SourceFailed."""
        self._deliver, self._failed = deliver, failed
        self._opening = opening = Opening(
            Direction.CAPTURE, self._device, self._opens, self._serve, self._ended, self._left
        )
        opening.settled.wait(2 * OPEN_LIMIT_S)
        if not opening.is_open:
            fault = opening.fault or too_late()
            self.stop()
            raise self._failure("cannot be opened", fault)

    def stop(self) -> None:
        """Close it; returns in any case, whatever its driver does."""
        opening, self._opening = self._opening, None
        if opening is not None:
            before = self._left if self.lingers else None  # for which this one may have waited
            self._left = let_go(opening) or before

    @property
    def lingers(self) -> bool:
        """Whether ALSA has not come back from what was stopped."""
        return self._left is not None and not self._left.over

    def look(self) -> None:
        """Tell of it where it hangs. Called now and then, from any thread."""
        opening = self._opening
        if opening is None or opening.stopping.is_set():
            return
        if opening.is_open and opening.hangs:
            opening.stopping.set()
            self._ended(opening, too_late())

    def locate(self) -> bool:
        """Look whether it is there, without opening it: whether it was seen. Raises SourceFailed where it
        is not.
        """
        there = self._there()
        if there is False:
            gone = OSError(errno.ENOENT, os.strerror(errno.ENOENT))
            raise self._failure("cannot be found", gone)
        return there is True

    def _serve(self, opening: Opening, pcm: Pcm) -> None:
        kept = b""
        lost = 0
        while not opening.stopping.is_set():
            samples = pcm.read()
            if samples is None:
                self.xruns += 1
                lost = once_more(lost)
            elif not samples:
                opening.check()
                pcm.wait(WAIT_S)
            else:
                lost, self._worked = 0, True
                opening.moved()
                kept = self._pass_on(opening, pcm, kept + samples)

    def _pass_on(self, opening: Opening, pcm: Pcm, samples: bytes) -> bytes:
        """Deliver whole frames; the rest."""
        while len(samples) >= FRAME_BYTES and not opening.stopping.is_set():
            ago_s = pcm.latency_s() + len(samples) / 2 / SAMPLE_RATE_HZ
            self.unprocessed = samples[:FRAME_BYTES]
            self._deliver(self._hear(self.unprocessed, ago_s))
            samples = samples[FRAME_BYTES:]
        return samples

    def _ended(self, opening: Opening, fault: Exception) -> None:
        if opening.is_open and opening is self._opening:
            self._failed(self._failure("stopped", fault))

    def _failure(self, what: str, fault: Exception) -> SourceFailed:
        return failure(f"the microphone {self._device} {what}", fault, has_worked=self._worked)


class AlsaSpeaker:
    """A loudspeaker by its ALSA name: open while somebody is to be heard, and a moment longer.

    It opens itself at the first frame; what cannot be opened is tried again while frames come.
    """

    def __init__(
        self,
        device: str,
        far: Callable[[bytes], None] = lambda _: None,
        failed: Callable[[SourceFailed | None], None] = lambda _: None,
        opens: OpenPcm = open_pcm,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`far` is given each 20 ms as they are written, everything mixed: what an echo canceller has to
        know. `failed` is told why it cannot be heard, once, and None when it can again. Both are called on
        threads of the loudspeaker. `clock`, in seconds, is for the retries.
        """
        self.xruns = 0
        """How often the card had run dry."""
        self.delay_s = 0.0
        """In how long after `far` its frame begins to sound."""
        self.voices = Voices()
        self._device, self._far, self._failed, self._opens = device, far, failed, opens
        self._clock = clock
        self._lock = threading.Lock()
        self._opening: Opening | None = None
        self._before: Opening | None = None
        self._closed = False
        self._worked = False
        self._told: str | None = None
        self._failures = 0
        self._retry_at_s = self._began_at_s = self._wanted_at_s = self._opened_at_s = 0.0

    @property
    def is_open(self) -> bool:
        """Whether it is open, or being opened."""
        return self._opening is not None

    def push(self, participant: str, frame: bytes) -> None:
        """One frame from `participant`, to be heard as soon as possible. Never waits."""
        self.voices.put(participant, frame)
        if self._opening is None:
            self._open()

    def remove(self, participant: str) -> None:
        """Nothing more comes from `participant`."""
        self.voices.remove(participant)

    def rest(self) -> None:
        """Close it now, where nobody is to be heard any more: another may want the same card."""
        with self._lock:
            opening = self._opening
            if opening is None or not opening.is_open or not self.voices.left:
                return
            self._opening = None
        let_go(opening)

    def close(self) -> None:
        """For good; returns in any case, whatever its driver does."""
        with self._lock:
            self._closed = True
            opening, self._opening = self._opening, None
        if opening is not None:
            let_go(opening)

    def look(self) -> None:
        """Tell of it where it hangs; open it for a moment where it has failed, to find out whether it works
        again, since what has failed is no longer spoken to. Called now and then, from any thread.
        """
        opening = self._opening
        if opening is None:
            if self._told is not None:
                self._open()
        elif opening.hangs and not opening.stopping.is_set():
            opening.stopping.set()
            self._ended(opening, too_late())

    def _open(self) -> None:
        with self._lock:
            if self._opening is None and not self._closed and self._clock() >= self._retry_at_s:
                self._opened_at_s = self._clock()
                self._opening = self._before = Opening(
                    Direction.PLAYBACK,
                    self._device,
                    self._opens,
                    self._serve,
                    self._ended,
                    self._before,
                )

    def _serve(self, opening: Opening, pcm: Pcm) -> None:
        """Write for as long as somebody is to be heard, silence where there is nothing."""
        self._began_at_s = self._clock()
        pending, written = LEAD, b""
        lost = 0
        leading = True
        while not opening.stopping.is_set():
            taken = pcm.write(pending)
            if taken is None:
                self.xruns += 1
                lost = once_more(lost)
                pending = LEAD
            elif taken == 0:
                opening.check()
                pcm.wait(WAIT_S)
            else:
                lost = 0
                opening.moved()
                self._tell(None)
                written = self._reflect(pcm, written + pending[:taken])
                pending = pending[taken:]
            if not pending:
                if leading:
                    self._await_first(opening)
                    leading = False
                if self._rests(opening):
                    return
                pending = self.voices.take(PERIOD_SAMPLES)

    def _await_first(self, opening: Opening) -> None:
        end_s = time.monotonic() + FIRST_S
        while not (self.voices.ready or opening.stopping.is_set() or time.monotonic() >= end_s):
            time.sleep(GLANCE_S)

    def _reflect(self, pcm: Pcm, written: bytes) -> bytes:
        """Let whoever cancels echo have what was written; the rest."""
        while len(written) >= FRAME_BYTES:
            self.delay_s = max(0.0, pcm.latency_s() - len(written) / 2 / SAMPLE_RATE_HZ)
            self._far(written[:FRAME_BYTES])
            written = written[FRAME_BYTES:]
        return written

    def _rests(self, opening: Opening) -> bool:
        """Whether it is to be closed, since there has been nobody to be heard for long enough."""
        now_s = time.monotonic()
        if self.voices.any:
            self._wanted_at_s = now_s
        if now_s - self._wanted_at_s < LINGER_S:
            return False
        with self._lock:  # who comes from now on opens it anew
            if self.voices.any or opening is not self._opening:
                return False
            self._opening = None
            self._worked = True
        return True

    def _ended(self, opening: Opening, fault: Exception) -> None:
        with self._lock:
            if opening is not self._opening:
                return
            self._opening = None
            now_s = self._clock()
            if opening.is_open and now_s - self._began_at_s >= STEADY_S:
                self._failures = 0
            self._failures += 1
            late = errno_of(fault) == errno.ETIMEDOUT  # whose waiting counts
            since_s = self._opened_at_s if late else now_s
            self._retry_at_s = max(now_s, since_s + retry_after_s(self._failures))
        what = "stopped" if opening.is_open else "cannot be opened"
        sentence = f"the loudspeaker {self._device} {what}"
        self._tell(failure(sentence, fault, has_worked=self._worked))

    def _tell(self, fault: SourceFailed | None) -> None:
        """Once, until it is another or over."""
        self._worked = self._worked or fault is None
        told = None if fault is None else str(fault)
        if told != self._told:
            self._told = told
            self._failed(fault)
