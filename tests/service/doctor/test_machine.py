"""The real machine answers what is asked, or says that it cannot, and raises nothing unexpected."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from appliance.service.doctor.machine import Machine, ThisMachine


@pytest.fixture
def machine() -> Machine:
    return ThisMachine({"mqtt": "connected"})


def test_files_and_folders(machine: Machine, tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"48312\n\0")
    file.chmod(0o640)
    assert machine.text(str(file)) == "48312"
    assert machine.content(str(file)) == b"48312\n\0"
    assert machine.mode(str(file)) == 0o640
    assert machine.exists(str(file))
    assert machine.may(str(file), write=True)
    assert machine.names(str(tmp_path)) == ["a"]
    assert machine.free_mb(str(tmp_path)) > 1
    file.write_bytes(b"\xff\xfe\xff")
    assert machine.text(str(file)) is None


def test_what_is_not_there(machine: Machine, tmp_path: Path) -> None:
    nothing = str(tmp_path / "nothing" / "at all")
    assert machine.text(nothing) is None
    assert not machine.exists(nothing)
    assert machine.names(nothing) == []
    assert not machine.may(nothing, write=False)
    assert machine.video_device(nothing) is None
    for ask in (machine.content, machine.mode, machine.free_mb):
        with pytest.raises(OSError):
            ask(nothing)


def test_programs(machine: Machine) -> None:
    assert machine.output("echo", "yes") == "yes"
    assert machine.output("false") is None
    assert machine.output("no-such-program-anywhere") is None


def test_a_program_that_hangs_is_ended(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.service.doctor.machine.COMMAND_S", 0.1)
    assert machine.output("sleep", "1000") is None


def test_modules_and_libraries(machine: Machine) -> None:
    assert machine.has_module("json")
    assert not machine.has_module("no_such_module_anywhere")
    assert not machine.has_module("no_such_package.inside")
    assert not machine.has_library("no-such-library")
    assert machine.has_encoder("libx264")
    assert not machine.has_encoder("libnothing")


def test_the_clock_is_utc(machine: Machine) -> None:
    assert abs((machine.now() - datetime.now(UTC)).total_seconds()) < 60


def test_gpio_chips_are_those_of_this_machine(machine: Machine) -> None:
    there = [name for name in machine.names("/dev") if name.startswith("gpiochip")]
    assert len(machine.gpio_chips()) <= len(there)
