"""Who wants a keyframe, and when the encoder is asked: played on a clock that the test turns."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from appliance.media.governor import KEYFRAME_INTERVAL_S, Cause, KeyframeGovernor

FRAME_S = 1 / 30


class Scene:
    """A governor with somebody who asks when it is due, and an encoder that gives a keyframe or not."""

    def __init__(self, encoder_answers: bool = True) -> None:
        self.governor = KeyframeGovernor()
        self.now_s = 100.0
        self.asked_s: list[float] = []
        self._answers = encoder_answers

    def want(self, cause: Cause = Cause.PLI) -> None:
        self.governor.want(cause)
        self._serve()

    def pass_time(self, seconds: float) -> None:
        """A frame at a time; what was asked for comes with the next one."""
        for _ in range(round(seconds / FRAME_S)):
            self.now_s += FRAME_S
            if self._answers and self.asked_s and self.now_s - self.asked_s[-1] <= FRAME_S + 1e-6:
                self.governor.answered()
            self._serve()

    def _serve(self) -> None:
        if self.governor.due_in_s(self.now_s) == 0:
            self.governor.asked(self.now_s)
            self.asked_s.append(self.now_s)


def test_the_first_wish_is_served_at_once() -> None:
    scene = Scene()
    scene.want()
    assert scene.asked_s == [100.0]


def test_of_many_wishes_one_more_is_served_and_when_the_interval_is_over() -> None:
    scene = Scene()
    scene.want(Cause.JOIN)
    scene.pass_time(0.1)  # it has come
    for cause in (Cause.PLI, Cause.LOST, Cause.PLI, Cause.FIR):
        scene.want(cause)
    assert len(scene.asked_s) == 1
    scene.pass_time(1)
    assert len(scene.asked_s) == 2
    assert scene.asked_s[1] - scene.asked_s[0] >= KEYFRAME_INTERVAL_S - 1e-6
    assert scene.governor.wishes == {Cause.JOIN: 1, Cause.PLI: 2, Cause.LOST: 1, Cause.FIR: 1}


def test_a_keyframe_answers_all_that_wanted_one_before_it() -> None:
    scene = Scene()
    scene.want()
    scene.want()
    scene.pass_time(2)
    assert len(scene.asked_s) == 1


def test_an_encoder_that_does_not_answer_is_asked_again() -> None:
    scene = Scene(encoder_answers=False)
    scene.want()
    scene.pass_time(1)
    assert len(scene.asked_s) == 4
    scene.governor.answered()
    scene.pass_time(1)
    assert len(scene.asked_s) == 4


wishes = st.lists(st.tuples(st.sampled_from(Cause), st.floats(0, 0.7)), max_size=40)


@given(wishes, st.booleans())
def test_laws(times: list[tuple[Cause, float]], answers: bool) -> None:
    """Never two requests within the interval; no wish goes without a request for longer than that."""
    scene = Scene(answers)
    for cause, after_s in times:
        scene.pass_time(after_s)
        scene.want(cause)
        assert scene.now_s - scene.asked_s[-1] <= KEYFRAME_INTERVAL_S + FRAME_S
    scene.pass_time(1)
    gaps = [later - earlier for earlier, later in pairwise(scene.asked_s)]
    assert all(gap >= KEYFRAME_INTERVAL_S - 1e-6 for gap in gaps)
    assert scene.governor.requests == len(scene.asked_s)
    if answers:
        assert scene.governor.due_in_s(scene.now_s) is None
