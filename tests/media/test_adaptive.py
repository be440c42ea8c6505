"""The adaptive filter: what it learns, what it leaves, and when its work is not used."""

from __future__ import annotations

import numpy as np
import pytest

from appliance.media.adaptive import BLOCK, PARTITIONS, AdaptiveFilter
from appliance.media.wideband import WIDE_RATE_HZ, Samples

SECONDS = 6


def far_side(seed: int = 1, seconds: int = SECONDS) -> Samples:
    """Noise in syllables."""
    rng = np.random.default_rng(seed)
    length = seconds * WIDE_RATE_HZ
    loud = np.repeat(rng.uniform(0, 1, length // 3200 + 1), 3200)[:length]
    return (2000 * loud * rng.standard_normal(length)).astype(np.float32)


def way(delay: int, seed: int = 2) -> Samples:
    rng = np.random.default_rng(seed)
    response = rng.standard_normal(2000) * np.exp(-np.arange(2000) / 300)
    response *= 0.5 / np.sqrt(np.sum(response**2))
    return np.concatenate([np.zeros(delay), response]).astype(np.float32)


def through(far: Samples, response: Samples) -> Samples:
    return np.convolve(far, response)[: len(far)].astype(np.float32)


def run(filter_: AdaptiveFilter, far: Samples, near: Samples) -> Samples:
    blocks = zip(far.reshape(-1, BLOCK), near.reshape(-1, BLOCK), strict=True)
    return np.concatenate([filter_(played, heard) for played, heard in blocks])


def reduced_db(before: Samples, after: Samples, last_s: float = 1) -> float:
    tail = -int(last_s * WIDE_RATE_HZ)
    return 10 * float(np.log10(np.mean(before[tail:] ** 2) / np.mean(after[tail:] ** 2)))


@pytest.mark.parametrize("delay", [0, 320, 1000, 2400])
def test_it_learns_a_way_wherever_it_begins(delay: int) -> None:
    far = far_side()
    heard = through(far, way(delay))
    filter_ = AdaptiveFilter()
    assert reduced_db(heard, run(filter_, far, heard)) > 25
    assert filter_.useful


def test_who_speaks_into_it_is_untouched_and_does_not_put_it_off() -> None:
    far, talk = far_side(), far_side(3)
    heard = through(far, way(500))
    filter_ = AdaptiveFilter()
    talk[: 4 * WIDE_RATE_HZ] = 0
    out = run(filter_, far, heard + talk)
    assert filter_.useful
    assert reduced_db(heard, out - talk) > 12


def test_who_speaks_long_alone_does_not_make_it_forget() -> None:
    far, talk = far_side(seconds=4), far_side(3, seconds=12)
    filter_ = AdaptiveFilter()
    run(filter_, far, through(far, way(500)))
    hum = np.full(len(talk), 3, np.float32)  # the far side's line is never quite silent
    run(filter_, hum, talk)
    assert filter_.useful
    heard = through(far, way(500))
    assert reduced_db(heard[:WIDE_RATE_HZ], run(filter_, far, heard)[:WIDE_RATE_HZ]) > 15


def test_before_it_has_learned_and_where_it_cannot_the_near_side_is_as_it_came() -> None:
    far, unrelated = far_side(), far_side(7)
    filter_ = AdaptiveFilter()
    np.testing.assert_array_equal(run(filter_, far, unrelated), unrelated)
    assert not filter_.useful


def test_a_way_that_is_lost_is_no_longer_followed() -> None:
    far = far_side()
    heard = through(far, way(500))
    filter_ = AdaptiveFilter()
    run(filter_, far, heard)
    covered = run(filter_, far, np.zeros_like(far))
    assert float(np.mean(covered[WIDE_RATE_HZ:] ** 2)) < 1
    run(filter_, far, heard)
    turned = through(far, way(900, 5))
    out = run(filter_, far, turned)
    begin, end = WIDE_RATE_HZ, 3 * WIDE_RATE_HZ // 2
    after = reduced_db(turned[begin:end], out[begin:end])
    assert after > 10, "within a second"


def test_a_reference_that_leaps_takes_what_was_learned_along() -> None:
    far = far_side(seconds=8)
    heard = through(far, way(700))
    half = len(far) // 2
    kept, lost = AdaptiveFilter(), AdaptiveFilter()
    for filter_ in (kept, lost):
        run(filter_, far[:half], heard[:half])
    kept.moved(2)
    later = [
        filter_(far[half + 2 * BLOCK :][:BLOCK], heard[half:][:BLOCK]) for filter_ in (kept, lost)
    ]
    blocks = [
        far[half + 2 * BLOCK :].reshape(-1, BLOCK)[1:20],
        heard[half:].reshape(-1, BLOCK)[1:20],
    ]
    for played, near in zip(*blocks, strict=True):
        later = [
            np.concatenate([so_far, filter_(played, near)])
            for so_far, filter_ in zip(later, (kept, lost), strict=True)
        ]
    # two blocks were never seen; from then on the one that was told is ahead
    powers = [float(np.mean(out[-15 * BLOCK :] ** 2)) for out in later]
    assert powers[0] < powers[1] / 2


def test_a_leap_over_everything_leaves_nothing() -> None:
    filter_ = AdaptiveFilter()
    far = far_side(seconds=1)
    run(filter_, far, through(far, way(0)))
    filter_.moved(PARTITIONS + 5)
    near = np.ones(BLOCK, np.float32)
    np.testing.assert_allclose(filter_(np.zeros(BLOCK, np.float32), near), near, atol=1e-3)


@pytest.mark.parametrize("ppm", [-400, 400])
def test_an_echo_that_wanders_from_one_partition_into_the_next_is_not_lost(ppm: int) -> None:
    far = far_side(seconds=14)
    response = way(4 * BLOCK - int(np.sign(ppm)) * 40)[: 4 * BLOCK + 200]
    heard = through(far, response)
    at = np.arange(len(heard))
    heard = np.interp(at * (1 - ppm * 1e-6), at, heard).astype(np.float32)
    filter_ = AdaptiveFilter()
    out = run(filter_, far, heard)
    seconds = [
        slice(at, at + WIDE_RATE_HZ) for at in range(5 * WIDE_RATE_HZ, len(far), WIDE_RATE_HZ)
    ]
    assert min(reduced_db(heard[second], out[second]) for second in seconds) > 6


def test_while_nothing_sounds_there_is_nothing_to_do() -> None:
    far = far_side(seconds=2)
    filter_ = AdaptiveFilter()
    run(filter_, far, through(far, way(0)))
    silence, near = np.zeros(BLOCK, np.float32), np.ones(BLOCK, np.float32)
    out = [filter_(silence, near) for _ in range(PARTITIONS + 2)]
    assert out[-1] is near


@pytest.mark.parametrize("ppm", [-200, -50, 50, 200])
def test_a_clock_that_is_slower_or_faster_is_followed(ppm: int) -> None:
    far = far_side(seconds=8)
    heard = through(far, way(900))
    at = np.arange(len(heard))
    heard = np.interp(at * (1 - ppm * 1e-6), at, heard).astype(np.float32)
    filter_ = AdaptiveFilter()
    # white noise is harder than a voice: linear interpolation alone spoils its highest octave
    assert reduced_db(heard, run(filter_, far, heard)) > 10
    assert filter_.drift_ppm == pytest.approx(ppm, abs=15)
