"""Devices of ALSA's own that need no card: files, nothing, and pipes that a test empties and fills."""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from appliance.media.base import SAMPLE_RATE_HZ
from appliance.media.pcm import PERIOD_SAMPLES
from tests.media.softcard import tone
from tests.parts.need import skip_or_fail

PIPE_BYTES = 4096
"""42 ms: the smallest that a pipe can be."""
STEP_S = 0.005

CONFIGURATION = """
pcm.nothing {{ type null }}
pcm.speaker {{ type file slave.pcm "nothing" file "{folder}/played" format "raw" }}
pcm.microphone {{ type file slave.pcm "nothing" file "/dev/null" infile "{folder}/heard" format "raw" }}
pcm.stereo {{ type plug slave {{ pcm "speaker" channels 2 rate 44100 format "S32_LE" }} }}
pcm.card {{ type file slave.pcm "nothing" file "{folder}/out" format "raw" }}
pcm.card_in {{ type file slave.pcm "nothing" file "/dev/null" infile "{folder}/in" format "raw" }}
pcm.pair {{
  type multi
  slaves.a {{ pcm "nothing" channels 2 }}
  bindings {{ 0 {{ slave a channel 0 }} 1 {{ slave a channel 1 }} }}
}}
"""


class SoundLab:
    """`speaker` and `microphone` are files; `card` and `card_in` have a clock once `run` is entered."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.configuration = folder / "asound.conf"
        self.configuration.write_text(CONFIGURATION.format(folder=folder))
        (folder / "heard").write_bytes(tone(440)(0, 30 * SAMPLE_RATE_HZ))
        self.heard_of_card = bytearray()
        self._emptied = threading.Event()

    def played(self) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
        data = (self.folder / "played").read_bytes()
        return np.frombuffer(data[: len(data) & ~1], "<i2")

    def drain(self) -> None:
        """Empty the card's pipe until nobody writes into it any more."""
        self._emptied.set()
        for thread in threading.enumerate():
            if thread.name.startswith("loudspeaker"):
                thread.join()

    @contextlib.contextmanager
    def run(self, *, fast: float = 1.0, hz: float = 440) -> Iterator[None]:
        """Let the card's clock run; ALSA's own code then has to keep to it."""
        for name in ("in", "out"):
            os.mkfifo(self.folder / name)
        # with both ends open here, nobody waits for another to open the other end
        out = os.open(self.folder / "out", os.O_RDWR | os.O_NONBLOCK)
        into = os.open(self.folder / "in", os.O_RDWR | os.O_NONBLOCK)
        for pipe in (out, into):
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        ended, self._emptied = threading.Event(), threading.Event()

        def clock() -> None:
            begin_s, moved, said_to, said = time.monotonic(), 0, 0, tone(hz)
            while not ended.wait(STEP_S):
                due = int((time.monotonic() - begin_s) * SAMPLE_RATE_HZ * fast)
                with contextlib.suppress(BlockingIOError):
                    room = PIPE_BYTES if self._emptied.is_set() else 2 * (due - moved)
                    self.heard_of_card += os.read(out, room)
                moved = due
                while (
                    said_to + PERIOD_SAMPLES <= due
                ):  # ALSA takes a part of a period for a whole one
                    with contextlib.suppress(BlockingIOError):
                        os.write(into, said(said_to, PERIOD_SAMPLES))
                    said_to += PERIOD_SAMPLES

        thread = threading.Thread(target=clock, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            os.close(out)
            os.close(into)


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SoundLab:
    """ALSA with devices of the test's own, and no others."""
    if importlib.util.find_spec("alsaaudio") is None:
        skip_or_fail("pyalsaaudio is not installed (apt install gcc python3-dev libasound2-dev)")
    made = SoundLab(tmp_path)
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(made.configuration))
    return made
