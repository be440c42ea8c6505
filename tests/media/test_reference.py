"""The line between the two threads: in order, equally late, never too late."""

from __future__ import annotations

import threading

from appliance.media.base import FRAME_BYTES, SILENT_FRAME
from appliance.media.reference import (
    CUSHION_FRAMES,
    LONGEST_FRAMES,
    LOOK_FRAMES,
    SPARE_FRAMES,
    Reference,
)


def frame(number: int) -> bytes:
    return number.to_bytes(2, "little") * (FRAME_BYTES // 2)


def number(taken: bytes) -> int:
    return int.from_bytes(taken[:2], "little")


def test_frame_for_frame_in_their_order() -> None:
    line = Reference()
    for n in range(1, 50):
        line.put(frame(n))
        assert line.take(0) == (frame(n), 0)


def test_silence_where_nothing_was_written() -> None:
    line = Reference()
    assert line.take(0) == (SILENT_FRAME, 0)
    line.put(frame(1))
    assert line.take(0) == (frame(1), 0)
    assert line.take(0) == (SILENT_FRAME, 0)


def test_a_cushion_is_kept_where_the_delay_permits_and_a_late_thread_makes_no_hole() -> None:
    line = Reference()
    taken = []
    written = 0
    for n in range(20):
        for _ in range({9: 0, 10: 0, 11: 3}.get(n, 1)):  # two rounds late, then all at once
            written += 1
            line.put(frame(written))
        taken.append(number(line.take(100)[0]))
    assert taken[:CUSHION_FRAMES] == [0] * CUSHION_FRAMES
    assert taken[CUSHION_FRAMES:] == list(range(1, 21 - CUSHION_FRAMES))


def test_nothing_waits_longer_than_its_sound_takes() -> None:
    """With 60 ms until it is heard, two frames may wait, one is for the air."""
    line = Reference()
    for n in range(1, SPARE_FRAMES + 10):
        line.put(frame(n))
    line.take(60)
    taken, left_out = line.take(60)
    assert left_out > 0
    assert number(taken) == 2 + left_out
    assert line.waiting_ms == 40


def test_a_burst_is_waited_for() -> None:
    line = Reference()
    for n in range(1, 5):
        line.put(frame(n))
    for n in range(1, 40):
        assert line.take(40) == (frame(n), 0), "four at once at the start, as a card wants them"
        line.put(frame(n + 4))


def test_a_clock_that_is_faster_is_caught_up_with_a_frame_at_a_time() -> None:
    line = Reference()
    skipped = []
    written = 0
    for n in range(20 * LOOK_FRAMES):
        for _ in range(2 if n % 500 == 499 else 1):
            written += 1
            line.put(frame(written))
        _, left_out = line.take(0)
        skipped.append(left_out)
    assert sum(skipped) == 3
    assert max(skipped) == 1


def test_a_clock_that_is_slower_is_waited_for() -> None:
    line = Reference()
    silent = 0
    for n in range(1000):
        if n % 250:
            line.put(frame(n))
        silent += line.take(0)[0] == SILENT_FRAME
    assert silent == 4


def test_a_microphone_that_was_closed_hears_of_nothing_old() -> None:
    line = Reference()
    for n in range(1, 1001):
        line.put(frame(n))
    assert number(line.take(0)[0]) > 1000 - LONGEST_FRAMES
    line.put(frame(1001))
    assert line.take(0)[0] == frame(1001)
    line.put(frame(1002))
    line.clear()
    assert line.take(0) == (SILENT_FRAME, 0)


def test_two_threads() -> None:
    line = Reference()
    seen: list[int] = []

    def write() -> None:
        for n in range(1, 2001):
            line.put(frame(n))

    writer = threading.Thread(target=write)
    writer.start()
    while writer.is_alive():
        seen.append(number(line.take(0)[0]))
    writer.join()
    heard = [n for n in seen if n]
    assert heard == sorted(set(heard)), "each once and in their order"
