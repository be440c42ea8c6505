"""How the machine is and was: the hottest moment of each hour, how long it was too much, what is left."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.service.pressure import Reading, Zone
from appliance.service.vitals import HOUR_S, HOURS, Vitals, memory_free_mb, memory_stalled_percent


class Clock:
    """Goes on when it is told to."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def reading(degrees: float, flags: int | None = None) -> Reading:
    return Reading((Zone("cpu", degrees), Zone("other", degrees - 20)), flags)


def test_the_hottest_of_each_hour_is_remembered_for_two_days(tmp_path: Path) -> None:
    clock = Clock()
    vitals = Vitals(tmp_path, clock_s=clock)
    for hour in range(HOURS + 10):
        clock.now_s = 100 + hour * HOUR_S
        vitals.note(reading(40 + hour % 3), False)
        vitals.note(reading(39), False)
    told = vitals.status()
    assert (told["temperature_c"], told["hottest_c"]) == (39, 42)
    assert len(told["hottest_by_hour_c"]) == HOURS
    assert told["hottest_by_hour_c"]["0"] == 40 + (HOURS + 9) % 3
    assert told["hottest_by_hour_c"]["-1"] == 40 + (HOURS + 8) % 3


def test_how_long_it_was_too_much_is_counted(tmp_path: Path) -> None:
    clock = Clock()
    vitals = Vitals(tmp_path, clock_s=clock)
    for pressed in (False, True, True, False, False, True):
        vitals.note(reading(50, 0x4 if pressed else 0), pressed)
        clock.now_s += 5
    assert vitals.status()["under_pressure_s"] == 10
    vitals.note(reading(50, 0x50005), False)
    told = vitals.status()
    assert told["under_pressure_s"] == 15
    assert told["throttled"] == "its supply is too weak, the processor is throttled"
    assert told["throttled_since_boot"] == told["throttled"]
    vitals.note(reading(50, 0), False)
    told = vitals.status()
    assert told["throttled"] is None
    assert told["throttled_since_boot"], "the kernel's word may have forgotten it"


def test_a_machine_that_tells_nothing_is_unknown_and_not_cold(tmp_path: Path) -> None:
    vitals = Vitals(tmp_path / "none", tmp_path)
    vitals.note(Reading(), False)
    told = vitals.status()
    assert [told[key] for key in ("temperature_c", "hottest_c", "throttled")] == [None] * 3
    assert [told[key] for key in ("memory_free_mb", "memory_stalled_percent")] == [None] * 2
    assert told["disk_free_mb"] is None


def test_memory_and_disk_are_what_the_kernel_says(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:   200000 kB\n")
    (tmp_path / "pressure").mkdir()
    file = tmp_path / "pressure" / "memory"
    file.write_text(
        "some avg10=1.00 avg60=2.00 avg300=0.00 total=5\nfull avg10=0.00 avg60=12.50 avg300=0 total=1\n"
    )
    assert memory_free_mb(tmp_path) == 204.8
    assert memory_stalled_percent(tmp_path) == 12.5
    told = Vitals(tmp_path).status()
    assert told["disk_free_mb"] > 0
    assert told["memory_free_mb"] is None or told["memory_free_mb"] > 0


def test_the_kernel_is_not_asked_with_each_look(tmp_path: Path) -> None:
    clock = Clock()
    vitals = Vitals(tmp_path, tmp_path, clock)
    (tmp_path / "meminfo").write_text("MemAvailable: 1000 kB\n")
    assert vitals.status()["memory_free_mb"] == 1.0
    (tmp_path / "meminfo").write_text("MemAvailable: 9000 kB\n")
    assert vitals.status()["memory_free_mb"] == 1.0
    clock.now_s += 5
    assert vitals.status()["memory_free_mb"] == 9.2


@pytest.mark.parametrize(
    "text",
    ["", "full", "full avg60", "full avg60=x", "MemAvailable:", "MemAvailable: x kB", "\xff"],
)
def test_what_makes_no_sense_is_told_as_unknown(tmp_path: Path, text: str) -> None:
    (tmp_path / "pressure").mkdir()
    for file in (tmp_path / "meminfo", tmp_path / "pressure" / "memory"):
        file.write_text(text)
    assert memory_free_mb(tmp_path) is None
    assert memory_stalled_percent(tmp_path) is None
