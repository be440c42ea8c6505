"""WebRTC's library: a call that is made once does what the documented one does, and is refused as it is."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from appliance.media import webrtc
from appliance.media.webrtc import HALF, Prepared, Stage, Tens
from appliance.media.wideband import WIDE_SAMPLES, Samples
from tests.parts import webrtc as library
from tests.parts.rooms import noise, voice


@pytest.fixture(scope="module", autouse=True)
def awake() -> None:
    library.wake()


@pytest.fixture(autouse=True)
def there_is_the_library(awake: None) -> None:
    library.need()


def blocks(sound: Samples) -> Samples:
    return sound[: len(sound) // WIDE_SAMPLES * WIDE_SAMPLES].reshape(-1, WIDE_SAMPLES)


def processed(far: Samples, near: Samples) -> Samples:
    fars, nears = Tens(), Tens()
    stage = Stage(nears, fars, echo_cancellation=True, noise_suppression=True)
    stage.delay(20)
    out = []
    for played, heard in zip(far, near, strict=True):
        fars.fill(played)
        nears.fill(heard)
        stage.far()
        stage.near()
        out.append(nears.samples())
    return np.concatenate(out)


def test_a_call_that_is_made_once_is_the_documented_one(monkeypatch: pytest.MonkeyPatch) -> None:
    far = blocks(voice(3, 110, 1, -20)[::3].astype(np.float32))
    near = (np.roll(far, 1, axis=0) / 2 + blocks(noise(3, -60)[::3].astype(np.float32))).astype(
        "f4"
    )
    sooner = processed(far, near)
    tens = Tens()
    calls = Stage(tens, tens, echo_cancellation=True)._near
    assert all(isinstance(call, Prepared) for call in calls), "the library is as it was seen"

    def changed(*_: object) -> Callable[[], None]:
        raise AttributeError("_ffi_handle")

    monkeypatch.setattr(webrtc, "Prepared", changed)
    calls = Stage(tens, tens, echo_cancellation=True)._near
    assert all(isinstance(call, partial) for call in calls)
    np.testing.assert_array_equal(processed(far, near), sooner)


def test_what_it_refuses_is_told_in_its_words() -> None:
    tens = Tens()
    stage = Stage(tens, echo_cancellation=True)
    frame = tens.frames[0]
    frame._sample_rate = 100
    prepared = Prepared(stage._module, "process_stream", frame)
    words = []
    for call in (prepared, partial(stage._module.process_stream, frame)):
        with pytest.raises(RuntimeError) as refused:
            call()
        words.append(str(refused.value))
    assert words[0] == words[1]


def test_what_does_not_fit_into_16_bit_is_cut() -> None:
    tens = Tens()
    tens.fill(np.full(WIDE_SAMPLES, 40_000, np.float32))
    assert set(tens.samples()) == {32767}
    tens.fill(np.linspace(-2, 2, WIDE_SAMPLES, dtype=np.float32))
    np.testing.assert_array_equal(tens.samples(), np.rint(np.linspace(-2, 2, WIDE_SAMPLES)))
    assert tens.samples()[HALF - 1] == 0
