"""What is still to come, for phones to ring, is told until it is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.config import Config, Contact, Http, Mqtt
from appliance.owner.left import BROKER, FIRST, PAGE, left
from appliance.owner.places import Places
from appliance.trust import book


def here(folder: Path) -> Places:
    return Places(folder / "appliance.toml", folder, {})


def test_a_fresh_device_lacks_all_of_it(tmp_path: Path) -> None:
    said = left(Config(), here(tmp_path))
    assert said is not None
    assert said.index(BROKER) < said.index(PAGE) < said.index(FIRST)
    for command in (
        "sudo appliance broker new",
        "[mqtt] websocket_url",
        "sudo appliance pair NAME",
    ):
        assert command in said


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_a_page_on_loopback_is_none(tmp_path: Path, host: str) -> None:
    assert PAGE in (left(Config(http=Http(host=host)), here(tmp_path)) or "")
    assert PAGE not in (left(Config(http=Http(host="0.0.0.0")), here(tmp_path)) or "")  # noqa: S104


def test_what_is_there_is_not_told(tmp_path: Path) -> None:
    config = Config(
        mqtt=Mqtt(websocket_url="wss://door.local:8884/"),
        http=Http(host="0.0.0.0", local_ca=True),  # noqa: S104
    )
    said = left(config, here(tmp_path))
    assert (
        said
        == f"For phones to ring there is still to come: {FIRST}. The order is in docs/install.md."
    )
    (tmp_path / book.FILE).write_text('[contacts.alice]\nkeys = []\nmay = ["call"]\n')
    assert left(config, here(tmp_path)) == said
    (tmp_path / book.FILE).write_text('[contacts.alice]\nkeys = [\n  "abc",\n]\n')
    assert left(config, here(tmp_path)) is None


def test_a_key_of_the_configuration_counts(tmp_path: Path) -> None:
    config = Config(contacts={"alice": Contact(keys=("abc",))})
    assert FIRST not in (left(config, here(tmp_path)) or "")
