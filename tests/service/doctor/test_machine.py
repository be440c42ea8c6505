"""The real machine answers what is asked, or says that it cannot, and raises nothing unexpected."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from appliance.service.doctor.machine import DriverError, Machine, ThisMachine
from tests.parts.need import skip_or_fail


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
    assert machine.video_device(Path(nothing)) is None
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


@pytest.fixture
def drivers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules that do what drivers do; a process that is started finds them."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "alsaaudio.py").write_text(
        "import os, time\n"
        "PCM_CAPTURE, PCM_PLAYBACK, PCM_NONBLOCK = 0, 1, 2\n"
        "def cards(): print('noise'); return ['Headphones']\n"
        "class PCM:\n"
        "    def __init__(self, type, mode, device):\n"
        "        os.write(2, b'ALSA lib: noise')\n"
        "        if device == 'crash': os.abort()\n"
        "        if device == 'hang': time.sleep(1000)\n"
        "        if device == 'none': raise Exception(f'No such file or directory [{device}]')\n"
        "        assert mode == PCM_NONBLOCK\n"
        "    def close(self): pass\n"
    )
    (tmp_path / "picamera2.py").write_text(
        "class Picamera2:\n"
        "    @staticmethod\n"
        "    def global_camera_info(): print('INFO'); return [{'Num': 0, 'Model': 'imx708'}]\n"
    )


@pytest.mark.usefixtures("drivers")
def test_drivers_may_print_hang_and_crash(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert machine.sound_cards() == ["Headphones"]
    assert machine.cameras() == [{"Num": 0, "Model": "imx708"}]
    machine.open_sound("default", capture=True)
    with pytest.raises(DriverError, match=r"No such file or directory \[none\]"):
        machine.open_sound("none", capture=False)
    with pytest.raises(DriverError, match="it ended with status -6"):
        machine.open_sound("crash", capture=False)
    monkeypatch.setattr("appliance.service.doctor.machine.APART_S", 0.5)
    with pytest.raises(DriverError, match=r"no answer within 0.5 s"):
        machine.open_sound("hang", capture=False)
    assert capfd.readouterr() == ("", "")


def test_the_real_alsa_opens_what_leads_nowhere(machine: Machine) -> None:
    if not machine.has_module("alsaaudio"):
        skip_or_fail("pyalsaaudio is not installed: pip install 'appliance[pi]'")
    for capture in (False, True):
        machine.open_sound("null", capture=capture)
        with pytest.raises(DriverError, match="nonsense"):
            machine.open_sound("nonsense", capture=capture)


def test_the_clock_is_utc(machine: Machine) -> None:
    assert abs((machine.now() - datetime.now(UTC)).total_seconds()) < 60


def test_gpio_chips_are_those_of_this_machine(machine: Machine) -> None:
    there = [name for name in machine.names("/dev") if name.startswith("gpiochip")]
    assert len(machine.gpio_chips()) <= len(there)
