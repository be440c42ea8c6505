"""`appliance setup` as somebody sees it: a process at a pseudo-terminal, mock pins, buttons pressed."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from appliance.cli import main
from appliance.owner.dropin import NAME
from appliance.socket_path import only_one

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0


@pytest.fixture
def etc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with a simulated board and no more."""
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    monkeypatch.setenv("APPLIANCE_SOCKET", str(tmp_path / "run" / "s.sock"))
    folder = tmp_path / "etc"
    folder.mkdir()
    (folder / "appliance.toml").write_text('[device]\nboard = "simulated"\n')
    return folder


def written(etc: Path) -> dict[str, Any]:
    return tomllib.loads((etc / "conf.d" / NAME).read_text())


class Person:
    """Reads the screen, types, and presses buttons."""

    def __init__(self, terminal: int, board: int, process: subprocess.Popen[bytes]) -> None:
        self._terminal, self._board, self.process = terminal, board, process
        self._seen = ""
        self.said = ""

    def sees(self, pattern: str) -> str:
        """What is on the screen up to this, which comes next."""
        end_s = time.monotonic() + PATIENCE_S
        while not (found := re.search(pattern, self._seen)):
            ready, _, _ = select.select([self._terminal], [], [], 0.5)
            if not ready:
                assert time.monotonic() < end_s, f"no {pattern} in {self._seen!r}"
                continue
            try:
                new = os.read(self._terminal, 65536).decode().replace("\r\n", "\n")
            except OSError:
                raise AssertionError(f"it ended without {pattern}: {self.said}") from None
            self._seen += new
            self.said += new
        before, self._seen = self._seen[: found.end()], self._seen[found.end() :]
        return before

    def types(self, line: str = "") -> None:
        os.write(self._terminal, f"{line}\n".encode())

    def presses(self, *pins: str) -> None:
        os.write(self._board, "".join(f"{pin} low\n" for pin in pins).encode())

    def lets_go(self, *pins: str) -> None:
        os.write(self._board, "".join(f"{pin} high\n" for pin in pins).encode())

    def sees_the_end(self) -> int:
        while True:
            try:
                new = os.read(self._terminal, 65536)
            except OSError:
                break
            self.said += new.decode().replace("\r\n", "\n")
        return self.process.wait(PATIENCE_S)


@contextmanager
def person(etc: Path, *words: str) -> Iterator[Person]:
    ours, theirs = pty.openpty()
    orders, board = os.pipe()
    command = [sys.executable, "-m", "tests.owner.simulated_setup", str(orders), *words]
    process = subprocess.Popen(
        [*command, "--config", str(etc / "appliance.toml")],
        cwd=ROOT,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        pass_fds=[orders],
    )
    os.close(theirs)
    os.close(orders)
    try:
        yield Person(ours, board, process)
    finally:
        process.kill()
        process.wait()
        os.close(board)
        os.close(ours)


def with_camera_and_sound(one: Person) -> None:
    """The rest of the questions, where nothing goes wrong."""
    one.sees("imx708")
    one.types("1")
    one.sees("The loudspeaker: a number")
    one.types("tone")
    one.sees("Was there a tone")
    one.types()
    one.sees("The microphone: a number")
    one.types("tone")


def test_buttons_are_pressed_a_light_blinks_a_tone_sounds_and_it_is_written(etc: Path) -> None:
    with person(etc) as one:
        one.sees("What there is here")
        one.sees("The device's name")
        one.types("Front door")
        one.sees("Press the bell's button now")
        one.presses("GPIO5", "GPIO6")
        one.sees("GPIO5, GPIO6 have moved at once")
        one.lets_go("GPIO5", "GPIO6")
        one.presses("GPIO17")
        one.sees(r"It is at GPIO17 \(pin 11\)")
        one.sees(r"What is it called \[call\]")
        one.types()
        one.sees(r"What does a press of it do \[call\]")
        one.types("caal")
        one.sees("did you mean call")
        one.types()
        one.sees("Press another button now")
        one.presses("GPIO22")
        one.sees("It is at GPIO22")
        one.types("call")
        one.sees("call is a button already")
        one.types("unlock")
        one.sees(r"\[unlock\]")
        one.types()
        one.sees("Press another button now")
        one.types()
        one.sees("The pin of an LED")
        one.types("GPIO99")
        one.sees("such as GPIO18")
        one.types("GPIO18")
        one.sees("Did it blink")
        one.types("yes")
        one.sees("relay")
        one.types("GPIO27")
        one.sees("imx708")
        one.sees("a number, or a name")
        one.types("1")
        one.sees("The loudspeaker: a number")
        one.types("2")
        one.sees("Was there a tone")
        one.types()
        one.sees("The microphone: a number")
        one.types("2")
        heard = one.sees("The loudest that it heard: -?[0-9]+ dBFS")
        assert -40 < int(heard.split()[-2]) < 0
        one.sees("Write this to .*50-setup.toml")
        one.types()
        assert one.sees_the_end() == 0
        assert "sudo systemctl restart appliance" in one.said
    assert written(etc) == {
        "device": {"name": "Front door"},
        "buttons": {
            "call": {"pin": "GPIO17", "press": "call"},
            "unlock": {"pin": "GPIO22", "press": "unlock"},
        },
        "leds": {"status": {"pin": "GPIO18"}},
        "relays": {"door": {"pin": "GPIO27"}},
        "cameras": {"front": {"device": "0"}},
        "audio": {"speaker": {"playback": "plughw:CARD=Device", "capture": "plughw:CARD=Device"}},
    }
    assert main(["check-config", str(etc / "appliance.toml")]) == 0


def test_what_is_wired_otherwise_than_configured_is_taught_anew(etc: Path) -> None:
    """As on an image, whose first button is at GPIO17: it moves, as do the LED and the relay."""
    (etc / "conf.d").mkdir()
    first = etc / "conf.d" / "20-first-door.toml"
    first.write_text(
        '[buttons.call]\npin = "GPIO17"\npress = "call"\n'
        '[buttons.unlock]\npin = "GPIO27"\npress = "unlock"\n'
        '[buttons.light]\npin = "BOARD15"\nhold = "toggle_video"\n'
        '[buttons.handset]\npin = "GPIO4"\nkind = "hook"\n'
        '[leds.status]\npin = "GPIO18"\n[relays.door]\npin = "GPIO5"\n'
    )
    with person(etc) as one:
        one.sees("The device's name")
        one.types()
        one.sees("The button call is at GPIO17 already")
        one.sees("Press the bell's button now")
        one.presses("GPIO27")
        one.sees(r"It is at GPIO27 \(pin 13\)")
        one.sees(r"What is it called \[unlock\]")
        one.types("bell")
        one.sees("GPIO27 is the button unlock, which is to be somewhere: press it there first")
        one.types("handset")
        one.sees("handset is a button already, at GPIO4, and of another kind")
        one.types("call")
        one.sees(r"It was at GPIO17 until now\. There is unlock from now on")
        one.sees("Press another button now")
        one.presses("GPIO6")
        one.sees(r"What is it called: ")
        one.types("call")
        one.sees("call is a button already: you have pressed it at GPIO27")
        one.types("ligt")  # said wrong: it is pressed once more
        one.sees(r"What does a press of it do \[call\]")
        one.types()
        one.sees("Press another button now")
        one.lets_go("GPIO6")
        one.presses("GPIO6")
        one.sees(r"What is it called \[ligt\]")
        one.types("light")
        one.sees("It was at GPIO22 until now")
        one.sees("Press another button now")
        one.types()
        one.sees(r"The pin of the LED status \[GPIO18\]")
        one.types("GPIO5")
        one.sees("GPIO5 is in use by relays.door")
        one.types("GPIO27")
        one.sees("GPIO27 is in use by buttons.call")
        one.types("GPIO22")  # where a button was
        one.sees("Did it blink")
        one.types("no")
        one.sees("Which pin is it at, or Enter for GPIO18")
        one.types("GPIO23")
        one.sees("Did it blink")
        one.types()
        one.sees(r"The pin of the relay door \[GPIO5\]")
        one.types("GPIO23")
        one.sees("GPIO23 is in use by leds.status")
        one.types("GPIO18")
        with_camera_and_sound(one)
        one.sees(f"buttons.call.pin is 'GPIO17' in {first}: 'GPIO27' of setup is laid over that")
        one.sees("Shall setup's count from now on")
        one.types()
        one.sees("Write this to .*50-setup.toml")
        one.types()
        assert one.sees_the_end() == 0
    assert {name: written(etc)[name] for name in ("buttons", "leds", "relays")} == {
        "buttons": {
            "call": {"pin": "GPIO27"},
            "unlock": {"pin": "GPIO17"},
            "light": {"pin": "GPIO6"},
        },
        "leds": {"status": {"pin": "GPIO23"}},
        "relays": {"door": {"pin": "GPIO18"}},
    }
    assert main(["check-config", str(etc / "appliance.toml")]) == 0


def test_what_is_as_it_was_is_not_written_and_what_has_a_fault_is_not_lost(etc: Path) -> None:
    file = etc / "appliance.toml"
    file.write_text(
        file.read_text() + '[buttons.call]\npin = 17\npress = "call"\n[leds.status]\npin = 18\n'
        "[relays.door]\npin = 5\n"
    )
    with person(etc) as one:
        one.sees("The device's name")
        one.types()
        one.sees("bell's button")
        one.presses("GPIO17")
        one.sees(r"What is it called \[call\]")
        one.types()
        one.sees("Press another button now")
        one.presses("GPIO6")
        one.sees("What is it called: ")
        one.types("second")
        one.sees("What does a press of it do")
        one.types("call:user:nobody")
        one.sees("Press another button now")
        one.types()
        one.sees(r"The pin of the LED status \[18\]")
        one.types("GPIO18")
        one.sees(r"The pin of the relay door \[5\]")
        one.types()
        with_camera_and_sound(one)
        assert one.sees_the_end() == 78
        assert "buttons.second.press: nobody is no contact" in one.said
    _, _, said = one.said.partition("are laid over it.\n")
    shown = tomllib.loads(said.partition(f"\n{etc}")[0])
    assert shown.pop("buttons") == {"second": {"pin": "GPIO6", "press": "call:user:nobody"}}
    assert shown.keys() == {"cameras", "audio"}
    assert not (etc / "conf.d").exists()


def test_who_says_no_in_the_end_has_changed_nothing(etc: Path) -> None:
    with person(etc) as one:
        one.sees("The device's name")
        one.types()
        for question in ("bell's button", "an LED", "relay", "a name", "The loudspeaker: a number"):
            one.sees(question)
            one.types("tone" if "loudspeaker" in question else "")
        one.sees("tone")
        one.types()
        one.sees("The microphone: a number")
        one.types("tone")
        one.sees("Write this")
        one.types("no")
        assert one.sees_the_end() == 1
    assert not (etc / "conf.d").exists()


def test_a_terminal_that_goes_away_changes_nothing(etc: Path) -> None:
    with person(etc) as one:
        one.sees("The device's name")
        one.types("\x04")  # the end of all that is typed
        assert one.sees_the_end() == 1
        assert "nobody is there any more: nothing was changed" in one.said
    assert not (etc / "conf.d").exists()


# -------------------- on the command line


def setup(etc: Path, *words: str) -> int:
    return main(["setup", "--config", str(etc / "appliance.toml"), *words])


def test_it_is_answered_by_a_script(etc: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        setup(
            etc,
            "--button",
            "call=GPIO17",
            "--button",
            "open=GPIO22:unlock",
            "--relay",
            "door=GPIO27",
        )
        == 0
    )
    assert setup(etc, "--id", "gate", "--camera", "test-card") == 0, "what was said before stays"
    assert written(etc) == {
        "device": {"id": "gate"},
        "buttons": {
            "call": {"pin": "GPIO17", "press": "call"},
            "open": {"pin": "GPIO22", "press": "unlock"},
        },
        "relays": {"door": {"pin": "GPIO27"}},
        "cameras": {"front": {"device": "test-card"}},
    }
    assert (etc / "conf.d" / NAME).stat().st_mode & 0o777 == 0o644
    assert "no file has a fault that it had not before" in capsys.readouterr().out


def test_what_stands_elsewhere_is_overruled_with_a_word_alone(
    etc: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = etc / "appliance.toml"
    file.write_text(file.read_text() + '[buttons.call]\npin = "GPIO4"\npress = "call"\n')
    assert setup(etc, "--button", "call=GPIO17") == 1
    told = capsys.readouterr()
    assert f"buttons.call.pin is 'GPIO4' in {file}: 'GPIO17' of setup is laid over that" in told.out
    assert "--replace" in told.err
    assert not (etc / "conf.d").exists()
    assert setup(etc, "--button", "call=GPIO17", "--replace") == 0
    assert 'pin = "GPIO4"' in file.read_text(), "what was written by hand stays as it was written"


def test_what_comes_after_it_is_told(etc: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (etc / "conf.d").mkdir()
    (etc / "conf.d" / "90-own.toml").write_text('[device]\nname = "Mine"\n')
    assert setup(etc, "--name", "Front door") == 0
    assert "'Front door' of setup would have no effect" in capsys.readouterr().out


def test_what_would_be_a_fault_is_not_written(
    etc: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert setup(etc, "--button", "call=GPIO17", "--relay", "door=GPIO17") == 78
    said = capsys.readouterr().err
    assert (
        f"{etc}/conf.d/{NAME}: relays.door.pin: GPIO17 is the pin of buttons.call already" in said
    )
    assert not (etc / "conf.d").exists()


def test_a_fault_that_was_there_before_keeps_nobody_from_it(etc: Path) -> None:
    file = etc / "appliance.toml"
    file.write_text(file.read_text() + "nonsense = 1\n")
    assert setup(etc, "--button", "call=GPIO17") == 0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--button", "call"], "call is not NAME=PIN"),
        (["--button", "call=GPIO99"], "is not NAME=PIN with a pin of the header"),
        (["--button", "x=GPIO17:caal"], "did you mean call"),
        (["--led", "a=GPIO17:x"], "is not NAME=PIN"),
        ([], "nobody is here to be asked"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    etc: Path, words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert setup(etc, *words) == 1
    assert sentence in capsys.readouterr().err
    assert not (etc / "conf.d").exists()


def test_beside_a_running_appliance_no_pins_are_watched(etc: Path) -> None:
    with only_one(Path(os.environ["APPLIANCE_SOCKET"])), person(etc) as one:
        assert one.sees_the_end() == 1
        assert "another appliance is running already" in one.said
