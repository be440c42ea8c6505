"""A thread at a steady rate: what it counts, what it leaves out, how it ends."""

from __future__ import annotations

import queue
import random
import threading
import time
from itertools import pairwise

import pytest

from appliance.media.pacing import Cadence, Paced

PATIENCE_S = 30
RATE = 100

Tick = tuple[int, float]


def no_failure(fault: Exception) -> None:
    raise AssertionError(fault)


def test_ticks_are_numbered_and_never_early() -> None:
    ticks: queue.Queue[Tick] = queue.Queue()
    early: list[float] = []

    def tick(number: int, at_s: float) -> None:
        early.append(at_s - time.monotonic())
        ticks.put((number, at_s))

    paced = Paced("test", RATE, tick, no_failure)
    taken = [ticks.get(timeout=PATIENCE_S) for _ in range(20)]
    paced.stop()
    assert max(early) < 0.001
    assert taken[0][0] == 0
    for (number, at_s), (later, later_s) in pairwise(taken):
        assert later > number
        assert later_s - at_s == pytest.approx((later - number) / RATE)


@pytest.mark.parametrize("catch_up", [False, True])
def test_who_is_late_leaves_ticks_out_or_catches_up(catch_up: bool) -> None:
    ticks: queue.Queue[Tick] = queue.Queue()

    def tick(number: int, at_s: float) -> None:
        if number == 2:
            time.sleep(0.1)  # ten ticks' time
        ticks.put((number, at_s))

    paced = Paced("test", RATE, tick, no_failure, catch_up=catch_up)
    numbers = [ticks.get(timeout=PATIENCE_S)[0] for _ in range(20)]
    paced.stop()
    if catch_up:
        assert numbers == list(range(20))
    else:
        after_two = next(number for number in numbers if number > 2)
        assert after_two >= 10


def test_rest_needs_no_ticks_and_the_numbers_go_on_with_the_clock() -> None:
    ticks: queue.Queue[Tick] = queue.Queue()
    paced = Paced("test", RATE, lambda number, at_s: ticks.put((number, at_s)), no_failure)
    first = ticks.get(timeout=PATIENCE_S)
    paced.rest(True)
    while True:  # until it has come to rest
        try:
            first = ticks.get(timeout=0.1)
        except queue.Empty:
            break
    paced.rest(False)
    number, at_s = ticks.get(timeout=PATIENCE_S)
    paced.stop()
    assert number >= first[0] + 9, "a tenth of a second has passed"
    assert at_s - first[1] == pytest.approx((number - first[0]) / RATE)


def test_a_resting_thread_can_be_stopped() -> None:
    paced = Paced("test", RATE, lambda number, at_s: None, no_failure)
    paced.rest(True)
    paced.stop()


def test_a_tick_that_raises_is_the_last_and_is_told() -> None:
    failures: queue.Queue[Exception] = queue.Queue()
    calls: list[int] = []

    def tick(number: int, at_s: float) -> None:
        calls.append(number)
        raise OSError("unplugged")

    paced = Paced("test", RATE, tick, failures.put)
    assert str(failures.get(timeout=PATIENCE_S)) == "unplugged"
    paced.stop()
    assert calls == [0]


@pytest.mark.parametrize(
    ("sensor", "wanted"),
    [(30, 30), (30, 25), (30, 20), (30, 15), (30, 10), (30, 7), (30, 1), (60, 30), (25, 30)],
)
def test_of_a_steady_rate_so_many_are_taken_evenly(sensor: int, wanted: int) -> None:
    cadence = Cadence()
    taken = [number for number in range(10 * sensor) if cadence.takes(5 + number / sensor, wanted)]
    assert len(taken) == pytest.approx(10 * min(sensor, wanted), abs=2)
    gaps = {later - earlier for earlier, later in pairwise(taken)}
    assert max(gaps) - min(gaps) <= 1


@pytest.mark.parametrize("ppm", [-1000, -10, 0, 10, 1000])
def test_a_sensor_whose_clock_is_not_ours_loses_no_picture(ppm: float) -> None:
    rng = random.Random(30)
    cadence = Cadence()
    times = [5 + n / 30 / (1 + ppm / 1e6) + rng.uniform(-1e-3, 1e-3) for n in range(30_000)]
    assert all(cadence.takes(at_s, 30) for at_s in times)


def test_what_is_wanted_at_once_is_taken_and_the_next_keeps_its_distance() -> None:
    cadence = Cadence()
    assert [cadence.takes(n / 30, 10, at_once=n == 4) for n in range(10)] == [
        *(True, False, False, True, True),
        *(False, False, True, False, False),
    ]


def test_after_a_pause_there_is_no_heap_of_pictures() -> None:
    cadence = Cadence()
    assert cadence.takes(0, 10)
    times = [20 + n / 30 for n in range(31)]
    assert sum(cadence.takes(at_s, 10) for at_s in times) == 11


def test_another_rate_begins_with_the_next_picture() -> None:
    cadence = Cadence()
    assert cadence.takes(0, 1)
    assert not cadence.takes(0.1, 1)
    assert cadence.takes(0.2, 30)
    assert cadence.takes(0.3, 1)
    assert not cadence.takes(1.1, 1)
    assert cadence.takes(1.3, 1)


def test_it_is_stirred_between_two_ticks_on_its_own_thread_and_not_while_it_rests() -> None:
    seen: queue.Queue[str] = queue.Queue()
    paced = Paced(
        "test",
        0.01,  # the next tick is a long time away
        lambda number, at_s: seen.put("tick"),
        no_failure,
        stirred=lambda: seen.put(threading.current_thread().name),
    )
    assert seen.get(timeout=PATIENCE_S) == "tick"
    for _ in range(2):
        paced.stir()
        assert seen.get(timeout=PATIENCE_S) == "test"
    paced.rest(True)
    paced.stir()
    paced.stop()
    assert seen.empty()
