"""What the outputs of any board do, whatever they are: a bench that has `Outputs` runs these bodies.

A bench is a subclass with a fixture `bench`; see test_alsa_outputs.py for the simulated ones, for ALSA's
own devices, and for a real sound card (`pytest -m hardware`, on the default device).
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from appliance.media.base import FRAME_BYTES, FRAME_S, AudioSource, Outputs, SourceFailed
from appliance.media.synthetic import dominant_hz, level_dbfs
from appliance.model import AudioMode
from tests.media.softcard import tone

PATIENCE_S = 30.0
SPEAKER = AudioMode.SPEAKER

Line = np.ndarray[tuple[int], np.dtype[np.int16]]


@dataclass
class Bench:
    """Outputs with a `speaker` that is there; what a test can find out of it, where it can."""

    outputs: Outputs
    heard: Callable[[], Line] | None = None
    """What the loudspeaker has let hear lately."""
    says_hz: float | None = None
    """The tone in front of the microphone."""


def no_failure(fault: SourceFailed) -> None:
    raise AssertionError(fault)


def until(condition: Callable[[], object], what: str) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end_s, f"{what} did not come about"
        time.sleep(0.005)


def speak(bench: Bench, seconds: float, **voices: float) -> None:
    """Let participants say a tone each (in Hz, at -26 dBFS), by this machine's clock."""
    sink = bench.outputs.sink(SPEAKER)
    said = {name: tone(hz, -26) for name, hz in voices.items()}
    begin_s = time.monotonic()
    for number in range(int(seconds / FRAME_S)):
        time.sleep(max(0.0, begin_s + number * FRAME_S - time.monotonic()))
        for name, say in said.items():
            sink.push(name, say(number * 960, 960))


def listen(source: AudioSource, count: int) -> list[bytes]:
    frames: queue.Queue[bytes] = queue.Queue()
    source.start(frames.put, no_failure)
    try:
        return [frames.get(timeout=PATIENCE_S) for _ in range(count)]
    finally:
        source.stop()


class OutputsContract:
    """Outputs, at their ends."""

    # -------------------- the microphone

    def test_it_gives_frames_of_20_ms_as_fast_as_time_passes(self, bench: Bench) -> None:
        begin_s = time.monotonic()
        frames = listen(bench.outputs.source(SPEAKER), 50)
        assert {len(frame) for frame in frames} == {FRAME_BYTES}
        assert time.monotonic() - begin_s > 0.85
        if bench.says_hz is not None:
            line = np.frombuffer(b"".join(frames), "<i2")[4800:]
            assert dominant_hz(line) == pytest.approx(bench.says_hz, rel=0.01)
            assert level_dbfs(line) == pytest.approx(-20, abs=0.5)

    def test_it_can_be_started_again_and_gives_nothing_in_between(self, bench: Bench) -> None:
        source = bench.outputs.source(SPEAKER)
        for _ in range(2):
            listen(source, 3)
            frames: queue.Queue[bytes] = queue.Queue()
            source.start(frames.put, no_failure)
            frames.get(timeout=PATIENCE_S)
            source.stop()
            count = frames.qsize()
            time.sleep(3 * FRAME_S)
            assert frames.qsize() == count
        source.stop()

    # -------------------- the loudspeaker

    def test_who_speaks_is_heard(self, bench: Bench) -> None:
        threading.Thread(target=speak, args=(bench, 1.5), kwargs={"alice": 700.0}).start()
        if bench.heard is not None:
            heard = bench.heard
            until(
                lambda: dominant_hz(heard()[-24_000:]) == pytest.approx(700, rel=0.01), "the tone"
            )
        self._end(bench, "alice")

    def test_two_are_heard_together(self, bench: Bench) -> None:
        speak(bench, 1.5, alice=700, bob=1900)
        if bench.heard is not None:
            line = bench.heard()[-48_000:]
            power = np.abs(np.fft.rfft(line * np.hanning(len(line)))) ** 2
            hz = np.fft.rfftfreq(len(line), 1 / 48_000)
            near = [power[np.abs(hz - one) < 40].sum() / power.sum() for one in (700, 1900)]
            assert near == [pytest.approx(0.5, abs=0.15)] * 2
        self._end(bench, "alice", "bob")

    def test_a_push_never_waits(self, bench: Bench) -> None:
        sink = bench.outputs.sink(SPEAKER)
        begin_s = time.thread_time()
        for number in range(200):
            sink.push("alice", tone(700, -40)(number * 960, 960))
        assert time.thread_time() - begin_s < 2
        self._end(bench, "alice")

    def test_who_never_spoke_can_leave(self, bench: Bench) -> None:
        bench.outputs.sink(SPEAKER).remove("nobody")

    def _end(self, bench: Bench, *names: str) -> None:
        for thread in threading.enumerate():
            if thread.name.startswith("Thread-") and "speak" in thread.name:
                thread.join()
        for name in names:
            bench.outputs.sink(SPEAKER).remove(name)

    # -------------------- all of them

    def test_the_ends_of_an_output_are_the_same_ones_each_time(self, bench: Bench) -> None:
        assert bench.outputs.sink(SPEAKER) is bench.outputs.sink(SPEAKER)
        assert bench.outputs.source(SPEAKER) is bench.outputs.source(SPEAKER)

    def test_the_speaker_is_there(self, bench: Bench) -> None:
        assert SPEAKER in bench.outputs.present()

    def test_watching_can_end_while_somebody_speaks(self, bench: Bench) -> None:
        bench.outputs.watch(lambda: None)
        speak(bench, 0.2, alice=700)
        bench.outputs.close()
        bench.outputs.sink(SPEAKER).push("alice", bytes(FRAME_BYTES))
