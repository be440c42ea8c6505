"""docs/wiring.md: drawings as they are made today, pins as they are documented, resistors by Ohm's law."""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from appliance.config import load
from tests.wiring.drawings import DRAWINGS
from tests.wiring.pins import documented, number
from tests.wiring.sheet import LETTER

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "wiring.md").read_text(encoding="utf-8")
E24 = (
    10,
    11,
    12,
    13,
    15,
    16,
    18,
    20,
    22,
    24,
    27,
    30,
    33,
    36,
    39,
    43,
    47,
    51,
    56,
    62,
    68,
    75,
    82,
    91,
)
"""The resistors that there are (IEC 60063)."""
SUPPLY_V = 3.3
SVG = "{http://www.w3.org/2000/svg}"


@cache
def drawn(name: str) -> str:
    return DRAWINGS[name]().svg()


def texts(svg: str) -> list[tuple[float, str, str, float]]:
    """Where each text is anchored, how, what it says and how large."""
    found = []
    for text in ET.fromstring(svg).iter(f"{SVG}text"):  # noqa: S314  # our own
        words = "".join(text.itertext()).strip()
        x, size = float(text.get("x", "")), float(text.get("font-size", ""))
        found.append((x, text.get("text-anchor", ""), words, size))
    return found


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_drawing_is_as_it_is_made_today(name: str) -> None:
    made = drawn(name)
    assert (DOCS / "drawings" / f"{name}.svg").read_text(encoding="utf-8") == made, (
        "run: make drawings"
    )


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_drawing_is_on_white_and_nothing_of_it_is_cut_off(name: str) -> None:
    svg = drawn(name)
    root = ET.fromstring(svg)  # noqa: S314  # our own
    left, _, wide, _ = map(float, root.get("viewBox", "").split())
    white = root.find(f"{SVG}rect")
    assert white is not None
    assert (white.get("fill"), float(white.get("width", ""))) == ("white", wide)
    for x, anchor, words, size in texts(svg):
        length = len(words) * size * LETTER
        begin = x - length * {"start": 0, "middle": 0.5, "end": 1}[anchor]
        assert left <= begin <= begin + length <= left + wide, words


def test_every_drawing_is_shown_and_described() -> None:
    shown = re.findall(r"!\[([^\]]+)\]\(drawings/([a-z-]+)\.svg\)", TEXT)
    assert sorted(name for _, name in shown) == sorted(DRAWINGS)
    assert {file.stem for file in (DOCS / "drawings").iterdir()} == set(DRAWINGS)


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_pin_in_a_drawing_has_its_own_number_and_is_documented(name: str) -> None:
    words = [text for _, _, text, _ in texts(drawn(name))]
    known = {pin for pins in documented().values() for pin in pins}
    for text, beside in pairwise(words):
        if text.startswith("GPIO"):
            assert text in known
            assert int(beside) == number(text)


def test_the_table_has_the_pins_of_the_documented_configuration() -> None:
    rows = re.findall(
        r"^\| [\w ]+ \| (GPIO\d+) \| (\d+) \| `(\S+?)( buzzer)?` \|", TEXT, re.MULTILINE
    )
    assert len(rows) == 11
    for pin, place, table, key in rows:
        name = table.strip("[]") + key.replace(" ", ".")
        assert documented()[name] == (pin,), name
        assert int(place) == number(pin)


def test_what_it_says_of_a_pin_is_right() -> None:
    for pin, place in re.findall(r"(GPIO\d+), pin (\d+)", TEXT):
        assert number(pin) == int(place)
    assert len({pin for pins in documented().values() for pin in pins}) == 18  # no two on one


def test_its_configurations_are_right_and_have_the_documented_pins(tmp_path: Path) -> None:
    blocks = re.findall(r"^```toml\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    assert len(blocks) > 6
    file = tmp_path / "appliance.toml"
    people = '[contacts.alice]\nmay = ["answer"]\n[call]\nreceiver = "user:alice"\n'
    file.write_text(people + "\n".join(dict.fromkeys(blocks)))
    config = load(file, {})
    parts = {f"buttons.{name}": part.pin for name, part in config.buttons.items()}
    parts |= {f"leds.{name}": str(part.pin) for name, part in config.leds.items()}
    parts |= {f"relays.{name}": part.pin for name, part in config.relays.items()}
    parts |= {f"inputs.{name}": part.pin for name, part in config.inputs.items()}
    assert len(parts) == 9
    for name, pin in parts.items():
        assert documented()[name] == (pin,), name
    assert config.keypads["front"].rows == documented()["keypads.front.rows"]
    assert config.keypads["front"].columns == documented()["keypads.front.columns"]
    assert (config.panel.buzzer,) == documented()["panel.buzzer"]


def test_the_resistors_of_leds_are_what_there_is_nearest_to_ohms_law() -> None:
    rows = re.findall(r"^\| [\w ,()]+ \| (\d\.\d) V \|(.*)\|$", TEXT, re.MULTILINE)
    assert len(rows) == 4
    there = [value * 10**power for value in E24 for power in range(3)]
    for volts, cells in rows:
        for current_ma, cell in zip((2, 4, 8), cells.split("|"), strict=True):
            if "Ω" in cell:
                exact = round((SUPPLY_V - float(volts)) / (current_ma / 1000), 3)
                nearest = min(there, key=lambda one: (abs(one - exact), -one))
                assert cell.strip() == f"{nearest} Ω", f"{volts} V at {current_ma} mA"


def test_what_the_other_resistors_are_chosen_for() -> None:
    """The figures that stand beside the drawings."""
    base_ma = (SUPPLY_V - 0.7) / 1 - 0.7 / 10
    assert round(base_ma, 1) == 2.5
    assert round(5 / 70 * 1000) == 71
    assert round(SUPPLY_V / 220 * 1000) == 15
    assert round(SUPPLY_V / 4.7, 1) == 0.7
    assert round(4.7e3 * 100e-9 * 1e3, 1) == 0.5
    assert round(SUPPLY_V * 1 / (1 + 4.7), 1) == 0.6
    assert SUPPLY_V > 5 * 18 / (10 + 18)
