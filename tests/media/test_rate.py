"""How much is sent to all: plays with peers behind narrow places, and the laws in random ones."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.media.link import Report
from appliance.media.rate import (
    FLOOR_KBPS,
    GROUP_FLOOR_KBPS,
    LEFT_AFTER_S,
    STEP_KBPS,
    RateController,
)
from tests.media.bottleneck import STEP_S, Bottleneck

CEILING = 1500


class Play:
    """A controller and its peers, each behind a way of its own."""

    def __init__(self, ceiling: int = CEILING, **ways: Bottleneck) -> None:
        self.controller = RateController(ceiling)
        self.ways: dict[str, Bottleneck] = {}
        self.now_s = 1000.0
        self.kbps = float(ceiling)
        self.keyframes_only: dict[str, float] = {}
        self._due: dict[str, float] = {}
        self._rng = random.Random(2)
        for name, way in ways.items():
            self.join(name, way)

    def join(self, name: str, way: Bottleneck) -> None:
        self.ways[name] = way
        self._due[name] = self.now_s + 0.5
        self.controller.join(name, self.now_s)

    def leave(self, name: str) -> None:
        del self.ways[name]
        self.controller.leave(name)

    def run(self, seconds: float) -> list[float]:
        """So long; what was sent in each step."""
        sent = []
        for step in range(round(seconds / STEP_S)):
            self.now_s += STEP_S
            for name, way in self.ways.items():
                behind = self.controller.is_left_behind(name)
                self.keyframes_only[name] = self.keyframes_only.get(name, 0) + STEP_S * behind
                way.carry(10 if behind else self.kbps)
                if self.now_s >= self._due[name]:
                    self._due[name] = self.now_s + self._rng.uniform(0.5, 1.5)
                    self.controller.take(name, way.report(self.now_s))
            if step % 10 == 0:
                self.kbps = self.controller.decide(self.now_s)
            sent.append(self.kbps)
        return sent


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


# -------------------- one peer


def test_a_wide_way_gets_all_that_was_configured() -> None:
    play = Play(alice=Bottleneck(20_000))
    assert set(play.run(60)) == {CEILING}


@pytest.mark.parametrize("kbps", [150, 300, 600, 1000])
def test_behind_a_narrow_place_the_rate_settles_below_it_and_grows_when_it_widens(
    kbps: float,
) -> None:
    way = Bottleneck(kbps)
    play = Play(alice=way)
    play.run(30)
    before = way.delivered
    settled = play.run(60)
    assert 0.6 * kbps <= mean(settled) <= 1.1 * kbps
    assert way.delivered - before >= 0.55 * kbps * 60, "and it gets through"
    way.kbps = 20_000
    play.run(60)
    assert play.kbps == CEILING


def test_what_is_lost_at_random_does_not_make_it_less() -> None:
    play = Play(alice=Bottleneck(20_000, random_loss=0.02))
    assert min(play.run(120)) == CEILING


def test_the_receiver_s_nonsense_does_not_make_it_more() -> None:
    way = Bottleneck(500, remb=8.0)
    play = Play(alice=way)
    play.run(30)
    assert mean(play.run(60)) <= 550


def test_it_comes_down_within_seconds() -> None:
    way = Bottleneck(20_000)
    play = Play(alice=way)
    play.run(20)
    way.kbps = 400
    play.run(8)
    assert play.kbps <= 500


def test_two_seconds_without_network_do_not_make_it_less() -> None:
    play = Play(alice=Bottleneck(20_000))
    play.run(10)
    play._due["alice"] = play.now_s + 3
    play.run(2.9)
    play.ways["alice"]._lost = play.ways["alice"]._sent * 0.7
    assert min(play.run(10)) == CEILING


def test_who_cannot_be_reached_is_no_reason_to_send_less() -> None:
    play = Play(alice=Bottleneck(20_000), bob=Bottleneck(400))
    play.run(40)
    assert play.kbps < 600
    play._due["bob"] = play.now_s + 3600
    play.run(10)
    assert play.kbps == CEILING


def test_where_even_the_floor_is_too_much_it_gets_keyframes_alone_and_is_tried_again() -> None:
    way = Bottleneck(40)
    play = Play(alice=way)
    sent = play.run(40)
    assert min(sent) == FLOOR_KBPS
    assert play.controller.is_left_behind("alice")
    way.kbps = 20_000
    play.run(120)
    assert not play.controller.is_left_behind("alice")
    assert play.kbps == CEILING


# -------------------- several


def test_the_weakest_decides() -> None:
    play = Play(alice=Bottleneck(20_000), bob=Bottleneck(700), carol=Bottleneck(20_000))
    play.run(30)
    assert 0.6 * 700 <= mean(play.run(60)) <= 1.1 * 700
    play.leave("bob")
    play.run(2)
    assert play.kbps == CEILING


def test_one_who_is_far_weaker_holds_nobody_back_for_long() -> None:
    play = Play(alice=Bottleneck(20_000), bob=Bottleneck(80))
    sent = play.run(120)
    assert min(sent) >= GROUP_FLOOR_KBPS
    assert play.keyframes_only["bob"] > 60
    assert play.keyframes_only["alice"] == 0
    assert mean(sent) > 0.6 * CEILING


def test_two_who_are_weak_alike_are_not_left_behind() -> None:
    play = Play(alice=Bottleneck(200), bob=Bottleneck(250))
    play.run(120)
    assert play.keyframes_only == {"alice": 0, "bob": 0}
    assert 120 <= mean(play.run(30)) <= 250


def test_who_was_left_behind_is_taken_along_once_it_is_well() -> None:
    bob = Bottleneck(80)
    play = Play(alice=Bottleneck(20_000), bob=bob)
    play.run(30)
    assert play.controller.is_left_behind("bob")
    bob.kbps = 20_000
    play.run(90)
    assert not play.controller.is_left_behind("bob")
    assert play.kbps == CEILING


def test_each_failure_makes_the_next_attempt_later() -> None:
    play = Play(alice=Bottleneck(20_000), bob=Bottleneck(60))
    behind: list[bool] = []
    for _ in range(400):
        play.run(1)
        behind.append(play.controller.is_left_behind("bob"))
    attempts = sum(not later for earlier, later in pairwise(behind) if earlier)
    assert 2 <= attempts <= 8


# -------------------- laws

signs = st.builds(
    dict[str, float | None],
    fraction_lost=st.floats(0, 1),
    rtt_s=st.none() | st.floats(0, 3),
    jitter_s=st.none() | st.floats(0, 1),
    remb_kbps=st.none() | st.floats(0, 100_000),
)
happenings = st.lists(
    st.tuples(st.floats(0, 3), st.sampled_from(["alice", "bob", "carol"]), signs), max_size=80
)


@given(st.integers(50, 10_000), happenings)
def test_whatever_is_reported_the_rate_stays_between_the_floor_and_what_was_configured(
    ceiling: int, story: list[tuple[float, str, Mapping[str, float]]]
) -> None:
    controller = RateController(ceiling)
    now_s = 5.0
    there: set[str] = set()
    for after_s, name, what in story:
        now_s += after_s
        if name not in there:
            there.add(name)
            controller.join(name, now_s)
        elif what["fraction_lost"] > 0.97:
            there.remove(name)
            controller.leave(name)
        else:
            controller.take(name, Report(now_s, **what))
        kbps = controller.decide(now_s)
        assert min(FLOOR_KBPS, ceiling) <= kbps <= ceiling
        assert kbps in (ceiling, min(FLOOR_KBPS, ceiling)) or kbps % STEP_KBPS == 0
        for one in there:
            assert 0 < controller.estimate_kbps(one) <= ceiling
    for name in list(there):
        controller.leave(name)
    assert controller.decide(now_s) == ceiling, "nobody: as configured"


@settings(deadline=None, max_examples=20)
@given(
    st.floats(120, 3000),
    st.floats(0.005, 0.25),
    st.floats(0.1, 0.6),
    st.floats(0, 0.02),
    st.sampled_from([None, 1.5, 8.0]),
)
def test_behind_any_narrow_place_it_settles_and_recovers(
    kbps: float, rtt_s: float, queue_s: float, loss: float, remb: float | None
) -> None:
    way = Bottleneck(kbps, rtt_s, queue_s, loss, remb)
    play = Play(alice=way)
    play.run(40)
    bears = min(kbps, CEILING)
    settled = mean(play.run(60))
    assert settled <= 1.15 * bears
    assert settled >= 0.4 * bears
    way.kbps, way.random_loss = 20_000, 0.0
    play.run(LEFT_AFTER_S + 90)
    assert play.kbps == CEILING


def test_who_only_looks_makes_nobody_in_a_call_get_less() -> None:
    play = Play(alice=Bottleneck(4000))
    weak = play.ways["looker"] = Bottleneck(200)
    play._due["looker"] = play.now_s + 0.5
    play.controller.join("looker", play.now_s, yields=True)
    sent = play.run(60)
    assert weak.kbps == 200
    assert min(sent[len(sent) // 2 :]) >= CEILING * 0.9, "as if it were not there"
    assert play.controller.is_left_behind("looker") or play.keyframes_only["looker"] > 0
    play.leave("alice")
    alone = play.run(60)
    assert alone[-1] < 300, "alone it counts"
