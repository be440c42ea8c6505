"""Where machines run: claims of a real kernel's processors, and a real process that is moved."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.lab import processors
from tests.lab.processors import Processor

ALLOWED = sorted(os.sched_getaffinity(0))

pytestmark = pytest.mark.skipif(len(ALLOWED) < 2, reason="this computer has one processor alone")


@pytest.fixture(autouse=True)
def of_this_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of the lab may be running now."""
    monkeypatch.setattr(processors, "NAME", f"test-{os.getpid()}-{{}}")


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, int]]:
    """As on a computer that has no more, and this program may use both again in the end."""
    os.sched_setaffinity(0, ALLOWED[:2])
    yield ALLOWED[0], ALLOWED[1]
    os.sched_setaffinity(0, ALLOWED)


def test_who_goes_by_the_clock_has_the_first_and_others_share_the_rest(
    two: tuple[int, int],
) -> None:
    by_the_clock, one, other = Processor(first=True), Processor(), Processor(shares=True)
    assert [by_the_clock.number, one.number, other.number] == [two[0], two[1], two[1]]
    for each in (by_the_clock, one, other):
        each.leave()
    again = Processor(first=True)
    assert again.number == two[0], "it was free"
    again.leave()


def test_what_is_started_there_stays_there_and_who_starts_it_does_not(two: tuple[int, int]) -> None:
    place = Processor(first=True)
    with place.here():
        started = subprocess.check_output(["grep", "Cpus_allowed_list", "/proc/self/status"])
    assert started.split()[1] == str(two[0]).encode()
    assert os.sched_getaffinity(0) == set(two)
    place.leave()


THREADS = """
import threading, time
thread = threading.Thread(target=time.sleep, args=(600,), daemon=True)
thread.start()
print(thread.native_id, flush=True)
time.sleep(600)
"""


def test_who_shares_one_moves_to_that_of_a_machine_that_has_ended(two: tuple[int, int]) -> None:
    """With all that it consists of, threads too."""
    one, other = Processor(), Processor(shares=True)
    by_the_clock: Processor | None = None
    with other.here():
        command = [sys.executable, "-c", THREADS]
        machine = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
    try:
        assert machine.stdout is not None
        thread = int(machine.stdout.readline())
        other.move(machine.pid)
        assert os.sched_getaffinity(thread) == {two[1]}, "the first is for who goes by the clock"
        by_the_clock = Processor(first=True)
        other.move(machine.pid)
        assert os.sched_getaffinity(thread) == {two[1]}, "all are taken"
        by_the_clock.leave()
        other.move(machine.pid)
        assert other.number == two[0]
        assert os.sched_getaffinity(thread) == os.sched_getaffinity(machine.pid) == {two[0]}
    finally:
        os.killpg(machine.pid, 9)
        machine.communicate()
        for each in (one, other, by_the_clock):
            if each is not None:
                each.leave()
