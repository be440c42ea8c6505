"""docs/configuration.md says what the code says: each key, with its values, its default and its purpose."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from appliance.config import Config, load
from appliance.model import CallSettings
from appliance.reference.__main__ import main
from appliance.reference.configuration import Comments, configuration, place, values
from appliance.reference.documented import parts
from tests.test_reference import rows

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs" / "configuration.md"


@cache
def today() -> str:
    """What is to stand there."""
    return configuration()


def section(title: str) -> str:
    """What stands below a heading."""
    return today().split(f"`{title}`\n", maxsplit=1)[1].split("\n## ")[0]


def keys(table: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, value in table.items():
        yield from keys(value, (*path, name)) if isinstance(value, dict) else [(*path, name)]


def test_the_reference_in_the_documentation_is_todays() -> None:
    assert DOCS.read_text() == today(), "run: python -m appliance.reference docs/configuration.md"


def test_every_key_has_a_row_with_its_values_and_its_purpose() -> None:
    assert len([*rows(today())]) > 120
    for cells in rows(today()):
        assert len(cells) == 4
        assert all(cells), f"{cells[0]} lacks something"
    for kind in structs.fields(Config):
        # a section with a default is a struct, a table of the owner's names a dict
        assert f"[{kind.name}" in today()


def test_every_key_of_the_documented_configuration_is_there() -> None:
    example = tomllib.loads((ROOT / "config" / "appliance.toml").read_text())
    found = {cells[0] for cells in rows(today())}
    named = [path for path in keys(example) if "patterns" not in path]
    assert len(named) > 60
    assert [path for path in named if f"`{path[-1]}`" not in found] == []


@pytest.mark.parametrize(
    ("title", "row"),
    [
        ("[http]", "| `port` | a whole number from 1 to 65535 | `8080` |"),
        ("[relays.<name>]", "| `pulse_s` | a number from 0.05 to 60 | `3.0` |"),
        ("[relays.<name>]", '| `dtmf` | a text | none; such as `"42#"` |'),
        ("[leds.<name>]", "| `pin` | a pin or a list of 3 | required |"),
        ("[security]", '| `unsigned` | `refuse` `allow` | `"refuse"` |'),
        ("[[media.ice_servers]]", "| `urls` | a list of text | required |"),
        ("[call.main_video_container]", '| `fit` | a text | `"contain"` |'),
        (
            "[contacts.<uid>]",
            "| `may` | a list of `call` `answer` `view` `unlock` `moderate` | `[]` |",
        ),
    ],
)
def test_a_row_is_right(title: str, row: str) -> None:
    assert row in section(title)


def test_what_stands_above_a_table_in_the_file_is_in_its_section() -> None:
    assert "Buttons do one action for each gesture" in section("[buttons.<name>]")
    assert "double\\_blink" in section("[leds.<name>]")
    assert "Buttons do" not in section("[leds.<name>]")
    assert "complete: every key" not in today()  # it is said of the file as a whole


def test_what_stands_beside_a_field_goes_before_the_comment_of_the_file() -> None:
    said = Comments(parts((ROOT / "config" / "appliance.toml").read_text().splitlines()))
    assert said.keys[("buttons", "*", "hold_s")] == "this long is a hold"
    assert "This long is a hold." in section("[buttons.<name>]")
    assert said.examples[("buttons", "*", "hold")] == '"call:user:bob"'


def test_a_table_of_the_file_is_found_in_the_configuration() -> None:
    assert place("[buttons.call]") == ("buttons", "*")
    assert place("[leds.status.patterns]") == ("leds", "*", "patterns")
    assert place("[[media.ice_servers]]") == ("media", "ice_servers")
    with pytest.raises(KeyError):
        place("[colours]")


def test_values_are_told_in_words() -> None:
    assert values(str | None) == "a text"
    assert values(str | int) == "a pin"
    assert values(tuple[str | int, ...]) == "a list of pin"
    assert values(bool | None) == "true or false"


def test_the_example_at_its_top_is_a_configuration(tmp_path: Path) -> None:
    [example] = re.findall(r"^```toml\n(.*?)^```", today(), re.MULTILINE | re.DOTALL)
    file = tmp_path / "appliance.toml"
    file.write_text(example)
    assert load(file, {}).call.receiver == "user:alice"


def test_a_setting_of_a_call_is_said_in_one_place() -> None:
    for name in CallSettings.__struct_fields__:
        if name != "main_video_container":
            assert f"\n| `{name}` |" in section("[call]")


def test_what_is_no_reference_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"configuration\.md"):
        main([str(tmp_path / "other.md")])
    main([str(tmp_path / "configuration.md")])
    assert (tmp_path / "configuration.md").read_text() == today()
