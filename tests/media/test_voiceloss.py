"""What reports of lost sound lead to: how much is corrected, and whether each packet is sent twice."""

from __future__ import annotations

import random

import pytest

from appliance.media.link import Report
from appliance.media.voiceloss import LEAST_PERCENT, MOST_PERCENT, VoiceLoss


def told(
    loss: VoiceLoss, fraction: float, count: int, *, rtt_s: float | None = 0.02, sound: bool = True
) -> VoiceLoss:
    """So many reports of a way that loses so much, whatever is sent over it."""
    for number in range(count):
        both = fraction**2 if sound and loss.twice else fraction
        loss.take(Report(number, both, rtt_s), of_sound=sound)
    return loss


def test_without_loss_it_is_as_it_begins() -> None:
    loss = told(VoiceLoss(), 0.0, 20)
    assert (loss.percent, loss.twice) == (LEAST_PERCENT, False)
    assert told(VoiceLoss(), 0.03, 200).twice is False, "error correction alone does for that"


@pytest.mark.parametrize("sound", [True, False])
@pytest.mark.parametrize("fraction", [0.15, 0.2, 0.4])
def test_heavy_loss_is_answered_within_two_reports_and_stays_answered(
    fraction: float, sound: bool
) -> None:
    loss = told(VoiceLoss(), fraction, 2, sound=sound)
    assert loss.twice
    told(loss, fraction, 300, sound=sound)
    assert loss.twice, "that fewer are missing is its own doing"
    assert loss.fraction == pytest.approx(fraction, abs=0.01)
    assert loss.percent == min(MOST_PERCENT, round(fraction * 100))


@pytest.mark.parametrize("sound", [True, False])
def test_once_nothing_is_lost_any_more_each_is_sent_once(sound: bool) -> None:
    loss = told(told(VoiceLoss(), 0.2, 60), 0.0, 30, sound=sound)
    assert (loss.percent, loss.twice) == (LEAST_PERCENT, False)


def test_what_waits_before_a_narrow_place_is_not_made_more() -> None:
    loss = told(VoiceLoss(), 0.0, 5)
    assert not told(loss, 0.2, 50, rtt_s=0.4).twice
    assert loss.percent == 20, "what is corrected takes no more of the way"
    assert told(loss, 0.2, 5, rtt_s=0.03).twice
    assert not told(loss, 0.2, 1, rtt_s=0.3).twice
    assert told(VoiceLoss(), 0.2, 5, rtt_s=None).twice, "nobody has said so"


@pytest.mark.parametrize("seed", range(5))
def test_it_neither_flickers_nor_is_beyond_its_limits(seed: int) -> None:
    """Fifty packets of sound and some twenty of pictures in each report, each lost for itself."""
    rng, loss, changes = random.Random(seed), VoiceLoss(), 0
    for number in range(600):
        sound = number % 2 == 0
        count = 50 if sound else 20
        chance = 0.04 if sound and loss.twice else 0.2
        lost = sum(rng.random() < chance for _ in range(count)) / count
        before = loss.twice
        loss.take(Report(number, lost, 0.02), of_sound=sound)
        changes += loss.twice is not before
        assert LEAST_PERCENT <= loss.percent <= MOST_PERCENT
    assert changes == 1
