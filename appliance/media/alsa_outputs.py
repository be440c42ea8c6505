"""The outputs of a real board: which of the configured ALSA devices are there, and the two ends of each.

Cards are looked for once a second, by their nodes; that costs two system calls, needs no right and works
in any sandbox. A name with no card in it ("default", "bluealsa:…", one of the owner's own) says nothing
about what it leads to: whether that is there is found out by opening it for a moment, when cards have
changed, and every few seconds while it is not.
"""

from __future__ import annotations

import errno
import logging
import threading
import time
from collections.abc import Callable, Mapping

from appliance.config import Audio
from appliance.media.alsa import AlsaMicrophone, AlsaSpeaker
from appliance.media.alsa_names import is_known
from appliance.media.base import AudioSink, AudioSource, EchoCanceller, SourceFailed
from appliance.media.pcm import Direction, OpenPcm, Pcm, open_pcm
from appliance.media.pcm_thread import STOP_LIMIT_S
from appliance.media.sound_cards import SoundCards
from appliance.media.synthetic import SOUNDS, Meter, ToneMicrophone
from appliance.model import AudioMode

logger = logging.getLogger(__name__)

LOOK_S = 1.0
PROBE_S = 5.0
"""How often what is not there is tried, where it cannot be seen otherwise."""
GONE = {errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.EHOSTDOWN, errno.ECONNREFUSED}
"""Why an opening fails where nothing is there; any other failure is that of a device."""

Cancels = Callable[[AudioMode], EchoCanceller | None]


class AlsaOutputs:
    """An `Outputs`. What is configured as "tone" or "silence" is simulated, and always there."""

    def __init__(
        self,
        audio: Mapping[AudioMode, Audio],
        *,
        speaker: AudioSink | None = None,
        failed: Callable[[AudioMode, SourceFailed | None], None] = lambda *_: None,
        canceller: Cancels = lambda _: None,
        cards: SoundCards | None = None,
        opens: OpenPcm = open_pcm,
        knows: Callable[[str], bool | None] = is_known,
        look_s: float = LOOK_S,
    ) -> None:
        """Open nothing yet. `speaker` stands in for the output of that mode.

        `failed` is told when a loudspeaker cannot be heard, and when it can again, from any thread.
        `canceller` makes the echo canceller of a mode, or None where there is to be none; it is called on a
        microphone's thread, when that is opened. What is played without a microphone needs none, and never
        waits for one. `knows` tells whether ALSA has a device of a name that has no card in it.
        """
        self._audio = dict(audio)
        self._failed, self._canceller, self._opens = failed, canceller, opens
        self._cards = cards or SoundCards()
        self._knows = knows
        self._look_s = look_s
        self._sinks: dict[str, AudioSink] = {}
        self._sources: dict[str, AudioSource] = {}
        self._cancellers: dict[AudioMode, EchoCanceller | None] = {}
        self._making = threading.Lock()
        self._trying = threading.Lock()
        """What is tried for a moment is not in the way of what is opened in earnest."""
        self._standing_in: dict[AudioMode, AudioSink] = {}
        if speaker is not None:
            self._standing_in[AudioMode.SPEAKER] = speaker
        self._used = next(iter(self._audio), AudioMode.SPEAKER)
        self._seen = self._cards.seen()
        self._answers: dict[str, tuple[bool, float]] = {}
        self._present = self._find(probing=False)
        self._changed: Callable[[], None] = lambda: None
        self._look_now = threading.Event()
        self._closed = False
        self._thread: threading.Thread | None = None

    # -------------------- which are there

    def present(self) -> frozenset[AudioMode]:
        """Those whose playback device is there, as of the last look."""
        return self._present

    def watch(self, changed: Callable[[], None]) -> None:
        """Look from now on; `changed` is called from a thread of this object's."""
        self._changed = changed
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, name="sound cards", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Look no more, and let go of all loudspeakers."""
        self._closed = True
        self._changed = lambda: None
        self._look_now.set()
        if self._thread is not None:
            self._thread.join(STOP_LIMIT_S)  # it may be inside a driver
        for sink in self._speakers:
            sink.close()
        with self._making:
            for canceller in self._cancellers.values():
                if canceller is not None:
                    canceller.close()
            self._cancellers.clear()

    def _watch(self) -> None:
        while not self._closed:
            try:
                self._look()
            except Exception:  # whatever it is, it must not end the looking
                logger.exception("the sound cards cannot be looked for")
            self._look_now.wait(self._look_s)
            self._look_now.clear()

    def _look(self) -> None:
        seen = self._cards.seen()
        if seen != self._seen:
            self._seen = seen
            self._answers.clear()
        present = self._find(probing=True)
        if present != self._present:
            self._present = present
            self._changed()
        for speaker in self._speakers:
            speaker.look()
        for microphone in self._microphones:
            microphone.look()

    def _find(self, *, probing: bool) -> frozenset[AudioMode]:
        there = {mode for mode, audio in self._audio.items() if self._has(audio.playback, probing)}
        return frozenset(there | self._standing_in.keys())

    def _has(self, name: str, probing: bool) -> bool:
        if name in SOUNDS:
            return True
        known = self._cards.has(name, Direction.PLAYBACK)
        return self._answer(name, probing) if known is None else known

    def _answer(self, name: str, probing: bool) -> bool:
        """Whether a device that cannot be seen is there; it is believed to be, until it was tried."""
        sink = self._sinks.get(name)
        if isinstance(sink, AlsaSpeaker) and sink.is_open:
            return True
        there, until_s = self._answers.get(name, (True, 0.0))
        if probing and time.monotonic() >= until_s:
            there = self._try(name)
            self._answers[name] = (there, float("inf") if there else time.monotonic() + PROBE_S)
        return there

    def _try(self, name: str) -> bool:
        try:
            with self._trying:
                self._opens(Direction.PLAYBACK, name).close()
        except OSError as error:
            return error.errno not in GONE
        return True

    # -------------------- the ends of each

    def use(self, mode: AudioMode) -> None:
        """Take the echo of this one out of what is heard; what stands in for one has none."""
        if mode in self._audio:
            self._used = mode

    def sink(self, mode: AudioMode) -> AudioSink:
        """Its loudspeaker, the same for all modes with that device."""
        if mode in self._standing_in:
            return self._standing_in[mode]
        name = self._configured(mode).playback
        if name not in self._sinks:
            self._sinks[name] = self._make_sink(name)
        return self._sinks[name]

    def source(self, mode: AudioMode) -> AudioSource:
        """Its microphone, the same for all modes with that device."""
        name = self._configured(mode).capture
        if name not in self._sources:
            self._sources[name] = self._make_source(name)
        return self._sources[name]

    def counts(self) -> dict[str, int]:
        """Of all devices together."""
        speakers, microphones = self._speakers, self._microphones
        return {
            "playback_xruns": sum(one.xruns for one in speakers),
            "capture_xruns": sum(one.xruns for one in microphones),
            "playback_holes": sum(one.voices.holes for one in speakers),
            "playback_cuts": sum(one.voices.cuts for one in speakers),
            "playback_delay_ms": max((round(one.delay_s * 1000) for one in speakers), default=0),
        }

    def _configured(self, mode: AudioMode) -> Audio:
        return self._audio.get(mode) or next(iter(self._audio.values()), Audio())

    def _make_sink(self, name: str) -> AudioSink:
        if name in SOUNDS:
            return Meter()

        def failed(fault: SourceFailed | None) -> None:
            self._answers.pop(name, None)
            self._look_now.set()
            for mode, audio in self._audio.items():
                if audio.playback == name:
                    self._failed(mode, fault)

        return AlsaSpeaker(name, self._far, failed, self._open_end)

    def _make_source(self, name: str) -> AudioSource:
        if name in SOUNDS:
            return ToneMicrophone(level_dbfs=SOUNDS[name])
        return AlsaMicrophone(name, self._near, self._open_end, lambda: self._has_microphone(name))

    def _has_microphone(self, name: str) -> bool | None:
        """As far as that can be seen without opening it, which would hear; None where it cannot.

        A name that ALSA knows, or whose card is there, may lead to nothing that records all the same.
        """
        there = self._cards.has(name, Direction.CAPTURE)
        if there is None:
            there = self._knows(name)
        return None if there and not name.startswith(("hw:", "plughw:")) else there

    @property
    def _speakers(self) -> list[AlsaSpeaker]:
        return [sink for sink in list(self._sinks.values()) if isinstance(sink, AlsaSpeaker)]

    @property
    def _microphones(self) -> list[AlsaMicrophone]:
        found = list(self._sources.values())
        return [source for source in found if isinstance(source, AlsaMicrophone)]

    # -------------------- echo

    def _far(self, frame: bytes) -> None:
        """On the loudspeaker's thread."""
        canceller = self._cancellers.get(self._used)
        if canceller is not None:
            canceller.far(frame)

    def _near(self, frame: bytes, ago_s: float) -> bytes:
        """On the microphone's thread."""
        canceller = self._cancelling()
        if canceller is None:
            return frame
        sink = self._sinks.get(self._configured(self._used).playback)
        ahead_s = sink.delay_s if isinstance(sink, AlsaSpeaker) else 0.0
        return canceller.near(frame, round((ahead_s + ago_s) * 1000))

    def _cancelling(self) -> EchoCanceller | None:
        """That of the output in use; made when a microphone first needs it, which then waits for it."""
        mode = self._used
        with self._making:
            if mode not in self._cancellers and not self._closed:
                self._cancellers[mode] = self._canceller(mode)
            return self._cancellers.get(mode)

    def _open_end(self, direction: Direction, device: str) -> Pcm:
        """Open one end, with everything made ready before that takes its time, or may be in its way."""
        if direction is Direction.CAPTURE:
            self._cancelling()
            return self._opens(direction, device)
        for name, sink in list(self._sinks.items()):
            if name != device and isinstance(sink, AlsaSpeaker):
                sink.rest()  # by another name it may be the same card
        with self._trying:
            return self._opens(direction, device)
