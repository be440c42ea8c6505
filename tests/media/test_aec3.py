"""WebRTC's canceller behind our filter: rooms, both at once, what changes, and a library that refuses."""

from __future__ import annotations

import logging
from typing import cast

import numpy as np
import pytest

from appliance.media import aec3
from appliance.media.adaptive import AdaptiveFilter
from appliance.media.aec3 import RINGS_FRAMES, Aec3
from appliance.media.wideband import Samples
from tests.parts import webrtc
from tests.parts.rooms import (
    RATE,
    ROOMS,
    Room,
    Signal,
    cancelled,
    erle_db,
    frames,
    lag_samples,
    level_dbfs,
    loss_db,
    noise,
    part,
    voice,
)

FAR = voice(9, 110, 1, -20)
QUIET = noise(9, -75)


@pytest.fixture(scope="module", autouse=True)
def awake() -> None:
    webrtc.wake()


@pytest.fixture(autouse=True)
def there_is_the_library(awake: None) -> None:
    webrtc.need()


def echo(room: Room, dbfs: float = -26) -> Signal:
    return room.echo(FAR) * 10 ** ((dbfs + 20) / 20)


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.name)
def test_an_echo_is_taken_out_in_every_room(room: Room) -> None:
    heard = echo(room) + QUIET
    out = cancelled(Aec3(), FAR, heard, room.hint_ms)
    assert erle_db(heard, out, 2, 5) > 25
    assert erle_db(heard, out, 5, 9) > 30


@pytest.mark.parametrize("room", ROOMS[1::3], ids=lambda room: room.name)
def test_who_speaks_at_the_same_time_is_heard(room: Room) -> None:
    """As loud as the echo, which is loud."""
    talk = voice(9, 190, 2, -26).copy()
    talk[: 5 * 48_000] = 0
    heard = echo(room)
    out = cancelled(Aec3(), FAR, heard + talk + QUIET, room.hint_ms)
    lost = loss_db(part(talk, 5.5, 9), part(heard, 5.5, 9), part(out, 5.5, 9))
    assert lost < 3


def test_a_loudspeaker_that_is_turned_round_is_learned_anew() -> None:
    one, other = echo(ROOMS[1]), echo(ROOMS[5])
    change = 4 * 48_000
    heard = np.concatenate([one[:change], other[change:]]) + QUIET
    out = cancelled(Aec3(), FAR, heard, 20)
    assert erle_db(heard, out, 2, 4) > 25
    assert erle_db(heard, out, 6, 9) > 20


def test_it_comes_out_less_than_20_ms_later() -> None:
    talk = part(voice(9, 190, 2, -26), 0, 3)
    out = cancelled(Aec3(), np.zeros_like(talk), talk)
    assert lag_samples(talk, out) < 960


def test_steady_noise_is_brought_down() -> None:
    hiss = noise(6, -50)
    out = cancelled(Aec3(), np.zeros_like(hiss), hiss)
    assert level_dbfs(part(out, 3, 6)) < -58


def test_gain_control_brings_a_quiet_voice_up_and_leaves_a_loud_one() -> None:
    for dbfs, least, most in ((-46, -35, -10), (-16, -20, -6)):
        talk = part(voice(9, 190, 2, dbfs), 0, 6)
        out = cancelled(Aec3(gain_control=True), np.zeros_like(talk), talk + part(QUIET, 0, 6))
        assert least < level_dbfs(part(out, 3, 6)) < most


def test_while_the_far_side_is_silent_the_filters_rest_and_with_its_first_word_they_are_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(aec3, "LISTENS_FRAMES", 0)
    room = ROOMS[2]
    pause = slice(4 * RATE, 7 * RATE)
    far = FAR.copy()
    far[pause] = noise(3, -75)
    talk = voice(9, 190, 2, -26).copy()
    talk[: 5 * RATE], talk[6 * RATE :] = 0, 0
    heard = room.echo(far) * 10 ** (-6 / 20) + QUIET
    there = Counted()
    out = cancelled(there, far, heard + talk, room.hint_ms)
    assert 250 < there.worked < 6 * 50 + RINGS_FRAMES + 25
    assert loss_db(part(talk, 5, 6), part(heard, 5, 6), part(out, 5, 6)) < 1
    assert erle_db(heard, out, 7, 7.5) > 20
    assert erle_db(heard, out, 7.5, 9) > 25


class Counted(Aec3):
    """It counts for how many frames the filter worked."""

    def __init__(self) -> None:
        super().__init__()
        self.worked = 0
        works = self._filter.__call__

        def counted(far: Samples, near: Samples) -> Samples:
            self.worked += 1
            return works(far, near)

        self._filter = cast("AdaptiveFilter", counted)


def test_on_both_ways_the_voice_is_equally_late() -> None:
    talk = part(voice(9, 190, 2, -26), 0, 6)
    lags = []
    for far in (np.zeros_like(talk), noise(6, -50)):
        there = Counted()
        out = cancelled(there, far, talk)
        lags.append(lag_samples(part(talk, 3, 6), part(out, 3, 6)))
        assert (there.worked > 250) is bool(far.any()), "the one rests, the other does not"
    assert lags[0] == lags[1]


def test_noise_is_as_low_on_the_one_way_as_on_the_other() -> None:
    hiss, far = noise(8, -50), np.zeros(8 * RATE)
    far[4 * RATE : 5 * RATE] = noise(1, -45)
    out = cancelled(Aec3(), far, hiss)
    parts = [level_dbfs(part(out, at, at + 0.5)) for at in (1.2, 1.7, 3.0, 4.0, 4.5, 5.7, 7.0)]
    assert max(parts) - min(parts) < 6


def test_a_library_that_refuses_is_told_of_once_and_the_voice_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    there = Aec3()
    library = there._library
    assert library is not None

    def refuse() -> None:
        raise RuntimeError("-6")

    monkeypatch.setattr(library._with, "near", refuse)
    monkeypatch.setattr(library._past, "near", refuse)
    talk = part(voice(9, 190, 2, -26), 0, 1)
    with caplog.at_level(logging.ERROR):
        out = [there.near(frame, 0) for frame in frames(talk)]
    heard = np.frombuffer(b"".join(out), "<i2").astype(np.float64)
    assert abs(level_dbfs(heard) - level_dbfs(talk)) < 1
    assert caplog.text.count("the echo canceller's library refuses: -6") == 1
