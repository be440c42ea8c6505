"""Half duplex: who has the floor, when it opens and closes, and that it does not pump."""

from __future__ import annotations

import numpy as np
import pytest

from appliance.media.base import FRAME_MS
from appliance.media.ducking import DUCKED_DB, HANG_MS, Ducking
from tests.parts.rooms import RATE, ROOMS, Room, Signal, erle_db, frames, noise, part, signal, voice
from tests.parts.rooms import cancelled as run

ROOM = ROOMS[2]


def gains_db(far: Signal, near: Signal, delay_ms: int = 0) -> Signal:
    """What is done to `near`, in dB at the end of each frame; it has to sound all the time."""
    before, after = near, run(Ducking(), far, near, delay_ms)
    ends = [line.reshape(-1, 960)[:, -48:] for line in (before, after)]
    powers = [np.sum(end**2, axis=1) for end in ends]
    return np.asarray(10 * np.log10(powers[1] / powers[0]))


def steady(seconds: float, dbfs: float, hz: float = 1000) -> Signal:
    turns = 2 * np.pi * hz * np.arange(int(seconds * RATE)) / RATE
    return np.asarray(32767 * 10 ** (dbfs / 20) * np.sin(turns))


def bursts(*parts: tuple[float, float]) -> Signal:
    """Stretches of a tone: seconds and dBFS."""
    return np.concatenate([steady(seconds, dbfs) for seconds, dbfs in parts])


@pytest.mark.parametrize("room", ROOMS[::3], ids=lambda room: room.name)
def test_an_echo_is_36_db_down_in_every_room_from_its_first_second(room: Room) -> None:
    far = voice(6, 110, 1, -20)
    heard = room.echo(far)
    out = run(Ducking(), far, heard, room.hint_ms)
    assert erle_db(heard, out, 0, 2) > 20
    assert erle_db(heard, out, 2, 6) > 30


def test_it_closes_within_a_frame_and_opens_by_a_ramp_after_the_hang() -> None:
    far = bursts((1, -96), (1, -20), (2, -96))
    gains = gains_db(far, steady(4, -40), 40)
    begin, end = 1000 // FRAME_MS, 2000 // FRAME_MS
    assert gains[begin - 1] == pytest.approx(0, abs=0.1)
    assert gains[begin] == pytest.approx(DUCKED_DB, abs=3)
    assert gains[begin + 1] == pytest.approx(DUCKED_DB, abs=0.5)
    hang = (HANG_MS + 40) // FRAME_MS
    assert gains[end + hang - 2] == pytest.approx(DUCKED_DB, abs=0.5)
    opening = gains[end + hang - 2 : end + hang + 12]
    assert opening[-1] == pytest.approx(0, abs=0.1)
    steps = np.diff(opening)
    assert steps.max() < 8, "no click"
    assert steps.min() > -0.5, "and never back"


def test_a_pause_between_two_words_is_no_end() -> None:
    words = [(0.25, -20.0), (0.15, -96.0)] * 10
    gains = gains_db(bursts(*words), steady(4, -40))
    inside = gains[5:-12]
    assert inside.max() < DUCKED_DB + 1, "it does not pump"


def test_who_is_clearly_louder_than_the_echo_has_the_floor() -> None:
    far = voice(10, 110, 1, -20)
    heard = ROOM.echo(far) * 10 ** (-20 / 20)
    talk = voice(10, 190, 2, -20).copy()
    talk[: 6 * RATE] = 0
    out = run(Ducking(), far, heard + talk, 40)
    kept = np.sum(part(out, 6, 10) ** 2) / np.sum(part(talk, 6, 10) ** 2)
    assert 10 * np.log10(kept) > -3
    assert erle_db(heard, out, 3, 6) > 30, "and before nobody had"


def test_an_echo_never_takes_the_floor_however_loud_it_is() -> None:
    far = voice(10, 110, 1, -30)
    for more_db in (-20, 0, 5):
        heard = ROOM.echo(far) * 10 ** (more_db / 20)
        out = run(Ducking(), far, heard, 40)
        assert erle_db(heard, out, 0, 10) > 25


def test_a_knock_does_not_take_the_floor() -> None:
    far = steady(4, -20)
    near = steady(4, -40)
    near[2 * RATE : 2 * RATE + 480] = steady(0.01, -6)
    gains = gains_db(far, near)
    assert gains[2 * 50 - 5] < -30
    assert gains[2 * 50 + 1 : 2 * 50 + 20].max() < -30


def test_the_far_sides_noise_keeps_nobody_quiet_but_its_voice_does() -> None:
    far = noise(8, -50)
    near = steady(8, -40)
    gains = gains_db(far, near)
    assert gains.min() > -0.1
    far = noise(8, -50) + np.concatenate([np.zeros(6 * RATE), steady(2, -25)])
    assert gains_db(far, near)[-20:].max() < DUCKED_DB + 1


def test_an_open_microphone_is_passed_on_as_it_is() -> None:
    there = Ducking()
    for frame in frames(voice(1, 190, 2, -26)):
        assert there.near(frame, 100) is frame


def test_a_delay_of_any_size_is_followed() -> None:
    far = voice(3, 110, 1, -20)
    heard = Room("far away", 0.3, 300).echo(far)
    assert erle_db(heard, run(Ducking(), far, heard, 300), 1, 3) > 25


def test_frames_that_are_written_all_at_once_count_like_any_others() -> None:
    there = Ducking()
    far, near = frames(steady(1, -20)), frames(steady(2, -60))
    for frame in far:
        there.far(frame)
    out = signal([there.near(frame, 1000) for frame in near])
    assert erle_db(steady(2, -60), out, 0.1, 1) > 30
