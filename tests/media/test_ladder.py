"""From kbit/s to pictures a second and their size."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.media.ladder import NARROWEST, SLOWEST_FPS, UP_AFTER_S, Encoding, Ladder


def test_with_less_there_are_fewer_pictures_and_then_smaller_ones() -> None:
    ladder = Ladder(1280, 30, 1500)
    stood = [ladder.step(kbps, 0, keep_size=False) for kbps in (1500, 800, 700, 400, 250, 150, 100)]
    assert [(one.framerate, one.divisor) for one in stood] == [
        *((30, 1), (30, 1), (15, 1), (10, 1)),
        *((15, 2), (10, 2), (10, 4)),
    ]
    assert [one.kbps for one in stood] == [1500, 800, 700, 400, 250, 150, 100]


def test_down_at_once_and_up_a_rung_at_a_time_when_there_is_enough_for_long() -> None:
    ladder = Ladder(1280, 30, 1500)
    assert ladder.step(100, 0, keep_size=False) == Encoding(100, 10, 4)
    assert ladder.step(1500, 1, keep_size=False).divisor == 4
    seen = [ladder.step(1500, 1 + n / 2, keep_size=False) for n in range(80)]
    sizes = [(one.framerate, one.divisor) for one in seen]
    assert list(dict.fromkeys(sizes)) == [(10, 4), (10, 2), (15, 2), (10, 1), (15, 1), (30, 1)]
    assert sizes.index((30, 1)) / 2 >= 5 * UP_AFTER_S


def test_around_a_rung_it_does_not_go_to_and_fro() -> None:
    ladder = Ladder(1280, 30, 1500)
    stood = [ladder.step(730 + 40 * (n % 2), n, keep_size=False).framerate for n in range(60)]
    assert set(stood) == {15}


def test_while_the_size_is_to_be_kept_only_the_frame_rate_follows() -> None:
    ladder = Ladder(1280, 30, 1500)
    assert ladder.step(100, 0, keep_size=True) == Encoding(100, 10, 1)
    assert ladder.step(100, 1, keep_size=False) == Encoding(100, 10, 4)
    assert ladder.step(1500, 2, keep_size=True).divisor == 4
    for second in range(3, 60):
        stood = ladder.step(1500, second, keep_size=True)
    assert stood == Encoding(1500, 30, 4)


@pytest.mark.parametrize(("width", "divisor"), [(1280, 4), (640, 4), (480, 2), (320, 2), (300, 1)])
def test_no_smaller_than_a_face_can_be_known(width: int, divisor: int) -> None:
    assert Ladder(width, 30, 1500).step(25, 0, keep_size=False).divisor == divisor


steps = st.lists(st.tuples(st.integers(25, 10_000), st.floats(0, 20), st.booleans()), max_size=60)


@given(st.integers(160, 1920), st.integers(1, 60), st.integers(50, 10_000), steps)
def test_laws(width: int, fps: int, ceiling: int, story: list[tuple[int, float, bool]]) -> None:
    ladder, now_s = Ladder(width, fps, ceiling), 0.0
    for kbps, after_s, keep_size in story:
        now_s += after_s
        before = ladder.now
        stood = ladder.step(min(kbps, ceiling), now_s, keep_size=keep_size)
        assert min(SLOWEST_FPS, fps) <= stood.framerate <= fps
        assert stood.divisor == 1 or width // stood.divisor >= NARROWEST
        assert stood.divisor in ((before.divisor,) if keep_size else (1, 2, 4))
