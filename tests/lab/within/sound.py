"""Sound through ALSA and a simulated card, whose other end is recorded from."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from appliance.config import Audio
from appliance.media.alsa_outputs import AlsaOutputs
from appliance.media.synthetic import dominant_hz
from appliance.model import AudioMode
from tests.media.soundcontract import SPEAKER, Bench, speak

FORM = ("-q", "-t", "raw", "-f", "S16_LE", "-r", "48000", "-c", "1")


@pytest.fixture
def bench() -> Bench:
    audio = {AudioMode.SPEAKER: Audio("loudspeaker", "microphone", echo="off")}
    return Bench(AlsaOutputs(audio))


def test_what_is_played_is_heard_at_the_other_end_of_the_card(bench: Bench, tmp_path: Path) -> None:
    heard = tmp_path / "heard"
    words = ["arecord", *FORM, "-D", "plughw:Loopback,1,0", "-d", "4", str(heard)]
    with subprocess.Popen(words) as recorder:
        speak(bench, 4, alice=700)
    bench.outputs.sink(SPEAKER).remove("alice")
    bench.outputs.close()
    assert recorder.returncode == 0
    line = np.frombuffer(heard.read_bytes(), "<i2")
    assert dominant_hz(line[len(line) // 2 :]) == pytest.approx(700, rel=0.02)
