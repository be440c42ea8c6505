"""Where a device's own things are, for who types a command beside it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from appliance.cli import main
from appliance.owner.places import beside_the_daemon, places
from appliance.trust.book import FILE
from tests.parts.pen import Pen


def test_the_environments_own_folder_goes_first(tmp_path: Path) -> None:
    system = tmp_path / "system"
    system.mkdir()
    found = places(None, {"STATE_DIRECTORY": str(tmp_path / "own")}, system=system)
    assert found.state == tmp_path / "own"
    assert found.file == Path("/etc/appliance/appliance.toml")


def test_else_the_one_that_systemd_starts(tmp_path: Path, monkeypatch: object) -> None:
    system, credentials = tmp_path / "system", tmp_path / "credentials"
    home = {"HOME": str(tmp_path)}
    system.mkdir()
    credentials.mkdir()
    file = tmp_path / "etc" / "appliance.toml"
    found = places(
        file, {**home, "XDG_STATE_HOME": str(tmp_path)}, system=system, credentials=credentials
    )
    assert found.state == tmp_path / "appliance", "whoever has said where is meant"
    assert found.environ["CREDENTIALS_DIRECTORY"] == str(credentials)
    assert found.drop_ins == tmp_path / "etc" / "conf.d"


def test_what_is_not_there_is_not_told(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "appliance.mqtt.password").write_text("x")
    (tmp_path / "store" / "others.secret").write_text("x")
    found = places(
        None, {"STATE_DIRECTORY": "/x"}, credentials=tmp_path / "none", credstore=tmp_path / "store"
    )
    assert "CREDENTIALS_DIRECTORY" not in found.environ
    assert [one.name for one in found.stored()] == ["appliance.mqtt.password"]


@pytest.fixture
def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A daemon's configuration that rings who was paired, and its folder, as systemd's; gives the first."""
    etc, system = tmp_path / "etc", tmp_path / "system"
    etc.mkdir()
    system.mkdir()
    file = etc / "appliance.toml"
    file.write_text('[contacts.alice]\n[call]\nreceiver = "user:alice"\n')
    key = Pen().public
    (system / FILE).write_text(f'[contacts.alice]\nmay = ["call", "answer"]\nkeys = ["{key}"]\n')
    monkeypatch.setattr("appliance.owner.places.SYSTEM_FOLDER", system)
    monkeypatch.setattr("appliance.owner.places.RUNNING_CREDENTIALS", tmp_path / "none")
    monkeypatch.setattr("appliance.owner.places.DEFAULT_FILE", file)
    for name in ("STATE_DIRECTORY", "XDG_STATE_HOME", "CREDENTIALS_DIRECTORY"):
        monkeypatch.setenv(name, "")  # so what a command makes of it is put back
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return file


def test_its_configuration_is_checked_with_whom_it_has_paired(
    door: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Root has a home of its own, in which nobody was ever paired."""
    other = door.with_name("other.toml")
    other.write_text(door.read_text())
    assert main(["check-config", str(other)]) == 0, "one that somebody tries for themselves"
    assert "alice: has no keys yet" in capsys.readouterr().out
    assert main(["check-config", str(door)]) == 0
    assert capsys.readouterr().out == f"{door}: no faults\n"


def test_the_doctor_looks_where_it_keeps_what_is_its_own(
    door: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["doctor", "--config", str(door)])
    said = " ".join(capsys.readouterr().out.split())
    assert f"state {door.parents[1] / 'system'}" in said
    assert str(door.parents[1] / "home") not in said


def test_who_may_not_look_there_is_who_it_is(door: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    environ = {"HOME": "/home/somebody"}
    assert beside_the_daemon(door, environ) == environ
