"""A tone and a microphone, on a card of software with a clock of its own."""

from __future__ import annotations

import errno

import numpy as np
import pytest

from appliance.owner import trying
from appliance.owner.trying import QUIET_DBFS, level_dbfs, loudest_dbfs, play_tone
from tests.media.softcard import SoftCard


def test_the_tone_is_heard_as_high_and_as_loud_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trying, "TONE_S", 0.3)
    card = SoftCard()
    play_tone("default", card.opens)
    assert not card.open
    heard = card.samples().astype(float)
    spectrum = np.abs(np.fft.rfft(heard))
    assert abs(np.argmax(spectrum) * 48000 / len(heard) - trying.HERTZ) < 10
    assert -16 < level_dbfs(bytes(card.played)) < -9


def test_a_microphone_that_hears_is_told_from_one_that_does_not() -> None:
    assert loudest_dbfs("default", SoftCard().opens, 0.3) > QUIET_DBFS
    silent = SoftCard(says=lambda _, count: bytes(2 * count))
    assert loudest_dbfs("default", silent.opens, 0.3) < QUIET_DBFS


def test_a_level_that_never_changes_is_no_sound() -> None:
    assert level_dbfs(np.full(48000, 3000, "<i2").tobytes()) < QUIET_DBFS
    assert level_dbfs(b"") == -100.0
    assert level_dbfs(b"\x01") == -100.0


def test_what_is_simulated_is_not_opened() -> None:
    card = SoftCard()
    play_tone("tone", card.opens)
    assert loudest_dbfs("tone", card.opens) == -20.0
    assert loudest_dbfs("silence", card.opens) == -100.0
    assert card.opened == 0


def test_a_device_from_which_nothing_moves_is_not_waited_for_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trying, "PATIENCE_S", 0.2)
    monkeypatch.setattr(trying, "TONE_S", 0.1)
    card = SoftCard()
    card.frozen = True
    with pytest.raises(OSError, match="nothing moves"):
        play_tone("default", card.opens)
    with pytest.raises(OSError, match="nothing moves"):
        loudest_dbfs("default", card.opens, 0.1)
    assert not card.open
    card.refuses = OSError(errno.EBUSY, "busy")
    with pytest.raises(OSError, match="busy"):
        play_tone("default", card.opens)
