"""What a dead daemon leaves energized is released: by a real process, after a real kill -9."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from gpiozero import LED, OutputDevice
from msgspec.structs import replace

from appliance import config
from appliance.panel.safe import NOTED, Driven, Output, configured, driven_by, note, noted, rest
from tests.panel.kept_pins import installed_in, is_high
from tests.panel.wires import MockWires
from tests.parts.mosquitto import free_port

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0

PANEL = """
[device]
board = "pi"
[mqtt]
port = {port}
[http]
port = {page}
[security]
unsigned = "allow"
[panel]
pin_factory = "kept"
buzzer = 12
[relays.door]
pin = "GPIO27"
pulse_s = 60
[relays.low]
pin = "GPIO22"
pulse_s = 60
active_high = false
[leds.status]
pin = "GPIO18"
kind = "pwm"
[leds.status.patterns]
broker_away = "on"
error = "on"
"""


class Device:
    """A machine with pins that outlive processes."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.pins = folder, folder / "pins"
        self.pins.mkdir()
        self.config = folder / "appliance.toml"
        self.config.write_text(PANEL.format(port=free_port(), page=free_port()))
        self.environ = os.environ | {
            "KEPT_PINS": str(self.pins),
            "PYTHONPATH": f"{installed_in(folder)}:{ROOT}",
            "STATE_DIRECTORY": str(folder / "state"),
            "APPLIANCE_SOCKET": str(folder / "appliance.sock"),
            "PYTHONFAULTHANDLER": "1",
        }

    def start(self) -> subprocess.Popen[bytes]:
        words = [sys.executable, "-m", "appliance", "run", "--config", str(self.config)]
        with (self.folder / "said").open("wb") as said:
            return subprocess.Popen(words, env=self.environ, stderr=said)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        words = (sys.executable, "-m", "appliance", *words)
        return subprocess.run(words, env=self.environ, capture_output=True, text=True, check=False)

    def unlock(self, relay: str, daemon: subprocess.Popen[bytes]) -> None:
        """By command; where there is no answer, with what the daemon is busy with."""
        asked = self.run("ctl", "unlock", f"relay={relay}")
        if asked.returncode:
            daemon.send_signal(signal.SIGABRT)
            daemon.wait()
            pytest.fail(f"{asked.stderr}{(self.folder / 'said').read_text()}")

    def release(self) -> subprocess.CompletedProcess[str]:
        return self.run("release", "--config", str(self.config))

    def high(self) -> list[int]:
        return [pin for pin in (12, 18, 22, 27) if is_high(self.pins, pin)]


def until(true: Callable[[], bool]) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end_s, "it did not come"
        time.sleep(0.02)


def answers(device: Device) -> bool:
    with socket.socket(socket.AF_UNIX) as one:
        return one.connect_ex(str(device.folder / "appliance.sock")) == 0


@pytest.mark.parametrize("broken", ["", "[relays.door", 'pulse_s = "long"'])
def test_what_a_killed_daemon_left_is_released_whatever_became_of_its_configuration(
    broken: str, tmp_path: Path
) -> None:
    device = Device(tmp_path)
    daemon = device.start()
    try:
        until(lambda: answers(device))
        assert 22 in device.high(), "one that is active low rests high"
        device.unlock("door", daemon)
        device.unlock("low", daemon)
        until(lambda: silent(device.high()) == [18, 27])
        daemon.send_signal(signal.SIGKILL)
        daemon.wait()
        assert silent(device.high()) == [18, 27], (
            "the pins stay as the dead one left them: the door is open"
        )
        device.config.write_text(broken)
        released = device.release()
        assert (released.returncode, released.stderr) == (0, "")
        assert device.high() == []
    finally:
        daemon.kill()
        daemon.wait()


def silent(high: list[int]) -> list[int]:
    """Without the buzzer's pin, which may be in the midst of a note."""
    return [pin for pin in high if pin != 12]


def test_without_a_note_the_configuration_says_what_there_is(tmp_path: Path) -> None:
    device = Device(tmp_path)
    (device.pins / "GPIO27").write_text("1")
    assert device.release().returncode == 0
    assert device.high() == []
    assert not (tmp_path / "state").exists(), "it leaves nothing behind"


def test_a_simulated_board_has_nothing_to_release(tmp_path: Path) -> None:
    device = Device(tmp_path)
    device.config.write_text('[device]\nboard = "simulated"\n[relays.door]\npin = 27\n')
    (device.pins / "GPIO27").write_text("1")
    assert device.release().returncode == 0
    assert device.high() == [27]


def test_pins_that_cannot_be_reached_are_told(tmp_path: Path) -> None:
    device = Device(tmp_path)
    device.config.write_text('[panel]\npin_factory = "none"\n[relays.door]\npin = 27\n')
    said = device.release()
    assert said.returncode == 1
    assert "No pins can be reached" in said.stderr


# -------------------- driving to rest


def test_each_goes_to_its_own_rest_and_is_given_back() -> None:
    pins = MockWires().factory
    left = [OutputDevice(27, pin_factory=pins), LED(18, pin_factory=pins)]
    for one in left:
        one.on()
    outputs = [Output("relays.low", 22, active_high=False), Output("relays.door", "GPIO27")]
    faults = rest(outputs, pins, tries=1)
    assert len(faults) == 1
    assert "relays.door: the pin GPIO27 cannot be driven: " in faults[0]
    states = [bool(state.state) for state in pins.pin(22).states]
    assert states[:2] == [False, True], "and never energized on the way"
    left[0].close()
    assert rest([*outputs, Output("relays.door", 27, active_high=False)], pins) == []
    assert [bool(state.state) for state in pins.pin(27).states][-1] is False
    assert pins.pin(27).function == "input"
    left[1].close()


def test_a_pin_that_is_held_for_a_moment_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    pins = MockWires().factory
    holder = OutputDevice(27, pin_factory=pins)
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 2:
            holder.close()

    monkeypatch.setattr("appliance.panel.safe.time.sleep", wait)
    assert rest([Output("relays.door", 27)], pins) == []
    assert len(waited) == 2
    holder.close()


# -------------------- what there is to be driven


def test_a_run_notes_what_it_drives(tmp_path: Path) -> None:
    settings = config.Config(
        panel=config.Panel(buzzer="GPIO12", pin_factory="lgpio"),
        relays={"door": config.Relay(pin=27, active_high=False)},
        leds={"sky": config.Led(pin=(5, 6, 13), kind="rgb"), "it": config.Led(pin="BOARD11")},
    )
    driven = driven_by(settings)
    assert [(one.where, one.pin, one.active_high) for one in driven.outputs] == [
        ("relays.door", 27, False),
        ("leds.sky", 5, True),
        ("leds.sky", 6, True),
        ("leds.sky", 13, True),
        ("leds.it", "BOARD11", True),
        ("panel.buzzer", "GPIO12", True),
    ]
    assert driven.factory == "lgpio"
    note(driven, tmp_path / "state")
    assert noted(tmp_path / "state") == driven
    simulated = replace(settings, device=config.Device(board="simulated"))
    assert driven_by(simulated) == Driven()


@pytest.mark.parametrize("text", ["", "[1, 2", "[]", '{"outputs": 3}', "\udcff"])
def test_a_note_that_cannot_be_read_is_none(text: str, tmp_path: Path) -> None:
    (tmp_path / NOTED).write_bytes(text.encode(errors="surrogateescape"))
    assert noted(tmp_path) is None
    assert noted(tmp_path / "nowhere") is None


def test_of_a_configuration_with_faults_the_rest_counts(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text(
        "[panel]\nbuzzer = true\n[relays.door]\npin = 27\npulse_s = 'long'\nactive_high = false\n"
        "[relays.odd]\npn = 3\n[leds.sky]\npin = [5, 6.5, 'GPIO13']\nnonsense = 1\n[leds]\nx = 3\n"
    )
    assert configured(file, {}) == Driven(
        None,
        (
            Output("relays.door", 27, active_high=False),
            Output("leds.sky", 5),
            Output("leds.sky", "GPIO13"),
        ),
    )
