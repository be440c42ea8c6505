"""What every echo canceller does, whichever it is; and which one an output gets."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Callable

import numpy as np
import pytest

from appliance.config import Audio
from appliance.media import echo
from appliance.media.base import FRAME_BYTES, SILENT_FRAME, EchoCanceller
from appliance.media.ducking import Ducking
from appliance.media.echo import NoCanceller, canceller, cancellers, choice
from appliance.model import AudioMode
from tests.parts import webrtc
from tests.parts.rooms import (
    RATE,
    Room,
    cancelled,
    erle_db,
    frames,
    level_dbfs,
    loss_db,
    noise,
    part,
    voice,
)

SPEAKER, EARPIECE, BLUETOOTH, HEADPHONES = AudioMode
ROOM = Room("hall", 0.3, 40)
Make = Callable[[], EchoCanceller]


@pytest.fixture(scope="module", autouse=True)
def awake() -> None:
    webrtc.wake()


def aec3() -> EchoCanceller:
    webrtc.need()
    return canceller("aec3")


MAKERS: dict[str, Make] = {
    "aec3": aec3,
    "duck": lambda: canceller("duck"),
    "off": lambda: canceller("off"),
}


@pytest.fixture(params=list(MAKERS))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def make(kind: str) -> Make:
    return MAKERS[kind]


# -------------------- what all of them do


def test_a_frame_comes_out_for_each_that_goes_in(make: Make) -> None:
    there = make()
    loud = np.random.default_rng(1).integers(-32768, 32767, (50, 960)).astype("<i2")
    for number, frame in enumerate(loud):
        there.far(frame.tobytes())
        out = there.near(loud[-number].tobytes(), 40)
        assert isinstance(out, bytes)
        assert len(out) == FRAME_BYTES
    there.close()


def test_the_near_voice_alone_passes_as_loud_as_it_is(make: Make) -> None:
    talk = voice(4, 190, 2, -26)
    out = cancelled(make(), np.zeros_like(talk), talk + noise(4, -75))
    assert abs(level_dbfs(talk) - level_dbfs(out)) < 1
    assert abs(loss_db(talk, np.zeros_like(talk), out)) < 1


def test_the_far_voice_alone_is_taken_out(make: Make, kind: str) -> None:
    far = voice(6, 110, 1, -20)
    heard = ROOM.echo(far) / 2 + noise(6, -75)
    out = cancelled(make(), far, heard, 40)
    if kind == "off":
        assert erle_db(heard, out, 0, 6) == pytest.approx(0, abs=0.01)
    else:
        assert erle_db(heard, out, 2, 5) > 20
        assert erle_db(heard, out, 0, 1) > 5, "from the first words on"


def test_silence_stays_silence(make: Make) -> None:
    far = voice(2, 110, 1, -20)
    assert level_dbfs(cancelled(make(), np.zeros_like(far), np.zeros_like(far))) < -95
    # beside a far voice AEC3 gives its comfort noise: a step of 16 bit, now and then
    assert level_dbfs(cancelled(make(), far, np.zeros_like(far))) < -65


def test_one_knows_nothing_of_another(make: Make) -> None:
    far, talk = voice(2, 110, 1, -20), voice(2, 190, 2, -26)
    heard = ROOM.echo(far) + talk
    first, disturbing = make(), make()
    before = cancelled(first, far, heard, 40)
    cancelled(disturbing, voice(2, 110, 3, -10), talk, 0)
    first.close()
    np.testing.assert_array_equal(cancelled(make(), far, heard, 40), before)


@pytest.mark.parametrize("frame", [b"", SILENT_FRAME[2:], SILENT_FRAME + b"\0", SILENT_FRAME * 2])
def test_what_is_no_frame_is_refused_with_a_sentence(make: Make, frame: bytes) -> None:
    there = make()
    told = f"1920 bytes .* not {len(frame)}$"
    with pytest.raises(ValueError, match=told):
        there.far(frame)
    with pytest.raises(ValueError, match=told):
        there.near(frame, 0)


def test_once_closed_it_lets_everything_through_and_can_be_closed_again(make: Make) -> None:
    there = make()
    loud = frames(voice(0.1, 110, 1, -10))
    for frame in loud:
        there.far(frame)
        there.near(frame, 0)
    there.close()
    for frame in loud:
        there.far(frame)
        assert there.near(frame, 0) == frame
    there.close()


def test_two_threads_at_their_own_pace_and_a_third_that_closes_it(make: Make) -> None:
    there = make()
    played, read = frames(voice(4, 110, 1, -20)), frames(voice(4, 190, 2, -26))
    errors: list[Exception] = []
    out: list[bytes] = []
    half = threading.Event()

    def play() -> None:
        try:
            for frame in played:
                there.far(frame)
        except Exception as error:
            errors.append(error)

    def capture() -> None:
        try:
            for number, frame in enumerate(read):
                out.append(there.near(frame, number % 150))
                if number == len(read) // 2:
                    half.set()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=play), threading.Thread(target=capture)]
    for thread in threads:
        thread.start()
    half.wait(30)
    there.close()
    for thread in threads:
        thread.join(30)
    assert not errors
    assert [len(frame) for frame in out] == [FRAME_BYTES] * len(read)
    assert there.near(read[-1], 0) == read[-1], "closed, it lets through"


def test_a_loudspeaker_that_stops_and_goes_on(make: Make, kind: str) -> None:
    """Frames that are not told of, as after an underrun, are no lasting harm."""
    far = voice(9, 110, 1, -20)
    heard = ROOM.echo(far) / 2 + noise(9, -75)
    there = make()
    out = []
    for number, (played, read) in enumerate(zip(frames(far), frames(heard), strict=True)):
        if not (200 <= number < 205 or number == 220):
            there.far(played)
        out.append(there.near(read, 40))
    after = np.frombuffer(b"".join(out), "<i2").astype(np.float64)
    if kind != "off":
        assert erle_db(heard, after, 7, 9) > 20


# -------------------- which one


def test_an_output_gets_the_one_that_is_configured() -> None:
    webrtc.need()
    make = cancellers(
        {
            SPEAKER: Audio(echo="duck"),
            EARPIECE: Audio(gain_control=True),
            HEADPHONES: Audio(),
        }
    )
    made = [make(mode) for mode in AudioMode]
    assert [type(one).__name__ for one in made] == ["Ducking", "Aec3", "NoneType", "NoneType"]
    talk = voice(4, 190, 2, -46)
    loud = made[1]
    assert loud is not None
    assert level_dbfs(part(cancelled(loud, np.zeros_like(talk), talk), 2, 4)) > -35


@pytest.fixture
def not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("livekit", "livekit.rtc", "livekit.rtc.apm"):
        monkeypatch.setitem(sys.modules, name, None)


def test_each_output_gets_what_it_needs() -> None:
    webrtc.need()
    assert [choice("auto", mode) for mode in AudioMode] == ["aec3", "aec3", "off", "off"]
    assert choice("duck", HEADPHONES) == "duck", "what is asked for is done"


@pytest.mark.usefixtures("not_installed")
def test_without_the_extra_a_loudspeaker_ducks_and_a_handset_is_let_be() -> None:
    assert not echo.installed()
    assert [choice("auto", mode) for mode in AudioMode] == ["duck", "off", "off", "off"]
    assert isinstance(canceller(), Ducking)
    assert isinstance(canceller("auto", BLUETOOTH), NoCanceller)


@pytest.mark.usefixtures("not_installed")
def test_what_is_asked_for_and_cannot_be_had_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert isinstance(canceller("aec3", SPEAKER), Ducking)
    assert "the microphone is ducked instead" in caplog.text


def test_the_library_is_imported_when_it_is_used_and_talks_to_nobody() -> None:
    """In a process of its own: this one has it already."""
    webrtc.need()
    program = """
import sys
import appliance.media.aec3, appliance.media.ducking
from appliance.media.echo import canceller, choice
assert choice("auto") == "aec3"
assert "livekit.rtc" not in sys.modules
canceller("duck").close()
assert "livekit.rtc" not in sys.modules
there = canceller()
there.far(bytes(1920)), there.near(bytes(1920), 0)
assert "livekit.rtc" in sys.modules
import psutil
print(psutil.Process().net_connections("inet"))
there.close()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr


def test_the_measure_tells_a_voice_from_an_echo() -> None:
    """An untouched signal loses nothing, half of it 6 dB, another voice all."""
    talk, far = voice(3, 190, 2, -26), voice(3, 110, 1, -26)
    assert loss_db(talk, far, talk + far) == pytest.approx(0, abs=0.1)
    assert loss_db(talk, far, talk / 2 + far) == pytest.approx(6.02, abs=0.1)
    assert loss_db(talk, far, far) > 15
    late = np.concatenate([np.zeros(RATE // 100), talk])[: len(talk)]
    assert loss_db(talk, far, late) == pytest.approx(0, abs=0.2)
    assert level_dbfs(part(noise(3, -40), 1, 2)) == pytest.approx(-40, abs=0.1)
