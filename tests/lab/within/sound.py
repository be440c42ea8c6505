"""Sound through ALSA and a simulated card, whose other end is recorded from."""

from __future__ import annotations

import contextlib
import queue
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from appliance.config import Audio
from appliance.media.alsa_outputs import AlsaOutputs
from appliance.media.base import SourceFailed
from appliance.media.synthetic import dominant_hz
from appliance.model import AudioMode, DeviceException
from tests.media.soundcontract import SPEAKER, Bench, speak, until

AUDIO = {AudioMode.SPEAKER: Audio("loudspeaker", "microphone", echo="off")}
ENDS = {"aplay": "loudspeaker", "arecord": "microphone"}
USED = ("pcm0p/sub0", "pcm0c/sub1")
FORM = ("-q", "-t", "raw", "-f", "S16_LE", "-r", "48000", "-c", "1")


@pytest.fixture
def bench() -> Bench:
    return Bench(AlsaOutputs(AUDIO))


@pytest.fixture
def others() -> Iterator[None]:
    """Another program plays, and one records."""
    with contextlib.ExitStack() as both:
        for words in (["aplay", *FORM, "/dev/zero"], ["arecord", *FORM, "/dev/null"]):
            process = both.enter_context(subprocess.Popen([*words, "-D", ENDS[words[0]]]))
            both.callback(process.kill)
        until(lambda: all(status(pcm) != "closed" for pcm in USED), "the other program's sound")
        yield


def status(pcm: str) -> str:
    return (Path("/proc/asound/Loopback") / pcm / "status").read_text().strip()


@pytest.mark.usefixtures("others")
def test_a_card_that_others_use_is_told_as_that() -> None:
    told: queue.Queue[SourceFailed | None] = queue.Queue()
    outputs = AlsaOutputs(AUDIO, failed=lambda _, fault: told.put(fault))
    with pytest.raises(SourceFailed) as fault:
        outputs.source(SPEAKER).start(lambda _: None, lambda _: None)
    assert fault.value.type is DeviceException.DEVICE_OCCUPIED
    speak(Bench(outputs), 0.1, alice=700)
    of_the_loudspeaker = told.get(timeout=30)
    assert of_the_loudspeaker is not None
    assert of_the_loudspeaker.type is DeviceException.DEVICE_OCCUPIED
    outputs.sink(SPEAKER).remove("alice")
    outputs.close()


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
