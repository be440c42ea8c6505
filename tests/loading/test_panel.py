"""What must hold between the values of the panel's sections."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.loading.reading import Reading, read

SECURE = '[security]\nunsigned = "allow"\n'


def of(text: str, folder: Path) -> Reading:
    file = folder / "a.toml"
    file.write_text(SECURE + text)
    return read(file, {})


KEYPAD = "[keypads.front]\nrows = [5, 6]\ncolumns = [12, 16]\n"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('[buttons.a]\npin = 5\npull = "none"\npress = "answer"',
         "buttons.a.active_high: is wanted"),
        (KEYPAD + 'keys = ["12"]', "keypads.front.keys: has 2 rows of pins and 1 of keys"),
        (KEYPAD + 'keys = ["12", "345"]', "keypads.front.keys[1]: has 3 keys for 2 columns"),
        (KEYPAD + 'keys = ["12", "34"]\n[buttons.a]\npin = 16\npress = "answer"',
         "keypads.front.columns[1]: 16 is the pin of buttons.a already"),
        (KEYPAD + 'keys = ["12", "31"]', "keypads.front.keys: has the key 1 twice"),
        (KEYPAD + 'keys = ["12", "34"]\n[keypads.front.actions]\n5 = "answer"',
         "keypads.front.actions.5: 5 is no key"),
        (KEYPAD + 'keys = ["12", "34"]\n[keypads.front.actions]\n4 = "anser"',
         'keypads.front.actions.4: "anser" is no action'),
        ('[panel]\nbuzzer = "GPIO5"\n[relays.door]\npin = 5',
         "relays.door.pin: 5 is the pin of panel.buzzer"),
        ('[leds.a]\npin = 5\nprivacy = true\n[leds.a.patterns]\nidle = "on"',
         "leds.a.patterns: a privacy LED"),
        ('[inputs.a]\npin = 5\nkind = "exit"\nleft_open_s = 5',
         "inputs.a.left_open_s: is for a door_contact"),
        ('[inputs.a]\npin = 5\nkind = "motion"\nrelay = "door"', "inputs.a.relay: is for an exit button"),
        ('[inputs.a]\npin = 5\nkind = "exit"\nrelay = "dor"\n[relays.door]\npin = 6',
         "inputs.a.relay: dor is no relay that opens; did you mean door?"),
        ('[relays.a]\npin = 5\non = "motoin"', "did you mean motion?"),
    ],
)  # fmt: skip
def test_what_does_not_fit_together_is_a_fault(text: str, fault: str, tmp_path: Path) -> None:
    faults = of(text, tmp_path).faults
    assert len(faults) == 1, faults
    assert fault in faults[0]


@pytest.mark.parametrize(
    "text",
    [
        '[buttons.a]\npin = 5\npull = "none"\nactive_high = true\npress = "answer"',
        KEYPAD + 'keys = ["12", " #"]',
        KEYPAD + 'keys = ["12", "xy"]\n[keypads.front.actions]\nx = "answer"\ny = "leave"',
        '[inputs.a]\npin = 5\nkind = "exit"\nrelay = ""',
        '[relays.light]\npin = 5\non = "motion"',
        '[inputs.a]\npin = 5\nkind = "door_contact"\nleft_open_s = 60\npull = "none"\nactive_high = false',
        "[leds.a]\npin = 5\nprivacy = true\nactive_high = false",
    ],
)
def test_what_fits_has_no_fault(text: str, tmp_path: Path) -> None:
    reading = of(text, tmp_path)
    assert (reading.faults, reading.warnings) == ((), ())


def test_a_key_that_does_nothing_is_a_warning(tmp_path: Path) -> None:
    [warning] = of(KEYPAD + 'keys = ["12", "3x"]', tmp_path).warnings
    assert "keypads.front.keys: the key x does nothing" in warning


@pytest.mark.parametrize(
    ("name", "warnings"),
    [
        ("gpio-sim", []),
        ("LGPIO", []),
        ("gpiosim", ["panel.pin_factory: gpiozero knows no pin factory gpiosim; did you mean gpio-sim?"]),
    ],
)  # fmt: skip
def test_a_pin_factory_has_a_name_that_gpiozero_knows(
    name: str, warnings: list[str], tmp_path: Path
) -> None:
    checked = of(f'[panel]\npin_factory = "{name}"', tmp_path)
    assert not checked.faults
    assert [
        one[one.find("panel.") :] for one in checked.warnings if "pin_factory" in one
    ] == warnings
