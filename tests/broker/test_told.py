"""Mosquitto is told of a broker's folder by a link, or by whatever its owner has written."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.broker.told import configurations, is_told, links_of, tell
from appliance.service.doctor.machine import ThisMachine

MACHINE = ThisMachine()


def told(folder: Path) -> bool:
    return is_told(folder, MACHINE.names, MACHINE.text)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "appliance"
    made.mkdir()
    (made / "appliance.conf").write_text("listener 8883\n")
    return made


def test_it_is_told_once_and_what_is_there_stays(folder: Path) -> None:
    assert not told(folder)
    for _ in range(2):
        tell(folder, links_of(folder))
        assert told(folder)
    [link] = configurations(folder, MACHINE.names)
    assert link.read_text() == "listener 8883\n"


@pytest.mark.parametrize("name", ["conf.d/mine.conf", "mosquitto.conf"])
def test_an_owner_who_has_written_it_down_has_told_it_too(name: str, folder: Path) -> None:
    file = folder.parent / name
    file.parent.mkdir(exist_ok=True)
    file.write_text("listener 1883\n")
    assert not told(folder)
    file.write_text(f"password_file {folder}/passwords\n")
    assert told(folder)


def test_what_mosquitto_does_not_read_tells_nothing(folder: Path) -> None:
    links = links_of(folder)
    links.mkdir()
    (links / "appliance.conf.before-restore").write_text(f"acl_file {folder}/acl\n")
    assert not told(folder)
    assert configurations(folder, MACHINE.names) == []
